"""The pictures beside a dataset: what stands where, in which colour, and what can be read."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from camus import pictures, pixels, previews
from camus.facts import LEVELS, SUBSETS
from camus.metadata import PICTURES, Row, describe
from camus.pictures import BARS, BLUE, CHART, GAP, GREEN, LINE, ORANGE, THUMBNAIL
from camus.pixels import Picture

from . import build

# Tiles are shown at half their size: the cavity on the atrium, the wall apart
LABELS = np.zeros((2 * THUMBNAIL, 2 * THUMBNAIL), np.uint8)
LABELS[40:120, 40:200], LABELS[120:200, 40:200], LABELS[40:200, 240:280] = 1, 3, 2
IMAGE = np.full_like(LABELS, 90)


def pair(patient: str, image: Any = IMAGE, mask: Any = 85 * LABELS, **cells: str) -> Row:
    """Write a pair; its row."""
    row = {"patient": patient, "view": "2CH", "instant": "ED", "frame": "", "mirrored": "0"} | cells
    name = "_".join(row.values()).encode("ascii", "ignore").decode()
    row["file_name"] = str(build.write(Path("images", name), build.encoded(image, "png")))
    row["mask_file_name"] = str(build.write(Path("masks", name), build.encoded(mask, "png")))
    return row


def draw(*subsets: list[Row], phantom: bool = False, **settings: Any) -> list[Picture]:
    """The previews of train, valid and test: statistics, images, masks, overlays."""
    rows = dict(zip(SUBSETS, [*subsets, [], []], strict=False))
    made = previews.previews(Path(), rows, describe({**build.SETTINGS, **settings}, phantom))
    return [np.asarray(pixels.decode(made[name], cv2.IMREAD_COLOR)) for name in PICTURES]


def shows(canvas: Picture, text: str) -> bool:
    """Whether a line of text stands somewhere on a white canvas."""
    line = np.full((40, 20 + 12 * len(text), 3), 255, np.uint8)
    pictures.write_text(line, text, 10, 25)
    rows, columns, _ = np.nonzero(line < 255)
    ink = line[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return bool(cv2.matchTemplate(canvas, ink, cv2.TM_SQDIFF).min() < 1000)


def test_captions_say_what_is_shown() -> None:
    rows = [pair("patient0007", frame="7"), pair("\udcff ä", mirrored="1")]  # not Unicode, or ASCII
    for sheet in draw(rows)[1:]:
        for line in ("0007 2CH", "frame 07 ED", "? ? 2CH ED", "mirrored"):
            assert shows(sheet, line)


def test_a_sheet_shows_a_sample_of_all_pairs() -> None:
    """The 40 pairs can be told apart by the brightness of their images."""
    rows = [pair(f"patient{number:04}", 0 * IMAGE + 5 * number) for number in range(40)]
    rows += [pair(f"patient{n:04}", 0 * IMAGE + 250, mirrored="1") for n in range(40)]
    images = draw(rows)[1]
    grid = images[2 * LINE :: THUMBNAIL + 2 * LINE, GAP :: THUMBNAIL + GAP, 0]
    shown = grid[:3, :6].ravel() // 5
    assert len(set(shown)) == 18 and sorted(shown) == list(shown)
    assert shown.min() < 10 and 30 < shown.max() < 40 and np.array_equal(draw(rows)[1], images)


def test_outlines_have_the_colour_of_their_structure() -> None:
    canvas = pictures.overlay(IMAGE, LABELS).astype(int)
    for label, row, column in ((1, 20, 60), (1, 59, 60), (3, 99, 60), (2, 20, 130), (2, 99, 130)):
        line = canvas[row - 1 : row + 2, column]
        assert np.abs(line - pictures.STRUCTURE_COLOURS[label]).sum(1).min() < 140
    for inside in (canvas[25:55, 25:95], canvas[65:95, 25:95], canvas[25:95, 124:136]):
        assert (inside == 90).all()
    border = canvas[56:60, 30:90]  # of cavity and atrium: yellow, which has less blue than red
    assert (border[:, :, 0] <= border[:, :, 2]).all()


@pytest.mark.parametrize(("shape", "place"), [
    ((300, 150), np.s_[:, 38:114]), ((150, 300), np.s_[38:114]), ((9, 9), np.s_[:]),
])  # fmt: skip
def test_thumbnails_keep_proportions(shape: Any, place: Any) -> None:
    """On black: also below an overlay, and however small the picture is."""
    expected = np.zeros((THUMBNAIL, THUMBNAIL), np.uint8)
    expected[place] = 200
    image = np.full(shape, 200, np.uint8)
    assert np.array_equal(pictures.thumbnail(image), expected)
    assert np.array_equal(pictures.overlay(image, 0 * image), np.dstack([expected] * 3))


@pytest.mark.parametrize(("masks", "legend"), [
    ("gray", {"left-ventricle cavity: 85": 85, "left atrium: 255": 255}),
    ("index", {"left-ventricle cavity: 1": 85, "left atrium: 3": 255}),
    ("binary", {"left-ventricle cavity, left atrium: 255": 255}),
])  # fmt: skip
def test_mask_and_overlay_sheets(masks: str, legend: dict[str, int]) -> None:
    rows = [pair("patient0007", mask=np.array(LEVELS[masks])[LABELS * (LABELS != 2)])]
    _, images, sheet, overlays = draw(rows, phantom=True, masks=masks, structures=["lv", "la"])
    title = "train: 1 of 1 phantom pair"
    assert shows(images, title)
    assert shows(sheet, f"{title}, drawn brighter than in the files") == (masks == "index")
    assert all(shows(sheet, text) and shows(overlays, text.partition(":")[0]) for text in legend)
    top, squares = -THUMBNAIL - 2 * LINE, 2 * LINE - 6
    assert [*sheet[squares : top - LINE : LINE, GAP + 6, 0]] == [0, *legend.values()]
    assert tuple(overlays[squares, GAP + 6]) == pictures.STRUCTURE_COLOURS[1]
    tile, outlined = (canvas[top:, GAP : GAP + THUMBNAIL] for canvas in (sheet, overlays))
    assert np.ptp(outlined[:THUMBNAIL], axis=2).max() > 100  # there are colours
    assert (tile[25:55, 25:95] == min(legend.values())).all() and (tile[65:95, 25:95] == 255).all()


def test_statistics() -> None:
    def rows(patient: str, ef: str, quality: str, *instants: str) -> list[Row]:
        return [pair(patient, instant=x, ef=ef, image_quality=quality) for x in instants]

    train = rows("p1", "40.0", "Good", "ED") + rows("p2", "50.0", "Good", "ED", "ES", "ES")
    valid, test = rows("p3", "60.0", "Poor", "ES", "ES"), rows("p4", "", "unknown", "ED", "between")
    canvas = draw(train, valid, test)[0]
    for text in ("CAMUS", "train: 4 pairs, 2 patients", "test: 2 pairs, 1 patient", "50.0"):
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
