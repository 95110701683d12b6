"""The one rule for output: a folder appears whole or not at all; nothing else is touched."""

import contextlib
import errno
import itertools
import json
import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from camus import RefusalError, output
from camus.metadata import GENERATOR, PHANTOMS, SPLIT

from . import ROOT
from .build import COLUMNS, Files, as_a_common_user, posix, run, tree

TARGET = Path("new", "ä b.c")
PART, OLD = (TARGET.with_name(f".{TARGET.name}.camus-{kind}-0123abcd") for kind in ("part", "old"))
PATIENT = "database_nifti/patient0001"
new_folder = partial(output.new_folder, made_by=GENERATOR, overwrite=True)


def made(content: str, made_by: str = GENERATOR) -> Files:
    """The files that a run of a script makes, with their bytes; content tells runs apart."""
    name = f"patient_{content}_2CH_ED.jpg"
    table = f"{COLUMNS}\nimages/{name},masks/{name},patient_{content},2CH,ED,,0\n"
    pairs = {"metadata.csv": table.encode(), f"images/{name}": b"image", f"masks/{name}": b"mask"}
    files: Files = {
        GENERATOR: pairs,
        SPLIT: {"README.md": b"card", **{f"train/{path}": pairs[path] for path in pairs}},
        PHANTOMS: {f"{PATIENT}/Info_2CH.cfg": content.encode()},
    }[made_by]
    description = {"made_by": made_by, "phantom": True, "patients": 1, "frames": 0}
    return {**files, "dataset.json": json.dumps(description).encode()}


def fill(folder: Path, files: Files) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def make(content: str, overwrite: bool = True, target: Path = TARGET, by: str = GENERATOR) -> None:
    """A run of a script that ends well."""
    with output.new_folder(target, by, overwrite) as part:
        fill(part, made(content, by))


def is_alone(files: Files) -> bool:
    """Whether the target has these files, and nothing lies beside it."""
    return tree(TARGET) == files and list(TARGET.parent.iterdir()) == [TARGET]


def before_renames(act: Callable[[int], None]) -> Any:
    """Call a function with the number of each rename before it is done."""
    rename, numbers = Path.rename, itertools.count()

    def act_and_rename(path: Path, new: Path) -> Path:
        act(next(numbers))
        return rename(path, new)

    return mock.patch.object(Path, "rename", act_and_rename)


@posix
def test_a_new_folder_its_replacement_and_links(monkeypatch: Any) -> None:
    """Each is synced before and after it appears. A link stands for it; one within is foreign."""
    synced: list[Files] = []
    monkeypatch.setattr(os, "sync", lambda: synced.append(tree(TARGET)))
    make("one", overwrite=False)
    Path("link").symlink_to(TARGET)
    make("two", target=Path("link"))
    assert Path("link").is_symlink() and is_alone(made("two"))
    assert synced == [{}, made("one"), made("one"), made("two")]
    (TARGET / "images").rename("elsewhere")
    (TARGET / "images").symlink_to(Path("elsewhere").absolute())
    before = tree(Path())
    with pytest.raises(RefusalError, match="holds images, not made by"):
        make("three")
    assert tree(Path()) == before and (TARGET / "images").is_symlink()


@pytest.mark.parametrize(("made_by", "folder"), [
    (GENERATOR, "images"), (SPLIT, "train/masks"), (PHANTOMS, PATIENT)])  # fmt: skip
def test_hidden_and_system_files_stay_at_the_top(made_by: str, folder: str) -> None:
    """Deeper down, files of systems go with all that the script made."""
    kept = dict.fromkeys((".DS_Store", "._x", "Thumbs.db", ".git/config", "lost+found/x"), b"mine")
    gone = {f"{folder}/{name}": b"mine" for name in (".DS_Store", "._x", "Thumbs.db")}
    fill(TARGET, {**made("one", made_by), **kept, **gone})
    make("two", by=made_by)
    assert is_alone({**made("two", made_by), **kept})


FOREIGN = {  # beside what each script made
    GENERATOR: ("images/.git/HEAD", "images/two.jpg", "train/images/patient_one_2CH_ED.jpg",
                "masks/patient_one_2CH_ED.png", "masks/.backup/x", "metadata_csv"),
    SPLIT: ("metadata.csv", "train/masks/x", "valid/images/patient_one_2CH_ED.jpg"),
    PHANTOMS: ("metadata.csv", f"{PATIENT}/patient0001_2CH_half_sequence.nii.gz",
               "database_nifti/patient0002/Info_2CH.cfg"),
}  # fmt: skip


@pytest.mark.parametrize(("made_by", "files", "reason"), [
    *((script, {**made("one", script), name: b"mine"}, f"holds {name}, not made by {script}: move")
      for script, names in FOREIGN.items() for name in names),
    (SPLIT, made("one"), "holds dataset.json"),
    (GENERATOR, {"dataset.json": b"null"}, "holds dataset.json"),
    (GENERATOR, {"data/.env": b"mine"}, "holds data/.env"),
    (GENERATOR, {**made("one"), "metadata.csv": b"\xff"}, "delete .* or move it away"),
    (GENERATOR, {"dataset.json": b'{\n"made_by": "x",,\n}'}, "not valid JSON .*line 2"),
    (GENERATOR, {"dataset.json": '"Müller"'.encode("latin-1")}, "not valid JSON"),
])  # fmt: skip
def test_what_others_made_is_never_touched(made_by: str, files: Files, reason: str) -> None:
    """Nor without --overwrite. With it, the first such file is named."""
    fill(TARGET, files)
    for overwrite, text in ((False, "not made by|not valid|there already"), (True, reason)):
        with pytest.raises(RefusalError, match=text):
            make("two", overwrite, by=made_by)
        assert is_alone(files)


def test_targets_that_cannot_be_replaced(monkeypatch: Any) -> None:
    fill(Path("a", "b"), {"file": b"mine"})
    monkeypatch.chdir(Path("a", "b"))
    reasons = {".": "folder inside it", "..": "folder inside it", "file": "is a file: choose"}
    if os.name == "posix":
        os.mkfifo("pipe")
        reasons |= {"pipe": "pipe'$", "/dev": "folder inside it"}
    for target, reason in reasons.items():
        with pytest.raises((RefusalError, OSError), match=reason):
            make("one", target=Path(target))
    assert tree(Path("..")) == {"b/file": b"mine"}


@pytest.mark.parametrize("target", [TARGET, TARGET.with_name("other"), Path("far", "below", "x")])
def test_a_failure_leaves_everything_as_it_was(target: Path) -> None:
    """The folders above a target that the run made are gone, too."""
    make("one")
    for error, said in ((KeyboardInterrupt, "nothing was changed"), (OSError, str(target))):
        with pytest.raises((KeyboardInterrupt, RefusalError)) as stop, new_folder(target) as part:
            fill(part, made("two"))
            raise error(errno.ENOSPC, "No space left on device", str(part))
        assert said in str(stop.value) and "camus-" not in str(stop.value)
        assert is_alone(made("one")) and not Path("far").exists()
    with new_folder(target) as part:  # no pair could be made, so there is no dataset.json
        fill(part, {"images/two.jpg": b"an image"})
    assert is_alone(made("one")) and not Path("far").exists()


@pytest.mark.parametrize(("is_late", "is_empty", "overwrite", "reason"), [
    (False, False, False, "there already"), (False, False, True, ""),
    (True, False, False, "another run"), (True, False, True, "another run"),
    (True, True, False, "another run"), (True, True, True, ""),
])  # fmt: skip
def test_another_run_is_first(is_late: bool, is_empty: bool, overwrite: bool, reason: str) -> None:
    """Late: between the last look at the target, which may be an empty folder, and the renames."""

    def appear(number: int) -> None:
        if is_late and number == 0:
            fill(TARGET, made("first"))

    if is_empty:
        TARGET.mkdir(parents=True)
    refused = pytest.raises(RefusalError, match=reason) if reason else contextlib.nullcontext()
    with before_renames(appear), refused, new_folder(TARGET, overwrite=overwrite) as part:
        fill(part, made("second"))
        if not is_late:
            fill(TARGET, made("first"))
    assert is_alone(made("first" if reason else "second"))


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("times", [2, 3])
def test_a_rename_that_windows_refuses(first: int, times: int, monkeypatch: Any) -> None:
    """After three attempts, the earlier folder stays. first: the first rename that is refused."""

    def refuse(number: int) -> None:
        if first <= number < first + times:
            raise PermissionError(errno.EACCES, "Access is denied")

    make("one")
    monkeypatch.setattr(output, "PAUSES", (0.01, 0.01))
    refusal = pytest.raises(RefusalError, match=f"{TARGET.name} .*close the programs that use it")
    with before_renames(refuse), refusal if times == 3 else contextlib.nullcontext():
        make("two")
    assert is_alone(made("one" if times == 3 else "two"))


def test_what_killed_runs_left_is_put_back_or_goes_after_a_day() -> None:
    """The newest whole earlier folder is put back. A run may still be building a young one."""
    for folder, files, seconds in (
        (f"{PART}1", made("half"), 23 * 3600), (f"{PART}2", made("half"), 25 * 3600),
        (f"{OLD}1", made("older"), 9), (f"{OLD}2", made("newer"), 8), (f"{OLD}3", {"x": b""}, 7),
    ):  # fmt: skip
        fill(Path(folder), files)
        os.utime(folder, (time.time() - seconds,) * 2)
    with pytest.raises(RefusalError, match="--overwrite"):
        make("two", overwrite=False)
    assert {*TARGET.parent.iterdir()} == {TARGET, Path(f"{PART}1")}
    assert tree(TARGET) == made("newer") and tree(Path(f"{PART}1")) == made("half")


def test_ctrl_c_after_the_renames_does_not_say_that_nothing_was_changed() -> None:
    make("one")
    rename = Path.rename

    def rename_and_stop(path: Path, new: Path) -> None:
        rename(path, new)
        if new.name == TARGET.name:
            raise KeyboardInterrupt

    stopped = mock.patch.object(Path, "rename", rename_and_stop)
    with stopped, pytest.raises(KeyboardInterrupt, match="^$"):
        make("two")
    assert is_alone(made("two"))


KILLED = """
import os, sys
from tests.test_output import Path, before_renames, make
def die(number):
    if number == int(sys.argv[1]):
        os._exit(9)  # as after SIGKILL, nothing is tidied up
with before_renames(die):
    make("two", target=Path(sys.argv[2]))
"""
GIT = {".git/HEAD": b"mine"}  # which is moved along by the third rename


@pytest.mark.parametrize(("renames", "left"), [
    (0, {**made("one"), **GIT}), (1, {}), (2, made("two"))])  # fmt: skip
def test_a_killed_run_leaves_a_whole_folder_or_none(renames: int, left: Files) -> None:
    """The next run puts right what is missing, and leaves what may be of a run that still works."""
    fill(TARGET, {**made("one"), **GIT})
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert run("-c", KILLED, renames, TARGET.absolute(), env=env) == (9, "", "")
    assert tree(TARGET) == left and TARGET.exists() == bool(left)
    with pytest.raises(RefusalError, match="--overwrite"):
        make("three", overwrite=False)
    assert tree(TARGET) == {**made("two" if renames == 2 else "one"), **GIT}
    make("three")
    assert tree(TARGET) == {**made("three"), **GIT}
    assert len([*TARGET.parent.iterdir()]) == (1 if renames == 2 else 2)  # what it built is left


def test_what_hidden_folders_hold_is_not_lost() -> None:
    """They are of another target, or a hidden file of theirs is in the target, too."""
    names = (".ä bxc.camus-old-1", f".{TARGET.name}d.camus-old-1", f"{OLD.name}.d", f".x{OLD.name}")
    others, files = [OLD.with_name(name) for name in names], {**made("other"), ".env": b"theirs"}
    for folder in (*others, OLD):
        fill(folder, files)
    TARGET.mkdir()
    with pytest.raises(RefusalError, match=f"no room: .*{TARGET.name}: check"), new_folder(TARGET):
        raise OSError("no room")
    assert tree(OLD) == files
    fill(TARGET, {**made("one"), ".env": b"mine"})
    make("two")
    assert tree(OLD)[".env"] == b"theirs" and all(tree(other) == files for other in others)


def test_a_read_only_folder_that_cannot_be_removed_is_not_put_back() -> None:
    for content in ("one", "two"):  # now all is imported, also if Python lies in a folder of root
        make(content)
    with as_a_common_user() as place:
        target = place / "target"
        make("one", target=target)
        target.chmod(0o555)
        with mock.patch("shutil.rmtree"):
            make("two", target=target)
        shutil.rmtree(target)  # by the user, who does not want the one before it back
        make("three", overwrite=False, target=target)
