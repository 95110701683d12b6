"""Reading: the right pixels from every legal file, a reason for every other."""

import gzip
import os
import sys
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from camus import nifti
from camus.errors import PairError
from camus.nifti import Grid

from . import build
from .build import IMAGE

SMALL = np.arange(35).reshape(5, 7)  # 7 wide, 5 high


# The standard library's zlib, and isal's if it is installed
INFLATERS = [zlib] if nifti.inflate is zlib else [zlib, nifti.inflate]


@pytest.fixture(params=INFLATERS, ids=lambda module: str(module.__name__), autouse=True)
def _each_inflater(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nifti, "inflate", request.param)


def with_extension() -> bytes:
    """A NIfTI with 112 bytes of comment between its header and its pixels."""
    image = nib.nifti1.Nifti1Image.from_bytes(build.nifti(SMALL))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 100))
    return bytes(image.to_bytes())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (build.nifti(SMALL), SMALL),
        (build.nifti(SMALL, scl_slope=np.nan, scl_inter=np.nan), SMALL),  # as in the release
        (build.nifti(SMALL, "<i2", scl_slope=0), SMALL),  # which means no scaling
        (build.nifti(SMALL, "<i2", scl_slope=2, scl_inter=3), SMALL * 2 + 3),
        (build.nifti(SMALL, "u1"), SMALL),
        (build.nifti(SMALL, "<f8"), SMALL),
        (build.nifti(SMALL, ">f4"), SMALL),
        (build.nifti(SMALL, ">i2", scl_slope=0.5), SMALL * 0.5),
        (build.nifti(SMALL, version=nib.Nifti2Image), SMALL),
        (build.nifti(SMALL, ">f4", version=nib.Nifti2Image), SMALL),
        (build.nifti(SMALL, vox_offset=0), SMALL),
        (build.nifti(SMALL, pixdim=[-1, 0.308, 0.308, 1, 1, 1, 1, 1]), SMALL),
        (build.nifti(SMALL, pixdim=[1, 0.308, -0.308, 1, 1, 1, 1, 1]), SMALL),
        (with_extension(), SMALL),
        (build.nifti(SMALL[None]), SMALL),  # a third axis of one frame
        (build.nifti(SMALL, spacing=(308, 308), xyzt_units=3), SMALL),  # micrometres
        (build.nifti(SMALL, spacing=(0.000308, 0.000308), xyzt_units=1), SMALL),  # metres
    ],
)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("compressed", [False, True])
def test_legal_files(suffix: str, compressed: bool, data: bytes, expected: Any) -> None:
    """Whether a file is compressed is told by its content, whatever it is called."""
    path = Path(f"x{suffix}")
    path.write_bytes(gzip.compress(data) if compressed else data)
    grid, values = nifti.read(path)
    assert np.array_equal(values, [expected])
    assert grid[:3] == (7, 5, 1)
    assert grid.spacing == pytest.approx((0.308, 0.308))


@pytest.mark.parametrize("axis", [1, 2])  # time as the third axis, and as the fourth
def test_sequences_are_read_frame_by_frame(axis: int) -> None:
    frames = np.arange(3 * 5 * 7).reshape(3, 5, 7)
    data = build.nifti(frames if axis == 1 else frames[:, None])
    grid, values = nifti.read(build.write(Path("x.nii.gz"), data))
    assert np.array_equal(values, frames)
    assert grid[:3] == (7, 5, 3)


@pytest.mark.parametrize("chunk", [1, 7, nifti.CHUNK])
@pytest.mark.parametrize("border", [0, 100, 348, 352, 353, 352 + 4 * SMALL.size])
def test_several_gzip_members_are_one_stream(
    chunk: int, border: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nifti, "CHUNK", chunk)
    data = build.nifti(SMALL)
    path = Path("x.nii.gz")
    zeros = bytes(512)  # which gzip files may end with
    path.write_bytes(gzip.compress(data[:border]) + gzip.compress(data[border:]) + zeros)
    assert np.array_equal(nifti.read(path)[1], [SMALL])


GOOD = build.nifti(SMALL)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"\x89PNG" + bytes(1000), "is not a NIfTI file but a PNG picture"),
        (b"\n<!DOCTYPE html><title>Log in</title>", "but a web page"),
        (b"/annex/objects/SHA256E-s1--2.nii.gz\n", "but a git-annex pointer"),
        (GOOD[:347], "ends within its header"),
        (build.nifti(SMALL, version=nib.Nifti2Image)[:500], "ends within its header"),
        (build.nifti(SMALL, magic=b"ni1"), "not a one-file NIfTI"),
        (GOOD[:-1], "less data"),
        (GOOD + b"\0", "more data"),
        (build.nifti(SMALL, dim=[2, 7, 6, 1, 1, 1, 1, 1]), "less data"),
        (build.nifti(SMALL, dim=[2, 7, 4, 1, 1, 1, 1, 1]), "more data"),
        (build.nifti(SMALL, dim=[2, 30000, 30000, 1, 1, 1, 1, 1]), "more than any"),
        (build.nifti(SMALL, dim=[3, 700, 500, 1000, 1, 1, 1, 1]), "more than any"),
        (build.nifti(SMALL, dim=[0, 7, 5, 1, 1, 1, 1, 1]), "impossible dimensions"),
        (build.nifti(SMALL, dim=[8, 7, 5, 1, 1, 1, 1, 1]), "impossible dimensions"),
        (build.nifti(SMALL, dim=[2, -7, 5, 1, 1, 1, 1, 1]), "impossible dimensions"),
        # 2 in the other byte order, which the size of the header alone tells
        (build.nifti(SMALL, dim=[512, 7, 5, 1, 1, 1, 1, 1]), "impossible dimensions"),
        (build.nifti(SMALL, dim=[1, 35, 1, 1, 1, 1, 1, 1]), "has the dimensions 35"),
        (build.nifti(np.zeros((2, 3, 5, 7))), "has the dimensions 7 x 5 x 3 x 2"),
        (build.nifti(np.zeros((3, 1, 1, 5, 7))), "has the dimensions 7 x 5 x 1 x 1 x 3"),  # colours
        (build.nifti(SMALL, xyzt_units=7), "unknown unit"),
        (build.nifti(SMALL, datatype=3), "unknown data type"),
        (build.nifti(SMALL, datatype=128, bitpix=24), "stores colours"),
        (build.nifti(SMALL, "<c8"), "stores complex64"),
        (build.nifti(SMALL, bitpix=16), "16 bits"),
        (build.nifti(SMALL, vox_offset=348), "impossible data offset"),
        (build.nifti(SMALL, vox_offset=352.5), "impossible data offset"),
        (build.nifti(SMALL, vox_offset=np.nan), "impossible data offset"),
        (build.nifti(SMALL, vox_offset=1e30), "impossible data offset"),
        (build.nifti(SMALL, "<i2", scl_slope=1, scl_inter=np.inf), "unusable header"),
    ],
)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_bad_files(suffix: str, data: bytes, reason: str) -> None:
    with pytest.raises(PairError, match=reason):
        nifti.read(build.write(Path(f"x{suffix}"), data))


def test_every_flipped_bit_of_a_gzip_file_is_refused_or_harmless() -> None:
    path = build.write(Path("x.nii.gz"), GOOD)
    undamaged, refused = path.read_bytes(), 0
    for bit in range(8 * len(undamaged)):
        damaged = bytearray(undamaged)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            assert np.array_equal(nifti.read(path)[1], [SMALL])
        except PairError:
            refused += 1
    assert refused > 0.9 * 8 * (len(undamaged) - 10)  # some bits of gzip's ten-byte header are free


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: gzip.compress(data)[:30], "cut short"),
        (lambda data: gzip.compress(data)[:-9], "cut short"),
        (lambda data: gzip.compress(data)[:-1], "cut short"),
        (lambda data: gzip.compress(data)[:-8] + bytes(8), "corrupt gzip stream"),
        (lambda data: gzip.compress(data) + b"garbage", "corrupt gzip stream|cut short"),
        (lambda data: gzip.compress(data + b"\0"), "more data"),
        (lambda data: 2 * gzip.compress(data), "more data"),
    ],
)
def test_a_file_bad_at_its_very_end_is_refused(damage: Any, reason: str) -> None:
    path = Path("x.nii.gz")
    path.write_bytes(damage(GOOD))
    with pytest.raises(PairError, match=reason):
        nifti.read(path)


def test_what_is_no_file_is_named() -> None:
    Path("link").symlink_to("objects/gone")
    Path("folder").mkdir()
    reasons = {"gone": "is not a file", "link": "is a broken link", "folder": "is not a file"}
    if sys.platform != "win32":
        os.mkfifo(Path("fifo"))
        reasons["fifo"] = "is not a file"
    for name, reason in reasons.items():
        with pytest.raises(PairError, match=reason):
            nifti.read(Path(name))


def grid_of(affine: Any, code: int = 1, spacing: float = 0.308) -> Grid:
    """The grid of a file with this affine; code 0 says that the header knows no directions."""
    affine = np.asarray(affine, float)
    fields = {name: affine[row] for row, name in enumerate(("srow_x", "srow_y", "srow_z"))}
    pixdim = [1, spacing, spacing, 1, 1, 1, 1, 1]
    data = build.nifti(SMALL, pixdim=pixdim, sform_code=code, qform_code=0, **fields)
    return nifti.read(build.write(Path("x.nii"), data))[0]


@pytest.mark.parametrize(
    ("pixels", "spacing", "reason"),
    [
        (SMALL, 0, "impossible pixel spacing in the header: 0 x 0.308"),
        (SMALL, 3e-4, "impossible pixel spacing in the header: 0.0003 x"),
        (SMALL, 308, "impossible pixel spacing in the header: 308 x"),
        (SMALL, np.nan, "impossible pixel spacing in the header: nan x"),
        (SMALL, np.inf, "impossible pixel spacing in the header: inf x"),
        (np.zeros((60, 50, 5)), 0.308, "5 x 50 pixels: is time not the last axis"),
    ],
)
def test_an_image_has_a_possible_grid(pixels: Any, spacing: float, reason: str) -> None:
    data = build.nifti(pixels, pixdim=[1, spacing, 0.308, 1, 1, 1, 1, 1])
    grid = nifti.read(build.write(Path("x.nii"), data))[0]
    with pytest.raises(PairError, match=reason):
        nifti.check_image_grid(grid)


RELEASE = np.diag([-0.308, -0.308, 1, 1])


@pytest.mark.parametrize(
    ("affine", "code", "spacing"),
    [
        (RELEASE, 1, 0.308),
        (RELEASE, 0, 0.308),  # a header that gives the size of a pixel alone
        (np.eye(4), 2, 1),  # as NumPy users write it: the header says nothing
        (np.diag([-1, -1, 1, 1]), 1, 1),  # as SimpleITK writes it when it is told nothing
        (RELEASE, 0, 0),  # a header that is not filled in
        (np.diag([0, 0, 0, 1]), 1, 1),
        (np.full((4, 4), np.nan), 1, np.nan),
    ],
)
def test_a_mask_on_the_grid_of_its_image(affine: Any, code: int, spacing: float) -> None:
    image = grid_of(RELEASE)
    nifti.check_same_grid(grid_of(affine, code, spacing), image)


@pytest.mark.parametrize(
    ("affine", "spacing", "reason"),
    [
        (np.diag([0.308, 0.308, 1, 1]), 0.308, "another orientation"),
        (np.diag([-0.308, 0.308, 1, 1]), 0.308, "another orientation"),
        (RELEASE[[1, 0, 2, 3]], 0.308, "another orientation"),
        (np.diag([-0.5, -0.5, 1, 1]), 0.5, "has pixels of 0.5 x 0.5 mm, its image 0.308 x 0.308"),
    ],
)
def test_a_mask_on_another_grid(affine: Any, spacing: float, reason: str) -> None:
    image = grid_of(RELEASE)
    with pytest.raises(PairError, match=reason):
        nifti.check_same_grid(grid_of(affine, 1, spacing), image)


@pytest.mark.parametrize(
    "data",
    [
        build.nifti(IMAGE),
        build.nifti(IMAGE, ">f4"),
        build.nifti(IMAGE, "<i2", scl_slope=0.5, scl_inter=7),
        build.nifti(IMAGE, "<f8", spacing=(0.2, 0.4)),
        build.nifti(IMAGE, pixdim=[-1, 0.308, 0.308, 1, 1, 1, 1, 1]),
        build.nifti(np.stack([IMAGE, IMAGE[::-1]])),
    ],
)
def test_simpleitk_reads_the_same(data: bytes) -> None:
    """An independent reader agrees on pixels, their order and their spacing."""
    path = build.write(Path("x.nii.gz"), data)
    theirs = SimpleITK.ReadImage(str(path))
    grid, values = nifti.read(path)
    pixels = np.asarray(SimpleITK.GetArrayFromImage(theirs))
    assert np.array_equal(values, pixels.reshape(-1, *pixels.shape[-2:]))
    spacing: Any = theirs.GetSpacing()  # type: ignore[no-untyped-call]
    assert grid.spacing == pytest.approx(spacing[:2])
