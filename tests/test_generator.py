"""The generator as a user meets it: a command line in; pixels, cells and lines out."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from . import build
from .build import DATABASE, IMAGE, INFO, MASK, MASTER, NAME, nifti, picture, rows
from .conftest import Run, refusal, says

SEQUENCE = "patient0001_4CH_half_sequence"
POOR, UNKNOWN, MOVING = "patient0002_2CH_ES", "patient0003_4CH_ED", "patient0003_4CH_half_sequence"
FACTS = ("sex", "age", "image_quality", "ef", "frame_rate")
# 16 pixels a side hold the tiny frames as they are, three black rows above and below
EXACT = ("--size", 16, "--format", "png")


def on_square(frame: Any) -> Any:
    return np.pad(frame, [(3, 3), (0, 0)])


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii"])
def test_a_pair_comes_out_pixel_for_pixel(generate: Run, suffix: str) -> None:
    build.write(DATABASE / f"patient0001/{NAME}{suffix}", nifti(IMAGE))
    build.write(DATABASE / f"patient0001/{NAME}_gt{suffix}", nifti(MASK))
    code, out, err = generate(DATABASE, MASTER, *EXACT)
    assert (code, err) == (0, "")
    assert says(out, f"{DATABASE}: 1 patient; {MASTER}: 1 pair; 0 problems")
    assert np.array_equal(picture(MASTER / f"images/{NAME}.png"), on_square(IMAGE))
    assert np.array_equal(picture(MASTER / f"masks/{NAME}.png"), on_square(MASK * 85))


@pytest.mark.parametrize(
    ("options", "pairs", "facts"),
    [
        ("", f"{NAME} {POOR} {UNKNOWN}", "3 pairs; 497 of 500; 1,997 of 2,000; 0001_2CH_ES"),
        ("--image-quality good Medium", NAME, "1 pair; 2 views left out; --image-quality"),
        ("--frames sequence", f"{MOVING}_frame01 {MOVING}_frame02", "2 pairs; 999 of 1,000; half"),
        ("--views 4ch --mirror", f"mirrored_{UNKNOWN} {UNKNOWN}", "2 pairs; 499 of 500; 999 of"),
    ],
)
def test_which_pairs_are_made(generate: Run, options: str, pairs: str, facts: str) -> None:
    build.write_info(build.write_pair(DATABASE), ImageQuality="Good")
    build.write_info(build.write_pair(DATABASE, POOR), ImageQuality="poor")
    build.write_pair(DATABASE, UNKNOWN)
    build.write_pair(DATABASE, MOVING, [IMAGE] * 2, [MASK] * 2)
    code, out, err = generate(DATABASE, MASTER, *options.split())
    assert (code, err) == (0, "") and says(out, facts)
    images, masks = ([f"{kind}/{p}.jpg" for p in pairs.split()] for kind in ("images", "masks"))
    assert set(build.tree(MASTER)) == {"dataset.json", "metadata.csv", *images, *masks}
    assert [row["file_name"] for row in rows(MASTER)] == images


@pytest.mark.parametrize(
    ("options", "levels"),
    [
        ("", [0, 85, 170, 255]),
        ("--format png", [0, 85, 170, 255]),
        ("--fit stretch", [0, 85, 170, 255]),
        ("--masks binary", [0, 255, 255, 255]),
        ("--masks index --structures la", [0, 0, 0, 3]),
        ("--structures la LV", [0, 85, 0, 255]),
        ("--structures myo --masks binary", [0, 0, 255, 0]),
    ],
)
def test_what_a_pair_shows(generate: Run, options: str, levels: list[int]) -> None:
    build.write_pair(DATABASE)
    assert generate(DATABASE, MASTER, "--size", 256, *options.split())[0] == 0
    image, mask = (picture(next((MASTER / kind).iterdir())) for kind in ("images", "masks"))
    top, height = (0, 256) if "stretch" in options else (48, 160)
    y = (top + (np.arange(10) + 0.5) * height / 10).astype(int)  # the middles of the 10 x 16 pixels
    middles = np.ix_(y, np.arange(8, 256, 16))
    jpg_noise = 0 if "png" in options or "index" in options else 20
    assert np.abs(image[middles].astype(int) - IMAGE).max() <= 4
    assert np.abs(mask[middles].astype(int) - np.array(levels)[MASK]).max() <= jpg_noise


def test_mirrored_pairs(generate: Run) -> None:
    build.write_pair(DATABASE, image=IMAGE[:, :7], mask=MASK[:, :7])
    assert generate(DATABASE, MASTER, *EXACT, "--mirror")[0] == 0
    for kind in ("images", "masks"):
        mirrored, plain = (picture(MASTER / kind / f"{m}{NAME}.png") for m in ("mirrored_", ""))
        assert plain.any() and np.array_equal(mirrored, plain[:, ::-1])
    places = [[row[name] for name in ("mirrored", "left", "width")] for row in rows(MASTER)]
    assert places == [["1", "3", "11"], ["0", "2", "11"]]  # of 16 columns: 2 + 11 + 3


def test_metadata(generate: Run) -> None:
    folder = build.write_pair(DATABASE, spacing=(2, 4))
    build.write_info(folder, ED=1, ES=18, NbFrame=18, **INFO)
    build.write_pair(DATABASE, "patient0001_4CH_ES")
    folder = build.write_pair(DATABASE, "patient Å_4CH_ES")
    build.write_info(folder, "4CH", LVef="50.5", Sex="f")  # as the older release calls the EF
    code, _, err = generate(DATABASE, MASTER, "--size", 64)
    assert (code, err) == (0, "")
    older, first, without = rows(MASTER)
    assert first == {
        "file_name": f"images/{NAME}.jpg", "mask_file_name": f"masks/{NAME}.jpg",
        "patient": "patient0001", "view": "2CH", "instant": "ED", "frame": "", "mirrored": "0",
        "sex": "F", "age": "56.0", "image_quality": "Good", "ef": "54.0", "frame_rate": "48.4",
        "source_width": "16", "source_height": "10",
        "source_spacing_x": "2.0", "source_spacing_y": "4.0",
        "left": "6", "top": "0", "width": "51", "height": "64",
        "spacing_x": "0.627451", "spacing_y": "0.625",
    }  # fmt: skip
    assert [without[name] for name in FACTS] == ["unknown", "", "unknown", "", ""]
    assert [older[name] for name in ("patient", "sex", "ef")] == ["patient Å", "F", "50.5"]


@pytest.mark.parametrize("line", ["EF: 55,3", "EF: nan", "Sex: 3", "ImageQuality: Good?", "ED: x"])
def test_odd_info_values_count_as_missing_and_are_said_once(generate: Run, line: str) -> None:
    for name in (NAME, "patient0001_2CH_ES"):
        build.write_pair(DATABASE, name)
    (DATABASE / "patient0001/Info_2CH.cfg").write_text(line)
    code, _, err = generate(DATABASE, MASTER, *EXACT)
    assert (code, err.count("\n")) == (0, 1)
    assert says(err, f"1 line not understood; patient0001/Info_2CH.cfg: {line}")
    assert {rows(MASTER)[0][name] for name in FACTS} == {"", "unknown"}


@pytest.mark.parametrize("place", ["", "database_nifti"])
def test_phantoms_are_called_phantoms(generate: Run, split: Run, place: str) -> None:
    build.write_pair(Path("data") / place)
    Path("data/dataset.json").write_text('{"phantom": true, "patients": 1}')
    code, out, _ = generate("data", MASTER)
    assert code == 0 and says(out, "1 phantom patient; 1 phantom pair")
    description = json.loads((MASTER / "dataset.json").read_text())
    assert description["phantom"] is True and "phantom" in description["source"]
    assert "1 phantom pair" in split(MASTER, "dataset")[1]


def test_dataset_json(generate: Run) -> None:
    build.write_pair(DATABASE)
    generate(DATABASE, MASTER, "--structures", "MYO", "lv")
    description = json.loads((MASTER / "dataset.json").read_text(encoding="utf-8"))
    assert description["labels"] == [
        {"label": 0, "name": "background", "gray_level": 0},
        {"label": 1, "name": "left-ventricle cavity", "gray_level": 85},
        {"label": 2, "name": "left-ventricle myocardium", "gray_level": 170},
    ]
    assert description["settings"]["structures"] == ["lv", "myo"]
    assert description["phantom"] is False and "CAMUS" in description["source"]
    assert says(str(description), "CC BY-NC-SA 4.0; Leclerc; 10.1109/TMI.2019.2900516")


def test_another_orientation_is_said_in_one_line(generate: Run) -> None:
    build.write_pair(DATABASE)
    for patient in (2, 3):  # re-saved in RAS orientation: the heart is upside down
        name = f"patient000{patient}_2CH_ED"
        build.write_pair(DATABASE, name, IMAGE[::-1], MASK[::-1], affine=np.diag([5, 5, 1, 1]))
    code, _, err = generate(DATABASE, MASTER)
    assert (code, len(rows(MASTER)), err.count("\n")) == (0, 3, 1)
    assert says(err, "2 images; LP; patient0002_2CH_ED; RA; apex")


@pytest.mark.parametrize(
    ("info", "instants"),
    [
        ({"ED": 1, "ES": 3, "NbFrame": 3}, ["ED", "between", "ES"]),
        ({"ED": 3, "ES": 1}, ["ES", "between", "ED"]),  # the sequence runs backwards
        ({"ED": 1, "ES": 2}, ["ED", "ES", "unknown"]),
        ({}, ["unknown"] * 3),
    ],
)
def test_half_sequence(generate: Run, info: dict[str, int], instants: list[str]) -> None:
    images = [IMAGE, IMAGE + 50, IMAGE + 90]
    masks = [MASK, MASK[::-1], MASK[:, ::-1]]
    folder = build.write_pair(DATABASE, SEQUENCE, images, masks)
    if info:
        build.write_info(folder, "4CH", **info)
    code, _, err = generate(DATABASE, MASTER, *EXACT, "--frames", "sequence")
    assert (code, err) == (0, "")
    for number in (1, 2, 3):
        name = f"{SEQUENCE}_frame0{number}.png"
        assert np.array_equal(picture(MASTER / "images" / name), on_square(images[number - 1]))
        assert np.array_equal(picture(MASTER / "masks" / name), on_square(masks[number - 1] * 85))
    assert [row["instant"] for row in rows(MASTER)] == instants
    assert [row["frame"] for row in rows(MASTER)] == ["1", "2", "3"]


KEY, KEY_MASK = f"{NAME}.nii.gz", f"{NAME}_gt.nii.gz"


@pytest.mark.parametrize(
    ("frames", "file", "data", "facts"),
    [
        ("key", KEY, None, f"image; missing; {KEY_MASK}"),
        ("key", KEY_MASK, None, f"mask; missing; {KEY}"),
        ("key", f"{NAME}.nii", b"", f"twice; {NAME}.nii; {KEY}; delete"),
        ("key", KEY, b"not a picture", f"{KEY}; NIfTI; not a picture"),
        ("key", KEY, gzip.compress(nifti(IMAGE))[:-20], f"{KEY}; cut short"),
        ("key", KEY, nifti(IMAGE + 200.0), f"{KEY}; intensities; 200; 359"),
        ("key", KEY, nifti(IMAGE, spacing=(1, 1)), f"{KEY}; 16 x 10 mm; pixel size"),
        ("key", KEY, nifti([IMAGE] * 3), "3 frames"),
        ("key", KEY_MASK, nifti(MASK + 1), f"{KEY_MASK}; labels; 1; 4"),
        ("key", KEY_MASK, nifti(MASK, spacing=(4, 4)), "4 x 4 mm; mask; 5 x 5 mm; image"),
        ("key", KEY_MASK, nifti(MASK, affine=np.diag([5, 5, 1, 1])), "orientation; RA; LP"),
        ("sequence", f"{SEQUENCE}_gt.nii.gz", nifti([MASK, MASK, MASK + 1]), "labels; 1; 4"),
        ("sequence", "Info_4CH.cfg", b"NbFrame: 5", "3 frames; NbFrame: 5"),
        ("sequence", "Info_4CH.cfg", b"ED: 1\nES: 4", "3 frames; ES: 4"),
        ("sequence", "Info_4CH.cfg", b"ED: 0\nES: 3", "3 frames; ED: 0"),
        ("sequence", "Info_4CH.cfg", b"ED: 2\nES: 2", "ED: 2, ES: 2"),
    ],
)
def test_bad_pairs_are_named(generate: Run, frames: str, file: str, data: Any, facts: str) -> None:
    for patient in ("patient0001", "patient0002"):
        build.write_pair(DATABASE, f"{patient}_2CH_ED")
        build.write_pair(DATABASE, f"{patient}_4CH_half_sequence", [IMAGE] * 3, [MASK] * 3)
    path = DATABASE / "patient0001" / file
    path.unlink() if data is None else path.write_bytes(data)
    code, out, err = generate(DATABASE, MASTER, "--frames", frames)
    assert code == 1 and err.count("\n") == 1
    assert says(out, "1 problem; 499 of 500")  # patients are missing
    assert err.startswith(f"{NAME if frames == 'key' else SEQUENCE}: ") and says(err, facts)
    assert {row["patient"] for row in rows(MASTER)} == {"patient0002"}
    assert not list(MASTER.glob("*/patient0001*"))


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (("--structures", "lv", "Rv"), "'Rv'; lv; myo; la; --help"),
        (("--views", "3ch"), "'3ch'; 2CH; 4CH; --help"),
        (("--jpg-quality", "0"), "'0'; 1 to 100; --help"),
        (("--size", "big"), "'big'; whole number; --help"),
        (("--no-such-option",), "--no-such-option; --help"),
        (("--frames", "sequence"), "no; sequence; --frames key"),
        (("--views", "4CH"), "no; 4CH; --frames sequence"),
        (("--image-quality", "Poor"), "Poor; --image-quality"),
        (("--size", "350", "--jpg-quality", "3"), "quality 3; --format png; --masks index"),
        ((DATABASE / "CAMUS-master",), f"CAMUS-master; database; {DATABASE}"),
    ],
)
def test_refusals_take_one_line(generate: Run, arguments: Any, facts: str) -> None:
    build.write_pair(DATABASE)
    before = build.tree(Path())
    assert says(refusal(generate(DATABASE, *arguments)), facts)
    assert build.tree(Path()) == before


def test_only_an_earlier_master_is_replaced(generate: Run) -> None:
    build.write_pair(DATABASE)
    generate(DATABASE, MASTER)
    before = build.tree(MASTER)
    assert says(refusal(generate(DATABASE, MASTER, "--size", 64)), f"{MASTER}; --overwrite")
    for name in ("images/holiday.jpg", f"masks/{NAME}.png"):
        foreign = build.write(MASTER / name, b"mine")
        assert says(refusal(generate(DATABASE, MASTER, "--overwrite")), f"{MASTER}; {name}")
        assert build.tree(MASTER) == {**before, name: b"mine"}
        foreign.unlink()
    assert generate(DATABASE, MASTER, "--masks", "index", "--overwrite")[0] == 0
    assert {*build.tree(MASTER)} == {*before} - {f"masks/{NAME}.jpg"} | {f"masks/{NAME}.png"}


def test_output_depends_on_input_and_options_alone(generate: Run) -> None:
    for number in range(5):
        build.write_pair(DATABASE, f"patient000{number}_2CH_ED")
    generate(DATABASE, "one", "--jobs", 1)
    generate(DATABASE, "elsewhere/other", "--jobs", 4)
    assert build.tree(Path("one")) == build.tree(Path("elsewhere/other"))
