"""The one rule for output: a folder appears whole or not at all; nothing else is touched."""

import json
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from camus import RefusalError, output
from camus.metadata import GENERATOR, describe

from . import build
from .build import tree
from .test_split import SETTINGS

TARGET, PART, OLD = Path("new/ä b"), Path("new/.ä b.camus-part"), Path("new/.ä b.camus-old")
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no sync, locks, SIGKILL")


def made(content: str) -> dict[str, bytes]:
    """The files that a run makes, with their bytes."""
    description = json.dumps(describe(SETTINGS, phantom=False)).encode()
    return {"dataset.json": description, f"images/patient_{content}_2CH_ED.jpg": b"an image"}


def fill(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        build.write(folder / name, data)


def new_folder(target: Path = TARGET, overwrite: bool = True) -> AbstractContextManager[Path]:
    return output.new_folder(target, GENERATOR, overwrite)


def make(content: str, overwrite: bool = True, target: Path = TARGET) -> None:
    with new_folder(target, overwrite) as part:
        fill(part, made(content))


@posix
def test_a_new_folder_and_its_replacement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is synced to the disk before and after it appears. A link to it stands for it."""
    synced: list[dict[str, bytes]] = []
    monkeypatch.setattr(os, "sync", lambda: synced.append(tree(TARGET)))
    make("one", overwrite=False)
    with pytest.raises(RefusalError, match="--overwrite"):
        make("two", overwrite=False)
    assert tree(TARGET) == made("one")
    Path("link").symlink_to(TARGET)
    make("two", target=Path("link"))
    assert Path("link").is_symlink()
    assert synced == [{}, made("one"), made("one"), made("two")]
    assert list(TARGET.parent.iterdir()) == [TARGET]


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", ".git/config", "lost+found/x"])
def test_files_of_systems_are_passed_over_and_stay(name: str) -> None:
    build.write(TARGET / name, b"mine")
    make("one")
    assert tree(TARGET) == {**made("one"), name: b"mine"}
    TARGET.rename(OLD)
    fill(TARGET, made("new"))  # by a run that was killed before it removed the old folder
    fill(PART, made("half"))  # by one that was killed while it built
    make("two")
    assert tree(TARGET) == {**made("two"), name: b"mine"} and not OLD.exists()


@pytest.mark.parametrize(
    ("files", "foreign"),
    [
        ({"thesis.docx": b"mine"}, "thesis.docx"),
        ({"dataset.json": b"null"}, "dataset.json"),
        ({"dataset.json": b'{"made_by": "you"}'}, "dataset.json"),
        ({"data/.env": b"mine"}, "data"),
        ({**made("one"), "notes/.git/HEAD": b"mine"}, "notes"),
        ({**made("one"), "thesis.docx": b"mine"}, "thesis.docx"),
        ({**made("one"), "images/one.jpg": b"mine"}, "images/one.jpg"),
        ({**made("one"), "masks/patient1_2CH_ED.png": b"mine"}, "masks/patient1_2CH_ED.png"),
    ],
)
def test_what_others_made_is_never_touched(files: dict[str, bytes], foreign: str) -> None:
    fill(TARGET, files)
    with pytest.raises(RefusalError):
        make("two", overwrite=False)
    with pytest.raises(RefusalError, match=f"holds {foreign}"):
        make("two")
    assert tree(Path("new")) == {f"{TARGET.name}/{name}": data for name, data in files.items()}


@posix
def test_targets_that_cannot_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    build.write(Path("a/b/file"), b"mine")
    monkeypatch.chdir("a/b")
    os.mkfifo("pipe")
    for target in (".", "..", "/dev", "file", "pipe"):
        with pytest.raises((RefusalError, OSError), match="folder inside it|Not a directory"):
            make("one", target=Path(target))
    assert tree(Path("..")) == {"b/file": b"mine"}


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError])
def test_a_failure_leaves_everything_as_it_was(failure: type[BaseException]) -> None:
    make("one")
    for target in (TARGET, Path("new/other")):
        with pytest.raises(failure), new_folder(target) as part:
            fill(part, made("two"))
            raise failure
    with new_folder() as part:  # no pair could be made, so there is no dataset.json
        build.write(part / "images/two.jpg", b"an image")
    assert tree(TARGET) == made("one") and list(TARGET.parent.iterdir()) == [TARGET]


@posix
def test_what_others_do_meanwhile() -> None:
    """A second run is refused, and a file that was put there is not replaced."""
    with pytest.raises(RefusalError, match="holds mine.txt"), new_folder() as part:
        fill(part, made("one"))
        with pytest.raises(RefusalError, match="another run"):
            make("two")
        build.write(TARGET / "mine.txt", b"mine")
    assert tree(TARGET) == {"mine.txt": b"mine"}


@posix
def test_a_disk_without_locks_is_used_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcntl.LOCK_EX", 0)  # with this, flock raises OSError
    make("one")
    assert tree(TARGET) == made("one")


KILLED = """
import itertools, os, signal, sys
from pathlib import Path
from tests import test_output
number, rename = itertools.count(), Path.rename
def rename_or_die(path, destination):
    if next(number) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(path, destination)
Path.rename = rename_or_die
test_output.make("two", True, Path(sys.argv[2]))
"""


@posix
@pytest.mark.parametrize(("renames", "left"), [(0, "one"), (1, ""), (2, "two")])
def test_a_killed_run_leaves_a_whole_folder_or_none(renames: int, left: str) -> None:
    make("one")
    code = build.run("-c", KILLED, renames, TARGET.absolute(), cwd=build.ROOT)[0]
    assert (code != 0) == (renames < 2)
    assert tree(TARGET) == (made(left) if left else {})
    with pytest.raises(RefusalError, match="--overwrite"):
        make("three", overwrite=False)
    assert tree(TARGET) == made(left or "one")
    make("three")
    assert tree(TARGET) == made("three") and list(TARGET.parent.iterdir()) == [TARGET]
