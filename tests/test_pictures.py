"""The pictures beside a dataset: where things stand, and in which colour."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from generator import pictures
from generator.pairs import Pair
from generator.pictures import GAP, STRUCTURE_COLOURS, THUMBNAIL, Chart
from generator.pixels import LEVELS, Picture

CELL = THUMBNAIL + GAP


def test_wrap_breaks_long_names_after_underscores() -> None:
    assert pictures.wrap("patient0001_2CH_ED.jpg", 200) == ["patient0001_2CH_ED.jpg"]
    name = "mirrored_patient0001_2CH_half_sequence_frame01.jpg"
    assert len(name) == 50
    half = "mirrored_patient0001_2CH_"
    assert pictures.wrap(name, pictures.text_width(half)) == [half, name.removeprefix(half)]
    for text in (name, "x" * 200):
        lines = pictures.wrap(text, THUMBNAIL)
        assert "".join(lines) == text
        assert all(pictures.text_width(line) <= THUMBNAIL for line in lines)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, []), (3, [0, 1, 2]), (18, list(range(18)))],
)
def test_spread_of_few(count: int, expected: list[int]) -> None:
    assert pictures.spread(count) == expected


def test_spread_of_many_runs_evenly_from_first_to_last() -> None:
    indices = pictures.spread(4000)
    assert len(indices) == 18 and indices[0] == 0 and indices[-1] == 3999
    assert set(np.diff(indices)) <= {235, 236}


@pytest.mark.parametrize(("count", "rows"), [(0, 1), (3, 1), (6, 1), (7, 2), (18, 3)])
def test_sheet_is_an_even_grid_on_white(count: int, rows: int) -> None:
    thumbnails = [np.full((THUMBNAIL, THUMBNAIL, 3), 10 * i, np.uint8) for i in range(count)]
    canvas = pictures.sheet(thumbnails, [f"{i}.jpg" for i in range(count)])
    assert canvas.shape[1] == GAP + 6 * CELL
    pitch = (canvas.shape[0] - GAP) // rows
    for i in range(count):
        top, left = GAP + i // 6 * pitch, GAP + i % 6 * CELL
        assert (canvas[top : top + THUMBNAIL, left : left + THUMBNAIL] == 10 * i).all()
        caption = canvas[top + THUMBNAIL : top + pitch - GAP, left : left + THUMBNAIL]
        assert caption.min() < 100 and (caption == 255).mean() > 0.8
        assert (canvas[top : top + THUMBNAIL, left - GAP : left] == 255).all()


def test_oblong_pictures_keep_their_proportions() -> None:
    assert pictures.thumbnail(np.zeros((100, 50), np.uint8)).shape == (176, 88, 3)
    canvas = pictures.sheet([pictures.thumbnail(np.zeros((100, 50), np.uint8))], ["x"])
    columns = np.nonzero((canvas[GAP + 88] == 0).all(axis=1))[0]
    assert (columns[0], columns[-1]) == (GAP + 44, GAP + 131)


def test_overlay_outlines_each_structure_in_its_colour() -> None:
    labels = np.zeros((352, 352), np.uint8)
    labels[40:80, 100:300], labels[200:280, 100:300], labels[300:340, 100:300] = 1, 2, 3
    canvas = pictures.overlay(np.full((352, 352), 90, np.uint8), labels).astype(int)
    for label, rows in ((1, (20, 39)), (2, (100, 139)), (3, (150, 169))):
        for row in rows:  # of the thumbnail, half the size
            line = canvas[row - 1 : row + 2, 60:140]
            assert (np.abs(line - STRUCTURE_COLOURS[label - 1]).sum(2).min(0) < 140).all()
        assert (canvas[sum(rows) // 2, 60:140] == 90).all()
    assert (canvas[75:95] == 90).all()


def test_a_chart_draws_bars_to_scale() -> None:
    canvas = pictures.charts([Chart("t", ["a", "b"], [""], [[10, 5]])], columns=1)
    tall, short = ((canvas == pictures.BLUE).all(2)[:, half].any(1).sum()
                   for half in (slice(0, 280), slice(280, None)))  # fmt: skip
    assert tall == pytest.approx(2 * short, abs=2)


def bar_heights(canvas: Picture, colour: tuple[int, int, int]) -> list[int]:
    """The heights of the bars of a colour, from left to right, in pixels."""
    heights = (canvas == colour).all(2).sum(0)
    edges = np.nonzero(np.diff(heights > 20, prepend=False, append=False))[0]
    return [int(heights[a:b].max()) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def test_charts_of_nothing_have_no_bars() -> None:
    canvas = pictures.charts([Chart("t", ["a"], ["x", "y"], [[0], [0]])] * 3)
    assert bar_heights(canvas, pictures.BLUE) == []


def test_statistics_show_pairs_patients_ef_and_quality_of_each_subset() -> None:
    facts = {"a": ("40", "Good"), "b": ("50", "Good"), "c": ("60", "Poor"), "d": ("", "")}

    def pairs(*patients: str) -> list[Pair]:
        return [
            Pair("", "", patient, {"ef": facts[patient][0], "image_quality": facts[patient][1]})
            for patient in patients
            for _ in range(4)
        ]

    canvas = pictures.statistics(
        {"train": pairs("a", "b"), "valid": pairs("c"), "test": pairs("d")}
    )
    height, width = (side // 2 for side in canvas.shape[:2])
    counts, patients = canvas[:height, :width], canvas[:height, width:]
    for panel in (counts, patients):  # 8, 4, 4 pairs; 2, 1, 1 patients
        train, valid, test = bar_heights(panel, pictures.BLUE)
        assert train == pytest.approx(2 * valid, abs=3) and valid == test
    ef, quality = canvas[height:, :width], canvas[height:, width:]
    low, middle, high = (
        bar_heights(ef[80:], colour) for colour in (pictures.BLUE, pictures.ORANGE, pictures.GREEN)
    )
    assert len(low) == len(middle) == len(high) == 1  # 50 % and 50 % of train, all of valid
    assert low == middle and high[0] == pytest.approx(2 * low[0], abs=3)
    good, poor = (bar_heights(quality[80:], c) for c in (pictures.BLUE, pictures.GREEN))
    assert good == poor == high  # all of train, all of valid


@pytest.mark.parametrize("masks", ["gray", "binary", "index"])
@pytest.mark.parametrize("told", [False, True])
def test_levels_are_told_or_seen(masks: str, told: bool) -> None:
    mask = np.array([LEVELS[masks]], np.uint8)
    description = {"settings": {"masks": masks}} if told else {}
    assert pictures.levels_of([mask], description) == LEVELS[masks]


@pytest.mark.parametrize("masks", ["gray", "binary", "index"])
def test_train_sheets_show_every_kind_of_mask(tmp_path: Path, masks: str) -> None:
    name = "patient0001_2CH_ED.png"
    mask: Picture = np.zeros((64, 64), np.uint8)
    mask[20:40, 20:40] = LEVELS[masks][1]
    for folder, picture in (("images", np.full((64, 64), 50, np.uint8)), ("masks", mask)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    pair = Pair(f"images/{name}", f"masks/{name}", "patient0001", {})
    sheets = pictures.train_sheets(tmp_path, [pair], {"settings": {"masks": masks}})
    shown = sheets["train_masks_samples.png"][GAP + 94, GAP + 94]
    assert shown.tolist() == [255 if masks == "binary" else 85] * 3
    legend = (sheets["train_overlays_samples.png"] == STRUCTURE_COLOURS[1]).all(2).any()
    assert legend != (masks == "binary")  # which has but one kind
