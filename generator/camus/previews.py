"""The four pictures in a dataset: three contact sheets of train pairs, and bar charts."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from camus import pictures
from camus.cli import counted
from camus.errors import RefusalError
from camus.master import Pair
from camus.pictures import BLUE, COLOURS, GREEN, ORANGE, Legend
from camus.pixels import LEVELS, Picture
from camus.splits import EF_BANDS, QUALITIES, SUBSETS, ef_band, worse_quality

Subsets = Mapping[str, Sequence[Pair]]
Counts = npt.NDArray[Any]  # (masks, 256): number of pixels of each gray level
Label = Mapping[str, Any]  # label 0..3, name and gray_level, as dataset.json has them

SHOWN_PAIRS = pictures.COLUMNS * 3
COUNTED_MASKS = 20  # of each subset, for the chart of the pixels' classes
# A master of another tool: its masks hold the gray levels of gray or binary masks if this share
# of the foreground is this near to them. JPG moves few pixels further, all of them at edges.
LEVEL_SHARE, LEVEL_TOLERANCE = 0.9, 10


def previews(master: Path, subsets: Subsets, description: Mapping[str, Any]) -> dict[str, bytes]:
    """The pictures of a dataset as PNG files, by file name.

    description: the master's dataset.json; empty for a master of another tool.
    Raises RefusalError for a file that is not a picture.
    """
    counts = {s: _count_levels(master, spread(subsets[s], COUNTED_MASKS)) for s in SUBSETS}
    labels = _labels(description, np.vstack(list(counts.values())))
    phantom = "phantom " if description.get("phantom") else ""
    drawn = _sheets(master, subsets["train"], labels, phantom)
    patients = {pair.patient for pairs in subsets.values() for pair in pairs}
    title = counted(sum(map(len, subsets.values())), "pair")
    title += f" of {counted(len(patients), f'{phantom}patient')}"
    panels = _charts(subsets, counts, labels)
    drawn["statistics.png"] = pictures.two_columns(title, panels)
    return {name: pictures.png(picture) for name, picture in drawn.items()}


def spread(pairs: Sequence[Pair], wanted: int) -> list[Pair]:
    """At most `wanted` of the pairs, evenly spaced from the first to the last."""
    if len(pairs) <= wanted:
        return list(pairs)
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


def _count_levels(master: Path, pairs: Sequence[Pair]) -> Counts:
    """How many pixels of each mask have each gray level. Odd masks are left out."""
    masks = (_read(master / pair.mask) for pair in pairs)
    plain = (mask for mask in masks if not _oddity(mask))
    counts = [cv2.calcHist([mask], [0], None, [256], [0, 256]) for mask in plain]
    return np.array(counts, np.float64).reshape(-1, 256)


def _labels(description: Mapping[str, Any], counts: Counts) -> list[Label]:
    """The labels in the masks, as told by the description or, without one, by the counts.

    Only the background if the gray levels fit no kind of mask.
    """
    if description:
        return list(description["labels"])
    total, every = counts.sum(0), np.arange(256)
    highest = int(np.flatnonzero(total).max(initial=0))
    foreground = np.where(every > LEVEL_TOLERANCE, total, 0)
    levels: Sequence[int] = range(highest + 1) if highest <= 3 else [0]
    for found in (LEVELS["gray"], LEVELS["binary"][:2]):
        distances = np.abs(every[:, None] - np.array(found)).min(1)
        if foreground[distances <= LEVEL_TOLERANCE].sum() > LEVEL_SHARE * foreground.sum():
            levels = found
    names = ["background", "label 1", "label 2", "label 3"]
    return [
        {"label": label, "name": names[label], "gray_level": level}
        for label, level in enumerate(levels)
    ]


def _label_of_level(labels: Sequence[Label]) -> Picture:
    """For each gray level 0..255, the label whose own level is nearest. Shape (256,)."""
    levels = np.array([label["gray_level"] for label in labels])
    numbers = np.array([label["label"] for label in labels], np.uint8)
    nearest = np.abs(np.arange(256)[:, None] - levels).argmin(1)
    return np.asarray(numbers[nearest], np.uint8)


def _sheets(
    master: Path, pairs: Sequence[Pair], labels: Sequence[Label], phantom: str
) -> dict[str, Picture]:
    """The contact sheets of train, by file name: images, masks, and images with outlines."""
    label_of_level, is_known = _label_of_level(labels), len(labels) > 1
    is_index = is_known and labels[-1]["gray_level"] <= 3  # nearly black, so shown brightened
    images, masks, overlays = [], [], []
    shown = spread(pairs, SHOWN_PAIRS)
    for pair in shown:
        image, mask = _read(master / pair.image), _read(master / pair.mask)
        images.append(pictures.thumbnail(image))
        overlays.append(images[-1].copy())
        if oddity := _oddity(mask):
            masks.append(pictures.placeholder(oddity))
            continue
        masks.append(pictures.thumbnail(label_of_level[mask] * 85 if is_index else mask))
        if mask.shape != image.shape[:2]:
            overlays[-1] = pictures.placeholder("mask of other size")
        elif is_known:
            pictures.draw_outlines(overlays[-1], label_of_level[mask])
    title = f"train: {len(shown)} of {counted(len(pairs), 'pair')}"
    title += " of phantom patients" if phantom else ""
    brightened = ", brightened; the numbers are those in the files" if is_index else ""
    undrawn = "" if is_known else ", without outlines: the masks' labels are not known"
    captions = [caption(pair) for pair in shown]
    levels = [(label["name"], label["gray_level"]) for label in labels if is_known]
    grays = [(f"{name}: {level}", (level * (85 if is_index else 1),) * 3) for name, level in levels]
    colours = [(label["name"], COLOURS[label["label"]]) for label in labels if label["label"]]
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
    subsets: Subsets, counts: Mapping[str, Counts], labels: Sequence[Label]
) -> list[Picture]:
    """The charts of what each subset holds; without those of which nothing is known."""
    rows_of: dict[str, dict[str, list[dict[str, str]]]] = {s: defaultdict(list) for s in SUBSETS}
    for subset in SUBSETS:
        for pair in subsets[subset]:
            rows_of[subset][pair.patient].append(pair.row)
    sizes = np.array([[len(members[s]) for s in SUBSETS] for members in (subsets, rows_of)])
    legend = [("pairs", BLUE), ("patients", ORANGE)]
    title = "number of pairs and patients (height: share)"
    charts = [pictures.chart(title, legend, SUBSETS, sizes, sizes.sum(1), "{:,}")]
    for title, names, kind in (
        ("ejection fraction, % of patients", EF_BANDS, ef_band),
        ("image quality of the worse view, % of patients", QUALITIES, worse_quality),
    ):
        found = [Counter(map(kind, rows_of[subset].values())) for subset in SUBSETS]
        known = np.array([[counter[name] for counter in found] for name in names])
        if known.any():
            legend = list(zip(names, (BLUE, ORANGE, GREEN), strict=True))
            charts.append(_share_chart(title, legend, known, known.sum(0), "{:.0f}"))
    if len(labels) > 1:
        label_of_level = _label_of_level(labels)
        by_label = np.array([np.bincount(label_of_level, counts[s].sum(0), 4) for s in SUBSETS])
        pixels = by_label.T[[label["label"] for label in labels]]
        legend = [(label["name"], COLOURS[label["label"]]) for label in labels]
        title = f"% of the pixels of n masks (at most {COUNTED_MASKS})"
        masks = np.array([len(counts[subset]) for subset in SUBSETS])
        charts.append(_share_chart(title, legend, pixels, masks, "{:.1f}"))
    return charts


def _share_chart(
    title: str, legend: Legend, amounts: npt.NDArray[Any], sizes: npt.NDArray[Any], number: str
) -> Picture:
    """A chart of shares of each subset. amounts: (legend, subsets); sizes: the n of each subset."""
    totals = amounts.sum(0)
    percent = np.where(totals > 0, 100 * amounts / np.maximum(1, totals), np.nan)
    groups = [f"{subset}\nn = {n:,}" for subset, n in zip(SUBSETS, sizes, strict=True)]
    full = np.full(len(legend), 100)
    return pictures.chart(title, legend, groups, percent, full, number)
