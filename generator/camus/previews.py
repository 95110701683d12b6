"""What the four pictures of a dataset show: which pairs, which counts."""

import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from camus import pictures, pixels
from camus.cli import counted
from camus.facts import BETWEEN, EF_BANDS, KEY_INSTANTS, QUALITIES
from camus.metadata import FOLDERS, PICTURES, Description, Row, Subsets
from camus.pixels import Picture
from camus.splits import ef_band, worse_quality


def previews(master: Path, subsets: Subsets, description: Description) -> dict[str, bytes]:
    """The pictures of a dataset as PNG files, by file name: charts, and the sheets of train."""
    legend, instants, bands, qualities = [], [], [], []  # one item per subset
    for (subset, pairs), colour in zip(subsets.items(), pictures.SUBSET_COLOURS, strict=True):
        rows_of = defaultdict(list)
        for row in pairs:
            rows_of[row["patient"]].append(row)
        sizes = f"{counted(len(pairs), 'pair')}, {counted(len(rows_of), 'patient')}"
        legend.append((f"{subset}: {sizes}", colour))
        instants.append([row["instant"] for row in pairs])
        bands.append([ef_band(rows) for rows in rows_of.values()])
        qualities.append([worse_quality(rows) for rows in rows_of.values()])
    title = description["source"].partition(",")[0]
    statistics = np.vstack([
        pictures.heading(title, legend),
        pictures.chart("Instant: % of pairs", (*KEY_INSTANTS, BETWEEN), instants),
        pictures.chart("Ejection fraction: % of patients", EF_BANDS, bands),
        pictures.chart("Image quality of the worse view: % of patients", QUALITIES, qualities),
    ])  # fmt: skip
    canvases = [statistics[:, : pictures.CHART], *_sheets(master, subsets["train"], description)]
    named = zip(PICTURES, canvases, strict=True)
    return {name: pixels.encode(canvas, "png", 0) for name, canvas in named}


def _some(rows: Sequence[Row], most: int) -> list[Row]:
    """At most so many rows, drawn at random, the same each time."""
    drawn = random.Random(0).sample(range(len(rows)), min(most, len(rows)))
    return [rows[index] for index in sorted(drawn)]


def _sheets(master: Path, train: Sequence[Row], description: Description) -> list[Picture]:
    """The contact sheets of train: images, masks, and images with outlines."""
    labels = description["labels"]
    _, nearest = pixels.nearest_label([x["gray_level"] for x in labels])
    label_of_level = np.array([x["label"] for x in labels], np.uint8)[nearest]
    brighten = np.uint8(255 // max(x["label"] for x in labels))  # levels 1 and 3 look black
    images, masks, overlays, captions = [], [], [], []
    copies = [row for row in train if row["mirrored"] == "1"]
    shown = _some([row for row in train if row["mirrored"] != "1"], 3 * pictures.COLUMNS)
    shown += _some(copies, 3 * pictures.COLUMNS - len(shown))
    for row in shown:
        files = ((master / row[column]).read_bytes() for column in FOLDERS.values())
        image, mask = (np.asarray(pixels.decode(data, cv2.IMREAD_GRAYSCALE)) for data in files)
        images.append(pictures.thumbnail(image))
        masks.append(pictures.thumbnail(label_of_level[mask] * brighten))
        overlays.append(pictures.overlay(image, label_of_level[mask]))
        frame = f"\nframe {row['frame'].zfill(2)}" if row["frame"] else ""
        mirrored = "\nmirrored" if row["mirrored"] == "1" else ""
        patient = row["patient"].removeprefix("patient")
        captions.append(f"{patient} {row['view']}{frame} {row['instant']}{mirrored}")
    pairs = counted(len(train), "phantom pair" if description["phantom"] else "pair")
    title = f"train: {len(captions)} of {pairs}"
    grays = [(f"{x['name']}: {x['gray_level']}", (int(x["label"] * brighten),) * 3) for x in labels]
    is_brighter = any(x["label"] * brighten != x["gray_level"] for x in labels)
    note = ", drawn brighter than in the files" if is_brighter else ""
    colours = [(x["name"], pictures.STRUCTURE_COLOURS[x["label"]]) for x in labels if x["label"]]
    return [
        pictures.sheet(title, [], images, captions),
        pictures.sheet(f"{title}{note}", grays, masks, captions),
        pictures.sheet(title, colours, overlays, captions),
    ]
