"""Reading: the right pixels from every legal file, a reason for every other."""

import gzip
import zlib
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

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
MIRRORED = np.diag([5.0, -5, 1, 1])


@pytest.fixture(params=dict.fromkeys([zlib, nifti.inflate]), autouse=True)
def _with_zlib_and_with_isal(request: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(nifti, "inflate", request.param)


def scan(data: bytes, sides: Any = nifti.SIDES) -> Scan:
    Path("x.nii").write_bytes(data)
    with np.errstate(invalid="ignore"):
        return nifti.read(Path("x.nii"), lambda values: values.astype(np.uint8), sides)


@pytest.mark.parametrize(("data", "expected"), [
    (GOOD, FRAME), (build.nifti(FRAME, "u1"), FRAME), (build.nifti(FRAME, ">f4"), FRAME),
    (build.nifti(FRAME, scl_slope=np.nan, scl_inter=np.nan), FRAME),  # as in the release
    (build.nifti(FRAME, "<i2", scl_slope=0), FRAME),  # which means no scaling
    (build.nifti(FRAME, "<i2", scl_slope=2, scl_inter=3), FRAME * 2 + 3),
    (build.nifti(FRAME, vox_offset=0), FRAME),
    (build.nifti(FRAME, vox_offset=464)[:348] + bytes(116) + GOOD[352:], FRAME),  # an extension
    (build.nifti(FRAME, pixdim=[1, -5, -5, 1, 1, 1, 1, 1]), FRAME),
    (build.nifti(FRAME[None]), FRAME),  # a third axis of one frame
    (build.nifti([FRAME, FRAME[::-1], FRAME + 9]), [FRAME, FRAME[::-1], FRAME + 9]),
    (build.nifti(np.stack([FRAME, FRAME + 9])[:, None]), [FRAME, FRAME + 9]),  # fourth axis
])  # fmt: skip
@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_legal_files(data: bytes, packed: Any, expected: Any) -> None:
    """Whether a file is compressed is told by its content, whatever it is called."""
    found = scan(packed(data))
    assert np.array_equal(found.frames, np.reshape(expected, (-1, 5, 7)))
    assert found.spacing == (5, 5) and found.axes == "LP"


@pytest.mark.parametrize(("data", "reason"), [
    (b"", "is not a NIfTI-1 file, it begins with b'': download it again"),
    (b"<!DOCTYPE html><title>Log in", r"is not a NIfTI-1 file, it begins with b'<!DOCTYPE html>"),
    (gzip.compress(ZIPPED), "is compressed twice: decompress it once"),
    (build.nifti(FRAME, magic=b"ni1"), "is not a NIfTI-1 file, it begins with "),
    (GOOD[:-1], "is cut short: download it again"),
    (GOOD + b"\0", "holds more data than its header announces"),
    (build.nifti(FRAME, dim=[2, 30000, 30000, 1, 1, 1, 1, 1]), "has a header that announces more"),
    (build.nifti(FRAME, dim=[2, -7, 5, 1, 1, 1, 1, 1]), "has -7 x 5 values, not width x height"),
    (build.nifti(FRAME, dim=[2, 7, 0, 1, 1, 1, 1, 1]), "has 7 x 0 values, not width x height"),
    (build.nifti(np.zeros((2, 3, 5, 7))), "has 7 x 5 x 3 x 2 values, not width x height"),
    (build.nifti(FRAME, datatype=128, bitpix=24), "holds RGB, not gray values or labels"),
    (build.nifti(FRAME, "<c8"), "holds complex64, not gray values or labels"),
    (build.nifti(FRAME, vox_offset=348), "has an unusable header"),
    (build.nifti(FRAME, vox_offset=np.nan), "has a header that announces more data than"),
    (build.nifti(FRAME, "<i2", scl_slope=1, scl_inter=np.inf), "has an unusable header"),
    (build.nifti(FRAME, sform_code=0, qform_code=1, quatern_b=2), "has an unusable header"),
    (ZIPPED[:-1], "is cut short: download it again"),
    (ZIPPED[:-8] + bytes(8), "is damaged, its gzip stream is corrupt"),
    (gzip.compress(GOOD[:400]) + gzip.compress(GOOD[400:]), "holds more data than a gzip file, or"),
    (ZIPPED + b"garbage", "holds more data than a gzip file, or several of them"),
    (gzip.compress(GOOD + bytes(50_000_000)), "holds more data than its header"),  # a bomb of zeros
    (build.nifti(build.IMAGE, spacing=(25.05, 2)), "would be 401 x 20 mm: the header has lost its"),
    (build.nifti(build.IMAGE, spacing=(25, 1.99)), "would be 400 x 19.9 mm"),
    (build.nifti(np.zeros((40, 389, 3)), spacing=(0.308, 0.308)), "would be 0.924 x 120 mm"),
    (build.nifti(FRAME, pixdim=[1, 5, np.nan, 1, 1, 1, 1, 1]), "would be 35 x nan mm"),
])  # fmt: skip
def test_bad_files(data: bytes, reason: str) -> None:
    with pytest.raises(PairError, match=f"^x.nii {reason}"):
        scan(data)


def test_the_largest_and_the_smallest_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for spacing in ((25, 2), (1.25, 40)):  # 400 x 20 and 20 x 400 mm
        scan(build.nifti(build.IMAGE, spacing=spacing))
    for name, most in (("LARGEST_FILE", len(GOOD)), ("LARGEST", 352)):  # 352: its vox_offset
        with monkeypatch.context() as patch:
            patch.setattr(nifti, name, most)
            scan(GOOD)
            patch.setattr(nifti, name, most - 1)
            with pytest.raises(PairError, match="larger than any ech|announces more data than any"):
                scan(GOOD)


def test_every_flipped_bit_of_a_gzip_file_is_refused_or_harmless() -> None:
    assert np.array_equal(scan(ZIPPED + bytes(512)).frames, [FRAME])  # which is padding
    harmless = 0
    for bit in range(8 * len(ZIPPED)):
        damaged = bytearray(ZIPPED)
        damaged[bit // 8] ^= 1 << bit % 8
        with suppress(PairError):
            assert np.array_equal(scan(bytes(damaged)).frames, [FRAME])
            harmless += 1
    assert harmless <= 80  # of the ten bytes of gzip's header, some bits are free


def header(affine: Any, code: int = 1, x: float = 5, y: float = 5) -> Scan:
    """A file with this affine; code 0 says that the header knows no directions."""
    rows = dict(zip(("srow_x", "srow_y", "srow_z"), affine, strict=False))
    pixdim = [1, x, y, 1, 1, 1, 1, 1]
    return scan(build.nifti(FRAME, pixdim=pixdim, sform_code=code, qform_code=0, **rows), None)


@pytest.mark.parametrize(("mask", "image", "said"), [
    ((RELEASE, 1, 5.004, 4.996), (RELEASE, 1), ""),
    ((RELEASE, 1, 5, 4.994), (RELEASE, 1), "pixels of 5 x 4.994 mm in the mask, 5 x 5 mm in the"),
    ((RELEASE, 1, 1, 5), (RELEASE, 1), "pixels of 1 x 5 mm in the mask, 5 x 5 mm in the image"),
    ((MIRRORED, 1), (RELEASE, 1), "the mask has the orientation RP, the image LP: see the README"),
    ((RELEASE[[1, 0, 2, 3]], 1), (RELEASE, 1), "the mask has the orientation PL, the image LP"),
    ((MIRRORED, 1), (RELEASE, 0), ""), ((RELEASE, 0), (MIRRORED, 1), ""),  # one says nothing
    ((np.eye(4), 2, 1, 1), (RELEASE, 1), ""),  # as NumPy users write it: the header says nothing
    ((RELEASE, 0, 5, 0), (RELEASE, 1), ""),  # not filled in
    ((np.full((4, 4), np.nan), 1, np.nan), (RELEASE, 1), ""), ((0 * RELEASE, 1), (RELEASE, 1), ""),
])  # fmt: skip
def test_a_mask_lies_on_the_grid_of_its_image(mask: Any, image: Any, said: str) -> None:
    with pytest.raises(PairError, match=said) if said else nullcontext():
        nifti.check_same_grid(header(*mask), header(*image))


def test_simpleitk_reads_the_same() -> None:
    """An independent reader agrees on pixels, their order and their spacing."""
    data = build.nifti([FRAME, FRAME[::-1]], "<i2", spacing=(4, 6), scl_slope=2, scl_inter=7)
    found, theirs = scan(data), SimpleITK.ReadImage("x.nii")
    assert np.array_equal(found.frames, SimpleITK.GetArrayFromImage(theirs))
    assert found.spacing == pytest.approx(theirs.GetSpacing()[:2])  # type: ignore[no-untyped-call]
