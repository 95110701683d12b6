"""What the three scripts are made of. To import it checks Python and the packages first."""

import importlib.util
import os
import sys
from pathlib import Path

# The scripts use no linear algebra, so OpenBLAS need not start a thread for every core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _check_python() -> None:
    """Exit with one line that says what is missing and how to install it."""
    requirements = Path(__file__).resolve().parents[2] / "requirements.txt"
    if sys.version_info < (3, 10):  # noqa: UP036
        problem = f"this is Python {sys.version.split()[0]}; Python 3.10 or newer is needed"
    else:
        try:
            for package in ("cv2", "numpy", "tqdm"):
                importlib.import_module(package)
            if not importlib.util.find_spec("nibabel"):  # the split does without it
                raise ImportError("No module named 'nibabel'")
            return
        except ImportError as error:
            install = f'"{sys.executable}" -m pip install -r "{requirements}"'
            problem = f"a package cannot be imported ({error}): run {install}"
        except KeyboardInterrupt:
            sys.exit(130)
    print(f"{Path(sys.argv[0]).name}: {problem}", file=sys.stderr)
    sys.exit(2)


_check_python()
