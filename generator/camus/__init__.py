"""What the three scripts are made of. Importing it checks Python and the packages first.

It exits with one line that says what is missing and how to install it.
"""

import importlib.util
import os
import signal
import sys
from pathlib import Path

# While the packages load, Ctrl-C ends the process quietly, by the signal: 130 in a shell
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

# The scripts use no linear algebra, so OpenBLAS need not start a thread for every core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

problem = ""
if sys.version_info < (3, 10):  # noqa: UP036
    problem = f"this is Python {sys.version.split()[0]}; Python 3.10 or newer is needed"
else:
    try:
        for package in ("numpy", "cv2"):
            importlib.import_module(package)
        for package in ("nibabel", "tqdm"):  # the split needs no nibabel; tqdm is loaded later
            if not importlib.util.find_spec(package):
                raise ImportError(f"No module named {package!r}")
    except ImportError as error:
        requirements = Path(__file__).resolve().parents[2] / "requirements.txt"
        install = f'"{sys.executable}" -m pip install -r "{requirements}"'
        reason = " ".join(str(error).split())[:200]  # NumPy's has many lines
        problem = f"a package cannot be imported ({reason}): run {install}"
if problem:
    print(f"{Path(sys.argv[0]).name}: {problem}", file=sys.stderr)
    sys.exit(2)
