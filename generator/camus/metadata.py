"""metadata.csv and dataset.json of a folder of pairs, written and read again."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from camus import RefusalError, facts
from camus.files import entries

Row = dict[str, Any]  # the record of a pair, by column of metadata.csv
Description = dict[str, Any]  # dataset.json

METADATA, DATASET_JSON = "metadata.csv", "dataset.json"
# The scripts, as dataset.json names them
GENERATOR = "CAMUSImageMaskDatasetGenerator"
SPLIT = "split_master"
PHANTOMS = "make_phantom_database"
PICTURES = ("statistics.png", "train_images_samples.png", "train_masks_samples.png",
            "train_overlays_samples.png")  # fmt: skip
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
    with (folder / METADATA).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: row["file_name"]))


def read_rows(folder: Path) -> list[Row]:
    """The rows of metadata.csv, every cell as it stands there. Raises RefusalError."""
    path, remedy = folder / METADATA, "correct it, or run the generator with --overwrite"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), list(reader.fieldnames or [])
    except (FileNotFoundError, UnicodeDecodeError, csv.Error) as error:
        raise RefusalError(f"{path} cannot be read ({error}): {remedy}") from error
    for column in (*REQUIRED, *columns):
        if columns.count(column) != 1:
            raise RefusalError(f"{path} needs one column {column!r}: {remedy}")
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise RefusalError(f"{path}: line {number} needs {len(columns)} values: {remedy}")
    return rows


def write_description(folder: Path, description: Description) -> None:
    """Write dataset.json."""
    (folder / DATASET_JSON).write_bytes(f"{json.dumps(description, indent=2)}\n".encode())


def read_description(folder: Path) -> Description:
    """What dataset.json of a folder says; empty if there is none, or none of these scripts."""
    try:
        description = json.loads((folder / DATASET_JSON).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return {}
    is_ours = isinstance(description, dict) and isinstance(description.get("settings", {}), dict)
    return description if is_ours else {}


def write_lists(folder: Path, subset_of: Mapping[str, str]) -> None:
    """Write the lists of the patients of each subset, one patient per line."""
    folder.mkdir(exist_ok=True)
    for subset, name in facts.SUBGROUPS.items():
        lines = sorted(f"{patient}\n" for patient in subset_of if subset_of[patient] == subset)
        (folder / name).write_bytes("".join(lines).encode())


def describe(settings: dict[str, Any], phantom: bool) -> Description:
    """The dataset.json of a master: which script made it, labels, settings, licence, citation."""
    kept = [facts.STRUCTURES[structure] for structure in settings["structures"]]
    names = {label: facts.LABEL_NAMES[label] for label in kept}
    if settings["masks"] == "binary":
        names = {1: ", ".join(names.values())}
    labels = [
        {"label": label, "name": name, "gray_level": facts.LEVELS[settings["masks"]][label]}
        for label, name in {0: facts.LABEL_NAMES[0], **names}.items()
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
    """A pattern of the files that a script made beside its dataset.json, paths with slashes."""
    settings, patients = description.get("settings", {}), description.get("patients", 0)
    image = settings.get("format")
    mask = "png" if settings.get("masks") == "index" else image
    name = rf"({facts.MIRRORED})?{facts.SOURCE_NAME}(_frame\d+)?"
    pairs = rf"{METADATA}|images(/{name}\.{image})?|masks(/{name}\.{mask})?"
    lists, subsets = "|".join(facts.SUBGROUPS.values()), "|".join(facts.SUBSETS)
    # Real patients among phantoms have higher numbers, or half sequences
    phantoms = "|".join(f"patient{number:04}" for number in range(1, patients + 1))
    instants = "ED|ES|half_sequence" if description.get("frames") else "ED|ES"
    nifti = rf"(?P=own)_(2CH|4CH)_({instants})(_gt)?\.nii\.gz|Info_(2CH|4CH)\.cfg"
    return {
        GENERATOR: pairs,
        SPLIT: rf"README\.md|{'|'.join(PICTURES)}|{lists}|({subsets})/({pairs})",
        PHANTOMS: rf"database_split/({lists})|database_nifti/(?P<own>{phantoms})/({nifti})",
    }[description["made_by"]]


def read_master(master: Path) -> tuple[Description, list[Row], int]:
    """The description of a master, the rows of its pairs, and the number of deleted pairs.

    A deleted pair is a row without files. Raises RefusalError for what the generator did not make.
    """
    description = read_description(master)
    if description.get("made_by") != GENERATOR:
        reason = f"no {DATASET_JSON} in it names the generator"
        raise RefusalError(f"{master} is not a master, {reason}: make one with {GENERATOR}.py")
    is_whole = {*description} >= KEYS and {*description["settings"]} >= {*SETTINGS}
    if not is_whole or not all({*label} >= LABEL_KEYS for label in description["labels"] or [{}]):
        raise RefusalError(f"{master / DATASET_JSON} was changed: run the generator again")
    files = {f"{name}/{path.name}" for name in FOLDERS for path in entries(master / name)}
    rows, pairs = read_rows(master), []
    listed: set[str] = set()
    for row in rows:
        pair = {row["file_name"], row["mask_file_name"]}
        if pair & listed or len(pair) == 1:
            name = min(pair & listed or pair)
            raise RefusalError(f"{master / METADATA} lists {name!r} twice: delete one row")
        listed |= pair
        if pair <= files:
            pairs.append(row)
        elif left := pair & files:
            remedy = f"delete {master / left.pop()}, too, or run the generator with --overwrite"
            raise RefusalError(f"{(pair - files).pop()} is missing: {remedy}")
    if foreign := files - listed:
        remedy = "delete the pair, or move it out of the master"
        raise RefusalError(f"{METADATA} has no row for {master / min(foreign)}: {remedy}")
    if not pairs:
        raise RefusalError(f"{master} has no pairs: run the generator with --overwrite")
    return description, pairs, len(rows) - len(pairs)
