"""The split as a user meets it: masters in, datasets and lines out."""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camus import facts, metadata, splits
from camus.facts import SUBSETS
from camus.previews import PICTURES

from . import build
from .build import DATABASE, DATASET, IMAGE, MASK, MASTER, encoded, picture, rows
from .conftest import Run, refusal

SHARES = [Fraction("0.7"), Fraction("0.2"), Fraction("0.1")]
IMAGE_FILE, MASK_FILE = encoded(IMAGE, "jpg"), encoded(MASK * np.uint8(85), "jpg")
FIRST = "images/patient0001_2CH_ED.jpg", "masks/patient0001_2CH_ED.jpg"
LISTS = tuple(facts.SUBGROUPS.values())
SETTINGS = {"frames": "key", "views": ["2CH", "4CH"], "image_quality": [], "masks": "gray",
            "structures": ["lv", "myo", "la"], "format": "jpg", "jpg_quality": 95, "size": 16,
            "fit": "pad", "mirror": False}  # fmt: skip


def make_master(patients: int, mirrored: bool = False, master: Path = MASTER) -> None:
    """A master of four pairs per patient, with EF and qualities of any spread."""
    rng, lines = random.Random(0), []
    for folder in ("images", "masks"):
        (master / folder).mkdir(parents=True, exist_ok=True)
    for number in range(1, patients + 1):
        patient, ef = f"patient{number:04}", rng.choice([30, 45, 46, 50, 54, 55, 70])
        for view in ("2CH", "4CH"):
            quality = rng.choice(["Good", "Medium", "Poor"])
            for instant, prefix in product(("ED", "ES"), ("", "mirrored_") if mirrored else ("",)):
                name = f"{prefix}{patient}_{view}_{instant}.jpg"
                (master / "images" / name).write_bytes(IMAGE_FILE + name.encode())
                (master / "masks" / name).write_bytes(MASK_FILE + name.encode())
                row = (
                    f"{patient},{view},{instant},,{int(bool(prefix))},{ef}.0,{quality},20240115001"
                )
                lines.append(f"images/{name},masks/{name},{row}\n")
    head = "file_name,mask_file_name,patient,view,instant,frame,mirrored,ef,image_quality,own\n"
    (master / "metadata.csv").write_text(head + "".join(sorted(lines)), newline="")
    metadata.write_description(master, metadata.describe(SETTINGS, phantom=False))


def names_of(dataset: Path) -> list[list[str]]:
    """The names of the images of train, valid and test."""
    return [sorted(path.name for path in (dataset / s / "images").iterdir()) for s in SUBSETS]


def patients_of(dataset: Path) -> list[set[str]]:
    """The patients of train, valid and test."""
    return [{name.removeprefix("mirrored_")[:11] for name in own} for own in names_of(dataset)]


def test_the_release_splits_350_100_50(split: Run) -> None:
    make_master(500)
    code, out, err = split(MASTER, DATASET)
    assert (code, err) == (0, "")
    assert [len(own) for own in patients_of(DATASET)] == [350, 100, 50]
    assert len(set.union(*patients_of(DATASET))) == 500
    assert "patients     350     100      50\npairs       1400     400     200\n" in out
    assert f"{MASTER}: 2,000 pairs read\n{DATASET}: 2,000 pairs written\n" in out


def test_files_and_cells_are_the_masters_and_mirrored_copies_stay(split: Run) -> None:
    make_master(10, mirrored=True)
    assert split(MASTER, DATASET)[0] == 0
    found, lines = {}, []
    for subset in SUBSETS:
        files, own = build.tree(DATASET / subset), rows(DATASET / subset)
        head, *cells = files.pop("metadata.csv").decode().splitlines()
        lines += cells
        names = [row["file_name"] for row in own]
        assert names == sorted(names)
        assert sorted(names + [row["mask_file_name"] for row in own]) == sorted(files)
        found.update(files)
    before = build.tree(MASTER)
    assert [head, *sorted(lines)] == before.pop("metadata.csv").decode().splitlines()
    del before["dataset.json"]
    assert found == before
    assert sum(len(own) for own in patients_of(DATASET)) == 10


def test_the_files_of_a_dataset(split: Run) -> None:
    make_master(4)
    assert split(MASTER, DATASET, "--seed", 5)[0] == 0
    expected = {"README.md", "dataset.json", *SUBSETS, *LISTS, *PICTURES}
    assert {path.name for path in DATASET.iterdir()} == expected
    for subset, name in facts.SUBGROUPS.items():
        assert {path.name for path in (DATASET / subset).iterdir()} == {
            "images", "masks", "metadata.csv",
        }  # fmt: skip
        patients = sorted({row["patient"] for row in rows(DATASET / subset)})
        assert (DATASET / name).read_text().splitlines() == patients
    description = json.loads((DATASET / "dataset.json").read_text())
    how = {"ratios": [0.7, 0.2, 0.1], "seed": 5, "by": "patient", "stratify": False}
    assert description["split"] == how and description["made_by"] == "split_master"
    assert description["subsets"]["train"] == {"pairs": 8, "patients": 2}


def test_same_seed_same_tree(split: Run) -> None:
    make_master(30)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert split(MASTER, name, "--seed", seed)[0] == 0
    assert build.tree(Path("a")) == build.tree(Path("b"))
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
    assert splits.subset_sizes(total, [0.7, 0.2, 0.1]) == sizes


weights = st.tuples(*[st.integers(0, 20)] * 3).filter(any)


@given(st.integers(1, 400), weights, st.data())
def test_every_run_of_a_deal_holds_its_share(
    total: int, weight: tuple[int, ...], data: st.DataObject
) -> None:
    ratios: Any = [Fraction(w, sum(weight)) for w in weight]
    sizes = splits.subset_sizes(total, ratios)
    keys = [str(number) for number in range(total)]
    dealt = splits.distribute(keys, sizes)
    assert [Counter(dealt.values())[subset] for subset in SUBSETS] == sizes
    start = data.draw(st.integers(0, total - 1))
    end = data.draw(st.integers(start, total))
    run = Counter(dealt[key] for key in keys[start:end])
    for subset, size in zip(SUBSETS, sizes, strict=True):
        assert abs(run[subset] - Fraction(size * (end - start), total)) < 2


def test_by_pair(split: Run) -> None:
    make_master(20, mirrored=True)
    code, out, _ = split(MASTER, DATASET, "--by", "pair")
    assert code == 0 and [len(own) for own in names_of(DATASET)] == [112, 32, 16]
    several = Counter(patient for own in patients_of(DATASET) for patient in own)
    count = sum(number > 1 for number in several.values())
    assert count > 0 and f"{count} of 20 patients are in several subsets" in out
    for names in names_of(DATASET):
        plain = [name for name in names if not name.startswith("mirrored_")]
        assert names == sorted(plain + [f"mirrored_{name}" for name in plain])
    assert not list(DATASET.glob("subgroup_*"))


def write_lists(folder: Path, *lists: str) -> Path:
    """The lists of training, validation and testing, or the first of them."""
    folder.mkdir(parents=True)
    for name, patients in zip(LISTS, lists, strict=False):
        (folder / name).write_text(patients)
    return folder


@pytest.mark.parametrize("chosen", ["CAMUS_public/database_split", "CAMUS_public"])
def test_lists_of_patients(split: Run, chosen: str) -> None:
    make_master(3)
    lists = "patient0002\npatient0009\r\n", "patient0003", "patient0001\n"
    write_lists(Path("CAMUS_public/database_split"), *lists)
    code, out, _ = split(MASTER, DATASET, "--subgroups", chosen)
    assert code == 0 and "1 listed patient not in this master" in out
    assert patients_of(DATASET) == [{"patient0002"}, {"patient0003"}, {"patient0001"}]
    assert json.loads((DATASET / "dataset.json").read_text())["split"] == {"by": "lists"}
    card = (DATASET / "README.md").read_text()
    assert "by lists of patients: 1 in train, 1 in valid, 1 in test." in card


def test_another_master_is_split_like_an_earlier_dataset(split: Run) -> None:
    """A smaller master of fewer patients, by the lists that the first dataset carries."""
    make_master(20)
    assert split(MASTER, DATASET, "--seed", 3, "--stratify")[0] == 0
    make_master(15, mirrored=True, master=Path("other"))
    assert split("other", "again", "--subgroups", DATASET)[0] == 0
    kept = {f"patient{number:04}" for number in range(1, 16)}
    assert patients_of(Path("again")) == [own & kept for own in patients_of(DATASET)]


@pytest.mark.parametrize(
    ("lists", "reason"),
    [
        (("patient0001", "", ""), "1 patient in no list of lists, the first is patient0002"),
        (
            ("patient0001\npatient0002", "patient0002", ""),
            "patient0002 is in subgroup_training.txt",
        ),
        (("patient0001\npatient0002", ""), "lists/subgroup_testing.txt is missing"),
    ],
)
def test_wrong_lists(split: Run, lists: tuple[str, ...], reason: str) -> None:
    make_master(2)
    folder = write_lists(Path("lists"), *lists)
    assert reason in refusal(split(MASTER, DATASET, "--subgroups", folder))


def test_stratify_500_patients(split: Run) -> None:
    make_master(500)
    assert split(MASTER, DATASET, "--stratify")[0] == 0
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


def test_stratify_without_info_files_is_refused(generate: Run, split: Run) -> None:
    build.write_pair(DATABASE)
    generate(DATABASE, MASTER)
    assert "leave --stratify out" in refusal(split(MASTER, DATASET, "--stratify"))


@pytest.mark.parametrize(
    ("ef", "band"),
    [("45", 0), ("45.1", 1), ("54.9", 1), ("55", 2), ("", None), ("54,3", None)],
)
def test_ef_bands(ef: str, band: int | None) -> None:
    expected = facts.UNKNOWN if band is None else facts.EF_BANDS[band]
    assert splits.ef_band([{"ef": ""}, {"ef": ef}]) == expected


def test_overwrite_replaces_only_what_is_ours(split: Run) -> None:
    make_master(5)
    split(MASTER, DATASET)
    before = build.tree(DATASET)
    assert "replace it with --overwrite" in refusal(split(MASTER, DATASET, "--seed", 9))
    assert split(MASTER, DATASET, "--seed", 9, "--overwrite")[0] == 0
    assert build.tree(DATASET) != before
    corrected = f"test/masks/{next((DATASET / 'test/masks').iterdir()).stem}.png"
    for foreign in ("train/images/holiday.jpg", "results.csv", corrected):
        build.write(DATASET / foreign, b"mine")
        before = build.tree(DATASET)
        line = refusal(split(MASTER, DATASET, "--overwrite"))
        assert f"holds {foreign}, not made by split_master" in line
        assert build.tree(DATASET) == before
        (DATASET / foreign).unlink()


@pytest.mark.parametrize("place", [MASTER.name, f"{MASTER.name}/inside", ""])
def test_a_dataset_cannot_overlap_its_master(split: Run, place: str) -> None:
    make_master(3)
    before = build.tree(Path())
    assert "another folder" in refusal(split(MASTER, place, "--overwrite"))
    assert build.tree(Path()) == before


def test_pairs_deleted_by_hand_are_left_out_and_counted(split: Run) -> None:
    make_master(3)
    for name in FIRST:
        (MASTER / name).unlink()
    code, out, _ = split(MASTER, DATASET)
    assert code == 0 and "11 pairs read, 1 left out because their files were deleted\n" in out
    assert sum(map(len, names_of(DATASET))) == 11
    assert sum(len(rows(DATASET / subset)) for subset in SUBSETS) == 11


def change(name: str, old: str, new: str) -> Callable[[], object]:
    """Replace the first of a text in a file of the master."""

    def write() -> None:
        path = MASTER / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1), newline="")

    return write


ROW = ",patient0001,2CH,ED,"
BREAKS: list[tuple[Callable[[], object], str]] = [
    ((MASTER / FIRST[0]).unlink, f"{MASTER / FIRST[1]} has lost {FIRST[0]}, the rest of its pair"),
    ((MASTER / FIRST[1]).unlink, f"{MASTER / FIRST[0]} has lost {FIRST[1]}, the rest of its pair"),
    (lambda: build.write(MASTER / "masks/x.jpg", b"x"), f"no row for {MASTER / 'masks/x.jpg'}"),
    (change("metadata.csv", f"{FIRST[0]},", "images/x.jpg,"), "has lost images/x.jpg"),
    (change("metadata.csv", "_2CH_ES.jpg,masks", "_2CH_ED.jpg,masks"), "lists images/patient00"),
    ((MASTER / "metadata.csv").unlink, "has no metadata.csv: run the generator with --overwrite"),
    (change("metadata.csv", "patient,", "patients,"), "has no columns 'patient'"),
    (change("metadata.csv", "own", "ef"), "has 2 columns 'ef'"),
    (change("metadata.csv", ROW, ",patient0001"), "line 2 needs 10 values"),
    (change("metadata.csv", ROW, f"{ROW},"), "line 2 needs 10 values"),
    (change("metadata.csv", "file_name,", "file_name;"), "has no columns 'file_name'"),
    (lambda: (MASTER / "metadata.csv").write_bytes(b"\xff"), "cannot be read as UTF-8 CSV"),
    (lambda: (MASTER / "metadata.csv").write_text("a" * 200_000), "cannot be read as UTF-8 CSV"),
    (lambda: (MASTER / "metadata.csv").write_text(""), "has no columns 'file_name'"),
    (change("dataset.json", "made_by", "by"), f"{MASTER} is not a master, no dataset.json in it"),
    ((MASTER / "dataset.json").unlink, f"{MASTER} is not a master, no dataset.json in it names"),
    (change("dataset.json", '"gray_level"', '"g"'), "dataset.json was changed: run the generator"),
    (change("dataset.json", '"labels"', '"l"'), "dataset.json was changed: run the generator"),
    (change("dataset.json", '"jpg_quality"', '"q"'), "dataset.json was changed: run the generator"),
    (lambda: (MASTER / FIRST[0]).write_bytes(b""), f"{FIRST[0]} is not a picture: run the"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "reason"), BREAKS)
def test_broken_masters_are_refused_in_one_line(
    split: Run, spoil: Callable[[], object], reason: str
) -> None:
    make_master(3)
    spoil()
    assert reason in refusal(split(MASTER, DATASET, "--ratios", 1, 0, 0))
    assert list(Path().iterdir()) == [MASTER]


def test_the_remedies_for_half_a_master_work(generate: Run, split: Run) -> None:
    for patient in (1, 2, 3):
        build.write_pair(DATABASE, f"patient000{patient}_2CH_ED")
    generate(DATABASE, MASTER)
    text = (MASTER / "metadata.csv").read_text()
    (MASTER / "metadata.csv").write_text("".join(text.splitlines(True)[:-1]))
    line = refusal(split(MASTER, DATASET))
    assert f"no row for {MASTER / 'images/patient0003_2CH_ED.jpg'}: delete the pair" in line
    assert generate(DATABASE, MASTER, "--overwrite")[0] == 0 and split(MASTER, DATASET)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--ratios", "0.7", "0.2", "0.2"), "must sum to 1, not to 1.1"),
        (("--ratios", "0.7", "0.5", "-0.2"), "--ratios"),
        (("--ratios", "nan", "0", "1"), "must sum to 1, not to nan"),
        (("--subgroups", "x", "--stratify"), "--subgroups cannot be combined with"),
        (("--subgroups", "x", "--seed", "0"), "--subgroups cannot be combined with"),
        (("--stratify", "--by", "pair"), "cannot be combined with --by pair"),
    ],
)
def test_wrong_use_takes_one_line(split: Run, arguments: Any, reason: str) -> None:
    assert reason in refusal(split(*arguments))


@pytest.mark.parametrize(
    ("chosen", "folders", "reason"),
    [
        ((), "", "no CAMUS-master here"),
        (("x",), "", "x is not a master"),
        (("x",), "x/train", "x is not a master"),
        ((), "CAMUS-master/images generator/CAMUS-master/images", "several masters: name one"),
    ],
)
def test_no_master(split: Run, chosen: tuple[str, ...], folders: str, reason: str) -> None:
    for folder in folders.split():
        Path(folder).mkdir(parents=True)
    assert reason in refusal(split(*chosen))


@pytest.mark.parametrize("place", ["CAMUS-master", "generator/CAMUS-master"])
def test_default_places(split: Run, place: str) -> None:
    make_master(3, master=Path(place))
    code, out, _ = split()
    assert code == 0 and f"{place}: 12 pairs read\n" in out
    assert [len(own) for own in names_of(Path("CAMUS_public-ImageMask-Dataset"))] == [4, 4, 4]


def test_an_empty_subset(split: Run) -> None:
    make_master(10)
    assert split(MASTER, DATASET, "--ratios", "0.5", "0.5", "0")[0] == 0
    assert [len(own) for own in names_of(DATASET)] == [20, 20, 0]
    assert sorted(path.name for path in (DATASET / "test").iterdir()) == ["images", "masks"]
    assert (DATASET / LISTS[2]).read_text() == ""


def test_from_phantom_to_dataset(make_phantoms: Run, generate: Run, split: Run) -> None:
    """What was in the NIfTI is found again in the dataset, decoded as the README says."""
    assert make_phantoms("phantoms", "--patients", 4)[0] == 0
    assert generate("phantoms", MASTER)[0] == 0
    assert split(MASTER, DATASET)[0] == 0
    for subset in SUBSETS:
        for row in rows(DATASET / subset):
            labels = np.rint(picture(DATASET / subset / row["mask_file_name"]) / 85)
            name = f"{row['patient']}/{Path(row['file_name']).stem}_gt.nii.gz"
            truth = build.array(Path("phantoms/database_nifti") / name)
            pixel = float(row["spacing_x"]) * float(row["spacing_y"])
            for label in (1, 2, 3):
                area = (truth == label).sum() * 0.308**2
                assert (labels == label).sum() * pixel == pytest.approx(area, rel=0.005)
    found = [row for subset in SUBSETS for row in rows(DATASET / subset)]
    assert len(found) == 16 and sorted(found, key=str) == rows(MASTER)
