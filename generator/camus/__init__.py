"""What the three scripts are made of. Importing it checks Python and the packages.

If one is missing, it exits with a line that says how to install it.
"""

import importlib.util
import os
import sys
from pathlib import Path

# OpenBLAS need not start a thread for every core: the scripts use next to no linear algebra
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


class RefusalError(Exception):
    """The run does not go ahead. The text says what was found and what to do; exit code 2."""


class PairError(Exception):
    """One pair cannot be made, the others can. The text is the reason; exit code 1."""


try:
    if sys.version_info < (3, 10):  # noqa: UP036
        raise ImportError(f"this is Python {sys.version.split()[0]}, 3.10 or newer is needed")
    for package in ("numpy", "cv2"):
        importlib.import_module(package)
    for package in ("nibabel", "tqdm"):  # not imported here, where they would slow down --help
        if not importlib.util.find_spec(package):
            raise ImportError(f"No module named {package!r}")
except ImportError as error:
    root = Path(__file__).resolve().parents[2]
    python = root / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    remedy = f'run "{sys.executable}" -m pip install -r "{root / "requirements.txt"}"'
    if python.exists() and Path(sys.prefix) != root / ".venv":
        remedy = f'run the script with "{python}"'
    elif sys.version_info < (3, 10):  # noqa: UP036
        remedy = "make .venv with a newer Python, as the README shows"
    reason = " ".join(str(error).split())[:200]  # NumPy's has many lines
    print(f"{Path(sys.argv[0]).name}: cannot start, {reason}: {remedy}", file=sys.stderr)
    sys.exit(2)
