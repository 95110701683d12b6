"""Real frames, where CAMUS_DATABASE names a database_nifti, against SimpleITK's own reading."""

import os
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK

from .build import MASTER, picture, rows
from .conftest import Run

RELEASE = Path(os.environ.get("CAMUS_DATABASE", "")).resolve()
pytestmark = pytest.mark.skipif(Path.cwd() == RELEASE, reason="CAMUS_DATABASE is not set")


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


def test_every_key_frame_of_the_database(generate: Run) -> None:
    """The bounds stand near what was measured: 33.1 dB, 0.9919, 0.06 % and 0.40 %."""
    code, out, err = generate(RELEASE, MASTER)
    assert (code, err) == (0, "") and "pairs written" in out
    noise, overlap, errors = [], [], []
    for row in rows(MASTER):
        source = RELEASE / row["patient"] / Path(row["file_name"]).stem
        nifti, nifti_gt = (source.with_name(f"{source.name}{kind}.nii.gz") for kind in ("", "_gt"))
        image = picture(MASTER / row["file_name"]).astype(float)
        mask = picture(MASTER / row["mask_file_name"]).astype(float)
        expected = on_a_square(nifti, cv2.INTER_AREA, cv2.INTER_CUBIC)
        noise.append(10 * np.log10(255**2 / np.mean((image - expected) ** 2)))
        labels = on_a_square(nifti_gt, cv2.INTER_NEAREST_EXACT, cv2.INTER_NEAREST_EXACT)
        snapped = np.rint(mask / 85)
        assert np.abs(mask - 85 * snapped).max() <= 42
        original = SimpleITK.ReadImage(str(nifti_gt))
        pixel = np.prod(original.GetSpacing())  # type: ignore[no-untyped-call]
        for label in (1, 2, 3):
            ours, theirs = snapped == label, labels == label
            overlap.append(2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()))
            area = (SimpleITK.GetArrayFromImage(original) == label).sum() * pixel
            measured = ours.sum() * float(row["spacing_x"]) * float(row["spacing_y"])
            errors.append(abs(measured / area - 1))
    worst = min(noise), min(overlap), max(errors)
    assert worst[0] >= 33 and worst[1] >= 0.9915 and worst[2] <= 0.0042, worst
    assert np.median(errors) <= 0.0007
