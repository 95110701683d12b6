"""From arrays to square pictures to the bytes of image and mask files. Pure functions.

Pictures are uint8 arrays of shape (height, width), rows from the top.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from camus.errors import PairError

Picture = npt.NDArray[np.uint8]

# Labels of the CAMUS masks: Leclerc et al. 2019, doi:10.1109/TMI.2019.2900516
STRUCTURES = {"lv": 1, "myo": 2, "la": 3}
# The gray level in a mask file of each label 0..3
LEVELS = {"gray": (0, 85, 170, 255), "binary": (0, 255, 255, 255), "index": (0, 1, 2, 3)}
LABEL_TOLERANCE = 0.001  # what resaving a label adds to it or takes away, at the most
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
    lowest, highest = _range(values)
    if lowest < 0 or highest > 255:
        raise PairError(f"intensities run from {lowest:g} to {highest:g}, not within 0..255")
    if highest < DARKEST_MAXIMUM or lowest == highest:
        raise PairError(
            f"intensities run from {lowest:g} to {highest:g} only, not over 0..255: the image is "
            "empty, scaled to smaller values, or a mask"
        )
    rounded = np.empty(values.shape, np.uint8)
    np.rint(values, out=rounded, casting="unsafe")
    return rounded


def to_labels(values: npt.NDArray[Any]) -> Picture:
    """Labels 0..3 of any type as 8 bits. Raises PairError where they are not labels."""
    lowest, highest = _range(values)
    if lowest < -LABEL_TOLERANCE or highest > 3 + LABEL_TOLERANCE:
        raise PairError(f"labels run from {lowest:g} to {highest:g}, not within 0..3")
    labels = np.empty(values.shape, np.uint8)
    np.rint(values, out=labels, casting="unsafe")
    if not np.array_equal(values, labels) and np.abs(values - labels).max() > LABEL_TOLERANCE:
        raise PairError("labels are not whole numbers: the mask was blurred or resized smoothly")
    if not labels.any():
        raise PairError("the mask is empty: every pixel is background")
    return labels


def _range(values: npt.NDArray[Any]) -> tuple[float, float]:
    with np.errstate(invalid="ignore"):
        lowest, highest = float(values.min()), float(values.max())
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise PairError("values are not all finite numbers")
    return lowest, highest


def place(width: float, height: float, size: int, fit: str) -> Box:
    """Where a picture of a width and height in mm goes on a square of `size` pixels.

    "pad" keeps its proportions. 120 x 60 mm on 512: Box(left=0, top=128, width=512, height=256).
    """
    if fit == "stretch":
        return Box(0, 0, size, size)
    columns, rows = (max(1, round(size * (mm / max(width, height)))) for mm in (width, height))
    return Box((size - columns) // 2, (size - rows) // 2, columns, rows)


def resize_image(image: Picture, width: int, height: int) -> Picture:
    """Resize by area averaging where the picture shrinks, by cubic interpolation where it grows."""
    shrunk = (min(width, image.shape[1]), min(height, image.shape[0]))
    if shrunk != image.shape[::-1]:
        image = _resize(image, shrunk, cv2.INTER_AREA)
    if shrunk != (width, height):
        image = _resize(image, (width, height), cv2.INTER_CUBIC)
    return image


def resize_labels(labels: Picture, width: int, height: int) -> Picture:
    """Resize to the nearest label, so that the labels stay on their image."""
    return _resize(labels, (width, height), cv2.INTER_NEAREST_EXACT)


def _resize(picture: Picture, shape: tuple[int, int], interpolation: int) -> Picture:
    return np.asarray(cv2.resize(picture, shape, interpolation=interpolation), np.uint8)


def on_square(picture: Picture, box: Box, size: int) -> Picture:
    """The picture at its place on a black square."""
    square = np.zeros((size, size), np.uint8)
    square[box.top : box.top + box.height, box.left : box.left + box.width] = picture
    return square


def paint(labels: Picture, masks: str, structures: Iterable[str]) -> Picture:
    """Labels as the gray levels of a mask file; structures not named become background.

    [0 1 2 3] as gray, of lv and la: [0 85 0 255]. Raises PairError if nothing is left.
    """
    kept = {0} | {STRUCTURES[name] for name in structures}
    levels = [level if label in kept else 0 for label, level in enumerate(LEVELS[masks])]
    mask = np.asarray(cv2.LUT(labels, np.array(levels + [0] * 252, np.uint8)), np.uint8)
    if not mask.any():
        raise PairError(f"the mask has no pixel of {', '.join(structures)}")
    return mask


def encode(picture: Picture, suffix: str, quality: int) -> bytes:
    """The bytes of a jpg or png file."""
    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix == "jpg" else []
    return cv2.imencode(f".{suffix}", picture, parameters)[1].tobytes()


def encode_mask(mask: Picture, masks: str, suffix: str, quality: int) -> bytes:
    """The bytes of a mask file, proven: decoded again, each pixel snaps to its own gray level.

    Raises PairError where JPG cannot hold the mask.
    """
    data = encode(mask, suffix, quality)
    if suffix == "jpg":
        decoded = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE))
        if 2 * int(cv2.absdiff(decoded, mask).max()) >= LEVELS[masks][1]:
            raise PairError(
                f"the mask does not survive JPG at quality {quality}: "
                "use a higher --quality, --format png or --masks index"
            )
    return data
