"""Damage NIfTI pairs at random and check that none is converted to wrong pictures.

The generator may refuse a pair in one line. If it converts the pair, the pictures must show what
nibabel reads in the damaged files, computed here without camus.nifti and camus.pixels.
"""

import argparse
import contextlib
import io
import random
import tempfile
import zlib
from gzip import compress, decompress
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

import CAMUSImageMaskDatasetGenerator as generator
from camus import nifti

from . import build

OPTIONS = ("--frames", "sequence", "--masks", "index", "--format", "png", "--size", "80")
IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 60, 80))  # two frames of noise
FIELDS = ("dim", "datatype", "bitpix", "pixdim", "vox_offset", "scl_slope", "scl_inter", "srow_x")
VALUES = (0, 1, -1, 2, 3, 7, 80, 352, 30000, 0.31, 0.5, 1e30, np.nan, np.inf)


def change_header(data: bytes) -> bytes:
    """Set a field of the header to another value, if the value fits it."""
    header = nib.Nifti1Header(data[:348], check=False)
    field = header[random.choice(FIELDS)]
    with contextlib.suppress(OverflowError, ValueError):
        field.flat[random.randrange(5) % field.size] = random.choice(VALUES)
    return bytes(header.binaryblock) + data[348:]


def change_bytes(data: bytes) -> bytes:
    """Replace, remove or add bytes at one place, often near the start or the end."""
    size = len(data)
    start = random.choice([random.randrange(400), random.randrange(size), size - 8, size])
    length = random.choice([1, 4, 64, size])
    new = random.choice([b"", data, bytes(length), random.randbytes(length)])
    return data[:start] + new + data[start + length :]


def judge(files: list[bytes], folder: Path) -> str:
    """Run the generator on an image and its mask; raise an error if what it does is wrong."""
    for end, data in zip(("", "_gt"), files, strict=True):
        build.write(folder / f"database/patient0001/patient0001_2CH_half_sequence{end}.nii", data)
    with contextlib.redirect_stdout(None), contextlib.redirect_stderr(io.StringIO()) as errors:
        code = generator.main([f"{folder}/database", f"{folder}/master", *OPTIONS])
    assert len(errors.getvalue().splitlines()) == code < 2, errors.getvalue()
    if code:
        return "refused"
    for data, kind, tolerance in zip(files, ("images", "masks"), (0.5, 0.001), strict=True):
        if data.startswith(b"\x1f\x8b"):
            data = decompress(data)  # which verifies the checksum
        header: Any = nib.Nifti1Header(data[:348], check=False)
        header["vox_offset"] = header["vox_offset"] or 352  # 0: not filled in
        scan: Any = nib.arrayproxy.ArrayProxy(io.BytesIO(data), header)
        assert len(data) == scan.offset + scan.get_unscaled().nbytes, "more data"
        pictures = [build.picture(path) for path in sorted((folder / "master" / kind).iterdir())]
        # The other file is undamaged, so both must have its shape and spacing: nothing is resized
        squares = np.pad(np.asarray(scan, float).reshape(80, 60, 2).T, ((0, 0), (10, 10), (0, 0)))
        assert np.allclose(squares, pictures, rtol=0, atol=tolerance), "other pixels"
    return "right"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=4000)
    count = parser.parse_args().count
    inflaters = [zlib, nifti.inflate]  # the same without isal
    outcomes = {"refused": 0, "right": 0, "wrong": 0}
    for seed in range(count):
        random.seed(seed)
        nifti.inflate = random.choice(inflaters)
        dtype = random.choice(["<f4", ">f4", "<i2", ">i2", "<u1"])
        files = [build.nifti(array, dtype, (0.5, 0.5)) for array in (IMAGES, IMAGES // 64)]
        hurt = random.randrange(2)
        change = random.choice([change_header, change_bytes])
        for step in random.choice([[change], [change, compress], [compress, change_bytes]]):
            files[hurt] = step(files[hurt])
        try:
            with tempfile.TemporaryDirectory() as folder:
                outcomes[judge(files, Path(folder))] += 1
        except Exception as error:
            outcomes["wrong"] += 1
            print(f"pair {seed}: {error!r}")
    print(f"{count} damaged pairs: {outcomes}")
    return 1 if outcomes["wrong"] or not outcomes["right"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
