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


def on_a_square(image: SimpleITK.Image, shrink: int, grow: int) -> npt.NDArray[np.float64]:
    """An image on a centred square, resized to 512."""
    pixels = SimpleITK.GetArrayFromImage(image).astype(np.uint8)
    height, width = pixels.shape
    side = max(pixels.shape)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.pad(pixels, [(top, side - height - top), (left, side - width - left)])
    method = shrink if side > 512 else grow
    return np.asarray(cv2.resize(square, (512, 512), interpolation=method), np.float64)


def test_every_key_frame_of_the_database(generate: Run) -> None:
    """The bounds stand near what was measured: 33.1 dB, 0.9919 and 0.40 %."""
    assert generate(RELEASE, MASTER)[::2] == (0, "")  # the exit code, and no warning
    for row in rows(MASTER):
        source = RELEASE / row["patient"] / Path(row["file_name"]).stem
        image, mask = (SimpleITK.ReadImage(f"{source}{kind}.nii.gz") for kind in ("", "_gt"))
        expected = on_a_square(image, cv2.INTER_AREA, cv2.INTER_CUBIC)
        error = picture(MASTER / row["file_name"]) - expected
        assert 10 * np.log10(255**2 / np.mean(error**2)) >= 33
        labels = on_a_square(mask, cv2.INTER_NEAREST_EXACT, cv2.INTER_NEAREST_EXACT)
        decoded = np.rint(picture(MASTER / row["mask_file_name"]) / 85)
        for label in (1, 2, 3):
            ours, theirs = decoded == label, labels == label
            assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) >= 0.9915
            area = ours.sum() * float(row["spacing_x"]) * float(row["spacing_y"])
            pixel = np.prod(mask.GetSpacing())  # type: ignore[no-untyped-call]
            original = (SimpleITK.GetArrayFromImage(mask) == label).sum() * pixel
            assert area == pytest.approx(original, rel=0.0042)
