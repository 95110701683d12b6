"""The split as a user meets it: masters in, datasets and lines out."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import zipfile
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import split_master as script
from generator import make_phantom_database, pairs, pictures, shared, splits
from generator.pairs import Pair
from generator.pixels import Picture
from generator.splits import SUBSETS

from . import build
from .build import MASK
from .conftest import Run

SHARES = [Fraction("0.7"), Fraction("0.2"), Fraction("0.1")]
MASK_FILE = cv2.imencode(".png", MASK * np.uint8(85))[1].tobytes()
IMAGE_FILE = cv2.imencode(".jpg", build.IMAGE)[1].tobytes()


def make_master(
    master: Path, patients: int, mirrored: bool = False, facts: bool = False, seed: int = 0
) -> None:
    """A master of four pairs a patient; with facts, EF and qualities of any spread."""
    rng = random.Random(seed)
    rows = []
    for folder in ("images", "masks"):
        (master / folder).mkdir(parents=True, exist_ok=True)
    for number in range(1, patients + 1):
        ef = rng.choice([30, 45, 46, 50, 54, 55, 70])
        for view in ("2CH", "4CH"):
            quality = rng.choice(["Good", "Medium", "Poor"])
            for instant in ("ED", "ES"):
                for prefix in ("", "mirrored_")[: 1 + mirrored]:
                    name = f"{prefix}patient{number:04}_{view}_{instant}"
                    image, mask = f"images/{name}.jpg", f"masks/{name}.png"
                    (master / image).write_bytes(IMAGE_FILE + name.encode())
                    (master / mask).write_bytes(MASK_FILE + name.encode())
                    row = (image, mask, f"patient{number:04}", str(ef), quality)
                    rows.append(dict(zip(COLUMNS, row, strict=True)))
    if facts:
        with (master / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)


COLUMNS = ("file_name", "mask_file_name", "patient", "ef", "image_quality")


def patients_of(dataset: Path) -> dict[str, set[str]]:
    return {
        subset: {
            path.name.removeprefix("mirrored_").split("_")[0]
            for path in (dataset / subset / "images").iterdir()
        }
        for subset in SUBSETS
    }


def pairs_of(dataset: Path) -> dict[str, int]:
    return {subset: len(list((dataset / subset / "masks").iterdir())) for subset in SUBSETS}


def test_the_release_splits_350_100_50(split: Run, master: Path, dataset: Path) -> None:
    make_master(master, 500)
    code, out, err = split(master, dataset)
    assert (code, err) == (0, "")
    assert {subset: len(own) for subset, own in patients_of(dataset).items()} == {
        "train": 350, "valid": 100, "test": 50,
    }  # fmt: skip
    assert pairs_of(dataset) == {"train": 1400, "valid": 400, "test": 200}
    assert "patients     350     100      50" in out and "pairs       1400     400     200" in out
    assert len(set.union(*patients_of(dataset).values())) == 500


def test_files_are_the_masters_bytes_and_mirrored_copies_stay(
    split: Run, master: Path, dataset: Path
) -> None:
    make_master(master, 10, mirrored=True, facts=True)
    assert split(master, dataset)[0] == 0
    found = {}
    for subset in SUBSETS:
        with (dataset / subset / "metadata.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        files = build.tree(dataset / subset)
        del files["metadata.csv"]
        named = {row[name] for row in rows for name in ("file_name", "mask_file_name")}
        assert named == set(files)
        assert [row["file_name"] for row in rows] == sorted(row["file_name"] for row in rows)
        found.update(files)
    before = build.tree(master)
    del before["metadata.csv"]
    assert found == before
    assert sum(len(own) for own in patients_of(dataset).values()) == 10


def test_the_files_of_a_dataset(split: Run, master: Path, dataset: Path) -> None:
    make_master(master, 4)
    split(master, dataset, "--seed", 5)
    assert sorted(path.name for path in dataset.iterdir()) == [
        "dataset.json", "statistics.png", "test", "train", "train_images_samples.png",
        "train_masks_samples.png", "train_overlays_samples.png", "valid",
    ]  # fmt: skip
    for subset in SUBSETS:
        names = sorted(path.name for path in (dataset / subset).iterdir())
        assert names == ["images", "masks", "metadata.csv"]
    description = json.loads((dataset / "dataset.json").read_text())
    assert description["split"] == {
        "ratios": [0.7, 0.2, 0.1], "seed": 5, "by": "patient", "stratify": False,
    }  # fmt: skip
    assert description["subsets"]["train"] == {"pairs": 8, "patients": 2}
    split(master, dataset, "--overwrite", "--ratios", "0.5", "0.25", "0.25")
    description = json.loads((dataset / "dataset.json").read_text())
    assert description["split"] == {
        "ratios": [0.5, 0.25, 0.25], "seed": 0, "by": "patient", "stratify": False,
    }  # fmt: skip
    assert sorted(path.name for path in dataset.parent.iterdir()) == ["CAMUS master", "the dataset"]


def test_same_seed_same_tree(split: Run, master: Path, tmp_path: Path) -> None:
    make_master(master, 30)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert split(master, tmp_path / name, "--seed", seed)[0] == 0
    trees = [build.tree(tmp_path / name) for name in "abc"]
    assert trees[0] == trees[1]
    assert patients_of(tmp_path / "a") != patients_of(tmp_path / "c")


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
        assert all(
            abs(size - total * ratio) <= 1 for size, ratio in zip(sizes, ratios, strict=True)
        )


@given(st.integers(1, 400), weights, st.data())
def test_every_run_of_a_deal_holds_its_share(
    total: int, weight: tuple[int, ...], data: st.DataObject
) -> None:
    sizes = splits.subset_sizes(total, [Fraction(w, sum(weight)) for w in weight])
    keys = [str(number) for number in range(total)]
    dealt = splits.deal(keys, sizes)
    assert [Counter(dealt.values())[i] for i in range(3)] == sizes
    start = data.draw(st.integers(0, total - 1))
    end = data.draw(st.integers(start, total))
    run = Counter(dealt[key] for key in keys[start:end])
    for i, size in enumerate(sizes):
        assert abs(run[i] - Fraction(size * (end - start), total)) < 2


def test_by_pair(split: Run, master: Path, dataset: Path) -> None:
    make_master(master, 20, mirrored=True)
    code, out, _ = split(master, dataset, "--by", "pair")
    assert code == 0 and pairs_of(dataset) == {"train": 112, "valid": 32, "test": 16}
    several = Counter(patient for own in patients_of(dataset).values() for patient in own)
    count = sum(number > 1 for number in several.values())
    assert count > 0 and f"patients may stand in several subsets: {count} of 20 do" in out
    for subset in SUBSETS:
        names = [path.name for path in (dataset / subset / "images").iterdir()]
        plain = {name for name in names if not name.startswith("mirrored_")}
        assert {f"mirrored_{name}" for name in plain} == set(names) - plain


def write_lists(folder: Path, **groups: str) -> Path:
    folder.mkdir()
    for name, patients in groups.items():
        (folder / f"subgroup_{name}.txt").write_text(patients)
    return folder


def test_official(split: Run, master: Path, dataset: Path, tmp_path: Path) -> None:
    make_master(master, 3)
    lists = write_lists(
        tmp_path / "database_split",
        training="patient0002\npatient0009\r\n", validation="patient0003", testing="patient0001\n",
    )  # fmt: skip
    code, out, _ = split(master, dataset, "--official", lists)
    assert code == 0 and "1 of the listed patients are not in this master" in out
    assert patients_of(dataset) == {
        "train": {"patient0002"}, "valid": {"patient0003"}, "test": {"patient0001"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        ({"training": "patient0001", "validation": "", "testing": ""}, "patient0002 is in no list"),
        (
            {"training": "patient0001 patient0002", "validation": "patient0002", "testing": ""},
            "patient0002 is in two lists",
        ),
        ({"training": "patient0001 patient0002", "validation": ""}, "no .*subgroup_testing.txt"),
    ],
)
def test_wrong_lists(
    split: Run, master: Path, dataset: Path, tmp_path: Path, groups: dict[str, str], reason: str
) -> None:
    make_master(master, 2)
    code, out, err = split(master, dataset, "--official", write_lists(tmp_path / "l", **groups))
    assert (code, out) == (2, "") and err.count("\n") == 1
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(err)
    assert not dataset.exists()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_stratify_500_patients(split: Run, master: Path, dataset: Path, seed: int) -> None:
    make_master(master, 500, facts=True, seed=seed)
    code, out, _ = split(master, dataset, "--stratify", "--link", "--seed", seed)
    assert code == 0
    strata: dict[str, Counter[str]] = {}
    for subset in SUBSETS:
        with (dataset / subset / "metadata.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        quality: dict[str, int] = {}
        for row in rows:
            rank = ["Good", "Medium", "Poor"].index(row["image_quality"])
            quality[row["patient"]] = max(rank, quality.get(row["patient"], 0))
        for patient, ef in {row["patient"]: int(row["ef"]) for row in rows}.items():
            band = "low" if ef <= 45 else "middle" if ef < 55 else "high"
            strata.setdefault(f"{band} {quality[patient]}", Counter())[subset] += 1
    assert len(strata) == 9
    for counts in strata.values():
        for subset, share in zip(SUBSETS, SHARES, strict=True):
            assert abs(counts[subset] - counts.total() * share) <= 2
    assert {s: len(own) for s, own in patients_of(dataset).items()} == {
        "train": 350, "valid": 100, "test": 50,
    }  # fmt: skip
    table = [line for line in out.splitlines() if line.startswith("EF")]
    assert len(table) == 9
    assert table[0].startswith("EF to 45, Good") and table[-1].startswith("EF from 55, Poor")
    assert sorted(int(line.split()[-3]) for line in table) == sorted(
        counts["train"] for counts in strata.values()
    )


def test_stratify_without_metadata_is_refused(split: Run, master: Path, dataset: Path) -> None:
    make_master(master, 5)
    code, _, err = split(master, dataset, "--stratify")
    assert code == 2 and "leave --stratify out" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("ef", "band"),
    [("45", 0), ("45.1", 1), ("54.9", 1), ("55", 2), ("", None), ("n/a", None), ("nan", None)],
)
def test_ef_bands(ef: str, band: int | None) -> None:
    expected = splits.UNKNOWN if band is None else splits.EF_BANDS[band]
    assert splits.ef_band([{"ef": ef}]) == expected


def test_link(split: Run, master: Path, dataset: Path, tmp_path: Path, monkeypatch: Any) -> None:
    make_master(master, 3)
    assert split(master, dataset, "--link")[0] == 0
    path = next((dataset / "train" / "images").iterdir())
    assert path.samefile(master / "images" / path.name)

    def cannot(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", cannot)
    assert split(master, tmp_path / "copied", "--link")[0] == 0
    assert build.tree(tmp_path / "copied") == build.tree(dataset)
    assert not (tmp_path / "copied/train/images" / path.name).samefile(path)


def test_zip_unpacks_to_the_same_tree(split: Run, master: Path, tmp_path: Path) -> None:
    make_master(master, 3)
    for name in ("one", "another"):
        assert split(master, tmp_path / name, "--zip")[0] == 0
    shutil.unpack_archive(tmp_path / "one.zip", tmp_path / "unpacked")
    assert build.tree(tmp_path / "unpacked") == build.tree(tmp_path / "one")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "another.zip").read_bytes()
    assert (tmp_path / "unpacked" / "dataset.json").stat().st_mode & 0o777 == 0o644
    code, _, err = split(master, tmp_path / "one", "--zip")
    assert code == 2 and "one is there already" in err
    assert split(master, tmp_path / "one", "--zip", "--overwrite")[0] == 0
    code, _, err = split(master, tmp_path / "one", "--overwrite")  # and leave a ZIP of another
    assert code == 2 and "replace it, too, with --zip --overwrite" in err
    with zipfile.ZipFile(tmp_path / "one.zip", "a") as file:
        file.writestr("model.pt", "a week of training")
    code, _, err = split(master, tmp_path / "one", "--zip", "--overwrite")
    assert code == 2 and "one.zip is not of this script's making" in err
    shutil.rmtree(tmp_path / "another")
    assert split(master, tmp_path / "another")[0] == 0
    assert (tmp_path / "another.zip").exists()  # not asked to replace anything
    shutil.rmtree(tmp_path / "another")
    with zipfile.ZipFile(tmp_path / "another.zip", "w") as file:
        file.writestr("mine.txt", "mine")
    before = (tmp_path / "another.zip").read_bytes()
    code, _, err = split(master, tmp_path / "another", "--zip", "--overwrite")
    assert code == 2 and "another.zip is not of this script's making" in err
    assert (tmp_path / "another.zip").read_bytes() == before


def test_overwrite_replaces_only_what_is_ours(split: Run, master: Path, dataset: Path) -> None:
    make_master(master, 5)
    split(master, dataset)
    before = build.tree(dataset)
    code, _, err = split(master, dataset, "--seed", 9)
    assert code == 2 and "--overwrite" in err and build.tree(dataset) == before
    assert split(master, dataset, "--seed", 9, "--overwrite")[0] == 0
    assert build.tree(dataset) != before
    for name in ("train/weights.pt", "valid/masks/corrected.png", "test/images/notes.txt"):
        (dataset / name).write_bytes(b"a week of work")
        before = build.tree(dataset)
        code, _, err = split(master, dataset, "--overwrite")
        assert code == 2 and name in err and err.count("\n") == 1
        assert build.tree(dataset) == before
        (dataset / name).unlink()


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_folders_of_someone_else_are_refused(
    split: Run, master: Path, tmp_path: Path, options: tuple[str]
) -> None:
    make_master(master, 3)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_bytes(b"me")
    (tmp_path / "file").write_bytes(b"mine")
    before = build.tree(tmp_path)
    for place in ("photos", "file", master.name, f"{master.name}/inside", ""):
        code, _, err = split(master, tmp_path / place, *options)
        assert code == 2 and "name another folder" in err and err.count("\n") == 1
        assert build.tree(tmp_path) == before


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_what_came_while_it_was_built_is_not_replaced(
    split: Run, master: Path, dataset: Path, options: tuple[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_master(master, 3)
    build_whole = script.build

    def meanwhile(*arguments: Any) -> None:
        build_whole(*arguments)
        dataset.mkdir()
        (dataset / "mine.txt").write_bytes(b"mine")

    monkeypatch.setattr(script, "build", meanwhile)
    code, _, err = split(master, dataset, *options)
    assert code == 2 and "was not made by this script" in err
    assert build.tree(dataset) == {"mine.txt": b"mine"}


def test_an_empty_folder_is_taken(split: Run, master: Path, dataset: Path) -> None:
    make_master(master, 3)
    dataset.mkdir()
    assert split(master, dataset)[0] == 0


@pytest.mark.parametrize("moment", range(11))
def test_an_interruption_leaves_the_old_dataset_or_the_new_one(
    split: Run, master: Path, dataset: Path, moment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_master(master, 3)
    split(master, dataset)
    before = build.tree(dataset)
    calls = iter(range(100))
    replace = Path.replace

    def interrupt(path: Path, target: Path) -> Path:
        if next(calls) == moment:
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupt)
        code, _, _ = split(master, dataset, "--seed", 1, "--overwrite")
    split(master, dataset.with_name("new"), "--seed", 1)
    new = build.tree(dataset.with_name("new"))
    assert (code, build.tree(dataset)) in ((130, before), (0, new))
    shutil.rmtree(dataset.with_name("new"))
    assert {path.name for path in dataset.parent.iterdir()} == {master.name, dataset.name}


def test_an_earlier_dataset_whose_metadata_is_damaged_is_refused(
    split: Run, master: Path, dataset: Path
) -> None:
    make_master(master, 3)
    split(master, dataset)
    (dataset / "valid" / "metadata.csv").write_text("a" * 200_000)
    before = build.tree(dataset)
    code, _, err = split(master, dataset, "--overwrite")
    assert code == 2 and "metadata.csv cannot be read" in err and err.count("\n") == 1
    assert build.tree(dataset) == before


def test_what_a_killed_run_left_is_cleaned_up(split: Run, master: Path, dataset: Path) -> None:
    make_master(master, 3)
    split(master, dataset)
    before = build.tree(dataset)
    left_over = dataset.parent / f"{shared.PARTIAL}{dataset.name}"
    (left_over / "new").mkdir(parents=True)
    dataset.replace(left_over / "old")  # killed between the two moves
    code, _, err = split(master, dataset, "--seed", 1)
    assert code == 2 and "is there already" in err  # put back, and not replaced unasked
    assert build.tree(dataset) == before
    assert not left_over.exists()
    (left_over / "new" / "train" / "images").mkdir(parents=True)  # killed while building
    (left_over / "zip").write_bytes(b"half of one")
    assert split(master, dataset, "--overwrite")[0] == 0
    assert build.tree(dataset) == before
    assert not left_over.exists() and not dataset.with_name(f"{dataset.name}.zip").exists()


def test_a_master_of_another_tool(split: Run, master: Path, dataset: Path) -> None:
    make_master(master, 10)
    (master / "images" / "Thumbs.db").write_bytes(b"litter")
    assert split(master, dataset)[0] == 0
    with (dataset / "train" / "metadata.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert row["patient"] in row["file_name"] and row["mask_file_name"].startswith("masks/")


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("patient0001_2CH_ED", "patient0001"),
        ("mirrored_patient0001_4CH_ES", "patient0001"),
        ("patient_Müller_2CH_ED", "patient_müller"),
        ("patient0007_half_sequence_2CH_12", "patient0007"),
        ("patient0001_ED_2CH", "patient0001"),
        ("patient1_frame3_4CH", "patient0001"),
        ("ED of PATIENT 12", "patient0012"),
        ("mirrored_patient_Zoë_4CH_half_sequence_frame07", "patient_zoë"),
        ("img_patient0003-view4", "patient0003"),
        ("inpatient3_patient4", "patient0004"),
    ],
)
def test_patients_are_read_off_names(name: str, patient: str) -> None:
    assert pairs._patient(Path(), f"images/{name}.jpg") == patient


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("image", "masks/patient0001_2CH_ED.png has no image of its own"),
        ("mask", "images/patient0001_2CH_ED.jpg has no mask"),
        ("name", "images/xyz.jpg names no patient"),
        ("mask twice", "masks/patient0001_2CH_ED.tif has no image of its own"),
        ("image twice", "masks/patient0001_2CH_ED.png belongs to several images"),
        ("empty", ".jpg is not a picture"),
    ],
)
def test_broken_masters_are_refused_before_anything_is_written(
    split: Run, master: Path, dataset: Path, broken: str, reason: str
) -> None:
    make_master(master, 3)
    image, mask = master / "images/patient0001_2CH_ED.jpg", master / "masks/patient0001_2CH_ED.png"
    match broken:
        case "image":
            image.unlink()
        case "mask":
            mask.unlink()
        case "name":
            image.rename(master / "images/xyz.jpg")
            mask.rename(master / "masks/xyz.png")
        case "image twice":
            (master / "images/patient0001_2CH_ED.tif").write_bytes(b"x")
        case "mask twice":
            (master / "masks/patient0001_2CH_ED.tif").write_bytes(b"x")
        case "empty":
            for path in (master / "images").iterdir():
                path.write_bytes(b"")
    code, _, err = split(master, dataset)
    assert code == 2 and err.count("\n") == 1
    assert reason in err
    assert {path.name for path in dataset.parent.iterdir()} == {master.name}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file_name,patient\nimages/patient0001_2CH_ED.jpg,patient0001\n", "row 1 does not tell"),
        ("file_name,mask_file_name,patient\na,b,\n", "row 1 does not tell"),
        ("file_name,mask_file_name,patient\na,b,c,d\n", "row 1 does not tell"),
        ("file_name,mask_file_name,patient\na,b,c\n", "is not in metadata.csv"),
        ("a" * 200_000, "cannot be read (field larger"),
        ("\0", "metadata.csv"),
    ],
)
def test_a_metadata_file_that_tells_too_little_is_refused(
    split: Run, master: Path, dataset: Path, text: str, reason: str
) -> None:
    make_master(master, 1)
    (master / "metadata.csv").write_text(text)
    code, out, err = split(master, dataset)
    assert (code, out) == (2, "") and reason in err and err.count("\n") == 1


def test_metadata_may_come_from_a_spreadsheet(split: Run, master: Path, dataset: Path) -> None:
    make_master(master, 3, facts=True)
    text = (master / "metadata.csv").read_text()
    (master / "metadata.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert split(master, dataset)[0] == 0


@pytest.mark.parametrize(
    "text", ["null", "[]", '{"settings": "x"}', '{"settings": {"masks": [1]}}']
)
def test_an_odd_dataset_json_does_no_harm(
    split: Run, master: Path, dataset: Path, text: str
) -> None:
    make_master(master, 3)
    (master / "dataset.json").write_text(text)
    assert split(master, dataset)[0] == 0


def test_an_unfinished_master_is_refused(
    generate: Run, split: Run, database: Path, master: Path, dataset: Path
) -> None:
    build.write_pair(database)
    generate(database, master)
    (master / "metadata.csv").unlink()
    code, _, err = split(master, dataset)
    assert code == 2 and "is not finished" in err and not dataset.exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--ratios", "0.7", "0.2", "0.2"), "sum to 1.1"),
        (("--ratios", "0.7", "0.5", "-0.2"), "--ratios"),
        (("--ratios", "a", "b", "c"), "'a' is no share"),
        (("--ratios", "1/0", "0", "0"), "'1/0' is no share"),
        (("--ratios", "1e-99999999", "0", "1"), "is no share"),
        (("--official", "x", "--stratify"), "--official goes without"),
        (("--stratify", "--by", "pair"), "goes without --by pair"),
        (("--by", "view"), "invalid choice"),
    ],
)
def test_wrong_use_takes_one_line(split: Run, arguments: Any, reason: str) -> None:
    code, out, err = split(*arguments)
    assert (code, out) == (2, "") and reason in err and err.count("\n") == 1


def test_no_master(split: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = split()
    assert code == 2 and f"no images and masks in {tmp_path}/CAMUS-master or" in err
    for folder in ("images", "masks"):
        (tmp_path / "CAMUS-master" / folder).mkdir(parents=True)
    code, _, err = split()
    assert code == 2 and "has no pairs" in err


@pytest.mark.parametrize("place", ["CAMUS-master", "generator/CAMUS-master"])
def test_default_places(
    split: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_master(tmp_path / place, 3)
    assert split()[0] == 0
    assert pairs_of(tmp_path / "CAMUS_public-ImageMask-Dataset") == {s: 4 for s in SUBSETS}


def test_two_runs_at_once(split: Run, master: Path, dataset: Path) -> None:
    make_master(master, 3)
    for lock in (shared.workshop(dataset), shared.sole_writer(master)):  # the generator's
        with lock:
            code, _, err = split(master, dataset)
        assert code == 2 and "another run is writing" in err
    assert not dataset.exists()
    code, _, err = split(master, master / "sub" / "dataset")
    assert code == 2 and sorted(path.name for path in master.iterdir()) == ["images", "masks"]


def test_other_ratios(split: Run, master: Path, dataset: Path) -> None:
    make_master(master, 10)
    assert split(master, dataset, "--ratios", "1/2", "1/2", "0")[0] == 0
    assert pairs_of(dataset) == {"train": 20, "valid": 20, "test": 0}
    assert sorted(path.name for path in (dataset / "test").iterdir()) == ["images", "masks"]


def test_leakage_stops_a_dataset(
    split: Run, master: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deal gone wrong, here by a key that tells the views apart, must not get out."""
    make_master(master, 10)
    honest = splits.key_of
    monkeypatch.setattr(splits, "key_of", lambda pair, by: pair.image)
    monkeypatch.setattr(script, "check_leakage", _with(script.check_leakage, splits, honest))
    with pytest.raises(AssertionError, match="stands in"):
        split(master, dataset)
    assert not dataset.exists()


def _with(check: Any, module: Any, key_of: Any) -> Any:
    def checked(*arguments: Any) -> None:
        module.key_of = key_of
        check(*arguments)

    return checked


def test_sheets_are_spread_over_the_subset(
    split: Run, master: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_master(master, 40)
    shown: list[Path] = []
    read = pictures.read_picture

    def read_picture(path: Path) -> Picture:
        shown.append(path)
        return read(path)

    monkeypatch.setattr(pictures, "read_picture", read_picture)
    assert split(master, dataset)[0] == 0
    train = sorted(path.name for path in (dataset / "train" / "images").iterdir())
    places = [train.index(path.name) for path in shown[:18]]
    assert places[0] == 0 and places[-1] == len(train) - 1
    assert set(np.diff(places)) <= {6, 7}


def test_a_folder_of_links_is_linked_to_what_they_mean(
    split: Run, master: Path, dataset: Path, tmp_path: Path
) -> None:
    make_master(tmp_path / "real", 3)
    for path in sorted((tmp_path / "real").glob("*/*")):
        link = master / path.relative_to(tmp_path / "real")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path("..", "..", "real", link.parent.name, link.name))
    assert split(master, dataset, "--link")[0] == 0
    files = [
        path for path in dataset.glob("*/images/*") if path.is_file() and not path.is_symlink()
    ]
    assert len(files) == 12


def test_a_dataset_behind_a_link_stays_there(
    split: Run, master: Path, dataset: Path, tmp_path: Path
) -> None:
    make_master(master, 3)
    (tmp_path / "disk").mkdir()
    dataset.symlink_to(tmp_path / "disk" / "set")
    assert split(master, dataset)[0] == 0
    assert split(master, dataset, "--overwrite", "--seed", 1)[0] == 0
    assert dataset.is_symlink() and (tmp_path / "disk" / "set" / "train").is_dir()


def test_leakage_is_noticed_from_the_disk(tmp_path: Path) -> None:
    told = [Pair(f"images/{n}_2CH_ED.jpg", "", n, {}) for n in ("patient1", "patient2")]
    for subset in SUBSETS:
        (tmp_path / subset / "images").mkdir(parents=True)
    for subset in ("train", "test"):
        (tmp_path / subset / "images" / "patient1_2CH_ED.jpg").write_bytes(b"")
    with pytest.raises(AssertionError, match="patient1 stands in train and in test"):
        script.check_leakage(tmp_path, told, "patient")


def test_from_phantom_to_dataset(
    generate: Run, split: Run, tmp_path: Path, master: Path, dataset: Path
) -> None:
    """What was in the NIfTI is found again in the dataset, decoded as the README says."""
    database = tmp_path / "database_nifti"
    assert make_phantom_database.main([str(database), "--patients", "4", "--frames", "0"]) == 0
    assert generate(database, master)[0] == 0
    assert split(master, dataset)[0] == 0
    seen = 0
    for subset in SUBSETS:
        with (dataset / subset / "metadata.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                seen += 1
                mask = np.asarray(cv2.imread(str(dataset / subset / row["mask_file_name"]), 0))
                labels: Picture = np.rint(mask / 85).astype(np.uint8)
                name = Path(row["file_name"]).stem
                truth = nib.nifti1.load(database / row["patient"] / f"{name}_gt.nii.gz")
                original = np.asarray(truth.dataobj)
                pixel = float(row["spacing_x"]) * float(row["spacing_y"])
                for label in (1, 2, 3):
                    area = (original == label).sum() * 0.308**2
                    assert (labels == label).sum() * pixel == pytest.approx(area, rel=0.015)
    assert seen == 16


def test_help_tells_every_option(split: Run) -> None:
    code, out, _ = split("--help")
    assert code == 0 and "example:" in out
    for action in script.arguments()._actions:
        assert action.help and all(name in out for name in action.option_strings)
