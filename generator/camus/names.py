"""What the names of files say: which patient, view, instant and frame."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence

VIEWS = ("2CH", "4CH")
# The names of the release, without _gt and suffix: patient0001_2CH_ED
SOURCE_NAME = r"(?P<patient>patient.*)_(?P<view>2CH|4CH)_(?P<instant>ED|ES|half_sequence)"
MIRRORED = "mirrored_"
# A patient in the name of a file of any tool: patient7, Patient_0007, patient-2-4, patient_Zoe
PATIENT = re.compile(
    r"(?P<before>.*?)(?<![^\W_])patient(?P<gap>[ _-]?)(?P<id>\d+(-\d+)*|[^\W\d_]+)"
    r"(?P<after>([ _-].*)?)"
)
# Words that tell frames or copies of one patient apart, never patients or data sets
FRAME_WORDS = re.compile(
    r"(\d+|[24]ch|a[24]c|ed|es|of|half|sequence|im(age|g)?|mask|frame|view|slice|t"
    r"|aug(mented)?|flip(ped)?|rot(ated)?|mirrored|orig(inal)?|train|val(id)?|test)\d*"
)


def patient_key(name: str) -> str:
    """One spelling of a patient: small letters, four digits or more, no gap before the number.

    patient0001, Patient_1 and patient-01 are all patient0001.
    """
    name = unicodedata.normalize("NFC", name).strip().casefold()
    name = re.sub(r"(?<![^\W_])patient[ _-]+(?=\d)", "patient", name)
    return re.sub(r"\d+", lambda digits: digits[0].lstrip("0").zfill(4), name)


def patients_in(stems: Sequence[str]) -> list[str]:
    """The patient that each file name shows, in one spelling each. Names come without suffix.

    [ACDC_patient001_2CH_ED, CAMUS_patient001_2CH_ED, CAMUS_patient1_2CH_ES]:
    [acdc_patient001, camus_patient001, camus_patient001]

    Raises ValueError, with the first name whose patient is unclear.
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
    """The data set that a name has in front of its patient, mostly empty, and the patient."""
    match = PATIENT.fullmatch(unicodedata.normalize("NFC", stem).casefold())
    if not match or (match["gap"] == "_" and re.match(r"[ _]\d+([ _]|$)", match["after"])):
        raise ValueError(stem)  # patient_2_4 is patient 2, or patient 2-4
    if _other_words(match["after"]):  # patient0001_baseline: part of the patient's name, or not?
        raise ValueError(stem)
    data_set = "".join(f"{word}_" for word in _other_words(match["before"]))
    return data_set, f"patient{match['gap']}{match['id']}"


def _other_words(text: str) -> list[str]:
    """The words that do not tell frames of a patient apart. acdc_2ch: [acdc]."""
    words = re.split(r"[ _-]+", text)
    return [word for word in words if word and not FRAME_WORDS.fullmatch(word)]
