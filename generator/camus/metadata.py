"""metadata.csv and dataset.json of a folder of pairs, written and read again."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from camus import RefusalError, facts
from camus.files import entries

Row = dict[str, Any]  # the record of a pair, by column of metadata.csv
Description = dict[str, Any]  # dataset.json

METADATA, DATASET_JSON = "metadata.csv", "dataset.json"
GENERATOR = "CAMUSImageMaskDatasetGenerator"  # as dataset.json of a master names its maker
FOLDERS = {"images": "file_name", "masks": "mask_file_name"}  # the column that lists their files
REQUIRED = ("file_name", "mask_file_name", "patient", "view", "instant", "frame", "mirrored")
# The options of the generator that decide what a master holds
SETTINGS = ("frames", "views", "image_quality", "masks", "structures", "format", "jpg_quality",
            "size", "fit", "mirror")  # fmt: skip
LABEL_KEYS = {"label", "name", "gray_level"}
KEYS = {"source", "phantom", "licence", "citation", "labels", "settings"}  # of a master


def decimal(number: float | None) -> str:
    """A number with six digits at most, always with a decimal point; None is empty. 54: 54.0."""
    return "" if number is None else str(float(f"{number:.6g}"))


def write_rows(folder: Path, rows: Sequence[Row]) -> None:
    """Write metadata.csv, sorted by file name."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: row["file_name"]))
    (folder / METADATA).write_text(text.getvalue(), encoding="utf-8", newline="")


def read_rows(folder: Path) -> list[Row]:
    """The rows of metadata.csv, every cell as it stands there. Raises RefusalError."""
    path = folder / METADATA
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), list(reader.fieldnames or [])
    except FileNotFoundError as error:
        remedy = "run the generator with --overwrite"
        raise RefusalError(f"{folder} has no {METADATA}: {remedy}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        remedy = "save it in this format"
        raise RefusalError(f"{path} cannot be read as UTF-8 CSV ({error}): {remedy}") from error
    for column in (*REQUIRED, *columns):
        if (number := columns.count(column)) != 1:
            problem = f"has {number or 'no'} columns {column!r}, a spreadsheet may have changed it"
            raise RefusalError(f"{path} {problem}: run the generator with --overwrite")
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            remedy = "correct it, or run the generator with --overwrite"
            raise RefusalError(f"{path}: line {number} needs {len(columns)} values: {remedy}")
    return rows


def write_description(folder: Path, description: Description) -> None:
    """Write dataset.json."""
    text = json.dumps(description, indent=2) + "\n"
    (folder / DATASET_JSON).write_text(text, encoding="utf-8", newline="")


def read_description(folder: Path) -> Description:
    """What dataset.json of a folder says; empty if there is none, or none of these scripts."""
    try:
        description = json.loads((folder / DATASET_JSON).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return {}
    is_ours = isinstance(description, dict) and isinstance(description.get("settings", {}), dict)
    return description if is_ours else {}


def describe(settings: dict[str, Any], phantom: bool) -> Description:
    """The dataset.json of a master: which script made it, labels, settings, licence, citation."""
    kept = {facts.STRUCTURES[name]: facts.STRUCTURE_NAMES[name] for name in settings["structures"]}
    if settings["masks"] == "binary":
        kept = {1: ", ".join(kept.values())}
    labels = [
        {"label": label, "name": name, "gray_level": facts.LEVELS[settings["masks"]][label]}
        for label, name in {0: "background", **kept}.items()
    ]
    return {
        "made_by": GENERATOR,
        "source": facts.PHANTOM_SOURCE if phantom else facts.SOURCE,
        "phantom": phantom,
        "licence": facts.PHANTOM_LICENCE if phantom else facts.LICENCE,
        "citation": facts.PHANTOM_LICENCE if phantom else facts.CITATION,
        "labels": labels,
        "settings": {name: settings[name] for name in SETTINGS},
    }


def made_files(description: Description) -> str:
    """A pattern of the files of a master, or of one subset of a dataset, by dataset.json."""
    settings = description.get("settings", {})
    image = mask = settings.get("format")
    if settings.get("masks") == "index":
        mask = "png"
    name = rf"({facts.MIRRORED})?{facts.SOURCE_NAME}(_frame\d+)?"
    return rf"{METADATA}|images/{name}\.{image}|masks/{name}\.{mask}"


def read_master(master: Path) -> tuple[Description, list[Row], int]:
    """The description of a master, the rows of its pairs, and the number of deleted pairs.

    A row whose two files are gone is a deleted pair. Raises RefusalError if the generator did not
    make the master, if one file of a pair is gone, and for a file without a row.
    """
    description = read_description(master)
    if description.get("made_by") != GENERATOR:
        reason = f"no {DATASET_JSON} in it names the generator"
        raise RefusalError(f"{master} is not a master, {reason}: make one with {GENERATOR}.py")
    is_whole = {*description} >= KEYS and {*description["settings"]} >= {*SETTINGS}
    if not is_whole or not all({*label} >= LABEL_KEYS for label in description["labels"] or [{}]):
        raise RefusalError(f"{master / DATASET_JSON} was changed: run the generator again")
    files = {f"{name}/{path.name}" for name in FOLDERS for path in entries(master / name)}
    rows: list[Row] = []
    listed: set[str] = set()
    for row in read_rows(master):
        pair = {row[column] for column in FOLDERS.values()}
        gone = pair - files
        if pair & listed or len(pair) == 1:
            raise RefusalError(f"{master / METADATA} lists {min(pair)} twice: delete one row")
        if len(gone) == 1:
            left = master / (pair - gone).pop()
            remedy = "delete it, too, or run the generator with --overwrite"
            raise RefusalError(f"{left} has lost {gone.pop()}, the rest of its pair: {remedy}")
        if not gone:
            rows.append(row)
        listed |= pair
    if files - listed:
        first = master / min(files - listed)
        remedy = "delete the pair, or move it out of the master"
        raise RefusalError(f"{METADATA} has no row for {first}: {remedy}")
    if not rows:
        raise RefusalError(f"{master} has no pairs: run the generator with --overwrite")
    return description, rows, len(listed) // 2 - len(rows)
