"""Damage NIfTI pairs at random and see that none is taken for what it is not.

    .venv/bin/python -m tests.mutations --count 4000

A damaged pair may be refused in one line that names it. If it is accepted, it is judged: nibabel
reads the damaged files, and the written image and mask must show what it reads, pixel by pixel.
How they must look is computed here, not with camus.nifti or camus.pixels.
"""

import argparse
import contextlib
import gzip
import io
import random
import shutil
import struct
import tempfile
import warnings
import zlib
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import nibabel as nib
import numpy as np
import numpy.typing as npt

import CAMUSImageMaskDatasetGenerator as generator
from camus import nifti

from .build import NAME

RIGHT = "converted right"
WIDTH, HEIGHT, SPACING = 160, 120, 0.308
SIZES = (WIDTH, WIDTH, WIDTH, 96, 224)  # of the square: most pairs are not resized
DTYPES = ("<f4", "<i2", "u1")  # the release has the first
FIELDS = ("sizeof_hdr", "dim", "datatype", "bitpix", "pixdim", "pixdim", "pixdim", "vox_offset",
          "scl_slope", "scl_inter", "xyzt_units", "magic", "qform_code", "sform_code", "srow_x",
          "srow_y", "quatern_b", "quatern_d")  # fmt: skip
# Odd values for header fields; one that does not fit its field is left out
ODD = (0, 1, -1, 2, 3, 7, 120, 160, 255, 352, 512, 30000, 2**31 - 1, 0.2, 0.3, 0.5, 1e30, -1e30,
       1e-30, float("nan"), float("inf"), b"ni1", b"n+1", b"n+2")  # fmt: skip
MILLIMETRES = {"meter": 1000, "mm": 1, "micron": 0.001, "unknown": 1}

Pixels = npt.NDArray[Any]  # (height, width)
Pair = dict[str, Pixels]  # the image as "", the mask as "_gt"


def undamaged(kind: type[Any], dtype: str) -> dict[str, bytes]:
    """An image and a mask without any symmetry, as uncompressed NIfTI-1 or NIfTI-2."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    noise = np.random.default_rng(0).integers(0, 40, x.shape)
    image = (x + y // 2 + noise).clip(0, 255) * (np.hypot(x - 80, y) < 118)
    mask = np.zeros_like(x)
    mask[15:75, 40:90], mask[25:75, 50:78], mask[75:100, 45:105] = 2, 1, 3
    files = {}
    for key, pixels in (("", image), ("_gt", mask)):
        nifti_image = kind(pixels.T.astype(dtype), np.diag([-SPACING, -SPACING, 1, 1]))
        nifti_image.header.set_xyzt_units("mm")
        files[key] = nifti_image.to_bytes()
    return files


def set_field(data: bytes, kind: type[Any], field: str, value: Any, index: int) -> bytes:
    """An uncompressed NIfTI with another value in a header field, if the value fits it."""
    header = kind.header_class(data[: kind.header_class.sizeof_hdr], check=False)
    with warnings.catch_warnings(), contextlib.suppress(OverflowError, ValueError):
        warnings.simplefilter("ignore")
        header[field][index if header[field].ndim else ...] = value
    return bytes(header.binaryblock) + data[header.sizeof_hdr :]


def damage(data: bytes, rng: random.Random) -> bytes:
    """A damaged copy; every other damage is near its start or end."""
    near = rng.randrange(min(400, len(data))), -1 - rng.randrange(min(10, len(data)))
    start = rng.choice([rng.randrange(len(data)), rng.randrange(len(data)), *near]) % len(data)
    stop = min(start + rng.choice([1, 4, 64, 4096]), len(data))
    other = rng.choice([bytes(stop - start), b"\xff" * (stop - start), data[start:stop][::-1]])
    bit = bytes([data[start] ^ 1 << rng.randrange(8)])
    return rng.choice([
        data[:start] + bit + data[start + 1 :],
        data[:start],
        data[:start] + other + data[stop:],
        data[:start] + data[stop:],
        data[:stop] + data[start:],
        data + rng.choice([b"\0", bytes(512), rng.randbytes(20), data]),
    ])  # fmt: skip


def damaged_pair(rng: random.Random) -> tuple[dict[str, bytes], str]:
    """The files of a pair, one damaged (or both with the same odd header), and how."""
    hurt, files = rng.choice(["", "_gt"]), {}
    kind = rng.choice([nib.Nifti1Image, nib.Nifti1Image, nib.Nifti2Image])
    how = rng.choice(["header", "both headers", "before compression", "file"])
    odd, dtype = (rng.choice(FIELDS), rng.choice(ODD), rng.randrange(4)), rng.choice(DTYPES)
    for key, data in undamaged(kind, dtype).items():
        if how == "both headers" or (how == "header" and key == hurt):
            data = set_field(data, kind, *odd)
        if how == "before compression" and key == hurt:
            data = damage(data, rng)
        if rng.random() < 0.6:  # of several members, which gzip files may have
            middle = rng.choice([0, rng.randrange(len(data) + 1)])
            data = b"".join(gzip.compress(d, 1) for d in (data[:middle], data[middle:]) if d)
        if how == "file" and key == hurt:
            data = damage(data, rng)
        files[key] = data
    return files, f"{'mask' if hurt else 'image'}, {how} {odd if 'header' in how else ''}"


def convert(folder: Path, files: dict[str, bytes], suffix: str, size: int) -> tuple[int, str, Pair]:
    """Run the generator on a pair; its exit code, its lines on stderr, and what it wrote."""
    database, master = folder / "database", folder / "master"
    for path in (database, master):
        shutil.rmtree(path, ignore_errors=True)
    (database / "patient0001").mkdir(parents=True)
    for key, data in files.items():
        (database / "patient0001" / f"{NAME}{key}{suffix}").write_bytes(data)
    arguments = ["--masks", "index", "--format", "png", "--size", str(size), "--jobs", "1"]
    with contextlib.redirect_stderr(io.StringIO()) as lines, contextlib.redirect_stdout(None):
        code = generator.main([str(database), str(master), *arguments])
    assert bool(code) != master.exists(), "a master after a failure, or none"
    paths = {"": master / f"images/{NAME}.png", "_gt": master / f"masks/{NAME}.png"}
    pair = {key: np.asarray(cv2.imread(str(path), -1)) for key, path in paths.items() if not code}
    return code, lines.getvalue(), pair


def read(data: bytes) -> tuple[Pixels, Pixels, tuple[str, ...], bool]:
    """What nibabel reads: values, spacing in mm as (x, y), where x and y point to if the header
    says it, and whether it says nothing. Fails if nibabel or gzip fails.
    """
    if data.startswith(b"\x1f\x8b"):
        data = gzip.decompress(data)  # nibabel does not look at the checksum
    size = struct.pack(">I", nib.Nifti2Header.sizeof_hdr)
    kind = nib.Nifti2Image if size in (data[:4], data[3::-1]) else nib.Nifti1Image
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = kind.from_bytes(data)
        header, affine = loaded.header, loaded.affine
        if not header.get_data_offset():  # not filled in; nibabel takes the header for pixels
            data = set_field(data, kind, "vox_offset", header.single_vox_offset, 0)
            loaded = kind.from_bytes(data)
        values = np.asarray(loaded.dataobj, np.float64)
    spacing = np.abs(header.get_zooms()[:2]) * float(MILLIMETRES[header.get_xyzt_units()[0]])
    known = (header["qform_code"] or header["sform_code"]) and np.isfinite(affine).all()
    axes = tuple(filter(None, nib.aff2axcodes(affine)[:2])) if known else ()
    is_default = (np.abs(affine[:2, :2]) == np.eye(2)).all() or not axes
    is_silent = not (spacing > 0).any() or ((spacing == 1).all() and is_default)
    return values.reshape([n for n in values.shape if n > 1]).T, spacing, axes, is_silent


def nearest(source: int, size: int) -> list[Pixels]:
    """The source pixels in which the middles of the new ones lie; two ways where borders meet."""
    return [((2 * np.arange(size) + 1) * source - tie) // (2 * size) for tie in (0, 1)]


def mistake(files: dict[str, bytes], pair: Pair, size: int) -> str:
    """What is wrong with a written pair; empty if it shows what nibabel reads."""
    gray, spacing, axes, _ = read(files[""])
    values, mask_spacing, mask_axes, is_silent = read(files["_gt"])
    labels = np.rint(values)
    if gray.ndim != 2 or gray.shape != labels.shape:
        return f"frames of the shapes {gray.shape} and {labels.shape}"
    if not (gray.min() >= 0 and 32 <= gray.max() <= 255):  # nor for NaN
        return "an image that is not 8-bit gray"
    if not (np.isin(labels, range(4)).all() and np.abs(values - labels).max() <= 0.001):
        return "a mask whose values are not labels"
    if not is_silent and not np.allclose(mask_spacing, spacing, rtol=0.002):
        return "a mask of another spacing"
    if not is_silent and len(mask_axes + axes) == 4 and mask_axes != axes:
        return "a mask of another orientation"
    height, width = gray.shape
    extent = spacing * (width, height)
    columns, rows = (max(1, int(size * mm / extent.max() + 0.5)) for mm in extent)
    resized, smaller = np.rint(gray).astype(np.float32), (min(columns, width), min(rows, height))
    for shape, method in ((smaller, cv2.INTER_AREA), ((columns, rows), cv2.INTER_CUBIC)):
        if shape != resized.shape[::-1]:
            resized = np.rint(cv2.resize(resized, shape, interpolation=method)).clip(0, 255)
    margins = [((size - n) // 2, (size - n + 1) // 2) for n in (rows, columns)]
    tolerance = 0 if (columns, rows) == (width, height) else 1  # gray levels
    if np.abs(np.pad(resized, margins) - pair[""]).max() > tolerance:
        return "other pixels in the image"
    ways = [np.pad(labels[np.ix_(down, across)], margins) == pair["_gt"]
            for down in nearest(height, rows) for across in nearest(width, columns)]  # fmt: skip
    return "" if np.any(ways, axis=0).all() and labels.any() else "other pixels in the mask"


def judge(files: dict[str, bytes], pair: Pair, size: int) -> str:
    """Whether an accepted pair is right."""
    try:
        problem = mistake(files, pair, size)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        problem = f"gzip refuses it ({error})"
    except Exception as error:
        return f"unjudged: nibabel refuses it ({error!r})"
    return f"WRONG: {problem}" if problem else RIGHT


def show_that_it_can_fail(folder: Path, size: int) -> None:
    """Assert that the undamaged pair is judged right, and other pictures in its place wrong."""
    files = undamaged(nib.Nifti1Image, "<f4")
    pair, rng = convert(folder, files, ".nii", size)[2], np.random.default_rng(1)
    assert judge(files, pair, size) == RIGHT
    for key, right in pair.items():
        noise = rng.integers(0, 4 if key else 256, right.shape, np.uint8)
        turned = [right[::-1], right[:, ::-1], right[::-1, ::-1], right.T]
        shifted = [np.roll(right, step, axis) for step in (-1, 1) for axis in (0, 1)]
        for picture in (np.zeros_like(right), noise, *turned, *shifted):
            assert judge(files, {**pair, key: picture}, size).startswith("WRONG")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without-isal", action="store_true", help="inflate with zlib")
    args = parser.parse_args()
    nifti.inflate = zlib if args.without_isal else nifti.inflate
    nib.imageglobals.logger.disabled = True
    rng, outcomes = random.Random(args.seed), Counter({"WRONG": 0, "unjudged": 0})
    with tempfile.TemporaryDirectory() as name, mock.patch("os.sync"):  # it takes most of the time
        for size in sorted(set(SIZES)):
            show_that_it_can_fail(Path(name), size)
        for number in range(args.count):
            (files, how), size = damaged_pair(rng), rng.choice(SIZES)
            suffix = rng.choice([".nii", ".nii.gz"])  # whatever the files are
            try:
                code, lines, pair = convert(Path(name), files, suffix, size)
                outcome = "refused in one line"
                if not code:
                    outcome = judge(files, pair, size)
                elif code != 1 or not lines.startswith(f"{NAME}: ") or lines.count("\n") != 1:
                    outcome = f"WRONG: exit code {code}, {lines!r}"
            except Exception as error:
                outcome = f"WRONG: {error!r}"
            kind, _, why = outcome.partition(":")
            outcomes[kind] += 1
            if why:
                print(f"damaged pair {number}, {how}, size {size}: {outcome}")
    print(f"{args.count} damaged pairs, inflated with {nifti.inflate.__name__}")
    print(*(f"{count:6} {outcome}" for outcome, count in outcomes.items()), sep="\n")
    return 1 if outcomes["WRONG"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
