"""A folder of image/mask pairs: its metadata.csv and dataset.json, written and read again."""

import argparse
import codecs
import csv
import difflib
import io
import math
import os
import posixpath
import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from camus import names
from camus.errors import RefusalError
from camus.output import DATASET_JSON, HIDDEN, is_litter, read_description
from camus.pixels import LEVELS, STRUCTURES
from camus.splits import UNKNOWN

GENERATOR = "CAMUSImageMaskDatasetGenerator"
METADATA = "metadata.csv"
REQUIRED = ("file_name", "mask_file_name", "patient")  # of the columns of metadata.csv
# Columns that are numbers with decimals in every file, or empty
DECIMALS = ("age", "ef", "frame_rate", "source_spacing_x", "source_spacing_y",
            "spacing_x", "spacing_y")  # fmt: skip
# The options of the generator that decide what a master holds, with their types
SETTINGS = {
    "frames": str, "views": list, "masks": str, "structures": list, "format": str, "quality": int,
    "size": int, "fit": str, "mirror": bool,
}  # fmt: skip
Row = dict[str, Any]  # of metadata.csv, by column
NUMBER = re.compile(r"[+-]?(\d{1,20}(\.\d*)?|\.\d+)(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)

STRUCTURE_NAMES = {
    "lv": "left-ventricle cavity",
    "myo": "left-ventricle myocardium",
    "la": "left atrium",
}
SOURCE = "CAMUS, https://www.creatis.insa-lyon.fr/Challenge/camus"
# The terms of the release, in its LICENSE_TERMS.md
LICENCE = "CC BY-NC-SA 4.0, for non-commercial scientific research only"
CITATION = (
    "S. Leclerc, E. Smistad, J. Pedrosa, A. Ostvik, et al. "
    '"Deep Learning for Segmentation using an Open Large-Scale Dataset in 2D Echocardiography" '
    "in IEEE Transactions on Medical Imaging, vol. 38, no. 9, pp. 2198-2210, Sept. 2019, "
    "doi:10.1109/TMI.2019.2900516"
)


class Pair(NamedTuple):
    """An image and its mask as paths within the master, its patient and its row of metadata.csv.

    patient: in the one spelling of names.patient_key, to compare.
    """

    image: str
    mask: str
    patient: str
    row: dict[str, str]


def decimal(number: float) -> str:
    """A number with six digits at most, always with a decimal point: 54.0, 0.308."""
    return str(float(f"{number:.6g}"))


def write_metadata(folder: Path, rows: Iterable[Row]) -> None:
    """Write metadata.csv, sorted by file name. None becomes an empty field."""
    rows = sorted(rows, key=lambda row: str(row["file_name"]))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        known = [name for name in DECIMALS if row.get(name) not in (None, "")]
        writer.writerow({**row, **{name: decimal(float(row[name])) for name in known}})
    # Names are the bytes that the disk has
    (folder / METADATA).write_bytes(os.fsencode(text.getvalue()))


def describe(settings: argparse.Namespace, phantom: bool) -> dict[str, Any]:
    """What dataset.json says of a master: what made it, the labels, the settings, the licence."""
    kept = {STRUCTURES[name]: STRUCTURE_NAMES[name] for name in settings.structures}
    if settings.masks == "binary":
        kept = {1: ", ".join(kept.values())}
    labels = [
        {"label": label, "name": name, "gray_level": LEVELS[settings.masks][label]}
        for label, name in {0: "background", **kept}.items()
    ]
    return {
        "made_by": GENERATOR,
        "source": "phantom echocardiograms, not patients" if phantom else SOURCE,
        "phantom": phantom,
        "licence": "none needed: phantoms are synthetic" if phantom else LICENCE,
        "citation": "none needed: phantoms are synthetic" if phantom else CITATION,
        "labels": labels,
        "settings": {name: getattr(settings, name) for name in SETTINGS},
    }


def description_of(master: Path) -> dict[str, Any]:
    """What dataset.json says of a master that the generator made; else empty.

    Raises RefusalError where it was changed so that it cannot be used.
    """
    description = read_description(master)
    if description.get("made_by") != GENERATOR:
        return {}
    try:
        labels = description["labels"]
        types = {(type(x["label"]), type(x["name"]), type(x["gray_level"])) for x in labels}
        usable = types == {(int, str, int)} and all(
            x["label"] in range(4) and x["gray_level"] in range(256) for x in labels
        )
        settings = description["settings"]
        usable = usable and all(type(settings[name]) is kind for name, kind in SETTINGS.items())
        usable = usable and isinstance(description["phantom"], bool) and "source" in description
    except (KeyError, TypeError):
        usable = False
    if not usable:
        raise RefusalError(f"{master / DATASET_JSON} was changed: run the generator again")
    return description


def files_of(master: Path) -> set[str]:
    """The files that a master has, as its metadata.csv lists them."""
    return {DATASET_JSON, METADATA, *listed_files(master)}


def listed_files(folder: Path) -> set[str]:
    """The images and masks that metadata.csv in a folder lists, as paths within the folder."""
    path = folder / METADATA
    rows = read_table(path) if path.is_file() else []
    return {row[column] for row in rows for column in REQUIRED[:2]}


def find_master(chosen: Path | None, beside: Path) -> Path:
    """The folder chosen, or the first of the default places that has images and masks.

    beside: the folder of the script, where the default places are looked for as well.
    """
    places = ("CAMUS-master", "generator/CAMUS-master")
    defaults = [root / place for root in (Path(), beside) for place in places]
    for folder in [chosen] if chosen else defaults:
        if (folder / "images").is_dir() and (folder / "masks").is_dir():
            return folder
    if chosen is None:
        where = f"no {places[0]} with images and masks here, in generator/ or beside the script"
    elif not chosen.is_dir():
        where = f"{chosen} is not a folder"
    elif (chosen / "train").is_dir():
        where = f"{chosen} is split already: it holds train"
    elif any(chosen.glob("patient*/*.nii*")):
        where = f"{chosen} holds NIfTI files, not pairs"
    else:
        where = f"{chosen} does not hold the folders images and masks"
    raise RefusalError(f"{where}: choose the master, or make it with generator/{GENERATOR}.py")


def read_master(master: Path) -> list[Pair]:
    """All pairs of a master, sorted. Raises RefusalError unless each file has its partner."""
    ours = read_description(master).get("made_by") == GENERATOR
    metadata = (master / METADATA).is_file()
    if ours and not metadata:
        raise RefusalError(f"{master} has no {METADATA}: delete the folder, and run the generator")
    if (master / HIDDEN).exists() and not ours:
        raise RefusalError(f"{master} is not finished: run the generator again")
    images, masks = (_list(master, folder) for folder in ("images", "masks"))
    if metadata:
        rows = read_table(master / METADATA)
        for files, column in ((images, "file_name"), (masks, "mask_file_name")):
            listed = [row[column] for row in rows]
            _check_files(master, files, listed, f"is not in {METADATA} under this path")
            _check_files(master, listed, files, f"has two lines in {METADATA}, or no file")
    else:
        rows = _match(master, images, masks)
    if not rows:
        raise RefusalError(f"{master} has no pairs: run the generator first")
    pairs = [
        Pair(row["file_name"], row["mask_file_name"], names.patient_key(row["patient"]), row)
        for row in rows
    ]
    return sorted(pairs, key=lambda pair: pair.image)


def _list(master: Path, folder: str) -> list[str]:
    """The files of images/ or masks/, as paths within the master."""
    entries = [entry for entry in os.scandir(master / folder) if not is_litter(entry.name)]
    entries.sort(key=lambda entry: entry.name)
    spellings: dict[str, str] = {}
    for entry in entries:
        if not entry.is_file() or not entry.stat().st_size:
            kind = "empty" if entry.is_file() else "a broken link or not a file"
            raise RefusalError(f"{entry.path} is {kind}: move it away, or make the pair again")
        if (other := spellings.setdefault(entry.name.casefold(), entry.name)) != entry.name:
            raise RefusalError(
                f"{master / folder} holds {other} and {entry.name}, which are one file on disks "
                "that ignore case: rename one of the pairs"
            )
    return [f"{folder}/{entry.name}" for entry in entries]


def _match(master: Path, images: list[str], masks: list[str]) -> list[dict[str, str]]:
    """Rows for a master without metadata.csv: a mask has its image's name, or with _mask or _gt."""
    masks_of: dict[str, list[str]] = {}
    for mask in masks:
        masks_of.setdefault(_stem(mask), []).append(mask)
    alone = masks_of.keys() - {_stem(image) for image in images}
    pairs = []
    for image in images:
        partners = masks_of.get(_stem(image), [])
        if len(partners) != 1:
            near = [masks_of[name][0] for name in difflib.get_close_matches(_stem(image), alone, 1)]
            found = f"no mask{f' (the nearest name is {near[0]})' if near else ''}"
            remedy = (
                f"call its mask masks/{Path(image).stem}.png or .jpg (_mask or _gt may follow the "
                "name), or move the image away"
            )
            if partners:
                found, remedy = f"several masks: {', '.join(partners)}", "move all but one away"
            raise RefusalError(f"{master / image} has {found}: {remedy}")
        pairs.append((image, partners[0]))
    _check_files(master, masks, [mask for _, mask in pairs], "has no image of its name")
    _check_files(master, [mask for _, mask in pairs], masks, "belongs to several images")
    try:
        patients = names.patients_in([_stem(image) for image, _ in pairs])
    except ValueError as error:
        raise RefusalError(
            f"{master}: the name {error} does not say for certain which patient it shows: begin "
            f"it with patientNNNN_, or add a {METADATA} with the columns {', '.join(REQUIRED)}"
        ) from error
    return [
        dict(zip(REQUIRED, (*pair, patient), strict=True))
        for pair, patient in zip(pairs, patients, strict=True)
    ]


def _stem(file: str) -> str:
    """The name that an image and its mask have in common."""
    return re.sub(r"(_mask|_gt|_0000)$", "", Path(file).stem, flags=re.IGNORECASE)


def _check_files(master: Path, files: list[str], others: list[str], reason: str) -> None:
    """Raise RefusalError at the first file that occurs more often than in the other list."""
    for name in sorted((Counter(files) - Counter(others)).elements()):
        raise RefusalError(f"{master / name} {reason}: fix this and run the command again")


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a metadata.csv, also one that a spreadsheet has saved. Raises RefusalError.

    Blanks around values are stripped, backslashes in paths become slashes, and every column gets
    one type, whatever is missing.
    """
    try:
        text = os.fsdecode(path.read_bytes().removeprefix(codecs.BOM_UTF8))
        separator = max(",;\t|", key=text.partition("\n")[0].count)
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        # Kept once each: most cells have one of a few values, and 20,000 rows are a lot of cells
        table = [[sys.intern(cell.strip()) for cell in line] for line in lines] or [[]]
    except csv.Error as error:
        raise RefusalError(f"{path} is not a CSV file ({error}): save it again") from error
    header = table[0]
    problems = [f"has no column {name!r} in its first line" for name in REQUIRED
                if name not in header]  # fmt: skip
    problems += [f"has the column {name!r} twice" for name, n in Counter(header).items() if n > 1]
    if "\0" in text:
        problems = ["is not in UTF-8"]
    if problems:
        raise RefusalError(f"{path} {problems[0]}: fix this and run the command again")
    numbered = enumerate(table[1:], 2)
    rows = [_row(f"{path}: line {n}", header, cells) for n, cells in numbered if any(cells)]
    for name in set(header) - set(REQUIRED):
        if name in DECIMALS and separator != ",":
            for row in rows:
                row[name] = row[name].replace(",", ".")
        _unify(path, rows, name)
    return rows


def _row(line: str, header: list[str], cells: list[str]) -> dict[str, str]:
    """The row that the cells of a line make. line: where it is, for RefusalError."""
    if len(cells) != len(header):
        raise RefusalError(f"{line} has {len(cells)} values, not {len(header)}: correct it")
    row = dict(zip(header, cells, strict=True))
    for name in REQUIRED:
        if not row[name]:
            raise RefusalError(f"{line} has no {name}: correct it")
    for name in REQUIRED[:2]:
        row[name] = posixpath.normpath(row[name].replace("\\", "/"))
    return row


def _unify(path: Path, rows: list[dict[str, str]], name: str) -> None:
    """Give a column one type: whole numbers; decimals or empty; or words, never empty."""
    number_of = {text: number_in(text) for text in {row[name] for row in rows}}
    try:
        "".join([name, *number_of]).encode()
    except UnicodeEncodeError as error:
        raise RefusalError(f"{path} is not in UTF-8: save it as UTF-8") from error
    words = {text for text, number in number_of.items() if text and number is None}
    is_whole = name not in DECIMALS and all(map(str.isdecimal, number_of))
    for row in rows:
        text, number = row[name], number_of[row[name]]
        if text in words and name in DECIMALS:
            what = f"{name} is {text!r}, which is not a number"
            raise RefusalError(f"{path}: {row['file_name']}: {what}")
        if words:
            row[name] = text or UNKNOWN
        elif number is not None and not is_whole:
            row[name] = decimal(number)


def number_in(text: str) -> float | None:
    """A number as it is written with ASCII digits and a point, or None: 54, 50.5, -1e-3."""
    if len(text) > 40 or not NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None
