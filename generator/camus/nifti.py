"""Read one NIfTI file whole and verified, or say in a few words why not.

Facts of the format: NIfTI-1 and NIfTI-2 data format definitions, https://nifti.nimh.nih.gov.
"""

import math
import struct
import zlib
from collections.abc import Callable
from importlib import import_module
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling

from camus.errors import SCARCE, PairError

try:
    inflate = import_module("isal.isal_zlib")  # the same functions, twice as fast
except ImportError:
    inflate = zlib

# In pixels; the longest half sequence of CAMUS has 29 frames of 787 x 649, 15 million.
LARGEST_FRAME, LARGEST_SEQUENCE = 2**23, 2**25
LARGEST_OFFSET = 2**24  # bytes before the data
LONGEST_SIDE = 8  # times the shorter one; 1.4 in CAMUS
SPACINGS = (0.01, 10)  # mm per pixel; 0.308 in CAMUS
CHUNK = 2**18  # bytes of a compressed file that are inflated at a time
HEADERS: tuple[type[Nifti1Header], ...] = (Nifti1Header, Nifti2Header)
# What NumPy users and SimpleITK write when they know no directions
DEFAULT_AFFINES = ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[-1, 0, 0], [0, -1, 0], [0, 0, 1]])
MILLIMETRES = {"meter": 1000.0, "micron": 0.001}
# What the first bytes of a file that is not NIfTI say of it
OTHER_FILES = {
    b"\x89PNG": "a PNG picture", b"\xff\xd8": "a JPG picture", b"PK": "a ZIP archive",
    b"<": "a web page or XML file", b"ObjectType": "a MetaImage file (.mhd)",
    b"version https://git-lfs": "a git-lfs pointer: fetch the file with git lfs pull",
    b"/annex/objects": "a git-annex pointer: fetch the file with git annex get",
}  # fmt: skip


class Grid(NamedTuple):
    """The pixel grid of a file.

    width, height: of a frame, in pixels. spacing: (x, y) size of a pixel, in mm.
    axes: the directions of the patient in which x and y grow, as nibabel names them: RA, LP, ...;
    None where the header does not say.
    """

    width: int
    height: int
    frames: int
    spacing: tuple[float, float]
    axes: str | None


def read(path: Path) -> tuple[Grid, list[npt.NDArray[Any]]]:
    """The grid of a file, and the scaled values of its frames, (height, width) each.

    A frame is the file's array transposed, never flipped: rows from the top, as SimpleITK reads it.
    All that the header announces is inflated, so that gzip's checksum is verified, but no more, so
    that a small file cannot fill the memory.

    Raises PairError: unreadable, damaged, not NIfTI, or a header that the data contradicts or that
    no echocardiogram has.
    """
    try:
        if not path.is_file():
            raise PairError("is a broken link" if path.is_symlink() else "is not a file")
        with path.open("rb", buffering=0) as file:
            read = _reader(file)
            header = _header(read)
            grid, dtype = _grid(header), _dtype(header)
            read(_data_offset(header) - header.sizeof_hdr)
            size = dtype.itemsize * grid.width * grid.height
            blocks = [read(size) for _ in range(grid.frames)]
            if len(blocks[-1]) < size or read(1):
                amount = "less" if len(blocks[-1]) < size else "more"
                raise PairError(f"holds {amount} data than its header announces")
        frames = [np.frombuffer(block, dtype).reshape(grid.height, -1) for block in blocks]
        scaling = header.get_slope_inter()
        return grid, [apply_read_scaling(frame, *scaling) for frame in frames]
    except (zlib.error, inflate.error) as error:
        raise PairError(f"corrupt gzip stream ({error})") from error
    except HeaderDataError as error:
        raise PairError(f"unusable header ({error})") from error
    except OSError as error:
        if error.errno in SCARCE:
            raise
        raise PairError(f"cannot be read ({error.strerror})") from error


def check_image_grid(image: Grid) -> None:
    """Raise PairError unless a grid can be that of an echocardiogram."""
    if not all(SPACINGS[0] <= size <= SPACINGS[1] for size in image.spacing):
        spacing = "{:g} x {:g}".format(*image.spacing)
        raise PairError(f"impossible pixel spacing in the header: {spacing} mm")
    sides = image.width * image.spacing[0], image.height * image.spacing[1]
    if max(sides) > LONGEST_SIDE * min(sides):
        shape = f"{image.width} x {image.height}"
        raise PairError(f"has frames of {shape} pixels: is time not the last axis?")


def check_same_grid(mask: Grid, image: Grid) -> None:
    """Raise PairError unless a mask lies on the grid of its image.

    A mask header that is not filled in, or has the default of np.eye(4), says nothing: then the
    grid is believed to be that of the image.
    """
    sizes = [f"{g.width} x {g.height} x {g.frames}".removesuffix(" x 1") for g in (mask, image)]
    if sizes[0] != sizes[1]:
        raise PairError(f"has {sizes[0]} pixels, its image {sizes[1]}")
    is_default = mask.spacing == (1, 1) and mask.axes is None
    is_told = any(size > 0 for size in mask.spacing) and not is_default  # NaN is not above 0
    both = zip(mask.spacing, image.spacing, strict=True)
    if is_told and not all(math.isclose(size, other, rel_tol=1e-3) for size, other in both):
        spacings = ["{:g} x {:g}".format(*grid.spacing) for grid in (mask, image)]
        raise PairError(f"has pixels of {spacings[0]} mm, its image {spacings[1]}")
    if mask.axes and image.axes and mask.axes != image.axes:
        raise PairError("lies in another orientation than its image")


def _reader(file: FileIO) -> Callable[[int], bytes]:
    """A function that gives the next `size` bytes of a file, or all that are left.

    They are inflated if the first bytes say that the file is gzip.
    """
    is_gzip = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if not is_gzip:
        return BufferedReader(file).read
    inflater, pending = inflate.decompressobj(wbits=31), b""

    def read(size: int) -> bytes:
        nonlocal inflater, pending
        parts = []
        while size and (pending := pending or file.read(CHUNK)):
            if inflater.eof:  # gzip files may have several members, and zeros after them
                pending = pending.lstrip(b"\0")
                if not pending:
                    continue
                inflater = inflate.decompressobj(wbits=31)
            parts.append(inflater.decompress(pending, size))
            pending = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            size -= len(parts[-1])
        if size and not inflater.eof:
            raise PairError("gzip stream is cut short")
        return b"".join(parts)

    return read


def _header(read: Callable[[int], bytes]) -> Nifti1Header:
    block = read(Nifti1Header.sizeof_hdr)
    for kind in HEADERS:
        for endianness in ("<", ">"):
            if block[:4] == struct.pack(endianness + "i", kind.sizeof_hdr):
                block += read(kind.sizeof_hdr - len(block))
                if len(block) < kind.sizeof_hdr:
                    raise PairError("ends within its header")
                header = kind(block, endianness, check=False)
                if header["magic"].item() != kind.single_magic:
                    raise PairError("is not a one-file NIfTI: its magic is not n+1 or n+2")
                return header
    if not block:
        raise PairError("is empty")
    found = [what for start, what in OTHER_FILES.items() if block.lstrip().startswith(start)]
    what = f" but {found[0]}" if found else ""
    remedy = "" if ":" in what else ": download it again"
    raise PairError(f"is not a NIfTI file{what}{remedy}")


def _grid(header: Nifti1Header) -> Grid:
    dim = header["dim"].tolist()
    shape = dim[1 : dim[0] + 1]
    if not 1 <= dim[0] <= 7 or min(shape) < 1:
        raise PairError(f"impossible dimensions in the header {dim}")
    frames = max(shape[2:4], default=1)  # time is the third axis, or the fourth
    if len(shape) < 2 or math.prod(shape[2:]) != frames:
        text = " x ".join(map(str, shape))
        raise PairError(f"has the dimensions {text}, not width x height or width x height x time")
    width, height = shape[:2]
    if width * height > LARGEST_FRAME or width * height * frames > LARGEST_SEQUENCE:
        pixels = width * height * frames
        raise PairError(f"header claims {pixels} pixels, more than any echocardiogram")
    try:
        unit = MILLIMETRES.get(header.get_xyzt_units()[0], 1.0)
    except KeyError as error:
        raise PairError("unknown unit of length or time in the header") from error
    spacing = [abs(size) * unit for size in header["pixdim"][1:3].tolist()]
    return Grid(width, height, frames, (spacing[0], spacing[1]), _axes(header))


def _axes(header: Nifti1Header) -> str | None:
    """The directions of x and y; None if not told, or a default. Makes pixdim positive."""
    if not (header["qform_code"] or header["sform_code"]):
        return None
    header["pixdim"][1:4] = np.abs(header["pixdim"][1:4])  # nibabel refuses negative sizes here
    try:
        affine = header.get_best_affine()[:3, :3]
    except (HeaderDataError, ValueError):
        return None
    lengths = np.abs(affine[:, :2])
    if affine.tolist() in DEFAULT_AFFINES or not (lengths.sum(axis=0) > 0).all():  # or it is NaN
        return None
    largest = lengths.argmax(axis=0)  # not aff2axcodes, which needs OpenBLAS
    return "".join(("LPI", "RAS")[int(affine[n, axis] > 0)][n] for axis, n in enumerate(largest))


def _dtype(header: Nifti1Header) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = header.get_data_dtype()
    except KeyError as error:
        raise PairError("unknown data type in the header") from error
    if dtype.kind not in "iuf":
        raise PairError(f"stores {'colours' if dtype.names else dtype}, not gray values")
    if header["bitpix"].item() != dtype.itemsize * 8:
        raise PairError(f"header gives {header['bitpix'].item()} bits to a {dtype} pixel")
    return dtype


def _data_offset(header: Nifti1Header) -> int:
    """Where the data starts, in bytes; 0 in the header means right after it."""
    offset = float(header["vox_offset"]) or header.single_vox_offset
    if not header.single_vox_offset <= offset <= LARGEST_OFFSET or offset != int(offset):
        raise PairError(f"impossible data offset in the header ({offset:g})")
    return int(offset)
