"""From arrays to pictures to the bytes of image and mask files. Pure functions.

Pictures are uint8 arrays of shape (height, width), rows from the top.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from camus import PairError
from camus.facts import LEVELS, STRUCTURES

Picture = npt.NDArray[np.uint8]

TOLERANCE = 0.001  # what resaving a value adds to it or takes away, at the most
JPG, JPG_END, PNG = b"\xff\xd8", b"\xff\xd9", b"\x89PNG"  # the first and last bytes of files
SIZE_MARKERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15 of a JPG (ITU T.81)
EIGHT_BIT_GRAY = b"\x08\x00"  # bit depth and colour type in the IHDR of a PNG
# Saved again at quality 90, no pixel of a JPG mask is farther than this from its gray level; at
# quality 50, 0.55 % of the pixels
JPG_NOISE, JPG_SHARE = 20, 0.01
MASK_QUALITY = 95  # of JPG; all masks of the release's sample survive it, six of 37 not at 75
DARKEST_MAXIMUM = 32  # below it an image is refused; the maxima of the release are 204 to 255


class Box(NamedTuple):
    """The place of an image in its picture, and the size of the picture, in pixels."""

    left: int
    top: int
    width: int
    height: int
    picture_width: int
    picture_height: int


def to_gray(values: npt.NDArray[Any]) -> Picture:
    """Gray values 0..255 of any type as 8 bits: rounded, never stretched by contrast.

    [0, 100.4, 255.0]: [0, 100, 255]. Raises PairError where they cannot be 8-bit gray.
    """
    gray = _rounded(values, 255, "intensities")
    if gray.max() < DARKEST_MAXIMUM or gray.min() == gray.max():
        found = f"has intensities from {values.min():g} to {values.max():g} only"
        raise PairError(f"{found}: the image is empty, scaled to smaller values, or a mask")
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
    np.rint(values, out=rounded, casting="unsafe")  # no float array in between, which takes longer
    return rounded


def fit_box(width: int, height: int, spacing: tuple[float, float], size: int, fit: str) -> Box:
    """Where an image of width x height pixels goes; spacing is the size of a pixel in mm.

    "pad" keeps its proportions in mm, centred on a square of `size` pixels. "stretch" fills the
    square. "none" takes the image as it is.
    240 x 120 pixels of 0.5 x 0.5 mm on 512, "pad": Box(0, 128, 512, 256, 512, 512).
    """
    if fit == "none":
        return Box(0, 0, width, height, width, height)
    if fit == "stretch":
        return Box(0, 0, size, size, size, size)
    sides = width * spacing[0], height * spacing[1]
    columns, rows = (max(1, round(size * (side / max(sides)))) for side in sides)
    return Box((size - columns) // 2, (size - rows) // 2, columns, rows, size, size)


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


def on_black(image: Picture, box: Box) -> Picture:
    """The picture: an image, which may have colours, at its place, black around it."""
    picture = np.zeros((box.picture_height, box.picture_width, *image.shape[2:]), np.uint8)
    picture[box.top : box.top + box.height, box.left : box.left + box.width] = image
    return picture


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


def encode_mask(mask: Picture, masks: str, suffix: str) -> bytes:
    """The bytes of a mask file, decoded again as a proof. Raises PairError if JPG loses labels."""
    data = encode(mask, suffix, MASK_QUALITY)
    if suffix == "jpg":
        decoded = np.asarray(decode(data, cv2.IMREAD_GRAYSCALE))
        step = LEVELS[masks][1]  # from one gray level to the next
        if 2 * int(cv2.absdiff(decoded, mask).max()) >= step:  # else all snap to their own level
            raise PairError("the mask does not survive JPG: use --format png or --masks index")
    return data


def check_pair(image: bytes, mask: bytes, levels: Sequence[int], masks: str) -> None:
    """Raise PairError unless two files are an image and its mask.

    levels: the gray levels of the mask's labels, background first; masks: the kind of mask.
    """
    size = picture_size(image)
    # Reduced to save time, for which eight pixels a side are needed
    mode = cv2.IMREAD_GRAYSCALE if min(size) < 8 else cv2.IMREAD_REDUCED_GRAYSCALE_8
    if 0 in size or decode(image, mode) is None:
        raise PairError("the image is damaged")
    levels_found = decode(mask, cv2.IMREAD_UNCHANGED)
    if levels_found is None or not mask.startswith((PNG, JPG)):
        raise PairError("the mask is not a JPG or PNG file")
    is_png = mask.startswith(PNG)
    if masks == "index" and not is_png:
        raise PairError("an index mask must be PNG, JPG changes its labels")
    is_gray = levels_found.ndim == 2 and levels_found.dtype == np.uint8
    if not is_gray or (is_png and mask[24:26] != EIGHT_BIT_GRAY):
        raise PairError("the mask is in colour, or not of 8 bits: save it as 8-bit grayscale")
    height, width = levels_found.shape
    if (width, height) != size:
        raise PairError(f"the mask has {width} x {height} pixels, the image {size[0]} x {size[1]}")
    distance, label = nearest_label(levels)
    noise, share = (0, 0) if is_png else (JPG_NOISE, JPG_SHARE)
    far = cv2.LUT(levels_found, (distance > noise).astype(np.uint8))
    if cv2.countNonZero(far) > share * far.size:
        allowed = ", ".join(map(str, levels))
        value = levels_found[far > 0][0]
        raise PairError(f"the mask has the value {value}, it may have {allowed}")
    if not label[levels_found.max()]:
        raise PairError("the mask shows no structure")


def picture_size(data: bytes) -> tuple[int, int]:
    """The width and height of a whole JPG or PNG file, by its header; 0, 0 for anything else."""
    if data.startswith(PNG):
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if not (data.startswith(JPG) and data.endswith(JPG_END)):
        return 0, 0
    place = len(JPG)
    while place + 1 < len(data) and data[place + 1] not in SIZE_MARKERS:  # the segments before
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    height, width = data[place + 5 : place + 7], data[place + 7 : place + 9]
    return int.from_bytes(width, "big"), int.from_bytes(height, "big")


def decode(data: bytes, mode: int) -> npt.NDArray[Any] | None:
    """A picture file, read in a mode of OpenCV; None if it is none."""
    try:  # not cv2.imread, which fails on Windows if the path has an umlaut
        return cv2.imdecode(np.frombuffer(data, np.uint8), mode)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise
        return None  # it is empty, or its header announces too many pixels


def nearest_label(levels: Sequence[int]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """For each gray value 0..255, the distance to the nearest level and the number of that level.

    Levels 0 and 85: 84 has a distance of 1, and level number 1.
    """
    distances = np.abs(np.arange(256)[:, None] - np.array(levels))
    return distances.min(1), distances.argmin(1)
