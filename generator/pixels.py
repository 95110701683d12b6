"""From the arrays of a NIfTI pair to the bytes of an image and a mask file. Pure functions.

Pictures are uint8 arrays of shape (height, width), rows from the top.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from generator.nifti import BadFileError, Grid

Picture = npt.NDArray[np.uint8]

# Labels of the CAMUS masks: Leclerc et al. 2019, doi:10.1109/TMI.2019.2900516
STRUCTURES = {"lv": 1, "myo": 2, "la": 3}
# The gray level in a mask file of each label 0..3
LEVELS = {"gray": (0, 85, 170, 255), "binary": (0, 255, 255, 255), "index": (0, 1, 2, 3)}


class Box(NamedTuple):
    """Where a picture stands on its square, in pixels."""

    left: int
    top: int
    width: int
    height: int


def to_uint8(pixels: npt.NDArray[Any]) -> Picture:
    """Gray values 0..255 of any type as 8 bits: rounded, never stretched. Raises BadFileError."""
    _check_range(pixels, 255, "intensities")
    rounded = np.empty(pixels.shape, np.uint8)
    np.rint(pixels, out=rounded, casting="unsafe")
    return rounded


def to_labels(pixels: npt.NDArray[Any]) -> Picture:
    """Labels 0..3 of any type as 8 bits. Raises BadFileError unless they are whole numbers."""
    _check_range(pixels, 3, "labels")
    labels = pixels.astype(np.uint8)
    if not np.array_equal(labels, pixels):
        raise BadFileError("labels are not whole numbers")
    return labels


def _check_range(pixels: npt.NDArray[Any], limit: int, what: str) -> None:
    with np.errstate(invalid="ignore"):
        lowest, highest = pixels.min(), pixels.max()
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise BadFileError(f"{what} are not all finite")
    if lowest < 0 or highest > limit:
        raise BadFileError(f"{what} run from {lowest!s} to {highest!s}, not within 0..{limit}")


def place(grid: Grid, size: int, fit: str) -> Box:
    """Where a frame goes on a square of `size` pixels; `pad` keeps its proportions in millimetres.

    400 x 200 pixels of 0.3 x 0.3 mm on 512: Box(left=0, top=128, width=512, height=256).
    """
    if fit == "stretch":
        return Box(0, 0, size, size)
    extent = (grid.shape[0] * grid.spacing[0], grid.shape[1] * grid.spacing[1])
    width, height = (max(1, round(size * (mm / max(extent)))) for mm in extent)
    return Box((size - width) // 2, (size - height) // 2, width, height)


def resize_images(images: Iterable[Picture], width: int, height: int) -> Iterator[Picture]:
    """Resize by area averaging where the pictures shrink, by cubic interpolation where they grow.

    All pictures are of one shape.
    """
    images = iter(images)
    while group := list(itertools.islice(images, 4)):
        shrunk = (min(width, group[0].shape[1]), min(height, group[0].shape[0]))
        if shrunk != group[0].shape[::-1]:
            group = _average(group, shrunk)
        if shrunk != (width, height):
            group = [_resize(image, (width, height), cv2.INTER_CUBIC) for image in group]
        yield from group


def _average(images: list[Picture], shape: tuple[int, int]) -> list[Picture]:
    """Shrink pictures of one shape by area averaging.

    Four of them, as the channels of one picture of 16 bits, take OpenCV 5 less than half the time,
    to the same gray values.
    """
    if len(images) < 4:
        return [_resize(image, shape, cv2.INTER_AREA) for image in images]
    channels = cv2.merge(images).astype(np.int16)
    averaged = cv2.resize(channels, shape, interpolation=cv2.INTER_AREA)
    return [np.asarray(image, np.uint8) for image in cv2.split(averaged.astype(np.uint8))]


def resize_labels(labels: Picture, width: int, height: int) -> Picture:
    """Resize to the nearest label, on the geometry of resize_images."""
    return _resize(labels, (width, height), cv2.INTER_NEAREST_EXACT)


def _resize(picture: Picture, shape: tuple[int, int], interpolation: int) -> Picture:
    return np.asarray(cv2.resize(picture, shape, interpolation=interpolation), np.uint8)


def on_square(picture: Picture, box: Box, size: int) -> Picture:
    """The picture in its place on a black square."""
    square = np.zeros((size, size), np.uint8)
    square[box.top : box.top + box.height, box.left : box.left + box.width] = picture
    return square


def flip(picture: Picture) -> Picture:
    """The picture mirrored left to right."""
    return np.ascontiguousarray(picture[:, ::-1])


def paint(labels: Picture, masks: str, structures: Iterable[str]) -> Picture:
    """Labels as the gray levels of a mask file; structures not named become background.

    [0 1 2 3] as gray, of lv and la: [0 85 0 255].
    """
    kept = {0} | {STRUCTURES[name] for name in structures}
    levels = [level if label in kept else 0 for label, level in enumerate(LEVELS[masks])]
    return np.asarray(cv2.LUT(labels, np.array(levels + [0] * 252, np.uint8)), np.uint8)


def encode(picture: Picture, suffix: str, quality: int) -> bytes:
    """The bytes of a jpg or png file."""
    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix == "jpg" else []
    return cv2.imencode(f".{suffix}", picture, parameters)[1].tobytes()


def encode_mask(mask: Picture, suffix: str, quality: int, step: int) -> bytes:
    """The bytes of a mask file, proven: decoded again, each pixel snaps to its own gray level.

    step: the distance between gray levels. Raises BadFileError where JPG cannot hold the mask.
    """
    data = encode(mask, suffix, quality)
    if suffix == "jpg":
        decoded = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE))
        if 2 * int(cv2.absdiff(decoded, mask).max()) >= step:
            raise BadFileError(
                f"the mask does not survive JPG at quality {quality}: "
                "take a higher --quality, --format png or --masks index"
            )
    return data
