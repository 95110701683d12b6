"""One NIfTI file -> its frames, pixel spacing and orientation, checked.

Facts of the format: NIfTI-1 data format definition, https://nifti.nimh.nih.gov/nifti-1.
"""

import functools
import io
import logging
import math
import zlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from camus import PairError, importing

with importing():
    from nibabel.nifti1 import Nifti1Header
    from nibabel.orientations import aff2axcodes
    from nibabel.spatialimages import HeaderDataError
    from nibabel.volumeutils import apply_read_scaling
try:
    inflate = import_module("isal.isal_zlib")  # the same functions, twice as fast
except ImportError:
    inflate = zlib

GZIP = b"\x1f\x8b"  # the first bytes of a gzip file
HEADER_SIZE = 348  # bytes
LARGEST = 2**25  # pixels of a file; the largest half sequence has 29 frames of 787 x 649
LARGEST_FILE = 2**30  # bytes; more than this number of pixels of any type
SIDES = (20, 400)  # mm of an image; 100 to 242 in CAMUS
QUIET = logging.Logger("nibabel's remarks on headers", logging.CRITICAL + 1)

To8Bits = Callable[[npt.NDArray[Any]], npt.NDArray[np.uint8]]


class Scan(NamedTuple):
    """What a file holds: its array transposed, never flipped, as SimpleITK reads it."""

    frames: list[npt.NDArray[np.uint8]]  # each of shape (height, width), rows from the top
    spacing: tuple[float, float]  # of pixels in x and y, mm; as in the header, so 0 or NaN, too
    axes: str  # where x and y point in the patient: LP is left and posterior; empty if not stated


def _reader(data: bytes) -> Callable[[int], bytes]:
    """A function that gives the next bytes of a file, inflated; fewer at its end, or PairError."""
    if data[:2] != GZIP:
        return io.BytesIO(data).read
    inflater = inflate.decompressobj(wbits=31)

    def take(size: int) -> bytes:
        nonlocal data
        block: bytes = inflater.decompress(data, size)
        data = inflater.unconsumed_tail
        if len(block) < size and not inflater.eof:  # at its end, gzip's checksum is verified
            raise PairError("is cut short: download it again")
        if len(block) < size and inflater.unused_data.strip(b"\0"):
            reason = "holds more data than a gzip file, or several of them"
            raise PairError(f"{reason}: download it again")
        return block

    return take


def read(path: Path, to_8_bits: To8Bits, sides: tuple[float, float] | None = None) -> Scan:
    """Read a .nii or .nii.gz file whole; its content tells whether it is compressed.

    to_8_bits: makes a uint8 frame from the scaled values of a frame, both (height, width).
    sides: how long the sides of a frame must be, mm; None if the header may say nothing.
    Raises PairError, which names the file, unless it holds undamaged frames of a NIfTI-1, and
    OSError if it cannot be read.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise PairError("is larger than any echocardiogram: download it again")
        take = _reader(path.read_bytes())
        header, spacing = _header(take(HEADER_SIZE))
        width, height, *rest = header.get_data_shape()
        millimetres = width * spacing[0], height * spacing[1]
        if sides and not all(sides[0] <= side <= sides[1] for side in millimetres):
            found = "would be {:.3g} x {:.3g} mm".format(*millimetres)
            reason = "the header has lost its pixel size, or the frames are not on the last axis"
            raise PairError(f"{found}: {reason}; use the original file")
        dtype, scaling = header.get_data_dtype(), header.get_slope_inter()
        offset = int(header["vox_offset"]) or header.single_vox_offset  # 0: not filled in
        take(offset - HEADER_SIZE)
        frames = []
        count = math.prod(rest)
        size = width * height * dtype.itemsize
        for number in range(1, count + 1):
            block = take(size)
            if len(block) < size:
                raise PairError("is cut short: download it again")
            values = np.frombuffer(block, dtype).reshape(height, width)
            try:
                frames.append(to_8_bits(apply_read_scaling(values, *scaling)))
            except PairError as error:
                raise PairError(f"frame {number} {error}" if count > 1 else str(error)) from None
        if take(1):
            raise PairError("holds more data than its header announces")
        is_placed = header["sform_code"] or header["qform_code"]
        axes = _axes(header.get_best_affine().tobytes()) if is_placed else ""
        return Scan(frames, spacing, axes)
    except PairError as error:
        reason = str(error)
    except (zlib.error, inflate.error) as error:
        reason = f"is damaged, its gzip stream is corrupt ({error}): download it again"
    except (HeaderDataError, ValueError) as error:
        reason = f"has an unusable header ({error})"
    raise PairError(f"{path.name} {reason}")


def _header(block: bytes) -> tuple[Nifti1Header, tuple[float, float]]:
    """The header of frames, and its spacing. Raises PairError or HeaderDataError."""
    if block[:2] == GZIP:
        raise PairError("is compressed twice: decompress it once")
    if block[344:] != b"n+1\0":
        raise PairError(f"is not a NIfTI-1 file, it begins with {block[:24]!r}: download it again")
    header = Nifti1Header(block, check=False)  # which sees the byte order
    x, y = np.abs(header["pixdim"][1:3].astype(float)).tolist()
    header.check_fix(QUIET, error_level=40)  # which turns spacings of 0 into 1
    shape = header.get_data_shape()
    is_picture = 2 <= header["dim"][0] <= 7 and min(shape) > 0
    if not is_picture or sum(length > 1 for length in shape[2:]) > 1:
        sizes = " x ".join(map(str, shape))
        raise PairError(f"has {sizes} values, not width x height or width x height x frames")
    if not (math.prod(shape) <= LARGEST and header["vox_offset"] <= LARGEST):  # nor is it NaN
        raise PairError("has a header that announces more data than any echocardiogram has")
    if header.get_data_dtype().kind not in "iuf":
        raise PairError(f"holds {header.get_value_label('datatype')}, not gray values or labels")
    return header, (x, y)


@functools.lru_cache  # all files of the release have one affine, and this takes a while
def _axes(affine: bytes) -> str:
    """Where x and y point by the 16 numbers of an affine, or nothing if they make no sense."""
    matrix = np.frombuffer(affine).reshape(4, 4)
    axes = aff2axcodes(matrix)[:2] if np.isfinite(matrix).all() else ()
    return "".join(axes) if all(axes) else ""


def check_same_grid(mask: Scan, image: Scan) -> None:
    """Raise PairError unless a mask lies on the pixel grid of its image.

    A mask header that is not filled in, or has pixels of 1 x 1 mm as np.eye(4) writes them, says
    nothing. Then the mask is believed to lie on its image.
    """
    sizes = ["{1} x {0} pixels in {2} frames".format(*scan.frames[0].shape, len(scan.frames))
             for scan in (mask, image)]  # fmt: skip
    if sizes[0] != sizes[1]:
        raise PairError(f"the mask has {sizes[0]}, the image {sizes[1]}")
    if mask.spacing == (1, 1) or not all(size > 0 for size in mask.spacing):
        return
    both = zip(mask.spacing, image.spacing, strict=True)
    if not all(math.isclose(size, other, rel_tol=1e-3) for size, other in both):
        pixels = "{:g} x {:g} mm in the mask, {:g} x {:g} mm in the image"
        raise PairError(f"pixels of {pixels.format(*mask.spacing, *image.spacing)}: see the README")
    if mask.axes and image.axes and mask.axes != image.axes:
        axes = f"{mask.axes}, the image {image.axes}"
        raise PairError(f"the mask has the orientation {axes}: see the README")
