"""What lies in a database_nifti: sources, Info files, and why something gives no pair."""

import contextlib
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from camus import PairError, RefusalError, facts
from camus.facts import HALF_SEQUENCE, KEY_INSTANTS, QUALITIES
from camus.files import entries

# Where the patient folders may be, seen from the folder that is named or from the current one
SUBFOLDERS = ("", "CAMUS_public/database_nifti", "database_nifti")
DOWNLOAD = (
    f"download CAMUS_public from {facts.HOMEPAGE}, or make phantom patients with "
    "generator/make_phantom_database.py phantoms"
)
EMPTY = "holds no NIfTI files"
EXPECTED = "patient0001/patient0001_2CH_ED.nii.gz"
# What to do, by the names that were found where patient folders were expected
HINTS = {
    r".*\.mhd": "these files are of the older release, see the README",
    r".*\.(zip|tar|tgz|7z)": "unpack the archive",
    r"patient.*\.nii(\.gz)?": f"choose the folder above, which must hold {EXPECTED} and so on",
    r"masks|train": "this was made from CAMUS; to split a master, use split_master.py",
}
SOURCE_FILE = re.compile(rf"({facts.SOURCE_NAME})(_gt)?\.nii(\.gz)?")
# The lines of Info files that become columns of metadata.csv. LVef is of the older release
COLUMNS = {"Sex": "sex", "Age": "age", "ImageQuality": "image_quality", "EF": "ef",
           "LVef": "ef", "FrameRate": "frame_rate"}  # fmt: skip
WORDS = {"Sex": ("F", "M"), "ImageQuality": QUALITIES}
NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{0,9})?")
FRAMES = ("ED", "ES", "NbFrame")  # numbers of frames of the half sequence, counted from 1

Info = dict[str, Any]  # by column or key of FRAMES; what is missing or makes no sense is left out


class Source(NamedTuple):
    """The two files of a key frame or half sequence, and the parts of their name."""

    name: str
    patient: str
    view: str
    instant: str
    image: Path
    mask: Path


def find_database(chosen: Path | None, beside: Path) -> Path:
    """The folder of the patient folders: the one chosen, one inside it, or a default place.

    beside: the folder of the README, where the default places are looked for as well.
    Raises RefusalError if there is none, and OSError if a folder cannot be listed.
    """
    for root in [chosen] if chosen else [Path(), beside]:
        for subfolder in SUBFOLDERS:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                names = [path.name for path in entries(root / subfolder) if not path.is_file()]
                if any(name.casefold().startswith("patient") for name in names):
                    return root / subfolder
    if chosen is None:
        raise RefusalError(f"no CAMUS_public or database_nifti here: {DOWNLOAD}")
    if not chosen.exists():
        raise RefusalError(f"{chosen} does not exist: {DOWNLOAD}")
    raise RefusalError(f"{chosen} is not a folder of patients, {_hint(chosen)}")


def _hint(path: Path) -> str:
    """What is found where NIfTI files were expected, and what to do."""
    names = [inside.name for inside in entries(path)] if path.is_dir() else [path.name]
    shown = f"it holds {', '.join(names[:5]) or 'nothing'}" if path.is_dir() else "it is a file"
    for pattern, hint in HINTS.items():
        if any(re.fullmatch(pattern, name, re.IGNORECASE) for name in names):
            return f"{shown}: {hint}"
    return f"{shown}: choose the folder with {EXPECTED}, or {DOWNLOAD}"


def find_sources(
    database: Path, views: Sequence[str], instants: Sequence[str]
) -> tuple[list[Source], dict[str, str]]:
    """The sources of these views and instants, sorted by name; and problems, as {name: reason}.

    A NIfTI file of no source is a problem, and so is a patient that gives nothing.
    Raises RefusalError if there is no NIfTI file at all.
    """
    problems: dict[str, str] = {}
    files_of: dict[tuple[str | Any, ...], list[Path]] = defaultdict(list)  # by name and its parts
    found = [file for top in entries(database) for file in _nifti_files(top, database, problems)]
    if not found and set(problems.values()) == {EMPTY}:
        first = database / min(problems)
        raise RefusalError(f"{first} {EMPTY}, {_hint(first)}")
    for path in found:
        name, match = path.relative_to(database).as_posix(), SOURCE_FILE.fullmatch(path.name)
        if not match or not name.isprintable():
            problems[name] = f"is not read: it needs a name like {Path(EXPECTED).name}"
            continue
        parts = match.group(1, 2, 3, 4)  # the name of the source, patient, view, instant
        if path.parent != database / parts[1]:
            problems[name] = f"is not read: move it to {database / parts[1]}"
        elif parts[2] in views and parts[3] in instants:
            files_of[parts].append(path)
    sources = []
    for (name, patient, view, instant), paths in sorted(files_of.items()):
        masks = [path for path in paths if "_gt.nii" in path.name]
        images = [path for path in paths if path not in masks]
        if len(images) == len(masks) == 1:
            sources.append(Source(name, patient, view, instant, images[0], masks[0]))
        elif images and masks:
            names = ", ".join(path.name for path in paths)
            problems[name] = f"is there twice ({names}): delete the .nii or the .nii.gz of each"
        else:
            there, missing = ("image", "mask") if images else ("mask", "image")
            problems[name] = f"its {missing} is missing, there is only the {there} {paths[0].name}"
    return sources, problems


def _nifti_files(
    path: Path, database: Path, problems: dict[str, str], depth: int = 0
) -> list[Path]:
    """The NIfTI files at a path and two folders down. What cannot be read becomes a problem."""
    name, files, known = path.relative_to(database).as_posix(), [], len(problems)
    is_nifti = name.casefold().endswith((".nii", ".nii.gz"))
    is_patient = depth == 0 and name.casefold().startswith("patient")
    try:
        inside = entries(path) if path.is_dir() and depth < 2 else []
    except OSError as error:
        inside, problems[name] = [], f"cannot be read ({error.strerror})"
    for file in inside:
        files += _nifti_files(file, database, problems, depth + 1)
    if path.is_symlink() and not path.exists() and (is_nifti or is_patient):
        problems[name] = "is a broken link: fetch what it points to"
    elif path.is_file() and is_patient and name[7:8].isdecimal():
        problems[name] = "is a file, not the folder of a patient"
    elif path.is_file() and is_nifti:
        files = [path]
    elif is_patient and not path.is_file() and not files and len(problems) == known:
        problems[name] = EMPTY
    return files


def read_info(source: Source) -> tuple[Info, list[str]]:
    """What Info_2CH.cfg or Info_4CH.cfg beside a source says, and which lines make no sense.

    Both are empty if there is no such file. Raises PairError if it cannot be read.
    """
    path = source.image.with_name(f"Info_{source.view}.cfg")
    try:
        lines = path.read_text("utf-8-sig", errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    except OSError as error:
        raise PairError(f"{path.name} cannot be read ({error.strerror})") from error
    info, unclear = {}, []
    for line in lines:
        key, _, text = (part.strip() for part in line.partition(":"))
        value: str | float | None = None
        if key in WORDS and text.capitalize() in WORDS[key]:
            value = text.capitalize()
        elif key not in WORDS and NUMBER.fullmatch(text):
            value = float(text)
        if value is not None and key in COLUMNS:
            info[COLUMNS[key]] = value
        elif isinstance(value, float) and value.is_integer() and key in FRAMES:
            info[key] = int(value)
        elif text and key in (*COLUMNS, *FRAMES):
            unclear.append(f"{source.patient}/{path.name}: {line[:60]}")
    return info, unclear


def instants_shown(source: Source, info: Info, count: int) -> list[str]:
    """The instant that each of `count` frames shows.

    A half sequence of four frames with ED: 4 and ES: 1: [ES, between, between, ED].
    Raises PairError if the number of frames contradicts the name or the Info file.
    """
    if source.instant != HALF_SEQUENCE:
        if count != 1:
            raise PairError(f"the image has {count} frames, a key frame has one")
        return [source.instant]
    ends = {instant: info[instant] for instant in KEY_INSTANTS if instant in info}
    numbers = sorted(ends.values())
    if count != info.get("NbFrame", count) or not all(1 <= number <= count for number in numbers):
        told = ", ".join(f"{key}: {info[key]}" for key in FRAMES if key in info)
        raise PairError(f"the image has {count} frames, its Info file says {told}")
    if count == 1 or len(numbers) > len(set(numbers)):
        raise PairError("ED and ES are the same frame, a half sequence has two or more")
    instants = [facts.UNKNOWN] * count
    if len(numbers) == 2:
        instants[numbers[0] : numbers[1]] = [facts.BETWEEN] * (numbers[1] - numbers[0])
    for instant, number in ends.items():
        instants[number - 1] = instant
    return instants
