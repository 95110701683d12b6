"""The two ways in which something can go wrong that a user can fix."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

# What the system has too little of is the fault of no one file
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
