"""metadata.csv and dataset.json of a folder of pairs, written and read again."""

import csv
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from camus import RefusalError, facts, words
from camus.files import entries

Row = dict[str, Any]  # the record of a pair, by column of metadata.csv
Subsets = Mapping[str, Sequence[Row]]  # the rows of train, valid and test
Description = dict[str, Any]  # dataset.json
Settings = dict[str, Any]  # the options of the generator, by name

METADATA, DATASET_JSON = "metadata.csv", "dataset.json"
# The scripts, as dataset.json names them
GENERATOR = "CAMUSImageMaskDatasetGenerator"
SPLIT = "split_master"
PHANTOMS = "make_phantom_database"
MOST_PHANTOMS = 9999
PICTURES = ("statistics.png", "train_images_samples.png", "train_masks_samples.png",
            "train_overlays_samples.png")  # fmt: skip
FOLDERS = {"images": "file_name", "masks": "mask_file_name"}  # the column that lists their files
REQUIRED = ("file_name", "mask_file_name", "patient", "view", "instant", "frame", "mirrored")
DATABASES = ("database_nifti", "patient0001")  # folders that a database has
# The options of the generator that decide what a master holds, with their choices
SETTINGS: dict[str, Sequence[Any]] = {
    "frames": ("key", "sequence"),
    "views": facts.VIEWS,
    "image_quality": facts.QUALITIES,
    "masks": tuple(facts.LEVELS),
    "structures": tuple(facts.STRUCTURES),
    "format": ("jpg", "png"),
    "jpg_quality": range(1, 101),
    "size": [None, *range(16, 8193)],  # pixels; None with the fit "none"
    "fit": ("pad", "stretch", "none"),
    "mirror": (False, True),
}
PAIR_NAME = re.compile(
    rf"images/(?P<stem>(?P<mirrored>{facts.MIRRORED})?{facts.SOURCE_NAME}(_frame(?P<frame>\d+))?)"
    r"\.(jpg|png)"
)
LISTS = ("views", "image_quality", "structures")  # options with several values


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
    path, remedy = folder / METADATA, f"correct it, or delete {folder} or move it away"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), list(reader.fieldnames or [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RefusalError(f"{path} cannot be read ({words(error)}): {remedy}") from error
    for column in (*REQUIRED, *columns):
        if columns.count(column) != 1:
            raise RefusalError(f"{path} needs one column {column!r}: {remedy}")
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise RefusalError(f"{path}: line {number} needs {len(columns)} values: {remedy}")
        if contradiction := contradiction_in(row):
            raise RefusalError(f"{path}: line {number} {contradiction}: {remedy}")
    return rows


def contradiction_in(row: Row) -> str:
    """What cannot be true in a row, by the name of its image; nothing if all is well."""
    match = PAIR_NAME.fullmatch(row["file_name"])
    if not match:
        return f"has the file_name {row['file_name']!r}, which is not that of an image"
    expected = {
        "patient": match["patient"],
        "view": match["view"],
        "mirrored": "1" if match["mirrored"] else "0",
        "frame": (match["frame"] or "").lstrip("0"),
    }
    if match["instant"] in facts.KEY_INSTANTS:
        expected["instant"] = match["instant"]
    if row["mask_file_name"] not in (f"masks/{match['stem']}.{end}" for end in ("jpg", "png")):
        return f"gives {row['file_name']} the mask {row['mask_file_name']!r}"
    for column, value in expected.items():
        if row[column] != value:
            return f"gives {row['file_name']} the {column} {row[column]!r}"
    return ""


def write_description(folder: Path, description: Description) -> None:
    """Write dataset.json."""
    (folder / DATASET_JSON).write_bytes(f"{json.dumps(description, indent=2)}\n".encode())


def read_description(folder: Path) -> Description:
    """What dataset.json says; {} if there is none. Raises RefusalError if it is not valid JSON."""
    path = folder / DATASET_JSON
    try:
        description = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        remedy = "correct it, or move the folder away"
        raise RefusalError(f"{path} is not valid JSON ({error}): {remedy}") from error
    return description if isinstance(description, dict) else {}


def write_lists(folder: Path, subset_of: Mapping[str, str]) -> None:
    """Write the lists of the patients of each subset, one patient per line."""
    folder.mkdir(exist_ok=True)
    for subset, name in facts.SUBGROUPS.items():
        lines = sorted(f"{patient}\n" for patient in subset_of if subset_of[patient] == subset)
        (folder / name).write_bytes("".join(lines).encode())


def describe(settings: Settings, phantom: bool) -> Description:
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
        "citation": facts.PHANTOM_CITATION if phantom else facts.CITATION,
        "labels": labels,
        "settings": {name: settings[name] for name in SETTINGS},
    }


def _is_unchanged(description: Description) -> bool:
    """Whether a dataset.json is as written. Source, licence and citation may be any text."""
    try:
        settings = description["settings"]
        for name, choices in SETTINGS.items():
            values = settings[name] if name in LISTS else [settings[name]]
            # As text, since 0 equals False, and 16.0 equals 16
            if not isinstance(values, list) or not {*map(repr, values)} <= {*map(repr, choices)}:
                return False
        expected = describe(settings, description["phantom"] is True) | {"settings": settings}
        expected |= {name: str(description[name]) for name in ("source", "licence", "citation")}
        is_same = expected.items() <= description.items()
        return is_same and (settings["size"] is None) == (settings["fit"] == "none")
    except (KeyError, TypeError):
        return False


def made_names(folder: Path, description: Description) -> set[str]:
    """What a script wrote in its folder, paths with slashes. Raises RefusalError, as read_rows."""
    made = {DATASET_JSON}
    if description["made_by"] == GENERATOR:
        return made | _pair_names(folder)
    lists = facts.SUBGROUPS.values()
    if description["made_by"] == SPLIT:
        for subset in facts.SUBSETS:
            is_empty = not (folder / subset / METADATA).exists()
            names = FOLDERS.keys() if is_empty else _pair_names(folder / subset)
            made |= {f"{subset}/{name}" for name in names}
        return made | {"README.md", *PICTURES, *lists, *facts.SUBSETS}
    instants = [*facts.KEY_INSTANTS]
    if description.get("frames"):
        instants.append(facts.HALF_SEQUENCE)
    made |= {"database_nifti", "database_split", *(f"database_split/{name}" for name in lists)}
    for patient in phantom_patients(description):
        path = f"database_nifti/{patient}"
        made |= {path, *(f"{path}/Info_{view}.cfg" for view in facts.VIEWS)}
        for view, instant, kind in product(facts.VIEWS, instants, ("", "_gt")):
            made.add(f"{path}/{patient}_{view}_{instant}{kind}.nii.gz")
    return made


def _pair_names(folder: Path) -> set[str]:
    """metadata.csv, and the files and folders of its pairs."""
    rows = read_rows(folder)
    return {METADATA, *FOLDERS, *(row[column] for row in rows for column in FOLDERS.values())}


def phantom_patients(description: Description) -> set[str]:
    """The phantom patients that dataset.json of a phantom database tells of."""
    patients = description.get("patients")
    if description.get("phantom") is not True or not isinstance(patients, int):
        return set()
    return {f"patient{number:04}" for number in range(1, min(patients, MOST_PHANTOMS) + 1)}


def read_master(master: Path) -> tuple[Description, list[Row], int]:
    """The description of a master, the rows of its pairs, and the number of deleted pairs.

    A deleted pair is a row without files. Raises RefusalError for what the generator did not make.
    """
    description = read_description(master)
    if description.get("made_by") != GENERATOR:
        remedy = f"make a master with {GENERATOR}.py"
        if not master.exists():
            raise RefusalError(f"{master} does not exist: {remedy}")
        if description.get("made_by") == SPLIT:
            raise RefusalError(f"{master} is a dataset: name the master that it was made from")
        if any((master / name).is_dir() for name in DATABASES):
            raise RefusalError(f"{master} is a database: {remedy}")
        reason = f"no {DATASET_JSON} in it names the generator"
        raise RefusalError(f"{master} is not a master, {reason}: {remedy}")
    if not _is_unchanged(description):
        raise RefusalError(f"{master / DATASET_JSON} was changed: run the generator again")
    rows, pairs = read_rows(master), []
    listed = [row[column] for row in rows for column in FOLDERS.values()]
    if repeated := [name for name, number in Counter(listed).items() if number > 1]:
        raise RefusalError(f"{master / METADATA} lists {repeated[0]!r} twice: delete one row")
    folders = [master / name for name in FOLDERS if (master / name).is_dir()]
    paths = [path for folder in folders for path in entries(folder) if path.is_file()]
    files = {f"{path.parent.name}/{path.name}" for path in paths}
    if foreign := files - {*listed}:
        remedy = "give it the name of the file that it replaces, or move it out of the master"
        raise RefusalError(f"{METADATA} has no row for {master / min(foreign)}: {remedy}")
    for row in rows:
        image, mask = row["file_name"], row["mask_file_name"]
        if image in files and mask in files:
            pairs.append(row)
        elif image in files or mask in files:
            left, missing = (image, mask) if image in files else (mask, image)
            remedy = f"delete {master / left}, too, or run the generator with --overwrite"
            raise RefusalError(f"{master / missing} is missing: {remedy}")
    if not pairs:
        raise RefusalError(f"{master} has no pairs: run the generator with --overwrite")
    return description, pairs, len(rows) - len(pairs)
