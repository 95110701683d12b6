"""The command line: options, one-line errors, exit codes, work done side by side."""

import argparse
import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn, TypeVar

import cv2

from camus.errors import SCARCE, RefusalError, uninterrupted
from camus.output import HIDDEN

Item = TypeVar("Item")
Result = TypeVar("Result")

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
OUT_OF_MEMORY = -4  # cv::Error::StsNoMem


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors take one line."""

    def __init__(self, description: str | None, example: str) -> None:
        super().__init__(description=description, epilog=f"example: %(prog)s {example}")

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    """An argument type: a whole number within bounds."""

    def parse(text: str) -> int:
        if not (text.isdecimal() and len(text) < 20 and lowest <= int(text) <= highest):
            expected = f"a whole number from {lowest} to {highest}"
            raise argparse.ArgumentTypeError(f"{text!r} must be {expected}")
        return int(text)

    return parse


def counted(number: int, thing: str) -> str:
    """A number with its noun: 1 pair, 2 pairs."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def say(line: str) -> None:
    """Print a line of results. A closed pipe or a full log disk does not stop the work."""
    with contextlib.suppress(OSError):
        print(line)


def warn(line: str) -> None:
    """Print a line to stderr. A closed pipe or a full log disk does not stop the work."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr)


def cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def side_by_side(
    work: Callable[[Item], Result], items: Sequence[Item], jobs: int, unit: str
) -> list[Result]:
    """Do the work on all items, `jobs` at a time; the results, in the order of the items.

    Threads suffice: zlib, OpenCV and NumPy let other threads run while they work. And threads,
    unlike processes, end with a killed run instead of writing on.
    """
    from tqdm import tqdm  # not above: it would take a tenth of the time of --help

    cv2.setNumThreads(1)  # OpenCV must not add threads of its own
    tqdm.monitor_interval = 0  # nor tqdm
    # Once glibc has freed a block this large, it keeps memory for the next arrays instead of
    # returning it, which saves a tenth of the processor time. mallopt(3), M_MMAP_THRESHOLD
    bytes(2**24)
    if jobs == 1:
        return [work(item) for item in tqdm(items, unit=unit, disable=None)]
    pool = ThreadPoolExecutor(jobs)
    try:
        futures = [pool.submit(work, item) for item in items]
        return [future.result() for future in tqdm(futures, unit=unit, disable=None)]
    except RuntimeError as error:
        if "thread" not in str(error):
            raise
        raise OSError(errno.EAGAIN, str(error)) from error
    finally:
        with uninterrupted():
            pool.shutdown(cancel_futures=True)


def run(
    parser: Parser, work: Callable[[argparse.Namespace], int], argv: Sequence[str] | None
) -> int:
    """Do what the command line asks for; the exit code.

    0: all done. 1: some pairs failed. 2: wrong use, or a refusal. 130: interrupted. What a user
    can fix becomes one line on stderr.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    _replace_closed_streams()
    args, reason = None, ""
    try:
        args = parser.parse_args(argv)
        code = work(args)
    except SystemExit as stop:  # from argparse: --help, or an option that it does not take
        code = int(stop.code or 0)
    except RefusalError as error:
        code, reason = 2, str(error)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # one is enough
        code, reason = 130, "interrupted"
    except (MemoryError, cv2.error) as error:
        if isinstance(error, cv2.error) and error.code != OUT_OF_MEMORY:
            raise
        code, reason = 2, f"out of memory: {_saving(args)}"
    except OSError as error:
        code, reason = (2, _explain(error, args)) if args else (0, "")  # --help, but nobody reads
    if reason:
        warn(f"{parser.prog}: {reason}")
    _flush()
    return code


def _saving(args: argparse.Namespace | None) -> str:
    return "try --jobs 1" if hasattr(args, "jobs") else "close other programs"


def _explain(error: OSError, args: argparse.Namespace) -> str:
    if error.errno in DISK_FULL:
        remedy = "free some space and run the command again; nothing was changed"
    elif error.errno in SCARCE:
        remedy = f"{_saving(args)}, or raise the limit"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = "change the permissions, or choose another folder"
    else:
        remedy = "fix this and run the command again"
    paths = [str(path) for path in (error.filename, error.filename2) if path]
    # What is in the hidden folder will be gone when the line is read
    names = [path for path in paths if HIDDEN not in path]
    names += [path.partition(f"{os.sep}{HIDDEN}")[0] for path in paths]
    return ": ".join([*names[:1], str(error.strerror or error), remedy])


def _replace_closed_streams() -> None:
    """Open the null device for a closed stream, whose number the next file would take otherwise."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r+"))  # noqa: SIM115, PTH123
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for names that a console cannot show


def _flush() -> None:
    """Print what is left, or drop it where the reader has gone or the disk of a log is full."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
