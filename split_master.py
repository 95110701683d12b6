"""Split a master into train, valid and test, by default with no patient in common.

MASTER was made by generator/CAMUSImageMaskDatasetGenerator.py. DATASET gets
test, train and valid, each with images/, masks/ and metadata.csv; the lists of
patients; README.md and dataset.json; and pictures to look at. It appears when
all is done.
"""

import argparse
import contextlib
import re
import sys
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "generator"))
from camus import cli, facts, metadata, output, pixels, splits  # isort: skip
from camus import PairError, RefusalError, command_line, words
from camus.card import card
from camus.facts import MIRRORED, SUBGROUPS, SUBSETS, UNKNOWN
from camus.metadata import Description, Row, Subsets
from camus.previews import previews

RATIOS = ["0.7", "0.2", "0.1"]
LISTS = (
    "subgroup_training.txt, subgroup_validation.txt and subgroup_testing.txt must have one patient "
    "per line, such as patient0001"
)


def find_master(chosen: Path | None) -> Path:
    """The master chosen, or the only one in the default places."""
    if chosen:
        return chosen
    roots = Path(__file__).resolve().parent, Path()  # a master in both is shown by its short path
    places = [root / name for root in roots for name in ("CAMUS-master", "generator/CAMUS-master")]
    found = {place.resolve(): place for place in places if place.is_dir()}
    masters = list(found.values())
    if len(masters) > 1:
        raise RefusalError(f"there are {' and '.join(map(str, masters))}: name one of them")
    if not masters:
        raise RefusalError("no CAMUS-master here: make it with the generator, or name your master")
    return masters[0]


def ratio(text: str) -> str:
    """An argument type: a share such as 0.7 or 1/3, kept as it was typed."""
    with contextlib.suppress(ValueError, ZeroDivisionError):
        if re.fullmatch(r"[0-9./]+", text) and Fraction(text) <= 1:
            return text
    raise argparse.ArgumentTypeError(f"{text!r} must be a share such as 0.7 or 1/3")


def check_options(args: argparse.Namespace) -> None:
    """Raise RefusalError for options that contradict each other."""
    random = args.ratios != RATIOS or args.seed or args.fold or args.stratify or args.by == "pair"
    if args.subgroups and random:
        options = "--ratios, --seed, --fold, --stratify or --by pair"
        raise RefusalError(f"--subgroups cannot be combined with {options}")
    if args.stratify and args.by == "pair":
        raise RefusalError("--stratify cannot be combined with --by pair")
    ratios = [Fraction(text) for text in args.ratios]
    if sum(ratios) != 1:
        raise RefusalError(f"--ratios must sum to 1, not {' '.join(args.ratios)}")
    if args.fold and not 0 < (args.fold + 1) * ratios[-1] <= 1:
        folds = f"{args.fold + 1} test sets with a share of {args.ratios[-1]} each"
        raise RefusalError(f"--fold {args.fold} needs {folds}: choose a lower N, counted from 0")


def assign(rows_of: dict[str, list[Row]], args: argparse.Namespace) -> dict[str, str]:
    """The subset of each key, which is a patient or a pair, at random. rows_of: the rows by key."""
    strata = {}
    if args.stratify:
        for key, rows in rows_of.items():
            strata[key] = f"{splits.ef_band(rows)} {splits.worse_quality(rows)}"
        if all(UNKNOWN in stratum for stratum in strata.values()):
            raise RefusalError(
                "--stratify needs ejection fractions and image qualities, which the Info files of "
                "the release have: leave --stratify out, or run the generator with these files"
            )
    order = splits.in_random_order(rows_of, args.seed, strata)
    return splits.assign(order, [Fraction(text) for text in args.ratios], args.fold)


def read_lists(start: Path) -> dict[str, str]:
    """The subset of each patient by three lists. start: their folder, or how their names begin.

    listSubGroups/subGroup5: listSubGroups/subGroup5_training.txt and so on.
    Raises RefusalError unless there are three lists with one patient per line, none in two.
    """
    if (start / "database_split").is_dir():
        start = start / "database_split"
    if start.is_dir():
        start = start / "subgroup"
    subset_of: dict[str, str] = {}
    for subset, name in SUBGROUPS.items():
        path = start.with_name(start.name + name.removeprefix("subgroup"))
        try:
            lines = path.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = words(error) if isinstance(error, OSError) else f"{path} is not UTF-8 text"
            raise RefusalError(f"{reason}: {LISTS}") from error
        for number, line in enumerate(map(str.strip, lines), 1):
            if line and not re.fullmatch(facts.PATIENT, line):
                raise RefusalError(f"{path}, line {number}: {line[:60]!r}: {LISTS}")
            if line and subset_of.setdefault(line, subset) != subset:
                raise RefusalError(f"{path}: {line} is in another list, too: delete it from one")
    return subset_of


def split(args: argparse.Namespace) -> int:
    """Split a master as the command line says; the exit code."""
    check_options(args)
    master = find_master(args.master)
    source, dataset = master.resolve(), args.dataset.resolve()
    if dataset.is_relative_to(source) or source.is_relative_to(dataset):
        raise RefusalError(f"{args.dataset} and {master} overlap: choose another folder")
    description, rows, deleted = metadata.read_master(master)
    rows_of = defaultdict(list)  # by what stays together
    for row in rows:
        pair = Path(row["file_name"]).stem.removeprefix(MIRRORED)
        rows_of[row["patient"] if args.by == "patient" else pair].append(row)
    listed = read_lists(args.subgroups) if args.subgroups else {}
    if args.subgroups:
        subset_of = {patient: listed[patient] for patient in rows_of if patient in listed}
        if not subset_of:
            reason = f"no patient of {master} is in the lists of {args.subgroups}"
            raise RefusalError(f"{reason}: {LISTS}")
        description["split"] = {"by": "lists of patients"}
    else:
        subset_of = assign(rows_of, args)
        options = ("ratios", "seed", "fold", "by", "stratify")
        description["split"] = {name: getattr(args, name) for name in options}
    subsets: dict[str, list[Row]] = {subset: [] for subset in SUBSETS}
    for key, subset in subset_of.items():
        subsets[subset] += rows_of[key]
    description["made_by"] = metadata.SPLIT
    description["subsets"] = {
        subset: {"pairs": len(pairs), "patients": len({row["patient"] for row in pairs})}
        for subset, pairs in subsets.items()
    }
    earlier: dict[str, str] = {}
    if args.dataset.is_dir():
        with contextlib.suppress(RefusalError):  # if it is none, or by pair
            earlier = read_lists(args.dataset)
    with output.new_folder(args.dataset, metadata.SPLIT, args.overwrite) as part:
        write(part, master, subsets, description, deleted)
        if args.by == "patient":
            metadata.write_lists(part, subset_of)
    thing = "phantom pair" if description["phantom"] else "pair"
    left_out = f", {cli.counted(deleted, 'deleted pair')} left out" if deleted else ""
    cli.say(f"{master}: {cli.counted(len(rows), thing)} read{left_out}")
    cli.say(f"{args.dataset}: {cli.counted(sum(map(len, subsets.values())), thing)} written")
    for subset, number in description["subsets"].items():
        patients = cli.counted(number["patients"], "patient")
        cli.say(f"{subset}: {patients}, {cli.counted(number['pairs'], 'pair')}")
    cli.tell(rows_of.keys() - subset_of, "patient", "in no list, left out", sys.stderr)
    absent = listed.keys() - rows_of
    cli.tell(absent, "patient", "in the lists, but not in this master", sys.stderr)
    moved = {patient for patient, old in earlier.items() if subset_of.get(patient, old) != old}
    keep = f"from now on, {command_line('--subgroups', str(args.dataset))} keeps this split"
    cli.tell(moved, "patient", f"in another subset than before ({keep})", sys.stderr)
    for subset, share in zip(SUBSETS, args.ratios, strict=True):
        if not args.subgroups and Fraction(share) and not subsets[subset]:
            keys = cli.counted(len(subset_of), args.by)
            cli.say(f"{subset} is empty: its share of {keys}, {share}, is too small", sys.stderr)
    if args.by == "pair":
        cli.say("patients may be in several subsets, so test scores may be too high", sys.stderr)
    cli.say(f"to look at: {args.dataset / metadata.PICTURES[-1]}")
    return 0


def write(
    part: Path, master: Path, subsets: Subsets, description: Description, deleted: int
) -> None:
    """Copy pairs, and write what describes them. Raises RefusalError if some cannot be used."""
    for subset, folder in product(subsets, metadata.FOLDERS):
        (part / subset / folder).mkdir(parents=True)
    items = [(part / subset, row) for subset, rows in subsets.items() for row in rows]
    copy = partial(copy_pair, master, description)
    bad = [reason for reason in cli.side_by_side(copy, items, cli.CORES, "pair") if reason]
    if bad:
        fact = f"{cli.counted(len(bad), 'pair')} cannot be used, see the README"
        raise RefusalError(f"{master}: {fact}; the first is {min(bad)}")
    for subset, rows in subsets.items():
        if rows:  # without rows, Hugging Face's loader looks for pictures that are not there
            metadata.write_rows(part / subset, rows)
    for name, picture in previews(master, subsets, description).items():
        (part / name).write_bytes(picture)
    example = next(f"{s}/{rows[0]['mask_file_name']}" for s, rows in subsets.items() if rows)
    (part / "README.md").write_bytes(card(description, example, deleted).encode(errors="replace"))
    metadata.write_description(part, description)


def copy_pair(master: Path, description: Description, item: tuple[Path, Row]) -> str:
    """Copy a pair into a subset's folder; its name and the reason if it is no image and mask."""
    folder, row = item
    levels = [label["gray_level"] for label in description["labels"]]
    image, mask = ((master / row[column]).read_bytes() for column in metadata.FOLDERS.values())
    try:
        pixels.check_pair(image, mask, levels, description["settings"]["masks"])
    except PairError as error:
        return f"{Path(row['file_name']).stem}, {error}"
    (folder / row["file_name"]).write_bytes(image)
    (folder / row["mask_file_name"]).write_bytes(mask)
    return ""


def main(argv: Sequence[str] | None = None) -> int:
    example = "split_master.py --ratios 0.8 0.1 0.1 --stratify"
    parser = cli.Parser(__doc__, "[MASTER] [DATASET]", example)
    add, number = parser.add_argument, cli.whole_number
    # fmt: off
    add("master", metavar="MASTER", nargs="?", type=cli.path,
        help="folder to split (default: [generator/]CAMUS-master, here or beside the script)")
    add("dataset", metavar="DATASET", nargs="?", type=cli.path,
        default=Path("CAMUS_public-ImageMask-Dataset"),
        help="new folder (default: CAMUS_public-ImageMask-Dataset)")
    add("--ratios", metavar=("TRAIN", "VALID", "TEST"), nargs=3, type=ratio, default=RATIOS,
        help="shares of the patients, such as 0.7 or 1/3, summing to 1 (default: 0.7 0.2 0.1)")
    add("--seed", metavar="N", type=number(0, 2**32 - 1), default=0,
        help="random seed for the shuffle (default: %(default)s)")
    add("--fold", metavar="N", type=number(0, 999), default=0,
        help="cross-validation in 1 / TEST folds: which of them, counted from 0 "
             "(default: %(default)s)")
    add("--by", choices=("patient", "pair"), default="patient",
        help="keep together all pairs of a patient, or a pair and its copy (default: %(default)s)")
    add("--subgroups", metavar="DIR", type=cli.path,
        help="split by the lists of patients subgroup_training.txt, subgroup_validation.txt and "
             "subgroup_testing.txt in DIR: database_split of the release, or an earlier dataset; "
             "or by DIR_training.txt and so on")
    add("--stratify", action="store_true",
        help="balance ejection fraction and image quality over the subsets")
    add("--overwrite", action="store_true", help="replace an earlier dataset")
    # fmt: on
    return cli.run(parser, split, argv)


if __name__ == "__main__":
    raise SystemExit(main())
