"""The generator as a user meets it: command line in, files and lines out."""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from generator import CAMUSImageMaskDatasetGenerator as script
from generator import shared

from . import build
from .build import IMAGE, MASK
from .conftest import Run

# 16 pixels a side hold the tiny frames as they are, three black rows above and below
EXACT = ("--size", 16, "--format", "png")
NAME = "patient0001_2CH_ED"


def picture(path: Path) -> Any:
    data = np.frombuffer(path.read_bytes(), np.uint8)
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))
    assert decoded.ndim == 2
    assert decoded.dtype == np.uint8
    return decoded


def rows(master: Path) -> list[dict[str, str]]:
    with (master / "metadata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_pair_comes_out_pixel_for_pixel(generate: Run, database: Path, master: Path) -> None:
    build.write_pair(database)
    code, out, err = generate(database, master, *EXACT)
    assert (code, err) == (0, "")
    assert "1 pairs written, 0 already there, 0 failed, 0 half sequences skipped" in out
    image, mask = (picture(master / kind / f"{NAME}.png") for kind in ("images", "masks"))
    assert np.array_equal(image[3:13], IMAGE)
    assert np.array_equal(mask[3:13], MASK * 85)
    assert not image[:3].any() and not image[13:].any() and not mask[:3].any()


def test_the_files_of_a_master(generate: Run, database: Path, master: Path) -> None:
    for name in (NAME, "patient0001_4CH_ES", "patient0010_2CH_ED", "patient0002_2CH_ED"):
        build.write_pair(database, name)
    build.write_pair(database, "patient0002_2CH_half_sequence", [IMAGE] * 2, [MASK] * 2)
    code, out, _ = generate(database, master)
    assert code == 0 and "4 pairs written" in out and "1 half sequences skipped" in out
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
    assert not list((tmp_path / "low" / "images").iterdir())


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
    info = (
        "ED: 1\nES: 18\nNbFrame: 18\nSex: F\nAge: 56\nImageQuality: Good\nEF: 54\nFrameRate: 48.4\n"
    )
    (folder / "Info_2CH.cfg").write_text(info)
    assert generate(database, master, "--size", 64)[0] == 0
    with_info, without = rows(master)
    assert with_info == {
        "file_name": f"images/{NAME}.jpg",
        "mask_file_name": f"masks/{NAME}.jpg",
        "patient": "patient0001",
        "view": "2CH",
        "instant": "ED",
        "frame": "1",
        "mirrored": "0",
        "sex": "F",
        "age": "56",
        "image_quality": "Good",
        "ef": "54",
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
    assert [without[c] for c in ("frame", "sex", "age", "image_quality", "ef", "frame_rate")] == [
        ""
    ] * 6


def test_dataset_json(generate: Run, database: Path, master: Path) -> None:
    build.write_pair(database)
    generate(database, master, "--structures", "2", "lv", "--jobs", 1)
    description = json.loads((master / "dataset.json").read_text(encoding="utf-8"))
    assert [(label["label"], label["gray_level"]) for label in description["labels"]] == [
        (0, 0), (1, 85), (2, 170), (3, 255),
    ]  # fmt: skip
    assert "myocardium" in description["labels"][2]["name"]
    assert description["settings"]["structures"] == ["lv", "myo"]
    assert "jobs" not in description["settings"]
    assert "CC BY-NC-SA 4.0" in description["licence"]
    assert "10.1109/TMI.2019.2900516" in description["citation"]


@pytest.mark.parametrize(
    ("info", "instants"),
    [
        ("ED: 1\nES: 3\n", ["ED", "", "ES"]),
        ("ED: 3\nES: 1\n", ["ES", "", "ED"]),  # the sequence runs backwards
        (None, ["", "", ""]),
    ],
)
def test_half_sequence(
    generate: Run, database: Path, master: Path, info: str | None, instants: list[str]
) -> None:
    images = np.stack([IMAGE, IMAGE + 50, IMAGE + 90])
    masks = np.stack([MASK, MASK[::-1], MASK[:, ::-1]])
    folder = build.write_pair(database, "patient0001_4CH_half_sequence", images, masks)
    build.write_pair(database)
    if info:
        (folder / "Info_4CH.cfg").write_text(info)
    code, out, err = generate(database, master, *EXACT, "--frames", "sequence")
    assert (code, err) == (0, "") and "3 pairs written" in out
    for number in range(3):
        name = f"patient0001_4CH_half_sequence_frame0{number + 1}.png"
        assert np.array_equal(picture(master / "images" / name)[3:13], images[number])
        assert np.array_equal(picture(master / "masks" / name)[3:13], masks[number] * 85)
    assert [row["instant"] for row in rows(master)] == instants
    assert [row["frame"] for row in rows(master)] == ["1", "2", "3"]


def test_key_and_sequence_dimensions_are_told_apart(
    generate: Run, database: Path, master: Path, tmp_path: Path
) -> None:
    build.write_pair(database, image=[IMAGE] * 3, mask=[MASK] * 3)
    code, _, err = generate(database, master)
    assert code == 1 and err == f"{NAME}: {NAME}.nii.gz: has 3 frames, a key frame has one\n"
    build.write_pair(database, "patient0001_2CH_half_sequence")  # one frame, stored as two axes
    code, out, _ = generate(database, tmp_path / "sequences", "--frames", "sequence")
    assert code == 0 and "1 pairs written" in out


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
            "patient0001_2CH_ED_gt.nii.gz: has pixels of 0.3 x 0.5 mm, those of its image 0.308",
        ),
        ("label", "patient0001_2CH_ED_gt.nii.gz: labels run from 1.0 to 4.0, not within 0..3"),
        ("fraction", "patient0001_2CH_ED_gt.nii.gz: labels are not whole numbers"),
        (
            "bright",
            "patient0001_2CH_ED.nii.gz: intensities run from 200.0 to 359.0, not within 0..255",
        ),
        ("nan", "patient0001_2CH_ED.nii.gz: intensities are not all finite"),
        ("cut", "patient0001_2CH_ED.nii.gz: gzip stream is cut short"),
        ("flipped", "patient0001_2CH_ED_gt.nii.gz: corrupt gzip stream"),
        ("text", "patient0001_2CH_ED.nii.gz: corrupt gzip stream"),
        ("twice", "several files of one name: patient0001/patient0001_2CH_ED.nii"),
        ("folder", "patient0001_2CH_ED.nii.gz: cannot be read (Is a directory)"),
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
    assert "1 pairs written, 0 already there, 1 failed" in out
    written = set(build.tree(master)) - {"metadata.csv", "dataset.json"}
    assert written == {"images/patient0002_4CH_ES.jpg", "masks/patient0002_4CH_ES.jpg"}
    assert [row["patient"] for row in rows(master)] == ["patient0002"]


def test_litter_is_passed_over(generate: Run, database: Path, master: Path) -> None:
    folder = build.write_pair(database)
    for name in (".DS_Store", f"._{NAME}.nii.gz", "Thumbs.db", f"{NAME}.nii.gz.part", "notes.txt"):
        (folder / name).write_bytes(b"litter")
    (database / "patient0002").write_bytes(b"a file")
    code, out, err = generate(database, master)
    assert (code, err) == (0, "") and "1 pairs written" in out


def test_plain_nii_files(generate: Run, database: Path, master: Path) -> None:
    build.write_pair(database, suffix=".nii")
    assert generate(database, master, *EXACT)[0] == 0
    assert np.array_equal(picture(master / f"images/{NAME}.png")[3:13], IMAGE)


@pytest.mark.parametrize("given", ["", "database_nifti", "CAMUS_public/database_nifti"])
def test_the_database_is_found_inside_the_folder_given(
    generate: Run, tmp_path: Path, given: str
) -> None:
    build.write_pair(tmp_path / "data" / given)
    assert generate(tmp_path / "data", tmp_path / "master")[0] == 0


@pytest.mark.parametrize(
    "place",
    [
        "CAMUS_public/database_nifti",
        "database_nifti",
        "CAMUS_public",  # unpacked one folder too shallow,
        "CAMUS_public/CAMUS_public/database_nifti",  # or too deep
        "database_nifti/database_nifti",
    ],
)
def test_default_places(
    generate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    build.write_pair(tmp_path / place)
    monkeypatch.chdir(tmp_path)
    assert generate()[0] == 0
    assert (tmp_path / f"CAMUS-master/images/{NAME}.jpg").exists()


def test_second_run_writes_nothing(generate: Run, database: Path, master: Path) -> None:
    build.write_pair(database)
    generate(database, master, "--mirror")
    before = build.tree(master)
    times = {path: path.stat().st_mtime_ns for path in master.glob("*/*")}
    code, out, _ = generate(database, master, "--mirror")
    assert code == 0 and "0 pairs written, 2 already there" in out
    assert build.tree(master) == before
    assert times == {path: path.stat().st_mtime_ns for path in master.glob("*/*")}


def test_an_interrupted_run_is_completed(
    generate: Run, database: Path, master: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        build.write_pair(database, f"patient000{number}_2CH_ED")
    generate(database, tmp_path / "undisturbed")
    written: list[Path] = []

    def interrupt(path: Path, data: bytes, time: float | None = None) -> None:
        if len(written) == 7:
            (path.parent / f"{shared.PARTIAL}1-1").write_bytes(b"half a fi")
            raise KeyboardInterrupt
        written.append(path)
        shared.write_whole(path, data, time)

    with monkeypatch.context() as patch:
        patch.setattr(script, "write_whole", interrupt)
        code, out, err = generate(database, master, "--jobs", 1)
    assert (code, out) == (130, "")
    assert (
        err.endswith("interrupted: run the same command again to finish\n") and err.count("\n") == 1
    )
    assert not (master / "metadata.csv").exists()
    (master / written[0]).write_bytes(b"")  # as after a power cut
    code, out, _ = generate(database, master)
    assert code == 0 and "already there" in out and "0 already there" not in out
    assert build.tree(master) == build.tree(tmp_path / "undisturbed")


def test_a_source_that_changed_is_converted_again(
    generate: Run, database: Path, master: Path, tmp_path: Path
) -> None:
    folder = build.write_pair(database)
    build.write_pair(database, "patient0002_2CH_ED")
    generate(database, master)
    build.write_pair(database, image=IMAGE[:, :7] + 9, mask=MASK[:, :7])
    os.utime(folder / f"{NAME}.nii.gz", (0, 0))  # as an archive gives its files old times
    for path in (master / "images").iterdir():  # and the disk's clock ticks coarsely
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - (NAME in path.name)))
    code, out, _ = generate(database, master)
    assert code == 0 and "1 pairs written, 1 already there" in out
    generate(database, tmp_path / "undisturbed")
    assert build.tree(master) == build.tree(tmp_path / "undisturbed")


@pytest.mark.parametrize("kind", ["no mask", "cut", "label"])
def test_a_source_that_broke_later_leaves_no_pair_behind(
    generate: Run, split: Run, database: Path, master: Path, tmp_path: Path, kind: str
) -> None:
    folder = build.write_pair(database)
    for patient in (2, 3, 4):
        build.write_pair(database, f"patient000{patient}_2CH_ED")
    generate(database, master)
    broken(kind, folder)
    for path in (master / "images").iterdir():
        os.utime(path, (0, path.stat().st_mtime - (NAME in path.name)))
    assert generate(database, master)[0] == 1
    assert generate(database, tmp_path / "undisturbed")[0] == 1
    assert build.tree(master) == build.tree(tmp_path / "undisturbed")
    assert split(master, tmp_path / "dataset")[0] == 0


def test_a_sequence_is_written_whole_or_not_at_all(
    generate: Run, split: Run, database: Path, master: Path
) -> None:
    """Its last mask does not survive JPG at a low quality, the others are plain."""
    name, masks = "patient0001_2CH_half_sequence", [0 * MASK, 0 * MASK, MASK]
    build.write_pair(database, name, [IMAGE] * 3, masks)
    code, out, err = generate(
        database, master, "--frames", "sequence", "--quality", 3, "--size", 350
    )
    assert code == 1 and err.startswith(f"{name}: the mask does not survive JPG")
    assert "0 pairs written" in out and not list((master / "images").iterdir())


@pytest.mark.parametrize("suffix", ["", "_gt"])
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: gzip.compress(data + b"\0"), "goes on after the data"),
        (lambda data: gzip.compress(data)[:-1], "cut short"),
        (lambda data: gzip.compress(data)[:-8] + bytes(8), "incorrect data check"),
    ],
)
def test_a_file_bad_at_its_very_end_gives_no_pair(
    generate: Run,
    database: Path,
    master: Path,
    suffix: str,
    damage: Callable[[bytes], bytes],
    reason: str,
) -> None:
    """And that is the reason given, though JPG cannot hold its masks either."""
    name = "patient0001_2CH_half_sequence"
    path = build.write_pair(database, name, [IMAGE] * 3, [MASK] * 3) / f"{name}{suffix}.nii.gz"
    path.write_bytes(damage(gzip.decompress(path.read_bytes())))
    options = ("--frames", "sequence", "--quality", 3, "--size", 350)
    code, out, err = generate(database, master, *options)
    assert code == 1 and err.startswith(f"{name}: {path.name}: ") and reason in err
    assert "0 pairs written" in out and not list((master / "images").iterdir())


def test_only_the_missing_frames_of_a_sequence_are_written_again(
    generate: Run, database: Path, master: Path
) -> None:
    build.write_pair(database, "patient0001_2CH_half_sequence", [IMAGE] * 6, [MASK] * 6)
    options = ("--frames", "sequence", "--mirror", "--size", 64)
    assert generate(database, master, *options)[0] == 0
    before = build.tree(master)
    kept = {
        path: path.stat().st_ino for path in master.glob("*/*.jpg") if "frame03" not in path.name
    }
    for path in master.glob("*/*frame03.jpg"):
        path.rename(database / path.name)  # so that its inode is not free
    code, out, _ = generate(database, master, *options)
    assert code == 0 and "2 pairs written, 10 already there" in out
    assert build.tree(master) == before
    assert kept == {path: path.stat().st_ino for path in kept}


def test_output_depends_on_input_and_options_alone(
    generate: Run, database: Path, tmp_path: Path
) -> None:
    for number in range(5):
        build.write_pair(database, f"patient000{number}_2CH_ED")
    generate(database, tmp_path / "one", "--jobs", 1)
    generate(database, tmp_path / "elsewhere" / "other", "--jobs", 4)
    assert build.tree(tmp_path / "one") == build.tree(tmp_path / "elsewhere" / "other")


def test_other_settings_are_refused_until_overwrite(
    generate: Run, database: Path, master: Path
) -> None:
    build.write_pair(database)
    generate(database, master)
    before = build.tree(master)
    code, out, err = generate(database, master, "--masks", "index", "--size", 64)
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert "was made with masks gray, size 512" in err and "--overwrite" in err
    assert build.tree(master) == before
    assert generate(database, master, "--masks", "index", "--overwrite")[0] == 0
    assert sorted(build.tree(master)) == [
        "dataset.json", f"images/{NAME}.jpg", f"masks/{NAME}.png", "metadata.csv",
    ]  # fmt: skip


def test_another_database_is_refused(
    generate: Run, database: Path, master: Path, tmp_path: Path
) -> None:
    build.write_pair(database)
    generate(database, master)
    build.write_pair(tmp_path / "other", "patient0002_2CH_ED")
    before = build.tree(master)
    code, _, err = generate(tmp_path / "other", master)
    assert code == 2 and f"holds images/{NAME}.jpg, which this database does not" in err
    assert build.tree(master) == before


def test_an_interrupted_overwrite_leaves_a_master_that_is_recognised(
    generate: Run, database: Path, master: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build.write_pair(database)
    generate(database, master)

    unlink, left = Path.unlink, [1]

    def interrupt(path: Path, missing_ok: bool = False) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", interrupt)
        assert generate(database, master, "--size", 64, "--overwrite")[0] == 130
    assert generate(database, master, "--size", 64, "--overwrite")[0] == 0
    assert picture(master / f"images/{NAME}.jpg").shape == (64, 64)


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
@pytest.mark.parametrize(
    "foreign", ["thesis.docx", "images/holiday.jpg", "images/sub/x.jpg", "dataset.json", "link"]
)
@pytest.mark.parametrize("ours", [False, True])
def test_folders_of_someone_else_are_never_touched(
    generate: Run,
    database: Path,
    master: Path,
    tmp_path: Path,
    options: tuple[str],
    foreign: str,
    ours: bool,
) -> None:
    build.write_pair(database)
    if ours:
        generate(database, master)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / f"{NAME}.jpg").write_bytes(b"precious")
    if foreign == "link":
        (master / "images").mkdir(parents=True, exist_ok=True)
        for path in (master / "images").iterdir():
            path.unlink()
        (master / "images").rmdir()
        (master / "images").symlink_to(tmp_path / "precious")
    else:
        (master / foreign).parent.mkdir(parents=True, exist_ok=True)
        (master / foreign).write_bytes(b'{"made_by": "someone else"}')
    before = build.tree(tmp_path)
    code, _, err = generate(database, master, *options)
    assert code == 2 and err.count("\n") == 1 and "name another folder" in err
    assert build.tree(tmp_path) == before


def test_litter_in_the_master_is_passed_over(generate: Run, database: Path, master: Path) -> None:
    build.write_pair(database)
    generate(database, master)
    (master / "images" / ".DS_Store").write_bytes(b"litter")
    (master / "Thumbs.db").write_bytes(b"litter")
    assert generate(database, master, "--overwrite")[0] == 0
    assert (master / "images" / ".DS_Store").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--masks", "colour"), "invalid choice"),
        (("--structures", "rv"), "'rv' is none of lv, myo, la"),
        (("--quality", "0"), "'0' is no whole number 1 to 100"),
        (("--size", "big"), "'big' is no whole number"),
        (("--jobs", "0"), "no whole number"),
        (("--no-such-option",), "unrecognized"),
    ],
)
def test_wrong_use_takes_one_line(
    generate: Run, database: Path, arguments: Any, reason: str
) -> None:
    code, out, err = generate(database, *arguments)
    assert (code, out) == (2, "") and reason in err and "--help" in err and err.count("\n") == 1


def test_no_database(generate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments, reason in (((), "no patient folders in"), (("nowhere",), "is no folder")):
        code, out, err = generate(*arguments)
        assert (code, out) == (2, "") and reason in err and err.count("\n") == 1
    (tmp_path / "empty" / "patient0001").mkdir(parents=True)
    code, _, err = generate("empty")
    assert code == 2 and str(tmp_path / "empty") in err and "humanheart-project" in err
    assert "python generator/make_phantom_database.py demo/database_nifti" in err
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_half_a_download_is_named(generate: Run, database: Path, master: Path) -> None:
    build.write_pair(database)
    (database / "patient0002").mkdir()
    (database / "patient0003").mkdir()
    (database / "patient0003" / "patient0003_2CH_ED.nii.gz.part").write_bytes(b"half")
    code, out, err = generate(database, master)
    assert code == 1 and "1 pairs written, 0 already there, 2 failed" in out
    assert [line.split(":")[0] for line in err.splitlines()] == ["patient0002", "patient0003"]


def test_pairs_of_another_database_of_the_same_names_are_made_again(
    generate: Run, database: Path, master: Path, tmp_path: Path
) -> None:
    build.write_pair(database)
    generate(database, master, *EXACT)
    os.utime(build.write_pair(tmp_path / "b", image=255 - IMAGE) / f"{NAME}.nii.gz", (7, 7))
    code, out, _ = generate(tmp_path / "b", master, *EXACT)
    assert code == 0 and "1 pairs written" in out
    assert np.array_equal(picture(master / f"images/{NAME}.png")[3:13], 255 - IMAGE)
    assert (master / f"images/{NAME}.png").stat().st_mtime == 7


def test_the_release_stays_as_it_is(generate: Run, database: Path) -> None:
    build.write_pair(database)
    before = build.tree(database)
    code, _, err = generate(database, database / "CAMUS-master")
    assert code == 2 and "is in the database" in err and build.tree(database) == before


def test_an_unreadable_folder_is_named_and_the_rest_is_done(
    generate: Run, database: Path, master: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = build.write_pair(database)
    build.write_pair(database, "patient0002_2CH_ED")
    (database / "patient0002" / "Info_2CH.cfg").mkdir()  # cannot be read either
    build.write_pair(database, "patient0003_2CH_ED")
    listing = Path.iterdir

    def iterdir(path: Path) -> Any:
        if path == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    code, out, err = generate(database, master)
    assert code == 1 and "1 pairs written, 0 already there, 2 failed" in out
    assert sorted(path.name for path in (master / "images").iterdir()) == ["patient0003_2CH_ED.jpg"]
    assert err.splitlines() == [
        "patient0001: cannot be read (Permission denied)",
        "patient0002_2CH_ED: Info_2CH.cfg: cannot be read (Is a directory)",
    ]


def test_disk_full_takes_one_line_and_a_rerun_completes(
    generate: Run, database: Path, master: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        build.write_pair(database, f"patient000{number}_2CH_ED")
    room = [3]
    writing = Path.write_bytes

    def write_bytes(path: Path, data: bytes) -> int:
        room[0] -= 1
        if room[0] < 0:
            writing(path, data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        return writing(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", write_bytes)
        code, out, err = generate(database, master)
    assert (code, out) == (1, "") and err.count("\n") == 1
    assert "No space left on device: make room and run the same command again" in err
    there = build.tree(master)
    assert generate(database, master)[0] == 0
    assert len(build.tree(master)) == 10 and there.items() < build.tree(master).items()


def test_a_folder_that_cannot_be_written(
    generate: Run, database: Path, master: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build.write_pair(database)

    def write_bytes(path: Path, data: bytes) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    code, _, err = generate(database, master)
    assert code == 2 and "dataset.json: Permission denied" in err and err.count("\n") == 1


def test_nothing_to_convert(generate: Run, database: Path, master: Path) -> None:
    build.write_pair(database)
    code, _, err = generate(database, master, "--frames", "sequence")
    assert code == 2 and "no sequence frames" in err and "try --frames key" in err
    assert not master.exists()


def test_the_master_is_a_file(generate: Run, database: Path, tmp_path: Path) -> None:
    build.write_pair(database)
    (tmp_path / "file").write_bytes(b"mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        code, _, err = generate(database, path)
        assert code == 2 and "file" in err and err.count("\n") == 1
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_two_runs_at_once(generate: Run, database: Path, master: Path) -> None:
    build.write_pair(database)
    master.mkdir()
    with shared.sole_writer(master):
        code, _, err = generate(database, master)
    assert code == 2 and "another run is writing" in err
    assert not list(master.iterdir())
    assert generate(database, master)[0] == 0


def test_help_tells_every_option(generate: Run) -> None:
    code, out, _ = generate("--help")
    assert code == 0 and "example:" in out
    for action in script.arguments()._actions:
        assert action.help and all(name in out for name in action.option_strings)
