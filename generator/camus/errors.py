"""What can go wrong that a user can fix, and what must not be interrupted."""

import contextlib
import errno
import signal
from collections.abc import Iterator
from pathlib import Path

# Too few open files or too little memory: not the fault of the file at hand
SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)


class RefusalError(Exception):
    """The run does not go ahead. The text says what was found and what to do; exit code 2."""


class PairError(Exception):
    """One pair cannot be made, and the others can. The text is the reason; exit code 1."""


@contextlib.contextmanager
def blame(path: Path) -> Iterator[None]:
    """Put the name of a file in front of the reason why a pair cannot be made."""
    try:
        yield
    except PairError as error:
        raise PairError(f"{path.name}: {error}") from error


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C for a moment, so that a clean-up or the last moves are not cut short."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
