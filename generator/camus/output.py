"""The one rule for every folder that the scripts write: it appears whole or not at all.

A run builds in a hidden folder of its own beside its target NAME, .NAME.camus-part-LETTERS, and has
the disk store it. Then it renames an earlier NAME to .NAME.camus-old-LETTERS and its own folder to
NAME, and removes the earlier one. Only between these two renames is there no target, and the next
run puts that right. There are no locks, since many disks have none: each run builds for itself.
"""

import contextlib
import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from camus import RefusalError, words
from camus.files import entries, is_hidden, is_litter
from camus.metadata import DATASET_JSON, made_names, read_description

DAY = 24 * 60 * 60  # seconds; no run takes so long
PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)  # seconds between attempts to rename
CAME_FIRST = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOENT)  # of a rename after that of another run


@contextlib.contextmanager
def new_folder(target: Path, made_by: str, overwrite: bool) -> Iterator[Path]:
    """An empty folder to build in. If dataset.json was written, the folder becomes the target.

    made_by: the script, as dataset.json of a folder that it made says.
    Raises RefusalError unless the target is missing, empty, or the script's own and to be
    overwritten. After any failure the target is as it was.
    """
    target = target.resolve()
    if os.path.ismount(target) or Path.cwd().resolve().is_relative_to(target):
        reason = "is a mount point, or the current folder or above it"
        raise RefusalError(f"{target} {reason}: choose a folder inside it")
    letters = secrets.token_hex(4)
    part = target.with_name(f".{target.name}.camus-part-{letters}")
    old = target.with_name(f".{target.name}.camus-old-{letters}")
    _put_back(target)
    _remove_leftovers(target, old)
    _check_replaceable(target, made_by, overwrite)
    missing = [folder for folder in target.parents if not folder.exists()]
    try:
        part.mkdir(parents=True)
        yield part
        if (part / DATASET_JSON).exists():
            _store_on_disk()
            _check_replaceable(target, made_by, overwrite)
            _replace(target, part, old, overwrite)
    except KeyboardInterrupt:
        if part.exists():
            raise KeyboardInterrupt("nothing was changed") from None
        raise
    except OSError as error:
        reason = words(error).replace(str(part), str(target)).replace(str(old), str(target))
        place = "" if error.filename else f": {target}"
        remedy = "check the room on the disk and your permissions, or choose another folder"
        raise RefusalError(f"{reason}{place}: {remedy}") from error
    finally:
        with contextlib.suppress(KeyboardInterrupt):  # if all went well, the work is done
            shutil.rmtree(part, ignore_errors=True)
            _remove_leftovers(target, old)
            for folder in missing:  # which are empty if the run failed
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _check_replaceable(target: Path, made_by: str, overwrite: bool) -> None:
    """Raise RefusalError unless a target is missing, empty, or made by the script alone."""
    if target.is_file():
        raise RefusalError(f"{target} is a file: choose another name for the folder")
    if not target.exists():
        return
    description = read_description(target)
    is_own = description.get("made_by") == made_by
    if is_own and not overwrite:
        remedy = "replace it with --overwrite, or choose another folder"
        raise RefusalError(f"{target} is there already: {remedy}")
    made = made_names(target, description) if is_own else set()
    if foreign := _first_foreign(target, made):
        remedy = "move it away, or choose another folder"
        raise RefusalError(f"{target} holds {foreign}, not made by {made_by}: {remedy}")


def _first_foreign(folder: Path, made: Collection[str], above: str = "") -> str:
    """The first file or folder below a target that is not among the names made, or nothing.

    Hidden files in the target itself are passed over, since they are kept.
    """
    for path in sorted(folder.iterdir()):
        name = above + path.name
        if is_litter(path.name) or (not above and is_hidden(path.name)):
            continue
        is_folder = path.is_dir() and not path.is_symlink()
        if is_folder and (foreign := _first_foreign(path, made, f"{name}/")):
            return foreign
        if name not in made or path.is_symlink():
            return name
    return ""


def _replace(target: Path, part: Path, old: Path, overwrite: bool) -> None:
    """Rename an earlier target away, and the new folder into its place."""
    try:
        if target.exists():
            _rename(target, old)
            if not overwrite and (old / DATASET_JSON).exists():
                raise FileExistsError(errno.EEXIST, "another run made it")
        _rename(part, target)
    except BaseException as error:
        with contextlib.suppress(OSError):  # if there is none, or if another run came first
            _rename(old, target)
        if isinstance(error, PermissionError):
            reason = f"{target} cannot be replaced ({error.strerror})"
            raise RefusalError(f"{reason}: close the programs that use it") from error
        if isinstance(error, OSError) and error.errno in CAME_FIRST:
            reason = f"another run has put {target} in place meanwhile"
            raise RefusalError(f"{reason}: nothing was changed") from error
        raise
    with contextlib.suppress(KeyboardInterrupt):  # the work is done
        _store_on_disk()


def _put_back(target: Path) -> None:
    """Put back the newest folder that a killed run renamed away, if there is no target."""
    with contextlib.suppress(OSError):
        if target.exists():
            return
        earlier = [path for path in _left(target, "old")
                   if (path / DATASET_JSON).exists() or not entries(path)]  # fmt: skip
        if earlier:
            time.sleep(PAUSES[-1])  # if a living run is between its renames, it comes first
            _rename(max(earlier, key=lambda path: path.stat().st_mtime), target)


def _remove_leftovers(target: Path, own: Path) -> None:
    """Remove what a target has replaced, the run's own first, and what killed runs have built.

    Hidden files, such as .git, move to the target. What cannot be moved or removed stays, and the
    next run tries again.
    """
    with contextlib.suppress(OSError):
        replaced = _left(target, "old")  # before the look at the target: a run may be renaming it
        replaced.sort(key=lambda path: path != own)  # whose hidden files are the latest
        for old in replaced if (target / DATASET_JSON).exists() else []:
            description = old / DATASET_JSON
            if description.exists():  # it goes first, so that no run puts the rest back
                for path in (old, description):
                    path.chmod(0o700)  # they may be read-only
                description.unlink()
            for path in old.iterdir():
                if is_hidden(path.name) and not (target / path.name).exists():
                    path.rename(target / path.name)
            if all(is_litter(path.name) for path in old.iterdir() if is_hidden(path.name)):
                shutil.rmtree(old, ignore_errors=True)
    with contextlib.suppress(OSError):
        for path in _left(target, "part"):
            if time.time() - path.stat().st_mtime > DAY:
                shutil.rmtree(path, ignore_errors=True)


def _left(target: Path, kind: str) -> list[Path]:
    """The hidden folders of one kind beside a target."""
    name = re.compile(rf"\.{re.escape(target.name)}\.camus-{kind}-\w+")
    return [path for path in target.parent.iterdir() if name.fullmatch(path.name)]


def _rename(path: Path, new: Path) -> None:
    """Rename, and try again: Windows refuses it while a virus scanner has a file in it open."""
    for pause in PAUSES:
        with contextlib.suppress(PermissionError):
            path.rename(new)
            return
        time.sleep(pause)
    path.rename(new)


def _store_on_disk() -> None:
    """Have the disk store all files. Linux waits until it has; Windows has no such call."""
    if hasattr(os, "sync"):
        os.sync()
