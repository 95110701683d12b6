"""The split as a user meets it: masters in, datasets and lines out."""

import json
import os
import random
import re
import shutil
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import split_master as script
from camus import output, splits
from camus.splits import SUBSETS

from . import build
from .build import DATABASE, DATASET, IMAGE, MASK, MASTER, picture, rows
from .conftest import Run, refusal

SHARES = [Fraction("0.7"), Fraction("0.2"), Fraction("0.1")]
MASK_FILE = cv2.imencode(".png", MASK * np.uint8(85))[1].tobytes()
IMAGE_FILE = cv2.imencode(".jpg", IMAGE)[1].tobytes()
FIRST_IMAGE = MASTER / "images/patient0001_2CH_ED.jpg"
FIRST_MASK = MASTER / "masks/patient0001_2CH_ED.png"
PICTURES = [
    "statistics.png", "train_images_samples.png", "train_masks_samples.png",
    "train_overlays_samples.png",
]  # fmt: skip


def make_master(master: Path, patients: int, mirrored: bool = False, facts: bool = False) -> None:
    """A master of four pairs a patient; with facts, EF and qualities of any spread."""
    rng = random.Random(0)
    lines = ["file_name,mask_file_name,patient,ef,image_quality"]
    for folder in ("images", "masks"):
        (master / folder).mkdir(parents=True, exist_ok=True)
    for number in range(1, patients + 1):
        patient, ef = f"patient{number:04}", rng.choice([30, 45, 46, 50, 54, 55, 70])
        for view in ("2CH", "4CH"):
            quality = rng.choice(["Good", "Medium", "Poor"])
            for instant, prefix in product(("ED", "ES"), ("", "mirrored_")[: 1 + mirrored]):
                name = f"{prefix}{patient}_{view}_{instant}"
                image, mask = f"images/{name}.jpg", f"masks/{name}.png"
                (master / image).write_bytes(IMAGE_FILE + name.encode())
                (master / mask).write_bytes(MASK_FILE + name.encode())
                lines.append(f"{image},{mask},{patient},{ef},{quality}")
    if facts:
        (master / "metadata.csv").write_text("\n".join(lines) + "\n", newline="")


def names_of(dataset: Path) -> list[list[str]]:
    """The names of the images of train, valid and test."""
    return [sorted(path.name for path in (dataset / s / "images").iterdir()) for s in SUBSETS]


def patients_of(dataset: Path) -> list[set[str]]:
    """The patients of train, valid and test."""
    return [{name.removeprefix("mirrored_")[:11] for name in own} for own in names_of(dataset)]


def pairs_of(dataset: Path) -> list[int]:
    """The number of masks in train, valid and test."""
    return [len(list((dataset / subset / "masks").iterdir())) for subset in SUBSETS]


def test_the_release_splits_350_100_50(split: Run) -> None:
    make_master(MASTER, 500)
    code, out, err = split(MASTER, DATASET)
    assert (code, err) == (0, "")
    assert [len(own) for own in patients_of(DATASET)] == [350, 100, 50]
    assert len(set.union(*patients_of(DATASET))) == 500
    assert pairs_of(DATASET) == [1400, 400, 200]
    assert "patients     350     100      50" in out and "pairs       1400     400     200" in out


def test_files_and_rows_are_the_masters_and_mirrored_copies_stay(split: Run) -> None:
    make_master(MASTER, 10, mirrored=True, facts=True)
    assert split(MASTER, DATASET)[0] == 0
    found, found_rows = {}, []
    for subset in SUBSETS:
        files, own = build.tree(DATASET / subset), rows(DATASET / subset)
        del files["metadata.csv"]
        names = [row["file_name"] for row in own]
        assert sorted(names + [row["mask_file_name"] for row in own]) == sorted(files)
        assert names == sorted(names)
        found.update(files)
        found_rows += own
    before = build.tree(MASTER)
    del before["metadata.csv"]
    assert found == before
    whole = [{**row, "ef": f"{row['ef']}.0"} for row in rows(MASTER)]
    assert sorted(found_rows, key=str) == sorted(whole, key=str)
    assert sum(len(own) for own in patients_of(DATASET)) == 10


def test_the_files_of_a_dataset(split: Run) -> None:
    make_master(MASTER, 4)
    assert split(MASTER, DATASET, "--seed", 5)[0] == 0
    expected = {"README.md", "dataset.json", "test", "train", "valid", *PICTURES}
    assert {path.name for path in DATASET.iterdir()} == expected
    for subset in SUBSETS:
        names = {path.name for path in (DATASET / subset).iterdir()}
        assert names == {"images", "masks", "metadata.csv"}
    description = json.loads((DATASET / "dataset.json").read_text())
    how = {"ratios": [0.7, 0.2, 0.1], "seed": 5, "by": "patient", "stratify": False}
    assert description["split"] == how
    assert description["subsets"]["train"] == {"pairs": 8, "patients": 2}
    split(MASTER, DATASET, "--overwrite", "--ratios", "0.5", "0.25", "0.25")
    description = json.loads((DATASET / "dataset.json").read_text())
    assert description["split"] == {**how, "ratios": [0.5, 0.25, 0.25], "seed": 0}
    assert {path.name for path in DATASET.parent.iterdir()} == {MASTER.name, DATASET.name}


def test_same_seed_same_tree(split: Run) -> None:
    make_master(MASTER, 30)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert split(MASTER, name, "--seed", seed)[0] == 0
    trees = [build.tree(Path(name)) for name in "abc"]
    assert trees[0] == trees[1]
    assert patients_of(Path("a")) != patients_of(Path("c"))


def test_the_shuffle_is_the_same_everywhere() -> None:
    """Known beforehand: random.Random(0).random() is 0.84, 0.76, 0.42, 0.26 on every machine."""
    assert splits.shuffled(["d", "a", "c", "b", "a"], 0) == ["d", "c", "b", "a"]


@pytest.mark.parametrize(
    ("total", "sizes"),
    [(500, [350, 100, 50]), (10, [7, 2, 1]), (4, [2, 1, 1]), (3, [1, 1, 1]), (2, [1, 1, 0]),
     (1, [1, 0, 0]), (16, [11, 3, 2]), (0, [0, 0, 0])],
)  # fmt: skip
def test_subset_sizes(total: int, sizes: list[int]) -> None:
    assert splits.subset_sizes(total, SHARES) == sizes


weights = st.tuples(*[st.integers(0, 20)] * 3).filter(any)


@given(st.integers(0, 3000), weights)
def test_sizes_are_at_most_one_off(total: int, weight: tuple[int, ...]) -> None:
    ratios = [Fraction(w, sum(weight)) for w in weight]
    sizes = splits.subset_sizes(total, ratios)
    assert sum(sizes) == total
    assert all(size == 0 for size, ratio in zip(sizes, ratios, strict=True) if not ratio)
    if total >= 3:
        assert all(size > 0 for size, ratio in zip(sizes, ratios, strict=True) if ratio)
    if all(total * ratio >= 1 for ratio in ratios if ratio):
        for size, ratio in zip(sizes, ratios, strict=True):
            assert abs(size - total * ratio) <= 1


@given(st.integers(1, 400), weights, st.data())
def test_every_run_of_a_deal_holds_its_share(
    total: int, weight: tuple[int, ...], data: st.DataObject
) -> None:
    sizes = splits.subset_sizes(total, [Fraction(w, sum(weight)) for w in weight])
    keys = [str(number) for number in range(total)]
    dealt = splits.deal(keys, sizes)
    assert [Counter(dealt.values())[subset] for subset in SUBSETS] == sizes
    start = data.draw(st.integers(0, total - 1))
    end = data.draw(st.integers(start, total))
    run = Counter(dealt[key] for key in keys[start:end])
    for subset, size in zip(SUBSETS, sizes, strict=True):
        assert abs(run[subset] - Fraction(size * (end - start), total)) < 2


def test_by_pair(split: Run) -> None:
    make_master(MASTER, 20, mirrored=True)
    code, out, _ = split(MASTER, DATASET, "--by", "pair")
    assert code == 0 and pairs_of(DATASET) == [112, 32, 16]
    several = Counter(patient for own in patients_of(DATASET) for patient in own)
    count = sum(number > 1 for number in several.values())
    assert count > 0 and f"{count} of 20 patients are in several subsets" in out
    for names in names_of(DATASET):
        plain = [name for name in names if not name.startswith("mirrored_")]
        assert names == sorted(plain + [f"mirrored_{name}" for name in plain])


def write_lists(folder: Path, *lists: str) -> Path:
    """The authors' lists of training, validation and testing, or the first of them."""
    folder.mkdir()
    for name, patients in zip(("training", "validation", "testing"), lists, strict=False):
        (folder / f"subgroup_{name}.txt").write_text(patients)
    return folder


def test_official(split: Run) -> None:
    make_master(MASTER, 3)
    lists = "patient2\npatient0009\r\n", "patient0003", "patient0001\n"
    code, out, _ = split(MASTER, DATASET, "--official", write_lists(Path("lists"), *lists))
    assert code == 0 and "1 listed patient not in this master" in out
    assert patients_of(DATASET) == [{"patient0002"}, {"patient0003"}, {"patient0001"}]


@pytest.mark.parametrize(
    ("lists", "reason"),
    [
        (("patient0001", "", ""), "1 patient in no list of"),
        (("patient0001 patient0002", "patient0002", ""), "patient0002 is in two lists of"),
        (("patient0001 patient0002", ""), "subgroup_testing.txt"),
    ],
)
def test_wrong_lists(split: Run, lists: tuple[str, ...], reason: str) -> None:
    make_master(MASTER, 2)
    folder = write_lists(Path("lists"), *lists)
    assert reason in refusal(split(MASTER, DATASET, "--official", folder))
    assert not DATASET.exists()


def test_stratify_500_patients(split: Run) -> None:
    make_master(MASTER, 500, facts=True)
    assert split(MASTER, DATASET, "--stratify", "--link")[0] == 0
    strata: dict[Any, Counter[str]] = defaultdict(Counter)
    for subset in SUBSETS:
        worst: dict[str, int] = defaultdict(int)
        band = {}
        for row in rows(DATASET / subset):
            rank, ef = ["Good", "Medium", "Poor"].index(row["image_quality"]), float(row["ef"])
            worst[row["patient"]] = max(rank, worst[row["patient"]])
            band[row["patient"]] = "low" if ef <= 45 else "middle" if ef < 55 else "high"
        for patient in band:
            strata[band[patient], worst[patient]][subset] += 1
    assert len(strata) == 9
    for counts in strata.values():
        for subset, share in zip(SUBSETS, SHARES, strict=True):
            assert abs(counts[subset] - counts.total() * share) < 2
    assert [len(own) for own in patients_of(DATASET)] == [350, 100, 50]


def test_stratify_without_metadata_is_refused(split: Run) -> None:
    make_master(MASTER, 5)
    assert "leave --stratify out" in refusal(split(MASTER, DATASET, "--stratify"))


@pytest.mark.parametrize(
    ("ef", "band"),
    [("45", 0), ("45.1", 1), ("54.9", 1), ("55", 2), ("", None)],
)
def test_ef_bands(ef: str, band: int | None) -> None:
    expected = splits.UNKNOWN if band is None else splits.EF_BANDS[band]
    assert splits.ef_band([{"ef": ef}]) == expected


def test_link(split: Run, monkeypatch: Any) -> None:
    make_master(MASTER, 3)
    assert split(MASTER, DATASET, "--link")[0] == 0
    path = next((DATASET / "train" / "images").iterdir())
    assert path.samefile(MASTER / "images" / path.name)

    def cannot(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", cannot)
    assert split(MASTER, "copied", "--link")[0] == 0
    assert build.tree(Path("copied")) == build.tree(DATASET)
    assert not (Path("copied/train/images") / path.name).samefile(path)


def test_zip_unpacks_to_the_same_tree(split: Run) -> None:
    make_master(MASTER, 3)
    for name in ("one", "another"):
        code, out, _ = split(MASTER, name, "--zip", "--ratios", 1, 0, 0)
        assert code == 0 and f"{name}.zip: written" in out
    shutil.unpack_archive(Path("one.zip"), Path("unpacked"))
    assert build.tree(Path("unpacked")) == build.tree(Path("one"))
    assert Path("unpacked/test/images").is_dir()  # though there is nothing in it
    assert Path("one.zip").read_bytes() == Path("another.zip").read_bytes()
    assert Path("unpacked/dataset.json").stat().st_mode & 0o777 == 0o644


def test_a_zip_never_disagrees_with_the_dataset_beside_it(split: Run) -> None:
    make_master(MASTER, 3)
    archive = Path(f"{DATASET}.zip")
    assert split(MASTER, DATASET, "--zip")[0] == 0
    before = archive.read_bytes()
    assert "is there already" in refusal(split(MASTER, DATASET, "--seed", 1))
    assert archive.read_bytes() == before
    assert split(MASTER, DATASET, "--seed", 1, "--zip", "--overwrite")[0] == 0
    assert archive.read_bytes() != before
    code, out, _ = split(MASTER, DATASET, "--overwrite")
    assert code == 0 and f"{archive}: removed" in out and not archive.exists()
    assert split(MASTER, DATASET, "--zip", "--overwrite")[0] == 0
    shutil.rmtree(DATASET)
    assert f"{archive} is there already" in refusal(split(MASTER, DATASET))


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_zip_of_others_is_never_touched(split: Run, is_zip: bool) -> None:
    make_master(MASTER, 3)
    archive = Path(f"{DATASET}.zip")
    if is_zip:
        split(MASTER, DATASET, "--zip")
        with zipfile.ZipFile(archive, "a") as file:
            file.writestr("model.pt", "a week of training")
    else:
        archive.write_bytes(b"no zip at all")
    before = archive.read_bytes()
    line = refusal(split(MASTER, DATASET, "--zip", "--overwrite"))
    assert f"{archive} was not made by split_master" in line
    assert split(MASTER, DATASET, "--overwrite")[0] == 0
    assert archive.read_bytes() == before


def test_an_encrypted_zip_of_others_is_never_touched(split: Run) -> None:
    make_master(MASTER, 3)
    split(MASTER, DATASET, "--zip")
    archive = Path(f"{DATASET}.zip")
    data = archive.read_bytes()
    for start, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # set the bit for encryption
        parts = data.split(start)
        data = start.join([parts[0], *(p[: flags - 4] + b"\1" + p[flags - 3 :] for p in parts[1:])])
    archive.write_bytes(data)
    assert f"{archive} was not made by" in refusal(split(MASTER, DATASET, "--zip", "--overwrite"))
    assert archive.read_bytes() == data


def test_overwrite_replaces_only_what_is_ours(split: Run) -> None:
    make_master(MASTER, 5)
    split(MASTER, DATASET)
    before = build.tree(DATASET)
    assert "--overwrite" in refusal(split(MASTER, DATASET, "--seed", 9))
    assert build.tree(DATASET) == before
    assert split(MASTER, DATASET, "--seed", 9, "--overwrite")[0] == 0
    assert build.tree(DATASET) != before
    for foreign in ("train/images/holiday.jpg", "results.csv", "valid/model.pt"):
        (DATASET / foreign).write_bytes(b"mine")
        before = build.tree(DATASET)
        line = refusal(split(MASTER, DATASET, "--overwrite"))
        assert f"holds {foreign}, not made by split_master" in line
        assert build.tree(DATASET) == before
        (DATASET / foreign).unlink()


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_folders_of_someone_else_are_never_touched(split: Run, options: tuple[str, ...]) -> None:
    make_master(MASTER, 3)
    Path("photos").mkdir()
    Path("photos/me.jpg").write_bytes(b"me")
    Path("file").write_bytes(b"mine")
    before = build.tree(Path())
    for place in ("photos", "file", MASTER.name, f"{MASTER.name}/inside", ""):
        assert "choose another folder" in refusal(split(MASTER, place, *options))
        assert build.tree(Path()) == before


def test_an_earlier_dataset_whose_metadata_is_damaged_is_refused(split: Run) -> None:
    make_master(MASTER, 3)
    split(MASTER, DATASET)
    (DATASET / "valid" / "metadata.csv").write_text("a" * 200_000)
    before = build.tree(DATASET)
    assert "metadata.csv" in refusal(split(MASTER, DATASET, "--overwrite"))
    assert build.tree(DATASET) == before


def test_a_master_of_another_tool(split: Run) -> None:
    make_master(MASTER, 10)
    for name in ("images/Thumbs.db", "masks/.DS_Store", "images/.cache/x"):
        (MASTER / name).parent.mkdir(exist_ok=True)
        (MASTER / name).write_bytes(b"litter")
    assert split(MASTER, DATASET)[0] == 0
    row = rows(DATASET / "train")[0]
    assert row["patient"] == row["file_name"][7:18] and row["mask_file_name"].startswith("masks/")


@pytest.mark.parametrize(
    ("image", "mask"),
    [("x.png", "x_mask.png"), ("x.jpg", "x_GT.png"), ("x_0000.png", "x.png"), ("x.jpg", "x.bmp")],
)
def test_masks_are_found_by_usual_names(split: Run, image: str, mask: str) -> None:
    make_master(MASTER, 5)
    for path in sorted(MASTER.glob("*/*")):
        name = image if path.parent.name == "images" else mask
        path.rename(path.with_name(name.replace("x", path.stem, 1)))
    assert split(MASTER, DATASET)[0] == 0
    for row in rows(DATASET / "train"):
        stem = Path(row["file_name"]).stem.removesuffix("_0000")
        assert Path(row["mask_file_name"]).name == mask.replace("x", stem, 1)


def test_a_near_match_is_named(split: Run) -> None:
    make_master(MASTER, 2)
    FIRST_MASK.rename(FIRST_MASK.with_stem("patient0001_2CH_EDlabel"))
    line = refusal(split(MASTER, DATASET))
    assert f"{FIRST_IMAGE} has no mask" in line and "masks/patient0001_2CH_EDlabel.png" in line


def test_names_that_differ_in_case_alone_are_refused(split: Run) -> None:
    make_master(MASTER, 2)
    for path in (FIRST_IMAGE, FIRST_MASK):
        shutil.copy(path, path.with_stem("PATIENT0001_2CH_ED"))
    if len(list((MASTER / "images").iterdir())) == 8:
        pytest.skip("so they do on this disk")
    assert "which are one file on disks that" in refusal(split(MASTER, DATASET))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (FIRST_IMAGE.unlink, f"{FIRST_MASK} has no image"),
        (
            lambda: FIRST_MASK.with_suffix(".tif").write_bytes(b"x"),
            f"{FIRST_IMAGE} has several masks: masks/patient0001_2CH_ED.png",
        ),
        (
            lambda: FIRST_IMAGE.with_suffix(".tif").write_bytes(b"x"),
            f"{FIRST_MASK} belongs to several images",
        ),
        (lambda: FIRST_IMAGE.write_bytes(b""), f"{FIRST_IMAGE} is empty"),
        (lambda: os.mkfifo(MASTER / "images/x"), "images/x is a broken link or not a file"),
        (lambda: (MASTER / "images/x").symlink_to("gone"), "images/x is a broken link"),
        (
            lambda: [path.rename(path.with_stem("xyz")) for path in (FIRST_IMAGE, FIRST_MASK)],
            "the name xyz does not say for certain which patient",
        ),
    ],
)
def test_broken_masters_are_refused_before_anything_is_written(
    split: Run, spoil: Callable[[], object], reason: str
) -> None:
    make_master(MASTER, 3)
    spoil()
    assert reason in refusal(split(MASTER, DATASET))
    assert list(Path().iterdir()) == [MASTER]


HEAD = "file_name,mask_file_name,patient"
ROW = "images/patient0001_2CH_ED.jpg,masks/patient0001_2CH_ED.png,patient0001"
ROWS = [ROW.replace("2CH_ED", name) for name in ("2CH_ED", "2CH_ES", "4CH_ED", "4CH_ES")]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["file_name,patient", ROW], "has no column 'mask_file_name'"),
        ([], "has no column 'file_name'"),
        ([f"{HEAD},ef,EF,ef", f"{ROW},1,2,3"], "has the column 'ef' twice"),
        ([HEAD, "a,b,"], "line 2 has no patient"),
        ([HEAD, "a,b,c,d"], "line 2 has 4 values, not 3"),
        ([f"{HEAD},ef", f"{ROW},54 %"], "ED.jpg: ef is '54 %'"),
        ([f"{HEAD},ef", f'{ROW},"54,0"'], "ED.jpg: ef is '54,0'"),
        ([HEAD, ROW], "images/patient0001_2CH_ES.jpg is not in metadata.csv"),
        ([HEAD + ",note", ROW + ",M\udcfcller"], "is not in UTF-8: save it as UTF-8"),
        ([HEAD, *ROWS, ROW], "images/patient0001_2CH_ED.jpg has two lines in metadata.csv"),
        (["a" * 200_000], "is not a CSV file"),
        (["\0"], "metadata.csv"),
    ],
)
def test_a_metadata_file_that_tells_too_little_is_refused(
    split: Run, lines: list[str], reason: str
) -> None:
    make_master(MASTER, 1)
    (MASTER / "metadata.csv").write_bytes(os.fsencode("\n".join(lines)))
    assert reason in refusal(split(MASTER, DATASET))


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: re.sub(r"(\d\d);", r"\1,0;", text.replace(",", ";")),
        lambda text: text.replace(",", " , ").replace("\n", " \n"),
        lambda text: text.replace("images/", "images\\").replace("masks/", "masks\\"),
        lambda text: text.replace("\n", "\r\n") + ",,,,\n\n",
        lambda text: text.replace("D.png,patient0001", "D.png,Patient_1"),  # the same patient
    ],
)
def test_metadata_may_come_from_a_spreadsheet(split: Run, edit: Callable[[str], str]) -> None:
    make_master(MASTER, 10, facts=True)
    path = MASTER / "metadata.csv"
    assert split(MASTER, "plain", "--stratify")[0] == 0
    text = path.read_text()
    assert edit(text) != text
    path.write_text(edit(text), encoding="utf-8", newline="")
    assert split(MASTER, "edited", "--stratify")[0] == 0
    assert names_of(Path("edited")) == names_of(Path("plain"))


@pytest.mark.parametrize(
    ("key", "value"),
    [("labels", None), ("labels", [{"label": 1}]), ("settings", 3), ("phantom", "no"),
     ("labels", [{"label": 1, "name": "lv", "gray_level": "85"}]),
     ("labels", [{"label": 7, "name": "lv", "gray_level": 85}]), ("settings", {"views": 2})],
)  # fmt: skip
def test_a_dataset_json_changed_by_hand_is_refused(
    generate: Run, split: Run, key: str, value: Any
) -> None:
    build.write_pair(DATABASE)
    generate(DATABASE, MASTER)
    description = json.loads((MASTER / "dataset.json").read_text())
    (MASTER / "dataset.json").write_text(json.dumps({**description, key: value}))
    assert "dataset.json was changed" in refusal(split(MASTER, DATASET))
    (MASTER / "dataset.json").write_text('{"made_by"')
    assert "dataset.json is not JSON: correct it" in refusal(split(MASTER, DATASET))


@pytest.mark.parametrize(
    "text", ["null", "[]", '{"settings": "x"}', '{"settings": {"masks": [1]}}']
)
def test_an_odd_dataset_json_does_no_harm(split: Run, text: str) -> None:
    make_master(MASTER, 3)
    (MASTER / "dataset.json").write_text(text)
    assert split(MASTER, DATASET)[0] == 0


def test_an_unfinished_master_is_refused(generate: Run, split: Run) -> None:
    build.write_pair(DATABASE)
    generate(DATABASE, MASTER)
    (MASTER / "metadata.csv").unlink()
    assert "has no metadata.csv" in refusal(split(MASTER, DATASET))
    (MASTER / output.HIDDEN).mkdir()
    (MASTER / "dataset.json").rename(MASTER / output.HIDDEN / "dataset.json")
    assert "is not finished" in refusal(split(MASTER, DATASET)) and not DATASET.exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--ratios", "0.7", "0.2", "0.2"), "their sum is 1.1"),
        (("--ratios", "0.7", "0.5", "-0.2"), "--ratios"),
        (("--ratios", "nan", "0", "1"), "their sum is nan"),
        (("--official", "x", "--stratify"), "--official cannot be combined with"),
        (("--official", "x", "--seed", "0"), "--official cannot be combined with"),
        (("--stratify", "--by", "pair"), "cannot be combined with --by pair"),
    ],
)
def test_wrong_use_takes_one_line(split: Run, arguments: Any, reason: str) -> None:
    assert reason in refusal(split(*arguments))


@pytest.mark.parametrize(
    ("given", "folders", "reason"),
    [
        ((), "", "no CAMUS-master with images and masks here"),
        ((), "CAMUS-master/images CAMUS-master/masks", "has no pairs"),
        (("x",), "", "x is not a folder"),
        (("x",), "x/train", "is split already: it holds train"),
        (("x",), "x/patient0001/x.nii.gz", "holds NIfTI files, not pairs"),
        (("x",), "x/images", "does not hold the folders images and masks"),
    ],
)
def test_no_master(split: Run, given: tuple[str, ...], folders: str, reason: str) -> None:
    for folder in folders.split():
        Path(folder).mkdir(parents=True)
    assert reason in refusal(split(*given))


@pytest.mark.parametrize("place", ["CAMUS-master", "generator/CAMUS-master"])
def test_default_places(split: Run, place: str) -> None:
    make_master(Path(place), 3)
    assert split()[0] == 0
    assert pairs_of(Path("CAMUS_public-ImageMask-Dataset")) == [4, 4, 4]


def test_a_master_replaced_meanwhile_is_noticed(
    split: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_master(MASTER, 3, facts=True)
    write = script.write_subsets

    def meanwhile(*arguments: Any) -> None:
        write(*arguments)
        text = (MASTER / "metadata.csv").read_text()
        (MASTER / "metadata.csv").unlink()
        (MASTER / "metadata.csv").write_text(text)

    monkeypatch.setattr(script, "write_subsets", meanwhile)
    assert "was replaced meanwhile" in refusal(split(MASTER, DATASET)) and not DATASET.exists()


def test_other_ratios(split: Run) -> None:
    make_master(MASTER, 10)
    assert split(MASTER, DATASET, "--ratios", "0.5", "0.5", "0")[0] == 0
    assert pairs_of(DATASET) == [20, 20, 0]
    assert sorted(path.name for path in (DATASET / "test").iterdir()) == ["images", "masks"]


def test_a_folder_of_links_is_linked_to_what_they_mean(split: Run) -> None:
    make_master(Path("real"), 3)
    for path in sorted(Path("real").glob("*/*")):
        link = MASTER / path.relative_to(Path("real"))
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path("..", "..", "real", link.parent.name, link.name))
    assert split(MASTER, DATASET, "--link")[0] == 0
    copies = list(DATASET.glob("*/images/*"))
    assert len(copies) == 12 and not any(path.is_symlink() for path in copies)
    assert all(path.samefile(Path("real/images") / path.name) for path in copies)


def test_from_phantom_to_dataset(make_phantoms: Run, generate: Run, split: Run) -> None:
    """What was in the NIfTI is found again in the dataset, decoded as the README says."""
    assert make_phantoms(DATABASE, "--patients", 4)[0] == 0
    assert generate(DATABASE, MASTER)[0] == 0
    assert split(MASTER, DATASET)[0] == 0
    for subset in SUBSETS:
        for row in rows(DATASET / subset):
            labels = np.rint(picture(DATASET / subset / row["mask_file_name"]) / 85)
            name = f"{Path(row['file_name']).stem}_gt.nii.gz"
            truth = build.array(DATABASE / row["patient"] / name)
            pixel = float(row["spacing_x"]) * float(row["spacing_y"])
            for label in (1, 2, 3):
                area = (truth == label).sum() * 0.308**2
                assert (labels == label).sum() * pixel == pytest.approx(area, rel=0.005)
    found = [row for subset in SUBSETS for row in rows(DATASET / subset)]
    assert len(found) == 16 and sorted(found, key=str) == rows(MASTER)
