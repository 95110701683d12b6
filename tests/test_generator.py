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
POOR, MOVING = "patient0002_2CH_ES", "patient0003_4CH_half_sequence"
UNKNOWN = "patient0003_4CH_ED patient0003_4CH_ES"


def description() -> dict[str, Any]:
    return dict(json.loads((MASTER / "dataset.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize(("options", "suffixes", "levels"), [
    ("--size 16", "jpg jpg", [0, 85, 170, 255]),
    ("--size 16 --format png", "png png", [0, 85, 170, 255]),
    ("--size 16 --masks binary", "jpg jpg", [0, 255, 255, 255]),
    ("--size 16 --masks index --format jpg", "jpg png", [0, 1, 2, 3]),
    ("--fit none --masks index --structures la LV", "png png", [0, 1, 0, 3]),
])  # fmt: skip
def test_what_pairs_show(generate: Run, options: str, suffixes: str, levels: list[int]) -> None:
    """Of files that are not compressed; and the same when a second run replaces the first."""
    for end, frame in (("", IMAGE), ("_gt", MASK)):
        build.write(DATABASE / f"patient0001/{SEQUENCE}{end}.nii", nifti([frame, frame[::-1]]))
    words = (DATABASE, MASTER, "--frames", "sequence", "--mirror", *options.split())
    missing = "999 half sequences of the release's 1,000 missing (499 patients have none); "
    lines = (
        f"{DATABASE}: 1 patient read\n{MASTER}: 4 pairs written, 0 problems\n"
        f"{missing}the first is patient0001_2CH_half_sequence\n"
        f"to look at: {MASTER / 'images' / SEQUENCE}_frame01.{suffixes[:3]}\n"
        f"next: {command_line('python', 'split_master.py', 'CAMUS master')}\n"
    )
    assert generate(*words) == (0, lines, "")
    assert generate(*words, "--overwrite") == (0, lines, "")
    black = 0 if "none" in options else 3  # rows above and below
    for kind, suffix in zip(("images", "masks"), suffixes.split(), strict=True):
        start, noise = (b"\x89PNG", 0) if suffix == "png" else (b"\xff\xd8\xff\xe0", 20)
        frame = IMAGE if kind == "images" else np.array(levels)[MASK]
        for name, truth in (("frame01", frame), ("frame02", frame[::-1])):
            shown = np.pad(truth.astype(int), [(black, black), (0, 0)])
            for copy, pixel in (("", shown), ("mirrored_", shown[:, ::-1])):
                path = MASTER / kind / f"{copy}{SEQUENCE}_{name}.{suffix}"
                assert path.read_bytes().startswith(start)
                assert np.abs(picture(path) - pixel).max() <= noise
    assert description()["settings"]["size"] == (16 if black else None)


@pytest.mark.parametrize(("options", "pairs", "line"), [
    ("", f"{NAME} {POOR} {UNKNOWN}",
     "1,996 pairs of the release's 2,000 missing (497 patients have none); the first is patient"),
    ("--image-quality good Medium", NAME, "2 views left out by --image-quality"),
    ("--frames sequence", f"{MOVING}_frame01 {MOVING}_frame02",
     "999 half sequences of the release's 1,000 missing (499 patients have none); the first is "),
    ("--views 4ch 4CH --mirror", f"{UNKNOWN} {UNKNOWN.replace('patient', 'mirrored_patient')}",
     "998 pairs of the release's 1,000 missing (499 patients have none); the first is patient0001"),
])  # fmt: skip
def test_which_pairs_are_made(generate: Run, options: str, pairs: str, line: str) -> None:
    """A line of an Info file that is not understood is said even of a view that is left out."""
    build.write_info(build.write_pair(DATABASE), ImageQuality="Good")
    build.write_info(build.write_pair(DATABASE, POOR), ImageQuality="poor")
    for name in UNKNOWN.split():
        build.write_pair(DATABASE, name)
    folder = build.write_pair(DATABASE, MOVING, [IMAGE] * 2, [MASK] * 2)
    build.write_info(folder, "4CH", ImageQuality="mediocre")
    code, out, err = generate(DATABASE, MASTER, *options.split())
    assert code == 0 and f"\n{line}" in out
    unclear = "the first is patient0003/Info_4CH.cfg: ImageQuality: mediocre"
    assert err == f"1 line of Info files not understood, taken as missing; {unclear}\n"
    images, masks = ([f"{kind}/{p}.jpg" for p in pairs.split()] for kind in ("images", "masks"))
    assert set(build.tree(MASTER)) == {"dataset.json", "metadata.csv", *images, *masks}
    assert [row["file_name"] for row in rows(MASTER)] == sorted(images)
    assert f"to look at: {MASTER / images[0]}\n" in out  # not at a copy


def test_jpg_quality_is_that_of_the_images(generate: Run, monkeypatch: Any) -> None:
    """A mask that JPG cannot hold is named. At a quality of 95, none is known."""
    monkeypatch.setattr(pixels, "MASK_QUALITY", 3)
    image, mask = (np.pad(frame, [(3, 3), (0, 0)]) for frame in (IMAGE, MASK))  # a square
    build.write_pair(DATABASE, NAME, image, mask)
    build.write_pair(DATABASE, POOR, image, mask * 0 + 3)
    line = f"{NAME}: the mask does not survive JPG: use --format png or --masks index\n"
    assert generate(DATABASE, MASTER, "--size", 16, "--jpg-quality", 30)[::2] == (1, line)
    jpg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    assert (MASTER / "images" / f"{POOR}.jpg").read_bytes() == jpg.tobytes()


def test_metadata(generate: Run) -> None:
    folder = build.write_pair(DATABASE, spacing=(2, 4))
    build.write_info(folder, ED=1, ES=18, NbFrame=18, **build.INFO)
    options = ("--size", 64, "--mirror", "--structures", "MYO", "lv")
    assert generate(DATABASE, MASTER, *options)[::2] == (0, "")
    mirrored, first = rows(MASTER)
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
    myocardium = {"label": 2, "name": "left-ventricle myocardium", "gray_level": 170}
    assert description()["labels"][2:] == [myocardium]
    changed = {"structures": ["lv", "myo"], "size": 64, "mirror": True}
    assert description()["settings"] == {**build.SETTINGS, **changed}
    assert description()["citation"].endswith(", doi:10.1109/TMI.2019.2900516")


NO_LINE = "no text with lines such as EF: 54"


@pytest.mark.parametrize(("make", "line", "cell"), [
    (b"LVef: 50.5", "", "50.5"),  # as the older release calls the EF
    (b"\xef\xbb\xbfEF: 54", "", "54.0"),  # with a mark, as Windows editors write it
    ("Name: Müller\nEF: 54".encode("latin-1"), "", "54.0"),
    (b" ef: x\r\n EF :  -5.5 \r\nED: \r\n", "", "-5.5"), (b"EF: 9\nED: x", "ED: x", "9.0"),
    (b"EF: 55,3", "EF: 55,3", ""), (b"EF: nan", "EF: nan", ""), (b"EF: 1e3", "EF: 1e3", ""),
    (b"Sex: 3", "Sex: 3", ""), (b"", NO_LINE, ""), (b"ef 54", NO_LINE, ""),
    ("EF: 54".encode("utf-16"), NO_LINE, ""), (Path.mkdir, NO_LINE, ""),
    pytest.param(lambda path: path.symlink_to("gone"), NO_LINE, "", marks=build.posix),
])  # fmt: skip
def test_info_files(generate: Run, make: Any, line: str, cell: str) -> None:
    """What is not understood counts as missing and is said once."""
    build.write_pair(DATABASE, "patient0001_2CH_ES")
    path = build.write_pair(DATABASE) / "Info_2CH.cfg"
    path.write_bytes(make) if isinstance(make, bytes) else make(path)
    first = f"the first is patient0001/Info_2CH.cfg: {line}"
    said = f"1 line of Info files not understood, taken as missing; {first}\n" if line else ""
    assert generate(DATABASE, MASTER)[::2] == (0, said)
    facts = [rows(MASTER)[0][name] for name in ("sex", "age", "image_quality", "ef", "frame_rate")]
    assert facts == ["unknown", "", "unknown", cell, ""]


@pytest.mark.parametrize("place", ["", "database_nifti"])
@pytest.mark.parametrize(("names", "kind", "said"), [
    ("0001", "phantom", "1 phantom patient read\n{}: 1 phantom pair written, 0 problems\nto look "),
    ("0001 0002", "", "2 patients read\n{}: 2 pairs written, 0 problems\n1,998 pairs of the rele"),
    ("Å", "", "1 patient read\n{}: 1 pair written, 0 problems\nto look at: "),
])  # fmt: skip
def test_phantoms(generate: Run, place: str, names: str, kind: str, said: str) -> None:
    """None is a phantom if a real patient is there. The release is missed where part of it is."""
    for name in names.split():
        build.write_pair(Path("data") / place, f"patient{name}_2CH_ED")
    (Path("data") / place / "patients.csv").touch()
    Path("data/dataset.json").write_text('{"phantom": true, "patients": 1}')
    assert f": {said.format(MASTER)}" in generate("data", MASTER)[1]
    told = description()
    assert told["phantom"] is bool(kind) and told["source"].startswith(kind or "CAMUS")
    assert told["licence"].startswith("none needed" if kind else "CC BY-NC-SA 4.0, ")


def test_odd_headers_are_said_in_one_line(generate: Run) -> None:
    silent = {"sform_code": 0, "qform_code": 0}  # a header that gives no orientation
    turned: Any = {"affine": np.diag([5, 5, 1, 1])}
    image, mask = (np.tile(picture, (4, 2)) for picture in (IMAGE, MASK))
    for number, header in enumerate((silent, turned, turned, *[{"spacing": (1, 1)}] * 2), 1):
        build.write_pair(DATABASE, f"patient000{number}_2CH_ED", image, mask, **header)
    first, second = generate(DATABASE, MASTER)[2].splitlines()
    assert first.startswith("2 images in another orientation than the release (check that the apex")
    assert first.endswith("; the first is patient0002_2CH_ED, RA instead of LP")
    assert second.startswith("2 images with pixels of 1 x 1 mm in the header (areas and proportion")


@pytest.mark.parametrize(("info", "instants"), [
    ({"ED": 1, "ES": 3, "NbFrame": 3}, ["ED", "between", "ES"]),
    ({"ED": 3, "ES": 1}, ["ES", "between", "ED"]),  # the sequence runs backwards
    ({"ED": 1, "ES": 2}, ["ED", "ES", "unknown"]),
    ({"Age": 56}, ["unknown"] * 3),
])  # fmt: skip
def test_instants_of_a_half_sequence(generate: Run, info: Any, instants: list[str]) -> None:
    folder = build.write_pair(DATABASE, SEQUENCE, [IMAGE] * 3, [MASK] * 3)
    build.write_info(folder, "4CH", **info)
    assert generate(DATABASE, MASTER, "--frames", "sequence")[::2] == (0, "")
    assert [row["instant"] for row in rows(MASTER)] == instants


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
    (KEY_MASK, nifti(MASK) + b"\0", f"{KEY_MASK} holds more data than its header announces"),
    (f"{SEQUENCE}.nii.gz", nifti([IMAGE, IMAGE * 0, IMAGE]), ".nii.gz frame 2 has intensities"),
    (MOVING_MASK, nifti([MASK, MASK, MASK + 1]), f"{MOVING_MASK} frame 3 has labels from 1"),
    (MOVING_MASK, nifti([MASK, 0 * MASK, MASK]), "frame 2: the mask has no pixel of lv, myo"),
    ("Info_4CH.cfg", b"NbFrame: 5", f"{THREE} NbFrame: 5"),
    ("Info_4CH.cfg", b"ED: 1\nES: 4", f"{THREE} ED: 1, ES: 4"),
    ("Info_4CH.cfg", b"ED: 0\nES: 3", f"{THREE} ED: 0, ES: 3"),
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
    assert "left out" not in out
    assert err.count("\n") == 1 and err.startswith(f"{name}: ") and reason in err
    assert {row["patient"] for row in rows(MASTER)} == {"patient0002"}
    assert not list(MASTER.glob("*/patient0001*"))


@pytest.mark.parametrize(("arguments", "reason"), [
    ("--structures lv Rv", "'Rv' is not one of lv, myo, la"),
    ("--views 2CH folder", "'folder' is not one of 2CH, 4CH (if it is a folder, put the "),
    ("--jpg-quality 0", "'0' must be a whole number from 1 to 100; see --help"),
    ("--jpg-quality 101", "'101' must be a whole number from 1 to 100; see --help"),
    ("--size 15", "'15' must be a whole number from 16 to 8192; see --help"),
    ("--no-such-option", "unrecognized arguments: --no-such-option; see --help"),
    ("--frames sequence --views 4CH", "has no sequence frames of 4CH: keep more, or try other --"),
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
    assert generate(DATABASE, "one", "--overwrite", "--masks", "index")[0] == 0
    line = f"M lies in the database {DATABASE.absolute()}: choose another folder"
    assert line in refusal(generate(DATABASE.absolute(), DATABASE / "M"))
