"""The command line: options, one-line errors, exit codes, work done side by side."""

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn, TextIO, TypeVar

import cv2

from camus import RefusalError, importing, words

Item = TypeVar("Item")
Result = TypeVar("Result")

# The processor cores that this process may use
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
# In the words of OpenCV, and of Python's RuntimeError
NO_MEMORY = "Insufficient memory|bad_alloc|can't start new thread"


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors take one line, and whose texts keep their line breaks."""

    def __init__(self, description: str | None, usage: str, example: str) -> None:
        super().__init__(
            usage=f"%(prog)s {usage} [options]",
            description=description,
            epilog=f"example:\n  python {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see --help\n")


def whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    """An argument type: a whole number within bounds."""

    def parse(text: str) -> int:
        if not (text.isdecimal() and len(text) < 20 and lowest <= int(text) <= highest):
            expected = f"a whole number from {lowest} to {highest}"
            raise argparse.ArgumentTypeError(f"{text!r} must be {expected}")
        return int(text)

    return parse


def one_of(*names: str) -> Callable[[str], str]:
    """An argument type: one of these names, in any case. good: Good."""

    def parse(text: str) -> str:
        for name in names:
            if name.casefold() == text.casefold():
                return name
        expected = f"{', '.join(names)} (if it is a folder, put the folders first)"
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {expected}")

    return parse


def path(text: str) -> Path:
    """An argument type: a path, in which ~ is the home folder."""
    return Path(os.path.expanduser(text))  # noqa: PTH111, which fails where there is no home


def counted(number: int, thing: str) -> str:
    """A number with its noun: 1 pair, 2 pairs."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def say(line: str, stream: TextIO | None = None) -> None:
    """Print one line, by default on stdout, with escapes for what cannot be printed."""
    line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)
    encoding = getattr(stream or sys.stdout, "encoding", None) or "utf-8"
    with contextlib.suppress(OSError):  # a closed pipe does not stop the work
        print(line.encode(encoding, "backslashreplace").decode(encoding), file=stream)


def tell(names: Collection[str], thing: str, fact: str, stream: TextIO | None = None) -> None:
    """Say of how many things something is true, and the first; nothing if there are none."""
    if names:
        say(f"{counted(len(names), thing)} {fact}; the first is {min(names)}", stream)


def side_by_side(
    work: Callable[[Item], Result], items: Sequence[Item], jobs: int, unit: str
) -> list[Result]:
    """Do the work on all items, `jobs` at a time; the results, in the order of the items.

    Threads suffice: zlib, OpenCV and NumPy let other threads run while they work.
    """
    with importing():
        from tqdm import tqdm  # not above: it would take a tenth of the time of --help
    # Once glibc has freed a block this large, it keeps memory for the next arrays instead of
    # returning it, which saves a third of the processor time. mallopt(3), M_MMAP_THRESHOLD
    bytes(2**24)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # OpenCV must not add threads of its own
    pool = ThreadPoolExecutor(jobs)
    try:
        results = pool.map(work, items)
        is_hidden = sys.stderr is None or not sys.stderr.isatty()
        return list(tqdm(results, unit=unit, total=len(items), disable=is_hidden))
    finally:
        pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(threads)


def run(
    parser: Parser, work: Callable[[argparse.Namespace], int], argv: Sequence[str] | None
) -> int:
    """Do what the command line asks for; the exit code. What a user can fix takes one line.

    0: all done. 1: some pairs failed. 2: wrong use, or a refusal. 130: interrupted.
    """
    code = 2
    try:
        code = work(parser.parse_intermixed_args(argv))
    except SystemExit as stop:  # from argparse: --help, or an option that it does not take
        code = int(stop.code or 0)
    except BrokenPipeError:  # from --help: nobody reads it any more, which Python 3.10 minds
        code = 0
    except (OSError, RefusalError) as error:
        say(f"{parser.prog}: {words(error)}", sys.stderr)
    except (MemoryError, RuntimeError, cv2.error) as error:
        if not isinstance(error, MemoryError) and not re.search(NO_MEMORY, str(error)):
            raise
        remedy = "close other programs, or use fewer --jobs of the generator"
        say(f"{parser.prog}: out of memory or threads: {remedy}", sys.stderr)
    except KeyboardInterrupt as interrupt:
        code = 130
        say(f"{parser.prog}: {'; '.join(['interrupted', *interrupt.args])}", sys.stderr)
    try:
        print(end="", flush=True)
    except OSError:  # nobody reads it any more; else Python would complain at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
