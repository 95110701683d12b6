"""The pictures beside a dataset: what stands where, in which colour, and what can be read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from camus import pictures, previews
from camus.facts import LEVELS, STRUCTURES, SUBSETS
from camus.metadata import PICTURES, Row, describe
from camus.pictures import BARS, BLUE, CHART, GAP, GREEN, LINE, ORANGE, THUMBNAIL, Colour
from camus.pixels import Picture

from . import build
from .build import SETTINGS

# Tiles are shown at half their size: the cavity on the atrium, the wall apart
LABELS = np.zeros((2 * THUMBNAIL, 2 * THUMBNAIL), np.uint8)
LABELS[40:120, 40:200], LABELS[120:200, 40:200], LABELS[40:200, 240:280] = 1, 3, 2
IMAGE = np.full_like(LABELS, 90)


def pair(patient: str = "patient0007", mask: Any = 85 * LABELS, **cells: str) -> Row:
    """Write a pair; its row."""
    row = {"patient": patient, "view": "2CH", "instant": "ED", "frame": "", "mirrored": "0"} | cells
    name = "_".join(row.values()).encode("ascii", "ignore").decode()
    row |= {"file_name": f"images/{name}.png", "mask_file_name": f"masks/{name}.png"}
    build.write(Path(row["file_name"]), build.encoded(IMAGE, "png"))
    build.write(Path(row["mask_file_name"]), build.encoded(mask, "png"))
    return row


def draw(*subsets: Sequence[Row], phantom: bool = False, **settings: Any) -> list[Picture]:
    """The previews of train, valid and test: statistics, images, masks, overlays."""
    description = describe({**SETTINGS, **settings}, phantom)
    rows = dict(zip(SUBSETS, [*subsets, [], []], strict=False))
    made = previews.previews(Path(), rows, description)
    assert tuple(made) == PICTURES
    data = [np.frombuffer(made[name], np.uint8) for name in PICTURES]
    return [np.asarray(cv2.imdecode(png, cv2.IMREAD_COLOR), np.uint8) for png in data]


def shows(canvas: Picture, text: str) -> bool:
    """Whether a line of text stands somewhere on a white canvas."""
    line = np.full((40, 20 + 12 * len(text), 3), 255, np.uint8)
    pictures.write_text(line, text, 10, 25)
    rows, columns, _ = np.nonzero(line < 255)
    ink = line[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return bool(cv2.matchTemplate(canvas, ink, cv2.TM_SQDIFF).min() < 1000)


def has(canvas: Picture, colour: Colour) -> bool:
    """Whether a canvas has a square of 8 x 8 pixels of a colour."""
    same = (canvas == colour).all(2).astype(np.uint8)
    return bool(cv2.erode(same, np.ones((8, 8))).any())


@pytest.mark.parametrize(("cells", "lines"), [
    ({}, ["0007 2CH ED"]),
    ({"frame": "7", "instant": "between"}, ["0007 2CH", "frame 07 between"]),
    ({"patient": "\udcff ä", "mirrored": "1"}, ["? ? 2CH ED", "mirrored"]),  # not Unicode, or ASCII
])  # fmt: skip
def test_captions_say_what_is_shown(cells: dict[str, str], lines: list[str]) -> None:
    for sheet in draw([pair(**cells)])[1:]:
        assert all(shows(sheet, line) for line in lines)


def test_a_sheet_shows_a_sample_of_all_pairs() -> None:
    """The 40 pairs can be told apart by the brightness of their images."""
    rows = [pair(f"patient{number:04}") for number in range(40)]
    for number, row in enumerate(rows):
        Path(row["file_name"]).write_bytes(build.encoded(IMAGE * 0 + 5 * number, "png"))
    images = draw(rows)[1]
    grid = images[2 * LINE :: THUMBNAIL + 2 * LINE, GAP :: THUMBNAIL + GAP, 0]
    shown = grid[:3, :6].ravel() // 5
    assert len(set(shown)) == 18 and sorted(shown) == list(shown)
    assert shown.min() < 10 and shown.max() > 30 and np.array_equal(draw(rows)[1], images)


def test_outlines_have_the_colour_of_their_structure() -> None:
    canvas = pictures.overlay(IMAGE, LABELS).astype(int)
    for label, row, columns in (
        (1, 20, slice(30, 90)), (1, 59, slice(30, 90)), (3, 99, slice(30, 90)),
        (2, 20, slice(124, 136)), (2, 99, slice(124, 136)),
    ):  # fmt: skip
        line = canvas[row - 1 : row + 2, columns]
        distance = np.abs(line - pictures.STRUCTURE_COLOURS[label]).sum(2).min(0)
        assert (distance < 140).all()
    for inside in (canvas[25:55, 25:95], canvas[65:95, 25:95], canvas[25:95, 124:136]):
        assert (inside == 90).all()
    border = canvas[56:60, 30:90]  # of cavity and atrium: yellow, which has less blue than red
    assert (border[:, :, 0] <= border[:, :, 2]).all()


@pytest.mark.parametrize(("shape", "rows", "columns"), [
    ((300, 150), (0, 152), (38, 114)), ((150, 300), (38, 114), (0, 152)),
    ((9, 9), (0, 152), (0, 152)),
])  # fmt: skip
def test_thumbnails_keep_proportions(shape: Any, rows: Any, columns: Any) -> None:
    """On black: also below an overlay, and however small the picture is."""
    expected = np.zeros((THUMBNAIL, THUMBNAIL), np.uint8)
    expected[slice(*rows), slice(*columns)] = 200
    image = np.full(shape, 200, np.uint8)
    assert np.array_equal(pictures.thumbnail(image), expected)
    overlay = pictures.overlay(image, image * 0)
    assert np.array_equal(overlay, expected[..., None].repeat(3, 2))


@pytest.mark.parametrize(("masks", "structures", "legend"), [
    ("gray", ["lv", "la"], {"left-ventricle cavity: 85": 85, "left atrium: 255": 255}),
    ("index", ["lv", "myo", "la"], {"left-ventricle cavity: 1": 85, "left atrium: 3": 255}),
    ("binary", ["lv", "la"], {"left-ventricle cavity, left atrium: 255": 255}),
])  # fmt: skip
def test_mask_and_overlay_sheets(masks: str, structures: list[str], legend: dict[str, int]) -> None:
    kept = np.isin(LABELS, [STRUCTURES[name] for name in structures])
    mask = np.where(kept, np.array(LEVELS[masks], np.uint8)[LABELS], np.uint8(0))
    rows = [pair(mask=mask)]
    _, images, sheet, overlays = draw(rows, phantom=True, masks=masks, structures=structures)
    assert shows(images, "train: 1 of 1 phantom pair")
    top = len(sheet) - THUMBNAIL - 2 * LINE
    tile = sheet[top : top + THUMBNAIL, GAP : GAP + THUMBNAIL]
    for text, level in legend.items():
        assert shows(sheet, text) and has(sheet[:top], (level,) * 3)
        assert shows(overlays, text.partition(":")[0])
    assert (tile[25:55, 25:95] == min(legend.values())).all() and (tile[65:95, 25:95] == 255).all()
    assert has(overlays[:top], pictures.STRUCTURE_COLOURS[1])


def test_statistics() -> None:
    """Four pairs of two patients in train, two of one in valid, two of one in test."""

    def rows(patient: str, ef: str, quality: str, *instants: str) -> list[Row]:
        return [pair(patient, instant=x, ef=ef, image_quality=quality) for x in instants]

    train = rows("p1", "40.0", "Good", "ED") + rows("p2", "50.0", "Good", "ED", "ES", "ES")
    valid, test = rows("p3", "60.0", "Poor", "ES", "ES"), rows("p4", "", "unknown", "ED", "between")
    canvas = draw(train, valid, test)[0]
    for text in ("CAMUS", "train: 4 pairs, 2 patients", "test: 2 pairs, 1 patient", "unknown"):
        assert shows(canvas, text)
    assert not shows(canvas, "Medium") and shows(draw([], valid)[1], "train: 0 of 0 pairs")
    full = CHART - BARS - 80  # the length of 100 %
    for colour, percents in (
        (BLUE, [50, 50, 50, 50, 100]),  # ED, ES; 45 % or less, 45 to 55 %; Good
        (ORANGE, [100, 100, 100]),  # ES; 55 % or more; Poor
        (GREEN, [50, 50, 100, 100]),  # ED, between; unknown; unknown
    ):
        lengths = (canvas[5 * LINE :, BARS:] == colour).all(2).sum(1)
        starts = np.flatnonzero(np.diff(lengths) > 0) + 1
        assert [round(100 * lengths[y] / full) for y in starts] == percents
    assert shows(canvas, "50.0") and shows(canvas, "100.0")
