"""What lies in a database_nifti: sources, Info files, and why something gives no pair."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from camus import ROOT, PairError, RefusalError, facts, words
from camus.facts import HALF_SEQUENCE, KEY_INSTANTS, QUALITIES
from camus.files import entries

# Where the patient folders may be, seen from the folder that is named; the last are unpacked twice
SUBFOLDERS = ("", "database_nifti", "CAMUS_public/database_nifti", "CAMUS_public",
              "database_nifti/database_nifti")  # fmt: skip
DEFAULTS = ("CAMUS_public", "database_nifti")  # taken as named where they exist, in this order
PHANTOMS = "generator/make_phantom_database.py phantoms"
DOWNLOAD = f"download CAMUS_public from {facts.HOMEPAGE}, or make phantom patients with {PHANTOMS}"
EXPECTED = "patient0001/patient0001_2CH_ED.nii.gz"
# What to do, by the names that were found where patient folders were expected
HINTS = {
    r".*\.mhd": "these files are of the older release, see the README",
    r".*\.(zip|tar|tgz|7z)": "unpack the archive",
    r"patient.*\.nii(\.gz)?": f"choose the folder above, which must hold {EXPECTED} and so on",
    r"masks|train": "this was made from CAMUS; to split a master, use split_master.py",
}
ARCHIVE = re.compile(r"(CAMUS_public|database_nifti).*\.zip", re.IGNORECASE)
SOURCE_FILE = re.compile(rf"(?P<name>{facts.SOURCE_NAME})(_gt)?\.nii(\.gz)?")
# Lines of Info files. LVef is what the older release calls EF; frames are counted from 1
INFO_WORDS = {"Sex": ("F", "M"), "ImageQuality": QUALITIES}
INFO_NUMBERS = ("Age", "EF", "LVef", "FrameRate", "ED", "ES", "NbFrame")
NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{0,9})?")

Info = dict[str, Any]  # the values by key, EF for LVef; what is missing or unclear is left out


class Source(NamedTuple):
    """The two files of a key frame or half sequence, and the parts of their name."""

    name: str
    patient: str
    view: str
    instant: str
    image: Path
    mask: Path


def find_database(chosen: Path | None) -> Path:
    """The folder of the patient folders: the one chosen, or in it, or in a default place.

    Raises RefusalError if there is none, and OSError if a folder cannot be listed.
    """
    defaults = [root / name for root in (Path(), ROOT) for name in DEFAULTS]
    named = [path for path in ([chosen] if chosen else defaults) if path.exists()]
    places = [root / subfolder for root in named for subfolder in SUBFOLDERS]
    found = [place for place in places if _has_patients(place)]
    for place in found:
        if any(place.glob("patient*/*.nii*")):  # so that no folder `patients` hides a database
            return place
    if found:
        return found[0]
    archives = [] if chosen else [path for path in entries(Path()) if ARCHIVE.fullmatch(path.name)]
    inner = [place for place in places[: len(SUBFOLDERS)] if place.is_dir()]  # of the first named
    folder = max(inner or named, key=lambda path: len(path.parts), default=Path())
    if archives and not (inner and entries(folder)):
        raise RefusalError(f"{archives[0]} is an archive: unpack it into the folder CAMUS_public")
    if named:
        raise RefusalError(f"{folder} is not a folder of patients, {_hint(folder)}")
    raise RefusalError(f"{chosen or Path(*DEFAULTS)} does not exist: {DOWNLOAD}")


def _has_patients(folder: Path) -> bool:
    """Whether a folder has a folder of a patient, or a link in the place of one."""
    inside = entries(folder) if folder.is_dir() else []
    return any(path.name.casefold().startswith("patient") and not path.is_file() for path in inside)


def _hint(path: Path) -> str:
    """What is found where NIfTI files were expected, and what to do."""
    inside = entries(path) if path.is_dir() else [path]
    if groups := [folder.name for folder in inside if _has_patients(folder)]:
        found = f"they are in {', '.join(groups[:5])} below it"
        return f"{found}: choose one, such as {path / groups[0]}"
    names = [folder.name for folder in inside]
    shown = f"it holds {', '.join(names[:5]) or 'nothing'}" if path.is_dir() else "it is a file"
    for pattern, hint in HINTS.items():
        if any(re.fullmatch(pattern, name, re.IGNORECASE) for name in names):
            return f"{shown}: {hint}"
    return f"{shown}: choose the folder with {EXPECTED}, or {DOWNLOAD}"


def find_sources(
    database: Path, views: Sequence[str], instants: Sequence[str]
) -> tuple[list[Source], dict[str, str]]:
    """The sources of these views and instants, sorted by name; and problems, as {name: reason}.

    A NIfTI file of no source is a problem, and so is a patient without NIfTI files.
    Raises RefusalError if there is no NIfTI file at all.
    """
    found: list[tuple[Path, str]] = []
    problems: dict[str, str] = {}
    for top in entries(database):
        files = list(_nifti_files(top))
        found += files
        if files or not top.name.casefold().startswith("patient"):
            continue
        if top.is_dir():
            problems[top.name] = "holds no NIfTI files"
        elif not top.is_file() or top.name[7:8].isdecimal():
            problems[top.name] = "is a file or a broken link, not the folder of a patient"
    if problems and not found:
        first, reason = next(iter(problems.items()))
        raise RefusalError(f"{database / first} {reason}, {_hint(database / first)}")
    files_of: dict[tuple[str | Any, ...], list[Path]] = defaultdict(list)  # by parts of the name
    for path, reason in found:
        name, match = path.relative_to(database).as_posix(), SOURCE_FILE.fullmatch(path.name)
        if reason:
            problems[name] = reason
        elif not match or not name.isprintable():
            problems[name] = f"is not read: it needs a name like {Path(EXPECTED).name}"
        elif path.parent != database / match["patient"]:
            problems[name] = f"is not read: move it to {database / match['patient']}"
        elif match["view"] in views and match["instant"] in instants:
            files_of[match.group("name", "patient", "view", "instant")].append(path)
    sources = []
    for (name, patient, view, instant), paths in sorted(files_of.items()):
        masks = [path for path in paths if "_gt.nii" in path.name]
        images = [path for path in paths if path not in masks]
        names = ", ".join(path.name for path in paths)
        if len(images) == len(masks) == 1:
            sources.append(Source(name, patient, view, instant, images[0], masks[0]))
        elif images and masks:
            problems[name] = f"is there twice ({names}): delete the .nii or the .nii.gz"
        else:
            problems[name] = f"its {'mask' if images else 'image'} is missing, it has only {names}"
    return sources, problems


def _nifti_files(path: Path, depth: int = 2) -> Iterator[tuple[Path, str]]:
    """The NIfTI files at a path and two folders down; the reason if one cannot be read."""
    try:
        inside = entries(path) if depth and path.is_dir() else []
    except OSError as error:
        yield path, words(error)
        return
    for file in inside:
        yield from _nifti_files(file, depth - 1)
    if path.name.casefold().endswith((".nii", ".nii.gz")) and not path.is_dir():
        yield path, "" if path.is_file() else "is a broken link or not a file: fetch the file"


def read_info(source: Source) -> tuple[Info, list[str]]:
    """What Info_2CH.cfg or Info_4CH.cfg beside a source says, and which lines make no sense.

    Both are empty if there is no such file. Raises OSError if it cannot be read.
    """
    path = source.image.with_name(f"Info_{source.view}.cfg")
    if not path.exists() and not path.is_symlink():
        return {}, []
    text = path.read_text("utf-8-sig", errors="replace") if path.is_file() else ""
    info: Info = {}
    unclear = []
    for line in text.splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        if value.capitalize() in INFO_WORDS.get(key, ()):
            info[key] = value.capitalize()
        elif key in INFO_NUMBERS and NUMBER.fullmatch(value):
            info[key.replace("LVef", "EF")] = float(value)
        elif value and key in (*INFO_WORDS, *INFO_NUMBERS):
            unclear.append(line[:60])
    if not info and not unclear:
        unclear.append("no text with lines such as EF: 54")
    return info, [f"{source.patient}/{path.name}: {line}" for line in unclear]


def instants_shown(source: Source, info: Info, count: int) -> list[str]:
    """The instant that each of `count` frames shows.

    A half sequence of four frames with ED: 4 and ES: 1: [ES, between, between, ED].
    Raises PairError if the number of frames contradicts the name or the Info file.
    """
    if source.instant != HALF_SEQUENCE:
        if count != 1:
            raise PairError(f"the image has {count} frames, a key frame has one")
        return [source.instant]
    numbers = range(1, count + 1)
    ends = {info[instant]: instant for instant in KEY_INSTANTS if instant in info}  # by frame
    is_outside = any(number not in numbers for number in ends)
    is_one_frame = "ED" in info and info["ED"] == info.get("ES")
    if is_outside or is_one_frame or info.get("NbFrame", count) != count:
        lines = ", ".join(f"{k}: {info[k]:g}" for k in (*KEY_INSTANTS, "NbFrame") if k in info)
        raise PairError(f"the image has {count} frames, its Info file says {lines}")
    first, last = min(ends, default=0), max(ends, default=0)
    return [ends.get(n, facts.BETWEEN if first < n < last else facts.UNKNOWN) for n in numbers]
