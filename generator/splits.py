"""Which pair goes to train, valid or test. Pure functions, but for the reading of lists."""

from __future__ import annotations

import contextlib
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from generator.pairs import Pair
from generator.shared import RefusalError

SUBSETS = ("train", "valid", "test")
OFFICIAL = {"train": "training", "valid": "validation", "test": "testing"}
# Bands of the ejection fraction, percent, of Leclerc et al. 2019: at risk, between, healthy
EF_BANDS = ("EF to 45", "EF 45-55", "EF from 55")
QUALITIES = ("Good", "Medium", "Poor")
UNKNOWN = "unknown"


def key_of(pair: Pair, by: str) -> str:
    """What is shuffled as one: all that is a patient's, or a pair and its mirrored copy."""
    return pair.patient if by == "patient" else pair.original


def shuffled(keys: Iterable[str], seed: int) -> list[str]:
    """Sorted, then shuffled; random() gives the same numbers on every platform and version."""
    generator = random.Random(seed)
    return sorted(sorted(set(keys)), key=lambda _: generator.random())


def subset_sizes(total: int, ratios: Sequence[Fraction]) -> list[int]:
    """How many of a total go to each subset, by largest remainders: at most one off its share,
    but that a subset with a share gets at least one while there are enough, from the largest.

    500 at 0.7, 0.2, 0.1: [350, 100, 50].
    """
    sizes = [int(total * ratio) for ratio in ratios]
    order = sorted(range(len(sizes)), key=lambda i: (sizes[i] - total * ratios[i], sizes[i]))
    for i in order[: total - sum(sizes)]:
        sizes[i] += 1
    for i, ratio in enumerate(ratios):
        if ratio and not sizes[i] and max(sizes) > 1:
            sizes[sizes.index(max(sizes))] -= 1
            sizes[i] = 1
    return sizes


def deal(keys: Sequence[str], sizes: Sequence[int]) -> dict[str, int]:
    """Deal keys out to subsets of given sizes, evenly all along: index of the subset by key.

    Every run of neighbours holds each subset's share of it within two, by the rule of Tijdeman
    1980, "The chairman assignment problem", Discrete Mathematics 32(3), 323-330.
    """
    shares = {i: Fraction(size, len(keys)) for i, size in enumerate(sizes) if size}
    margin = Fraction(1, 2 * max(2, len(shares)) - 2)
    dealt: Counter[int] = Counter()
    subset_of = {}
    for number, key in enumerate(keys, 1):
        due = {i: share * number - dealt[i] for i, share in shares.items()}
        entitled = [i for i in shares if due[i] >= margin]
        subset_of[key] = min(entitled, key=lambda i: (1 - margin - due[i]) / shares[i])
        dealt[subset_of[key]] += 1
    return subset_of


def strata(pairs: Iterable[Pair]) -> dict[str, tuple[str, str]]:
    """The stratum of each patient: band of the ejection fraction, and the worse view's quality.

    Raises RefusalError where the metadata tells of no patient.
    """
    rows = defaultdict(list)
    for pair in pairs:
        rows[pair.patient].append(pair.row)
    bands = {patient: (ef_band(own), worse_quality(own)) for patient, own in rows.items()}
    if all(UNKNOWN in band for band in bands.values()):
        raise RefusalError(
            "--stratify needs ef and image_quality in metadata.csv, from the Info files of the "
            "release: make the master from a database that has them, or leave --stratify out"
        )
    return bands


def stratum_order(stratum: tuple[str, str]) -> tuple[int, int]:
    """Sort key: from low to high ejection fraction, from good to poor quality."""
    band, quality = stratum
    return (*EF_BANDS, UNKNOWN).index(band), (*QUALITIES, UNKNOWN).index(quality)


def ef_band(rows: Iterable[Mapping[str, str]]) -> str:
    """The band of a patient's ejection fraction, the same in all rows."""
    for row in rows:
        with contextlib.suppress(KeyError, ValueError, TypeError):
            ef = float(row["ef"])
            if not math.isfinite(ef):
                continue
            return EF_BANDS[(ef > 45) + (ef >= 55)]
    return UNKNOWN


def worse_quality(rows: Iterable[Mapping[str, str]]) -> str:
    """The worst image quality among a patient's views."""
    found = {row.get("image_quality", "") for row in rows}
    return next((quality for quality in reversed(QUALITIES) if quality in found), UNKNOWN)


def read_official(folder: Path) -> dict[str, str]:
    """The subset of each patient in the authors' lists. Raises RefusalError if one is in two."""
    subset_of: dict[str, str] = {}
    for subset, group in OFFICIAL.items():
        path = folder / f"subgroup_{group}.txt"
        if not path.is_file():
            raise RefusalError(f"no {path}: name the folder database_split of the release")
        for patient in path.read_bytes().decode("utf-8-sig", "replace").split():
            if subset_of.setdefault(patient, subset) != subset:
                raise RefusalError(f"{patient} is in two lists of {folder}: mend the lists")
    return subset_of


def place_officially(pairs: Iterable[Pair], folder: Path) -> tuple[dict[str, str], int]:
    """The authors' subset of each patient of the master, and how many listed it lacks.

    Raises RefusalError for a patient in none of the lists.
    """
    listed = read_official(folder)
    patients = {pair.patient for pair in pairs}
    if missing := sorted(patients - listed.keys()):
        raise RefusalError(
            f"{missing[0]} is in no list of {folder}: {len(missing)} patients are not"
        )
    return {patient: listed[patient] for patient in patients}, len(listed.keys() - patients)
