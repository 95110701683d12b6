"""A folder in the form of CAMUS's database_nifti: which pairs it holds, and their pixels."""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from generator import nifti
from generator.nifti import BadFileError, Grid
from generator.pixels import Picture, to_labels, to_uint8
from generator.shared import RefusalError

SOURCE_NAME = r"(?P<patient>patient.*)_(?P<view>2CH|4CH)_(?P<instant>ED|ES|half_sequence)"
SOURCE_FILE = re.compile(rf"(?P<name>{SOURCE_NAME})(?P<mask>_gt)?\.nii(?:\.gz)?")


class Source(NamedTuple):
    """The two files of a key frame or half sequence, and the parts of their name."""

    name: str
    patient: str
    view: str
    instant: str
    image: Path
    mask: Path


def find_database(given: Path | None) -> Path:
    """The folder of the patient folders: the one given or looked for, or one inside it."""
    places = [Path("CAMUS_public/database_nifti"), Path("database_nifti"), Path("CAMUS_public")]
    if given is not None:
        places = [given, given / "database_nifti", given / "CAMUS_public/database_nifti"]
    for folder in places:
        if any(path.is_dir() for path in folder.glob("patient*")):
            return folder
    raise RefusalError(
        f"no patient folders in {places[0]} or {places[1]}: name the folder database_nifti of "
        "the CAMUS release, or make phantoms with generator/make_phantom_database.py"
    )


def find_sources(database: Path, frames: str) -> tuple[list[Source], dict[str, str], int]:
    """All pairs of NIfTI files to convert, sorted; why the other names give none; half sequences
    passed over.

    Names that differ in case alone are one name, as they are on the disks of many systems.
    """
    halves: dict[str, tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
    sources, problems = [], {}
    for patient in sorted(path for path in database.glob("patient*") if path.is_dir()):
        try:
            files = sorted(patient.iterdir())
        except OSError as error:
            problems[patient.name] = f"cannot be read ({error.strerror})"
            continue
        for path in files:
            if match := SOURCE_FILE.fullmatch(path.name):
                halves[match["name"].casefold()][bool(match["mask"])].append(path)
    wanted = [name for name in halves if name.endswith("half_sequence") == (frames == "sequence")]
    for images, masks in (halves[name] for name in sorted(wanted)):
        match = SOURCE_FILE.fullmatch((images + masks)[0].name)
        assert match
        if len(images) == len(masks) == 1:
            parts = match["name"], match["patient"], match["view"], match["instant"]
            sources.append(Source(*parts, images[0], masks[0]))
        else:
            problems[match["name"]] = _why_no_pair(images, masks)
    return sources, problems, 0 if frames == "sequence" else len(halves) - len(wanted)


def _why_no_pair(images: list[Path], masks: list[Path]) -> str:
    for same in (images, masks):
        if len(same) > 1:
            return "several files of one name: " + ", ".join("/".join(p.parts[-2:]) for p in same)
    if images:
        return f"its mask is missing, there is only the image {images[0].name}"
    return f"its image is missing, there is only the mask {masks[0].name}"


def read_info(folder: Path, view: str) -> dict[str, str]:
    """The `Key: value` lines of a patient's Info_2CH.cfg or Info_4CH.cfg; empty without it."""
    try:
        text = (folder / f"Info_{view}.cfg").read_text("utf-8-sig", errors="replace")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadFileError(f"Info_{view}.cfg: cannot be read ({error.strerror})") from error
    lines = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def read_frames(source: Source) -> tuple[Picture, Picture]:
    """Images and labels of a source, both (frames, height, width). Raises BadFileError."""
    images, grid = _read(source.image, to_uint8)
    labels, mask_grid = _read(source.mask, to_labels)
    if grid.shape != mask_grid.shape:
        raise BadFileError(f"image has {_times(grid.shape)} pixels, mask {_times(mask_grid.shape)}")
    if not np.allclose(grid.spacing, mask_grid.spacing, rtol=1e-3, atol=0):
        spacings = f"{_times(grid.spacing)} mm, those of the mask {_times(mask_grid.spacing)}"
        raise BadFileError(f"pixels of the image are {spacings}")
    return images, labels


def _times(numbers: Iterable[float]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)


def _read(path: Path, convert: Callable[[npt.NDArray[Any]], Picture]) -> tuple[Picture, Grid]:
    with named(path):
        pixels, grid = nifti.read(path)
        return convert(pixels).reshape(-1, grid.shape[1], grid.shape[0]), grid


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Put the file's name before what is wrong with it."""
    try:
        yield
    except BadFileError as error:
        raise BadFileError(f"{path.name}: {error}") from error
