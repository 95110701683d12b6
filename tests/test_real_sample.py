"""Real frames, where CAMUS_DATABASE names a database_nifti, against SimpleITK's own reading."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK

from . import build
from .conftest import Run

DATABASE = os.environ.get("CAMUS_DATABASE", "")
pytestmark = pytest.mark.skipif(not DATABASE, reason="CAMUS_DATABASE is not set")


def on_a_square(path: Path, shrink: int, grow: int) -> npt.NDArray[np.float64]:
    """SimpleITK's array, padded to a centred square and resized to 512."""
    pixels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))).astype(np.uint8)
    height, width = pixels.shape
    side = max(pixels.shape)
    square = np.zeros((side, side), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = pixels
    method = shrink if side > 512 else grow
    return np.asarray(cv2.resize(square, (512, 512), interpolation=method), np.float64)


def test_every_key_frame_of_the_database(generate: Run, tmp_path: Path) -> None:
    """The bounds stand near what was measured: 33.1 dB, 0.9919, 0.06 % and 0.40 %."""
    code, out, err = generate(DATABASE, tmp_path / "master")
    assert (code, err) == (0, "") and "pairs written" in out
    noise, overlap, errors = [], [], []
    for row in build.rows(tmp_path / "master"):
        source = Path(DATABASE, row["patient"], Path(row["file_name"]).stem)
        image, mask = (
            build.picture(tmp_path / "master" / row[name]).astype(float)
            for name in ("file_name", "mask_file_name")
        )
        expected = on_a_square(
            source.with_name(f"{source.name}.nii.gz"), cv2.INTER_AREA, cv2.INTER_CUBIC
        )
        noise.append(10 * np.log10(255**2 / np.mean((image - expected) ** 2)))
        nearest = cv2.INTER_NEAREST_EXACT
        labels = on_a_square(source.with_name(f"{source.name}_gt.nii.gz"), nearest, nearest)
        snapped = np.rint(mask / 85)
        assert np.abs(mask - 85 * snapped).max() <= 42
        original = SimpleITK.ReadImage(str(source.with_name(f"{source.name}_gt.nii.gz")))
        pixel = np.prod(original.GetSpacing())  # type: ignore[no-untyped-call]
        for label in (1, 2, 3):
            ours, theirs = snapped == label, labels == label
            overlap.append(2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()))
            area = (SimpleITK.GetArrayFromImage(original) == label).sum() * pixel
            measured = ours.sum() * float(row["spacing_x"]) * float(row["spacing_y"])
            errors.append(abs(measured / area - 1))
    found = (min(noise), min(overlap), float(np.median(errors)), max(errors))
    assert found[0] >= 33 and found[1] >= 0.9915 and found[2] <= 0.0007 and found[3] <= 0.0042, (
        found
    )


def test_a_half_sequence_without_its_mask_is_named(generate: Run, tmp_path: Path) -> None:
    alone = list(Path(DATABASE).glob("*/*_half_sequence.nii.gz"))
    if not alone or any(Path(DATABASE).glob("*/*_half_sequence_gt.nii.gz")):
        pytest.skip("the database has no sequence without a mask")
    code, out, err = generate(DATABASE, tmp_path / "master", "--frames", "sequence")
    assert code == 1 and "nothing was written" in out and not (tmp_path / "master").exists()
    assert err.startswith(alone[0].name.removesuffix(".nii.gz") + ": its mask is missing")
