"""The folder CAMUS-master: what it may hold, its metadata.csv and its dataset.json."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from generator.database import SOURCE_NAME
from generator.nifti import Grid
from generator.pixels import LEVELS, Box
from generator.shared import PARTIAL, RefusalError, own_files, write_whole

PAIR_FILE = rf"(?:images|masks)/(?:mirrored_)?(?P<name>{SOURCE_NAME})(?:_frame\d+)?\.(?:jpg|png)"
OWN_FILE = re.compile(
    rf"dataset\.json|metadata\.csv|images/|masks/|{PAIR_FILE}|(?:.*/)?{PARTIAL}[^/]*"
)

MADE_BY = "CAMUSImageMaskDatasetGenerator"

LABEL_NAMES = (
    "background",
    "left-ventricle cavity (lv)",
    "left-ventricle myocardium (myo)",
    "left atrium (la)",
)
# The terms of the release, in its LICENSE_TERMS.md
LICENCE = "CC BY-NC-SA 4.0, for non-commercial scientific research only"
CITATION = (
    "S. Leclerc, E. Smistad, J. Pedrosa, A. Ostvik, et al. "
    '"Deep Learning for Segmentation using an Open Large-Scale Dataset in 2D Echocardiography" '
    "in IEEE Transactions on Medical Imaging, vol. 38, no. 9, pp. 2198-2210, Sept. 2019, "
    "doi:10.1109/TMI.2019.2900516"
)


@dataclass(frozen=True)
class Settings:
    """The options that decide what a master holds."""

    frames: str
    masks: str
    structures: list[str]
    format: str
    quality: int
    size: int
    fit: str
    mirror: bool

    @property
    def mask_format(self) -> str:
        return "png" if self.masks == "index" else self.format


class Row(NamedTuple):
    """A row of metadata.csv: what is known of a pair. What is not known is empty."""

    file_name: str
    mask_file_name: str
    patient: str
    view: str  # 2CH or 4CH
    instant: str  # ED, ES or, between them, empty
    frame: str  # in its half sequence, counted from 1
    mirrored: int  # 1 for a copy flipped left to right
    sex: str
    age: str  # years
    image_quality: str  # Good, Medium or Poor
    ef: str  # ejection fraction, percent
    frame_rate: str  # frames a second
    source_width: int
    source_height: int
    source_spacing_x: str  # mm per pixel of the NIfTI
    source_spacing_y: str
    left: int  # where the picture stands in the square, pixels
    top: int
    width: int
    height: int
    spacing_x: str  # mm per pixel of the square
    spacing_y: str


def columns_from_info(info: dict[str, str]) -> dict[str, Any]:
    """The columns that are a patient's or an acquisition's."""
    return {
        "sex": info.get("Sex", ""),
        "age": info.get("Age", ""),
        "image_quality": info.get("ImageQuality", ""),
        "ef": info.get("EF", ""),
        "frame_rate": info.get("FrameRate", ""),
    }


def columns_from_geometry(grid: Grid, box: Box) -> dict[str, Any]:
    """The columns that tell where the picture stands and how large its pixels are."""
    (width, height), (x, y) = grid.shape[:2], grid.spacing
    return {
        "source_width": width,
        "source_height": height,
        "source_spacing_x": f"{x:.6g}",
        "source_spacing_y": f"{y:.6g}",
        **box._asdict(),
        "spacing_x": f"{x * width / box.width:.6g}",
        "spacing_y": f"{y * height / box.height:.6g}",
    }


def metadata_csv(rows: Iterable[Row]) -> bytes:
    """The bytes of metadata.csv, sorted by file name."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(sorted(rows))
    return text.getvalue().encode(errors="surrogateescape")


def dataset_json(settings: Settings) -> bytes:
    """The bytes of dataset.json: labels with their names and gray levels, settings, licence."""
    levels = LEVELS[settings.masks]
    labels = [
        {"label": label, "name": name, "gray_level": level}
        for label, (name, level) in enumerate(zip(LABEL_NAMES, levels, strict=True))
    ]
    description = {
        "made_by": MADE_BY,
        "source": "CAMUS, https://www.creatis.insa-lyon.fr/Challenge/camus",
        "licence": LICENCE,
        "citation": CITATION,
        "labels": labels,
        "settings": asdict(settings),
    }
    return (json.dumps(description, indent=2) + "\n").encode()


def open_master(
    master: Path, settings: Settings, overwrite: bool, sources: set[str]
) -> dict[str, float]:
    """Make the master ready to be written to; the pictures that are there, and their times.

    Raises RefusalError, with nothing touched, where the folder is not this run's to go on with:
    someone else's files, other settings, or pairs of other sources than the ones named.
    """
    files = own_files(master, OWN_FILE)
    facts = {name: (master / name).stat() for name in files if PARTIAL not in name}
    whole = {name: fact.st_mtime for name, fact in facts.items() if fact.st_size}
    description = description_of(master)
    if whole and description.get("made_by") != MADE_BY:
        raise RefusalError(f"{master} was not made by this script: name another folder")
    if whole and not overwrite:
        _check_going_on(master, description.get("settings", {}), settings, whole, sources)
    for name in files:
        if name != "dataset.json" and (overwrite or name not in whole or name == "metadata.csv"):
            (master / name).unlink()
    for folder in ("images", "masks"):
        (master / folder).mkdir(exist_ok=True)
    write_whole(master / "dataset.json", dataset_json(settings))
    if overwrite:
        return {}
    return {name: time for name, time in whole.items() if "/" in name}


def _check_going_on(
    master: Path, old: dict[str, Any], settings: Settings, files: Iterable[str], sources: set[str]
) -> None:
    new = asdict(settings)
    if changed := [f"{key} {old.get(key)}" for key in new if old.get(key) != new[key]]:
        raise RefusalError(
            f"{master} was made with {', '.join(changed)}: "
            "name another folder, or start over with --overwrite"
        )
    matches = filter(None, (re.fullmatch(PAIR_FILE, name) for name in sorted(files)))
    if strange := [
        match[0] for match in matches if not sources & {match["name"], match["patient"]}
    ]:
        raise RefusalError(
            f"{master} holds {strange[0]}, which this database does not: "
            "name another folder, or start over with --overwrite"
        )


def description_of(folder: Path) -> dict[str, Any]:
    """What dataset.json in a folder says; empty without one of the form that the scripts write."""
    try:
        description = json.loads((folder / "dataset.json").read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    if isinstance(description, dict) and isinstance(description.get("settings", {}), dict):
        return description
    return {}
