"""The one rule for every folder that the scripts write: it appears whole or not at all.

A run builds .NAME.camus-part beside its target NAME and has the disk store it. Then it renames an
earlier folder to .NAME.camus-old, the new one to NAME, and removes the old one. Only between these
two renames is there no target, and the next run puts that right.
"""

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from camus import RefusalError
from camus.files import entries, is_system_file
from camus.metadata import DATASET_JSON, made_files, read_description

if sys.platform != "win32":  # which has no such locks, and no call that stores all files
    import fcntl


@contextlib.contextmanager
def new_folder(target: Path, made_by: str, overwrite: bool) -> Iterator[Path]:
    """An empty folder to build in. If dataset.json was written, the folder becomes the target.

    made_by: the script, as dataset.json of a folder that it made says.
    Raises RefusalError unless the target is missing, empty, or the script's own and to be
    overwritten. After any failure the target is as it was.
    """
    target = target.resolve()
    if os.path.ismount(target) or Path.cwd().is_relative_to(target):
        reason = "is a mount point, or the current folder or above it"
        raise RefusalError(f"{target} {reason}: choose a folder inside it")
    part, old = (target.with_name(f".{target.name}.camus-{kind}") for kind in ("part", "old"))
    if target.exists():
        with _sole_writer(target, target):  # the run that made it holds it until its very end
            pass
    part.mkdir(parents=True, exist_ok=True)
    with _sole_writer(part, target):
        _finish_replacing(target, old)  # which a killed run began
        for path in part.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        try:
            if old.exists():
                raise RefusalError(f"{old}, left by an earlier run, cannot be removed: remove it")
            _check_replaceable(target, made_by, overwrite)
            yield part
            if (part / DATASET_JSON).exists():
                # Once more, since other programs may have written to the target meanwhile
                _check_replaceable(target, made_by, overwrite)
                if sys.platform != "win32":
                    os.sync()  # Linux waits until the disk has stored all
                if target.exists():
                    target.rename(old)
                part.rename(target)
                if sys.platform != "win32":
                    os.sync()
        except KeyboardInterrupt:
            if part.exists():
                raise KeyboardInterrupt("nothing was changed") from None
            raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
            _finish_replacing(target, old)


def _check_replaceable(target: Path, made_by: str, overwrite: bool) -> None:
    """Raise RefusalError unless a target is missing, empty, or made by the script alone."""
    description, made = read_description(target), ""
    if description.get("made_by") == made_by:
        if not overwrite:
            remedy = "replace it with --overwrite, or choose another folder"
            raise RefusalError(f"{target} is there already: {remedy}")
        made = f"{DATASET_JSON}|{made_files(description)}"
    if not target.exists() or not entries(target):
        return
    for path in _files_below(target):
        name = path.relative_to(target).as_posix()
        if path.is_symlink() or not re.fullmatch(made, name):
            remedy = "move it away, or choose another folder"
            raise RefusalError(f"{target} holds {name}, not made by {made_by}: {remedy}")


def _files_below(folder: Path) -> Iterator[Path]:
    """All files and links below a folder, and the folders without any, itself included.

    Raises OSError for a folder that cannot be listed.
    """
    inside = entries(folder)
    if not inside:
        yield folder
    for path in inside:
        if path.is_dir() and not path.is_symlink():
            yield from _files_below(path)
        else:
            yield path


def _finish_replacing(target: Path, old: Path) -> None:
    """Put back the earlier folder if the new one did not take its place; else remove it."""
    if old.exists() and not target.exists():
        old.rename(target)
    if old.exists():
        for path in old.iterdir():
            if is_system_file(path.name) and not (target / path.name).exists():
                path.rename(target / path.name)  # a .git, for example, is not ours to remove
        shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _sole_writer(folder: Path, target: Path) -> Iterator[None]:
    """Hold a folder against a second run, which gets a RefusalError, until this process ends."""
    if sys.platform == "win32":
        yield
        return
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise RefusalError(f"another run is writing to {target}: wait until it ends") from error
    except OSError:  # a disk without locks
        pass
    try:
        yield
    finally:
        os.close(lock)
