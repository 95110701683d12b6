"""Damage NIfTI pairs at random and check that none is converted to wrong pictures.

    .venv/bin/python -m tests.fuzz --count 4000

The generator may refuse a pair in one line. If it converts the pair, the pictures must show what
nibabel reads in the damaged files, computed here without camus.nifti and camus.pixels.
"""

import argparse
import contextlib
import gzip
import io
import random
import tempfile
import zlib
from pathlib import Path
from typing import Any

import cv2
import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.arrayproxy import ArrayProxy

import CAMUSImageMaskDatasetGenerator as generator
from camus import nifti

FRAMES = {"patient0001_2CH_ED": 1, "patient0001_2CH_half_sequence": 2}  # of a source
SIZES = (160, 96, 224)  # of the square; at the first, nothing is resized
FIELDS = ("sizeof_hdr", "dim", "dim", "datatype", "bitpix", "pixdim", "pixdim", "vox_offset",
          "scl_slope", "scl_inter", "qform_code", "sform_code", "srow_x", "quatern_b")  # fmt: skip
VALUES = (0, 1, -1, 2, 3, 7, 160, 255, 352, 30000, 0.31, 0.5, 1e30, -1e30, np.nan, np.inf)
Pair = dict[str, npt.NDArray[Any]]  # (frames, height, width): the images as "", the masks as "_gt"


def undamaged(version: type[Any], dtype: str, count: int) -> dict[str, bytes]:
    """An image and a mask of `count` frames without any symmetry, not compressed."""
    y, x = np.mgrid[:120, :160]
    noise = np.random.default_rng(0).integers(0, 40, (count, *x.shape))
    images = (x + y // 2 + noise).clip(0, 255) * (np.hypot(x - 80, y) < 118)
    masks = np.zeros_like(images)
    for number, mask in enumerate(masks):
        mask[15 + number : 75, 40:90], mask[25:75, 50:78], mask[75:100, 45:105] = 2, 1, 3
    affine, header = np.diag([-0.308, -0.308, 1, 1]), version.header_class(endianness=dtype[0])
    arrays = {"": images.T.squeeze().astype(dtype), "_gt": masks.T.squeeze().astype(dtype)}
    return {key: version(array, affine, header).to_bytes() for key, array in arrays.items()}


def set_field(data: bytes, field: str, value: Any, index: int) -> bytes:
    """An uncompressed NIfTI with another value in a header field, if the value fits it."""
    header = nib.Nifti1Header(data[:348], check=False)
    with contextlib.suppress(OverflowError, ValueError):
        header[field].flat[index % header[field].size] = value
    return bytes(header.binaryblock) + data[348:]


def damage(data: bytes, rng: random.Random) -> bytes:
    """A damaged copy. Most damages are near its start or end."""
    start = rng.choice([rng.randrange(400), rng.randrange(len(data)), -9]) % len(data)
    stop = start + rng.choice([1, 4, 64, 4096])
    before, hurt, after = data[:start], data[start:stop], data[stop:]
    bit = bytes([hurt[0] ^ 1 << rng.randrange(8)]) + hurt[1:]
    others = [before + new + after for new in (bit, hurt[::-1], bytes(len(hurt)), b"", 2 * hurt)]
    return rng.choice([before, data + rng.choice([b"\0", rng.randbytes(20), data]), *others])


def damaged_pair(rng: random.Random, count: int) -> dict[str, bytes]:
    """The files of a pair with `count` frames, at least one of them damaged."""
    version = rng.choice([nib.Nifti1Image] * 19 + [nib.Nifti2Image])  # the second must be refused
    files = undamaged(version, rng.choice(["<f4", "<f4", "<i2", ">f4", ">i2", "<u1"]), count)
    field: tuple[str, Any, int] = rng.choice(FIELDS), rng.choice(VALUES), rng.randrange(5)
    fields = rng.choice([[], [], [field], [("sform_code", 0, 0), ("qform_code", 1, 0), field]])
    hurt = rng.choice([[""], ["_gt"], ["", "_gt"]])
    for key, data in files.items():
        for name, value, index in fields if key in hurt else []:
            data = set_field(data, name, value, index)
        if rng.random() < 0.6:  # compressed; a few in two gzip streams, which must be refused
            middle = rng.choice([0] * 9 + [rng.randrange(len(data))])
            data = b"".join(gzip.compress(d, 1) for d in (data[:middle], data[middle:]) if d)
        files[key] = damage(data, rng) if key in hurt and not fields else data
    return files


def convert(files: dict[str, bytes], name: str, size: int) -> Pair:
    """The pictures that the generator makes of a pair; empty if it refuses the pair in one line."""
    frames, errors = "key" if FRAMES[name] == 1 else "sequence", io.StringIO()
    options = f"--frames {frames} --masks index --format png --size {size} --jobs 1".split()
    with tempfile.TemporaryDirectory() as folder:
        patient, master = Path(folder, "database", "patient0001"), Path(folder, "master")
        patient.mkdir(parents=True)
        for key, data in files.items():  # compressed or not, whatever the name says
            (patient / f"{name}{key}.nii.gz").write_bytes(data)
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            code = generator.main([str(patient.parent), str(master), *options])
        lines = [line for line in errors.getvalue().splitlines() if "apex is on top" not in line]
        assert [line.partition(": ")[0] for line in lines] == [name] * code, lines
        paths = {"": sorted(master.glob("images/*")), "_gt": sorted(master.glob("masks/*"))}
        pair = {key: [cv2.imread(str(path), -1) for path in paths[key]] for key in paths}
    return {} if code else {key: np.array(pictures) for key, pictures in pair.items()}


def read(data: bytes) -> tuple[npt.NDArray[Any], list[float], tuple[str | None, ...]]:
    """What nibabel reads: frames, spacing in x and y (mm), and where x and y point, if known."""
    if data.startswith(b"\x1f\x8b"):
        inflater = zlib.decompressobj(31)  # verifies the checksum, which nibabel does not
        data = inflater.decompress(data)
        assert inflater.eof and not inflater.unused_data.strip(b"\0"), "not one gzip stream"
    spacing = np.abs(nib.Nifti1Header(data[:348], check=False)["pixdim"][1:3]).tolist()
    header: Any = nib.Nifti1Header.from_fileobj(io.BytesIO(data))
    header["vox_offset"] = header["vox_offset"] or 352  # 0: not filled in
    scan: Any = ArrayProxy(io.BytesIO(data), header)
    assert len(data) == scan.offset + scan.get_unscaled().nbytes, "more data"
    axes: tuple[str | None, ...] = (None,)
    with contextlib.suppress(ValueError):  # directions that cannot be
        if header["sform_code"] or header["qform_code"]:
            axes = nib.aff2axcodes(header.get_best_affine())[:2]
    return np.asarray(scan, float).reshape(*scan.shape[:2], -1).T, spacing, axes


@np.errstate(all="ignore")
def check(files: dict[str, bytes], pair: Pair, size: int) -> None:
    """Raise an error unless a pair may be converted and the pictures show what nibabel reads."""
    (images, spacing, axes), (masks, mask_spacing, mask_axes) = read(files[""]), read(files["_gt"])
    labels = np.rint(masks)
    assert images.shape == masks.shape, "a mask of another shape"
    assert images.min() > -0.0011 and images.max() < 255.0011, "an image that is not 8-bit gray"
    assert images.max((1, 2)).min() >= 32 and labels.any((1, 2)).all(), "an empty frame"
    assert np.abs(masks - labels).max() <= 0.001 and np.isin(labels, range(4)).all(), "no labels"
    if mask_spacing != [1, 1] and all(mm > 0 for mm in mask_spacing):  # else it says nothing
        assert np.allclose(mask_spacing, spacing, rtol=0.002), "a mask of another spacing"
        assert mask_axes == axes or None in mask_axes + axes, "a mask of another orientation"
    height, width = images.shape[1:]
    sides = spacing[0] * width, spacing[1] * height
    assert min(sides) >= 20 and max(sides) <= 400, "an image of another size in mm"
    columns, rows = (max(1, int(size * side / max(sides) + 0.5)) for side in sides)
    margins = [((size - n) // 2, (size - n + 1) // 2) for n in (rows, columns)]
    tolerance = 0 if (columns, rows) == (width, height) else 1  # gray levels
    smaller = min(columns, width), min(rows, height)
    for image, label, gray, mask in zip(images, labels, pair[""], pair["_gt"], strict=True):
        image = cv2.resize(np.rint(image).astype("f4"), smaller, interpolation=cv2.INTER_AREA)
        image = cv2.resize(np.rint(image), (columns, rows), interpolation=cv2.INTER_CUBIC)
        image = np.pad(np.rint(image).clip(0, 255), margins)
        assert np.abs(image - gray).max() <= tolerance, "other pixels in an image"
        label = cv2.resize(label, (columns, rows), interpolation=cv2.INTER_NEAREST_EXACT)
        assert np.array_equal(np.pad(label, margins), mask), "other pixels in a mask"


def show_that_it_can_fail(name: str, size: int) -> None:
    """Check an undamaged pair, and see that other pictures in its place are called wrong."""
    files, rng = undamaged(nib.Nifti1Image, "<f4", FRAMES[name]), np.random.default_rng(1)
    pair = convert(files, name, size)
    check(files, pair, size)
    for key, right in pair.items():
        turned = [right[:, ::-1], right[:, :, ::-1], right.swapaxes(1, 2)]
        shifted = [np.roll(right, 1, axis) for axis in (1, 2)]
        for wrong in (0 * right, rng.permuted(right, axis=2), *turned, *shifted):
            with contextlib.suppress(AssertionError):
                check(files, {**pair, key: wrong}, size)
                raise SystemExit("this test is of no use: it takes wrong pictures for right ones")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0, help="of the first pair; then one more each")
    parser.add_argument("--without-isal", action="store_true", help="inflate with zlib")
    args = parser.parse_args()
    nifti.inflate = zlib if args.without_isal else nifti.inflate
    nib.imageglobals.logger.disabled = True
    outcomes = {"converted, every pixel right": 0, "refused in one line": 0, "WRONG": 0}
    for name, size in [(name, size) for name in FRAMES for size in SIZES]:
        show_that_it_can_fail(name, size)
    for seed in range(args.seed, args.seed + args.count):
        rng = random.Random(seed)
        name, size, outcome = rng.choice([*FRAMES]), rng.choice(SIZES), "refused in one line"
        files = damaged_pair(rng, FRAMES[name])
        try:
            if pair := convert(files, name, size):
                outcome = "converted, every pixel right"
                check(files, pair, size)
        except Exception as error:
            print(f"--seed {seed} --count 1: {error!r}")
            outcome = "WRONG"
        outcomes[outcome] += 1
    print(f"{args.count} damaged pairs, inflated with {nifti.inflate.__name__}: {outcomes}")
    return 1 if outcomes["WRONG"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
