"""What lies in a folder like CAMUS's database_nifti: pairs of files, Info files, problems."""

import contextlib
import os
import re
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from camus.errors import PairError, RefusalError
from camus.master import number_in
from camus.names import SOURCE_NAME, VIEWS
from camus.output import is_litter
from camus.splits import QUALITIES, UNKNOWN

DOWNLOAD = (
    "download CAMUS_public from https://humanheart-project.creatis.insa-lyon.fr/database, or make "
    "phantoms with python generator/make_phantom_database.py database_nifti"
)
SOURCE_FILE = re.compile(rf"(?P<name>{SOURCE_NAME})(?P<mask>_gt)?\.nii(\.gz)?")
# What was meant to be a source file, whatever its case and ending
NEARLY = re.compile(r"patient.*(2ch|4ch).*|.*\.nii.*", re.IGNORECASE)
EXPECTED = "patientNNNN_2CH_ED.nii.gz or patientNNNN_2CH_ED_gt.nii.gz"

# Plausible values of the Info files: percent, years, frames per second
RANGES = {"EF": (1, 99), "Age": (0, 120), "FrameRate": (1, 1000)}
WORDS = {"Sex": ("F", "M"), "ImageQuality": QUALITIES}
FRAMES = ("ED", "ES", "NbFrame")  # frames of the half sequence, counted from 1


class Source(NamedTuple):
    """The two files of a key frame or half sequence, and the parts of their name."""

    name: str
    patient: str
    view: str
    instant: str
    image: Path
    mask: Path


class Found(NamedTuple):
    """What a database holds: sources to convert, sorted, and why others cannot be converted."""

    sources: list[Source]
    problems: dict[str, str]
    patients: int
    half_sequences: int  # of the views that are asked for


class Info(NamedTuple):
    """What an Info file says. Impossible values are left out of it, and listed as odd."""

    facts: dict[str, Any]  # the columns of metadata.csv: words, and numbers or None
    instants: dict[str, int]  # the frame of ED and of ES, counted from 1
    frames: int | None
    odd: list[str]


def find_database(chosen: Path | None, beside: Path) -> Path:
    """The folder of the patient folders: the one chosen, one inside it, or a default place.

    beside: the folder of the README, where the default places are looked for as well.
    """
    places = ("CAMUS_public", "database_nifti")
    defaults = [root / place for root in (Path(), beside) for place in places]
    roots = [chosen] if chosen else defaults
    for root in roots:
        for inside in ("", "database_nifti", "CAMUS_public/database_nifti"):
            if _has_patients(root / inside):
                return root / inside
    found = [_what_is(root) for root in roots if chosen or root.exists()]
    problem = found[0] if found else f"no CAMUS_public or database_nifti here: {DOWNLOAD}"
    raise RefusalError(
        f"{problem}. Expected: the folder database_nifti with "
        "patient0001/patient0001_2CH_ED.nii.gz and so on"
    )


def _has_patients(folder: Path) -> bool:
    for patient in _glob(folder, "[pP]atient*"):
        if patient.is_symlink() and not patient.exists():
            return True
        if any(".nii" in path.name.casefold() for path in _glob(patient, "*")):
            return True
    return False


def _glob(folder: Path, pattern: str) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(path for path in folder.glob(pattern) if not is_litter(path.name))
    return []


def _what_is(folder: Path) -> str:
    """What a folder without patient folders is instead."""
    if not folder.is_dir():
        if ".nii" in folder.name:
            return f"{folder} is one file: choose the folder database_nifti"
        if re.search(r"\.(zip|tar|tgz|gz|7z|rar)$", folder.name, re.IGNORECASE):
            return f"{folder} is an archive: unpack it, and choose the unpacked folder"
        problem = "is not a folder" if folder.exists() else f"does not exist: {DOWNLOAD}"
        return f"{folder} {problem}"
    if not os.access(folder, os.R_OK | os.X_OK):
        return f"{folder} cannot be read: change the permissions"
    frames = [path.name for path in _glob(folder, "*.nii*")]
    patients = {name.split("_")[0] for name in frames}
    kinds = {
        "holds the older CAMUS release (.mhd and .raw files), which these scripts cannot read": [
            *_glob(folder, "*.mhd"), *_glob(folder, "*/*.mhd"), *_glob(folder, "*/*/*.mhd")],
        "is an nnU-Net data set, not a CAMUS release": _glob(folder, "imagesTr"),
        f"is the folder of one patient: choose the folder above it, {folder.resolve().parent}":
            frames if patients == {folder.resolve().name} else [],
        "holds NIfTI files without patient folders: put the files of each patient into a folder "
        "with its name, such as patient0001": frames,
        "holds image/mask pairs already: split them with split_master.py": _glob(folder, "masks"),
        "is a split dataset already": _glob(folder, "train"),
        "holds the lists of the split: choose database_nifti": _glob(folder, "subgroup_*.txt"),
        "holds NIfTI files, but not in folders patientNNNN": _glob(folder, "*/*.nii*"),
        "holds an archive: unpack it": [*_glob(folder, "*.zip"), *_glob(folder, "*.tar*")],
        "holds patient folders without NIfTI files": _glob(folder, "patient*"),
    }  # fmt: skip
    nothing = f"holds no patient folders: {DOWNLOAD}"
    return f"{folder} {next((kind for kind, files in kinds.items() if files), nothing)}"


def find_sources(database: Path, frames: str, views: list[str]) -> Found:
    """Pair the NIfTI files of a database; name what looks like a patient or frame and is none.

    Names that differ in case alone are one name, as they are on the disks of many systems.
    """
    files_of: dict[str, list[tuple[re.Match[str], Path]]] = defaultdict(list)
    problems: dict[str, str] = {}
    sequences = 0
    patients = [path for path in _glob(database, "*") if _looks_like_patient(path)]
    for patient in patients:
        if problem := _why_no_patient(patient):
            problems[patient.name] = problem
            continue
        files = _glob(patient, "*")
        for path in files:
            match = SOURCE_FILE.fullmatch(path.name)
            if match and match["instant"] == "half_sequence" and not match["mask"]:
                sequences += match["view"] in views
            if not _is_wanted(path.name, frames, views):
                continue
            if not match:
                problems[f"{patient.name}/{path.name}"] = f"needs a name such as {EXPECTED}"
            elif match["patient"] != patient.name:
                problems[f"{patient.name}/{path.name}"] = "lies in the folder of another patient"
            else:
                files_of[match["name"].casefold()].append((match, path))
        if not any(NEARLY.fullmatch(path.name) for path in files):
            problems[patient.name] = f"holds no frames, which need names such as {EXPECTED}"
    sources = []
    for name in sorted(files_of):
        match = files_of[name][0][0]
        images = [path for match, path in files_of[name] if not match["mask"]]
        masks = [path for match, path in files_of[name] if match["mask"]]
        if len(images) == len(masks) == 1:
            parts = match["name"], match["patient"], match["view"], match["instant"]
            sources.append(Source(*parts, images[0], masks[0]))
        else:
            problems[match["name"]] = _why_no_pair(images, masks)
    number = sum(not path.is_file() for path in patients)
    return Found(sources, problems, number, sequences)


def _looks_like_patient(path: Path) -> bool:
    """Whether a file or folder of a database is a patient's, or looks as if it were."""
    if path.name.casefold().startswith("patient"):
        return not path.is_file() or bool(re.search(r"\d", path.name))
    return ".nii" in path.name or any(".nii" in file.name for file in _glob(path, "*"))


def _is_wanted(name: str, frames: str, views: list[str]) -> bool:
    """Whether a file was meant to be one of the frames that are asked for."""
    if not NEARLY.fullmatch(name) or ("sequence" in name.casefold()) != (frames == "sequence"):
        return False
    other_views = [view for view in VIEWS if view not in views]
    return not any(f"_{view}_" in name.upper() for view in other_views)


def _why_no_patient(folder: Path) -> str:
    """Why something is not a patient's folder that can be read; empty if it is one."""
    if folder.is_symlink() and not folder.exists():
        return "is a broken link: fetch the folder it points to (with git-annex: git annex get)"
    if not folder.is_dir():
        return "is a file; a folder for each patient is expected"
    if not folder.name.startswith("patient"):
        return "holds NIfTI files, but its name does not begin with patient"
    if not os.access(folder, os.R_OK | os.X_OK):
        return "cannot be read: change the permissions"
    return ""


def _why_no_pair(images: list[Path], masks: list[Path]) -> str:
    for same in (images, masks):
        if len(same) > 1:
            return "several files of one name: " + ", ".join("/".join(p.parts[-2:]) for p in same)
    if images:
        return f"its mask is missing, there is only the image {images[0].name}"
    return f"its image is missing, there is only the mask {masks[0].name}"


def read_info(source: Source) -> Info:
    """What Info_2CH.cfg or Info_4CH.cfg beside a source says; empty, if there is no such file."""
    path = source.image.with_name(f"Info_{source.view}.cfg")
    values = _info_values(path)
    found: dict[str, Any] = {}
    for key, text in values.items():
        number = number_in(text)
        if key in WORDS and text.capitalize() in WORDS[key]:
            found[key] = text.capitalize()
        if key in RANGES and number is not None and RANGES[key][0] <= number <= RANGES[key][1]:
            found[key] = number
        if key in FRAMES and number is not None and number == int(number):
            found[key] = int(number)
    odd = [key for key in values if values[key] and key not in found]
    return Info(
        facts={
            "sex": found.get("Sex", UNKNOWN),
            "age": found.get("Age"),
            "image_quality": found.get("ImageQuality", UNKNOWN),
            "ef": found.get("EF"),
            "frame_rate": found.get("FrameRate"),
        },
        instants={key: found[key] for key in ("ED", "ES") if key in found},
        frames=found.get("NbFrame"),
        odd=[f"{path.parent.name}/{path.name}: {key}: {values[key][:40]}" for key in odd],
    )


def _info_values(path: Path) -> dict[str, str]:
    """The lines `Key: value` of an Info file."""
    try:
        if not path.is_file():
            if path.exists():
                raise PairError(f"{path.name}: is not a file")
            return {}
        text = path.read_bytes().decode("utf-8-sig", "replace")
    except OSError as error:
        raise PairError(f"{path.name}: cannot be read ({error.strerror})") from error
    lines = [re.split("[:=]", line, maxsplit=1) for line in text.splitlines()]
    values = {line[0].strip().casefold(): line[1].strip() for line in lines if len(line) == 2}
    values.setdefault("ef", values.get("lvef", ""))  # as the older release calls it
    return {key: values.get(key.casefold(), "") for key in (*WORDS, *RANGES, *FRAMES)}


def check_frames(source: Source, frames: int, info: Info) -> None:
    """Raise PairError where the number of frames contradicts the name or the Info file."""
    if source.instant != "half_sequence":
        if frames != 1:
            raise PairError(f"has {frames} frames, a key frame has one")
        return
    if frames < 2:
        raise PairError("has 1 frame, a half sequence has two or more")
    where = f"Info_{source.view}.cfg"
    if info.frames not in (None, frames):
        raise PairError(f"has {frames} frames, {where} says NbFrame: {info.frames}")
    for instant, number in info.instants.items():
        if not 1 <= number <= frames:
            raise PairError(f"has {frames} frames, {where} says {instant}: {number}")
    if len(set(info.instants.values())) < len(info.instants):
        raise PairError(f"{where} says that ED and ES are the same frame, {info.instants['ED']}")
