"""The split as a user meets it: masters in, datasets and lines out."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable
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
from camus import output, splits
from camus.splits import SUBSETS

from . import build
from .build import MASK, rows
from .conftest import Run

SHARES = [Fraction("0.7"), Fraction("0.2"), Fraction("0.1")]
MASK_FILE = cv2.imencode(".png", MASK * np.uint8(85))[1].tobytes()
IMAGE_FILE = cv2.imencode(".jpg", build.IMAGE)[1].tobytes()
COLUMNS = ("file_name", "mask_file_name", "patient", "ef", "image_quality")
PICTURES = [
    "statistics.png", "train_images_samples.png", "train_masks_samples.png",
    "train_overlays_samples.png",
]  # fmt: skip


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
        files = build.tree(dataset / subset)
        del files["metadata.csv"]
        names = [row["file_name"] for row in rows(dataset / subset)]
        masks = [row["mask_file_name"] for row in rows(dataset / subset)]
        assert sorted(names + masks) == sorted(files) and names == sorted(names)
        found.update(files)
    before = build.tree(master)
    del before["metadata.csv"]
    assert found == before
    assert sum(len(own) for own in patients_of(dataset).values()) == 10


def test_the_files_of_a_dataset(split: Run, master: Path, dataset: Path) -> None:
    make_master(master, 4)
    assert split(master, dataset, "--seed", 5)[0] == 0
    expected = ["README.md", "dataset.json", "test", "train", "valid", *PICTURES]
    assert sorted(path.name for path in dataset.iterdir()) == sorted(expected)
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
    assert [Counter(dealt.values())[subset] for subset in SUBSETS] == sizes
    start = data.draw(st.integers(0, total - 1))
    end = data.draw(st.integers(start, total))
    run = Counter(dealt[key] for key in keys[start:end])
    for subset, size in zip(SUBSETS, sizes, strict=True):
        assert abs(run[subset] - Fraction(size * (end - start), total)) < 2


def test_by_pair(split: Run, master: Path, dataset: Path) -> None:
    make_master(master, 20, mirrored=True)
    code, out, _ = split(master, dataset, "--by", "pair")
    assert code == 0 and pairs_of(dataset) == {"train": 112, "valid": 32, "test": 16}
    several = Counter(patient for own in patients_of(dataset).values() for patient in own)
    count = sum(number > 1 for number in several.values())
    assert count > 0 and f"{count} of 20 patients are in several subsets" in out
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
        training="patient2\npatient0009\r\n", validation="patient0003", testing="patient0001\n",
    )  # fmt: skip
    code, out, _ = split(master, dataset, "--official", lists)
    assert code == 0 and "1 listed patient not in this master" in out
    assert patients_of(dataset) == {
        "train": {"patient0002"}, "valid": {"patient0003"}, "test": {"patient0001"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        ({"training": "patient0001", "validation": "", "testing": ""}, "1 patient in no list of"),
        (
            {"training": "patient0001 patient0002", "validation": "patient0002", "testing": ""},
            "patient0002 is in two lists of",
        ),
        (
            {"training": "patient0001 patient0002", "validation": ""},
            "there is no .*subgroup_testing.txt",
        ),
    ],
)
def test_wrong_lists(
    split: Run, master: Path, dataset: Path, tmp_path: Path, groups: dict[str, str], reason: str
) -> None:
    make_master(master, 2)
    code, out, err = split(master, dataset, "--official", write_lists(tmp_path / "l", **groups))
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert re.search(reason, err) and not dataset.exists()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_stratify_500_patients(split: Run, master: Path, dataset: Path, seed: int) -> None:
    make_master(master, 500, facts=True, seed=seed)
    code, out, _ = split(master, dataset, "--stratify", "--link", "--seed", seed)
    assert code == 0
    strata: dict[str, Counter[str]] = {}
    for subset in SUBSETS:
        quality: dict[str, int] = {}
        efs: dict[str, float] = {}
        for row in rows(dataset / subset):
            rank = ["Good", "Medium", "Poor"].index(row["image_quality"])
            quality[row["patient"]] = max(rank, quality.get(row["patient"], 0))
            efs[row["patient"]] = float(row["ef"])
        for patient, ef in efs.items():
            band = "low" if ef <= 45 else "middle" if ef < 55 else "high"
            strata.setdefault(f"{band} {quality[patient]}", Counter())[subset] += 1
    assert len(strata) == 9
    for counts in strata.values():
        for subset, share in zip(SUBSETS, SHARES, strict=True):
            assert abs(counts[subset] - counts.total() * share) <= 2
    assert {s: len(own) for s, own in patients_of(dataset).items()} == {
        "train": 350, "valid": 100, "test": 50,
    }  # fmt: skip


def test_stratify_without_metadata_is_refused(split: Run, master: Path, dataset: Path) -> None:
    make_master(master, 5)
    code, _, err = split(master, dataset, "--stratify")
    assert code == 2 and "leave --stratify out" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("ef", "band"),
    [("45", 0), ("45.1", 1), ("54.9", 1), ("55", 2), ("", None), ("nan", None)],
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
        code, out, _ = split(master, tmp_path / name, "--zip", "--ratios", 1, 0, 0)
        assert code == 0 and f"{tmp_path / name}.zip: written" in out
    shutil.unpack_archive(tmp_path / "one.zip", tmp_path / "unpacked")
    assert build.tree(tmp_path / "unpacked") == build.tree(tmp_path / "one")
    assert (tmp_path / "unpacked" / "test" / "images").is_dir()  # though there is nothing in it
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "another.zip").read_bytes()
    assert (tmp_path / "unpacked" / "dataset.json").stat().st_mode & 0o777 == 0o644


def test_a_zip_never_disagrees_with_the_dataset_beside_it(
    split: Run, master: Path, tmp_path: Path
) -> None:
    make_master(master, 3)
    archive = tmp_path / "one.zip"
    assert split(master, tmp_path / "one", "--zip")[0] == 0
    before = archive.read_bytes()
    code, _, err = split(master, tmp_path / "one", "--seed", 1)
    assert code == 2 and "is there already" in err and archive.read_bytes() == before
    assert split(master, tmp_path / "one", "--seed", 1, "--zip", "--overwrite")[0] == 0
    assert archive.read_bytes() != before
    code, out, _ = split(master, tmp_path / "one", "--overwrite")
    assert code == 0 and f"{archive}: removed" in out and not archive.exists()
    assert split(master, tmp_path / "one", "--zip", "--overwrite")[0] == 0
    shutil.rmtree(tmp_path / "one")
    code, _, err = split(master, tmp_path / "one")
    assert code == 2 and "one.zip is there already" in err


@pytest.mark.parametrize("theirs", ["model.pt", None])
def test_a_zip_of_others_is_never_touched(
    split: Run, master: Path, tmp_path: Path, theirs: str | None
) -> None:
    make_master(master, 3)
    archive = tmp_path / "one.zip"
    if theirs:
        split(master, tmp_path / "one", "--zip")
        with zipfile.ZipFile(archive, "a") as file:
            file.writestr(theirs, "a week of training")
    else:
        archive.write_bytes(b"no zip at all")
    before = archive.read_bytes()
    code, _, err = split(master, tmp_path / "one", "--zip", "--overwrite")
    assert code == 2 and "one.zip was not made by split_master" in err
    assert split(master, tmp_path / "one", "--overwrite")[0] == 0
    assert archive.read_bytes() == before


def test_overwrite_replaces_only_what_is_ours(split: Run, master: Path, dataset: Path) -> None:
    make_master(master, 5)
    split(master, dataset)
    before = build.tree(dataset)
    code, _, err = split(master, dataset, "--seed", 9)
    assert code == 2 and "--overwrite" in err and build.tree(dataset) == before
    assert split(master, dataset, "--seed", 9, "--overwrite")[0] == 0
    assert build.tree(dataset) != before
    for foreign in ("train/images/holiday.jpg", "results.csv", "valid/model.pt"):
        (dataset / foreign).write_bytes(b"mine")
        before = build.tree(dataset)
        code, _, err = split(master, dataset, "--overwrite")
        assert code == 2 and f"holds {foreign}, which split_master did not make" in err
        assert err.count("\n") == 1 and build.tree(dataset) == before
        (dataset / foreign).unlink()


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_folders_of_someone_else_are_never_touched(
    split: Run, master: Path, tmp_path: Path, options: tuple[str, ...]
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


def test_an_empty_folder_is_taken(split: Run, master: Path, dataset: Path) -> None:
    make_master(master, 3)
    dataset.mkdir()
    assert split(master, dataset)[0] == 0


def test_an_earlier_dataset_whose_metadata_is_damaged_is_refused(
    split: Run, master: Path, dataset: Path
) -> None:
    make_master(master, 3)
    split(master, dataset)
    (dataset / "valid" / "metadata.csv").write_text("a" * 200_000)
    before = build.tree(dataset)
    code, _, err = split(master, dataset, "--overwrite")
    assert code == 2 and "metadata.csv" in err and err.count("\n") == 1
    assert build.tree(dataset) == before


def test_a_master_of_another_tool(split: Run, master: Path, dataset: Path) -> None:
    make_master(master, 10)
    for name in ("images/Thumbs.db", "masks/.DS_Store", "images/.cache/x"):
        (master / name).parent.mkdir(exist_ok=True)
        (master / name).write_bytes(b"litter")
    assert split(master, dataset)[0] == 0
    row = rows(dataset / "train")[0]
    assert row["patient"] == row["file_name"][7:18] and row["mask_file_name"].startswith("masks/")


def rename(master: Path, name: Callable[[int], tuple[str, str]]) -> None:
    """Give every pair of a master, by its number, new names of its image and its mask."""
    for number, path in enumerate(sorted((master / "images").iterdir())):
        image, mask = name(number)
        (master / "masks" / f"{path.stem}.png").rename(master / "masks" / mask)
        path.rename(master / "images" / image)


@pytest.mark.parametrize(
    ("image", "mask"),
    [("x.png", "x_mask.png"), ("x.jpg", "x_GT.png"), ("x_0000.png", "x.png"), ("x.jpg", "x.bmp")],
)
def test_masks_are_found_by_usual_names(
    split: Run, master: Path, dataset: Path, image: str, mask: str
) -> None:
    make_master(master, 5)
    names = [path.stem for path in sorted((master / "images").iterdir())]
    rename(master, lambda n: (image.replace("x", names[n], 1), mask.replace("x", names[n], 1)))
    assert split(master, dataset)[0] == 0
    for row in rows(dataset / "train"):
        stem = Path(row["file_name"]).stem.removesuffix("_0000")
        assert Path(row["mask_file_name"]).name == mask.replace("x", stem, 1)


def test_a_near_match_is_named(split: Run, master: Path, dataset: Path) -> None:
    make_master(master, 2)
    (master / "masks/patient0001_2CH_ED.png").rename(master / "masks/patient0001_2CH_EDlabel.png")
    code, _, err = split(master, dataset)
    assert code == 2 and "images/patient0001_2CH_ED.jpg has no mask" in err
    assert "the nearest name is masks/patient0001_2CH_EDlabel.png" in err


def test_names_that_differ_in_case_alone_are_refused(
    split: Run, master: Path, dataset: Path
) -> None:
    make_master(master, 2)
    for folder, suffix in (("images", "jpg"), ("masks", "png")):
        other = master / folder / f"PATIENT0001_2CH_ED.{suffix}"
        shutil.copy(master / folder / f"patient0001_2CH_ED.{suffix}", other)
    if len(list((master / "images").iterdir())) == 8:
        pytest.skip("so they do on this disk")
    code, _, err = split(master, dataset)
    assert code == 2 and "which are one file on many disks" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("image", "masks/patient0001_2CH_ED.png has no image of its name"),
        ("mask", "images/patient0001_2CH_ED.jpg has no mask"),
        ("name", "the name xyz does not say for certain which patient it shows"),
        (
            "mask twice",
            "images/patient0001_2CH_ED.jpg has several masks: masks/patient0001_2CH_ED.png",
        ),
        ("image twice", "masks/patient0001_2CH_ED.png belongs to several images"),
        ("fifo", "images/patient0001_2CH_ED.jpg is a broken link or not a file"),
        ("link", "images/patient0001_2CH_ED.jpg is a broken link or not a file"),
        ("folder", "images/sub is a broken link or not a file"),
        ("empty", "images/patient0001_2CH_ED.jpg is empty"),
        ("text", ".jpg is not a picture"),
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
        case "fifo":
            image.unlink()
            os.mkfifo(image)
        case "link":
            image.unlink()
            image.symlink_to("gone")
        case "folder":
            (master / "images" / "sub").mkdir()
        case "empty":
            image.write_bytes(b"")
        case "text":
            for path in (master / "images").iterdir():
                path.write_bytes(b"not a picture")
    code, _, err = split(master, dataset)
    assert code == 2 and err.count("\n") == 1
    assert reason in err
    assert {path.name for path in dataset.parent.iterdir()} == {master.name}


HEAD = "file_name,mask_file_name,patient"
ROW = "images/patient0001_2CH_ED.jpg,masks/patient0001_2CH_ED.png,patient0001"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"file_name,patient\n{ROW}\n", "has no column 'mask_file_name'"),
        ("", "has no column 'file_name'"),
        (f"{HEAD},ef,EF,ef\n{ROW},1,2,3\n", "has the column 'ef' twice"),
        (f"{HEAD}\na,b,\n", "line 2 has no patient"),
        (f"{HEAD}\na,b,c,d\n", "line 2 has 4 values, not 3"),
        (f"{HEAD},ef\n{ROW},54 %\n", "ED.jpg: ef is '54 %', which is not a number"),
        (f'{HEAD},ef\n{ROW},"54,0"\n', "ED.jpg: ef is '54,0', which is not a number"),
        (f"{HEAD}\n{ROW}\n", "is not in metadata.csv"),
        (f"{HEAD}\n{ROW}\n{ROW}\n", "metadata.csv"),
        ("a" * 200_000, "is not a CSV file (field larger"),
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


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: (
            re.sub(r",(\d\d),", r";\1,0;", text)
            .replace(",p", ";p")
            .replace(",m", ";m")
            .replace(",e", ";e")
            .replace(",i", ";i")
        ),
        lambda text: text.replace(",", " , ").replace("\n", " \n"),
        lambda text: text.replace("images/", "images\\").replace("masks/", "masks\\"),
        lambda text: text.replace("\n", "\r\n") + ",,,,\n\n",
        lambda text: text.replace("D.png,patient0001", "D.png,Patient_1"),  # the same patient
    ],
)
def test_metadata_may_come_from_a_spreadsheet(
    split: Run, master: Path, tmp_path: Path, edit: Callable[[str], str]
) -> None:
    make_master(master, 10, facts=True)
    path = master / "metadata.csv"
    text = path.read_text()
    assert split(master, tmp_path / "plain", "--stratify")[0] == 0
    path.write_text(edit(text), encoding="utf-8", newline="")
    assert split(master, tmp_path / "edited", "--stratify")[0] == 0
    assert pairs_in(tmp_path / "edited") == pairs_in(tmp_path / "plain")


def pairs_in(dataset: Path) -> dict[str, list[str]]:
    return {subset: sorted(build.tree(dataset / subset / "images")) for subset in SUBSETS}


@pytest.mark.parametrize(
    ("key", "value"),
    [("labels", None), ("labels", [{"label": 1}]), ("settings", 3), ("phantom", "no"),
     ("labels", [{"label": 1, "name": "lv", "gray_level": "85"}])],
)  # fmt: skip
def test_a_dataset_json_changed_by_hand_is_refused(
    generate: Run, split: Run, database: Path, master: Path, dataset: Path, key: str, value: Any
) -> None:
    build.write_pair(database)
    generate(database, master)
    description = json.loads((master / "dataset.json").read_text())
    (master / "dataset.json").write_text(json.dumps({**description, key: value}))
    code, _, err = split(master, dataset, "--ratios", 1, 0, 0)
    assert code == 2 and "dataset.json was changed: run the generator again" in err


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
    assert code == 2 and "has no metadata.csv any more" in err and not dataset.exists()
    (master / output.HIDDEN).mkdir()
    (master / "dataset.json").rename(master / output.HIDDEN / "dataset.json")
    code, _, err = split(master, dataset)
    assert code == 2 and "is not finished" in err and not dataset.exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--ratios", "0.7", "0.2", "0.2"), "sum to 1, not to 1.1"),
        (("--ratios", "0.7", "0.5", "-0.2"), "--ratios"),
        (("--ratios", "a", "b", "c"), "invalid float value"),
        (("--ratios", "nan", "0", "1"), "sum to 1, not to nan"),
        (("--official", "x", "--stratify"), "--official cannot be combined with --stratify"),
        (("--official", "x", "--seed", "0"), "--official cannot be combined with --seed"),
        (("--stratify", "--by", "pair"), "cannot be combined with --by pair"),
        (("--by", "view"), "invalid choice"),
    ],
)
def test_wrong_use_takes_one_line(split: Run, arguments: Any, reason: str) -> None:
    code, out, err = split(*arguments)
    assert (code, out) == (2, "") and reason in err and err.count("\n") == 1


def test_no_master(split: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = split()
    assert code == 2 and "no CAMUS-master with images and masks here" in err
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
    with output.new_folder(dataset, "another run"):
        code, _, err = split(master, dataset)
        assert code == 2 and "another run is writing" in err
    with output.new_folder(master.parent / "another", "another run"):
        assert split(master, dataset)[0] == 0  # any number of splits may read one master


def test_a_master_replaced_meanwhile_is_noticed(
    split: Run, master: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_master(master, 3, facts=True)
    write = script.write_subsets

    def meanwhile(*arguments: Any) -> None:
        write(*arguments)
        text = (master / "metadata.csv").read_text()
        (master / "metadata.csv").unlink()
        (master / "metadata.csv").write_text(text)

    monkeypatch.setattr(script, "write_subsets", meanwhile)
    code, _, err = split(master, dataset)
    assert code == 2 and "was replaced meanwhile" in err and not dataset.exists()


def test_other_ratios(split: Run, master: Path, dataset: Path) -> None:
    make_master(master, 10)
    assert split(master, dataset, "--ratios", "0.5", "0.5", "0")[0] == 0
    assert pairs_of(dataset) == {"train": 20, "valid": 20, "test": 0}
    assert sorted(path.name for path in (dataset / "test").iterdir()) == ["images", "masks"]


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


def test_from_phantom_to_dataset(
    make_phantoms: Run, generate: Run, split: Run, tmp_path: Path, master: Path, dataset: Path
) -> None:
    """What was in the NIfTI is found again in the dataset, decoded as the README says."""
    database = tmp_path / "database_nifti"
    assert make_phantoms(database, "--patients", 4)[0] == 0
    assert generate(database, master)[0] == 0
    assert split(master, dataset)[0] == 0
    seen = 0
    for subset in SUBSETS:
        for row in rows(dataset / subset):
            seen += 1
            labels = np.rint(build.picture(dataset / subset / row["mask_file_name"]) / 85)
            name = Path(row["file_name"]).stem
            truth = nib.nifti1.load(database / row["patient"] / f"{name}_gt.nii.gz")
            original = np.asarray(truth.dataobj)
            pixel = float(row["spacing_x"]) * float(row["spacing_y"])
            for label in (1, 2, 3):
                area = (original == label).sum() * 0.308**2
                assert (labels == label).sum() * pixel == pytest.approx(area, rel=0.005)
    assert seen == 16


def test_help_tells_every_option(split: Run) -> None:
    code, out, _ = split("--help")
    assert code == 0 and "example:" in out
    for action in script.arguments()._actions:
        assert action.help and all(name in out for name in action.option_strings)
