"""Read a NIfTI file whole and verified, or say in a few words why not.

Facts of the format: NIfTI-1 and NIfTI-2 data format definitions, https://nifti.nimh.nih.gov.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import numpy as np
import numpy.typing as npt
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling

# The longest half sequence of CAMUS, 29 frames of 787 x 649 float32, takes 59 MB.
LARGEST_DATA = 128 * 2**20
HEADERS: tuple[type[Nifti1Header], ...] = (Nifti1Header, Nifti2Header)
MILLIMETRES = {"meter": 1000.0, "micron": 0.001}


class BadFileError(Exception):
    """A file that cannot be taken as it is; the text is the reason."""


class Grid(NamedTuple):
    """The pixel grid of a file.

    shape: (width, height) of a frame, (width, height, frames) of a sequence.
    spacing: (x, y) size of a pixel in millimetres.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, float]


def read_grid(path: Path) -> Grid:
    """Read the header alone. Raises BadFileError."""
    with _open(path) as stream:
        return _grid(_read_header(stream)[0])


def read(path: Path) -> tuple[npt.NDArray[np.generic], Grid]:
    """Read pixels and grid, with every byte of the file accounted for.

    The array is the file's transposed, never flipped: (height, width) or (frames, height, width),
    rows from the top, which is SimpleITK's order too. Raises BadFileError: unreadable, truncated or
    corrupt (gzip's checksum is verified), not a NIfTI, or a header that its data contradicts.
    """
    with _open(path) as stream:
        header, start = _read_header(stream)
        grid = _grid(header)
        dtype, offset = _dtype(header), _data_offset(header)
        size = dtype.itemsize * math.prod(grid.shape)
        if size + offset > LARGEST_DATA:
            raise BadFileError(f"header claims {size + offset} bytes, more than any echocardiogram")
        body = stream.read(size + offset - len(start))
        if len(body) < size + offset - len(start):
            raise BadFileError("ends before the data that its header announces")
        if stream.read(1):
            raise BadFileError("goes on after the data that its header announces")
    pixels = np.frombuffer(body, dtype, offset=offset - len(start)).reshape(grid.shape[::-1])
    try:
        return apply_read_scaling(pixels, *header.get_slope_inter()), grid
    except HeaderDataError as error:
        raise BadFileError(f"unusable scaling in the header ({error})") from error


@contextlib.contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    """Open for reading; whatever goes wrong while it is open is a BadFileError."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            yield cast(BinaryIO, stream)
    except EOFError as error:
        raise BadFileError("gzip stream is cut short") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise BadFileError(f"corrupt gzip stream ({error})") from error
    except OSError as error:
        raise BadFileError(f"cannot be read ({error.strerror})") from error


def _read_header(stream: BinaryIO) -> tuple[Nifti1Header, bytes]:
    """The header and the bytes it was read from, 348 (NIfTI-1) or 540 (NIfTI-2) of them."""
    block = stream.read(Nifti1Header.sizeof_hdr)
    for kind in HEADERS:
        for endianness in ("<", ">"):
            if block[:4] == struct.pack(endianness + "i", kind.sizeof_hdr):
                block += stream.read(kind.sizeof_hdr - len(block))
                if len(block) == kind.sizeof_hdr:
                    header = kind(block, endianness, check=False)
                    if header["magic"].item() == kind.single_magic:
                        return header, block
    raise BadFileError("not a NIfTI file")


def _grid(header: Nifti1Header) -> Grid:
    dim = [int(n) for n in header["dim"]]
    if not 1 <= dim[0] <= 7 or min(dim[1 : dim[0] + 1]) < 1:
        raise BadFileError(f"impossible dimensions in the header {dim}")
    shape = (*dim[1:3][: dim[0]], *(n for n in dim[3 : dim[0] + 1] if n > 1))
    if len(shape) not in (2, 3):
        raise BadFileError(f"has {len(shape)} dimensions, not 2 or 3")
    unit = MILLIMETRES.get(_spatial_unit(header), 1.0)
    spacing = [float(size) * unit for size in header["pixdim"][1:3]]
    if not all(0 < size < np.inf for size in spacing):
        raise BadFileError(f"impossible pixel spacing in the header {spacing}")
    return Grid(shape, (spacing[0], spacing[1]))


def _spatial_unit(header: Nifti1Header) -> str:
    try:
        return str(header.get_xyzt_units()[0])
    except KeyError as error:
        raise BadFileError("unknown unit of length in the header") from error


def _dtype(header: Nifti1Header) -> np.dtype[np.generic]:
    try:
        dtype: np.dtype[np.generic] = header.get_data_dtype()
    except KeyError as error:
        raise BadFileError("unknown data type in the header") from error
    if dtype.kind not in "iuf":
        raise BadFileError(f"stores {dtype}, not gray values")
    if header["bitpix"].item() != dtype.itemsize * 8:
        raise BadFileError(f"header gives {header['bitpix'].item()} bits to a {dtype} pixel")
    return dtype


def _data_offset(header: Nifti1Header) -> int:
    """Where the data starts, in bytes; 0 in the header means right after it."""
    offset = float(header["vox_offset"]) or header.single_vox_offset
    if not header.single_vox_offset <= offset <= LARGEST_DATA or offset != int(offset):
        raise BadFileError(f"impossible data offset in the header ({offset:g})")
    return int(offset)
