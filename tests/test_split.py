"""The split as a user meets it: masters in, datasets and lines out."""

import json
import os
import random
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from camus import card as camus_card
from camus import command_line, facts, metadata, splits
from camus.facts import LEVELS, SUBSETS

from . import build
from .build import DATASET, IMAGE, MASK, MASTER, SETTINGS, Run, encoded, refusal, tree

CSV, JSON, CARD = MASTER / "metadata.csv", MASTER / "dataset.json", DATASET / "README.md"
HEAD = "file_name,mask_file_name,patient,view,instant,frame,mirrored,ef,image_quality,own\n"
KEY, HALF = ("2CH_ED", "2CH_ES", "4CH_ED", "4CH_ES"), "4CH_half_sequence_frame02"
ED, FRAME, BOTH = "patient0001_2CH_ED.jpg", f"patient0001_{HALF}.jpg", ("", "mirrored_")
EFS, QUALITIES = ("", "n/a", "45.0", "45.1", "54.9", "55.0"), ("unknown", "Good", "Medium", "Poor")
LISTED = Path("CAMUS_public", "database_split")
NAMES = ("subgroup_training.txt", "subgroup_validation.txt", "subgroup_testing.txt")
TRAIN, VALID, TEST = (LISTED / name for name in NAMES)
LISTS = f"{NAMES[0]}, {NAMES[1]} and {NAMES[2]} must have one patient per line, such as patient0001"
ABSENT = "[Errno 2] No such file or directory:"
BY_PAIR = "patients may be in several subsets, so test scores may be too high\n"
SHARES, OF = "0.7 0.2 0.1", {"train": 0.7, "valid": 0.2, "test": 0.1}


def make_master(number: int, pairs: Any = KEY, copies: Any = ("",), **changed: Any) -> None:
    """A master of phantoms. Every file has bytes of its own, every patient its EF and qualities."""
    settings, lines = {**SETTINGS, **changed}, []
    suffix, levels = settings["format"], np.array(LEVELS[settings["masks"]])
    mask_suffix = "png" if settings["masks"] == "index" else suffix
    image, mask = encoded(IMAGE, suffix), encoded(levels[MASK], mask_suffix)
    for (n, patient), pair, prefix in product(enumerate(patients(number)), pairs, copies):
        name = f"{prefix}{patient}_{pair}"
        files = f"images/{name}.{suffix}", f"masks/{name}.{mask_suffix}"
        build.write(MASTER / files[0], image + name.encode() + b"\xff\xd9")
        build.write(MASTER / files[1], mask + name.encode())
        instant = f"{pair[4:]}," if pair in KEY else "between,2"
        info = EFS[n % 6], QUALITIES[n % 4 if pair[0] == "2" else n // 4 % 4], "007.50\n"
        lines.append(",".join([*files, patient, pair[:3], instant, f"{BOTH.index(prefix)}", *info]))
    CSV.write_text("".join([HEAD, *sorted(lines)]), newline="")
    metadata.write_description(MASTER, metadata.describe(settings, phantom=True))


def patients(number: int) -> list[str]:
    return [f"patient{n:04}" for n in range(1, number + 1)]


def names_of() -> list[list[str]]:
    """The names of the images of train, valid and test."""
    return [[path.stem for path in (DATASET / s / "images").iterdir()] for s in SUBSETS]


def patients_of() -> list[list[int]]:
    """The numbers of the patients of train, valid and test."""
    return [sorted({int(name[-11:-7]) for name in names}) for names in names_of()]


def assigned(strata: Mapping[str, str], ratios: str, seed: int = 0, fold: int = 0) -> Any:
    """The subset of each key, by the functions; strata are those of all keys."""
    order = splits.in_random_order(strata, seed, strata)
    return splits.assign(order, [*map(Fraction, ratios.split())], fold)


def change(path: Path, old: str, new: str | None) -> None:
    """Replace the first of a text in a file, whose letters stand for bytes; or delete it."""
    path.touch()
    assert old in (text := path.read_bytes().decode("latin-1"))
    path.write_bytes(text.replace(old, new or "", 1).encode("latin-1"))
    if new is None:
        path.unlink()


def test_the_same_patients_on_every_machine_and_other_splits(split: Run) -> None:
    make_master(10)
    lines = f"{MASTER}: 40 phantom pairs read\n{DATASET}: 40 phantom pairs written\n"
    lines += "train: 7 patients, 28 pairs\nvalid: 2 patients, 8 pairs\ntest: 1 patient, 4 pairs\n"
    lines += f"to look at: {DATASET / 'train_overlays_samples.png'}\n"
    assert split(MASTER, DATASET) == (0, lines, "")
    assert patients_of() == [[1, 2, 3, 5, 6, 8, 10], [7, 9], [4]]
    assert split(MASTER, "again")[0] == 0 and tree(Path("again")) == tree(DATASET)
    assert split(MASTER, "other", "--seed", 2**32 - 1)[0] == 0
    assert "--overwrite" in refusal(split(MASTER, DATASET, "--seed", 1))
    keep = f"(from now on, {command_line('--subgroups', str(DATASET))} keeps this split)"
    moved = 0, f"4 patients in another subset than before {keep}; the first is patient0002\n"
    assert split(MASTER, DATASET, "--seed", 1, "--overwrite")[::2] == moved
    expected, again = patients_of(), ("--subgroups", DATASET, "--overwrite")
    assert expected == [[1, 4, 5, 6, 7, 8, 10], [2, 9], [3]]
    assert split(MASTER, DATASET, *again)[::2] == (0, "") and patients_of() == expected
    assert "train/masks/patient0001_2CH_ED.jpg" in CARD.read_text()  # the first of the master
    assert split(MASTER, DATASET, "--by", "pair", "--overwrite")[::2] == (0, BY_PAIR)
    assert split(MASTER, DATASET, "--seed", 1, "--overwrite")[::2] == (0, "")


@pytest.mark.parametrize(("number", "ratios", "sizes", "empty"), [
    (500, SHARES, [350, 100, 50], []), (16, SHARES, [11, 3, 2], []),
    (10, "0.98 .01 0.01", [10, 0, 0], [("valid", ".01"), ("test", "0.01")]),
    (3, SHARES, [2, 1, 0], [("test", "0.1")]), (10, "0.5 0.5 0", [5, 5, 0], []),
    (4, "1/3 1/3 1/3", [1, 2, 1], []),
    (15, "0.1 0.2 0.7", [1, 3, 11], []),  # as floats, 0.1 + 0.2 is more than 0.3
])  # fmt: skip
def test_sizes(split: Run, number: int, ratios: str, sizes: list[int], empty: Any) -> None:
    make_master(number, ["2CH_ED"])
    code, _, err = split(MASTER, DATASET, "--ratios", *ratios.split())
    why = f"is empty: its share of {number} patients,"
    assert code == 0 and err == "".join(f"{s} {why} {share}, is too small\n" for s, share in empty)
    assert sorted(sum(patients_of(), [])) == [*range(1, number + 1)]
    assert [*map(len, patients_of())] == sizes


@pytest.mark.parametrize("number", [3, 4, 10, 16, 57])
def test_a_split_stays_is_balanced_and_has_folds(number: int) -> None:
    for kinds, seed in product((1, 3, 9), (0, 1, 2)):
        rng = random.Random(kinds)
        strata = {name: f"{rng.randrange(kinds)}" for name in patients(number)}
        before = assigned(strata, SHARES, seed)
        for gone in strata:
            fewer = {name: stratum for name, stratum in strata.items() if name != gone}
            moves = [(before[name], s) for name, s in assigned(fewer, SHARES, seed).items()]
            moves = [move for move in moves if move[0] != move[1]]
            assert len(moves) <= (2 if kinds == 1 else 4)
            assert ("test", "train") not in moves or (kinds > 1 and number < 57)
        counts = Counter((strata[name], s) for name, s in before.items())
        for (stratum, size), (s, share) in product(Counter(strata.values()).items(), OF.items()):
            assert abs(counts[stratum, s] - share * size) < 2
        folds = [assigned(strata, "0.8 0.1 0.1", seed, fold) for fold in range(10)]
        for subsets in ([fold[name] for fold in folds] for name in strata):
            assert Counter(subsets) == {"train": 8, "valid": 1, "test": 1}
            assert subsets.index("test") == (subsets.index("valid") + 1) % 10  # side by side


def test_a_stratum_of_one_reaches_test_by_its_share() -> None:
    """It stands at a random place among 99 others, which are spread evenly."""
    strata = {**dict.fromkeys(patients(99), "usual"), "patient0100": "rare"}
    subsets = [assigned(strata, SHARES, seed)["patient0100"] for seed in range(60)]
    assert [seed for seed in range(60) if subsets[seed] == "test"] == [7, 32, 35, 49]


def test_stratify_by_ejection_fraction_and_the_worse_quality(split: Run) -> None:
    make_master(40)
    assert split(MASTER, DATASET, "--stratify", "--seed", 3)[::2] == (0, "")
    bands = *["unknown"] * 2, "45 % or less", *["45 to 55 %"] * 2, "55 % or more"
    strata = {}
    for n, name in enumerate(patients(40)):
        known = {QUALITIES[n % 4], QUALITIES[n // 4 % 4]} - {"unknown"}
        strata[name] = f"{bands[n % 6]} {max(known, default='unknown')}"  # Good < Medium < Poor
    expected = assigned(strata, SHARES, 3)
    found = [[f"patient{n:04}" for n in numbers] for numbers in patients_of()]
    assert found == [[name for name in strata if expected[name] == s] for s in SUBSETS]


@pytest.mark.parametrize(("option", "how"), [
    ("--by=patient", "patients, not stratified"), ("--by=pair", "pairs, not stratified"),
    ("--stratify", "patients, stratified by ejection fraction and image quality"),
])  # fmt: skip
def test_folds_of_a_master(split: Run, option: str, how: str) -> None:
    """A mirrored copy stays with its original."""
    make_master(7, KEY[::2], BOTH)
    by_pair = option == "--by=pair"
    tested: list[str] = []
    for fold in range(5):
        words = ("--ratios", "1/2", "3/10", "1/5", option, "--fold", fold, "--overwrite")
        code, _, err = split(MASTER, DATASET, *words)
        assert code == 0 and (err == BY_PAIR) == by_pair
        assert f"the {how}, seed 0, fold {fold}. " in CARD.read_text()
        assert f" --fold {fold} --by" in CARD.read_text()
        assert all(len(names) == 2 * len({name[-18:] for name in names}) for names in names_of())
        tested += names_of()[2]
    assert sorted(tested) == sorted(path.stem for path in (MASTER / "images").iterdir())
    assert len([*DATASET.glob("subgroup_*")]) == 3 * (not by_pair)
    assert ("A patient may be in several subsets." in CARD.read_text()) == by_pair


@pytest.mark.parametrize(("source", "licence", "settings", "size"), [
    (facts.SOURCE, facts.LICENCE, {}, "8-bit gray,\n16 x 16 pixels. Source"),
    ("my hospital", "ask me", {"size": None, "fit": "none"}, "in their own sizes (resize to"),
])  # fmt: skip
def test_only_the_card_of_camus_tells_of_camus(
    split: Run, source: str, licence: str, settings: Any, size: str
) -> None:
    make_master(1, **settings)
    change(JSON, '"phantom": true', '"phantom": false')
    change(JSON, facts.PHANTOM_SOURCE, source)
    change(JSON, facts.PHANTOM_LICENCE, licence)
    change(JSON, '"settings": {', '"settings": {"note": "by Eva", ')
    assert split(MASTER, DATASET, "--ratios", 1, 0, 0)[0] == 0
    card = CARD.read_text()
    for words in ("500 patients and 2,000 ED and ES", "St\n  Etienne", "@article{leclerc2019deep,",
                  "license: cc-by-nc-sa-4.0\n"):  # fmt: skip
        assert (words in card) == (source == facts.SOURCE)
    assert size in card and "only -->" not in card and "size None" not in card
    assert "--note" not in card
    description = json.loads((DATASET / "dataset.json").read_text())
    for number, size in ((999, "n<1K"), (1000, "1K<n<10K"), (10**6, "1M<n<10M")):  # of the hub
        description["subsets"]["train"]["pairs"] = number
        assert f"size_categories:\n- {size}\n" in camus_card.card(description, "", 0)
    assert " --format jpg --jpg-quality 95 --" in card


@pytest.mark.parametrize("masks", ["gray", "binary", "index"])  # index: images JPG, masks PNG
def test_files_and_cells_are_the_masters(split: Run, masks: str) -> None:
    """Byte for byte, after a mark (BOM), with own texts, without pairs deleted by hand."""
    make_master(10, [*KEY[:2], HALF], BOTH, masks=masks)
    for name in ("source", "licence", "citation"):
        change(JSON, f'"{name}": "', f'"my {name}": [1], "{name}": "my own, ')
    for path in MASTER.glob("*/patient0003_2CH*"):
        path.unlink()
    CSV.write_bytes(b"\xef\xbb\xbf" + CSV.read_bytes().replace(b"between,2", b"ES,2", 1))
    code, out, err = split(MASTER, DATASET, "--ratios", "3/4", "0.250", 0, "--seed", 5)
    line = f"{MASTER}: 58 phantom pairs read, 2 deleted pairs left out\n"
    assert (code, err) == (0, "") and out.startswith(line)
    master, made, expected = tree(MASTER), tree(DATASET), {}
    table = master["metadata.csv"].decode("utf-8-sig").splitlines(keepends=True)
    rows = [line for line in table[1:] if "/patient0003_2CH" not in line]
    for subset, name in zip(SUBSETS, NAMES, strict=True):
        listed = made[name].decode().split("\n")
        cells = [line for line in rows if line.split(",")[2] in listed]
        assert listed == [*sorted({line.split(",")[2] for line in cells}), ""]
        for line in cells:
            for file in line.split(",")[:2]:
                expected[f"{subset}/{file}"] = master[file]
        if cells:  # Hugging Face wants no metadata.csv without pairs
            expected[f"{subset}/metadata.csv"] = "".join([HEAD, *cells]).encode()
    for name in ("README.md", "dataset.json", *NAMES, *metadata.PICTURES):
        expected[name] = made[name]
    assert made == expected
    description = json.loads(master["dataset.json"])
    assert json.loads(made["dataset.json"]) == {
        **description,
        "made_by": "split_master",
        "split": {"ratios": ["3/4", "0.250", "0"], "seed": 5, "fold": 0, "by": "patient",
                  "stratify": False},
        "subsets": {"train": {"pairs": 42, "patients": 7}, "valid": {"pairs": 16, "patients": 3},
                    "test": {"pairs": 0, "patients": 0}},
    }  # fmt: skip
    how = "75 / 25 / 0 % of the patients, not stratified, seed 5, fold 0. No patient is in two"
    assert f"Split at random: {how} subsets.\n" in CARD.read_text()
    assert "deleted by hand (2) must be changed again, and" in CARD.read_text()
    assert "\n58 synthetic ultrasound images of the heart from 10 patients, " in CARD.read_text()
    assert ("JPG changes these levels slightly." in CARD.read_text()) == (masks != "index")
    assert "Dataset --ratios 3/4 0.250 0 --seed 5 --fold 0 --by patient\n" in CARD.read_text()


@pytest.mark.parametrize(("chosen", "start"), [
    (LISTED, LISTED / "subgroup"), (LISTED.parent, LISTED / "subgroup"), ("a.b/c.5", "a.b/c.5"),
])  # fmt: skip
def test_lists_of_patients(split: Run, chosen: Any, start: Any) -> None:
    make_master(6, ["2CH_ED"])
    build.write(Path(f"{start}_training.txt"), b"\xef\xbb\xbfpatient0002\r\n\r\n patient0009 \r\n")
    build.write(Path(f"{start}_validation.txt"), b"patient0008\npatient0010\npatient0008")
    build.write(Path(f"{start}_testing.txt"), b"patient0001\n\n")
    code, out, err = split(MASTER, DATASET, "--subgroups", chosen)
    left = "4 patients in no list, left out; the first is patient0003\n"
    absent = "3 patients in the lists, but not in this master; the first is patient0008\n"
    assert (code, err) == (0, left + absent) and patients_of() == [[2], [], [1]]
    assert f"{MASTER}: 6 phantom pairs read\n{DATASET}: 2 phantom pairs written\n" in out
    description = json.loads((DATASET / "dataset.json").read_text())
    assert description["split"] == {"by": "lists of patients"}
    how = "Lists of patients say who is in which subset. No patient is in two subsets.\n"
    assert how in CARD.read_text() and " --subgroups .\n" in CARD.read_text()


def test_pairs_that_are_none_are_counted_and_there_must_be_some(split: Run) -> None:
    make_master(1, masks="index", format="png")
    paths = [MASTER / "masks" / f"patient0001_{pair}.png" for pair in KEY]
    paths[0].write_bytes(encoded(MASK + 84 * (MASK == 1), "png"))
    paths[1].write_bytes(b"")
    first = f"the first is {paths[0].stem}, the mask has the value 85, it may have 0, 1, 2, 3"
    line = f"{MASTER}: 2 pairs cannot be used, see the README; {first}\n"
    assert refusal(split(MASTER, DATASET)).endswith(line)
    assert [*Path().iterdir()] == [MASTER]
    for path in MASTER.glob("*/*"):
        path.unlink()
    assert f"{MASTER} has no pairs: run the generator with --overw" in refusal(split(MASTER))


MAKE_ONE = "make a master with CAMUSImageMaskDatasetGenerator.py"
OPTIONS = {
    "--ratios 0.7 0.2 0.2": "--ratios must sum to 1, not 0.7 0.2 0.2",
    "--ratios 1/3 1/3 0.3333333333333": "--ratios must sum to 1, not 1/3 1/3 0.3333333333333",
    "--ratios 0.8 0.1 0.1 --fold 10": "--fold 10 needs 11 test sets with a share of 0.1 each: ",
    "--ratios 1/3 1/3 1/3 --fold 3": "--fold 3 needs 4 test sets with a share of 1/3 each: ",
    "--ratios 0.5 0.5 0 --fold 1": "with a share of 0 each: choose a lower N, counted from 0",
    "--fold 1000": "argument --fold: '1000' must be a whole number from 0 to 999; see --help",
    "--seed 4294967296": "'4294967296' must be a whole number from 0 to 4294967295; see --help",
    "--stratify": "needs ejection fractions and image qualities, which the Info files of the "
       "release have: leave --stratify out, or run the generator with these files",
    "--stratify --by pair": "--stratify cannot be combined with --by pair",
    **{f"--subgroups x {option}":
       "--subgroups cannot be combined with --ratios, --seed, --fold, --stratify or --by pair"
       for option in ("--ratios 0.8 0.1 0.1", "--seed 1", "--fold 1", "--stratify", "--by pair")},
    **{f"--ratios 1 0 {text}": f"'{text}' must be a share such as 0.7 or 1/3; see --help"
       for text in ("-0.2", "1e-1", "1/0", "1.1", "0,1")},
}  # fmt: skip


@pytest.mark.parametrize(("words", "reason"), [
    *(((MASTER, DATASET, *words.split()), reason) for words, reason in OPTIONS.items()),
    *(((MASTER, place, "--overwrite"), f"{place} and {MASTER} overlap: choose another folder")
      for place in (MASTER, MASTER / "inside", Path())),
    *(((place,), f"{place} is a database: {MAKE_ONE}")
      for place in (LISTED.parent, LISTED.with_name("database_nifti"))),
    (("x",), f"x does not exist: {MAKE_ONE}"),
    ((), "no CAMUS-master here: make it with the generator, or name your master"),
])  # fmt: skip
def test_wrong_use(split: Run, words: Any, reason: str) -> None:
    make_master(2, ["2CH_ED"])
    build.write(LISTED.with_name("database_nifti") / "patient0001/x", b"")
    before = tree(Path())
    assert reason in refusal(split(*words))
    assert tree(Path()) == before


PICTURE, OUTLINE = MASTER / "images" / ED, MASTER / "masks" / ED
ROW = f"images/{ED},masks/{ED},patient0001,2CH,ED,,0,,unknown,007.50\n"
OF_ED, OF_FRAME = f"line 6 gives images/{ED} the", f"line 7 gives images/{FRAME} the"
CORRECT = f"correct it, or delete {MASTER} or move it away"
RENAME = "give it the name of the file that it replaces, or move it out of the master"


@pytest.mark.parametrize(("path", "old", "new", "reason"), [
    (TRAIN, "", None, f"{ABSENT} '{TRAIN}': {LISTS}"),
    (TEST, "", "patient1\npatient-M\xfcller\n", f"{TEST} is not UTF-8 text: {LISTS}"),
    *((TEST, "", f"\n{line}\n", f"{TEST}, line 2: {line!r}: {LISTS}") for line in (
        "patient1, patient2", "patient1 patient2", "patient1;good", "patient1\t54", "0001",
        "patient1_2CH_ED", "patient1_4CH_ES.png", "a patient1")),
    (VALID, "", "patient0002", f"{VALID}: patient0002 is in another list, too: delete it from one"),
    (TRAIN, "1\npatient0002", "", f"no patient of {MASTER} is in the lists of {LISTED}: {LISTS}"),
    *((CSV, old, new, f"{CSV}: {what}: {CORRECT}") for old, new, what in (
        ("patient0001,2CH,ED,,0", "patient1,2CH,ED,,0", f"{OF_ED} patient 'patient1'"),
        ("2CH,ED,,0", "4CH,ED,,0", f"{OF_ED} view '4CH'"),
        ("ED,,0", "ES,,0", f"{OF_ED} instant 'ES'"),
        ("ED,,0", "ED,1,0", f"{OF_ED} frame '1'"),
        ("between,2,0", "between,02,0", f"{OF_FRAME} frame '02'"),
        ("between,2,0", "between,2,1", f"{OF_FRAME} mirrored '1'"),
        (f",masks/{ED}", f",masks/x{ED[1:]}", f"{OF_ED} mask 'masks/x{ED[1:]}'"),
        (f",masks/{ED}", f",images/{ED}", f"{OF_ED} mask 'images/{ED}'"),
        (f",masks/{ED}", f",masks/{ED}x", f"{OF_ED} mask 'masks/{ED}x'"),
        ("between,2,0,", "between,0,", "line 7 needs 10 values"),
        ("between,2,0,", "between,2,0,,", "line 7 needs 10 values"))),
    *((CSV, f"images/{ED}", name, f"6 has the file_name {name!r}, which is not that of an image: ")
      for name in (ED, f"masks/{ED}", f"images/x/{ED}", f"images/{ED}x")),
    *((CSV, old, new, f"{CSV} {what}: {CORRECT}") for old, new, what in (
        ("", None, f"cannot be read ({ABSENT} '{CSV}')"),
        ("patient,", "patients,", "needs one column 'patient'"),
        ("own\n", "ef\n", "needs one column 'ef'"))),
    (CSV, ROW, ROW * 2, f"{CSV} lists 'images/{ED}' twice: delete one row"),
    (CSV, ROW, "", f"metadata.csv has no row for {PICTURE}: {RENAME}"),
    *((path, "", "", f"metadata.csv has no row for {path}: {RENAME}") for path in (
        OUTLINE.with_suffix(".png"), OUTLINE.with_suffix(".jpg.bak"))),
    *((path, "", None, f"{path} is missing: delete {other}, too, or run the generator with "
       "--overwrite") for path, other in ((PICTURE, OUTLINE), (OUTLINE, PICTURE))),
    (JSON, "", "\n?", "line 2 column 1 (char 1)): correct it, or move the folder away"),
    (JSON, "", None, f"not a master, no dataset.json in it names the generator: {MAKE_ONE}"),
    (JSON, "CAMUSImageMaskDatasetGenerator", "split_master",
     "is a dataset: name the master that it was made from\n"),
    *((JSON, old, new, f"{JSON} was changed: run the generator again") for old, new in (
        ('"size": 16', '"size": "16"'), ('"fit": "pad"', '"fit": ["pad"]'), ('"key"', '"keys"'),
        ('"views": [', '"views": {}, "x": ['), ('"jpg_quality": 95', '"jpg_quality": 0'),
        ('"mirror"', '"mirrored"'), ('"label": 3', '"label": 4'), ("left atrium", "atrium"),
        ('"gray_level": 85', '"gray_level": 86'), ('"phantom": true', '"phantom": "no"'),
        ('"licence"', '"x"'), ('"source": ', '"source": 1, "x": '))),
])  # fmt: skip
def test_what_is_refused(split: Run, path: Path, old: str, new: Any, reason: str) -> None:
    make_master(2, ["2CH_ED", HALF], BOTH)
    for place in (TRAIN, VALID, TEST):
        build.write(place, b"patient0001\npatient0002\n" if place == TRAIN else b"")
    change(path, old, new)
    assert reason in refusal(split(MASTER, DATASET, "--subgroups", LISTED))
    assert sorted(Path().iterdir()) == [MASTER, LISTED.parent]


@build.posix
def test_what_is_not_a_file_is_missing(split: Run) -> None:
    """A pipe would let the split wait for ever. A folder beside the masks is no file to miss."""
    make_master(1)
    OUTLINE.unlink()
    os.mkfifo(OUTLINE)
    (MASTER / "masks" / "before").mkdir()
    assert f"{OUTLINE} is missing: delete {PICTURE}, too, " in refusal(split(MASTER))


@pytest.mark.parametrize("place", ["CAMUS-master", "generator/CAMUS-master", "repo/CAMUS-master"])
def test_default_places(split: Run, place: str, monkeypatch: Any) -> None:
    """Here or beside the script, which lies in the folder `repo`."""
    make_master(3, ["2CH_ED"])
    (other := Path("repo/generator/CAMUS-master").absolute()).parent.mkdir(parents=True)
    found = Path(place).absolute() if "repo" in place else Path(place)
    found.parent.mkdir(exist_ok=True)
    MASTER.rename(found)
    target = "CAMUS_public-ImageMask-Dataset"
    assert f"{found}: 3 phantom pairs read\n{target}: 3 phantom pairs written\n" in split()[1]
    assert Path(target, "train").is_dir()
    if "repo" in place:
        monkeypatch.chdir("repo")
        assert split()[1].startswith("CAMUS-master: ")  # it lies in two places, but is one
        monkeypatch.chdir("..")
    other.mkdir()
    both = found, other
    said = {f"script.py: there are {a} and {b}: name one of them\n" for a, b in (both, both[::-1])}
    assert refusal(split()) in said
