"""The pictures beside a dataset: what stands where, in which colour, and what can be read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from camus import pictures, previews
from camus.facts import LEVELS, SUBSETS
from camus.metadata import Row, describe
from camus.pictures import BLUE, GAP, GREEN, LINE, ORANGE, THUMBNAIL, YELLOW, Colour
from camus.pixels import Picture

from . import build
from .test_split import SETTINGS

ALL = ["lv", "myo", "la"]
# Tiles are shown at half their size: the cavity on the atrium, the wall apart
LABELS = np.zeros((2 * THUMBNAIL, 2 * THUMBNAIL), np.uint8)
LABELS[40:120, 40:200], LABELS[120:200, 40:200], LABELS[40:200, 240:280] = 1, 3, 2
IMAGE = np.full_like(LABELS, 90)
GRAY_MASK = np.array(LEVELS["gray"], np.uint8)[LABELS]


def pair(patient: str = "patient0007", mask: Any = GRAY_MASK, **cells: str) -> Row:
    """Write a pair; its row."""
    row = {
        "patient": patient,
        "view": "2CH",
        "instant": "ED",
        "frame": "",
        "mirrored": "0",
        **cells,
    }
    for folder, column, pixels in (
        ("images", "file_name", IMAGE),
        ("masks", "mask_file_name", mask),
    ):
        row[column] = f"{folder}/{'_'.join(row.values())}.png"
        build.write(Path(row[column]), build.encoded(pixels, "png"))
    return row


def draw(*subsets: Sequence[Row], phantom: bool = False, **settings: Any) -> dict[str, Picture]:
    """The previews of train, valid and test as canvases: images, masks, overlays, statistics."""
    description = describe({**SETTINGS, **settings}, phantom)
    rows = dict(zip(SUBSETS, [*subsets, [], []], strict=False))
    made = previews.previews(Path(), rows, description)
    assert tuple(made) == previews.PICTURES
    kinds = {name.removeprefix("train_").partition("_")[0].split(".")[0]: name for name in made}
    return {
        kind: np.asarray(cv2.imdecode(np.frombuffer(made[name], np.uint8), 1), np.uint8)
        for kind, name in kinds.items()
    }


def tile(canvas: Picture, index: int = 0) -> npt.NDArray[np.int64]:
    """A thumbnail of a sheet of one row, whose captions have one line."""
    left = GAP + index * (THUMBNAIL + GAP)
    top = len(canvas) - THUMBNAIL - LINE - 2 * GAP
    return canvas[top : top + THUMBNAIL, left : left + THUMBNAIL].astype(np.int64)


def shows(canvas: npt.NDArray[Any], text: str, title: bool = False) -> bool:
    """Whether a line of text stands somewhere on a canvas, on the colour of its corner."""
    line = np.full((40, 20 + 12 * len(text), 3), canvas[-1, -1], np.uint8)
    blank = line.copy()
    scale = pictures.TITLE_SCALE if title else pictures.TEXT_SCALE
    pictures.write_text(line, text, 10, 25, scale)
    rows, columns, _ = np.nonzero(line != blank)
    ink = line[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return bool(cv2.matchTemplate(canvas.astype(np.uint8), ink, cv2.TM_SQDIFF).min() < 1000)


def has(canvas: npt.NDArray[Any], colour: Colour) -> bool:
    """Whether a canvas has a square of 8 x 8 pixels of a colour."""
    same = (canvas == colour).all(2).astype(np.uint8)
    return bool(cv2.erode(same, np.ones((8, 8))).any())


def bars(canvas: Picture, colour: Colour) -> list[int]:
    """The heights of the bars of a colour, from left to right, in pixels."""
    heights = (canvas == colour).all(2).sum(0)
    edges = np.flatnonzero(np.diff(heights > 0, prepend=False, append=False))
    runs = [heights[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > 16]
    return [int(np.median(run)) for run in runs]


@pytest.mark.parametrize(
    ("cells", "lines"),
    [
        ({}, ["0007 2CH ED"]),
        ({"frame": "7", "instant": "between"}, ["0007 2CH", "frame 07 between"]),
        ({"frame": "12", "mirrored": "1"}, ["0007 2CH", "frame 12 ED", "mirrored"]),
    ],
)
def test_captions_say_what_is_shown(cells: dict[str, str], lines: list[str]) -> None:
    drawn = draw([pair(**cells)])
    for kind in ("images", "masks", "overlays"):
        assert all(shows(drawn[kind], line) for line in lines)


def test_the_sheets_show_a_sample_of_all_pairs() -> None:
    rows = [{"patient": f"{i:04d}"} for i in range(4000)]
    patients = [int(row["patient"]) for row in previews.sample(rows, 18)]
    assert patients == sorted(set(patients)) and len(patients) == 18
    assert len({patient % 2 for patient in patients}) == 2  # not every second one alone
    assert min(patients) < 1000 and max(patients) > 3000
    assert previews.sample(rows, 18) == previews.sample(rows, 18)
    assert previews.sample(rows[:3], 18) == rows[:3]


@pytest.mark.parametrize("count", [0, 3, 18])
def test_a_sheet_is_an_even_grid_on_white(count: int) -> None:
    tiles = [np.full((THUMBNAIL, THUMBNAIL, 3), 10 * i, np.uint8) for i in range(count)]
    names = [f"name{i}\udcff ä" for i in range(count)]  # not Unicode
    canvas = pictures.sheet("the title", tiles, names, [("lv", YELLOW)])
    assert shows(canvas, "the title", title=True) and shows(canvas, "lv") and has(canvas, YELLOW)
    cell = THUMBNAIL + LINE + 2 * GAP
    grid = canvas[len(canvas) - -(-count // 6) * cell :]
    for i, name in enumerate(names):
        top, left = i // 6 * cell, GAP + i % 6 * (THUMBNAIL + GAP)
        assert (grid[top : top + THUMBNAIL, left : left + THUMBNAIL] == 10 * i).all()
        assert shows(grid[top + THUMBNAIL : top + cell, left : left + THUMBNAIL], name)


def test_outlines_have_the_colour_of_their_structure() -> None:
    canvas = pictures.overlay(IMAGE, LABELS).astype(int)
    lines = {1: (20, 59), 2: (20, 99), 3: (99,)}  # rows of the outlines, of 3 only the lower
    columns = {1: slice(30, 90), 2: slice(124, 136), 3: slice(30, 90)}
    for label, rows in lines.items():
        for row in rows:
            line = canvas[row - 1 : row + 2, columns[label]]
            distance = np.abs(line - pictures.STRUCTURE_COLOURS[label]).sum(2).min(0)
            assert (distance < 140).all()
    for inside in (canvas[25:55, 25:95], canvas[65:95, 25:95], canvas[25:95, 124:136]):
        assert (inside == 90).all()
    border = canvas[56:60, 30:90]  # of cavity and atrium: yellow, which has less blue than red
    assert (border[:, :, 0] <= border[:, :, 2]).all()


@pytest.mark.parametrize(
    ("masks", "structures", "legend"),
    [
        ("gray", ALL, {"left-ventricle cavity: 85": 85, "left atrium: 255": 255}),
        ("index", ALL, {"left-ventricle cavity: 1": 85, "left atrium: 3": 255}),
        ("gray", ["la"], {"left atrium: 255": 255}),
        ("binary", ["lv"], {"left-ventricle cavity: 255": 255}),
        ("binary", ["lv", "la"], {"left-ventricle cavity, left atrium: 255": 255}),
    ],
)
def test_mask_and_overlay_sheets(masks: str, structures: list[str], legend: dict[str, int]) -> None:
    kept = np.isin(LABELS, [1 + ALL.index(name) for name in structures])
    mask = np.where(kept, np.array(LEVELS[masks], np.uint8)[LABELS], np.uint8(0))
    drawn = draw([pair(mask=mask)], phantom=True, masks=masks, structures=structures)
    for kind in ("images", "overlays"):
        assert shows(drawn[kind], "train: 1 of 1 phantom pair", title=True)
    assert (tile(drawn["images"]) == 90).all()
    for text, level in legend.items():
        assert shows(drawn["masks"], text) and has(drawn["masks"][40:56], (level,) * 3)
        assert shows(drawn["overlays"], text.partition(":")[0])
    shown = tile(drawn["masks"])
    lv, la = (255, 255) if masks == "binary" else (85, 255)
    assert (shown[25:55, 25:95] == (lv if "lv" in structures else 0)).all()
    assert (shown[65:95, 25:95] == (la if "la" in structures else 0)).all()
    brightened = "train: 1 of 1 phantom pair, masks brightened"
    assert shows(drawn["masks"], brightened, title=True) == (masks == "index")
    labels = [1] if masks == "binary" else [1 + ALL.index(name) for name in structures]
    for label in (1, 2, 3):
        colour = pictures.STRUCTURE_COLOURS[label]
        assert has(drawn["overlays"][:68], colour) == (label in labels)


def test_statistics() -> None:
    """Four pairs of two patients in train, two of one in valid, two of one in test."""
    half = np.zeros((100, 100), np.uint8)
    half[:50], half[50:60] = 85, 255

    def patient(name: str, ef: str, quality: str, instants: str) -> list[Row]:
        cells = {"ef": ef, "image_quality": quality}
        return [pair(name, half, instant=instant, **cells) for instant in instants.split()]

    train = patient("p1", "40.0", "Good", "ED ES") + patient("p2", "50.0", "Good", "ED ES")
    valid, test = patient("p3", "60.0", "Poor", "ED ES"), patient("p4", "", "unknown", "ED ED1")
    canvas = draw(train, valid, test)["statistics"]
    assert shows(canvas, "CAMUS", title=True)
    for text, colour in (
        ("train: 4 pairs, 2 patients", BLUE),
        ("test: 2 pairs, 1 patient", GREEN),
    ):
        assert shows(canvas, text) and has(canvas[:66], colour)
    upper, lower = np.vsplit(canvas[66:], 2)
    (pairs, ef), (quality, structures) = (np.hsplit(half, 2) for half in (upper, lower))
    full = pictures.PANEL_HEIGHT - 3 * LINE - 66

    def heights(panel: Picture, *colours: Colour) -> list[list[int]]:
        return [[round(100 * h / full) for h in bars(panel, colour)] for colour in colours]

    assert heights(pairs, BLUE, ORANGE, GREEN) == [[100, 100], [50, 50], [50]]
    assert heights(ef, BLUE, ORANGE, GREEN) == [[50, 50], [100], [100]]
    assert heights(quality, BLUE, ORANGE, GREEN) == [[100], [100], [100]]
    assert heights(structures, BLUE, ORANGE, GREEN) == [[100, 20]] * 3
    assert shows(ef, "unknown") and shows(quality, "unknown") and not shows(quality, "Medium")
    for panel, texts in ((pairs, "21"), (ef, ("50.0", "100.0")), (structures, ("50.0", "10.0"))):
        assert all(shows(panel, text) for text in texts)


def test_a_sequence_has_a_chart_of_all_instants_and_an_empty_train_no_tiles() -> None:
    rows = [pair(instant=i, frame=str(n)) for n, i in enumerate(("ED", "between", "ES"), 1)]
    drawn = draw([], rows)
    assert shows(drawn["images"], "train: 0 of 0 pairs", title=True)
    assert all(shows(drawn["statistics"], text) for text in ("ED", "ES", "between"))
    assert bars(drawn["statistics"], BLUE) == []
