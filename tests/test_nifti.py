"""Reading: the right pixels from every legal file, a reason for every other."""

import gzip
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from camus import PairError, nifti
from camus.nifti import Scan

from . import build

FRAME = np.arange(35).reshape(5, 7)  # 7 wide, 5 high
GOOD = build.nifti(FRAME)
ZIPPED = gzip.compress(GOOD)
RELEASE = np.diag([-5.0, -5, 1, 1])

# The standard library's zlib, and isal's if it is installed
INFLATERS = [zlib] if nifti.inflate is zlib else [zlib, nifti.inflate]


@pytest.fixture(params=INFLATERS, ids=lambda module: str(module.__name__), autouse=True)
def _each_inflater(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nifti, "inflate", request.param)


def scan(data: bytes, compress: bool = False, sides: Any = None) -> Scan:
    Path("x.nii").write_bytes(gzip.compress(data) if compress else data)
    with np.errstate(invalid="ignore"):
        return nifti.read(Path("x.nii"), lambda values: values.astype(np.uint8), sides)


def with_extension() -> bytes:
    """A NIfTI with 112 bytes of comment between its header and its pixels."""
    image = nib.nifti1.Nifti1Image.from_bytes(GOOD)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 100))
    return bytes(image.to_bytes())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (GOOD, FRAME),
        (build.nifti(FRAME, scl_slope=np.nan, scl_inter=np.nan), FRAME),  # as in the release
        (build.nifti(FRAME, "<i2", scl_slope=0), FRAME),  # which means no scaling
        (build.nifti(FRAME, "<i2", scl_slope=2, scl_inter=3), FRAME * 2 + 3),
        (build.nifti(FRAME, "u1"), FRAME),
        (build.nifti(FRAME, ">f4"), FRAME),
        (build.nifti(FRAME, vox_offset=0), FRAME),
        (with_extension(), FRAME),
        (build.nifti(FRAME[None]), FRAME),  # a third axis of one frame
        (build.nifti([FRAME, FRAME[::-1], FRAME + 9]), [FRAME, FRAME[::-1], FRAME + 9]),
        (build.nifti(np.stack([FRAME, FRAME + 9])[:, None]), [FRAME, FRAME + 9]),  # fourth axis
    ],
)
@pytest.mark.parametrize("compress", [False, True])
def test_legal_files(data: bytes, compress: bool, expected: Any) -> None:
    """Whether a file is compressed is told by its content, whatever it is called."""
    found = scan(data, compress)
    assert np.array_equal(found.frames, np.reshape(expected, (-1, 5, 7)))
    assert found.spacing == (5, 5) and found.axes == "LP"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is not a NIfTI-1 file, it begins with b''"),
        (b"\n<!DOCTYPE html><title>Log in</title>", r"not a NIfTI-1 file, it begins with .*<!DOC"),
        (gzip.compress(ZIPPED), "is compressed twice"),
        (build.nifti(FRAME, magic=b"ni1"), "is not a NIfTI-1 file"),
        (nib.nifti2.Nifti2Image(FRAME.astype("f4"), np.eye(4)).to_bytes(), "not a NIfTI-1 file"),
        (GOOD[:-1], "is cut short"),
        (GOOD + b"\0", "more data"),
        (build.nifti(FRAME, dim=[2, 7, 6, 1, 1, 1, 1, 1]), "is cut short"),
        (build.nifti(FRAME, dim=[2, 30000, 30000, 1, 1, 1, 1, 1]), "announces more data than"),
        (build.nifti(FRAME, dim=[2, -7, 5, 1, 1, 1, 1, 1]), "has -7 x 5 values"),
        (build.nifti(np.zeros((2, 3, 5, 7))), "has 7 x 5 x 3 x 2 values"),
        (build.nifti(FRAME, datatype=3), "unusable header"),
        (build.nifti(FRAME, datatype=128, bitpix=24), "holds RGB, not gray values"),
        (build.nifti(FRAME, vox_offset=348), "unusable header"),
        (build.nifti(FRAME, vox_offset=np.nan), "announces more data than"),
        (build.nifti(FRAME, "<i2", scl_slope=1, scl_inter=np.inf), "unusable header"),
        (build.nifti(FRAME, sform_code=0, qform_code=1, quatern_b=2), "unusable header"),
        (ZIPPED[:-1], "is cut short"),
        (ZIPPED[:-8] + bytes(8), "gzip stream is corrupt"),
        (gzip.compress(GOOD[:400]) + gzip.compress(GOOD[400:]), "or several of them"),
        (ZIPPED + b"garbage", "more data"),
        (gzip.compress(GOOD + bytes(50_000_000)), "more data"),  # a bomb of zeros
    ],
)
def test_bad_files(data: bytes, reason: str) -> None:
    with pytest.raises(PairError, match=f"^x.nii .*({reason})"):
        scan(data)


def test_every_flipped_bit_of_a_gzip_file_is_refused_or_harmless() -> None:
    assert np.array_equal(scan(ZIPPED + bytes(512)).frames, [FRAME])  # which is padding
    refused = 0
    for bit in range(8 * len(ZIPPED)):
        damaged = bytearray(ZIPPED)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            assert np.array_equal(scan(bytes(damaged)).frames, [FRAME])
        except PairError:
            refused += 1
    assert refused > 0.9 * 8 * (len(ZIPPED) - 10)  # some bits of gzip's ten-byte header are free


@pytest.mark.parametrize(
    ("spacing", "frames", "reason"),
    [
        ((1, 1), np.zeros((389, 549)), "would be 549 x 389 mm: the header has lost its pixel size"),
        ((0.308, 0.308), np.zeros((40, 389, 3)), "would be 0.924 x 120 mm"),  # time is first
        ((0.000308, 0.000308), np.zeros((389, 549)), "would be 0.169 x 0.12 mm"),  # metres
        ((5, np.nan), FRAME, "would be 35 x nan mm"),
    ],
)
def test_an_image_has_a_possible_size(spacing: Any, frames: Any, reason: str) -> None:
    data = build.nifti(frames, pixdim=[1, *spacing, 1, 1, 1, 1, 1])
    scan(data)
    with pytest.raises(PairError, match=reason):
        scan(data, sides=nifti.SIDES)


def mask(affine: Any, code: int = 1, spacing: float = 5) -> Scan:
    """A mask with this affine; code 0 says that the header knows no directions."""
    pixdim = [1, spacing, spacing, 1, 1, 1, 1, 1]
    rows = dict(zip(("srow_x", "srow_y", "srow_z"), np.asarray(affine)[:3], strict=True))
    return scan(build.nifti(FRAME, pixdim=pixdim, sform_code=code, qform_code=0, **rows))


@pytest.mark.parametrize(
    ("affine", "code", "spacing"),
    [
        (RELEASE, 1, 5),
        (RELEASE, 0, 5),  # a header that gives the size of a pixel alone
        (np.eye(4), 2, 1),  # as NumPy users write it: the header says nothing
        (np.diag([-1, -1, 1, 1]), 1, 1),  # as SimpleITK writes it when it is told nothing
        (RELEASE, 0, 0),  # a header that is not filled in
        (np.full((4, 4), np.nan), 1, np.nan),
    ],
)
def test_a_mask_on_the_grid_of_its_image(affine: Any, code: int, spacing: float) -> None:
    nifti.check_same_grid(mask(affine, code, spacing), scan(GOOD))


@pytest.mark.parametrize("frames", [FRAME[:4], FRAME[:, :6], [FRAME, FRAME]])
def test_a_mask_of_another_shape(frames: Any) -> None:
    with pytest.raises(PairError, match=r"the mask has . x . pixels in . frames, the image 7 x 5"):
        nifti.check_same_grid(scan(build.nifti(frames)), scan(GOOD))


def test_simpleitk_reads_the_same() -> None:
    """An independent reader agrees on pixels, their order and their spacing."""
    data = build.nifti([FRAME, FRAME[::-1]], "<i2", spacing=(4, 6), scl_slope=2, scl_inter=7)
    found, theirs = scan(data), SimpleITK.ReadImage("x.nii")
    assert np.array_equal(found.frames, SimpleITK.GetArrayFromImage(theirs))
    spacing: Any = theirs.GetSpacing()  # type: ignore[no-untyped-call]
    assert found.spacing == pytest.approx(spacing[:2])
