"""Which patient goes to train, valid or test. Pure functions; rows are those of metadata.csv."""

import random
from collections.abc import Iterable, Mapping, Sequence

from camus.facts import EF_BANDS, QUALITIES, SUBSETS, UNKNOWN


def shuffled(keys: Iterable[str], seed: int) -> list[str]:
    """Sorted, then shuffled; the same on every platform and version of Python."""
    generator = random.Random(seed)
    # Not generator.shuffle: a seed must keep giving the split that it always gave
    random_of = {key: generator.random() for key in sorted(set(keys))}
    return sorted(random_of, key=random_of.__getitem__)


def subset_sizes(total: int, ratios: Sequence[float]) -> list[int]:
    """How many of a total go to each subset: rounded by largest remainders.

    A subset with a ratio above 0 gets at least one, as long as there are enough.
    500 at 0.7, 0.2, 0.1: [350, 100, 50].
    """
    sizes = [int(total * ratio) for ratio in ratios]
    # The largest remainder first; of equal ones, that of the smaller subset
    by_remainder = sorted(range(len(sizes)), key=lambda i: (sizes[i] - total * ratios[i], sizes[i]))
    for i in by_remainder[: total - sum(sizes)]:
        sizes[i] += 1
    for i, ratio in enumerate(ratios):
        if ratio and not sizes[i] and max(sizes) > 1:
            sizes[sizes.index(max(sizes))] -= 1
            sizes[i] = 1
    return sizes


def distribute(keys: Sequence[str], sizes: Sequence[int]) -> dict[str, str]:
    """Distribute keys evenly: each goes to the subset that is furthest behind its share.

    So any run of consecutive keys is split like all of them, to within two keys per subset.
    [a, b, c, d, e] in sizes [3, 1, 1]: a, c and e go to train, b to valid, d to test.
    """
    counts = [0] * len(sizes)
    subset_of = {}
    for number, key in enumerate(keys, 1):
        behind = [size * number - len(keys) * n for size, n in zip(sizes, counts, strict=True)]
        furthest = behind.index(max(behind))
        counts[furthest] += 1
        subset_of[key] = SUBSETS[furthest]
    return subset_of


def ef_band(rows: Sequence[Mapping[str, str]]) -> str:
    """The band of a patient's ejection fraction, which is the same in all rows."""
    try:
        ef = float(next(row["ef"] for row in rows if row.get("ef")))
    except (StopIteration, ValueError):  # not given, or changed by hand
        return UNKNOWN
    if ef <= 45:
        return EF_BANDS[0]
    return EF_BANDS[1] if ef < 55 else EF_BANDS[2]


def worse_quality(rows: Sequence[Mapping[str, str]]) -> str:
    """The worst image quality among a patient's views."""
    found = {row.get("image_quality") for row in rows}
    return next((quality for quality in reversed(QUALITIES) if quality in found), UNKNOWN)
