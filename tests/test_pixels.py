"""Array functions, on inputs whose answer can be told by hand."""

import io
from contextlib import nullcontext
from itertools import product
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from camus import PairError, facts, pixels
from camus.pixels import Box

from .build import IMAGE, MASK, encoded

GRAY = MASK * 85


@pytest.mark.parametrize(("convert", "values", "result"), [
    (pixels.to_gray, np.array([0, 0.4, 0.6, 100.5, 255], "<f4"), [0, 0, 1, 100, 255]),
    (pixels.to_gray, np.array([3, 32], ">i2"), [3, 32]),  # never stretched by contrast
    (pixels.to_gray, [-0.0009, 101.5, 255.0009], [0, 102, 255]),
    (pixels.to_gray, [40, -0.0011], "intensities from -0.0011 to 40, not within 0..255"),
    (pixels.to_gray, [1, 255.0011], "intensities from 1 to 255.001, not within 0..255"),
    (pixels.to_gray, [1, 31.4], "from 1 to 31.4 only: the image is empty, scaled to"),
    (pixels.to_gray, [90, 90, 90], "intensities from 90 to 90 only"),
    (pixels.to_gray, [1, np.nan], "intensities from nan to nan, not within 0..255"),
    *((pixels.to_labels, np.arange(4, dtype=name), [0, 1, 2, 3]) for name in ("f4", ">f8", "u1")),
    (pixels.to_labels, [-0.0009, 1.0009, 1.9991, 3.0009], [0, 1, 2, 3]),
    (pixels.to_labels, [1, 3.0011], "labels from 1 to 3.0011, not within 0..3"),
    (pixels.to_labels, [1, -0.0011], "labels from -0.0011 to 1, not within 0..3"),
    (pixels.to_labels, [1, 1.9989], "labels that are not whole numbers"),  # smoothed
    (pixels.to_labels, [1, np.nan], "labels from nan to nan, not within 0..3"),
])  # fmt: skip
def test_values_come_as_8_bits_or_are_refused(convert: Any, values: Any, result: Any) -> None:
    if isinstance(result, list):
        assert convert(np.array([values])).tolist() == [result]
    else:
        with pytest.raises(PairError, match=f"^has .*{result}"):
            convert(np.array([values]))


@pytest.mark.parametrize(("width", "height", "spacing", "place"), [  # pixels, mm; on 16 pixels
    (24, 12, (0.5, 0.5), (0, 4, 16, 8)), (12, 24, (1, 0.25), (0, 4, 16, 8)),
    (10, 32, (1, 1), (5, 0, 5, 16)),  # an odd rest: less at the left
    (9, 32, (1, 1), (6, 0, 4, 16)), (11, 32, (1, 1), (5, 0, 6, 16)),  # ties to the even number
    (5000, 1, (1, 1), (0, 7, 16, 1)), (1, 5000, (1, 1), (7, 0, 1, 16)),
])  # fmt: skip
def test_place_in_the_picture(width: int, height: int, spacing: Any, place: Any) -> None:
    assert pixels.fit_box(width, height, spacing, 16, "pad") == (*place, 16, 16)
    assert pixels.fit_box(width, height, spacing, 16, "stretch") == Box(0, 0, 16, 16, 16, 16)
    whole = Box(0, 0, width, height, width, height)
    assert pixels.fit_box(width, height, spacing, 16, "none") == whole


def test_the_picture_is_black_around_the_image() -> None:
    image = np.array([[7, 8, 9]], np.uint8)
    picture = pixels.on_black(image, Box(1, 2, 3, 1, 5, 4))
    assert picture.tolist() == [[0] * 5, [0] * 5, [0, 7, 8, 9, 0], [0] * 5]


@pytest.mark.parametrize("factor", [2, 0.5, 0.75, 1.7])
def test_image_and_mask_stay_aligned(factor: float) -> None:
    """An image made of its mask must, resized, still agree with it at every border."""
    labels = MASK.repeat(20, 0).repeat(20, 1)
    width, height = round(320 * factor), round(200 * factor)
    image = pixels.resize_image(labels * np.uint8(80), width, height)
    resized = pixels.resize_labels(labels, width, height)
    assert image.shape == resized.shape == (height, width)
    for label, axis in product((1, 2, 3), (0, 1)):
        centres = [np.nonzero(array == label)[axis].mean() + 0.5 for array in (labels, resized)]
        assert centres[1] == pytest.approx(centres[0] * factor, abs=0.25)
    assert np.mean(np.abs(image - 80.0 * resized) > 40) < 0.01


def test_resizing_is_exact_where_it_can_be() -> None:
    """Shrinking takes the mean; OpenCV's cubic kernel, for growing, has a = -0.75."""
    labels = np.array([[0, 1, 2], [3, 0, 1]], np.uint8)
    assert np.array_equal(pixels.resize_labels(labels, 12, 8), labels.repeat(4, 0).repeat(4, 1))
    assert pixels.resize_labels(labels[:1], 2, 1).tolist() == [[labels[0, 0], labels[0, 2]]]
    image = np.array([[0, 90, 0, 30, 0, 0]] * 3, np.uint8)
    assert pixels.resize_image(image, 2, 1).tolist() == [[30, 10]]
    assert np.array_equal(pixels.resize_image(image, 6, 3), image)
    edge = np.array([[0, 0, 100, 100]], np.uint8)
    assert pixels.resize_image(edge, 8, 1)[0, 3:5].tolist() == [23, 77]  # linear: 25, 75


def test_a_mask_shows_the_structures_asked_for() -> None:
    labels = np.array([[0, 1, 2, 3]], np.uint8)
    assert pixels.paint(labels, "gray", ["lv", "la"]).tolist() == [[0, 85, 0, 255]]
    with pytest.raises(PairError, match="^the mask has no pixel of myo, la$"):
        pixels.paint(labels[:, :2], "gray", ["myo", "la"])


def saved(pixels: Any, mode: str, suffix: str = "png") -> bytes:
    """A picture as Pillow saves it, a JPG at quality 90."""
    Image.fromarray(pixels).convert(mode).save(file := io.BytesIO(), suffix, quality=90)
    return file.getvalue()


def blocks(*values: int) -> bytes:
    """A JPG of 100 blocks of gray 85, the first ones of these values: exact in JPG."""
    return encoded(np.kron([*values, *[85] * (100 - len(values))], np.ones((8, 8))), "jpg")


J, P, BLOCKS = encoded(IMAGE, "jpg"), encoded(IMAGE, "png"), saved(np.eye(8, 800) > 0, "L")
COLOUR = "the mask is in colour, or not of 8 bits: save it as 8-bit grayscale"
DAMAGED = "the image is damaged"  # such as a JPG without its end
SIZES, EMPTY = "the mask has 16 x 9 pixels, the image 16 x 10", "the mask shows no structure"
LOST = "^the mask does not survive JPG: use --format png or --masks index$"
HAS, LEVELS = "the mask has the value", "it may have 0, 85, 170, 255"


@pytest.mark.parametrize(("masks", "image", "mask", "reason"), [
    ("gray", P, encoded(GRAY[::-1], "png"), ""), ("gray", J, saved(GRAY, "L", "jpeg"), ""),
    ("binary", J, encoded(255 * (MASK > 0), "png"), ""), ("index", J, encoded(MASK, "png"), ""),
    ("index", P, encoded(MASK + 84 * (MASK == 1), "png"), f"{HAS} 85, it may have 0, 1, 2, 3"),
    ("index", P, encoded(MASK, "jpg"), "an index mask must be PNG, JPG changes its labels"),
    ("gray", P, encoded(np.where(IMAGE == 18, 86, GRAY), "png"), f"{HAS} 86, {LEVELS}"),
    ("gray", BLOCKS, blocks(*[105] * 50), ""), ("gray", BLOCKS, blocks(106), ""),
    ("gray", BLOCKS, blocks(106, 106), f"{HAS} 106, {LEVELS}"),
    *(("gray", P, saved(GRAY, mode), COLOUR) for mode in ("P", "1", "RGB", "RGBA", "I;16")),
    ("gray", J, saved(GRAY, "RGB", "jpeg"), COLOUR), ("gray", J, saved(GRAY[1:], "L"), SIZES),
    *(("gray", P, encoded(MASK * 0, suffix), EMPTY) for suffix in ("png", "jpg")),
    *(("gray", P, data, "the mask is not a JPG or PNG file") for data in (
        b"garbage", b"", encoded(GRAY, "bmp"))),
    ("gray", encoded(IMAGE[:3], "png"), encoded(GRAY[:3], "png"), ""),
    *(("gray", data, P, DAMAGED) for data in (
        b"", b"garbage", P[:33], J[:-2], J + b"\0", P[:16] + b"\0\1\1\0" * 2 + P[24:])),
])  # fmt: skip
def test_an_image_and_its_mask(masks: str, image: bytes, mask: bytes, reason: str) -> None:
    levels = sorted(set(facts.LEVELS[masks]))
    with pytest.raises(PairError, match=f"^{reason}$") if reason else nullcontext():
        pixels.check_pair(image, mask, levels, masks)


@pytest.mark.parametrize("masks", ["gray", "binary"])
def test_a_jpg_mask_keeps_its_labels_or_is_refused(masks: str, monkeypatch: Any) -> None:
    """At its quality of 95, all do."""
    step = facts.LEVELS[masks][1]
    for seed in range(300):
        coarse = np.random.default_rng(seed).integers(0, 4, (4 + seed % 61,) * 2, np.uint8)
        mask = pixels.paint(pixels.resize_labels(coarse, 64, 64), masks, facts.STRUCTURES)
        assert pixels.encode_mask(mask, masks, "jpg") == pixels.encode(mask, "jpg", 95)
        quality = 10 + seed % 86
        data = pixels.encode(mask, "jpg", quality)
        decoded = np.array(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE), int)
        survives = np.array_equal((decoded + step // 2) // step * step, mask)
        refused = pytest.raises(PairError, match=LOST)
        with monkeypatch.context() as patch, nullcontext() if survives else refused:
            patch.setattr(pixels, "MASK_QUALITY", quality)
            assert pixels.encode_mask(mask, masks, "jpg") == data
