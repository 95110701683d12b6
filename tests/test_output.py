"""The one rule for output: a folder appears whole or not at all; nothing else is touched."""

import contextlib
import errno
import json
import os
import shutil
import sys
import time
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from camus import RefusalError, output
from camus.metadata import GENERATOR, PHANTOMS, SPLIT, describe

from . import build
from .build import tree
from .test_split import SETTINGS

TARGET = Path("new", "ä b")
PART, OLD = (TARGET.with_name(f".{TARGET.name}.camus-{kind}-0123abcd") for kind in ("part", "old"))
COLUMNS = "file_name,mask_file_name,patient,view,instant,frame,mirrored\n"
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no sync, pipes or SIGKILL")


def made(content: str, made_by: str = GENERATOR, **settings: str) -> dict[str, bytes]:
    """The files that a run of a script makes, with their bytes; content tells runs apart."""
    name = f"patient_{content}_2CH_ED.jpg"
    table = f"{COLUMNS}images/{name},masks/{name},patient0001,2CH,ED,,0\n".encode()
    pairs = {"metadata.csv": table, f"images/{name}": b"an image", f"masks/{name}": b"a mask"}
    description: dict[str, Any] = {"made_by": made_by}
    if made_by == GENERATOR:
        description = describe({**SETTINGS, **settings}, phantom=False)
        files = pairs
    elif made_by == SPLIT:
        files = {f"train/{name}": data for name, data in pairs.items()}
        files |= {"README.md": b"a card", "subgroup_training.txt": b"patient0001\n"}
    else:
        description |= {"phantom": True, "patients": 1, "frames": 0, "seed": 0}
        patient = "database_nifti/patient0001"
        files = {f"{patient}/Info_2CH.cfg": content.encode(),
                 f"{patient}/patient0001_2CH_ED_gt.nii.gz": b"a mask",
                 "database_split/subgroup_training.txt": b"patient0001\n"}  # fmt: skip
    return {**files, "dataset.json": json.dumps(description, indent=2).encode()}


def fill(folder: Path, files: dict[str, bytes], age: float = 0) -> None:
    """Write a folder that was last changed so many seconds ago."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    os.utime(folder, (time.time() - age,) * 2)


def new_folder(target: Path = TARGET, overwrite: bool = True) -> AbstractContextManager[Path]:
    return output.new_folder(target, GENERATOR, overwrite)


def make(content: str, overwrite: bool = True, target: Path = TARGET) -> None:
    """A run of the generator that ends well."""
    with new_folder(target, overwrite) as part:
        fill(part, made(content))


def everything() -> tuple[list[Path], dict[str, bytes]]:
    """All folders and files of the test, hidden ones too, and their bytes."""
    return sorted(Path().rglob("*")), tree(Path())


def beside() -> list[Path]:
    """What lies in the folder of the target: the target alone, if all is tidy."""
    return sorted(TARGET.parent.iterdir())


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
    assert beside() == [TARGET]


@pytest.mark.parametrize("name", [".DS_Store", "._x", "Thumbs.db", ".git/config", "lost+found/x"])
def test_hidden_and_system_files_at_the_top_stay(name: str) -> None:
    fill(TARGET, {name: b"mine"})
    make("one")
    assert tree(TARGET) == {**made("one"), name: b"mine"}
    TARGET.rename(OLD)
    fill(TARGET, made("new"))  # by a run that was killed before it removed the old folder
    make("two")
    assert tree(TARGET) == {**made("two"), name: b"mine"} and beside() == [TARGET]


@pytest.mark.parametrize("name", ["images/.DS_Store", "masks/._x", "images/Thumbs.db"])
def test_system_files_below_the_top_go_with_the_folder(name: str) -> None:
    fill(TARGET, {**made("one"), name: b"of a system"})
    make("two")
    assert tree(TARGET) == made("two") and beside() == [TARGET]


@pytest.mark.parametrize(
    ("made_by", "files", "foreign"),
    [
        (GENERATOR, {"thesis.docx": b"mine"}, "thesis.docx"),
        (GENERATOR, {"data/.env": b"mine"}, "data"),
        (GENERATOR, {"dataset.json": b"null"}, "dataset.json"),
        (GENERATOR, {"dataset.json": b'{"made_by": "you"}'}, "dataset.json"),
        (GENERATOR, made("one", SPLIT), "README.md"),
        (SPLIT, made("one"), "dataset.json"),
        *((GENERATOR, {**made("one"), path: b"mine"}, foreign) for path, foreign in (
            ("images/.git/HEAD", "images/.git"),
            ("images/two.jpg", "images/two.jpg"),
            ("masks/.backup/x", "masks/.backup"),
            ("masks/patient_one_2CH_ED.png", "masks/patient_one_2CH_ED.png"),
            ("masks/patient0001 corrected by Eva_2CH_ED.jpg", "masks/patient0001 corrected by Eva"),
            ("metadata_csv", "metadata_csv"),
            ("notes/.git/HEAD", "notes"))),
        (GENERATOR, {**made("one", format=".*"), "masks/two.jpg": b"mine"}, "masks/two.jpg"),
        *((SPLIT, {**made("one", SPLIT), path: b"mine"}, foreign) for path, foreign in (
            ("images/patient_one_2CH_ED.jpg", "images"),
            ("metadata.csv", "metadata.csv"),
            ("train/images/.git/HEAD", "train/images/.git"),
            ("train/masks/patient0001 corrected by Eva_2CH_ED.jpg", "train/masks/patient0001 corr"),
            ("valid/images/patient_one_2CH_ED.jpg", "valid/images/patient_one_2CH_ED.jpg"))),
        *((PHANTOMS, {**made("one", PHANTOMS), path: b"mine"}, foreign) for path, foreign in (
            ("database_nifti/patient0001/.backup/x", "database_nifti/patient0001/.backup"),
            ("database_nifti/patient0001/patient0001_2CH_half_sequence.nii.gz",
             "database_nifti/patient0001/patient0001_2CH_half_sequence.nii.gz"),
            ("database_nifti/patient0002/Info_2CH.cfg", "database_nifti/patient0002"),
            ("database_split/subgroup_training.txt.bak", "database_split/subgroup_training.txt."),
            ("metadata.csv", "metadata.csv"))),
    ],
)  # fmt: skip
def test_what_others_made_is_never_touched(
    made_by: str, files: dict[str, bytes], foreign: str
) -> None:
    fill(TARGET, files)
    before = everything()
    for overwrite, reason in ((False, ""), (True, f"holds {foreign}")):
        with pytest.raises(RefusalError) as refusal, output.new_folder(TARGET, made_by, overwrite):
            pass
        assert reason in str(refusal.value) and everything() == before


@pytest.mark.parametrize("made_by", [GENERATOR, SPLIT, PHANTOMS])
def test_each_script_replaces_all_that_it_made(made_by: str) -> None:
    fill(TARGET, made("one", made_by))
    with output.new_folder(TARGET, made_by, overwrite=True) as part:
        fill(part, made("two", made_by))
    assert tree(TARGET) == made("two", made_by) and beside() == [TARGET]


@pytest.mark.parametrize("table", [None, b"", b"file_name\nimages/one.jpg\n", b"\xff"])
def test_a_master_whose_table_cannot_be_read_is_refused(table: bytes | None) -> None:
    fill(TARGET, made("one") if table is None else {**made("one"), "metadata.csv": table})
    if table is None:
        (TARGET / "metadata.csv").unlink()
    before = everything()
    with pytest.raises(RefusalError, match="metadata.csv .* delete .* or move it away"):
        make("two")
    assert everything() == before


def test_a_description_that_is_not_json_is_refused() -> None:
    fill(TARGET, {**made("one"), "dataset.json": b'{\n"made_by": "x",,\n}'})
    before = everything()
    for overwrite in (False, True):
        with pytest.raises(RefusalError) as refusal:
            make("two", overwrite)
        assert str((TARGET / "dataset.json").absolute()) in str(refusal.value)
        assert "line 2" in str(refusal.value) and everything() == before


@pytest.mark.parametrize(
    "target", [".", "..", "file", *(pytest.param(name, marks=posix) for name in ("pipe", "/dev"))]
)
def test_targets_that_cannot_be_replaced(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(Path("a", "b"), {"file": b"mine"})
    monkeypatch.chdir(Path("a", "b"))
    if target == "pipe":
        os.mkfifo(target)
    with pytest.raises((RefusalError, NotADirectoryError), match="folder inside it|directory"):
        make("one", target=Path(target))
    assert tree(Path("..")) == {"b/file": b"mine"}


def fail_to_write(part: Path) -> None:
    (part / "missing" / "file").write_bytes(b"")


def fill_the_disk(part: Path) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("target", [TARGET, TARGET.with_name("other"), Path("far", "below", "x")])
def test_a_failure_leaves_everything_as_it_was(target: Path) -> None:
    """The folders above a target that the run made are gone, too."""
    make("one")
    before = everything()
    with pytest.raises(KeyboardInterrupt, match="nothing was changed"), new_folder(target) as part:
        fill(part, made("two"))
        raise KeyboardInterrupt
    assert everything() == before
    for fail in (fail_to_write, fill_the_disk):
        with pytest.raises(RefusalError) as refusal, new_folder(target) as part:
            fill(part, made("two"))
            fail(part)
        assert str(target.absolute()) in str(refusal.value)
        assert "camus-part" not in str(refusal.value) and everything() == before
    with new_folder(target) as part:  # no pair could be made, so there is no dataset.json
        fill(part, {"images/two.jpg": b"an image"})
    assert everything() == before


def test_what_others_put_there_meanwhile_is_kept() -> None:
    with pytest.raises(RefusalError, match="holds mine.txt"), new_folder() as part:
        fill(part, made("one"))
        fill(TARGET, {"mine.txt": b"mine"})
    assert tree(TARGET) == {"mine.txt": b"mine"} and beside() == [TARGET]


@pytest.mark.parametrize(("overwrite", "left"), [(False, "first"), (True, "second")])
def test_of_two_runs_at_once_the_later_is_refused_or_replaces(overwrite: bool, left: str) -> None:
    refused = contextlib.nullcontext() if overwrite else pytest.raises(RefusalError, match="there")
    with refused, new_folder(overwrite=overwrite) as part:
        fill(part, made("second"))
        make("first", overwrite)
        assert tree(TARGET) == made("first")
    assert tree(TARGET) == made(left) and beside() == [TARGET]


@pytest.mark.parametrize(("is_empty", "overwrite"), [(False, False), (False, True), (True, False)])
def test_a_run_that_comes_second_at_the_very_end_is_refused(
    is_empty: bool, overwrite: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other run ends between the last look at the target and the first rename."""
    rename = Path.rename

    def come_second(path: Path, new: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        make("first", overwrite=False)
        return rename(path, new)

    if is_empty:
        TARGET.mkdir(parents=True)
    with (
        pytest.raises(RefusalError, match=r"another run .* nothing was changed"),
        new_folder(overwrite=overwrite) as part,
    ):
        fill(part, made("second"))
        monkeypatch.setattr(Path, "rename", come_second)
    assert tree(TARGET) == made("first") and beside() == [TARGET]


def refuse(monkeypatch: pytest.MonkeyPatch, start: str, times: int) -> Counter[str]:
    """Refuse to rename what starts so, as Windows does while a program has a file in it open."""
    rename, attempts = Path.rename, Counter[str]()

    def rename_or_not(path: Path, new: Path) -> Path:
        attempts[path.name] += 1
        if path.name.startswith(start) and attempts[path.name] <= times:
            raise PermissionError(errno.EACCES, "Access is denied", str(path), None, str(new))
        return rename(path, new)

    monkeypatch.setattr(Path, "rename", rename_or_not)
    monkeypatch.setattr(output, "PAUSES", (0.01, 0.01))
    return attempts


def test_a_rename_that_was_refused_once_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    make("one")
    attempts = refuse(monkeypatch, "", 1)
    make("two")
    assert sorted(attempts.values()) == [2, 2]
    assert tree(TARGET) == made("two") and beside() == [TARGET]


@pytest.mark.parametrize("start", [TARGET.name, f".{TARGET.name}.camus-part"])
def test_a_rename_that_is_always_refused(start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make("one")
    before = everything()
    refuse(monkeypatch, start, 99)
    with pytest.raises(RefusalError, match="close the programs that use it") as refusal:
        make("two")
    assert str(TARGET.absolute()) in str(refusal.value) and "camus-" not in str(refusal.value)
    assert everything() == before


def test_what_killed_runs_left_goes_after_a_day() -> None:
    young, stale = PART, PART.with_name(f"{PART.name}9")
    fill(young, made("half"), age=23 * 3600)
    fill(stale, made("half"), age=25 * 3600)
    make("one")
    assert beside() == sorted([young, TARGET]) and tree(young) == made("half")


def test_the_newest_whole_earlier_folder_is_put_back() -> None:
    spoiled = {"images/one.jpg": b"an image"}  # its dataset.json was removed, then the run killed
    for letter, files, age in (
        ("a", made("older"), 30),
        ("b", made("newer"), 20),
        ("c", spoiled, 10),
    ):
        fill(OLD.with_name(f"{OLD.name}{letter}"), files, age)
    with pytest.raises(RefusalError, match="--overwrite"):
        make("two", overwrite=False)
    assert tree(TARGET) == made("newer") and beside() == [TARGET]


def test_what_is_left_of_a_removed_folder_is_not_put_back() -> None:
    fill(OLD, {"images/one.jpg": b"an image"})
    with new_folder(overwrite=False) as part:
        assert not TARGET.exists()
        fill(part, made("two"))
    assert tree(TARGET) == made("two") and beside() == [TARGET]


def test_what_cannot_be_removed_fails_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    make("one")
    with monkeypatch.context() as context:
        context.setattr(shutil, "rmtree", lambda *_, **__: None)
        make("two")
    assert tree(TARGET) == made("two") and len(beside()) == 2
    make("three")
    assert tree(TARGET) == made("three") and beside() == [TARGET]


def test_targets_with_names_like_hidden_folders_do_not_touch_one_another() -> None:
    target, other = Path("a"), Path("a.camus-old-x")
    stale, earlier = Path(".a.camus-old-x.camus-part-y"), Path(".a.camus-old-x.camus-old-y")
    fill(stale, made("half"), age=25 * 3600)
    fill(earlier, made("earlier"))
    make("one", target=target)
    assert tree(target) == made("one") and tree(stale) == made("half")
    assert tree(earlier) == made("earlier") and not other.exists()
    make("two", target=other)
    assert sorted(Path().iterdir()) == [target, other]
    assert tree(target) == made("one") and tree(other) == made("two")


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
    """The third rename is that of .git, which the next run moves along."""
    git = {".git/HEAD": b"mine"}
    fill(TARGET, {**made("one"), **git})
    assert build.run("-c", KILLED, renames, TARGET.absolute(), cwd=build.ROOT)[0] != 0
    assert tree(TARGET) == {"one": {**made("one"), **git}, "": {}, "two": made("two")}[left]
    assert len(beside()) == 2 if renames != 1 else 3
    with pytest.raises(RefusalError, match="--overwrite"):
        make("three", overwrite=False)
    assert tree(TARGET) == {**made(left or "one"), **git}
    make("three")
    assert tree(TARGET) == {**made("three"), **git}
    parts = [path for path in beside() if path != TARGET]  # younger than a day
    assert all(path.name.startswith(PART.name[:-8]) for path in parts)
    assert len(parts) == (1 if renames < 2 else 0)
