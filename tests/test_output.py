"""The one rule for output: a folder appears whole or not at all; nothing else is touched."""

import contextlib
import errno
import json
import os
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from camus import RefusalError, output
from camus.metadata import GENERATOR, PHANTOMS, SPLIT

from . import build
from .build import posix, tree

Files = dict[str, bytes]
TARGET = Path("new", "ä b")
PART, OLD = (TARGET.with_name(f".{TARGET.name}.camus-{kind}-0123abcd") for kind in ("part", "old"))
HOUR = 3600  # seconds
PATIENT = "database_nifti/patient0001"
new_folder = partial(output.new_folder, made_by=GENERATOR, overwrite=True)


def made(content: str, made_by: str = GENERATOR) -> Files:
    """The files that a run of a script makes, with their bytes; content tells runs apart."""
    name = f"patient_{content}_2CH_ED.jpg"
    table = "file_name,mask_file_name,patient,view,instant,frame,mirrored\n"
    table += f"images/{name},masks/{name},patient_{content},2CH,ED,,0\n"
    pairs = {"metadata.csv": table.encode(), f"images/{name}": b"image", f"masks/{name}": b"mask"}
    files: Files = {
        GENERATOR: pairs,
        SPLIT: {"README.md": b"card", **{f"train/{path}": pairs[path] for path in pairs}},
        PHANTOMS: {f"{PATIENT}/Info_2CH.cfg": content.encode(),
                   f"{PATIENT}/patient0001_2CH_ED_gt.nii.gz": b"mask"},
    }[made_by]  # fmt: skip
    description = {"made_by": made_by, "phantom": True, "patients": 1, "frames": 0}
    return {**files, "dataset.json": json.dumps(description).encode()}


def fill(folder: Path, files: Files, age: float = 0) -> None:
    """Write a folder that was last changed so many seconds ago."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    os.utime(folder, (time.time() - age,) * 2)


def make(content: str, overwrite: bool = True, target: Path = TARGET, by: str = GENERATOR) -> None:
    """A run of a script that ends well."""
    with output.new_folder(target, by, overwrite) as part:
        fill(part, made(content, by))


def everything() -> tuple[list[Path], Files]:
    """All folders and files of the test, hidden ones too, and their bytes."""
    return sorted(Path().rglob("*")), tree(Path())


def is_alone(files: Files) -> bool:
    """Whether the target has these files, and nothing lies beside it."""
    return tree(TARGET) == files and list(TARGET.parent.iterdir()) == [TARGET]


@posix
def test_a_new_folder_and_its_replacement(monkeypatch: Any) -> None:
    """Each is synced to the disk before and after it appears. A link to it stands for it."""
    synced: list[Files] = []
    monkeypatch.setattr(os, "sync", lambda: synced.append(tree(TARGET)))
    make("one", overwrite=False)
    with pytest.raises(RefusalError, match="--overwrite"):
        make("two", overwrite=False)
    assert is_alone(made("one"))
    Path("link").symlink_to(TARGET)
    make("two", target=Path("link"))
    assert Path("link").is_symlink() and is_alone(made("two"))
    assert synced == [{}, made("one"), made("one"), made("two")]


@pytest.mark.parametrize(("made_by", "name", "is_kept"), [
    (GENERATOR, "images/.DS_Store", False), (SPLIT, "train/masks/._x", False),
    (PHANTOMS, f"{PATIENT}/Thumbs.db", False), *((GENERATOR, name, True) for name in (
        ".DS_Store", "._x", "Thumbs.db", ".git/config", "lost+found/x")),
])  # fmt: skip
def test_hidden_and_system_files_stay_at_the_top(made_by: str, name: str, is_kept: bool) -> None:
    """Below the top, files of systems go with all that the script made."""
    fill(TARGET, {**made("one", made_by), name: b"mine"})
    kept = {name: b"mine"} if is_kept else {}
    make("two", by=made_by)
    assert is_alone({**made("two", made_by), **kept})
    TARGET.rename(OLD)
    fill(TARGET, made("new", made_by))  # by a run that was killed before it removed the old folder
    make("three", by=made_by)
    assert is_alone({**made("three", made_by), **kept})


EVA, PAIR = "patient0001 corrected by Eva_2CH_ED.jpg", "patient_one_2CH_ED"
FOREIGN = {  # beside what each script made
    GENERATOR: ("images/.git/HEAD", "images/two.jpg", "masks/.backup/x", f"masks/{EVA}",
                f"masks/{PAIR}.png", "metadata_csv", "notes/.git/HEAD", f"train/images/{PAIR}.jpg"),
    SPLIT: (f"images/{PAIR}.jpg", "metadata.csv", "train/images/.git/HEAD", f"train/masks/{EVA}",
            "train/metadata_csv", f"valid/images/{PAIR}.jpg"),
    PHANTOMS: (f"{PATIENT}/.backup/x", f"{PATIENT}/patient0001_2CH_half_sequence.nii.gz",
               "database_nifti/patient0002/Info_2CH.cfg", "metadata.csv"),
}  # fmt: skip


@pytest.mark.parametrize(("made_by", "files", "reason"), [
    *((script, {**made("one", script), name: b"mine"}, f"holds {name}, not made by {script}: move")
      for script, names in FOREIGN.items() for name in names),
    (GENERATOR, made("one", PHANTOMS), f"holds {PATIENT}/Info_2CH.cfg"),
    (SPLIT, made("one"), "holds dataset.json"),
    (GENERATOR, {"dataset.json": b"null"}, "holds dataset.json"),
    (GENERATOR, {"data/.env": b"mine"}, "holds data/.env"),
    *((GENERATOR, {**made("one"), "metadata.csv": table}, "delete .* or move it away")
      for table in (b"file_name\nimages/one.jpg\n", b"\xff")),
    (GENERATOR, {"dataset.json": made("one")["dataset.json"]}, "delete .* or move it away"),
    (GENERATOR, {"dataset.json/x": b"mine"}, "dataset.json"),
    (GENERATOR, {"dataset.json": b'{\n"made_by": "x",,\n}'}, "not valid JSON .*line 2"),
    (GENERATOR, {"dataset.json": '"Müller"'.encode("latin-1")}, "not valid JSON"),
])  # fmt: skip
def test_what_others_made_is_never_touched(made_by: str, files: Files, reason: str) -> None:
    """Nor without --overwrite. With it, the first such file is named."""
    fill(TARGET, files)
    before = everything()
    for overwrite, text in ((False, "not|there already"), (True, reason)):
        with pytest.raises(RefusalError, match=text):
            make("two", overwrite, by=made_by)
        assert everything() == before


@posix
def test_a_link_in_the_place_of_a_folder_is_never_touched() -> None:
    make("one")
    (TARGET / "images").rename("elsewhere")
    (TARGET / "images").symlink_to(Path("elsewhere").absolute())
    before = everything()
    with pytest.raises(RefusalError, match="holds images, not made by"):
        make("two")
    assert everything() == before


@pytest.mark.parametrize(
    "target", [".", "..", "file", *(pytest.param(name, marks=posix) for name in ("pipe", "/dev"))]
)
def test_targets_that_cannot_be_replaced(target: str, monkeypatch: Any) -> None:
    fill(Path("a", "b"), {"file": b"mine"})
    monkeypatch.chdir(Path("a", "b"))
    if target == "pipe":
        os.mkfifo(target)
    with pytest.raises((RefusalError, OSError), match="folder inside it|is a file: choose|pipe'$"):
        make("one", target=Path(target))
    assert tree(Path("..")) == {"b/file": b"mine"}


@pytest.mark.parametrize("target", [TARGET, TARGET.with_name("other"), Path("far", "below", "x")])
def test_a_failure_leaves_everything_as_it_was(target: Path) -> None:
    """The folders above a target that the run made are gone, too."""
    make("one")
    before = everything()
    with pytest.raises(KeyboardInterrupt, match="nothing was changed"), new_folder(target) as part:
        fill(part, made("two"))
        raise KeyboardInterrupt
    assert everything() == before
    for is_disk_full in (False, True):
        with pytest.raises(RefusalError) as refusal, new_folder(target) as part:
            fill(part, made("two"))
            if is_disk_full:
                raise OSError(errno.ENOSPC, "No space left on device")
            (part / "missing" / "file").write_bytes(b"")
        assert str(target.absolute()) in str(refusal.value)
        assert "camus-" not in str(refusal.value) and everything() == before
    with new_folder(target) as part:  # no pair could be made, so there is no dataset.json
        fill(part, {"images/two.jpg": b"an image"})
    assert everything() == before


FIRST = made("first")


@pytest.mark.parametrize(("appears", "is_late", "is_empty", "overwrite", "reason"), [
    ({"mine.txt": b"mine"}, False, False, True, "holds mine.txt"),
    (FIRST, False, False, False, "there already"), (FIRST, False, False, True, ""),
    (FIRST, True, False, False, "another run"), (FIRST, True, False, True, "another run"),
    (FIRST, True, True, False, "another run"), (FIRST, True, True, True, ""),
])  # fmt: skip
def test_what_appears_meanwhile(
    appears: Files, is_late: bool, is_empty: bool, overwrite: bool, reason: str, monkeypatch: Any
) -> None:
    """Late: between the last look at the target, which may be an empty folder, and the renames."""
    rename = Path.rename

    def rename_late(path: Path, new: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        fill(TARGET, appears)
        return rename(path, new)

    if is_empty:
        TARGET.mkdir(parents=True)
    refused = pytest.raises(RefusalError, match=reason) if reason else contextlib.nullcontext()
    with refused, new_folder(TARGET, overwrite=overwrite) as part:
        fill(part, made("second"))
        if is_late:
            monkeypatch.setattr(Path, "rename", rename_late)
        else:
            fill(TARGET, appears)
    assert is_alone(appears if reason else made("second"))


@pytest.mark.parametrize("start", [TARGET.name, PART.name[:-8]])
@pytest.mark.parametrize("times", [1, 99])
def test_a_rename_that_windows_refuses(start: str, times: int, monkeypatch: Any) -> None:
    """It is tried again for a while; then the earlier folder stays. start: of the name."""
    rename, refused = Path.rename, [start] * times

    def rename_or_not(path: Path, new: Path) -> Path:
        if path.name.startswith(start) and refused:
            refused.pop()
            raise PermissionError(errno.EACCES, "Access is denied", str(path), None, str(new))
        return rename(path, new)

    make("one")
    monkeypatch.setattr(Path, "rename", rename_or_not)
    monkeypatch.setattr(output, "PAUSES", (0.01, 0.01))
    refusal = pytest.raises(RefusalError, match=f"{TARGET.name} .*close the programs that use it")
    with refusal if times > 1 else contextlib.nullcontext():
        make("two")
    assert is_alone(made("one" if refused else "two"))


def test_what_a_killed_run_built_goes_after_a_day() -> None:
    stale = PART.with_name(f"{PART.name}9")
    fill(PART, made("half"), age=23 * HOUR)
    fill(stale, made("half"), age=25 * HOUR)
    make("one")
    assert {*TARGET.parent.iterdir()} == {PART, TARGET} and tree(PART) == made("half")


def test_the_newest_whole_earlier_folder_is_put_back() -> None:
    spoiled = {"images/one.jpg": b"image"}  # by a run that was killed while it removed the rest
    for letter, files, age in (("a", made("older"), 9), ("b", made("newer"), 8), ("c", spoiled, 7)):
        fill(OLD.with_name(f"{OLD.name}{letter}"), files, age)
    with pytest.raises(RefusalError, match="--overwrite"):
        make("two", overwrite=False)
    assert is_alone(made("newer"))


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
GIT = {".git/HEAD": b"mine"}  # which is moved along by the third rename


@posix
@pytest.mark.parametrize(
    ("renames", "left", "mended"),
    [(0, {**made("one"), **GIT}, "one"), (1, {}, "one"), (2, made("two"), "two")],
)
def test_a_killed_run_leaves_a_whole_folder_or_none(renames: int, left: Files, mended: str) -> None:
    """The next run puts right what is missing, and leaves what may be of a run that still works."""
    fill(TARGET, {**made("one"), **GIT})
    assert build.run("-c", KILLED, renames, TARGET.absolute(), cwd=build.ROOT)[0] != 0
    assert tree(TARGET) == left and TARGET.exists() == bool(left)
    with pytest.raises(RefusalError, match="--overwrite"):
        make("three", overwrite=False)
    assert tree(TARGET) == {**made(mended), **GIT}
    make("three")
    assert tree(TARGET) == {**made("three"), **GIT}
    hidden = {path.name[:-8] for path in TARGET.parent.iterdir() if path != TARGET}
    assert hidden == ({PART.name[:-8]} if renames < 2 else set())


def test_what_hidden_folders_hold_is_not_lost() -> None:
    """They are of another target, a hidden file of theirs is in the target, too, or it is empty."""
    target = Path("new", "a.b")
    others = [Path("new", f".{name}.camus-old-1") for name in ("axb", "a.bc", "a.b.camus-old-1.c")]
    for other in others:
        fill(other, {**made("other"), ".git/config": b"mine"})
    make("one", target=target)
    (target / ".git").mkdir()
    old = target.with_name(".a.b.camus-old-2").resolve()
    shutil.copytree(others[0], old)
    make("two", target=target)
    assert tree(old)[".git/config"] == b"mine" and tree(target) == made("two")
    shutil.rmtree(target)
    target.mkdir()
    shutil.copytree(others[0], old, dirs_exist_ok=True)
    with pytest.raises(RefusalError, match="a full disk"), new_folder(target):
        raise OSError("a full disk")
    for other in (*others, old):
        assert tree(other) == {**made("other"), ".git/config": b"mine"}


@posix
def test_a_read_only_folder_that_was_replaced_is_not_put_back() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        target, user = Path(name, "target"), os.geteuid()
        os.seteuid(user or 65534)  # root may write everywhere
        try:
            make("one", target=target)
            target.chmod(0o555)
            make("two", target=target)
            shutil.rmtree(target)
            make("three", overwrite=False, target=target)
        finally:
            os.seteuid(user)
        assert tree(target) == made("three")
