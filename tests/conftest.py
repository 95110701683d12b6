from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import CAMUSImageMaskDatasetGenerator
import make_phantom_database
import split_master
from camus import database

Done = tuple[int, str, str]  # exit code, stdout and stderr
Run = Callable[..., Done]


def script(main: Callable[[Sequence[str]], int]) -> Any:
    """A fixture: a function that runs a script as from the command line."""

    def run(capsys: pytest.CaptureFixture[str]) -> Run:
        return lambda *words: (main([str(word) for word in words]), *capsys.readouterr())

    return pytest.fixture(run)


generate = script(CAMUSImageMaskDatasetGenerator.main)
split = script(split_master.main)
make_phantoms = script(make_phantom_database.main)


def refusal(done: Done) -> str:
    """The one line of a run that has refused to do anything."""
    code, out, err = done
    assert (code, out, err.count("\n")) == (2, "", 1), done
    return err


def says(text: str, facts: str) -> bool:
    """Whether a text tells all of these facts, in any order. facts: separated by semicolons."""
    return all(fact in text for fact in facts.split("; "))


@pytest.fixture(autouse=True)
def _in_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in a folder of its own, as if the scripts lay in the folder `repo` there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(database, "ROOT", tmp_path / "repo")
    monkeypatch.setattr(split_master, "__file__", str(tmp_path / "repo/split_master.py"))
    monkeypatch.setattr("sys.argv", [str(Path("generator", "script.py"))])
