"""The one rule for output: a folder appears whole or not at all; nothing else is touched."""

from __future__ import annotations

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


def test_a_new_folder_and_its_replacement(tmp_path: Path) -> None:
    target = tmp_path / "new" / "Ordner ä"
    for content in ("one", "two"):
        make(target, content, overwrite=content == "two")
        assert build.tree(target) == expected(tmp_path / content, content)
        assert (target / "empty").is_dir()
    with pytest.raises(RefusalError, match="is there already: replace it with --overwrite"):
        make(target, "three")
    assert build.tree(target) == build.tree(tmp_path / "two")
    assert not litter(tmp_path)


def test_the_current_folder_is_a_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path(), "one")
    make(Path(), "two", overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "two"


def test_a_link_to_a_folder_is_a_target(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "folder")
    make(tmp_path / "link", "one")
    make(tmp_path / "link", "two", overwrite=True)
    assert (tmp_path / "disk/folder/notes.txt").read_text() == "two"
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize(
    "name", [".DS_Store", "._x", "Thumbs.db", "desktop.ini", ".git/config", "lost+found/x"]
)
def test_litter_is_passed_over_and_stays(tmp_path: Path, name: str) -> None:
    for inside in ("", "images"):
        (tmp_path / inside / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / inside / name).write_text("litter")
        make(tmp_path, "one", overwrite=True)
    make(tmp_path, "two", overwrite=True)
    assert (tmp_path / "images/a.jpg").read_text() == "two"
    assert (tmp_path / "images" / name).read_text() == "litter"
    assert (tmp_path / name).read_text() == "litter"


@pytest.mark.parametrize("ours", [False, True])
@pytest.mark.parametrize("foreign", ["thesis.docx", "images/holiday.jpg", "images/sub/x", "link"])
def test_what_others_made_is_never_touched(tmp_path: Path, ours: bool, foreign: str) -> None:
    target, precious = tmp_path / "target", tmp_path / "precious.jpg"
    precious.write_text("precious")
    if ours:
        make(target, "one")
    if foreign == "link":
        foreign = "images/b.jpg"
        (target / "images").mkdir(parents=True, exist_ok=True)
        (target / foreign).unlink(missing_ok=True)
        (target / foreign).symlink_to(precious)
    else:
        (target / foreign).parent.mkdir(parents=True, exist_ok=True)
        (target / foreign).write_text("mine")
    before = build.tree(tmp_path)
    with pytest.raises(RefusalError) as refusal:
        make(target, "two", overwrite=True)
    first = foreign if ours else foreign.split("/")[0]
    assert f"{target} holds {first}, which me did not make" in str(refusal.value)
    assert build.tree(tmp_path) == before and not litter(tmp_path)


@pytest.mark.parametrize("description", ["", "null", "[]", '{"made_by": "you"}', "[" * 100_000])
def test_a_folder_with_another_dataset_json_is_refused(tmp_path: Path, description: str) -> None:
    (tmp_path / "dataset.json").write_text(description)
    with pytest.raises(RefusalError, match="holds dataset.json, which me did not make"):
        make(tmp_path, "one", overwrite=True)
    assert (tmp_path / "dataset.json").read_text() == description


def test_files_are_not_targets(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for target in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RefusalError, match="is not a folder"):
            make(target, "one")
    assert build.tree(tmp_path) == {"file": b"mine"}


def test_a_failure_leaves_everything_as_it_was(tmp_path: Path) -> None:
    make(tmp_path / "old", "one")
    before = build.tree(tmp_path)
    for target in (tmp_path / "old", tmp_path / "new" / "er"):
        with (
            pytest.raises(KeyboardInterrupt),
            new_folder(target, "me", True, lambda _: set(NAMES)) as new,
        ):
            write(new, "two")
            raise KeyboardInterrupt
    assert build.tree(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_without_a_dataset_json_nothing_is_replaced(tmp_path: Path) -> None:
    make(tmp_path / "old", "one")
    before = build.tree(tmp_path)
    for name in ("old", "new"):
        with new_folder(tmp_path / name, "me", True, lambda _: set(NAMES)) as new:
            (new / "notes.txt").write_text("two")
    assert build.tree(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("name", ["mine.txt", "images/a.jpg"])
def test_what_appears_meanwhile_is_not_replaced(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(RefusalError, match="did not make"),
        new_folder(tmp_path, "me", True, lambda _: set(NAMES)) as new,
    ):
        write(new, "one")
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    assert build.tree(tmp_path) == {name: b"mine"}


def test_two_runs_into_one_folder(tmp_path: Path) -> None:
    with new_folder(tmp_path / "target", "me") as new:
        with pytest.raises(RefusalError, match="another run is writing to"):
            make(tmp_path / "target", "two")
        write(new, "one")
    assert (tmp_path / "target" / "notes.txt").read_text() == "one"


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
def test_a_run_killed_between_its_moves_is_undone_by_the_next(tmp_path: Path) -> None:
    """Wherever it is killed, a folder with a dataset.json is whole, and the next run undoes it."""
    target, archive = tmp_path / "target", tmp_path / "target.zip"
    one, two = expected(tmp_path / "one", "one"), expected(tmp_path / "two", "two")
    outcomes = []
    for moves in range(13):
        make(target, "one", True, True)
        killed = build.run("-c", KILLED, target, moves, cwd=build.ROOT)[0] != 0
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
        assert not litter(tmp_path)
    assert (True, False) in outcomes and (False, True) in outcomes


def test_a_folder_moved_after_a_kill_is_undone_too(tmp_path: Path) -> None:
    """The moves are written down relative to the folder."""
    make(tmp_path / "here", "one")
    hidden = tmp_path / "here" / HIDDEN
    (hidden / "earlier").mkdir(parents=True)
    (hidden / MOVES).write_text(f'[["dataset.json", "{HIDDEN}/earlier/dataset.json"]]')
    (tmp_path / "here" / "dataset.json").rename(hidden / "earlier" / "dataset.json")
    (tmp_path / "here").rename(tmp_path / "there")
    with pytest.raises(RefusalError, match="is there already"):
        make(tmp_path / "there", "two")
    assert build.tree(tmp_path / "there") == expected(tmp_path / "one", "one")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_parent_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    tmp_path.chmod(0o500)
    try:
        make(tmp_path / "target", "one")
    finally:
        tmp_path.chmod(0o700)
