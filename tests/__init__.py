"""Tests and instruments; the lines below let them import the scripts and their library."""

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "generator"))
import camus  # noqa: F401

if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # as the library has it while it loads
    signal.signal(signal.SIGINT, signal.default_int_handler)
