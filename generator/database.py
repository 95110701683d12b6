"""A folder in the form of CAMUS's database_nifti: which pairs it holds, and their pixels."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from generator import nifti
from generator.nifti import BadFileError, Grid
from generator.pixels import Picture, to_labels
from generator.shared import RefusalError

DOWNLOAD = "https://humanheart-project.creatis.insa-lyon.fr/database"
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
    if given and not given.is_dir():
        raise RefusalError(f"{given} is no folder: name the unpacked folder database_nifti")
    roots = [given] if given else [Path("CAMUS_public"), Path("database_nifti")]
    for root in roots:
        for inside in ("", "database_nifti", "CAMUS_public/database_nifti"):
            if any((root / inside).glob("patient*/*.nii*")):
                return root / inside
    raise RefusalError(
        f"no patient folders in {' or '.join(str(root.absolute()) for root in roots)}: download "
        f"CAMUS_public from {DOWNLOAD} and unpack it here, or name its folder database_nifti; or "
        "try phantoms, python generator/make_phantom_database.py demo/database_nifti"
    )


def find_sources(database: Path, frames: str) -> tuple[list[Source], dict[str, str], int]:
    """The pairs of NIfTI files to convert, sorted; why others give none; half sequences left out.

    Names that differ in case alone are one name, as they are on the disks of many systems.
    """
    found: dict[str, list[tuple[re.Match[str], Path]]] = defaultdict(list)
    sources, problems = [], {}
    for patient in sorted(path for path in database.glob("patient*") if path.is_dir()):
        try:
            files = sorted(patient.iterdir())
        except OSError as error:
            problems[patient.name] = f"cannot be read ({error.strerror})"
            continue
        matches = [(match, path) for path in files if (match := SOURCE_FILE.fullmatch(path.name))]
        for match, path in matches:
            found[match["name"].casefold()].append((match, path))
        if not matches:
            problems[patient.name] = "holds no frames, patientNNNN_2CH_ED.nii.gz and the like"
    wanted = [name for name in found if name.endswith("half_sequence") == (frames == "sequence")]
    for files_of_name in (found[name] for name in sorted(wanted)):
        images = [path for match, path in files_of_name if not match["mask"]]
        masks = [path for match, path in files_of_name if match["mask"]]
        name = files_of_name[0][0]
        if len(images) == len(masks) == 1:
            parts = name["name"], name["patient"], name["view"], name["instant"]
            sources.append(Source(*parts, images[0], masks[0]))
        else:
            problems[name["name"]] = _why_no_pair(images, masks)
    return sources, problems, 0 if frames == "sequence" else len(found) - len(wanted)


def _why_no_pair(images: list[Path], masks: list[Path]) -> str:
    for same in (images, masks):
        if len(same) > 1:
            return "several files of one name: " + ", ".join("/".join(p.parts[-2:]) for p in same)
    if images:
        return f"its mask is missing, there is only the image {images[0].name}"
    return f"its image is missing, there is only the mask {masks[0].name}"


def times_of(source: Source) -> tuple[float, float]:
    """When image and mask were last modified. Raises BadFileError."""
    try:
        return source.image.stat().st_mtime, source.mask.stat().st_mtime
    except OSError as error:
        name = Path(error.filename).name
        raise BadFileError(f"{name}: cannot be read ({error.strerror})") from error


def read_info(folder: Path, view: str) -> dict[str, str]:
    """The `Key: value` lines of a patient's Info_2CH.cfg or Info_4CH.cfg; empty without it."""
    try:
        text = (folder / f"Info_{view}.cfg").read_bytes().decode("utf-8-sig", "replace")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadFileError(f"Info_{view}.cfg: cannot be read ({error.strerror})") from error
    lines = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def read_labels(path: Path, grid: Grid) -> list[Picture]:
    """The labels of a mask file on the grid of its image, (height, width) each.

    Raises BadFileError.
    """
    with nifti.opened(path) as (own, frames):
        if own.shape != grid.shape:
            raise BadFileError(f"has {_by(own.shape)} pixels, its image {_by(grid.shape)}")
        if not all(map(partial(math.isclose, rel_tol=1e-3), own.spacing, grid.spacing)):
            spacings = f"{_by(own.spacing)} mm, those of its image {_by(grid.spacing)}"
            raise BadFileError(f"has pixels of {spacings}")
        return [to_labels(frame) for frame in frames]


def _by(numbers: Iterable[float]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)
