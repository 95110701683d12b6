from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import CAMUSImageMaskDatasetGenerator
import make_phantom_database
import split_master

Done = tuple[int, str, str]  # exit code, stdout and stderr
Run = Callable[..., Done]


def runner(main: Callable[[Sequence[str]], int], capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a script as from the command line."""

    def run(*arguments: object) -> Done:
        code = main([str(argument) for argument in arguments])
        return (code, *capsys.readouterr())

    return run


def refusal(done: Done) -> str:
    """The one line of a run that has refused to do anything."""
    code, out, err = done
    assert (code, out, err.count("\n")) == (2, "", 1), done
    return err


@pytest.fixture
def generate(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(CAMUSImageMaskDatasetGenerator.main, capsys)


@pytest.fixture
def split(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(split_master.main, capsys)


@pytest.fixture
def make_phantoms(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(make_phantom_database.main, capsys)


@pytest.fixture(autouse=True)
def _in_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in a folder of its own; see DATABASE, MASTER and DATASET of build.py."""
    monkeypatch.chdir(tmp_path)
