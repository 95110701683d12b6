"""Real frames, where CAMUS_DATABASE names a database_nifti, against SimpleITK's own reading."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK

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
    code, out, err = generate(DATABASE, tmp_path / "master")
    assert (code, err) == (0, "") and "0 pairs written" not in out
    with (tmp_path / "master" / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    errors = []
    for row in rows:
        source = Path(DATABASE, row["patient"], Path(row["file_name"]).stem)
        image, mask = (
            np.asarray(
                cv2.imread(str(tmp_path / "master" / row[name]), cv2.IMREAD_UNCHANGED), float
            )
            for name in ("file_name", "mask_file_name")
        )
        expected = on_a_square(
            source.with_name(f"{source.name}.nii.gz"), cv2.INTER_AREA, cv2.INTER_CUBIC
        )
        assert 10 * np.log10(255**2 / np.mean((image - expected) ** 2)) >= 32
        nearest = cv2.INTER_NEAREST_EXACT
        labels = on_a_square(source.with_name(f"{source.name}_gt.nii.gz"), nearest, nearest)
        snapped = np.rint(mask / 85)
        assert np.abs(mask - 85 * snapped).max() <= 42
        original = SimpleITK.ReadImage(str(source.with_name(f"{source.name}_gt.nii.gz")))
        pixel = np.prod(original.GetSpacing())  # type: ignore[no-untyped-call]
        for label in (1, 2, 3):
            ours, theirs = snapped == label, labels == label
            assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) >= 0.975
            area = (SimpleITK.GetArrayFromImage(original) == label).sum() * pixel
            measured = ours.sum() * float(row["spacing_x"]) * float(row["spacing_y"])
            errors.append(abs(measured / area - 1))
    assert np.median(errors) <= 0.005
    assert max(errors) <= 0.015
