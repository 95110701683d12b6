"""The pictures of a dataset that people look at: contact sheets and bar charts.

Canvases are uint8 arrays of shape (height, width, 3), blue first, on white.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from generator.pairs import Pair
from generator.pixels import LEVELS, Picture
from generator.shared import RefusalError
from generator.splits import EF_BANDS, QUALITIES, SUBSETS, ef_band, worse_quality

Colour = tuple[int, int, int]

COLUMNS, ROWS, THUMBNAIL, GAP = 6, 3, 176, 16
TEXT_SCALE, LINE = 0.38, 16  # of the captions, and their height in pixels
BLACK, GRAY = (40, 40, 40), (120, 120, 120)
# Told apart by everyone: Okabe and Ito, https://jfly.uni-koeln.de/color
YELLOW, VERMILLION, SKY = (66, 228, 240), (0, 94, 213), (233, 180, 86)
BLUE, ORANGE, GREEN = (178, 114, 0), (0, 159, 230), (115, 158, 0)
STRUCTURE_COLOURS = (YELLOW, VERMILLION, SKY)  # of labels 1, 2, 3


class Chart(NamedTuple):
    """Groups of bars: heights[series][group]; every bar is labelled with its number."""

    title: str
    groups: Sequence[str]
    series: Sequence[str]
    heights: Sequence[Sequence[float]]
    scale: float | None = None  # the height of a full bar; None for the highest


def text_width(text: str, scale: float = TEXT_SCALE) -> int:
    return int(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0])


def write_text(
    canvas: Picture,
    text: str,
    place: tuple[int, int],
    colour: Colour = BLACK,
    scale: float = TEXT_SCALE,
) -> None:
    """Write a line; place is the middle of its base line."""
    left = place[0] - text_width(text, scale) // 2
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(canvas, text, (left, place[1]), font, scale, colour, 1, cv2.LINE_AA)


def wrap(name: str, width: int) -> list[str]:
    """A file name in lines of at most some pixels, broken after an underscore where it can be.

    patient0001_2CH_half_sequence_frame01.jpg: [patient0001_2CH_half_, sequence_frame01.jpg]
    """
    lines = [""]
    for part in _parts(name, width):
        if text_width(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part
    return lines


def _parts(name: str, width: int) -> Iterator[str]:
    """The pieces that wrap may part; one that is too long for a line falls into letters."""
    for word in name.replace("_", "_\0").split("\0"):
        yield from [word] if text_width(word) <= width else word


def thumbnail(picture: Picture) -> Picture:
    """A gray or colour picture within THUMBNAIL x THUMBNAIL pixels, in colour."""
    if picture.ndim == 2:
        picture = np.repeat(picture[:, :, None], 3, 2)
    scale = THUMBNAIL / max(picture.shape[:2])
    size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def overlay(image: Picture, labels: Picture) -> Picture:
    """A thumbnail of the image with the outline of each structure 1..3 of the same size on it."""
    canvas = thumbnail(image)
    height, width = canvas.shape[:2]
    for label in (2, 3, 1):  # the cavity last: its outline lies on the inner one of the wall
        share = cv2.resize((labels == label) * np.float32(1), (4 * width, 4 * height))
        outlines, _ = cv2.findContours(
            (share >= 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        fixed = [np.asarray(outline * 4 - 6, np.int32) for outline in outlines]  # 16ths of a pixel
        cv2.polylines(canvas, fixed, True, STRUCTURE_COLOURS[label - 1], 1, cv2.LINE_AA, 4)
    return canvas


def spread(count: int, wanted: int = COLUMNS * ROWS) -> list[int]:
    """Indices of at most `wanted` of `count` things, evenly from the first to the last."""
    if count <= wanted:
        return list(range(count))
    return [round(i * (count - 1) / (wanted - 1)) for i in range(wanted)]


def sheet(
    thumbnails: Sequence[Picture], names: Sequence[str], legend: Sequence[tuple[str, Colour]] = ()
) -> Picture:
    """Thumbnails with their names under them, COLUMNS in a row, as a file browser shows them."""
    # OpenCV crashes on names that are no Unicode
    captions = [wrap(name.encode(errors="replace").decode(), THUMBNAIL) for name in names]
    cell = THUMBNAIL + 8 + LINE * max(map(len, captions), default=1) + GAP
    rows = -(-len(thumbnails) // COLUMNS)
    foot = 2 * LINE + GAP if legend else 0
    shape = (GAP + max(1, rows) * cell + foot, GAP + COLUMNS * (THUMBNAIL + GAP), 3)
    canvas = np.full(shape, 255, np.uint8)
    for index, (picture, caption) in enumerate(zip(thumbnails, captions, strict=True)):
        top = GAP + index // COLUMNS * cell
        left = GAP + index % COLUMNS * (THUMBNAIL + GAP)
        height, width = picture.shape[:2]
        y, x = top + (THUMBNAIL - height) // 2, left + (THUMBNAIL - width) // 2
        canvas[y : y + height, x : x + width] = picture
        for number, line in enumerate(caption, 1):
            write_text(canvas, line, (left + THUMBNAIL // 2, top + THUMBNAIL + 2 + number * LINE))
    _legend(canvas, legend, (GAP, shape[0] - LINE - GAP // 2))
    return canvas


def _legend(canvas: Picture, legend: Sequence[tuple[str, Colour]], place: tuple[int, int]) -> None:
    """Coloured squares with their names, side by side from a place to the right."""
    x, y = place
    for name, colour in legend:
        cv2.rectangle(canvas, (x, y - 11), (x + 11, y), colour, -1)
        cv2.rectangle(canvas, (x, y - 11), (x + 11, y), GRAY, 1)
        width = text_width(name, 0.42)
        write_text(canvas, name, (x + 20 + width // 2, y), scale=0.42)
        x += width + 48


def charts(panels: Sequence[Chart], columns: int = 2) -> Picture:
    """Bar charts side by side on one canvas."""
    drawn = [_chart(panel) for panel in panels]
    blank = np.full_like(drawn[0], 255)
    drawn += [blank] * (-len(drawn) % columns)
    rows = [np.hstack(drawn[i : i + columns]) for i in range(0, len(drawn), columns)]
    return np.vstack(rows)


def _chart(chart: Chart, width: int = 560, height: int = 360) -> Picture:
    """One chart: title, legend if there is more than one series, bars, axis."""
    canvas = np.full((height, width, 3), 255, np.uint8)
    write_text(canvas, chart.title, (width // 2, 28), scale=0.55)
    colours = (BLUE, ORANGE, GREEN)
    if len(chart.series) > 1:
        length = sum(text_width(name, 0.42) + 48 for name in chart.series) - 28
        legend = list(zip(chart.series, colours, strict=False))
        _legend(canvas, legend, ((width - length) // 2, 54))
    top, bottom, left, right = 86, height - 48, 24, width - 24
    highest = chart.scale or max(value for row in chart.heights for value in row) or 1
    slot = (right - left) / max(1, len(chart.groups))
    bar = int(min(72, 0.8 * slot / len(chart.series)))
    for group, name in enumerate(chart.groups):
        middle = left + (group + 0.5) * slot
        for series, colour in zip(range(len(chart.series)), colours, strict=False):
            value = chart.heights[series][group]
            x = int(middle + (series - len(chart.series) / 2) * bar)
            y = int(bottom - (bottom - top) * value / highest)
            cv2.rectangle(canvas, (x + 1, y), (x + bar - 2, bottom), colour, -1)
            write_text(canvas, f"{value:.0f}", (x + bar // 2, y - 6))
        write_text(canvas, name, (int(middle), bottom + 20), scale=0.45)
    cv2.line(canvas, (left, bottom), (right, bottom), GRAY, 1)
    return canvas


def png(canvas: Picture) -> bytes:
    """The bytes of a PNG file, with one channel if no more are needed."""
    if (canvas == canvas[:, :, :1]).all():
        canvas = canvas[:, :, 0]
    return cv2.imencode(".png", canvas, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()


def read_picture(path: Path) -> Picture:
    """A picture as gray. Raises RefusalError for a file that is none."""
    data = np.frombuffer(path.read_bytes(), np.uint8)
    picture = None
    with contextlib.suppress(cv2.error):  # nothing in it, or a size that cannot be
        picture = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise RefusalError(f"{path} is not a picture: take the pair away, or make it again")
    return np.asarray(picture, np.uint8)


def levels_of(masks: Sequence[Picture], description: Mapping[str, Any]) -> tuple[int, ...]:
    """The gray levels of labels 0, 1, ... in masks: as told by the master, or as it looks."""
    told = str(description.get("settings", {}).get("masks"))
    if told in LEVELS:
        return LEVELS[told]
    highest = max((int(mask.max()) for mask in masks), default=0)
    between = any(((mask > 42) & (mask < 213)).any() for mask in masks)
    return LEVELS["index" if 0 < highest <= 3 else "gray" if between else "binary"]


def train_sheets(
    folder: Path, pairs: Sequence[Pair], description: Mapping[str, Any]
) -> dict[str, Picture]:
    """The contact sheets, by file name: images, masks, and images with outlines."""
    shown = [pairs[index] for index in spread(len(pairs))]
    images = [read_picture(folder / pair.image) for pair in shown]
    masks = [read_picture(folder / pair.mask) for pair in shown]
    levels = levels_of(masks, description)
    nearest = np.abs(np.arange(256)[:, None] - np.array(levels)).argmin(1).astype(np.uint8)
    labels = [nearest[mask] for mask in masks]
    visible = masks if max(levels) == 255 else [label * np.uint8(85) for label in labels]
    image_names = [Path(pair.image).name for pair in shown]
    mask_names = [Path(pair.mask).name for pair in shown]
    names = ["left-ventricle cavity", "left-ventricle myocardium", "left atrium"]
    if levels == LEVELS["binary"]:
        names = ["structures"]
    outlines = [overlay(i, m) for i, m in zip(images, labels, strict=True)]
    legend = list(zip(names, STRUCTURE_COLOURS, strict=False))
    return {
        "train_images_samples.png": sheet([thumbnail(i) for i in images], image_names),
        "train_masks_samples.png": sheet([thumbnail(m) for m in visible], mask_names),
        "train_overlays_samples.png": sheet(outlines, image_names, legend),
    }


def statistics(chosen: Mapping[str, list[Pair]]) -> Picture:
    """Bar charts of what each subset holds."""
    patients: dict[str, dict[str, list[dict[str, str]]]] = {
        subset: defaultdict(list) for subset in SUBSETS
    }
    for subset, pairs in chosen.items():
        for pair in pairs:
            patients[subset][pair.patient].append(pair.row)
    panels = [
        Chart("number of pairs", SUBSETS, [""], [[len(chosen[subset]) for subset in SUBSETS]]),
        Chart("number of patients", SUBSETS, [""], [[len(patients[subset]) for subset in SUBSETS]]),
    ]
    for title, series, kind in (
        ("ejection fraction", EF_BANDS, ef_band),
        ("image quality of the worse view", QUALITIES, worse_quality),
    ):
        counts = {s: Counter(kind(rows) for rows in patients[s].values()) for s in SUBSETS}
        known = {s: sum(counts[s][name] for name in series) for s in SUBSETS}
        if any(known.values()):
            groups = [f"{s}, {known[s]} known" for s in SUBSETS]
            heights = [[100 * counts[s][n] / max(1, known[s]) for s in SUBSETS] for n in series]
            panels.append(Chart(f"{title}, % of patients", groups, series, heights, scale=100))
    return charts(panels)
