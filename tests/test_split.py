"""The split as a user meets it: masters in, datasets and lines out."""

import os
from collections import Counter
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from camus import command_line, metadata, splits
from camus.card import card
from camus.facts import LEVELS, SUBSETS

from . import build
from .build import DATASET, IMAGE, MASK, MASTER, SETTINGS, Run, encoded, refusal, tree, write

CSV, JSON, CARD = MASTER / "metadata.csv", MASTER / "dataset.json", DATASET / "README.md"
HEAD = f"{build.COLUMNS},ef,image_quality,own\n"
KEY, HALF = ("2CH_ED", "2CH_ES", "4CH_ED", "4CH_ES"), "4CH_half_sequence_frame02"
ED, BOTH = "patient0001_2CH_ED.jpg", ("", "mirrored_")
EFS, QUALITIES = ("", "n/a", "45.0", "45.1", "54.9", "55.0"), ("unknown", "Good", "Medium", "Poor")
LISTED = Path("CAMUS_public", "database_split")
NAMES = ("subgroup_training.txt", "subgroup_validation.txt", "subgroup_testing.txt")
TRAIN, VALID, TEST = (LISTED / name for name in NAMES)
LISTS = f"{NAMES[0]}, {NAMES[1]} and {NAMES[2]} must have one patient per line, such as"
BY_PAIR = "patients may be in several subsets, so test scores may be too high\n"
SHARES, OF = "0.7 0.2 0.1", {"train": 0.7, "valid": 0.2, "test": 0.1}
MAKE_ONE = "make a master with CAMUSImageMaskDatasetGenerator.py"
PICTURE, OUTLINE = MASTER / "images" / ED, MASTER / "masks" / ED
ROW = f"images/{ED},masks/{ED},patient0001,2CH,ED,,0,,unknown,007.50\n"
LINE, GIVES = f"{CSV}: line 4", f"{CSV}: line 4 gives images/{ED} the"
CORRECT = f"correct it, or delete {MASTER} or move it away"
RENAME = "give it the name of the file that it replaces, or move it out of the master"


def make_master(number: int, pairs: Any = KEY, copies: Any = ("",), **changed: Any) -> None:
    """A master of phantoms. Every file has bytes of its own, every patient its EF and qualities."""
    settings, lines = {**SETTINGS, **changed}, [HEAD]
    suffix = "png" if settings["masks"] == "index" else "jpg"
    image, levels = encoded(IMAGE, "jpg"), np.array(LEVELS[settings["masks"]])
    for (n, patient), pair, prefix in product(enumerate(patients(number)), pairs, copies):
        name = f"{prefix}{patient}_{pair}"
        files = f"images/{name}.jpg", f"masks/{name}.{suffix}"
        write(MASTER / files[0], image + name.encode() + b"\xff\xd9")
        write(MASTER / files[1], encoded(levels[MASK], suffix) + name.encode())
        instant = f"{pair[4:]}," if pair in KEY else "ES,2"
        info = EFS[n % 6], QUALITIES[n % 4 if pair[0] == "2" else n // 4 % 4], "007.50\n"
        lines.append(",".join([*files, patient, pair[:3], instant, f"{BOTH.index(prefix)}", *info]))
    CSV.write_text("".join(sorted(lines)), newline="")
    metadata.write_description(MASTER, metadata.describe(settings, phantom=True))


def patients(number: int) -> list[str]:
    return [f"patient{n:04}" for n in range(1, number + 1)]


def patients_of() -> list[list[int]]:
    """The numbers of the patients of train, valid and test, by the names of the images."""
    folders = [DATASET / subset / "images" for subset in SUBSETS]
    return [sorted({int(path.stem[-11:-7]) for path in folder.iterdir()}) for folder in folders]


def assigned(strata: dict[str, str], ratios: str, seed: int = 0, fold: int = 0) -> Any:
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
    assert "--overwrite" in refusal(split(MASTER, DATASET, "--seed", 2**32 - 1))
    keep = f"(from now on, {command_line('--subgroups', str(DATASET))} keeps this split)"
    moved = 0, f"4 patients in another subset than before {keep}; the first is patient0002\n"
    assert split(MASTER, DATASET, "--seed", 1, "--overwrite")[::2] == moved
    assert split(MASTER, DATASET, "--subgroups", DATASET, "--overwrite")[::2] == (0, "")
    assert patients_of() == [[1, 4, 5, 6, 7, 8, 10], [2, 9], [3]]
    for path in MASTER.glob("*/patient0010*"):
        path.unlink()
    gone = 0, "1 patient in the lists, but not in this master; the first is patient0010\n"
    assert split(MASTER, DATASET, "--subgroups", DATASET, "--overwrite")[::2] == gone
    assert split(MASTER, DATASET, "--by", "pair", "--overwrite")[::2] == (0, BY_PAIR)


@pytest.mark.parametrize(("number", "ratios", "sizes", "said"), [
    (500, SHARES, [350, 100, 50], ""), (10, "0.5 .5 0", [5, 5, 0], ""),
    (3, SHARES, [2, 1, 0], "test is empty: its share of 3 patients, 0.1, is too small\n"),
    (3, "0 0 1", [0, 0, 3], ""),  # train is empty
    (15, "0.1 0.2 0.7", [1, 3, 11], ""),  # as floats, 0.1 + 0.2 is more than 0.3
])  # fmt: skip
def test_sizes(split: Run, number: int, ratios: str, sizes: list[int], said: str) -> None:
    make_master(number, ["2CH_ED"])
    change(JSON, '"phantom": true', '"phantom": false')
    code, out, err = split(MASTER, DATASET, "--ratios", *ratios.split())
    lines = f"{MASTER}: {number} pairs read\n{DATASET}: {number} pairs written\n"
    assert (code, err) == (0, said) and out.startswith(lines)
    assert [*map(len, patients_of())] == sizes
    assert sorted(sum(patients_of(), [])) == [*range(1, number + 1)]


def test_a_split_stays_is_balanced_and_has_folds() -> None:
    for number, kinds, seed in product((3, 4, 10, 16, 57), (1, 3, 9), (0, 1, 2)):
        strata = {name: f"{n * n % kinds}" for n, name in enumerate(patients(number))}
        before = assigned(strata, SHARES, seed)
        for gone in strata:
            fewer = {name: strata[name] for name in strata if name != gone}
            after = assigned(fewer, SHARES, seed)
            moves = [(before[name], s) for name, s in after.items() if before[name] != s]
            assert len(moves) <= (2 if kinds == 1 else 4)
            assert ("test", "train") not in moves or (kinds > 1 and number < 57)
        counts = Counter((strata[name], s) for name, s in before.items())
        for (stratum, size), (s, share) in product(Counter(strata.values()).items(), OF.items()):
            assert abs(counts[stratum, s] - share * size) < 2
        folds = [assigned(strata, "0.8 0.1 0.1", seed, fold) for fold in range(10)]
        for subsets in ([fold[name] for fold in folds] for name in strata):
            start = subsets.index("valid")
            assert subsets[start:] + subsets[:start] == ["valid", "test", *["train"] * 8]


def test_a_stratum_of_one_reaches_test_by_its_share() -> None:
    """It stands at a random place among 99 others, which are spread evenly."""
    strata = {**dict.fromkeys(patients(99), "usual"), "patient0100": "rare"}
    subsets = [assigned(strata, SHARES, seed)["patient0100"] for seed in range(60)]
    assert [seed for seed in range(60) if subsets[seed] == "test"] == [7, 32, 35, 49]


def test_stratify_by_ejection_fraction_and_the_worse_quality(split: Run) -> None:
    make_master(40)
    assert split(MASTER, DATASET, "--stratify", "--seed", 3, "--fold", 1)[::2] == (0, "")
    how = "patients, stratified by ejection fraction and image quality, seed 3, fold 1. No patient"
    assert f"% of the {how} is in two subsets.\n" in CARD.read_text()
    bands = *["unknown"] * 2, "45 % or less", *["45 to 55 %"] * 2, "55 % or more"
    strata = {name: f"{bands[n % 6]} {QUALITIES[max(n % 4, n // 4 % 4)]}"  # best first
              for n, name in enumerate(patients(40))}  # fmt: skip
    expected = assigned(strata, SHARES, 3, 1)
    assert patients_of() == [[n for n, name in enumerate(strata, 1) if expected[name] == s]
                             for s in SUBSETS]  # fmt: skip


def test_folds_by_pair_test_each_pair_once_and_copies_stay_together(split: Run) -> None:
    make_master(7, KEY[::2], BOTH)
    tested = []
    for fold in range(5):
        words = ("--ratios", "1/2", "3/10", "1/5", "--by", "pair", "--fold", fold, "--overwrite")
        assert split(MASTER, DATASET, *words)[::2] == (0, BY_PAIR)
        how = f"pairs, not stratified, seed 0, fold {fold}. A patient may be in several subsets.\n"
        assert how in CARD.read_text() and not [*DATASET.glob("subgroup_*")]
        for path in DATASET.glob("*/images/patient*"):
            assert path.with_name(f"mirrored_{path.name}").exists()
        tested += [path.name for path in (DATASET / "test" / "images").iterdir()]
    assert sorted(tested) == sorted(path.name for path in (MASTER / "images").iterdir())


def test_only_the_card_of_camus_tells_of_camus() -> None:
    camus = {**metadata.describe(SETTINGS, phantom=False), "split": {"by": "lists of patients"}}
    camus["subsets"] = {"train": {"pairs": 1000, "patients": 250}}
    settings = {**SETTINGS, "frames": "sequence", "views": ["4CH"], "size": None, "fit": "none"}
    other = {**camus, "source": "my hospital", "licence": "ask me", "settings": settings}
    phantoms = card({**camus, **metadata.describe(SETTINGS, phantom=True)}, "x.jpg", 0)
    ours, theirs = card(camus, "x.jpg", 0), card(other, "x.jpg", 0)
    for words in ("CAMUS has 500 patients", "St\n  Etienne", "@article", "license: cc-by-nc-sa"):
        assert words in ours and words not in theirs + phantoms
    assert "Please cite nothing: phantoms are synthetic\n" in phantoms
    assert "size_categories:\n- 1K<n<10K\n" in ours and "only -->" not in ours + theirs
    what = "\n1,000 ultrasound images of the heart from 250 patients, each with a mask: "
    assert f"{what}ED and ES frames, views 2CH and 4CH, 8-bit gray,\n16 x 16 pixels. Source" in ours
    assert ": all frames from ED to ES, views 4CH, 8-bit gray,\nin their own sizes (" in theirs
    assert " CAMUS-master --frames key --views 2CH 4CH --masks gray --structures lv" in ours
    assert " --format jpg --jpg-quality 95 --fit none\n" in theirs


@pytest.mark.parametrize("masks", ["binary", "index"])  # index: images JPG, masks PNG
def test_files_and_cells_are_the_masters(split: Run, masks: str) -> None:
    """Byte for byte, after a mark (BOM), with own texts, without pairs deleted by hand."""
    settings = {"frames": "sequence", "image_quality": ["Poor"], "fit": "stretch", "mirror": True}
    make_master(10, [*KEY[:2], HALF], BOTH, masks=masks, **settings)
    for name in ("source", "licence", "citation"):
        change(JSON, f'"{name}": "', f'"my {name}": [1], "{name}": "my \\udcff own, ')
    for path in MASTER.glob("*/patient0003_2CH*"):
        path.unlink()
    change(CSV, "", "\xef\xbb\xbf")
    code, out, err = split(MASTER, DATASET, "--ratios", "3/4", "0.250", 0, "--seed", 5)
    line = f"{MASTER}: 58 phantom pairs read, 2 deleted pairs left out\n"
    assert (code, err) == (0, "") and out.startswith(line)
    master, made = tree(MASTER), tree(DATASET)
    expected = {name: made[name] for name in ("README.md", "dataset.json", *metadata.PICTURES)}
    table = master["metadata.csv"].decode("utf-8-sig").splitlines(keepends=True)
    rows = [line.split(",") for line in table[1:] if "/patient0003_2CH" not in line]
    for subset, name in zip(SUBSETS, NAMES, strict=True):
        cells = [row for row in rows if row[2] in made[name].decode().split("\n")]
        expected[name] = "".join(sorted({f"{row[2]}\n" for row in cells})).encode()
        expected |= {f"{subset}/{file}": master[file] for row in cells for file in row[:2]}
        if cells:  # Hugging Face wants no metadata.csv without pairs
            expected[f"{subset}/metadata.csv"] = "".join([HEAD, *map(",".join, cells)]).encode()
    assert made == expected
    split_by = {"ratios": ["3/4", "0.250", "0"], "seed": 5, "fold": 0, "by": "patient"}
    assert metadata.read_description(DATASET) == {
        **metadata.read_description(MASTER),
        "made_by": "split_master",
        "split": {**split_by, "stratify": False},
        "subsets": {"train": {"pairs": 42, "patients": 7}, "valid": {"pairs": 16, "patients": 3},
                    "test": {"pairs": 0, "patients": 0}},
    }  # fmt: skip
    text = CARD.read_text()
    how = "75 / 25 / 0 % of the patients, not stratified, seed 5, fold 0. No patient is in two"
    assert f"Split at random: {how} subsets.\n" in text
    assert "deleted by hand (2) must be changed again, and" in text
    assert "\n58 synthetic ultrasound images of the heart from 10 patients, " in text
    assert ("JPG changes these levels slightly." in text) == (masks != "index")
    assert "Licence: my ? own, none needed: phantoms are synthetic.\n" in text
    options = f"--frames sequence --views 2CH 4CH --image-quality Poor --masks {masks} "
    options += "--structures lv myo la --format jpg --jpg-quality 95 --size 16 --fit stretch"
    assert f" CAMUS_public CAMUS-master {options} --mirror\n" in text
    assert "Dataset --ratios 3/4 0.250 0 --seed 5 --fold 0 --by patient\n" in text


@pytest.mark.parametrize(("name", "start"), [("CAMUS_public", LISTED / "subgroup"), ("a.b", "a.b")])
def test_lists_of_patients(split: Run, name: str, start: Any) -> None:
    make_master(6, ["2CH_ED"])
    write(Path(f"{start}_training.txt"), b"\xef\xbb\xbfpatient0002\r\n\r\n patient0009 \r\n")
    write(Path(f"{start}_validation.txt"), b"patient0008\npatient0010\npatient0008")
    write(Path(f"{start}_testing.txt"), b"patient0001\n\n")
    code, out, err = split(MASTER, DATASET, "--subgroups", name)
    left = "4 patients in no list, left out; the first is patient0003\n"
    absent = "3 patients in the lists, but not in this master; the first is patient0008\n"
    assert (code, err) == (0, left + absent) and patients_of() == [[2], [], [1]]
    assert f"{MASTER}: 6 phantom pairs read\n{DATASET}: 2 phantom pairs written\n" in out
    assert metadata.read_description(DATASET)["split"] == {"by": "lists of patients"}
    how = "Lists of patients say who is in which subset. No patient is in two subsets.\n"
    assert how in CARD.read_text() and " --subgroups .\n" in CARD.read_text()


def test_pairs_that_are_none_are_counted_and_there_must_be_some(split: Run) -> None:
    make_master(6, ["2CH_ED"], masks="index", size=None, fit="none")
    (MASTER / "masks" / "before").mkdir()  # which is no file to miss
    paths = [MASTER / "masks" / f"patient000{n}_2CH_ED.png" for n in (3, 6)]
    paths[0].write_bytes(encoded(MASK + 84 * (MASK == 1), "png"))
    paths[1].write_bytes(b"")
    first = f"the first is {paths[0].stem}, the mask has the value 85, it may have 0, 1, 2, 3"
    line = f"{MASTER}: 2 pairs cannot be used, see the README; {first}\n"
    assert refusal(split(MASTER, DATASET)).endswith(line)
    for path in MASTER.glob("*/*.*"):
        path.unlink()
        if hasattr(os, "mkfifo"):  # a pipe is no file, and would let the split wait for ever
            os.mkfifo(path)
    assert f"{MASTER} has no pairs: run the generator with --overw" in refusal(split(MASTER))


@pytest.mark.parametrize(("words", "reason"), [
    *(((MASTER, DATASET, *words.split()), reason) for words, reason in (
        ("--ratios 0.7 0.2 0.2", "--ratios must sum to 1, not 0.7 0.2 0.2"),
        ("--ratios 1/3 1/3 0.333333333333", "--ratios must sum to 1, not 1/3 1/3 0.333333333333"),
        ("--ratios 0.8 0.1 0.1 --fold 10", "--fold 10 needs 11 test sets with a share of 0.1 each"),
        ("--ratios 0.5 0.5 0 --fold 1", "share of 0 each: choose a lower N, counted from 0"),
        ("--fold 1000", "--fold: '1000' must be a whole number from 0 to 999; see --help"),
        ("--seed 4294967296", "'4294967296' must be a whole number from 0 to 4294967295; see"),
        ("--stratify", "which the Info files of the release have: leave --stratify out, or run the "
         "generator with these files"),
        ("--stratify --by pair", "--stratify cannot be combined with --by pair"),
        *((f"--subgroups x {option}",
           "--subgroups cannot be combined with --ratios, --seed, --fold, --stratify or --by pair")
          for option in ("--ratios 1 0 0", "--seed 1", "--fold 1", "--stratify", "--by pair")),
        *((f"--ratios 1 0 {text}", f"'{text}' must be a share such as 0.7 or 1/3; see --help")
          for text in ("-0.2", "1e-1", "1/0", "1.1", "0,1")))),
    *(((MASTER, place, "--overwrite"), f"{place} and {MASTER} overlap: choose another folder")
      for place in (MASTER, MASTER / "inside", Path())),
    *(((place,), f"{place} is a database: {MAKE_ONE}")
      for place in (LISTED.parent, LISTED.with_name("database_nifti"))),
    (("x",), f"x does not exist: {MAKE_ONE}"),
    ((), "no CAMUS-master here: make it with the generator, or name your master"),
])  # fmt: skip
def test_wrong_use(split: Run, words: Any, reason: str) -> None:
    make_master(2, ["2CH_ED"])
    write(LISTED.with_name("database_nifti") / "patient0001/x", b"")
    before = tree(Path())
    assert reason in refusal(split(*words))
    assert tree(Path()) == before


@pytest.mark.parametrize(("path", "old", "new", "reason"), [
    (TRAIN, "", None, f"[Errno 2] No such file or directory: '{TRAIN}': {LISTS}"),
    (TEST, "", "patient1\npatient-M\xfcller\n", f"{TEST} is not UTF-8 text: {LISTS}"),
    *((TEST, "", f"\n{line}\n", f"{TEST}, line 2: {line!r}: {LISTS}") for line in (
        "patient1 patient2", "patient1,2", "patient1;2", "patient1\t2", "0001", "patient1_2CH_ED")),
    (VALID, "", "patient0002", f"{VALID}: patient0002 is in another list, too: delete it from one"),
    (TRAIN, "1\npatient0002", "", f"no patient of {MASTER} is in the lists of {LISTED}: {LISTS}"),
    *((CSV, old, new, f"{what}: {CORRECT}") for old, new, what in (
        ("patient0001,2CH,ED,,0", "patient1,2CH,ED,,0", f"{GIVES} patient 'patient1'"),
        ("2CH,ED,,0", "4CH,ED,,0", f"{GIVES} view '4CH'"),
        ("ED,,0", "ES,,0", f"{GIVES} instant 'ES'"),
        ("ED,,0", "ED,1,0", f"{GIVES} frame '1'"),
        ("ED,,0", "ED,,1", f"{GIVES} mirrored '1'"),
        (f",masks/{ED}", f",masks/x{ED}", f"{GIVES} mask 'masks/x{ED}'"),
        *((f"images/{ED}", name, f"file_name '{name}', which is not that of an image")
          for name in (f"masks/{ED}", f"images/x/{ED}", f"images/{ED}x")),
        ("ED,,0,", "ED,0,", f"{LINE} needs 10 values"),
        ("ED,,0,", "ED,,0,,", f"{LINE} needs 10 values"),
        ("", None, f"{CSV} cannot be read ([Errno 2] No such file or directory: '{CSV}')"),
        ("patient,", "patients,", f"{CSV} needs one column 'patient'"),
        ("own\n", "ef\n", f"{CSV} needs one column 'ef'"))),
    (CSV, ROW, ROW * 2, f"{CSV} lists 'images/{ED}' twice: delete one row"),
    (CSV, ROW, "", f"metadata.csv has no row for {PICTURE}: {RENAME}"),
    (OUTLINE.with_suffix(".png"), "", "", f"{OUTLINE.with_suffix('.png')}: {RENAME}"),
    *((path, "", None, f"{path} is missing: delete {other}, too, or run the generator with --ov")
      for path, other in ((PICTURE, OUTLINE), (OUTLINE, PICTURE))),
    (JSON, "", "\n?", "line 2 column 1 (char 1)): correct it, or move the folder away"),
    (JSON, "", None, f"not a master, no dataset.json in it names the generator: {MAKE_ONE}"),
    (JSON, "CAMUSImageMaskDatasetGenerator", "split_master", "is a dataset: name the master that"),
    *((JSON, old, new, f"{JSON} was changed: run the generator again") for old, new in (
        ('"size": 16', '"size": "16"'), ('"fit": "pad"', '"fit": "none"'),
        ('"views": [', '"views": {}, "x": ['), ('"jpg_quality": 95', '"jpg_quality": 0'),
        ('"gray_level": 85', '"gray_level": 86'), ('"phantom": true', '"phantom": "no"'),
        ('"licence"', '"x"'), ('"source": ', '"source": 1, "x": '))),
])  # fmt: skip
def test_what_is_refused(split: Run, path: Path, old: str, new: Any, reason: str) -> None:
    make_master(2, ["2CH_ED"], BOTH)
    for place in (TRAIN, VALID, TEST):
        write(place, b"patient0001\npatient0002\n" if place == TRAIN else b"")
    change(path, old, new)
    assert reason in refusal(split(MASTER, DATASET, "--subgroups", LISTED))
    assert sorted(Path().iterdir()) == [MASTER, LISTED.parent]


def test_default_places(split: Run, monkeypatch: Any) -> None:
    """Here or beside the script, which lies in the folder `repo`."""
    make_master(3, ["2CH_ED"])
    master, repo = MASTER, Path("repo").absolute()
    for root, name in product((Path(), repo), ("generator/CAMUS-master", "CAMUS-master")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        master = master.rename(root / name)
        lines = f"{master}: 3 phantom pairs read\nCAMUS_public-ImageMask-Dataset: 3 phantom "
        assert split("--overwrite")[1].startswith(lines)
    Path("CAMUS-master").mkdir()
    assert f"there are {master} and CAMUS-master: name one of them\n" in refusal(split())
    monkeypatch.chdir(repo)
    assert split()[1].startswith("CAMUS-master: ")  # it lies in two places, but is one
