"""What the four pictures of a dataset show: which pairs, which counts."""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from camus import RefusalError, pictures
from camus.cli import counted
from camus.facts import BETWEEN, EF_BANDS, KEY_INSTANTS, QUALITIES, SUBSETS, UNKNOWN
from camus.metadata import Description, Row
from camus.pixels import Picture
from camus.splits import ef_band, worse_quality

Subsets = Mapping[str, Sequence[Row]]

KINDS = ("images", "masks", "overlays")
PICTURES = ("statistics.png", *(f"train_{kind}_samples.png" for kind in KINDS))
SHOWN_PAIRS = pictures.COLUMNS * 3
COUNTED_MASKS = 20  # of each subset, for the areas of the structures
SUBSET_COLOURS = (pictures.BLUE, pictures.ORANGE, pictures.GREEN)  # of train, valid, test


def previews(master: Path, subsets: Subsets, description: Description) -> dict[str, bytes]:
    """The pictures of a dataset as PNG files, by file name.

    Raises RefusalError for a file of the master that is not a picture.
    """
    # For each gray level 0..255, the label whose own level is nearest
    levels = np.array([label["gray_level"] for label in description["labels"]])
    labels = np.array([label["label"] for label in description["labels"]], np.uint8)
    label_of_level = labels[np.abs(np.arange(256)[:, None] - levels).argmin(1)]
    canvases = [
        _statistics(master, subsets, description, label_of_level),
        *_sheets(master, subsets["train"], description, label_of_level),
    ]
    return {name: pictures.png(canvas) for name, canvas in zip(PICTURES, canvases, strict=True)}


def sample(rows: Sequence[Row], number: int) -> list[Row]:
    """At most `number` of the rows, drawn at random with a fixed seed, in their order."""
    drawn = random.Random(0).sample(range(len(rows)), min(number, len(rows)))
    return [rows[index] for index in sorted(drawn)]


def _read(path: Path) -> Picture:
    """A gray picture. Decoded from bytes: cv2.imread fails on Windows if the path has an umlaut."""
    data = np.frombuffer(path.read_bytes(), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    if picture is None:
        raise RefusalError(f"{path} is not a picture: run the generator with --overwrite")
    return np.asarray(picture, np.uint8)


def _sheets(
    master: Path, train: Sequence[Row], description: Description, label_of_level: Picture
) -> list[Picture]:
    """The contact sheets of train, in the order of KINDS."""
    is_index = description["settings"]["masks"] == "index"
    brighten = np.uint8(85 if is_index else 1)  # a level of 3 looks black
    tiles: dict[str, list[Picture]] = {kind: [] for kind in KINDS}
    captions = []
    for row in sample(train, SHOWN_PAIRS):
        image, mask = _read(master / row["file_name"]), _read(master / row["mask_file_name"])
        tiles["images"].append(pictures.thumbnail(image))
        tiles["masks"].append(pictures.thumbnail(mask * brighten))
        tiles["overlays"].append(pictures.overlay(image, label_of_level[mask]))
        frame = f"\nframe {row['frame'].zfill(2)}" if row["frame"] else ""
        mirrored = "\nmirrored" if row["mirrored"] == "1" else ""
        patient = row["patient"].removeprefix("patient")
        captions.append(f"{patient} {row['view']}{frame} {row['instant']}{mirrored}")
    pairs = counted(len(train), "phantom pair" if description["phantom"] else "pair")
    title = f"train: {len(captions)} of {pairs}"
    remark = ", masks brightened" if is_index else ""
    labels = [(x["label"], x["name"], x["gray_level"]) for x in description["labels"]]
    grays = [(f"{name}: {level}", (level * int(brighten),) * 3) for _, name, level in labels]
    colours = [(name, pictures.STRUCTURE_COLOURS[label]) for label, name, _ in labels if label]
    return [
        pictures.sheet(title, tiles["images"], captions, []),
        pictures.sheet(title + remark, tiles["masks"], captions, grays),
        pictures.sheet(title, tiles["overlays"], captions, colours),
    ]


def _statistics(
    master: Path, subsets: Subsets, description: Description, label_of_level: Picture
) -> Picture:
    """Charts of what each subset holds. A colour is a subset, in all of them."""
    legend: list[tuple[str, pictures.Colour]] = []
    instants, bands, qualities, areas = [], [], [], []  # {kind: number or percent} of each subset
    for subset, colour in zip(SUBSETS, SUBSET_COLOURS, strict=True):
        rows, patients, pixels = subsets[subset], defaultdict(list), Counter[str]()
        for row in rows:
            patients[row["patient"]].append(row)
        for row in sample(rows, COUNTED_MASKS):
            labels = label_of_level[_read(master / row["mask_file_name"])]
            for label in description["labels"]:
                pixels[label["name"]] += int((labels == label["label"]).sum())
        sizes = counted(len(rows), "pair"), counted(len(patients), "patient")
        legend.append((f"{subset}: {', '.join(sizes)}", colour))
        instants.append(Counter(row["instant"] for row in rows))
        bands.append(_percent(Counter(map(ef_band, patients.values()))))
        qualities.append(_percent(Counter(map(worse_quality, patients.values()))))
        areas.append(_percent(pixels))
    structures = [label["name"] for label in description["labels"] if label["label"]]
    charts = [
        _chart("Number of pairs", (*KEY_INSTANTS, BETWEEN), instants),
        _chart("Ejection fraction: % of patients", EF_BANDS, bands),
        _chart("Image quality of the worse view: % of patients", QUALITIES, qualities),
        _chart(f"Structures: % of pixels in up to {COUNTED_MASKS} masks", structures, areas),
    ]
    title = description["source"].partition(",")[0]
    rows_of_charts = [np.hstack(charts[:2]), np.hstack(charts[2:])]
    return np.vstack([pictures.heading(title, legend), *rows_of_charts])


def _percent(counts: Counter[str]) -> dict[str, float]:
    return {kind: 100 * number / counts.total() for kind, number in counts.items()}


def _chart(title: str, kinds: Sequence[str], values: Sequence[Mapping[str, float]]) -> Picture:
    """A chart of the kinds that there are, and of what is unknown. values: one map per subset."""
    shown = [kind for kind in (*kinds, UNKNOWN) if any(kind in value for value in values)]
    bars = {kind: [value.get(kind, 0) for value in values] for kind in shown}
    return pictures.chart(title, bars, SUBSET_COLOURS)
