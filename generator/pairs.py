"""The pairs of a folder with images/ and masks/, of the generator's making or another tool's."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from generator.database import SOURCE_NAME
from generator.master import MADE_BY, description_of
from generator.shared import LITTER, PARTIAL, RefusalError

REQUIRED = ("file_name", "mask_file_name", "patient")  # of the columns of metadata.csv


class Pair(NamedTuple):
    """An image and its mask, as paths within the master, and its row of metadata.csv."""

    image: str
    mask: str
    patient: str
    row: dict[str, str]

    @property
    def original(self) -> str:
        """The name that a pair has in common with its mirrored copy."""
        return Path(self.image).stem.removeprefix("mirrored_")


def find_master(given: Path | None) -> Path:
    """The folder given, or the first of the default places that has images and masks."""
    places = [given] if given else [Path("CAMUS-master"), Path("generator/CAMUS-master")]
    for folder in places:
        if (folder / "images").is_dir() and (folder / "masks").is_dir():
            return folder
    raise RefusalError(
        f"no images and masks in {' or '.join(str(p.absolute()) for p in places)}: "
        "name the folder, or make it with generator/CAMUSImageMaskDatasetGenerator.py"
    )


def read_master(master: Path) -> list[Pair]:
    """All pairs of a master, sorted. Raises RefusalError unless each file has its partner."""
    images, masks = (_list(master, folder) for folder in ("images", "masks"))
    if (master / "metadata.csv").exists():
        return _read_metadata(master, images, masks)
    if description_of(master).get("made_by") == MADE_BY:
        raise RefusalError(f"{master} is not finished: run the generator to its end")
    partners = {Path(mask).stem: mask for mask in reversed(masks)}
    pairs = []
    for image in images:
        mask = partners.get(Path(image).stem, "")
        row = {"file_name": image, "mask_file_name": mask, "patient": _patient(master, image)}
        pairs.append(Pair(image, mask, row["patient"], row))
    matched = [pair for pair in pairs if pair.mask]
    _check_files(master, images, [pair.image for pair in matched], "has no mask")
    _check_files(master, masks, [pair.mask for pair in matched], "has no image of its own")
    _check_files(master, [pair.mask for pair in matched], masks, "belongs to several images")
    return pairs


def _list(master: Path, folder: str) -> list[str]:
    names = (path.name for path in (master / folder).iterdir())
    return sorted(
        f"{folder}/{name}"
        for name in names
        if not LITTER.fullmatch(name) and not name.startswith(PARTIAL)
    )


def _patient(master: Path, image: str) -> str:
    """The patient that a file name tells of: by number, or else in a name of the generator's form.

    patient0001 of images/patient0001_2CH_ED.jpg, but of images/ES_4CH_Patient_1.png, too.
    """
    stem = Path(image).stem.casefold()
    if match := re.search(r"(?<![a-z])patient[ _-]?(\d+)", stem):
        return f"patient{int(match[1]):04}"
    if match := re.fullmatch(rf"(?:mirrored_)?{SOURCE_NAME}(?:_frame\d+)?", stem, re.IGNORECASE):
        return match["patient"]
    raise RefusalError(
        f"{master / image} names no patient: call it patientNNNN_..., or add a metadata.csv"
    )


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a metadata.csv. Raises RefusalError where it is no such file."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        try:
            return list(csv.DictReader(file))
        except csv.Error as error:
            raise RefusalError(f"{path} cannot be read ({error}): make it anew") from error


def _read_metadata(master: Path, images: list[str], masks: list[str]) -> list[Pair]:
    """The pairs that metadata.csv tells of, which must be those that are there."""
    path = master / "metadata.csv"
    rows = read_rows(path)
    for number, row in enumerate(rows, 1):
        if None in row or not all(row.get(column) for column in REQUIRED):
            raise RefusalError(f"{path}: row {number} does not tell {', '.join(REQUIRED)}")
    pairs = [Pair(row["file_name"], row["mask_file_name"], row["patient"], row) for row in rows]
    for files, told in ((images, [p.image for p in pairs]), (masks, [p.mask for p in pairs])):
        _check_files(master, files, told, "is not in metadata.csv")
        _check_files(master, told, files, "is in metadata.csv alone, or twice")
    return sorted(pairs, key=lambda pair: pair.image)


def _check_files(master: Path, files: list[str], others: list[str], reason: str) -> None:
    """Raise RefusalError at the first of the files that is not among the others as often."""
    for name in sorted((Counter(files) - Counter(others)).elements()):
        raise RefusalError(f"{master / name} {reason}: nothing was written, mend the master first")
