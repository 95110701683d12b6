"""The split as a user meets it: masters in, datasets and lines out."""

import json
import random
from collections import Counter, defaultdict
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import split_master
from camus import metadata, splits
from camus.facts import SUBSETS

from . import build
from .build import DATABASE, DATASET, IMAGE, MASK, MASTER, encoded, rows
from .conftest import Run, refusal

IMAGE_FILE, MASK_FILE = encoded(IMAGE, "jpg"), encoded(MASK * 85, "jpg")
CSV, JSON, ROW = MASTER / "metadata.csv", MASTER / "dataset.json", ",patient0001,2CH,ED,"
FIRST = "images/patient0001_2CH_ED.jpg", "masks/patient0001_2CH_ED.jpg"
LISTS = ("subgroup_training.txt", "subgroup_validation.txt", "subgroup_testing.txt")
TRAIN, VALID, TEST = (Path("CAMUS_public/database_split") / name for name in LISTS)
SETTINGS = {"frames": "key", "views": ["2CH", "4CH"], "image_quality": [], "masks": "gray",
            "structures": ["lv", "myo", "la"], "format": "jpg", "jpg_quality": 95, "size": 16,
            "fit": "pad", "mirror": False}  # fmt: skip


def make_master(patients: int, mirrored: bool = False, master: Path = MASTER) -> None:
    """A master of four pairs per patient, with EF and qualities of any spread."""
    rng, lines = random.Random(0), []
    prefixes = ("", "mirrored_") if mirrored else ("",)
    for number in range(1, patients + 1):
        patient, ef = f"patient{number:04}", rng.choice([30, 45, 46, 50, 54, 55, 70])
        for view in ("2CH", "4CH"):
            quality = rng.choice(["Good", "Medium", "Poor"])
            for instant, prefix in product(("ED", "ES"), prefixes):
                name = f"{prefix}{patient}_{view}_{instant}.jpg"
                build.write(master / "images" / name, IMAGE_FILE + name.encode())
                build.write(master / "masks" / name, MASK_FILE + name.encode())
                row = f"{patient},{view},{instant},,{int(bool(prefix))},{ef}.0,{quality},0072.50"
                lines.append(f"images/{name},masks/{name},{row}\n")
    head = "file_name,mask_file_name,patient,view,instant,frame,mirrored,ef,image_quality,own\n"
    (master / "metadata.csv").write_text(head + "".join(sorted(lines)), newline="")
    metadata.write_description(master, metadata.describe(SETTINGS, phantom=True))


def names_of(dataset: Path) -> list[list[str]]:
    """The names of the images of train, valid and test."""
    return [sorted(path.name for path in (dataset / s / "images").iterdir()) for s in SUBSETS]


def patients_of(dataset: Path) -> list[set[str]]:
    """The patients of train, valid and test."""
    return [{name.removeprefix("mirrored_")[:11] for name in names} for names in names_of(dataset)]


def change(path: Path, old: str, new: str) -> None:
    """Replace the first of a text in a file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1), newline="")


@pytest.mark.parametrize(
    ("patients", "options", "sizes"),
    [
        (500, (), [350, 100, 50]),  # the release
        (16, (), [11, 3, 2]),
        (2, (), [1, 1, 0]),
        (10, ("--ratios", 0.1, 0.2, 0.7), [1, 2, 7]),
        (10, ("--ratios", 0.5, 0.5, 0), [5, 5, 0]),
        (10, ("--ratios", 0.98, 0.01, 0.01), [8, 1, 1]),  # no ratio above 0 gives an empty subset
    ],
)
def test_patients_stay_together(split: Run, patients: int, options: Any, sizes: list[int]) -> None:
    make_master(patients)
    code, out, err = split(MASTER, DATASET, *options)
    assert (code, err) == (0, "")
    assert [len(names) for names in patients_of(DATASET)] == sizes
    assert len(set.union(*patients_of(DATASET))) == patients
    assert f"{MASTER}: {4 * patients:,} phantom pairs read\n" in out
    assert f"{DATASET}: {4 * patients:,} phantom pairs written\n" in out
    for subset, size in zip(SUBSETS, sizes, strict=True):
        assert f"{subset}: {size} patient{'s' * (size != 1)}, {4 * size:,} pairs\n" in out


def test_by_pair_a_mirrored_copy_stays_with_its_original(split: Run) -> None:
    make_master(20, mirrored=True)
    code, _, err = split(MASTER, DATASET, "--by", "pair")
    assert code == 0 and [len(names) for names in names_of(DATASET)] == [112, 32, 16]
    assert "patients may be in several subsets" in err
    for names in names_of(DATASET):
        originals = [name for name in names if not name.startswith("mirrored_")]
        assert names == sorted(originals + [f"mirrored_{name}" for name in originals])
    assert not list(DATASET.glob("subgroup_*"))


def test_files_and_cells_are_the_masters(split: Run) -> None:
    """Byte for byte, once each; the rows of a subset are those of its files."""
    make_master(10, mirrored=True)
    change(CSV, ".0,", " %,")  # a cell passes through, whatever it is
    assert split(MASTER, DATASET)[0] == 0
    copied, lines = {}, []
    for subset in SUBSETS:
        files = build.tree(DATASET / subset)
        head, *cells = files.pop("metadata.csv").decode().splitlines()
        assert cells == sorted(cells)
        assert {name for line in cells for name in line.split(",")[:2]} == {*files}
        lines += cells
        copied.update(files)
    master = build.tree(MASTER)
    assert [head, *sorted(lines)] == master.pop("metadata.csv").decode().splitlines()
    assert {**copied, "dataset.json": master["dataset.json"]} == master
    assert sum(len(patients) for patients in patients_of(DATASET)) == 10


def test_what_lies_in_a_dataset(split: Run) -> None:
    make_master(4)
    assert split(MASTER, DATASET, "--ratios", 0.75, 0.25, 0, "--seed", 5)[0] == 0
    expected = {"README.md", "dataset.json", *SUBSETS, *LISTS, *metadata.PICTURES}
    assert {path.name for path in DATASET.iterdir()} == expected
    counts = {}
    for subset, name, patients in zip(SUBSETS, LISTS, patients_of(DATASET), strict=True):
        counts[subset] = {"pairs": 4 * len(patients), "patients": len(patients)}
        assert (DATASET / name).read_text().splitlines() == sorted(patients)
    assert not (DATASET / "test/metadata.csv").exists()  # Hugging Face wants none without pairs
    assert json.loads((DATASET / "dataset.json").read_text()) == {
        **json.loads(JSON.read_text()),
        "made_by": "split_master",
        "split": {"ratios": [0.75, 0.25, 0], "seed": 5, "by": "patient", "stratify": False},
        "subsets": counts,
    }


def test_same_seed_same_bytes(split: Run) -> None:
    """Known beforehand: random.Random(0).random() is 0.84, 0.76, 0.42, 0.26 on every machine."""
    assert splits.shuffled(["d", "a", "c", "b", "a"], 0) == ["d", "c", "b", "a"]
    make_master(30)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert split(MASTER, name, "--seed", seed)[0] == 0
    assert build.tree(Path("a")) == build.tree(Path("b"))
    assert patients_of(Path("a")) != patients_of(Path("c"))


def test_stratify_balances_ejection_fraction_and_the_worse_quality(split: Run) -> None:
    make_master(500)
    assert split(MASTER, DATASET, "--stratify")[0] == 0
    qualities, bands = defaultdict(set), {}
    for row in rows(MASTER):
        patient, ef = row["patient"], float(row["ef"])
        qualities[patient].add(row["image_quality"])
        bands[patient] = "low" if ef <= 45 else "middle" if ef < 55 else "high"
    strata = {key: (bands[key], max(qualities[key])) for key in bands}  # Good < Medium < Poor
    totals = Counter(strata.values())
    assert len(totals) == 9
    for patients, ratio in zip(patients_of(DATASET), (0.7, 0.2, 0.1), strict=True):
        counts = Counter(strata[patient] for patient in patients)
        assert all(abs(counts[stratum] - ratio * totals[stratum]) < 2 for stratum in totals)
    bounds = [splits.ef_band([{"ef": ef}]) for ef in ("45", "45.1", "54.9", "55")]
    assert bounds == ["45 % or less", "45 to 55 %", "45 to 55 %", "55 % or more"]


@pytest.mark.parametrize("chosen", ["CAMUS_public/database_split", "CAMUS_public"])
def test_lists_of_patients(split: Run, chosen: str) -> None:
    make_master(3)
    build.write(TRAIN, b"patient0002\npatient0009\r\n")
    build.write(VALID, b"patient0003")
    build.write(TEST, b"patient0001\n")
    assert "1 listed patient not in" in split(MASTER, DATASET, "--subgroups", chosen)[1]
    assert patients_of(DATASET) == [{"patient0002"}, {"patient0003"}, {"patient0001"}]
    card = (DATASET / "README.md").read_text()
    assert "Split: by lists of patients." in card and "| train | 1 | 4 |\n| valid | 1 | 4 |" in card


def test_another_master_is_split_like_an_earlier_dataset(split: Run) -> None:
    """A master of fewer patients, by the lists that the first dataset carries."""
    make_master(20)
    assert split(MASTER, DATASET, "--seed", 3, "--stratify")[0] == 0
    make_master(15, mirrored=True, master=Path("other"))
    assert split("other", "again", "--subgroups", DATASET)[0] == 0
    kept = {f"patient{number:04}" for number in range(1, 16)}
    assert patients_of(Path("again")) == [own & kept for own in patients_of(DATASET)]


def test_overwrite_replaces_only_what_is_ours(split: Run) -> None:
    make_master(5)
    split(MASTER, DATASET)
    assert "--overwrite" in refusal(split(MASTER, DATASET, "--seed", 9))
    assert split(MASTER, DATASET, "--seed", 9, "--overwrite")[0] == 0
    before = build.tree(DATASET)
    corrected = f"test/masks/{next((DATASET / 'test/masks').iterdir()).stem}.png"
    for foreign in ("train/images/holiday.jpg", "results.csv", corrected):
        build.write(DATASET / foreign, b"mine")
        assert foreign in refusal(split(MASTER, DATASET, "--overwrite"))
        assert build.tree(DATASET) == {**before, foreign: b"mine"}
        (DATASET / foreign).unlink()


def test_a_dataset_cannot_overlap_its_master(split: Run) -> None:
    make_master(3)
    before = build.tree(Path())
    for place in (MASTER, MASTER / "inside", "."):
        assert "another folder" in refusal(split(MASTER, place, "--overwrite"))
    assert build.tree(Path()) == before


def test_pairs_deleted_by_hand_are_left_out_and_counted(split: Run) -> None:
    make_master(3)
    for name in FIRST:
        (MASTER / name).unlink()
    assert "11 phantom pairs read, 1 left out" in split(MASTER, DATASET)[1]
    names = [row["file_name"] for subset in SUBSETS for row in rows(DATASET / subset)]
    assert len(names) == sum(map(len, names_of(DATASET))) == 11 and FIRST[0] not in names


BREAKS: list[tuple[Any, list[str]]] = [
    ((MASTER / FIRST[0]).unlink, [str(MASTER / FIRST[1]), FIRST[0], "delete"]),
    ((MASTER / FIRST[1]).unlink, [str(MASTER / FIRST[0]), FIRST[1], "delete"]),
    (lambda: build.write(MASTER / "masks/x.jpg", b"x"), ["no row", "masks/x.jpg", "delete"]),
    (lambda: list(map(Path.unlink, MASTER.glob("*/*.jpg"))), [f"{MASTER} has no pairs"]),
    (lambda: (MASTER / FIRST[0]).write_bytes(b""), [str(MASTER / FIRST[0]), "not a picture"]),
    (CSV.unlink, [str(CSV), f"or delete {MASTER} or move it away"]),
    (partial(change, CSV, "_2CH_ES.jpg,masks", "_2CH_ED.jpg,masks"), [FIRST[0], "twice"]),
    (partial(change, CSV, "patient,", "patients,"), [str(CSV), "one column 'patient'"]),
    (partial(change, CSV, "own", "ef"), [str(CSV), "one column 'ef'"]),
    (partial(change, CSV, ROW, ",patient0001"), [str(CSV), "line 2", "10 values"]),
    (partial(change, CSV, ROW, f"{ROW},"), [str(CSV), "line 2", "10 values"]),
    (lambda: CSV.write_text(f"{CSV.read_text()},,,,,,,,,\n"), [str(CSV), "'' twice"]),
    (lambda: CSV.write_bytes(b"\xff"), [str(CSV), "utf-8"]),
    (
        partial(change, JSON, '"settings"', "'settings'"),
        [f"{JSON} is not valid JSON", "Expecting", "line"],
    ),
    (partial(change, JSON, '"fit": "pad"', '"fit": ["pad"]'), [f"{JSON} was changed"]),
    (partial(change, JSON, '"size": 16', '"size": "16"'), [f"{JSON} was changed"]),
    (partial(change, JSON, '"label": 3', '"label": 4'), [f"{JSON} was changed"]),
    (partial(change, JSON, '"views": [', '"views": "2CH", "x": ['), [f"{JSON} was changed"]),
    (JSON.unlink, [f"{MASTER} is not a master", "CAMUSImageMaskDatasetGenerator"]),
    (partial(change, JSON, "DatasetGenerator", "x"), [f"{MASTER} is not a master"]),
    (partial(change, JSON, '"licence"', '"x"'), [f"{JSON} was changed"]),
    (partial(change, JSON, '"gray_level"', '"x"'), [f"{JSON} was changed"]),
    (partial(change, TRAIN, "patient0002", ""), ["1 patient in no list", "patient0002"]),
    (lambda: VALID.write_text("patient0002"), ["patient0002", "two lists"]),
    (TEST.unlink, [str(TEST)]),
]


@pytest.mark.parametrize(("spoil", "reasons"), BREAKS)
def test_broken_masters_and_lists_are_refused(split: Run, spoil: Any, reasons: list[str]) -> None:
    make_master(3)
    for path in (TRAIN, VALID, TEST):
        build.write(path, b"patient0001\npatient0002\npatient0003\n" if path == TRAIN else b"")
    spoil()
    line = refusal(split(MASTER, DATASET, "--subgroups", TRAIN.parent))
    assert all(reason in line for reason in reasons)
    assert not DATASET.exists() and len(list(Path().iterdir())) == 2


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--ratios", 0.7, 0.2, 0.2), "sum to 1, not 0.7 0.2 0.2"),
        (("--ratios", 0.7, 0.5, -0.2), "--ratios"),
        (("--subgroups", "x", "--stratify"), "--subgroups cannot be combined with"),
        (("--stratify", "--by", "pair"), "--stratify cannot be combined with --by pair"),
        (("--stratify",), "leave --stratify out"),  # without Info files
    ],
)
def test_wrong_use(generate: Run, split: Run, options: Any, reason: str) -> None:
    build.write_pair(DATABASE)
    generate(DATABASE, MASTER)
    assert reason in refusal(split(MASTER, DATASET, *options))


@pytest.mark.parametrize("place", ["CAMUS-master", "generator/CAMUS-master", "repo/CAMUS-master"])
def test_default_places(split: Run, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the current folder, or beside the script; of several, the user names one."""
    monkeypatch.setattr(split_master, "__file__", str(Path("repo/split_master.py").absolute()))
    assert "no CAMUS-master" in refusal(split())
    make_master(3, master=Path(place))
    assert f"{place}: 12 phantom pairs read\n" in split()[1]
    assert Path("CAMUS_public-ImageMask-Dataset/test/metadata.csv").exists()
    Path("repo/generator/CAMUS-master").mkdir(parents=True)
    assert "name one" in refusal(split())
