"""The four pictures beside a dataset: three contact sheets of train pairs, and bar charts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from camus import pictures
from camus.errors import RefusalError
from camus.master import Pair
from camus.pictures import BLUE, GREEN, LIGHT_GRAY, ORANGE, STRUCTURE_COLOURS, Chart, Legend
from camus.pixels import LEVELS, Picture
from camus.splits import EF_BANDS, QUALITIES, SUBSETS, ef_band, worse_quality

Subsets = Mapping[str, Sequence[Pair]]
Counts = npt.NDArray[Any]  # (masks, 256): number of pixels of each gray level

SHOWN_PAIRS = pictures.COLUMNS * 3
COUNTED_MASKS = 60  # of each subset, for the chart of the pixels' classes
# A master of another tool: its masks hold the gray levels of gray or binary masks if this share
# of the foreground is this near to them. JPG moves few pixels further, all of them at edges.
LEVEL_SHARE, LEVEL_TOLERANCE = 0.9, 10


class Structure(NamedTuple):
    """A structure in the masks: its label 1..3, and its gray level in the files."""

    label: int
    name: str
    level: int


def previews(folder: Path, subsets: Subsets, description: Mapping[str, Any]) -> dict[str, bytes]:
    """The pictures of a dataset as PNG files, by file name.

    folder: holds train, valid and test, each with images and masks.
    description: the master's dataset.json; empty for a master of another tool.
    Raises RefusalError for a file that is not a picture.
    """
    counts = {s: _count_levels(folder / s, spread(subsets[s], COUNTED_MASKS)) for s in SUBSETS}
    structures = _structures(description, np.vstack(list(counts.values())))
    phantom = "phantom " if description.get("phantom") else ""
    drawn = _sheets(folder / "train", subsets["train"], structures, phantom)
    panels = _charts(subsets, counts, structures)
    patients = {pair.patient for pairs in subsets.values() for pair in pairs}
    title = f"{sum(map(len, subsets.values())):,} pairs of {len(patients):,} {phantom}patient"
    title += "" if len(patients) == 1 else "s"
    drawn["statistics.png"] = pictures.charts(title, panels)
    return {name: pictures.png(picture) for name, picture in drawn.items()}


def spread(pairs: Sequence[Pair], wanted: int) -> list[Pair]:
    """At most `wanted` of the pairs, sorted, evenly spaced from the first to the last."""
    pairs = sorted(pairs, key=lambda pair: pair.image)
    if len(pairs) <= wanted:
        return pairs
    return [pairs[round(i * (len(pairs) - 1) / (wanted - 1))] for i in range(wanted)]


def _read(path: Path) -> npt.NDArray[Any]:
    """A picture as it is stored: (height, width) if it is gray, else (height, width, channels).

    Decoded from bytes: on Windows, cv2.imread fails if the path has an umlaut.
    """
    try:
        picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # an empty file, or a size that cannot be
        picture = None
    if picture is None:
        raise RefusalError(f"{path} is not a picture: make it again, or take the pair away")
    if picture.ndim == 3 and (picture[:, :, :3] == picture[:, :, :1]).all():
        return np.ascontiguousarray(picture[:, :, 0])  # gray, stored as colour
    return np.asarray(picture)


def _oddity(mask: npt.NDArray[Any]) -> str:
    """Why a mask cannot hold the gray levels of labels; empty if it can."""
    if mask.ndim == 3:
        return "colour mask"
    return "" if mask.dtype == np.uint8 else f"{8 * mask.itemsize}-bit mask"


def _count_levels(subset: Path, pairs: Sequence[Pair]) -> Counts:
    """How many pixels of each mask have each gray level. Odd masks are left out."""
    masks = (_read(subset / pair.mask) for pair in pairs)
    plain = (mask for mask in masks if not _oddity(mask))
    counts = [cv2.calcHist([mask], [0], None, [256], [0, 256]) for mask in plain]
    return np.array(counts, np.float64).reshape(-1, 256)


def _structures(description: Mapping[str, Any], counts: Counts) -> list[Structure]:
    """The structures that the masks hold, as told by the description or, without one, the counts.

    Empty if the gray levels fit no kind of mask.
    """
    if description:
        labels = description["labels"]
        return [Structure(e["label"], e["name"], e["gray_level"]) for e in labels if e["label"]]
    names = ["label 1", "label 2", "label 3"]
    total = counts.sum(0)
    highest = int(np.flatnonzero(total).max(initial=0))
    if highest <= 3:
        return [Structure(label, names[label - 1], label) for label in range(1, highest + 1)]
    levels = np.arange(256)
    foreground = np.where(levels > LEVEL_TOLERANCE, total, 0)
    for kind, found in (("binary", ["structure"]), ("gray", names)):
        distances = np.abs(levels[:, None] - np.array(LEVELS[kind])).min(1)
        if foreground[distances <= LEVEL_TOLERANCE].sum() > LEVEL_SHARE * foreground.sum():
            return [Structure(i, name, LEVELS[kind][i]) for i, name in enumerate(found, 1)]
    return []


def _label_of_level(structures: Sequence[Structure]) -> Picture:
    """For each gray level 0..255, the label whose own level is nearest. Shape (256,)."""
    levels = np.array([0] + [structure.level for structure in structures])
    labels = np.array([0] + [structure.label for structure in structures], np.uint8)
    nearest = np.abs(np.arange(256)[:, None] - levels).argmin(1)
    return np.asarray(labels[nearest], np.uint8)


def _sheets(
    train: Path, pairs: Sequence[Pair], structures: Sequence[Structure], phantom: str
) -> dict[str, Picture]:
    """The contact sheets, by file name: images, masks, and images with outlines."""
    label_of_level = _label_of_level(structures)
    is_index = bool(structures) and structures[-1].level <= 3  # nearly black: shown brightened
    images, masks, overlays = [], [], []
    shown = spread(pairs, SHOWN_PAIRS)
    for pair in shown:
        image, mask = _read(train / pair.image), _read(train / pair.mask)
        images.append(pictures.thumbnail(image))
        overlays.append(images[-1].copy())
        if oddity := _oddity(mask):
            masks.append(pictures.placeholder(oddity))
            continue
        masks.append(pictures.thumbnail(label_of_level[mask] * 85 if is_index else mask))
        if structures and mask.shape == image.shape[:2]:
            pictures.draw_outlines(overlays[-1], label_of_level[mask])
    title = f"train: {len(shown)} of {len(pairs):,} pairs" + (phantom and " of phantom patients")
    brightened = ", brightened; the numbers are those in the files" if is_index else ""
    undrawn = "" if structures else ", without outlines: the masks' labels are not known"
    captions = [caption(pair) for pair in shown]
    levels = [("background", 0)] + [(s.name, s.level) for s in structures] if structures else []
    grays = [(f"{name}: {level}", (level * (85 if is_index else 1),) * 3) for name, level in levels]
    colours = [(s.name, STRUCTURE_COLOURS[s.label]) for s in structures]
    sheets = {
        "images": pictures.sheet(title, images, captions, []),
        "masks": pictures.sheet(title + brightened, masks, captions, grays),
        "overlays": pictures.sheet(title + undrawn, overlays, captions, colours),
    }
    return {f"train_{name}_samples.png": picture for name, picture in sheets.items()}


def caption(pair: Pair) -> str:
    """What a pair shows: "0070 · 2CH · ED", or the image's name if its row does not say."""
    patient, view, instant = (pair.row.get(c, "") for c in ("patient", "view", "instant"))
    if "" in (patient, view, instant):
        return Path(pair.image).name
    frame = pair.row.get("frame", "").removesuffix(".0")
    where = f"\nframe {frame.zfill(2)}" if frame else f" · {instant}"
    mirrored = "\nmirrored" if pair.row.get("mirrored") in ("1", "1.0") else ""
    return f"{patient.removeprefix('patient') or patient} · {view}{where}{mirrored}"


def _charts(
    subsets: Subsets, counts: Mapping[str, Counts], structures: Sequence[Structure]
) -> list[Chart]:
    """The charts of what each subset holds; without those of which nothing is known."""
    rows_of: dict[str, dict[str, list[dict[str, str]]]] = {s: defaultdict(list) for s in SUBSETS}
    for subset in SUBSETS:
        for pair in subsets[subset]:
            rows_of[subset][pair.patient].append(pair.row)
    sizes = np.array([[len(of[s]) for s in SUBSETS] for of in (subsets, rows_of)])
    series = [("pairs", BLUE), ("patients", ORANGE)]
    title = "pairs and patients, as shares of all"
    charts = [Chart(title, series, SUBSETS, sizes, sizes.sum(1), "{:,}")]
    for title, names, kind in (
        ("ejection fraction, % of patients", EF_BANDS, ef_band),
        ("image quality of the worse view, % of patients", QUALITIES, worse_quality),
    ):
        found = [Counter(map(kind, rows_of[subset].values())) for subset in SUBSETS]
        known = np.array([[counter[name] for counter in found] for name in names])
        if known.any():
            series = list(zip(names, (BLUE, ORANGE, GREEN), strict=True))
            charts.append(_share_chart(title, series, known, known.sum(0), "{:.0f}"))
    if structures:
        labels = _label_of_level(structures)
        by_label = np.array([np.bincount(labels, counts[s].sum(0), 4) for s in SUBSETS])
        pixels = by_label.T[[0] + [structure.label for structure in structures]]
        series = [("background", LIGHT_GRAY)]
        series += [(s.name, STRUCTURE_COLOURS[s.label]) for s in structures]
        title = f"share of the pixels in %, up to {COUNTED_MASKS} masks each"
        masks = np.array([len(counts[subset]) for subset in SUBSETS])
        charts.append(_share_chart(title, series, pixels, masks, "{:.1f}"))
    return charts


def _share_chart(
    title: str, series: Legend, amounts: npt.NDArray[Any], sizes: npt.NDArray[Any], number: str
) -> Chart:
    """A chart of the series' shares of each subset. amounts: (series, subsets); sizes: the n."""
    totals = amounts.sum(0)
    percent = np.where(totals > 0, 100 * amounts / np.maximum(1, totals), np.nan)
    groups = [f"{subset}\nn = {n:,}" for subset, n in zip(SUBSETS, sizes, strict=True)]
    return Chart(title, series, groups, percent, np.full(len(series), 100), number)
