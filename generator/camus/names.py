"""What the names of files say: which patient, view, instant and frame."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

# The names of the release, without _gt and suffix: patient0001_2CH_ED
SOURCE_NAME = r"(?P<patient>patient.*)_(?P<view>2CH|4CH)_(?P<instant>ED|ES|half_sequence)"
MIRRORED = "mirrored_"
# The names that the generator gives to pairs, also with a data set's name in front
PAIR_NAME = re.compile(rf"(?P<set>.*?){SOURCE_NAME}(_frame\d+)?", re.IGNORECASE)
# A patient in any other name: patient7, Patient_0007, patient-2-4
PATIENT = re.compile(
    r"(?P<set>.*?)(?<![a-z])patient(?P<gap>[ _-]?)"
    r"(?P<number>\d+(?:-\d+)*(?![0-9a-z])|\d+[a-z]*)(?P<rest>.*)"
)
# Words in front of a patient that name no data set
FRAME_WORDS = re.compile(r"(2ch|4ch|ed|es|of|half|sequence|img|image|mask|frame|view|slice|\d+)+")


def patient_key(name: str) -> str:
    """One spelling of a patient: small letters, four digits or more, no gap before the number.

    patient0001, Patient_1 and patient-01 are all patient0001.
    """
    name = unicodedata.normalize("NFC", name).strip().casefold()
    name = re.sub(r"(?<![a-z])patient[ _-]+(?=\d)", "patient", name)
    return re.sub(r"\d+", lambda digits: digits[0].lstrip("0").zfill(4), name)


def patients_in(stems: Sequence[str]) -> list[str]:
    """The patient that each file name shows, in one spelling each. Names come without suffix.

    [ACDC_patient001_2CH_ED, CAMUS_patient001_2CH_ED, CAMUS_patient1_2CH_ES]:
    [acdc_patient001, camus_patient001, camus_patient001]

    Raises ValueError, with the first name that does not say it for certain.
    """
    originals = [stem.removeprefix(MIRRORED) for stem in stems]
    found = [_patient_in(stem) for stem in originals]
    sets_of = defaultdict(set)
    spelling: dict[str, str] = {}
    for data_set, patient in found:
        sets_of[patient_key(patient)].add(data_set)
        spelling.setdefault(patient_key(data_set + patient), data_set + patient)
    each_alone = len(set(originals)) > 1 and len(spelling) == len(set(originals))
    for stem, (_, patient) in zip(stems, found, strict=True):
        sets = sets_of[patient_key(patient)]  # data sets, or frames that are numbered in front?
        unclear = len(sets) > 1 and ("" in sets or re.search(r"\d", "".join(sets)))
        if unclear or (each_alone and "-" in patient.removeprefix("patient-")):
            raise ValueError(stem)
    return [spelling[patient_key(data_set + patient)] for data_set, patient in found]


def _patient_in(stem: str) -> tuple[str, str]:
    """The name of the data set in front of a patient, mostly empty, and the patient."""
    if match := PAIR_NAME.fullmatch(stem):
        return match["set"].casefold(), match["patient"]
    match = PATIENT.fullmatch(unicodedata.normalize("NFC", stem).casefold())
    if not match or (match["gap"] == "_" and re.match(r"[_ ]\d+(?![0-9a-z])", match["rest"])):
        raise ValueError(stem)  # patient_2_4 is patient 2, or patient 2-4
    words = re.split(r"[ _-]+", match["set"].strip(" _-"))
    data_set = "".join(f"{word}_" for word in words if word and not FRAME_WORDS.fullmatch(word))
    return data_set, f"patient{match['gap']}{match['number']}"


def same_but_for_case(names: Iterable[str]) -> tuple[str, str] | None:
    """The first two names that differ in case alone, which many disks hold as one file."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            return other, name
    return None
