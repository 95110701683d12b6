"""Array functions, on inputs whose answer can be told by hand."""

import io
from contextlib import nullcontext
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from camus import PairError, facts, pixels

from .build import IMAGE, MASK, encoded

GRAY = MASK * 85


@pytest.mark.parametrize(("convert", "values", "result"), [
    (pixels.to_gray, [-0.0009, 0.4, 0.6, 100.5, 101.5, 255.0009], [0, 0, 1, 100, 102, 255]),
    (pixels.to_gray, np.array([3, 32], ">i2"), [3, 32]),  # never stretched by contrast
    (pixels.to_gray, [40, -0.0011], "intensities from -0.0011 to 40, not within 0..255"),
    (pixels.to_gray, [1, 255.0011], "intensities from 1 to 255.001, not within 0..255"),
    (pixels.to_gray, [1, 31.4], "from 1 to 31.4 only: the image is empty, scaled to"),
    (pixels.to_gray, [90, 90, 90], "intensities from 90 to 90 only"),
    (pixels.to_gray, [1, np.nan], "intensities from nan to nan, not within 0..255"),
    *((pixels.to_labels, np.arange(4, dtype=name), [0, 1, 2, 3]) for name in ("f4", ">f8", "u1")),
    (pixels.to_labels, [-0.0009, 1.0009, 1.9991, 3.0009], [0, 1, 2, 3]),
    (pixels.to_labels, [1, 3.0011], "labels from 1 to 3.0011, not within 0..3"),
    (pixels.to_labels, [1, 1.9989], "labels that are not whole numbers"),  # smoothed
])  # fmt: skip
def test_values_come_as_8_bits_or_are_refused(convert: Any, values: Any, result: Any) -> None:
    if isinstance(result, list):
        assert convert(np.array([values])).tolist() == [result]
    else:
        with pytest.raises(PairError, match=f"^has .*{result}"):
            convert(np.array([values]))


@pytest.mark.parametrize(("size", "spacing", "place"), [  # pixels, mm; on 16 pixels
    ((24, 12), (0.5, 0.5), (0, 4, 16, 8)), ((12, 24), (1, 0.25), (0, 4, 16, 8)),
    ((10, 32), (1, 1), (5, 0, 5, 16)),  # an odd rest: less at the left
    ((9, 32), (1, 1), (6, 0, 4, 16)), ((11, 32), (1, 1), (5, 0, 6, 16)),  # ties to the even number
    ((5000, 1), (1, 1), (0, 7, 16, 1)), ((1, 5000), (1, 1), (7, 0, 1, 16)),
])  # fmt: skip
def test_place_in_the_picture(size: tuple[int, int], spacing: Any, place: Any) -> None:
    assert pixels.fit_box(*size, spacing, 16, "pad") == (*place, 16, 16)
    assert pixels.fit_box(*size, spacing, 16, "stretch") == (0, 0, 16, 16, 16, 16)
    assert pixels.fit_box(*size, spacing, 16, "none") == (0, 0, *size, *size)


@pytest.mark.parametrize("factor", [2, 0.5, 0.75, 1.7])
def test_image_and_mask_stay_aligned(factor: float) -> None:
    """An image made of its mask must, resized, still agree with it at every border."""
    labels = MASK.repeat(20, 0).repeat(20, 1)
    size = round(320 * factor), round(200 * factor)
    image = pixels.resize_image(labels * np.uint8(80), *size)
    resized = pixels.resize_labels(labels, *size)
    for label in (1, 2, 3):
        centres = [np.argwhere(array == label).mean(0) + 0.5 for array in (labels, resized)]
        assert centres[1] == pytest.approx(centres[0] * factor, abs=0.25)
    assert np.mean(np.abs(image - 80.0 * resized) > 40) < 0.01


def test_resizing_is_exact_where_it_can_be() -> None:
    """Shrinking takes the mean; OpenCV's cubic kernel, for growing, has a = -0.75."""
    assert pixels.resize_labels(np.array([[0, 1, 2]], np.uint8), 2, 1).tolist() == [[0, 2]]
    image = np.array([[0, 90, 0, 30, 0, 0]] * 3, np.uint8)
    assert pixels.resize_image(image, 2, 1).tolist() == [[30, 10]]
    edge = np.array([[0, 0, 100, 100]], np.uint8)
    assert pixels.resize_image(edge, 8, 1)[0, 3:5].tolist() == [23, 77]  # linear: 25, 75


def test_a_mask_shows_the_structures_asked_for() -> None:
    labels = np.array([[0, 1, 2, 3]], np.uint8)
    assert pixels.paint(labels, "gray", ["lv", "la"]).tolist() == [[0, 85, 0, 255]]
    with pytest.raises(PairError, match="^the mask has no pixel of myo, la$"):
        pixels.paint(labels[:, :2], "gray", ["myo", "la"])


def png(mode: str) -> bytes:
    """The gray mask as a PNG of one of Pillow's modes."""
    Image.fromarray(GRAY).convert(mode).save(file := io.BytesIO(), "png")
    return file.getvalue()


def blocks(*values: int) -> bytes:
    """A JPG of 100 blocks of gray 85, the first ones of these values: exact in JPG."""
    return encoded(np.kron([*values, *[85] * (100 - len(values))], np.ones((8, 8))), "jpg")


J, P, BLOCKS = encoded(IMAGE, "jpg"), encoded(IMAGE, "png"), encoded(np.ones((8, 800)), "png")


@pytest.mark.parametrize(("masks", "image", "mask", "reason"), [
    ("gray", J, encoded(GRAY, "jpg"), ""), ("index", J, encoded(MASK, "png"), ""),
    ("binary", encoded(IMAGE[:3], "png"), encoded(255 * (MASK[:3] > 0), "png"), ""),
    ("index", P, encoded(GRAY, "png"), "the mask has the value 85, it may have 0, 1, 2, 3"),
    ("index", P, encoded(MASK, "jpg"), "an index mask must be PNG, JPG changes its labels"),
    ("gray", P, encoded(np.where(IMAGE == 18, 86, GRAY), "png"), "the mask has the value 86"),
    ("gray", BLOCKS, blocks(*[105] * 50), ""), ("gray", BLOCKS, blocks(106), ""),
    ("gray", BLOCKS, blocks(106, 106), "the mask has the value 106"),
    *(("gray", P, data, "the mask is in colour, or not of 8 bits: save it as 8-bit") for data in (
        *map(png, ("P", "1", "RGB", "RGBA", "I;16")), encoded(np.dstack([GRAY] * 3), "jpg"))),
    ("gray", J, encoded(GRAY[1:], "png"), "the mask has 16 x 9 pixels, the image 16 x 10"),
    ("gray", J, encoded(GRAY.T, "png"), "the mask has 10 x 16 pixels, the image 16 x 10"),
    ("gray", P, encoded(MASK * 0, "png"), "the mask shows no structure"),
    *(("gray", P, data, "the mask is not a JPG or PNG") for data in (
        b"", P[:33], encoded(GRAY, "bmp"))),
    *(("gray", data, P, "the image is damaged") for data in (
        b"", b"garbage", P[:33], J[:-2], J + b"\0", P[:16] + b"\0\1\1\0" * 2 + P[24:])),
])  # fmt: skip
def test_an_image_and_its_mask(masks: str, image: bytes, mask: bytes, reason: str) -> None:
    with pytest.raises(PairError, match=f"^{reason}") if reason else nullcontext():
        pixels.check_pair(image, mask, sorted(set(facts.LEVELS[masks])), masks)


@pytest.mark.parametrize("masks", ["gray", "binary"])
def test_a_jpg_mask_keeps_its_labels_or_is_refused(masks: str, monkeypatch: Any) -> None:
    """At its quality of 95, all do."""
    assert pixels.MASK_QUALITY == 95
    step = facts.LEVELS[masks][1]
    for seed in range(300):
        coarse = np.random.default_rng(seed).integers(0, 4, (4 + seed % 61,) * 2, np.uint8)
        mask = pixels.paint(pixels.resize_labels(coarse, 64, 64), masks, facts.STRUCTURES)
        monkeypatch.setattr(pixels, "MASK_QUALITY", min(95, 10 + seed % 172))
        data = pixels.encode(mask, "jpg", pixels.MASK_QUALITY)
        decoded = np.asarray(pixels.decode(data, cv2.IMREAD_GRAYSCALE))
        if np.array_equal(np.rint(decoded / step) * step, mask):
            assert pixels.encode_mask(mask, masks, "jpg") == data
        else:
            assert pixels.MASK_QUALITY < 95
            with pytest.raises(PairError, match="JPG: use --format png or --masks index$"):
                pixels.encode_mask(mask, masks, "jpg")
