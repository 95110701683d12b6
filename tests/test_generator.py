"""The generator as a user meets it: command line in, files and lines out."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from . import build
from .build import DATABASE, IMAGE, INFO, MASK, MASTER, NAME, picture, rows
from .conftest import Run, refusal

# 16 pixels a side hold the tiny frames as they are, three black rows above and below
EXACT = ("--size", 16, "--format", "png")
SEQUENCE = "patient0001_4CH_half_sequence"
FACTS = ("sex", "age", "image_quality", "ef", "frame_rate")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii"])
def test_a_pair_comes_out_pixel_for_pixel(generate: Run, suffix: str) -> None:
    build.write_pair(DATABASE, suffix=suffix)
    code, out, err = generate(DATABASE, MASTER, *EXACT)
    assert (code, err) == (0, "")
    assert f"{MASTER}: 1 pair written, 0 problems" in out
    image, mask = (picture(MASTER / kind / f"{NAME}.png") for kind in ("images", "masks"))
    assert np.array_equal(image[3:13], IMAGE)
    assert np.array_equal(mask[3:13], MASK * 85)
    assert not image[:3].any() and not image[13:].any() and not mask[:3].any()


def test_the_files_of_a_master(generate: Run) -> None:
    for name in (NAME, "patient0001_4CH_ES", "patient0010_2CH_ED", "patient0002_2CH_ED"):
        build.write_pair(DATABASE, name)
    build.write_pair(DATABASE, "patient0002_2CH_half_sequence", [IMAGE] * 2, [MASK] * 2)
    code, out, _ = generate(DATABASE, MASTER)
    assert code == 0 and "4 pairs written" in out
    assert (
        "497 of 500 patients and 1,996 of 2,000 pairs are missing; the first is patient0001_2CH_E"
        in out
    )
    assert out.endswith(f"to look at: {MASTER / 'images' / NAME}.jpg\n")
    stems = [NAME, "patient0001_4CH_ES", "patient0002_2CH_ED", "patient0010_2CH_ED"]
    expected = {f"{kind}/{stem}.jpg" for kind in ("images", "masks") for stem in stems}
    assert set(build.tree(MASTER)) == expected | {"metadata.csv", "dataset.json"}
    assert [row["file_name"] for row in rows(MASTER)] == [f"images/{stem}.jpg" for stem in stems]
    assert picture(MASTER / f"images/{NAME}.jpg").shape == (512, 512)


@pytest.mark.parametrize(
    ("options", "levels"),
    [
        ((), [0, 85, 170, 255]),
        (("--format", "png"), [0, 85, 170, 255]),
        (("--masks", "binary"), [0, 255, 255, 255]),
        (("--masks", "index", "--structures", "la"), [0, 0, 0, 3]),
        (("--structures", "la", "LV"), [0, 85, 0, 255]),
        (("--structures", "myo", "--masks", "binary"), [0, 0, 255, 0]),
        (("--fit", "stretch"), [0, 85, 170, 255]),
    ],
)
def test_mask_options(generate: Run, options: Any, levels: list[int]) -> None:
    build.write_pair(DATABASE)
    assert generate(DATABASE, MASTER, "--size", 256, *options)[0] == 0
    (path,) = (MASTER / "masks").iterdir()
    suffix = "png" if "png" in options or "index" in options else "jpg"
    assert path.name == f"{NAME}.{suffix}"
    top, height = (0, 256) if "stretch" in options else (48, 160)
    rows = (top + (np.arange(10) + 0.5) * height / 10).astype(int)  # through middles of pixels
    middles = picture(path)[np.ix_(rows, np.arange(8, 256, 16))].astype(int)
    assert np.abs(middles - np.array(levels)[MASK]).max() <= (0 if suffix == "png" else 20)
    assert picture(next((MASTER / "images").iterdir())).shape == (256, 256)


def test_quality_changes_the_file(generate: Run) -> None:
    build.write_pair(DATABASE)
    sizes = []
    for quality in ("85", "100"):
        assert generate(DATABASE, quality, "--jpg-quality", quality)[0] == 0
        sizes.append(Path(f"{quality}/images/{NAME}.jpg").stat().st_size)
    assert sizes[0] < sizes[1]


def test_a_quality_that_no_mask_survives_takes_one_line(generate: Run) -> None:
    for patient in range(1, 6):
        build.write_pair(DATABASE, f"patient000{patient}_2CH_ED")
    assert generate(DATABASE, MASTER, "--size", 350)[0] == 0
    before = build.tree(MASTER)
    options = ("--size", 350, "--jpg-quality", 3, "--overwrite")
    line = refusal(generate(DATABASE, MASTER, *options))
    assert "masks do not survive JPG at quality 3" in line and "--masks index" in line
    assert build.tree(MASTER) == before
    assert generate(DATABASE, MASTER, *options, "--format", "png")[0] == 0


def test_mirror(generate: Run) -> None:
    build.write_pair(DATABASE, image=IMAGE[:, :7], mask=MASK[:, :7])
    code, out, _ = generate(DATABASE, MASTER, *EXACT, "--mirror")
    assert code == 0 and "2 pairs written" in out
    for kind in ("images", "masks"):
        plain, mirrored = (picture(MASTER / kind / f"{m}{NAME}.png") for m in ("", "mirrored_"))
        assert np.array_equal(mirrored, plain[:, ::-1])
    mirrored_row, row = rows(MASTER)
    assert mirrored_row["file_name"] == f"images/mirrored_{NAME}.png"
    assert (mirrored_row["mirrored"], row["mirrored"]) == ("1", "0")
    for line in (row, mirrored_row):
        columns = np.nonzero(picture(MASTER / line["file_name"]).any(axis=0))[0]
        assert columns[0] == int(line["left"])
        assert columns[-1] == int(line["left"]) + int(line["width"]) - 1


def test_metadata_from_info_files(generate: Run) -> None:
    folder = build.write_pair(DATABASE, spacing=(2, 4))
    build.write_pair(DATABASE, "patient0001_4CH_ES")
    build.write_info(folder, ED=1, ES=18, NbFrame=18, **INFO)
    assert generate(DATABASE, MASTER, "--size", 64)[0] == 0
    with_info, without = rows(MASTER)
    assert with_info == {
        "file_name": f"images/{NAME}.jpg", "mask_file_name": f"masks/{NAME}.jpg",
        "patient": "patient0001", "view": "2CH", "instant": "ED", "frame": "", "mirrored": "0",
        "sex": "F", "age": "56.0", "image_quality": "Good", "ef": "54.0", "frame_rate": "48.4",
        "source_width": "16", "source_height": "10",
        "source_spacing_x": "2.0", "source_spacing_y": "4.0",
        "left": "6", "top": "0", "width": "51", "height": "64",
        "spacing_x": "0.627451", "spacing_y": "0.625",
    }  # fmt: skip
    assert without["instant"] == "ES"
    assert [without[name] for name in FACTS] == ["unknown", "", "unknown", "", ""]


def test_info_values_are_understood(generate: Run) -> None:
    folder = build.write_pair(DATABASE)
    build.write_info(folder, LVef="50.5", Sex="f")  # as the older release calls the EF
    code, _, err = generate(DATABASE, MASTER)
    assert (code, err) == (0, "")
    assert [rows(MASTER)[0][name] for name in ("ef", "sex")] == ["50.5", "F"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("EF", "55,3"), ("EF", "55 %"), ("EF", "nan"), ("EF", "inf"), ("Age", "x" * 2**20),
        ("Age", "\u0665\u0665"), ("Sex", "3"), ("ImageQuality", "Superb"), ("ED", "first"),
    ],
)  # fmt: skip
def test_odd_info_values_count_as_missing_and_are_said_once(
    generate: Run, key: str, value: str
) -> None:
    for name in (NAME, "patient0001_2CH_ES"):
        build.write_info(build.write_pair(DATABASE, name), **{key: value})
    code, _, err = generate(DATABASE, MASTER, *EXACT)
    assert code == 0 and err.startswith("Info files: 1 value not understood")
    assert f"patient0001/Info_2CH.cfg: {key}: " in err and len(err) < 300 and err.count("\n") == 1
    assert {rows(MASTER)[0][name] for name in FACTS} == {"", "unknown"}


def test_image_quality(generate: Run, split: Run) -> None:
    """Views without an Info file are unknown, and left out as well."""
    for patient, quality in enumerate(("Good", "medium", "Poor", None), 1):
        for instant in ("ED", "ES"):
            folder = build.write_pair(DATABASE, f"patient000{patient}_2CH_{instant}")
        if quality:
            build.write_info(folder, ImageQuality=quality)
    code, out, err = generate(DATABASE, MASTER, "--image-quality", "Medium", "good")
    assert (code, err) == (0, "") and "4 pairs written" in out
    assert "2 views left out by --image-quality\n" in out
    assert [row["image_quality"] for row in rows(MASTER)] == ["Good"] * 2 + ["Medium"] * 2
    settings = json.loads((MASTER / "dataset.json").read_text())["settings"]
    assert settings["image_quality"] == ["Good", "Medium"]
    options = ("--image-quality", "Poor", "--views", "4CH", "--overwrite")
    build.write_info(build.write_pair(DATABASE, "patient0005_4CH_ED"), "4CH", ImageQuality="Good")
    assert "no view of the image quality Poor" in refusal(generate(DATABASE, MASTER, *options))


@pytest.mark.parametrize("place", ["", "database_nifti"])
def test_phantoms_are_called_phantoms(generate: Run, split: Run, place: str) -> None:
    build.write_pair(Path("data") / place)
    Path("data/dataset.json").write_text('{"phantom": true}')
    code, out, _ = generate("data", MASTER)
    assert code == 0 and "1 phantom patient read" in out and "1 phantom pair written" in out
    description = json.loads((MASTER / "dataset.json").read_text())
    assert (
        description["phantom"] and description["source"] == "phantom echocardiograms, not patients"
    )
    assert "1 phantom pair written" in split(MASTER, "dataset")[1]


def test_another_orientation_is_said_in_one_line(generate: Run) -> None:
    build.write_pair(DATABASE)
    for patient in (2, 3):  # re-saved in RAS orientation: the heart is upside down
        name = f"patient000{patient}_2CH_ED"
        build.write_pair(DATABASE, name, IMAGE[::-1], MASK[::-1], affine=np.diag([5, 5, 1, 1]))
    code, out, err = generate(DATABASE, MASTER)
    assert code == 0 and "3 pairs written, 0 problems" in out
    assert err == (
        "2 images in another orientation than the release (not LP); the first is "
        "patient0002_2CH_ED (RA): check that the apex is on top, and the pixel size\n"
    )


def test_dataset_json(generate: Run) -> None:
    build.write_pair(DATABASE)
    generate(DATABASE, MASTER, "--structures", "MYO", "lv", "--jobs", 1)
    description = json.loads((MASTER / "dataset.json").read_text(encoding="utf-8"))
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
        ({"ED": 1, "ES": 2}, ["ED", "ES", "unknown"]),
        ({"ED": 1}, ["ED", "unknown", "unknown"]),
        ({}, ["unknown"] * 3),
    ],
)
def test_half_sequence(generate: Run, info: dict[str, int], instants: list[str]) -> None:
    images = np.stack([IMAGE, IMAGE + 50, IMAGE + 90])
    masks = np.stack([MASK, MASK[::-1], MASK[:, ::-1]])
    folder = build.write_pair(DATABASE, SEQUENCE, images, masks)
    build.write_pair(DATABASE)
    build.write_info(folder, "4CH", **info)
    code, out, err = generate(DATABASE, MASTER, *EXACT, "--frames", "sequence")
    assert (code, err) == (0, "") and "3 pairs written" in out
    assert "499 of 500 patients and 999 of 1,000 half sequences are missing; the first is" in out
    for number in range(3):
        name = f"{SEQUENCE}_frame0{number + 1}.png"
        assert np.array_equal(picture(MASTER / "images" / name)[3:13], images[number])
        assert np.array_equal(picture(MASTER / "masks" / name)[3:13], masks[number] * 85)
    assert [row["instant"] for row in rows(MASTER)] == instants
    assert [row["frame"] for row in rows(MASTER)] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("info", "frames", "reason"),
    [
        ({"NbFrame": 5}, 3, "the image has 3 frames, its Info file says NbFrame: 5"),
        ({"ED": 1, "ES": 4}, 3, "the image has 3 frames, its Info file says ED: 1, ES: 4"),
        ({"ED": 0, "ES": 3}, 3, "the image has 3 frames, its Info file says ED: 0, ES: 3"),
        ({"ED": 2, "ES": 2}, 3, "ED and ES are the same frame, a half sequence has two or more"),
        ({}, 1, "ED and ES are the same frame, a half sequence has two or more"),
    ],
)
def test_frames_that_contradict_the_info_file(
    generate: Run, info: dict[str, int], frames: int, reason: str
) -> None:
    folder = build.write_pair(DATABASE, SEQUENCE, [IMAGE] * frames, [MASK] * frames)
    build.write_info(folder, "4CH", **info)
    code, _, err = generate(DATABASE, MASTER, "--frames", "sequence")
    assert (code, err) == (1, f"{SEQUENCE}: {reason}\n")
    assert not MASTER.exists()


@pytest.mark.parametrize("last", [0 * MASK, MASK + 1])
def test_a_sequence_is_written_whole_or_not_at_all(generate: Run, last: Any) -> None:
    build.write_pair(DATABASE, SEQUENCE, [IMAGE] * 3, [MASK, MASK, last])
    build.write_pair(DATABASE, SEQUENCE.replace("4CH", "2CH"), [IMAGE] * 2, [MASK] * 2)
    code, out, err = generate(DATABASE, MASTER, "--frames", "sequence")
    assert code == 1 and err.startswith(f"{SEQUENCE}: {SEQUENCE}_gt.nii.gz ")
    assert "2 pairs written, 1 problem" in out
    assert not list((MASTER / "images").glob(f"{SEQUENCE}*"))


def test_views(generate: Run) -> None:
    for view in ("2CH", "4CH"):
        build.write_pair(DATABASE, f"patient0001_{view}_ED")
    code, out, _ = generate(DATABASE, MASTER, "--views", "4ch")
    assert code == 0 and "499 of 500 patients and 999 of 1,000 pairs are missing" in out
    assert [row["view"] for row in rows(MASTER)] == ["4CH"]
    assert generate(DATABASE, MASTER, "--views", "2CH", "4CH", "--overwrite")[0] == 0
    assert [row["view"] for row in rows(MASTER)] == ["2CH", "4CH"]


IMAGE_FILE, MASK_FILE = f"{NAME}.nii.gz", f"{NAME}_gt.nii.gz"


@pytest.mark.parametrize(
    ("file", "data", "reason"),
    [
        (MASK_FILE, None, f"its mask is missing, there is only the image {IMAGE_FILE}"),
        (IMAGE_FILE, None, f"its image is missing, there is only the mask {MASK_FILE}"),
        (f"{NAME}.nii", b"", f"is there twice ({NAME}.nii, {IMAGE_FILE}, {MASK_FILE}): delete"),
        (IMAGE_FILE, b"not a picture at all", f"{IMAGE_FILE} is not a NIfTI-1 file, it begins"),
        (IMAGE_FILE, gzip.compress(build.nifti(IMAGE))[:-20], f"{IMAGE_FILE} is cut short"),
        (IMAGE_FILE, build.nifti(IMAGE + 200.0), f"{IMAGE_FILE} has intensities from 200 to 359"),
        (IMAGE_FILE, build.nifti([IMAGE] * 3), "the mask has 16 x 10 pixels in 1 frames"),
        (MASK_FILE, build.nifti(MASK + 1), f"{MASK_FILE} has labels from 1 to 4, not within 0..3"),
        (MASK_FILE, build.nifti(MASK[1:]), "the mask has 16 x 9 pixels in 1 frames, the image 16"),
        (
            IMAGE_FILE,
            build.nifti(IMAGE, spacing=(1, 1)),
            f"{IMAGE_FILE} would be 16 x 10 mm: the header has",
        ),
    ],
)
def test_a_bad_pair_is_named_and_the_rest_is_done(
    generate: Run, file: str, data: bytes | None, reason: str
) -> None:
    path = build.write_pair(DATABASE) / file
    path.unlink() if data is None else path.write_bytes(data)
    build.write_pair(DATABASE, "patient0002_4CH_ES")
    code, out, err = generate(DATABASE, MASTER)
    assert code == 1 and "1 pair written, 1 problem" in out
    assert err.startswith(f"{NAME}: {reason}") and err.count("\n") == 1
    written = set(build.tree(MASTER)) - {"metadata.csv", "dataset.json"}
    assert written == {"images/patient0002_4CH_ES.jpg", "masks/patient0002_4CH_ES.jpg"}
    assert [row["patient"] for row in rows(MASTER)] == ["patient0002"]


def test_output_depends_on_input_and_options_alone(generate: Run) -> None:
    for number in range(5):
        build.write_pair(DATABASE, f"patient000{number}_2CH_ED")
    generate(DATABASE, "one", "--jobs", 1)
    generate(DATABASE, "elsewhere/other", "--jobs", 4)
    assert build.tree(Path("one")) == build.tree(Path("elsewhere/other"))


def test_a_second_run_names_both_ways_out(generate: Run) -> None:
    build.write_pair(DATABASE)
    generate(DATABASE, MASTER)
    before = build.tree(MASTER)
    line = refusal(generate(DATABASE, MASTER, "--size", 64))
    assert f"{MASTER} is there already: replace it with --overwrite, or choose another" in line
    assert build.tree(MASTER) == before
    for name in ("images/holiday.jpg", "images/patient_mine/x_2CH_ED.jpg", f"masks/{NAME}.png"):
        foreign = build.write(MASTER / name, b"mine")
        line = refusal(generate(DATABASE, MASTER, "--overwrite"))
        assert f"holds {name}, not made by" in line
        assert build.tree(MASTER) == {**before, name: b"mine"}
        foreign.unlink()
        shutil.rmtree(MASTER / "images/patient_mine", ignore_errors=True)
    text = (MASTER / "metadata.csv").read_text()
    (MASTER / "metadata.csv").write_text(text.partition("\n")[0])  # a row that was deleted
    assert generate(DATABASE, MASTER, "--masks", "index", "--overwrite")[0] == 0
    assert sorted(build.tree(MASTER)) == [
        "dataset.json", f"images/{NAME}.jpg", f"masks/{NAME}.png", "metadata.csv",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--structures", "lv", "Rv"), "'Rv' is not one of lv, myo, la"),
        (("--views", "3ch"), "'3ch' is not one of 2CH, 4CH"),
        (("--image-quality", "bad"), "'bad' is not one of Good, Medium, Poor"),
        (("--jpg-quality", "0"), "'0' must be a whole number from 1 to 100"),
        (("--size", "big"), "'big' must be a whole number"),
        (("--no-such-option",), "unrecognized"),
    ],
)
def test_wrong_use_takes_one_line(generate: Run, arguments: Any, reason: str) -> None:
    line = refusal(generate(DATABASE, *arguments))
    assert reason in line and "--help" in line


def test_the_release_stays_as_it_is(generate: Run) -> None:
    build.write_pair(DATABASE)
    before = build.tree(DATABASE)
    assert "lies in the database" in refusal(generate(DATABASE, DATABASE / "CAMUS-master"))
    assert build.tree(DATABASE) == before


def test_nothing_to_convert(generate: Run) -> None:
    build.write_pair(DATABASE)
    line = refusal(generate(DATABASE, MASTER, "--frames", "sequence"))
    assert "no sequence frames" in line and "--frames key" in line and not MASTER.exists()
