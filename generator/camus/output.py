"""The one rule for every folder that the scripts write: it appears whole or not at all.

A run builds in a hidden folder inside the target, so the target may be ".", a mount point, or in a
folder that cannot be written to. When all is built and synced to disk, the files of an earlier run
move into the hidden folder, the new ones move up, and dataset.json moves last: a folder that has
it is whole. The moves are written down first, so that the next run can undo those of a killed one.
"""

import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from camus.errors import RefusalError, uninterrupted

if sys.platform != "win32":
    import fcntl

HIDDEN = ".camus-unfinished"
MOVES = "moves.json"
DATASET_JSON = "dataset.json"
# What file browsers, systems and disks put into any folder, and all names with a dot in front
LITTER = re.compile(
    r"\..*|Thumbs\.db|desktop\.ini|lost\+found|System Volume Information|\$RECYCLE\.BIN|@eaDir",
    re.IGNORECASE,
)


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is passed over wherever it is."""
    return bool(LITTER.fullmatch(name))


def read_description(folder: Path) -> dict[str, Any]:
    """What dataset.json in a folder says; empty if there is none. Raises RefusalError."""
    path = folder / DATASET_JSON
    try:
        description = json.loads(path.read_bytes()) if path.is_file() else {}
    except (ValueError, RecursionError) as error:
        raise RefusalError(f"{path} is not JSON: correct it, or move it away") from error
    return description if isinstance(description, dict) else {}


def write_description(folder: Path, description: dict[str, Any]) -> None:
    """Write dataset.json."""
    (folder / DATASET_JSON).write_bytes((json.dumps(description, indent=2) + "\n").encode())


@contextlib.contextmanager
def new_folder(
    target: Path,
    made_by: str,
    overwrite: bool | None = None,
    files_of: Callable[[Path], set[str]] = lambda folder: {DATASET_JSON},
    with_archive: Callable[[], bool] = lambda: False,
) -> Iterator[Path]:
    """An empty folder to build in, whose content becomes that of the target at the end.

    made_by: the script, as dataset.json names it. overwrite: None if it has no such option.
    files_of: the files of a folder that the script made, as paths with slashes within it.
    with_archive: whether to replace archive_of(target), too, by what was built as
        unfinished_archive(target), or by nothing; called after killed runs were cleaned up.

    Raises RefusalError, with nothing touched, unless the target is missing, empty, or the script's
    own and to be overwritten. After any failure the target is as it was before, and so it is if no
    dataset.json was built.
    """
    target = target.resolve()
    made = [folder for folder in (target, *target.parents) if not folder.exists()]
    try:
        target.mkdir(parents=True, exist_ok=True)
        with _sole_writer(target):
            _clean_up(target)
            _files_to_replace(target, made_by, overwrite, files_of)
            replaces_archive = with_archive()
            try:
                (target / HIDDEN / "new").mkdir(parents=True)
                yield target / HIDDEN / "new"
                if (target / HIDDEN / "new" / DATASET_JSON).exists():
                    # Once more, since other programs may have written meanwhile
                    earlier = _files_to_replace(target, made_by, overwrite, files_of)
                    with uninterrupted():
                        _move_up(target, earlier, replaces_archive)
            finally:
                with uninterrupted():
                    _clean_up(target)
    except (FileExistsError, NotADirectoryError) as error:
        raise RefusalError(f"{error.filename} is not a folder: choose another folder") from error
    finally:
        for folder in made:
            with contextlib.suppress(OSError):  # there is something in it
                folder.rmdir()


def archive_of(target: Path) -> Path:
    """The ZIP that belongs to a folder, beside it."""
    return target.parent / f"{target.name}.zip"


def unfinished_archive(target: Path) -> Path:
    """Where the ZIP of a folder is built: hidden, beside its place."""
    return target.parent / f"{HIDDEN}-{target.name}.zip"


def _earlier_archive(target: Path) -> Path:
    return target.parent / f"{HIDDEN}-earlier-{target.name}.zip"


def _files_to_replace(
    target: Path, made_by: str, overwrite: bool | None, files_of: Callable[[Path], set[str]]
) -> list[str]:
    """The files of an earlier run. Raises RefusalError where the target may not be replaced."""
    is_ours = read_description(target).get("made_by") == made_by
    if is_ours and not overwrite:
        remedy = "remove it" if overwrite is None else "replace it with --overwrite"
        raise RefusalError(f"{target} is there already: {remedy}, or choose another folder")
    ours = files_of(target) if is_ours else set()
    found = _files(target) if is_ours else sorted(path.name for path in target.iterdir())
    found = [name for name in found if not is_litter(name)]
    for name in found:
        if name not in ours or (target / name).is_symlink():
            raise RefusalError(
                f"{target} holds {name}, not made by {made_by} or not listed in metadata.csv: "
                "move it away, or choose another folder"
            )
    return found


def _files(folder: Path) -> list[str]:
    """All files and links below a folder, as sorted paths within it, except litter."""
    found = []
    for root, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not is_litter(name)]
        links = [name for name in folders if Path(root, name).is_symlink()]
        files = [name for name in names if not is_litter(name)]
        found += [Path(root, name).relative_to(folder).as_posix() for name in links + files]
    return sorted(found)


def _raise(error: OSError) -> NoReturn:
    raise error


def _move_up(target: Path, earlier: list[str], replaces_archive: bool) -> None:
    """Replace the files of an earlier run by the new ones, and make that durable."""
    hidden = target / HIDDEN
    earlier = sorted(earlier, key=lambda name: name != DATASET_JSON)  # False sorts first
    moves = [(target / name, hidden / "earlier" / name) for name in earlier]
    if replaces_archive and archive_of(target).exists():
        moves.append((archive_of(target), _earlier_archive(target)))
    moves += _moves_into(target, hidden / "new")
    if replaces_archive and unfinished_archive(target).exists():
        moves.append((unfinished_archive(target), archive_of(target)))
    moves.sort(key=lambda move: move[1] == target / DATASET_JSON)  # True sorts last
    relative = [[os.path.relpath(path, target) for path in move] for move in moves]
    (hidden / MOVES).write_text(json.dumps(relative), encoding="ascii")
    _sync_files(target)
    for source, destination in moves:
        if os.path.lexists(destination):
            raise RefusalError(f"{destination} was written by another program meanwhile")
        destination.parent.mkdir(parents=True, exist_ok=True)
        source.rename(destination)
    _sync_folders({path.parent for move in moves for path in move})


def _moves_into(target: Path, new: Path) -> Iterator[tuple[Path, Path]]:
    """Moves of all that a folder holds into another, whose subfolders may exist already."""
    for path in sorted(new.iterdir()):
        if path.is_dir() and (target / path.name).is_dir():
            yield from _moves_into(target / path.name, path)
        else:
            yield path, target / path.name


def _clean_up(target: Path) -> None:
    """Remove what a run left behind, and undo its moves unless all or none were done.

    dataset.json is the first file to go and the last to come, so its presence tells.
    """
    moves = target / HIDDEN / MOVES
    if moves.exists() and not (target / DATASET_JSON).exists():
        with contextlib.suppress(ValueError):  # half written: nothing was moved yet
            for source, destination in reversed(json.loads(moves.read_bytes())):
                if os.path.lexists(target / destination) and not os.path.lexists(target / source):
                    (target / destination).rename(target / source)
        moves.unlink()
    shutil.rmtree(target / HIDDEN, ignore_errors=True)
    for archive in (unfinished_archive(target), _earlier_archive(target)):
        archive.unlink(missing_ok=True)


def _sync_files(target: Path) -> None:
    """Have the disk store what was written."""
    if sys.platform == "linux":  # elsewhere os.sync does not wait for the disk
        os.sync()
        return
    for path in (*(target / HIDDEN).rglob("*"), unfinished_archive(target)):
        if path.is_file():
            with path.open("r+b") as file:
                os.fsync(file.fileno())


def _sync_folders(folders: set[Path]) -> None:
    """Have the disk store what folders hold. Windows does so by itself."""
    for folder in sorted(folders) if os.name == "posix" else ():
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # a file system that cannot
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _sole_writer(folder: Path) -> Iterator[None]:
    """Hold a folder against a second run. The system lets go of it, however the process ends."""
    busy = RefusalError(f"another run is writing to {folder}: wait until it ends")
    if sys.platform == "win32":
        try:
            lock = os.open(folder / f"{HIDDEN}.lock", os.O_CREAT | os.O_EXCL | os.O_TEMPORARY)
        except (FileExistsError, PermissionError) as error:
            raise busy from error
    else:
        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise busy from error
        except OSError:  # a network file system that cannot lock a folder
            pass
    try:
        yield
    finally:
        os.close(lock)
