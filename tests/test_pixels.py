"""Array functions, on inputs whose answer can be told by hand."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camus import PairError, RefusalError, facts, pixels
from camus.pixels import Box


def test_gray_values_are_rounded_and_never_stretched() -> None:
    values = np.array([[0, 0.4, 0.6], [100.5, 101.5, 255]], np.float32)
    assert pixels.to_gray(values).tolist() == [[0, 0, 1], [100, 102, 255]]
    assert pixels.to_gray(np.array([[3, 200]], ">i2")).tolist() == [[3, 200]]


def test_labels_of_any_type_come_as_they_are() -> None:
    for dtype in ("<f4", ">f8", "i2", "u1"):
        assert pixels.to_labels(np.array([[0, 1], [2, 3]], dtype)).tolist() == [[0, 1], [2, 3]]
    resaved = np.array([[-0.0009, 1.00001], [1.9995, 3.0009]])
    assert pixels.to_labels(resaved).tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("convert", "values", "reason"),
    [
        (pixels.to_gray, [1, -0.1], "intensities from -0.1 to 1,"),
        (pixels.to_gray, [1, 255.1], "to 255.1, not within 0..255"),
        (pixels.to_gray, [0, 0.5, 1], "from 0 to 1 only"),  # scaled to 0..1
        (pixels.to_gray, [90, 90, 90], "from 90 to 90 only"),
        (pixels.to_gray, [0, 1, 2, 3], "from 0 to 3 only"),  # a mask in the place of its image
        (pixels.to_gray, [1, np.nan], "from nan to nan, not within"),
        (pixels.to_labels, [1, 4], "labels from 1 to 4, not within 0..3"),
        (pixels.to_labels, [1, 0.98], "not whole"),  # smoothed
        (pixels.to_labels, [1, np.nan], "from nan to nan, not within"),
    ],
)
def test_impossible_values_are_refused(convert: Any, values: list[float], reason: str) -> None:
    with pytest.raises(PairError, match=reason):
        convert(np.array([values], np.float32))


@pytest.mark.parametrize(
    ("width", "height", "fit", "box"),  # of the picture in mm, and its place in pixels
    [
        (120, 60, "pad", Box(0, 128, 512, 256)),
        (60, 120, "pad", Box(128, 0, 256, 512)),
        (120, 60, "stretch", Box(0, 0, 512, 512)),
        (5000, 1, "pad", Box(0, 255, 512, 1)),
    ],
)
def test_place_on_the_square(width: float, height: float, fit: str, box: Box) -> None:
    assert pixels.fit_box(width, height, 512, fit) == box


def blobs(height: int, width: int) -> pixels.Picture:
    """A disc of label 1 off the centre in a ring of 2, and 3 in a corner."""
    y, x = np.mgrid[:height, :width]
    distance = np.hypot((x - 0.4 * width) / width, (y - 0.45 * height) / height)
    labels = np.select([distance < 0.2, distance < 0.3], [1, 2], 0).astype(np.uint8)
    labels[int(0.8 * height) :, int(0.7 * width) :] = 3
    return labels


@pytest.mark.parametrize("factor", [2, 4, 0.5, 0.75, 1.7])
def test_image_and_mask_stay_aligned(factor: float) -> None:
    """An image made of its mask must, resized, still agree with it at every border."""
    labels = blobs(300, 200)
    width, height = round(200 * factor), round(300 * factor)
    image = pixels.resize_image(labels * np.uint8(80), width, height)
    resized = pixels.resize_labels(labels, width, height)
    assert image.shape == resized.shape == (height, width)
    for label in (1, 2, 3):
        y, x = np.nonzero(resized == label)
        cy, cx = np.nonzero(labels == label)
        assert np.mean(x) + 0.5 == pytest.approx((np.mean(cx) + 0.5) * factor, abs=0.25)
        assert np.mean(y) + 0.5 == pytest.approx((np.mean(cy) + 0.5) * factor, abs=0.25)
    assert np.mean(np.abs(image - 80.0 * resized) > 40) < 0.01


def test_whole_factors_are_exact() -> None:
    labels = np.array([[0, 1, 2], [3, 0, 1]], np.uint8)
    assert np.array_equal(pixels.resize_labels(labels, 12, 8), labels.repeat(4, 0).repeat(4, 1))
    image = np.array([[10, 20, 30, 50], [10, 40, 30, 50]], np.uint8)
    assert pixels.resize_image(image, 2, 1).tolist() == [[20, 40]]
    assert np.array_equal(pixels.resize_image(image, 4, 2), image)


def test_shrinking_averages_and_growing_is_cubic() -> None:
    """Three pixels become one, their mean; OpenCV's cubic kernel has a = -0.75."""
    image = np.array([[0, 90, 0, 30, 0, 0]] * 3, np.uint8)
    assert pixels.resize_image(image, 2, 1).tolist() == [[30, 10]]
    edge = np.array([[0, 0, 100, 100]], np.uint8)
    assert pixels.resize_image(edge, 8, 1)[0, 3:5].tolist() == [23, 77]  # linear: 25, 75


def test_a_mask_without_the_structures_asked_for_is_refused() -> None:
    with pytest.raises(PairError, match="no pixel of la"):
        pixels.paint(np.array([[0, 1, 2]], np.uint8), "gray", ["la"])


@given(st.integers(50, 100), st.sampled_from(["gray", "binary"]), st.integers(0, 999))
def test_a_jpg_mask_keeps_its_labels_or_is_refused(quality: int, masks: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 4, (2 + seed % 23,) * 2, np.uint8)
    coarse[0, 0] = 1
    mask = pixels.paint(pixels.resize_labels(coarse, 64, 64), masks, facts.STRUCTURES)
    data, step = pixels.encode(mask, "jpg", quality), facts.LEVELS[masks][1]
    decoded = np.array(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE), int)
    survives = np.array_equal((decoded + step // 2) // step * step, mask)
    try:
        assert pixels.encode_mask(mask, masks, "jpg", quality) == data and survives
    except RefusalError as error:
        assert f"at quality {quality}" in str(error) and not survives
