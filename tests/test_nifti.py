"""Reading: the right pixels from every legal file, a reason for every other."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from generator import nifti
from generator.nifti import BadFileError, Grid

from . import build


def read(path: Path) -> tuple[Any, Grid]:
    """The pixels, (height, width) or (frames, height, width), and the grid."""
    with nifti.opened(path) as (grid, frames):
        return np.squeeze(np.stack(list(frames))), grid


def grid_of(path: Path) -> Grid:
    with nifti.opened(path) as (grid, _):
        return grid


SMALL = np.arange(35).reshape(5, 7)  # 7 wide, 5 high


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("float32", build.nifti(SMALL), SMALL),
        (
            "NaN slope as in the release",
            build.nifti(SMALL, scl_slope=np.nan, scl_inter=np.nan),
            SMALL,
        ),
        ("zero slope means none", build.nifti(SMALL, "<i2", scl_slope=0), SMALL),
        ("int16", build.nifti(SMALL, "<i2"), SMALL),
        (
            "int16, slope and intercept",
            build.nifti(SMALL, "<i2", scl_slope=2, scl_inter=3),
            SMALL * 2 + 3,
        ),
        ("uint8", build.nifti(SMALL, "u1"), SMALL),
        ("float64", build.nifti(SMALL, "<f8"), SMALL),
        ("big-endian", build.nifti(SMALL, ">f4"), SMALL),
        ("big-endian int16, slope", build.nifti(SMALL, ">i2", scl_slope=0.5), SMALL * 0.5),
        ("NIfTI-2", build.nifti(SMALL, version=nib.Nifti2Image), SMALL),
        ("big-endian NIfTI-2", build.nifti(SMALL, ">f4", version=nib.Nifti2Image), SMALL),
        ("offset 0", build.nifti(SMALL, vox_offset=0), SMALL),
        ("negative qfac", build.nifti(SMALL, pixdim=[-1, 0.308, 0.308, 1, 1, 1, 1, 1]), SMALL),
        ("singleton third axis", build.nifti(SMALL[None]), SMALL),
        ("micrometres", build.nifti(SMALL, spacing=(308, 308), xyzt_units=3), SMALL),
        ("metres", build.nifti(SMALL, spacing=(0.000308, 0.000308), xyzt_units=1), SMALL),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_legal_files(tmp_path: Path, suffix: str, name: str, data: bytes, expected: Any) -> None:
    pixels, grid = read(build.write(tmp_path / f"x{suffix}", data))
    assert np.array_equal(pixels, expected)
    assert grid.shape == (7, 5)
    assert grid.spacing == pytest.approx((0.308, 0.308))
    assert grid_of(tmp_path / f"x{suffix}") == grid


def test_sequence_comes_frames_first(tmp_path: Path) -> None:
    frames = np.arange(3 * 5 * 7).reshape(3, 5, 7)
    pixels, grid = read(build.write(tmp_path / "x.nii.gz", build.nifti(frames)))
    assert np.array_equal(pixels, frames)
    assert grid.shape == (7, 5, 3)


def test_header_extension_is_skipped(tmp_path: Path) -> None:
    image = nib.Nifti1Image(SMALL.T.astype(np.float32), np.eye(4))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 100))
    pixels, _ = read(build.write(tmp_path / "x.nii.gz", image.to_bytes()))
    assert np.array_equal(pixels, SMALL)


def test_c_order_input_is_read_as_written(tmp_path: Path) -> None:
    for order in "CF":
        array = np.array(SMALL.T, np.float32, order=order)  # type: ignore[call-overload]
        data = nib.Nifti1Image(array, np.eye(4)).to_bytes()
        assert np.array_equal(read(build.write(tmp_path / "x.nii", data))[0], SMALL)


@pytest.mark.parametrize("chunk", [1, 7, nifti.CHUNK])
@pytest.mark.parametrize("border", [0, 100, 348, 352, 353, 352 + 4 * SMALL.size])
def test_several_gzip_members_are_one_stream(
    chunk: int, border: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nifti, "CHUNK", chunk)
    data = build.nifti(SMALL)
    path = tmp_path / "x.nii.gz"
    path.write_bytes(gzip.compress(data[:border]) + gzip.compress(data[border:]))
    assert np.array_equal(read(path)[0], SMALL)


GOOD = build.nifti(SMALL)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a NIfTI|cut short"),
        (b"\x89PNG" + bytes(1000), "not a NIfTI"),
        (GOOD[:347], "not a NIfTI"),
        (build.nifti(SMALL, version=nib.Nifti2Image)[:500], "not a NIfTI"),
        (build.nifti(SMALL, magic=b"ni1"), "not a NIfTI"),
        (build.nifti(SMALL, magic=b""), "not a NIfTI"),
        (GOOD[:-1], "ends before"),
        (GOOD + b"\0", "goes on after"),
        (build.nifti(SMALL, dim=[2, 7, 6, 1, 1, 1, 1, 1]), "ends before"),
        (build.nifti(SMALL, dim=[2, 7, 4, 1, 1, 1, 1, 1]), "goes on after"),
        (build.nifti(SMALL, dim=[2, 30000, 30000, 1, 1, 1, 1, 1]), "more than any"),
        (build.nifti(SMALL, dim=[0, 7, 5, 1, 1, 1, 1, 1]), "impossible dimensions"),
        (build.nifti(SMALL, dim=[8, 7, 5, 1, 1, 1, 1, 1]), "impossible dimensions"),
        (build.nifti(SMALL, dim=[2, -7, 5, 1, 1, 1, 1, 1]), "impossible dimensions"),
        (build.nifti(SMALL, dim=[1, 35, 1, 1, 1, 1, 1, 1]), "1 dimensions"),
        (build.nifti(np.zeros((2, 3, 5, 7))), "4 dimensions"),
        (build.nifti(SMALL, pixdim=[1, 0, 0.3, 1, 1, 1, 1, 1]), "impossible pixel spacing"),
        (build.nifti(SMALL, pixdim=[1, 0.3, -0.3, 1, 1, 1, 1, 1]), "impossible pixel spacing"),
        (build.nifti(SMALL, pixdim=[1, np.nan, 0.3, 1, 1, 1, 1, 1]), "impossible pixel spacing"),
        (build.nifti(SMALL, pixdim=[1, 0.3, np.inf, 1, 1, 1, 1, 1]), "impossible pixel spacing"),
        (build.nifti(SMALL, xyzt_units=7), "unknown unit"),
        (build.nifti(SMALL, datatype=3), "unknown data type"),
        (build.nifti(SMALL, "<c8"), "stores complex64"),
        (build.nifti(SMALL, bitpix=16), "16 bits"),
        (build.nifti(SMALL, vox_offset=348), "impossible data offset"),
        (build.nifti(SMALL, vox_offset=352.5), "impossible data offset"),
        (build.nifti(SMALL, vox_offset=np.nan), "impossible data offset"),
        (build.nifti(SMALL, vox_offset=1e30), "impossible data offset"),
        (build.nifti(SMALL, "<i2", scl_slope=1, scl_inter=np.inf), "unusable scaling"),
    ],
)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_bad_files(tmp_path: Path, suffix: str, data: bytes, reason: str) -> None:
    with pytest.raises(BadFileError, match=reason):
        read(build.write(tmp_path / f"x{suffix}", data))


def test_every_flipped_bit_of_a_gzip_file_is_refused_or_harmless(tmp_path: Path) -> None:
    path = build.write(tmp_path / "x.nii.gz", GOOD)
    whole, refused = path.read_bytes(), 0
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            assert np.array_equal(read(path)[0], SMALL)
        except BadFileError:
            refused += 1
    assert refused > 0.9 * 8 * (len(whole) - 10)  # a bit of gzip's own ten-byte header may be free


@pytest.mark.parametrize("kept", [0, 5, 30, -9, -1])
def test_cut_gzip_is_refused(tmp_path: Path, kept: int) -> None:
    path = build.write(tmp_path / "x.nii.gz", GOOD)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BadFileError, match="cut short|corrupt"):
        read(path)


def test_garbage_behind_the_gzip_stream_is_refused(tmp_path: Path) -> None:
    path = build.write(tmp_path / "x.nii.gz", GOOD)
    path.write_bytes(path.read_bytes() + b"garbage")
    with pytest.raises(BadFileError, match="corrupt"):
        read(path)


def test_missing_file_is_a_reason(tmp_path: Path) -> None:
    with pytest.raises(BadFileError, match="No such file"):
        read(tmp_path / "x.nii.gz")


def test_grid_is_in_file_order(tmp_path: Path) -> None:
    path = build.write(tmp_path / "x.nii", build.nifti(SMALL, spacing=(0.5, 0.25)))
    assert grid_of(path) == Grid((7, 5), (0.5, 0.25))


def test_byte_order_follows_the_header_size_alone(tmp_path: Path) -> None:
    """dim[0] = 512 would read as 2 in the other byte order; it must not turn the file round."""
    data = bytearray(GOOD)
    struct.pack_into("<h", data, 40, 512)
    with pytest.raises(BadFileError, match="impossible dimensions"):
        read(build.write(tmp_path / "x.nii", bytes(data)))
