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
from collections.abc import Callable, Iterator
from pathlib import Path

from camus import RefusalError
from camus.files import entries, files_below, is_system_file
from camus.metadata import DATASET_JSON, Description, read_description

if sys.platform != "win32":
    import fcntl


@contextlib.contextmanager
def new_folder(
    target: Path, made_by: str, overwrite: bool, pattern_of: Callable[[Description], str]
) -> Iterator[Path]:
    """An empty folder to build in. If dataset.json was written, the folder becomes the target.

    made_by: the script, as dataset.json of a folder that it made says.
    pattern_of: a pattern of the files that the script made, paths with slashes, by dataset.json.

    Raises RefusalError, the target untouched, unless it is missing, empty, or the script's own and
    to be overwritten. After any failure the target is as it was.
    """
    target = target.resolve()
    if target.exists() and not target.is_dir():
        raise RefusalError(f"{target} is not a folder: choose another name")
    if os.path.ismount(target) or Path.cwd().is_relative_to(target):
        reason = "is a mount point, or the current folder or above it"
        raise RefusalError(f"{target} {reason}: choose a folder inside it")
    target.parent.mkdir(parents=True, exist_ok=True)
    part, old = (target.with_name(f".{target.name}.camus-{kind}") for kind in ("part", "old"))
    if target.exists():
        with _sole_writer(target, target):  # the run that made it holds it until its very end
            pass
    part.mkdir(exist_ok=True)
    with _sole_writer(part, target):
        _finish_replacing(target, old)
        for path in part.iterdir():  # which a killed run left
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if old.exists():
            raise RefusalError(f"{old}, left by an earlier run, cannot be removed: remove it")
        try:
            _check_replaceable(target, made_by, overwrite, pattern_of)
            try:
                yield part
            except KeyboardInterrupt:
                raise KeyboardInterrupt("nothing was changed") from None
            except OSError as error:
                error.filename = error.filename or target  # a full disk does not say where
                raise
            if (part / DATASET_JSON).exists():
                # Once more, since other programs may have written to the target meanwhile
                _check_replaceable(target, made_by, overwrite, pattern_of)
                _sync()
                if target.exists():
                    target.rename(old)
                part.rename(target)
                _sync()
        finally:
            shutil.rmtree(part, ignore_errors=True)
            _finish_replacing(target, old)


def _check_replaceable(
    target: Path, made_by: str, overwrite: bool, pattern_of: Callable[[Description], str]
) -> None:
    """Raise RefusalError unless a target is missing, empty, or made by the script alone."""
    foreign = entries(target) if target.exists() else []
    description = read_description(target)
    if description.get("made_by") == made_by:
        if not overwrite:
            remedy = "replace it with --overwrite, or choose another folder"
            raise RefusalError(f"{target} is there already: {remedy}")
        made = re.compile(pattern_of(description))
        foreign = [
            path for path in files_below(target)
            if path.is_symlink() or not made.fullmatch(path.relative_to(target).as_posix())
        ]  # fmt: skip
    if foreign:
        name = foreign[0].relative_to(target).as_posix()
        remedy = "move it away, or choose another folder"
        raise RefusalError(f"{target} holds {name}, not made by {made_by}: {remedy}")


def _finish_replacing(target: Path, old: Path) -> None:
    """Put back the earlier folder if the new one did not take its place; else remove it."""
    if not old.exists():
        return
    if not target.exists() and ((old / DATASET_JSON).exists() or not entries(old)):
        old.rename(target)
        return
    for path in old.iterdir():
        if is_system_file(path) and target.exists() and not (target / path.name).exists():
            path.rename(target / path.name)  # a .git, for example, is not ours to remove
    shutil.rmtree(old, ignore_errors=True)


def _sync() -> None:
    """Have the disk store what was written. Linux waits until it has; Windows has no such call."""
    if sys.platform != "win32":
        os.sync()


@contextlib.contextmanager
def _sole_writer(part: Path, target: Path) -> Iterator[None]:
    """Hold a folder against a second run. The system lets go of it, however the process ends.

    Windows and some network disks have no such locks. Raises RefusalError.
    """
    if sys.platform == "win32":
        yield
        return
    lock = os.open(part, os.O_RDONLY)
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
