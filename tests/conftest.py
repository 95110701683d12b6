"""Fixtures that run a script as from the command line, each test in a folder of its own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import CAMUSImageMaskDatasetGenerator
import make_phantom_database
import split_master
from camus import database

from .build import Run


def script(main: Callable[[Sequence[str]], int]) -> Any:
    """A fixture: a function that runs a script with these words."""

    def run(capsys: pytest.CaptureFixture[str]) -> Run:
        return lambda *words: (main([str(word) for word in words]), *capsys.readouterr())

    return pytest.fixture(run)


generate = script(CAMUSImageMaskDatasetGenerator.main)
split = script(split_master.main)
make_phantoms = script(make_phantom_database.main)


@pytest.fixture(autouse=True)
def _in_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in a folder of its own, as if the scripts lay in the folder `repo` there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(database, "ROOT", tmp_path / "repo")
    monkeypatch.setattr(split_master, "__file__", str(tmp_path / "repo/split_master.py"))
    monkeypatch.setattr("sys.argv", [str(Path("generator", "script.py"))])
