"""The generator as a user meets it: a command line in; pixels, cells and lines out."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import pytest

from camus import command_line, pixels

from . import build
from .build import DATABASE, IMAGE, MASK, MASTER, NAME, Run, nifti, picture, refusal, rows

SEQUENCE = "patient0001_4CH_half_sequence"
POOR, UNKNOWN, MOVING = "patient0002_2CH_ES", "patient0003_4CH_ED", "patient0003_4CH_half_sequence"
FACTS = ("sex", "age", "image_quality", "ef", "frame_rate")


def on_square(frame: Any) -> Any:
    """A tiny frame as it is on a square of 16 pixels: three black rows above and below."""
    return np.pad(frame, [(3, 3), (0, 0)])


def description() -> dict[str, Any]:
    return dict(json.loads((MASTER / "dataset.json").read_text(encoding="utf-8")))


def test_a_pair_comes_out_pixel_for_pixel(generate: Run) -> None:
    """Here from files that are not compressed."""
    build.write(DATABASE / f"patient0001/{NAME}.nii", nifti(IMAGE))
    build.write(DATABASE / f"patient0001/{NAME}_gt.nii", nifti(MASK))
    image, mask = (MASTER / kind / f"{NAME}.png" for kind in ("images", "masks"))
    assert generate(DATABASE, MASTER, "--size", 16, "--format", "png") == (
        0,
        f"{DATABASE}: 1 patient read\n{MASTER}: 1 pair written, 0 problems\n"
        "1,999 pairs of the release's 2,000 missing (499 patients have none); the first is "
        f"patient0001_2CH_ES\nto look at: {image}\n"
        f"next: {command_line('python', 'split_master.py', 'CAMUS master')}\n",
        "",
    )
    assert np.array_equal(picture(image), on_square(IMAGE))
    assert np.array_equal(picture(mask), on_square(MASK * 85))


@pytest.mark.parametrize(("options", "pairs", "line"), [
    ("", f"{NAME} {POOR} {UNKNOWN}",
     "1,997 pairs of the release's 2,000 missing (497 patients have none); the first is patient"),
    ("--image-quality good Medium", NAME, "2 views left out by --image-quality"),
    ("--frames sequence", f"{MOVING}_frame01 {MOVING}_frame02",
     "999 half sequences of the release's 1,000 missing (499 patients have none); the first is "),
    ("--views 4ch 4CH --mirror", f"mirrored_{UNKNOWN} {UNKNOWN}",
     "999 pairs of the release's 1,000 missing (499 patients have none); the first is patient0001"),
])  # fmt: skip
def test_which_pairs_are_made(generate: Run, options: str, pairs: str, line: str) -> None:
    build.write_info(build.write_pair(DATABASE), ImageQuality="Good")
    build.write_info(build.write_pair(DATABASE, POOR), ImageQuality="poor")
    build.write_pair(DATABASE, UNKNOWN)
    build.write_pair(DATABASE, MOVING, [IMAGE] * 2, [MASK] * 2)
    if "good" in options:  # both pairs of one view
        build.write_pair(DATABASE, "patient0003_4CH_ES")
    code, out, err = generate(DATABASE, MASTER, *options.split())
    assert (code, err) == (0, "") and f"\n{line}" in out
    assert description()["settings"]["views"] == (["4CH"] if "4ch" in options else ["2CH", "4CH"])
    images, masks = ([f"{kind}/{p}.jpg" for p in pairs.split()] for kind in ("images", "masks"))
    assert set(build.tree(MASTER)) == {"dataset.json", "metadata.csv", *images, *masks}
    assert [row["file_name"] for row in rows(MASTER)] == images
    assert f"to look at: {MASTER / images['mirror' in options]}\n" in out  # not at a copy


@pytest.mark.parametrize(("options", "suffixes", "levels"), [
    ("", "jpg jpg", [0, 85, 170, 255]),
    ("--format png", "png png", [0, 85, 170, 255]),
    ("--fit stretch", "jpg jpg", [0, 85, 170, 255]),
    ("--masks binary", "jpg jpg", [0, 255, 255, 255]),
    ("--masks index --structures la", "png png", [0, 0, 0, 3]),
    ("--masks index --format jpg", "jpg png", [0, 1, 2, 3]),
    ("--structures la LV", "jpg jpg", [0, 85, 0, 255]),
])  # fmt: skip
def test_what_a_pair_shows(generate: Run, options: str, suffixes: str, levels: list[int]) -> None:
    build.write_pair(DATABASE)
    assert generate(DATABASE, MASTER, "--size", 256, *options.split())[0] == 0
    files = [next((MASTER / kind).iterdir()) for kind in ("images", "masks")]
    starts = {b"\x89PNG": "png", b"\xff\xd8\xff\xe0": "jpg"}
    for path, suffix in zip(files, suffixes.split(), strict=True):
        assert path.name == f"{NAME}.{suffix}" and starts[path.read_bytes()[:4]] == suffix
    assert description()["settings"]["format"] == suffixes[:3]
    image, mask = map(picture, files)
    top, height = (0, 256) if "stretch" in options else (48, 160)
    y = (top + (np.arange(10) + 0.5) * height / 10).astype(int)  # the middles of the 10 x 16 pixels
    middles = np.ix_(y, np.arange(8, 256, 16))
    assert np.abs(image[middles].astype(int) - IMAGE).max() <= 4
    jpg_noise = 20 if suffixes.endswith("jpg") else 0
    assert np.abs(mask[middles].astype(int) - np.array(levels)[MASK]).max() <= jpg_noise


def test_jpg_quality_is_that_of_the_images(generate: Run, monkeypatch: Any) -> None:
    """A mask that JPG cannot hold is named. At a quality of 95, none is known."""
    monkeypatch.setattr(pixels, "MASK_QUALITY", 3)
    image, mask = on_square(IMAGE), on_square(MASK)
    build.write_pair(DATABASE, NAME, image, mask)
    build.write_pair(DATABASE, POOR, image, mask * 0 + 3)
    code, _, err = generate(DATABASE, MASTER, "--size", 16, "--jpg-quality", 30)
    remedy = "use --format png or --masks index\n"
    assert (code, err) == (1, f"{NAME}: the mask does not survive JPG: {remedy}")
    assert [path.name for path in MASTER.glob("*/*")] == [f"{POOR}.jpg"] * 2
    jpg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    assert (MASTER / "images" / f"{POOR}.jpg").read_bytes() == jpg.tobytes()


def test_fit_none_keeps_the_pixels_of_the_files(generate: Run) -> None:
    """Of two sizes in one run, mirrored, too."""
    for name, width in ((SEQUENCE, 16), (MOVING, 7)):
        image, mask = ([frame[:, :width], frame[::-1, :width]] for frame in (IMAGE, MASK))
        build.write_pair(DATABASE, name, image, mask, spacing=(4, 6))
    options = ("--fit", "none", "--masks", "index", "--mirror", "--frames", "sequence")
    assert generate(DATABASE, MASTER, *options)[::2] == (0, "")
    assert len(rows(MASTER)) == 8 and description()["settings"]["size"] is None
    for row in rows(MASTER):
        name = SEQUENCE if row["patient"] in SEQUENCE else MOVING
        for column, kind in (("file_name", ""), ("mask_file_name", "_gt")):
            truth = build.array(DATABASE / row["patient"] / f"{name}{kind}.nii.gz")
            frame = truth[int(row["frame"]) - 1]
            shown = frame[:, ::-1] if row["mirrored"] == "1" else frame
            assert np.array_equal(picture(MASTER / row[column]), shown)
        place = ["0", "0", "16" if name == SEQUENCE else "7", "10", "4.0", "6.0"]
        columns = ("left", "top", "width", "height", "spacing_x", "spacing_y")
        assert [row[column] for column in columns] == place


def test_metadata(generate: Run) -> None:
    folder = build.write_pair(DATABASE, spacing=(2, 4))
    build.write_info(folder, ED=1, ES=18, NbFrame=18, **build.INFO)
    build.write_pair(DATABASE, "patient0001_4CH_ES")
    options = ("--size", 64, "--mirror", "--structures", "MYO", "lv")
    assert generate(DATABASE, MASTER, *options)[::2] == (0, "")
    mirrored, _, first, without = rows(MASTER)
    assert first == {
        "file_name": f"images/{NAME}.jpg", "mask_file_name": f"masks/{NAME}.jpg",
        "patient": "patient0001", "view": "2CH", "instant": "ED", "frame": "", "mirrored": "0",
        "sex": "F", "age": "56.0", "image_quality": "Good", "ef": "54.0", "frame_rate": "48.4",
        "source_width": "16", "source_height": "10",
        "source_spacing_x": "2.0", "source_spacing_y": "4.0",
        "left": "6", "top": "0", "width": "51", "height": "64",
        "spacing_x": "0.627451", "spacing_y": "0.625",
    }  # fmt: skip
    names = {column: first[column].replace("/", "/mirrored_") for column in [*first][:2]}
    assert mirrored == {**first, **names, "mirrored": "1", "left": "7"}  # of 64: 6 + 51 + 7
    assert [without[name] for name in FACTS] == ["unknown", "", "unknown", "", ""]
    assert description()["labels"] == [
        {"label": 0, "name": "background", "gray_level": 0},
        {"label": 1, "name": "left-ventricle cavity", "gray_level": 85},
        {"label": 2, "name": "left-ventricle myocardium", "gray_level": 170},
    ]
    changed = {"structures": ["lv", "myo"], "size": 64, "mirror": True}
    assert description()["settings"] == {**build.SETTINGS, **changed}
    assert description()["licence"].startswith("CC BY-NC-SA 4.0, ")
    assert description()["citation"].endswith(", doi:10.1109/TMI.2019.2900516")


NO_LINE = "no text with lines such as EF: 54"


@pytest.mark.parametrize(("make", "line", "cell"), [
    ("LVef: 50.5", "", "50.5"),  # as the older release calls the EF
    ("\ufeffEF: 54", "", "54.0"),  # with a mark, as Windows editors write it
    ("Name: Müller\nEF: 54".encode("latin-1"), "", "54.0"),
    (" ef: x\r\n EF :  -5.5 \r\nED: \r\n", "", "-5.5"), ("EF: 9\nED: x", "ED: x", "9.0"),
    *((line, line, "") for line in ("EF: 55,3", "EF: nan", "EF: 1e3", "Sex: 3", "ImageQuality: G")),
    ("", NO_LINE, ""), ("ef 54", NO_LINE, ""), ("EF: 54\n".encode("utf-16"), NO_LINE, ""),
    (Path.mkdir, NO_LINE, ""),
    pytest.param(lambda path: os.mkfifo(path), NO_LINE, "", marks=build.posix),
    pytest.param(lambda path: path.symlink_to("gone"), NO_LINE, "", marks=build.posix),
])  # fmt: skip
def test_info_files(generate: Run, make: Any, line: str, cell: str) -> None:
    """What is not understood counts as missing and is said once."""
    build.write_pair(DATABASE, "patient0001_2CH_ES")
    path = build.write_pair(DATABASE) / "Info_2CH.cfg"
    text = make.encode() if isinstance(make, str) else make
    path.write_bytes(text) if isinstance(text, bytes) else make(path)
    first = f"the first is patient0001/Info_2CH.cfg: {line}"
    said = f"1 line of Info files not understood, taken as missing; {first}\n" if line else ""
    assert generate(DATABASE, MASTER)[::2] == (0, said)
    row = rows(MASTER)[0]
    assert [row[name] for name in FACTS] == ["unknown", "", "unknown", cell, ""]


def test_unclear_lines_are_said_of_views_without_pairs(generate: Run) -> None:
    """One is left out by --image-quality, one has a mask without a structure."""
    build.write_info(build.write_pair(DATABASE, mask=0 * MASK), ImageQuality="Good", Age="old")
    build.write_info(build.write_pair(DATABASE, POOR), ImageQuality="mediocre")
    err = generate(DATABASE, MASTER, "--image-quality", "Good")[2]
    assert "2 lines of Info files not understood, taken as missing; the first is patient0001" in err


@pytest.mark.parametrize("place", ["", "database_nifti"])
@pytest.mark.parametrize(("names", "kind", "misses"), [
    ("0001", "phantom ", False), ("0001 0002", "", True), ("Å", "", False),
])  # fmt: skip
def test_phantoms(generate: Run, place: str, names: str, kind: str, misses: bool) -> None:
    """None is a phantom if a real patient is there. The release is missed where part of it is."""
    for name in names.split():
        build.write_pair(Path("data") / place, f"patient{name}_2CH_ED")
    Path("data/dataset.json").write_text('{"phantom": true, "patients": 1}')
    code, out, _ = generate("data", MASTER)
    number = len(names.split())
    lines = f"{number} {kind}patient{'s' * (number > 1)} read\n{MASTER}: {number} {kind}pair"
    assert code == 0 and f": {lines}" in out
    assert ("of the release's 2,000" in out, "phantom" in out) == (misses, bool(kind))
    assert description()["phantom"] is bool(kind) and len(rows(MASTER)) == number
    assert description()["source"].startswith(kind or "CAMUS")
    assert description()["licence"].startswith("none needed" if kind else "CC BY-NC-SA 4.0")


@pytest.mark.parametrize(("options", "line"), [
    ({"affine": np.diag([5, 5, 1, 1])}, "2 images in another orientation than the release "
     "(check that the apex is on top); the first is patient0002_2CH_ED, RA instead of LP\n"),
    ({"spacing": (1, 1)}, "2 images with pixels of 1 x 1 mm in the header (areas and "
     "proportions may be wrong); the first is patient0002_2CH_ED\n"),
])  # fmt: skip
def test_odd_headers_are_said_in_one_line(generate: Run, options: Any, line: str) -> None:
    silent = {"sform_code": 0, "qform_code": 0}  # a header that gives no orientation
    for number, header in enumerate((silent, options, options), 1):
        image, mask = (np.tile(picture, (4, 2)) for picture in (IMAGE, MASK))
        build.write_pair(DATABASE, f"patient000{number}_2CH_ED", image, mask, **header)
    assert generate(DATABASE, MASTER)[::2] == (0, line) and len(rows(MASTER)) == 3


@pytest.mark.parametrize(("info", "instants"), [
    ({"ED": 1, "ES": 3, "NbFrame": 3}, ["ED", "between", "ES"]),
    ({"ED": 3, "ES": 1}, ["ES", "between", "ED"]),  # the sequence runs backwards
    ({"ED": 1, "ES": 2}, ["ED", "ES", "unknown"]),
    ({}, ["unknown"] * 3),
])  # fmt: skip
def test_half_sequence(generate: Run, info: dict[str, int], instants: list[str]) -> None:
    folder = build.write_pair(DATABASE, SEQUENCE, [IMAGE] * 3, [MASK] * 3)
    if info:
        build.write_info(folder, "4CH", **info)
    assert generate(DATABASE, MASTER, "--frames", "sequence")[::2] == (0, "")
    frames = zip((1, 2, 3), instants, strict=True)
    expected = [(f"images/{SEQUENCE}_frame0{n}.jpg", str(n), instant) for n, instant in frames]
    assert [(row["file_name"], row["frame"], row["instant"]) for row in rows(MASTER)] == expected


KEY, KEY_MASK, MOVING_MASK = f"{NAME}.nii.gz", f"{NAME}_gt.nii.gz", f"{SEQUENCE}_gt.nii.gz"
THREE = "the image has 3 frames, its Info file says"


@pytest.mark.parametrize(("file", "data", "reason"), [
    (KEY, Path.unlink, f"its image is missing, it has only {KEY_MASK}"),
    (KEY_MASK, Path.unlink, f"its mask is missing, it has only {KEY}"),
    (f"{NAME}.nii", b"", f"is there twice ({NAME}.nii, {KEY}, {KEY_MASK}): delete the .nii or"),
    (KEY, lambda path: os.truncate(path, 2**30 + 1), f"{KEY} is larger than any echocardiogram"),
    (KEY, lambda _: build.write_pair(DATABASE, NAME, [IMAGE] * 3, [MASK] * 3),
     "the image has 3 frames, a key frame has one"),
    (KEY, nifti(IMAGE + 200.0), f"{KEY} has intensities from 200 to 359, not within 0..255"),
    (KEY, nifti(IMAGE, spacing=(1, 1)), f"{KEY} would be 16 x 10 mm: the header has lost its"),
    (KEY, nifti(IMAGE[:, :9]), "the mask has 16 x 10 pixels in 1 frames, the image 9 x 10 pix"),
    (KEY, nifti([IMAGE] * 3), "in 1 frames, the image 16 x 10 pixels in 3 frames"),
    (KEY_MASK, nifti(MASK, spacing=(4, 4)), "4 x 4 mm in the mask, 5 x 5 mm in the image"),
    (f"{SEQUENCE}.nii.gz", nifti([IMAGE, IMAGE * 0, IMAGE]), ".nii.gz frame 2 has intensities"),
    (MOVING_MASK, nifti([MASK, MASK, MASK + 1]), f"{MOVING_MASK} frame 3 has labels from 1"),
    (MOVING_MASK, nifti([MASK, 0 * MASK, MASK]), "frame 2: the mask has no pixel of lv, myo"),
    ("Info_4CH.cfg", b"NbFrame: 5", f"{THREE} NbFrame: 5"),
    ("Info_4CH.cfg", b"ED: 1\nES: 4", f"{THREE} ED: 1, ES: 4"),
    ("Info_4CH.cfg", b"ED: 0\nES: 3", f"{THREE} ED: 0, ES: 3"),
    ("Info_4CH.cfg", b"ED: 1.5\nES: 3", f"{THREE} ED: 1.5, ES: 3"),
    ("Info_4CH.cfg", b"ED: 2\nES: 2", f"{THREE} ED: 2, ES: 2"),
])  # fmt: skip
def test_bad_pairs_are_named(generate: Run, file: str, data: Any, reason: str) -> None:
    name, frames = (NAME, "key") if file.startswith(NAME) else (SEQUENCE, "sequence")
    for patient in ("patient0001", "patient0002"):
        build.write_pair(DATABASE, f"{patient}_2CH_ED")
        build.write_pair(DATABASE, f"{patient}_4CH_half_sequence", [IMAGE] * 3, [MASK] * 3)
    path = DATABASE / "patient0001" / file
    path.write_bytes(data) if isinstance(data, bytes) else data(path)
    code, out, err = generate(DATABASE, MASTER, "--frames", frames)
    assert code == 1 and " written, 1 problem\n" in out and "(499 patients have none)" in out
    assert err.count("\n") == 1 and err.startswith(f"{name}: ") and reason in err
    assert {row["patient"] for row in rows(MASTER)} == {"patient0002"}
    assert not list(MASTER.glob("*/patient0001*"))


@pytest.mark.parametrize(("arguments", "reason"), [
    ("--structures lv Rv", "'Rv' is not one of lv, myo, la"),
    ("--views 2CH folder", "'folder' is not one of 2CH, 4CH (if it is a folder, put the "),
    ("--jpg-quality 0", "'0' must be a whole number from 1 to 100; see --help"),
    ("--jpg-quality 101", "'101' must be a whole number from 1 to 100; see --help"),
    ("--size 15", "'15' must be a whole number from 16 to 8192; see --help"),
    ("--size big", "'big' must be a whole number"),
    ("--no-such-option", "unrecognized arguments: --no-such-option; see --help"),
    ("--frames sequence", "has no sequence frames of 2CH or 4CH: keep more, or try"),
    ("--views 4CH", "has no key frames of 4CH: keep more, or try other --frames"),
    ("--image-quality Poor", "has no key frames of 2CH or 4CH of which Info_2CH.cfg and "
     "Info_4CH.cfg say Poor: keep more, or try other --frames"),
])  # fmt: skip
def test_refusals_take_one_line(generate: Run, arguments: str, reason: str) -> None:
    build.write_pair(DATABASE)
    before = build.tree(Path())
    assert reason in refusal(generate(DATABASE, *arguments.split()))
    assert build.tree(Path()) == before


def test_output_depends_on_input_and_options_alone(generate: Run) -> None:
    for number in range(5):
        build.write_pair(DATABASE, f"patient000{number}_2CH_ED")
    for folder, jobs in (("one", 1), ("elsewhere/other", 4)):
        with mock.patch("camus.cli.ThreadPoolExecutor", wraps=ThreadPoolExecutor) as pool:
            generate(DATABASE, folder, "--jobs", jobs)
        assert pool.call_args.args == (jobs,)
    assert build.tree(Path("one")) == build.tree(Path("elsewhere/other"))
    assert "is there already: replace it with --overwrite" in refusal(generate(DATABASE, "one"))
    assert generate(DATABASE, "one", "--overwrite", "--masks", "index")[0] == 0
    line = f"M lies in the database {DATABASE}: choose another folder"
    assert line in refusal(generate(DATABASE, DATABASE / "M"))
