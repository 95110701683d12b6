"""Which patient goes to train, valid or test. Pure functions; rows are those of metadata.csv.

A key is what stays together: a patient, or a pair with its mirrored copy. The order of the keys
depends on each key alone. So a key fewer or more moves none but a few at the borders of subsets.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from camus.facts import EF_BANDS, QUALITIES, SUBSETS, UNKNOWN


def draw(seed: int, text: str) -> Fraction:
    """A random number from 0 to 1, the same for a seed and a text on every machine."""
    digest = hashlib.sha256(f"{seed} {text}".encode()).hexdigest()
    return Fraction(int(digest, 16), 16 ** len(digest))


def in_random_order(keys: Iterable[str], seed: int, stratum_of: Mapping[str, str]) -> list[str]:
    """The keys in random order; each stratum is spread evenly over it. stratum_of may be empty.

    Four patients of stratum x and two of y may come as [x1, y1, x2, x3, y2, x4].
    """
    order = sorted(keys, key=lambda key: draw(seed, key))
    strata = defaultdict(list)
    for key in order:
        strata[stratum_of.get(key, "")].append(key)
    place = {}
    for stratum, members in strata.items():
        start = draw(seed, stratum)  # with 0 or 0.5, small strata would never reach test
        for number, key in enumerate(members):
            place[key] = (number + start) / len(members)
    return sorted(order, key=place.__getitem__)


def assign(order: Sequence[str], ratios: Sequence[Fraction], fold: int = 0) -> dict[str, str]:
    """The subset of each key. Fold N takes the Nth share for test, from the end of the order.

    [a, b, c, d, e] at 3/5, 1/5, 1/5: a, b and c go to train, d to valid, e to test. In fold 1, d
    goes to test, c to valid, the others to train.
    """
    train, valid, test = ratios
    subset_of = {}
    for number, key in enumerate(order):
        place = (Fraction(2 * number + 1, 2 * len(order)) + fold * test) % 1
        subset_of[key] = SUBSETS[0 if place < train else 1 if place < train + valid else 2]
    return subset_of


def ef_band(rows: Sequence[Mapping[str, str]]) -> str:
    """The band of a patient's ejection fraction, which is the same in all rows."""
    try:
        ef = float(next(row["ef"] for row in rows if row.get("ef")))
    except (StopIteration, ValueError):  # not given, or changed by hand
        return UNKNOWN
    return EF_BANDS[0 if ef <= 45 else 1 if ef < 55 else 2]


def worse_quality(rows: Sequence[Mapping[str, str]]) -> str:
    """The worst image quality among a patient's views."""
    found = {row.get("image_quality") for row in rows}
    return next((quality for quality in reversed(QUALITIES) if quality in found), UNKNOWN)
