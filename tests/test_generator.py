"""The generator as a user meets it: command line in, files and lines out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import CAMUSImageMaskDatasetGenerator as script

from . import build
from .build import IMAGE, MASK, picture, rows
from .conftest import Run

# 16 pixels a side hold the tiny frames as they are, three black rows above and below
EXACT = ("--size", 16, "--format", "png")
NAME = "patient0001_2CH_ED"
SEQUENCE = "patient0001_4CH_half_sequence"


def test_a_pair_comes_out_pixel_for_pixel(generate: Run, database: Path, master: Path) -> None:
    build.write_pair(database)
    code, out, err = generate(database, master, *EXACT)
    assert (code, err) == (0, "")
    assert f"{master}: 1 pair written, 0 failed" in out
    image, mask = (picture(master / kind / f"{NAME}.png") for kind in ("images", "masks"))
    assert np.array_equal(image[3:13], IMAGE)
    assert np.array_equal(mask[3:13], MASK * 85)
    assert not image[:3].any() and not image[13:].any() and not mask[:3].any()


def test_the_files_of_a_master(generate: Run, database: Path, master: Path) -> None:
    for name in (NAME, "patient0001_4CH_ES", "patient0010_2CH_ED", "patient0002_2CH_ED"):
        build.write_pair(database, name)
    build.write_pair(database, "patient0002_2CH_half_sequence", [IMAGE] * 2, [MASK] * 2)
    code, out, _ = generate(database, master)
    assert code == 0 and "4 pairs written" in out
    assert (
        "3 patients with 4 of 12 pairs; the whole release has 500 patients and 2,000 pairs" in out
    )
    assert "1 half sequence not asked for" in out
    stems = [NAME, "patient0001_4CH_ES", "patient0002_2CH_ED", "patient0010_2CH_ED"]
    expected = {f"{kind}/{stem}.jpg" for kind in ("images", "masks") for stem in stems}
    assert set(build.tree(master)) == expected | {"metadata.csv", "dataset.json"}
    assert [row["file_name"] for row in rows(master)] == [f"images/{stem}.jpg" for stem in stems]
    assert picture(master / f"images/{NAME}.jpg").shape == (512, 512)


@pytest.mark.parametrize(
    ("options", "suffix", "levels"),
    [
        (("--masks", "gray"), "jpg", [0, 85, 170, 255]),
        (("--masks", "binary"), "jpg", [0, 255, 255, 255]),
        (("--masks", "index"), "png", [0, 1, 2, 3]),
        (("--masks", "gray", "--format", "png"), "png", [0, 85, 170, 255]),
        (("--structures", "la", "1"), "jpg", [0, 85, 0, 255]),
        (("--structures", "LV,myo"), "jpg", [0, 85, 170, 0]),
        (("--structures", "myo", "--masks", "binary"), "jpg", [0, 0, 255, 0]),
        (("--fit", "stretch"), "jpg", [0, 85, 170, 255]),
    ],
)
def test_mask_options(
    generate: Run, database: Path, master: Path, options: Any, suffix: str, levels: list[int]
) -> None:
    build.write_pair(database)
    assert generate(database, master, "--size", 256, *options)[0] == 0
    mask = picture(master / f"masks/{NAME}.{suffix}").astype(int)
    block = 16 if "stretch" not in options else (256 / 10)
    top = 48 if "stretch" not in options else 0
    for y in range(10):
        for x in range(16):
            value = mask[int(top + (y + 0.5) * block), int((x + 0.5) * 16)]
            assert abs(value - levels[MASK[y, x]]) <= (0 if suffix == "png" else 20)
    sample = picture(next((master / "images").iterdir()))
    assert sample.shape == (256, 256)


def test_quality_changes_the_file_and_too_low_a_one_is_refused(
    generate: Run, database: Path, tmp_path: Path
) -> None:
    build.write_pair(database)
    sizes = []
    for quality in (85, 100):
        assert generate(database, tmp_path / str(quality), "--quality", quality)[0] == 0
        sizes.append((tmp_path / str(quality) / f"images/{NAME}.jpg").stat().st_size)
    assert sizes[0] < sizes[1]
    code, _, err = generate(database, tmp_path / "low", "--quality", 3, "--size", 350)
    assert code == 1
    assert err.startswith(f"{NAME}: the mask does not survive JPG at quality 3")
    assert not (tmp_path / "low").exists()


def test_a_setting_that_no_mask_survives_takes_one_line(
    generate: Run, database: Path, master: Path
) -> None:
    for patient in range(1, 6):
        build.write_pair(database, f"patient000{patient}_2CH_ED")
    assert generate(database, master, "--size", 350)[0] == 0
    before = build.tree(master)
    options = ("--size", 350, "--quality", 3, "--overwrite")
    code, out, err = generate(database, master, *options)
    assert code == 1 and err.startswith("all 5: the mask does not survive JPG at quality 3")
    assert err.count("\n") == 1 and "0 pairs, so nothing was written, 5 failed" in out
    assert build.tree(master) == before


def test_mirror(generate: Run, database: Path, master: Path) -> None:
    build.write_pair(database, image=IMAGE[:, :7], mask=MASK[:, :7])
    code, out, _ = generate(database, master, *EXACT, "--mirror")
    assert code == 0 and "2 pairs written" in out
    for kind in ("images", "masks"):
        plain, mirrored = (picture(master / kind / f"{m}{NAME}.png") for m in ("", "mirrored_"))
        assert np.array_equal(mirrored, plain[:, ::-1])
    mirrored_row, row = rows(master)
    assert mirrored_row["file_name"] == f"images/mirrored_{NAME}.png"
    assert (mirrored_row["mirrored"], row["mirrored"]) == ("1", "0")
    for line in (row, mirrored_row):
        columns = np.nonzero(picture(master / line["file_name"]).any(axis=0))[0]
        assert columns[0] == int(line["left"])
        assert columns[-1] == int(line["left"]) + int(line["width"]) - 1


def test_metadata_from_info_files(generate: Run, database: Path, master: Path) -> None:
    folder = build.write_pair(database, spacing=(0.2, 0.4))
    build.write_pair(database, "patient0001_4CH_ES")
    facts = {"Sex": "F", "Age": 56, "ImageQuality": "Good", "EF": 54, "FrameRate": 48.4}
    build.write_info(folder, ED=1, ES=18, NbFrame=18, **facts)
    assert generate(database, master, "--size", 64)[0] == 0
    with_info, without = rows(master)
    assert with_info == {
        "file_name": f"images/{NAME}.jpg",
        "mask_file_name": f"masks/{NAME}.jpg",
        "patient": "patient0001",
        "view": "2CH",
        "instant": "ED",
        "frame": "",
        "mirrored": "0",
        "sex": "F",
        "age": "56.0",
        "image_quality": "Good",
        "ef": "54.0",
        "frame_rate": "48.4",
        "source_width": "16",
        "source_height": "10",
        "source_spacing_x": "0.2",
        "source_spacing_y": "0.4",
        "left": "6",
        "top": "0",
        "width": "51",
        "height": "64",
        "spacing_x": "0.0627451",
        "spacing_y": "0.0625",
    }
    assert without["instant"] == "ES"
    assert [without[name] for name in facts_of(without)] == ["unknown", "", "unknown", "", ""]


def facts_of(row: dict[str, str]) -> dict[str, str]:
    return {name: row[name] for name in ("sex", "age", "image_quality", "ef", "frame_rate")}


@pytest.mark.parametrize(
    ("key", "value", "column", "expected"),
    [
        ("EF", "50.5", "ef", "50.5"),
        ("LVef", "62", "ef", "62.0"),  # as the older release calls it
        ("Sex", "f", "sex", "F"),
    ],
)
def test_info_values_are_understood(
    generate: Run, database: Path, master: Path, key: str, value: str, column: str, expected: str
) -> None:
    build.write_info(build.write_pair(database), **{key: value})
    code, _, err = generate(database, master, *EXACT)
    assert (code, err) == (0, "") and rows(master)[0][column] == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("EF", "55,3"), ("EF", "55 %"), ("EF", "nan"), ("EF", "540"), ("EF", "-5"),
        ("Age", "x" * 2**20), ("Age", "\u0665\u0665"), ("FrameRate", "0"), ("Sex", "3"),
        ("ImageQuality", "Superb"), ("ED", "first"),
    ],
)  # fmt: skip
def test_odd_info_values_are_left_out_and_said_once(
    generate: Run, database: Path, master: Path, key: str, value: str
) -> None:
    for name in (NAME, "patient0001_2CH_ES"):
        build.write_info(build.write_pair(database, name), **{key: value})
    code, _, err = generate(database, master, *EXACT)
    assert code == 0 and err.count("\n") == 1
    assert "1 value of Info files is not plausible and was left empty; the first: " in err
    assert f"patient0001/Info_2CH.cfg: {key}: " in err and len(err) < 300
    assert set(facts_of(rows(master)[0]).values()) == {"", "unknown"}


def test_dataset_json(generate: Run, database: Path, master: Path) -> None:
    build.write_pair(database)
    generate(database, master, "--structures", "2", "lv", "--jobs", 1)
    description = json.loads((master / "dataset.json").read_text(encoding="utf-8"))
    assert [(label["label"], label["gray_level"]) for label in description["labels"]] == [
        (0, 0), (1, 85), (2, 170),
    ]  # fmt: skip
    assert "myocardium" in description["labels"][2]["name"]
    assert description["settings"]["structures"] == ["lv", "myo"]
    assert "jobs" not in description["settings"] and description["phantom"] is False
    assert "CC BY-NC-SA 4.0" in description["licence"]
    assert "10.1109/TMI.2019.2900516" in description["citation"]


@pytest.mark.parametrize(
    ("info", "instants"),
    [
        ({"ED": 1, "ES": 3, "NbFrame": 3}, ["ED", "between", "ES"]),
        ({"ED": 3, "ES": 1}, ["ES", "between", "ED"]),  # the sequence runs backwards
        ({}, ["unknown"] * 3),
    ],
)
def test_half_sequence(
    generate: Run, database: Path, master: Path, info: dict[str, int], instants: list[str]
) -> None:
    images = np.stack([IMAGE, IMAGE + 50, IMAGE + 90])
    masks = np.stack([MASK, MASK[::-1], MASK[:, ::-1]])
    folder = build.write_pair(database, SEQUENCE, images, masks)
    build.write_pair(database)
    build.write_info(folder, "4CH", **info)
    code, out, err = generate(database, master, *EXACT, "--frames", "sequence")
    assert (code, err) == (0, "") and "3 pairs written" in out
    assert "1 patient with 1 of 2 half sequences" in out
    for number in range(3):
        name = f"{SEQUENCE}_frame0{number + 1}.png"
        assert np.array_equal(picture(master / "images" / name)[3:13], images[number])
        assert np.array_equal(picture(master / "masks" / name)[3:13], masks[number] * 85)
    assert [row["instant"] for row in rows(master)] == instants
    assert [row["frame"] for row in rows(master)] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("info", "frames", "reason"),
    [
        ({"NbFrame": 5}, 3, "has 3 frames, Info_4CH.cfg says NbFrame: 5"),
        ({"ED": 1, "ES": 4}, 3, "has 3 frames, Info_4CH.cfg says ES: 4"),
        ({"ED": 0, "ES": 3}, 3, "has 3 frames, Info_4CH.cfg says ED: 0"),
        ({"ED": 2, "ES": 2}, 3, "Info_4CH.cfg says that ED and ES are one frame, 2"),
        ({}, 1, "has 1 frame, a half sequence runs from ED to ES"),
    ],
)
def test_frames_that_contradict_the_info_file(
    generate: Run, database: Path, master: Path, info: dict[str, int], frames: int, reason: str
) -> None:
    folder = build.write_pair(database, SEQUENCE, [IMAGE] * frames, [MASK] * frames)
    build.write_info(folder, "4CH", **info)
    code, _, err = generate(database, master, "--frames", "sequence")
    assert (code, err) == (1, f"{SEQUENCE}: {SEQUENCE}.nii.gz: {reason}\n")
    assert not master.exists()


def test_a_key_frame_has_one_frame(generate: Run, database: Path, master: Path) -> None:
    build.write_pair(database, image=[IMAGE] * 3, mask=[MASK] * 3)
    code, _, err = generate(database, master)
    assert code == 1 and err == f"{NAME}: {NAME}.nii.gz: has 3 frames, a key frame has one\n"


@pytest.mark.parametrize("last", [0 * MASK, MASK + 1])
def test_a_sequence_is_written_whole_or_not_at_all(
    generate: Run, database: Path, master: Path, last: Any
) -> None:
    build.write_pair(database, SEQUENCE, [IMAGE] * 3, [MASK, MASK, last])
    build.write_pair(database, SEQUENCE.replace("4CH", "2CH"), [IMAGE] * 2, [MASK] * 2)
    code, out, err = generate(database, master, "--frames", "sequence")
    assert code == 1 and err.startswith(f"{SEQUENCE}: {SEQUENCE}_gt.nii.gz: ")
    assert "2 pairs written, 1 failed" in out
    assert not list((master / "images").glob(f"{SEQUENCE}*"))


def test_views(generate: Run, database: Path, master: Path) -> None:
    for view in ("2CH", "4CH"):
        build.write_pair(database, f"patient0001_{view}_ED")
    code, out, _ = generate(database, master, "--views", "4ch")
    assert code == 0 and "1 patient with 1 of 2 pairs" in out
    assert [row["view"] for row in rows(master)] == ["4CH"]
    assert generate(database, master, "--views", "2CH", "4CH", "--overwrite")[0] == 0
    assert [row["view"] for row in rows(master)] == ["2CH", "4CH"]


def broken(kind: str, folder: Path) -> None:
    """Spoil the pair NAME in a folder in one way."""
    image, mask = folder / f"{NAME}.nii.gz", folder / f"{NAME}_gt.nii.gz"
    match kind:
        case "no mask":
            mask.unlink()
        case "no image":
            image.unlink()
        case "sizes":
            build.write(mask, build.nifti(MASK[:-1]))
        case "spacings":
            build.write(mask, build.nifti(MASK, spacing=(0.3, 0.5)))
        case "label":
            build.write(mask, build.nifti(MASK + 1))
        case "fraction":
            build.write(mask, build.nifti(MASK / 2))
        case "bright":
            build.write(image, build.nifti(IMAGE.astype(float) + 200))
        case "nan":
            build.write(image, build.nifti(np.where(IMAGE == 9, np.nan, IMAGE)))
        case "cut":
            image.write_bytes(image.read_bytes()[:-20])
        case "flipped":
            data = bytearray(mask.read_bytes())
            data[len(data) // 2] ^= 4
            mask.write_bytes(data)
        case "text":
            image.write_bytes(b"not a picture at all")
        case "turned":
            build.write(mask, build.nifti(MASK, srow_x=[0.308, 0, 0, 0]))
        case "tiny values":
            build.write(image, build.nifti(IMAGE / 255))
        case "empty mask":
            build.write(mask, build.nifti(MASK * 0))
        case "colours":
            build.write(image, build.nifti(np.stack([IMAGE] * 3)[:, None, None]))
        case "fifo":
            mask.unlink()
            os.mkfifo(mask)
        case "link":
            mask.unlink()
            mask.symlink_to(".git/annex/objects/gone")
        case "twice":
            build.write(folder / f"{NAME}.nii", build.nifti(IMAGE))
        case "folder":
            image.unlink()
            image.mkdir()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("no mask", "its mask is missing, there is only the image patient0001_2CH_ED.nii.gz"),
        ("no image", "its image is missing, there is only the mask patient0001_2CH_ED_gt.nii.gz"),
        ("sizes", "patient0001_2CH_ED_gt.nii.gz: has 16 x 9 pixels, its image 16 x 10"),
        (
            "spacings",
            "patient0001_2CH_ED_gt.nii.gz: has pixels of 0.3 x 0.5 mm, its image 0.308 x 0.308",
        ),
        ("turned", "patient0001_2CH_ED_gt.nii.gz: lies in another orientation than its image"),
        ("label", "patient0001_2CH_ED_gt.nii.gz: labels run from 1 to 4, not within 0..3"),
        ("fraction", "patient0001_2CH_ED_gt.nii.gz: labels are not whole numbers"),
        ("empty mask", "patient0001_2CH_ED_gt.nii.gz: the mask is empty"),
        ("tiny values", "patient0001_2CH_ED.nii.gz: intensities run from 0 to 0.623529 only"),
        ("colours", "patient0001_2CH_ED.nii.gz: has the dimensions 16 x 10 x 1 x 1 x 3"),
        ("fifo", "patient0001_2CH_ED_gt.nii.gz: is not a file"),
        ("link", "patient0001_2CH_ED_gt.nii.gz: is a broken link"),
        (
            "bright",
            "patient0001_2CH_ED.nii.gz: intensities run from 200 to 359, not within 0..255",
        ),
        ("nan", "patient0001_2CH_ED.nii.gz: values are not all finite"),
        ("cut", "patient0001_2CH_ED.nii.gz: gzip stream is cut short"),
        ("flipped", "patient0001_2CH_ED_gt.nii.gz: corrupt gzip stream"),
        ("text", "patient0001_2CH_ED.nii.gz: is not a NIfTI file"),
        ("twice", "several files of one name: patient0001/patient0001_2CH_ED.nii"),
        ("folder", "patient0001_2CH_ED.nii.gz: is not a file"),
    ],
)
def test_a_bad_pair_is_named_and_the_rest_is_done(
    generate: Run, database: Path, master: Path, kind: str, reason: str
) -> None:
    broken(kind, build.write_pair(database))
    build.write_pair(database, "patient0002_4CH_ES")
    code, out, err = generate(database, master)
    assert code == 1
    assert err.startswith(f"{NAME}: {reason}") and err.count("\n") == 1
    assert "1 pair written, 1 failed" in out
    written = set(build.tree(master)) - {"metadata.csv", "dataset.json"}
    assert written == {"images/patient0002_4CH_ES.jpg", "masks/patient0002_4CH_ES.jpg"}
    assert [row["patient"] for row in rows(master)] == ["patient0002"]


def test_litter_is_passed_over(generate: Run, database: Path, master: Path) -> None:
    folder = build.write_pair(database)
    for name in (".DS_Store", f"._{NAME}.nii.gz", "Thumbs.db", "notes.txt"):
        (folder / name).write_bytes(b"litter")
    for name in (".patient0003", "notes.txt", "patients.csv"):
        (database / name).write_bytes(b"litter")
    code, out, err = generate(database, master)
    assert (code, err) == (0, "") and "1 pair written" in out


def test_plain_nii_files(generate: Run, database: Path, master: Path) -> None:
    build.write_pair(database, suffix=".nii")
    assert generate(database, master, *EXACT)[0] == 0
    assert np.array_equal(picture(master / f"images/{NAME}.png")[3:13], IMAGE)


def test_output_depends_on_input_and_options_alone(
    generate: Run, database: Path, tmp_path: Path
) -> None:
    for number in range(5):
        build.write_pair(database, f"patient000{number}_2CH_ED")
    generate(database, tmp_path / "one", "--jobs", 1)
    generate(database, tmp_path / "elsewhere" / "other", "--jobs", 4)
    assert build.tree(tmp_path / "one") == build.tree(tmp_path / "elsewhere" / "other")


def test_a_second_run_names_both_ways_out(generate: Run, database: Path, master: Path) -> None:
    build.write_pair(database)
    generate(database, master)
    before = build.tree(master)
    code, out, err = generate(database, master, "--size", 64)
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert f"{master} is there already: replace it with --overwrite, or name another folder" in err
    assert build.tree(master) == before
    assert generate(database, master, "--masks", "index", "--overwrite")[0] == 0
    assert sorted(build.tree(master)) == [
        "dataset.json", f"images/{NAME}.jpg", f"masks/{NAME}.png", "metadata.csv",
    ]  # fmt: skip


@pytest.mark.parametrize("foreign", ["thesis.docx", "images/holiday.jpg"])
def test_overwrite_keeps_away_from_other_files(
    generate: Run, database: Path, master: Path, foreign: str
) -> None:
    build.write_pair(database)
    generate(database, master)
    (master / foreign).write_bytes(b"mine")
    before = build.tree(master)
    code, _, err = generate(database, master, "--overwrite")
    assert code == 2 and f"holds {foreign}, which" in err and err.count("\n") == 1
    assert build.tree(master) == before


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--masks", "colour"), "invalid choice"),
        (("--structures", "lv,rv"), "'rv' is not a structure: use lv, myo, la"),
        (("--views", "3CH"), "invalid choice"),
        (("--quality", "0"), "'0' must be a whole number from 1 to 100"),
        (("--size", "big"), "'big' must be a whole number"),
        (("--jobs", "0"), "must be a whole number"),
        (("--no-such-option",), "unrecognized"),
    ],
)
def test_wrong_use_takes_one_line(
    generate: Run, database: Path, arguments: Any, reason: str
) -> None:
    code, out, err = generate(database, *arguments)
    assert (code, out) == (2, "") and reason in err and "--help" in err and err.count("\n") == 1


def test_the_release_stays_as_it_is(generate: Run, database: Path) -> None:
    build.write_pair(database)
    before = build.tree(database)
    code, _, err = generate(database, database / "CAMUS-master")
    assert code == 2 and "is in the database" in err and build.tree(database) == before


def test_nothing_to_convert(generate: Run, database: Path, master: Path) -> None:
    build.write_pair(database)
    code, _, err = generate(database, master, "--frames", "sequence")
    assert code == 2 and "no sequence frames" in err and "try --frames key" in err
    assert not master.exists()


def test_help_tells_every_option(generate: Run) -> None:
    code, out, _ = generate("--help")
    assert code == 0 and "example:" in out
    for action in script.arguments()._actions:
        assert action.help and all(name in out for name in action.option_strings)
    assert "None" not in out and "False" not in out
