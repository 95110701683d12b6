"""What the three scripts are made of. Importing it checks Python and the packages."""

import contextlib
import importlib
import os
import shlex
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from subprocess import list2cmdline
from typing import NoReturn

# OpenBLAS need not start a thread for every core: the scripts use next to no linear algebra
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[2]  # the folder of the README


class RefusalError(Exception):
    """The run does not go ahead. The text says what was found and what to do; exit code 2."""


class PairError(Exception):
    """One pair cannot be made, the others can. The text is the reason; exit code 1."""


def words(error: Exception) -> str:
    """What an error says; of the system's, without the doubled backslashes of Windows paths."""
    return str(error).replace("\\\\", "\\") if isinstance(error, OSError) else str(error)


def command_line(*arguments: str) -> str:
    """A command as a shell takes it, with quotes only where they are needed."""
    return list2cmdline(arguments) if os.name == "nt" else shlex.join(arguments)


def cannot_start(reason: str, remedy: str) -> NoReturn:
    """Say in one line why the script cannot start and how to install it, and exit with 2."""
    venv = ROOT / ".venv"
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if python.exists() and Path(sys.prefix).resolve() != venv:
        remedy = f"run the script with {command_line(str(python))}"
    elif not remedy:
        pip = sys.executable, "-m", "pip", "install", "-r", str(ROOT / "requirements.txt")
        remedy = f"run {command_line(*pip)}"
    reason = " ".join(reason.split())[:200]  # NumPy's has many lines
    print(f"{Path(sys.argv[0]).name}: cannot start, {reason}: {remedy}", file=sys.stderr)
    sys.exit(2)


if sys.version_info < (3, 10):  # noqa: UP036
    remedy = "make .venv with a newer Python, as the README shows"
    cannot_start(f"this is Python {sys.version.split()[0]}, 3.10 or newer is needed", remedy)


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Turn whatever an import of a package raises into one line, and exit with 2."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"{Path(sys.argv[0]).name}: interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        refuses_pip = Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").exists()
        needs_venv = refuses_pip and sys.prefix == sys.base_prefix
        reason = str(error) if isinstance(error, ImportError) else repr(error)
        cannot_start(reason, "make .venv, as the README shows" if needs_venv else "")


with importing():
    for package in ("numpy", "cv2"):
        importlib.import_module(package)
