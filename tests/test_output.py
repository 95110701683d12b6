"""The one rule for output: a folder appears whole or not at all; nothing else is touched."""

import os
import sys
from pathlib import Path

import pytest

from camus import output
from camus.errors import RefusalError
from camus.output import HIDDEN, MOVES, new_folder

from . import build

NAMES = ("images/a.jpg", "images/b.jpg", "empty", "notes.txt", "dataset.json")


def write(folder: Path, content: str) -> None:
    """What a script builds: files, an empty folder, and dataset.json."""
    for name in ("images", "empty"):
        (folder / name).mkdir(parents=True)
    for name in NAMES[:2] + NAMES[3:4]:
        (folder / name).write_text(content)
    output.write_description(folder, {"made_by": "me", "content": content})


def make(target: Path, content: str, overwrite: bool = False, archive: bool = False) -> None:
    files_of, with_archive = (lambda _: set(NAMES)), (lambda: archive)
    with new_folder(target, "me", overwrite, files_of, with_archive) as new:
        write(new, content)
        if archive:
            output.unfinished_archive(target).write_text(content)


def expected(folder: Path, content: str) -> dict[str, bytes]:
    write(folder, content)
    return build.tree(folder)


def litter(parent: Path) -> list[str]:
    return [path.name for path in parent.rglob("*") if HIDDEN in path.name]


def test_a_new_folder_and_its_replacement() -> None:
    target = Path("new/Ordner ä")
    for content in ("one", "two"):
        make(target, content, overwrite=content == "two")
        assert build.tree(target) == expected(Path(content), content)
        assert (target / "empty").is_dir()
    with pytest.raises(RefusalError, match="is there already: replace it with --overwrite"):
        make(target, "three")
    assert build.tree(target) == build.tree(Path("two"))
    assert not litter(Path())


def test_the_current_folder_is_a_target() -> None:
    make(Path(), "one")
    make(Path(), "two", overwrite=True)
    assert Path("notes.txt").read_text() == "two"


def test_a_link_to_a_folder_is_a_target() -> None:
    Path("link").symlink_to(Path("disk/folder"))
    make(Path("link"), "one")
    make(Path("link"), "two", overwrite=True)
    assert Path("disk/folder/notes.txt").read_text() == "two"
    assert Path("link").is_symlink()


@pytest.mark.parametrize(
    "name", [".DS_Store", "._x", "Thumbs.db", "desktop.ini", ".git/config", "lost+found/x"]
)
def test_litter_is_passed_over_and_stays(name: str) -> None:
    for inside in ("", "images"):
        (Path(inside) / name).parent.mkdir(parents=True, exist_ok=True)
        (Path(inside) / name).write_text("litter")
        make(Path(), "one", overwrite=True)
    make(Path(), "two", overwrite=True)
    assert Path("images/a.jpg").read_text() == "two"
    assert (Path("images") / name).read_text() == "litter"
    assert Path(name).read_text() == "litter"


@pytest.mark.parametrize("ours", [False, True])
@pytest.mark.parametrize("foreign", ["thesis.docx", "images/holiday.jpg", "images/sub/x", "link"])
def test_what_others_made_is_never_touched(ours: bool, foreign: str) -> None:
    target, precious = Path("target"), Path("precious.jpg")
    precious.write_text("precious")
    if ours:
        make(target, "one")
    if foreign == "link":
        foreign = "images/b.jpg"
        (target / "images").mkdir(parents=True, exist_ok=True)
        (target / foreign).unlink(missing_ok=True)
        (target / foreign).symlink_to(precious.resolve())
    else:
        (target / foreign).parent.mkdir(parents=True, exist_ok=True)
        (target / foreign).write_text("mine")
    before = build.tree(Path())
    with pytest.raises(RefusalError) as refusal:
        make(target, "two", overwrite=True)
    first = foreign if ours else foreign.split("/")[0]
    assert f"{target} holds {first}, not made by me" in str(refusal.value)
    assert build.tree(Path()) == before and not litter(Path())


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read all")
def test_a_folder_that_cannot_be_read_is_not_replaced() -> None:
    make(Path(), "one")
    Path("foreign").mkdir(mode=0)
    with pytest.raises(PermissionError):
        make(Path(), "two", overwrite=True)
    Path("foreign").chmod(0o700)
    assert Path("notes.txt").read_text() == "one"


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ("null", "holds dataset.json, not made by me"),
        ('{"made_by": "you"}', "holds dataset.json, not made by me"),
        ("", "dataset.json is not JSON"),
        ("[" * 100_000, "dataset.json is not JSON"),
    ],
)
def test_a_folder_with_another_dataset_json_is_refused(description: str, reason: str) -> None:
    Path("dataset.json").write_text(description)
    with pytest.raises(RefusalError, match=reason):
        make(Path(), "one", overwrite=True)
    assert Path("dataset.json").read_text() == description


def test_files_are_not_targets() -> None:
    Path("file").write_text("mine")
    for target in (Path("file"), Path("file/below")):
        with pytest.raises(RefusalError, match="is not a folder"):
            make(target, "one")
    assert build.tree(Path()) == {"file": b"mine"}


def test_a_failure_leaves_everything_as_it_was() -> None:
    make(Path("old"), "one")
    before = build.tree(Path())
    for target in (Path("old"), Path("new/er")):
        with (
            pytest.raises(KeyboardInterrupt),
            new_folder(target, "me", True, lambda _: set(NAMES)) as new,
        ):
            write(new, "two")
            raise KeyboardInterrupt
    assert build.tree(Path()) == before
    assert [path.name for path in Path().iterdir()] == ["old"]


def test_without_a_dataset_json_nothing_is_replaced() -> None:
    make(Path("old"), "one")
    before = build.tree(Path())
    for name in ("old", "new"):
        with new_folder(Path(name), "me", True, lambda _: set(NAMES)) as new:
            (new / "notes.txt").write_text("two")
    assert build.tree(Path()) == before
    assert [path.name for path in Path().iterdir()] == ["old"]


@pytest.mark.parametrize("name", ["mine.txt", "images/a.jpg"])
def test_what_appears_meanwhile_is_not_replaced(name: str) -> None:
    with (
        pytest.raises(RefusalError, match="not made by me"),
        new_folder(Path(), "me", True, lambda _: set(NAMES)) as new,
    ):
        write(new, "one")
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("mine")
    assert build.tree(Path()) == {name: b"mine"}


def test_two_runs_into_one_folder() -> None:
    with new_folder(Path("target"), "me") as new:
        with pytest.raises(RefusalError, match="another run is writing to"):
            make(Path("target"), "two")
        write(new, "one")
    assert Path("target/notes.txt").read_text() == "one"


KILLED = """
import os, signal, sys
from pathlib import Path
from tests import test_output
target, moves = Path(sys.argv[1]), int(sys.argv[2])
rename = Path.rename
def kill(path, destination):
    global moves
    moves -= 1
    if moves < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(path, destination)
Path.rename = kill
test_output.make(target, "two", True, True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_run_killed_between_its_moves_is_undone_by_the_next() -> None:
    """Wherever it is killed, a folder with a dataset.json is whole, and the next run undoes it."""
    target, archive = Path("target"), Path("target.zip")
    one, two = expected(Path("one"), "one"), expected(Path("two"), "two")
    outcomes = []
    for moves in range(13):
        make(target, "one", True, True)
        killed = build.run("-c", KILLED, target.resolve(), moves, cwd=build.ROOT)[0] != 0
        left = {name: data for name, data in build.tree(target).items() if HIDDEN not in name}
        is_whole = "dataset.json" in left
        if is_whole:
            assert left in (one, two)
            assert not archive.exists() or archive.read_bytes() == left["notes.txt"]
        outcomes.append((killed, is_whole))
        with pytest.raises(RefusalError, match="is there already"):
            make(target, "three")  # after it has undone what the killed run left
        is_done = not killed or left == two
        assert build.tree(target) == (two if is_done else one)
        assert archive.read_text() == ("two" if is_done else "one")
        assert not litter(Path())
    assert (True, False) in outcomes and (False, True) in outcomes


def test_a_folder_moved_after_a_kill_is_undone_too() -> None:
    """The moves are written down relative to the folder."""
    make(Path("here"), "one")
    hidden = Path("here") / HIDDEN
    (hidden / "earlier").mkdir(parents=True)
    (hidden / MOVES).write_text(f'[["dataset.json", "{HIDDEN}/earlier/dataset.json"]]')
    Path("here/dataset.json").rename(hidden / "earlier" / "dataset.json")
    Path("here").rename(Path("there"))
    with pytest.raises(RefusalError, match="is there already"):
        make(Path("there"), "two")
    assert build.tree(Path("there")) == expected(Path("one"), "one")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_parent_that_cannot_be_written_to() -> None:
    Path("target").mkdir()
    Path().chmod(0o500)
    try:
        make(Path("target"), "one")
    finally:
        Path().chmod(0o700)
