"""The pictures beside a dataset: what stands where, in which colour, and what can be read."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from camus import pictures, previews
from camus.errors import RefusalError
from camus.master import SETTINGS, Pair, describe
from camus.pictures import BLUE, GAP, GREEN, LINE, ORANGE, SKY, THUMBNAIL, YELLOW, Colour
from camus.pixels import LEVELS, Picture

from . import build

ALL = ["lv", "myo", "la"]
# Tiles are shown at half their size: the cavity on the atrium, the wall apart
LABELS = np.zeros((2 * THUMBNAIL, 2 * THUMBNAIL), np.uint8)
LABELS[40:120, 40:200], LABELS[120:200, 40:200], LABELS[40:200, 240:280] = 1, 3, 2
IMAGE = np.full_like(LABELS, 90)


def description(masks: str, structures: Sequence[str] = ALL, phantom: bool = False) -> Any:
    settings = argparse.Namespace(**{**dict.fromkeys(SETTINGS), "masks": masks})
    settings.structures = structures
    return describe(settings, phantom)


def pair(subset: str, image: Any, mask: Any, name: str = "a", **row: str) -> Pair:
    """Write a pair of a subset."""
    for kind, picture in (("images", image), ("masks", mask)):
        data = cv2.imencode(".png", picture)[1].tobytes()
        build.write(Path(subset, kind, f"{name}.png"), data)
    image, mask = (f"{subset}/{kind}/{name}.png" for kind in ("images", "masks"))
    return Pair(image, mask, row.get("patient", name), row)


def draw(told: Any, *subsets: Sequence[Pair]) -> dict[str, Picture]:
    """The previews of train, valid and test as canvases: images, masks, overlays, statistics."""
    names = ("train", "valid", "test")
    made = previews.previews(Path(), dict(zip(names, [*subsets, [], []], strict=False)), told)
    kinds = {name.removeprefix("train_").partition("_")[0].split(".")[0]: name for name in made}
    assert list(kinds) == ["images", "masks", "overlays", "statistics"]
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
    scale = pictures.TITLE_SCALE if title else pictures.TEXT_SCALE
    line = np.full((40, pictures.text_width(text, scale) + 40, 3), canvas[-1, -1], np.uint8)
    blank = line.copy()
    pictures.write_text(line, text, (20, 25), scale)
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


def test_captions_say_what_is_shown() -> None:
    row = {"patient": "patient0070", "view": "2CH", "instant": "ED", "frame": "", "mirrored": "0"}
    for changes, expected in (
        ({}, "0070 · 2CH · ED"),
        ({"frame": "7"}, "0070 · 2CH\nframe 07"),
        ({"frame": "12.0", "mirrored": "1"}, "0070 · 2CH\nframe 12\nmirrored"),
        ({"view": ""}, "scan.png"),
        ({"instant": ""}, "scan.png"),
    ):
        assert previews.caption(Pair("images/scan.png", "", "", {**row, **changes})) == expected


def test_captions_stay_within_their_tile() -> None:
    assert pictures.shorten("0070 · 2CH · ED") == "0070 · 2CH · ED"
    for text in ("Große_" * 40 + "end.png", "x" * 250):
        line = pictures.shorten(text)
        assert pictures.text_width(line) <= THUMBNAIL
        assert line[:3] == "..." and text.endswith(line[3:]) and len(line) > 8


def test_spread_runs_evenly_from_first_to_last() -> None:
    pairs = [Pair(f"{i:04d}", "", "", {}) for i in range(4000)]
    indices = [int(pair.image) for pair in previews.spread(pairs, 18)]
    assert len(indices) == 18 and indices[0] == 0 and indices[-1] == 3999
    assert set(np.diff(indices)) <= {235, 236}
    assert previews.spread(pairs[:3], 18) == pairs[:3]


@pytest.mark.parametrize("count", [0, 3, 7, 18])
def test_a_sheet_is_an_even_grid_on_white(count: int) -> None:
    tiles = [np.full((THUMBNAIL, THUMBNAIL // 2, 3), 10 * i, np.uint8) for i in range(count)]
    names = [f"name{i}\udcff.jpg" for i in range(count)]  # not Unicode
    canvas = pictures.sheet("the title", tiles, names, [("lv", YELLOW)])
    assert shows(canvas, "the title", title=True) and shows(canvas, "lv")
    cell = THUMBNAIL + LINE + 2 * GAP
    grid = canvas[len(canvas) - -(-count // 6) * cell :]
    for i, name in enumerate(names):
        top, left = i // 6 * cell, GAP + i % 6 * (THUMBNAIL + GAP)
        square = grid[top : top + THUMBNAIL, left : left + THUMBNAIL]
        quarter = THUMBNAIL // 4
        assert (square[:, quarter:-quarter] == 10 * i).all()
        assert (square[:, :quarter] == 255).all() and (square[:, -quarter:] == 255).all()
        below = grid[top + THUMBNAIL : top + cell, left : left + THUMBNAIL]
        assert shows(below, name) and (below == 255).mean() > 0.8


def test_outlines_have_the_colour_of_their_structure_and_are_never_mixed() -> None:
    canvas = pictures.thumbnail(IMAGE)
    pictures.draw_outlines(canvas, LABELS)
    lines = {1: (20, 59), 2: (20, 99), 3: (99,)}  # rows of the outlines, of 3 only the lower
    columns = {1: slice(30, 90), 2: slice(124, 136), 3: slice(30, 90)}
    for label, rows in lines.items():
        for row in rows:
            line = canvas[row - 1 : row + 2, columns[label]].astype(int)
            distance = np.abs(line - pictures.COLOURS[label]).sum(2).min(0)
            assert (distance < 140).all()
    for inside in (canvas[25:55, 25:95], canvas[65:95, 25:95], canvas[25:95, 124:136]):
        assert (inside == 90).all()
    border = canvas[55:66, 30:90].astype(int)  # yellow on gray has less blue than red
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
    told = description(masks, structures, phantom=True)
    drawn = draw(told, [pair("train", IMAGE, mask, "scan")])
    title = "train: 1 of 1 pair of phantom patients"
    for kind in ("images", "masks", "overlays"):
        assert shows(drawn[kind], title, title=True) and shows(drawn[kind], "scan.png")
    assert (tile(drawn["images"]) == 90).all()
    for text, level in legend.items():
        assert shows(drawn["masks"], text) and has(drawn["masks"][40:56], (level,) * 3)
        assert shows(drawn["overlays"], text.partition(":")[0])
    shown = tile(drawn["masks"])
    lv, la = (255, 255) if masks == "binary" else (85, 255)
    assert (shown[25:55, 25:95] == (lv if "lv" in structures else 0)).all()
    assert (shown[65:95, 25:95] == (la if "la" in structures else 0)).all()
    assert shows(drawn["masks"], "brightened", title=True) == (masks == "index")
    assert shows(drawn["statistics"], "1 pair of 1 phantom patient", title=True)
    labels = [1] if masks == "binary" else [1 + ALL.index(name) for name in structures]
    for label in (1, 2, 3):
        colour = pictures.COLOURS[label]
        assert has(drawn["overlays"][:68], colour) == (label in labels)
        assert bool(bars(drawn["statistics"], colour)) == (label in labels)


@pytest.mark.parametrize(
    ("levels", "names"),
    [
        ((0, 1, 2, 3), ["label 1", "label 2", "label 3"]),
        ((0, 1, 1, 0), ["label 1"]),
        ((0, 85, 170, 255), ["label 1", "label 2", "label 3"]),
        ((0, 255, 255, 255), ["label 1"]),
        ((4, 252, 249, 247), ["label 1"]),
        ((0, 50, 100, 150), []),
        ((0, 0, 0, 0), []),
    ],
)
def test_masks_of_another_tool_are_told_by_their_levels(
    levels: Sequence[int], names: Sequence[str]
) -> None:
    mask = np.array(levels, np.uint8)[LABELS]
    drawn = draw({}, [pair("train", IMAGE, mask)])
    for name in ("label 1", "label 2", "label 3"):
        assert shows(drawn["overlays"], name) == (name in names)
    assert (tile(drawn["overlays"]) == 90).all() == (not names)
    assert shows(drawn["statistics"], "background") == bool(names)
    if max(levels) > 3:
        assert (tile(drawn["masks"])[30, 30] == levels[1]).all()


def test_odd_files_of_another_tool() -> None:
    mask = np.array(LEVELS["gray"], np.uint8)[LABELS]
    colour = np.dstack([IMAGE, IMAGE // 2, IMAGE // 3])
    deep = IMAGE.astype(np.uint16) * 100
    deep[:, 150:] = 1000
    pairs = [
        pair("train", IMAGE, mask.astype(np.uint16) * 100, "a"),
        pair("train", colour, np.dstack([mask, mask // 2, mask]), "b"),
        pair("train", deep, np.dstack([mask] * 3), "c"),
        pair("train", IMAGE, mask[::2, ::2], "d"),
    ]
    drawn = draw({}, pairs)
    masks, overlays = drawn["masks"], drawn["overlays"]
    for i, text in enumerate(("16-bit mask", "colour mask")):
        square = tile(masks, i)
        assert shows(square, text) and (square == pictures.LIGHT_GRAY).mean() > 0.8
        assert not has(square, (0, 0, 0))
    assert all((tile(masks, i)[30, 30] == 85).all() for i in (2, 3))
    assert (tile(drawn["images"], 1) == (90, 45, 30)).all()
    assert tile(drawn["images"], 2)[5, 5, 0] == 255 and tile(drawn["images"], 2)[5, 100, 0] == 28
    outlined = [not np.array_equal(tile(overlays, i), tile(drawn["images"], i)) for i in range(3)]
    assert outlined == [False, False, True]
    assert shows(tile(overlays, 3), "mask of other size")
    assert shows(drawn["statistics"], "n = 2")  # masks that count
    for data in (b"", b"no picture"):
        Path("train/masks/d.png").write_bytes(data)
        with pytest.raises(RefusalError, match=r"d\.png is not a picture: make it again"):
            draw({}, pairs)


def test_statistics() -> None:
    """8 of 12 pairs and 2 of 4 patients are in train."""
    mask = np.zeros((100, 100), np.uint8)
    mask[:50], mask[50:60] = 85, 255
    masks = {"train": mask, "valid": mask, "test": mask[:80]}

    def patient(subset: str, name: str, ef: str, quality: str, pairs: int) -> list[Pair]:
        row = {"patient": name, "ef": ef, "image_quality": quality}
        names = [f"{name}{i}" for i in range(pairs)]
        return [pair(subset, mask, masks[subset], n, **row) for n in names]

    train = patient("train", "p1", "40.0", "Good", 4) + patient("train", "p2", "50.0", "Good", 4)
    valid, test = patient("valid", "p3", "60.0", "Poor", 2), patient("test", "p4", "", "unknown", 2)
    canvas = draw(description("gray"), train, valid, test)["statistics"]
    canvas = canvas[len(canvas) - 2 * pictures.PANEL_HEIGHT :]
    upper, lower = np.vsplit(canvas, 2)
    (sizes, ef), (quality, pixels) = (np.hsplit(half, 2) for half in (upper, lower))
    full = bars(ef, GREEN)[0]  # 100 % of valid

    def percent(panel: Picture, *colours: Colour) -> list[list[int]]:
        return [[round(100 * h / full) for h in bars(panel, colour)] for colour in colours]

    assert percent(ef, BLUE, ORANGE, GREEN) == [[50], [50], [100]]
    assert percent(quality, BLUE, ORANGE, GREEN) == [[100], [], [100]]
    assert np.allclose(percent(sizes, BLUE, ORANGE), [[67, 17, 17], [50, 25, 25]], atol=1)
    assert all(shows(sizes, text) for text in "821") and shows(ef, "n = 2")
    assert shows(ef, "45 % or less") and shows(pixels, "n = 8")
    assert shows(ef, "n = 0") and (ef[90:275, -150:] == 255).all()  # nothing known of test
    shares = np.array([[50, 50, 62.5], [10, 10, 12.5], [40, 40, 25]])  # of the pixels
    heights = [bars(pixels, colour) for colour in (YELLOW, SKY, pictures.LIGHT_GRAY)]
    assert np.allclose(heights, shares / 100 * (full - LINE), atol=2)  # a line more of legend


def test_what_is_not_known_has_no_chart() -> None:
    mask = np.array([0, 50, 100, 150], np.uint8)[LABELS]
    canvas = draw({}, [pair("train", IMAGE, mask)])["statistics"]
    assert shows(canvas, "patients") and len(canvas) < 2 * pictures.PANEL_HEIGHT
    assert not has(canvas, GREEN) and not has(canvas, YELLOW)
    empty = draw({}, [])
    assert shows(empty["images"], "train: 0 of 0 pairs", title=True)
    assert bars(empty["statistics"], BLUE) == []
