"""Tiny NIfTI files whose right answer is known, and what several files of tests use."""

import contextlib
import csv
import gzip
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest

from . import ROOT

Done = tuple[int, str, str]  # exit code, stdout and stderr of a script
Run = Callable[..., Done]
Files = dict[str, bytes]  # those of a folder, by path, with their bytes

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX links, permissions, pipes")

README = (ROOT / "README.md").read_text(encoding="utf-8")
GENERATOR = ROOT / "generator" / "CAMUSImageMaskDatasetGenerator.py"
PHANTOM = ROOT / "generator" / "make_phantom_database.py"
SPLIT = ROOT / "split_master.py"
SCRIPTS = (GENERATOR, PHANTOM, SPLIT)

# Where a test puts its patients and the scripts write, within the folder of the test
DATABASE = Path("Große Daten", "database_nifti")
MASTER, DATASET = Path("CAMUS master"), Path("the dataset")

COLUMNS = "file_name,mask_file_name,patient,view,instant,frame,mirrored"  # of every master
# Of a master, as dataset.json tells them
SETTINGS = {"frames": "key", "views": ["2CH", "4CH"], "image_quality": [], "masks": "gray",
            "structures": ["lv", "myo", "la"], "format": "jpg", "jpg_quality": 95, "size": 16,
            "fit": "pad", "mirror": False}  # fmt: skip
NAME = "patient0001_2CH_ED"
INFO = {"Sex": "f", "Age": 56, "ImageQuality": "Good", "EF": 54, "FrameRate": 48.4}
# 16 wide, 10 high, every pixel different, nothing symmetric
IMAGE = np.arange(160, dtype=np.uint8).reshape(10, 16)
# cavity top left, myocardium at its right, atrium below, background elsewhere
MASK = np.zeros((10, 16), np.uint8)
MASK[1:5, 2:6], MASK[1:5, 6:9], MASK[5:9, 2:9] = 1, 2, 3


def nifti(
    pixels: Any, dtype: str = "<f4", spacing: Any = (5, 5), affine: Any = None, **fields: Any
) -> bytes:
    """An uncompressed NIfTI of (height, width) or (frames, height, width) pixels.

    spacing: mm in x and y. affine: else that of the release. fields: to set in the header.
    """
    array = np.asarray(pixels).T.astype(dtype)
    header = nib.Nifti1Header(endianness=dtype[0] if dtype[0] in "<>" else "<")
    matrix = np.diag([-spacing[0], -spacing[1], 1, 1]) if affine is None else np.asarray(affine)
    data = nib.Nifti1Image(array, matrix, header, dtype=dtype).to_bytes()
    block = nib.Nifti1Header(data[:348], check=False)
    for name, value in fields.items():
        block[name] = value
    return bytes(block.binaryblock + data[348:])


def write(path: Path, data: bytes) -> Path:
    """Write a NIfTI, compressed if its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def write_pair(
    database: Path, name: str = NAME, image: Any = IMAGE, mask: Any = MASK, **options: Any
) -> Path:
    """Write X.nii.gz and X_gt.nii.gz in their patient's folder, which is returned."""
    folder = database / name.split("_")[0]
    write(folder / f"{name}.nii.gz", nifti(image, **options))
    write(folder / f"{name}_gt.nii.gz", nifti(mask, **options))
    return folder


def write_info(folder: Path, view: str = "2CH", /, **values: object) -> Path:
    """Write Info_2CH.cfg or Info_4CH.cfg."""
    path = folder / f"Info_{view}.cfg"
    path.write_text("".join(f"{key}: {value}\n" for key, value in values.items()))
    return path


def encoded(pixels: npt.ArrayLike, suffix: str) -> bytes:
    """The bytes of a picture file."""
    return cv2.imencode(f".{suffix}", np.asarray(pixels, np.uint8))[1].tobytes()


def picture(path: Path) -> npt.NDArray[np.uint8]:
    """A picture file, which must be gray, of 8 bits."""
    decoded: Any = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded.ndim == 2 and decoded.dtype == np.uint8
    return np.asarray(decoded, np.uint8)


def array(path: Path) -> npt.NDArray[Any]:
    """The pixels of a NIfTI file as nibabel reads them, (height, width) or with frames first."""
    return np.asarray(nib.nifti1.load(path).dataobj).T


def rows(folder: Path) -> list[dict[str, str]]:
    """The rows of metadata.csv, as the standard library reads them."""
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def tree(folder: Path) -> Files:
    """Every file below a folder, with its bytes."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def run(*words: object, **options: Any) -> Done:
    """Run Python."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    done = subprocess.run([sys.executable, *map(str, words)], text=True, timeout=60, **pipes)
    return done.returncode, done.stdout, done.stderr


@contextlib.contextmanager
def as_a_common_user() -> Iterator[Path]:
    """A new folder that everyone may write. Until it goes, root is a common user."""
    is_root = sys.platform != "win32" and os.geteuid() == 0
    with tempfile.TemporaryDirectory(dir="/tmp" if is_root else None) as name:
        Path(name).chmod(0o777)
        if is_root:
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            if is_root:
                os.seteuid(0)


def refusal(done: Done) -> str:
    """The one line of a run that has refused to do anything."""
    code, out, err = done
    assert (code, out, err.count("\n")) == (2, "", 1), done
    return err
