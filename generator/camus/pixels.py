"""From arrays to square pictures to the bytes of image and mask files. Pure functions.

Pictures are uint8 arrays of shape (height, width), rows from the top.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from camus import PairError, RefusalError
from camus.facts import LEVELS, STRUCTURES

Picture = npt.NDArray[np.uint8]

TOLERANCE = 0.001  # what resaving a value adds to it or takes away, at the most
DARKEST_MAXIMUM = 32  # below it an image is refused; the maxima of the release are 204 to 255


class Box(NamedTuple):
    """The place of a picture on its square, in pixels."""

    left: int
    top: int
    width: int
    height: int


def to_gray(values: npt.NDArray[Any]) -> Picture:
    """Gray values 0..255 of any type as 8 bits: rounded, never stretched by contrast.

    [0, 100.4, 255.0]: [0, 100, 255]. Raises PairError where they cannot be 8-bit gray.
    """
    gray = _rounded(values, 255, "intensities")
    if gray.max() < DARKEST_MAXIMUM or gray.min() == gray.max():
        raise PairError(
            f"has intensities from {values.min():g} to {values.max():g} only: the image is empty, "
            "scaled to smaller values, or a mask"
        )
    return gray


def to_labels(values: npt.NDArray[Any]) -> Picture:
    """Labels 0..3 of any type as 8 bits. Raises PairError where they are not labels."""
    labels = _rounded(values, 3, "labels")
    if not np.array_equal(values, labels) and np.abs(values - labels).max() > TOLERANCE:
        raise PairError("has labels that are not whole numbers: it was blurred or resized")
    return labels


def _rounded(values: npt.NDArray[Any], highest: int, what: str) -> Picture:
    """Values as 8 bits. Raises PairError unless they are numbers from 0 to `highest`."""
    low, high = values.min(), values.max()
    if not (low >= -TOLERANCE and high <= highest + TOLERANCE):  # nor is it NaN
        raise PairError(f"has {what} from {low:g} to {high:g}, not within 0..{highest}")
    rounded = np.empty(values.shape, np.uint8)
    np.rint(values, out=rounded, casting="unsafe")
    return rounded


def fit_box(width: float, height: float, size: int, fit: str) -> Box:
    """Where a picture of a width and height in mm goes on a square of `size` pixels.

    "pad" keeps its proportions. 120 x 60 mm on 512: Box(left=0, top=128, width=512, height=256).
    """
    if fit == "stretch":
        return Box(0, 0, size, size)
    columns, rows = (max(1, round(size * (mm / max(width, height)))) for mm in (width, height))
    return Box((size - columns) // 2, (size - rows) // 2, columns, rows)


def resize_image(image: Picture, width: int, height: int) -> Picture:
    """Resize by area averaging where the picture shrinks, by cubic interpolation where it grows."""
    smaller = min(width, image.shape[1]), min(height, image.shape[0])
    shrunk = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)
    grown = cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(grown, np.uint8)


def resize_labels(labels: Picture, width: int, height: int) -> Picture:
    """Resize to the nearest label, on the same geometry as the image."""
    resized = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(resized, np.uint8)


def on_square(picture: Picture, box: Box, size: int) -> Picture:
    """The picture at its place on a black square."""
    square = np.zeros((size, size), np.uint8)
    square[box.top : box.top + box.height, box.left : box.left + box.width] = picture
    return square


def paint(labels: Picture, masks: str, structures: Iterable[str]) -> Picture:
    """Labels as the gray levels of a mask file; structures not named become background.

    [0 1 2 3] as gray, of lv and la: [0 85 0 255]. Raises PairError if nothing is left.
    """
    levels = np.zeros(256, np.uint8)
    for name in structures:
        levels[STRUCTURES[name]] = LEVELS[masks][STRUCTURES[name]]
    mask = np.asarray(cv2.LUT(labels, levels), np.uint8)
    if not mask.any():
        raise PairError(f"the mask has no pixel of {', '.join(structures)}")
    return mask


def encode(picture: Picture, suffix: str, quality: int) -> bytes:
    """The bytes of a jpg or png file."""
    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix == "jpg" else []
    return cv2.imencode(f".{suffix}", picture, parameters)[1].tobytes()


def encode_mask(mask: Picture, masks: str, suffix: str, quality: int) -> bytes:
    """The bytes of a mask file, proven: decoded again, each pixel snaps to its own gray level.

    Raises RefusalError if JPG cannot hold the mask: other masks will not survive either.
    """
    data = encode(mask, suffix, quality)
    if suffix == "jpg":
        decoded = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE))
        gap = min(b - a for a, b in pairwise(sorted(set(LEVELS[masks]))))
        if 2 * int(cv2.absdiff(decoded, mask).max()) >= gap:
            raise RefusalError(
                f"masks do not survive JPG at quality {quality} and this size: "
                "use a higher --jpg-quality, --format png or --masks index"
            )
    return data
