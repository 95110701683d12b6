"""Read a NIfTI file whole and verified, or say in a few words why not.

Facts of the format: NIfTI-1 and NIfTI-2 data format definitions, https://nifti.nimh.nih.gov.
"""

from __future__ import annotations

import contextlib
import math
import struct
import zlib
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling

# In pixels; the longest half sequence of CAMUS has 29 frames of 787 x 649, 15 million.
LARGEST_FRAME, LARGEST_SEQUENCE = 2**23, 2**25
LARGEST_OFFSET = 2**24  # bytes before the data
CHUNK = 2**20  # bytes of a gzip file that are read at a time; most key frames have fewer
HEADERS: tuple[type[Nifti1Header], ...] = (Nifti1Header, Nifti2Header)
MILLIMETRES = {"meter": 1000.0, "micron": 0.001}
Read = Callable[[int], bytes]


class BadFileError(Exception):
    """A file that cannot be taken as it is; the text is the reason."""


class Grid(NamedTuple):
    """The pixel grid of a file.

    shape: (width, height) of a frame, (width, height, frames) of a sequence.
    spacing: (x, y) size of a pixel in millimetres.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, float]


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[Grid, Iterator[npt.NDArray[Any]]]]:
    """The grid of a file, and its frames one after the other, each (height, width).

    A frame is the file's array transposed, never flipped: rows from the top, as SimpleITK has it.
    Nothing is read ahead of the frames that are asked for, and no further than the header says.
    When they have come to their end, every byte of the file is accounted for and gzip's checksum
    is verified; so use none of them before.

    Raises BadFileError, as does what is done within it, with the file's name before the reason:
    unreadable, truncated or corrupt, not a NIfTI, or a header that the data contradicts.
    """
    try:
        with path.open("rb") as file:
            read = _inflating(file) if path.suffix == ".gz" else file.read
            header = _read_header(read)
            grid = _grid(header)
            yield grid, _frames(header, grid, read)
    except EOFError as error:
        raise BadFileError(f"{path.name}: gzip stream is cut short") from error
    except zlib.error as error:
        raise BadFileError(f"{path.name}: corrupt gzip stream ({error})") from error
    except OSError as error:
        raise BadFileError(f"{path.name}: cannot be read ({error.strerror})") from error
    except BadFileError as error:
        raise BadFileError(f"{path.name}: {error}") from error


def _inflating(file: BufferedReader) -> Read:
    """A function that gives the next bytes of a gzip file, fewer than asked for only at the end.

    Much of gzip.open's time goes into small pieces, in which threads then wait for each other.
    """
    inflater, pending = zlib.decompressobj(wbits=31), b""

    def read(size: int) -> bytes:
        nonlocal inflater, pending
        parts = []
        while size:
            pending = pending or file.read(CHUNK)
            if not pending:
                if inflater.eof:
                    break
                raise EOFError
            if inflater.eof:
                inflater = zlib.decompressobj(wbits=31)  # a further member of the file
            part = inflater.decompress(pending, size)
            pending = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    return read


def _read_header(read: Read) -> Nifti1Header:
    block = read(Nifti1Header.sizeof_hdr)
    for kind in HEADERS:
        for endianness in ("<", ">"):
            if block[:4] == struct.pack(endianness + "i", kind.sizeof_hdr):
                block += read(kind.sizeof_hdr - len(block))
                if len(block) == kind.sizeof_hdr:
                    header = kind(block, endianness, check=False)
                    if header["magic"].item() == kind.single_magic:
                        return header
    raise BadFileError("not a NIfTI file")


def _frames(header: Nifti1Header, grid: Grid, read: Read) -> Iterator[npt.NDArray[Any]]:
    dtype = _dtype(header)
    width, height = grid.shape[:2]
    _exactly(read, _data_offset(header) - header.sizeof_hdr)
    try:
        scaling = header.get_slope_inter()
    except HeaderDataError as error:
        raise BadFileError(f"unusable scaling in the header ({error})") from error
    for _ in range(math.prod(grid.shape[2:])):
        data = _exactly(read, dtype.itemsize * width * height)
        yield apply_read_scaling(np.frombuffer(data, dtype).reshape(height, width), *scaling)
    if read(1):
        raise BadFileError("goes on after the data that its header announces")


def _exactly(read: Read, size: int) -> bytes:
    data = read(size)
    if len(data) < size:
        raise BadFileError("ends before the data that its header announces")
    return data


def _grid(header: Nifti1Header) -> Grid:
    dim = [int(n) for n in header["dim"]]
    if not 1 <= dim[0] <= 7 or min(dim[1 : dim[0] + 1]) < 1:
        raise BadFileError(f"impossible dimensions in the header {dim}")
    shape = (*dim[1:3][: dim[0]], *(n for n in dim[3 : dim[0] + 1] if n > 1))
    if len(shape) not in (2, 3):
        raise BadFileError(f"has {len(shape)} dimensions, not 2 or 3")
    if math.prod(shape[:2]) > LARGEST_FRAME or math.prod(shape) > LARGEST_SEQUENCE:
        raise BadFileError(f"header claims {math.prod(shape)} pixels, more than any echocardiogram")
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
    if not header.single_vox_offset <= offset <= LARGEST_OFFSET or offset != int(offset):
        raise BadFileError(f"impossible data offset in the header ({offset:g})")
    return int(offset)
