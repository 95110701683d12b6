"""What the scripts share: one-line errors, exit codes, files that are whole or not there."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

PARTIAL = ".partial-"
LITTER = re.compile(r"\.DS_Store|\._.*|Thumbs\.db|desktop\.ini", re.IGNORECASE)
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class RefusalError(Exception):
    """What the user asked for is not done; the text says why, and the remedy."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors take one line, and whose options tell their default."""

    def __init__(self, description: str | None, example: str) -> None:
        raw = argparse.RawDescriptionHelpFormatter
        super().__init__(
            description=description, epilog=f"example: %(prog)s {example}", formatter_class=raw
        )

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see --help\n")

    def option(self, name: str, text: str, told: str = "%(default)s", **settings: Any) -> None:
        """Add an option; what is told is its default, if it has one."""
        default = f" (default: {told})" if "default" in settings else ""
        self.add_argument(name, help=text + default, **settings)


def whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    """An argument type: a whole number within bounds."""

    def parse(text: str) -> int:
        if not (text.isdecimal() and lowest <= int(text) <= highest):
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number {lowest} to {highest}")
        return int(text)

    return parse


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def quit_on_interrupt() -> None:
    """From here until the work starts, Ctrl-C ends the script in one line.

    To be called before the libraries are imported, which takes long enough to be interrupted.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # and not ignored
        signal.signal(signal.SIGINT, _quit)


def _quit(*_: object) -> NoReturn:
    os.write(2, b"interrupted\n")
    os._exit(130)


def _interrupt_once(*_: object) -> NoReturn:
    """Let no second Ctrl-C disturb the clearing up after the first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def exit_code(prog: str, work: Callable[[], int]) -> int:
    """Do the work; turn what a user can mend into one line on stderr and an exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that a console cannot show
    as_script = signal.getsignal(signal.SIGINT) is _quit
    try:
        if as_script:
            signal.signal(signal.SIGINT, _interrupt_once)
        return work()
    except RefusalError as error:
        code, reason = 2, str(error)
    except KeyboardInterrupt:
        code, reason = 130, "interrupted: run the same command again to finish"
    except OSError as error:
        code, remedy = (1, "make room") if error.errno in NO_ROOM else (2, "mend that")
        name = error.filename2 or error.filename  # where a copy goes, if it is one
        what = f"{name}: {error.strerror}" if name else str(error.strerror)
        reason = f"{what}: {remedy} and run the same command again"
    finally:
        if as_script:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is left to do takes no time
    print(f"{prog}: {reason}", file=sys.stderr)
    return code


def write_whole(path: Path, data: bytes, time: float | None = None) -> None:
    """Write a file that appears under its name whole or not at all, with a time of its own."""
    partial = path.with_name(f"{PARTIAL}{os.getpid()}-{threading.get_ident()}")
    try:
        partial.write_bytes(data)
        if time is not None:
            os.utime(partial, (time, time))
        partial.replace(path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def own_files(folder: Path, own: re.Pattern[str]) -> list[str]:
    """The files below a folder, as sorted relative posix paths, all of which `own` must match.

    A folder is matched with a slash at its end. The litter of file systems is passed over.
    Raises RefusalError at the first entry of someone else's; a symbolic link always is one.
    """
    found = []
    for root, folders, names in os.walk(folder, onerror=_raise):
        for name in sorted(folders + names):
            path = Path(root, name)
            relative = path.relative_to(folder).as_posix() + ("/" if name in folders else "")
            if path.is_symlink() or not (own.fullmatch(relative) or LITTER.fullmatch(name)):
                raise RefusalError(
                    f"{folder} holds {relative}, which these scripts did not make: "
                    "name another folder, or move that away"
                )
            if name in names and not LITTER.fullmatch(name):
                found.append(relative)
    return sorted(found)


def _raise(error: OSError) -> NoReturn:
    raise error


@contextlib.contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold a folder against a second run; the system lets go of it however the process ends."""
    try:
        lock = _lock(folder)
    except BlockingIOError as error:
        raise RefusalError(f"another run is writing to {folder}: wait until it ends") from error
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


@contextlib.contextmanager
def workshop(target: Path) -> Iterator[Path]:
    """An empty folder beside a target, to build in what is then moved to its place at once.

    It is gone at the end. What a killed run left in it goes first, but for a target moved to `old`
    in it and not yet replaced, which goes back to its place.
    """
    if not target.name:
        raise RefusalError(f"{target} is the root of a disk: name a folder")
    folder = target.parent / f"{PARTIAL}{target.name}"
    folder.mkdir(parents=True, exist_ok=True)
    with sole_writer(folder):
        try:
            _put_back(folder / "old", target)
            for left_over in folder.iterdir():
                shutil.rmtree(left_over) if left_over.is_dir() else left_over.unlink()
            yield folder
        finally:
            _put_back(folder / "old", target)
            shutil.rmtree(folder, ignore_errors=True)


def _put_back(old: Path, target: Path) -> None:
    if old.exists() and not target.exists():
        old.replace(target)


if sys.platform == "win32":

    def _lock(folder: Path) -> int | None:
        name = folder.resolve().with_name(f"{PARTIAL}{folder.resolve().name}.lock")
        try:
            return os.open(name, os.O_CREAT | os.O_EXCL | os.O_TEMPORARY)
        except OSError as error:
            raise BlockingIOError from error

else:
    import fcntl

    def _lock(folder: Path) -> int | None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise
        except OSError:  # some network file systems cannot lock a folder
            os.close(descriptor)
            return None
        return descriptor
