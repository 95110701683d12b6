"""Split a master into train, valid and test, by default with no patient in common.

MASTER was made by generator/CAMUSImageMaskDatasetGenerator.py. DATASET gets
test, train and valid, each with images/, masks/ and metadata.csv; the lists of
patients; README.md and dataset.json; and pictures to look at. It appears when
all is done.
"""

import argparse
import math
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent / "generator"))
from camus import RefusalError, cli, metadata, output, splits
from camus.card import card
from camus.facts import MIRRORED, SUBGROUPS, SUBSETS, UNKNOWN
from camus.metadata import Row
from camus.previews import PICTURES, previews

SPLIT = "split_master"  # as dataset.json of a dataset names its maker
RATIOS = [0.7, 0.2, 0.1]


def find_master(chosen: Path | None) -> Path:
    """The master chosen, or the only one in the default places."""
    if chosen:
        return chosen
    roots = Path(), Path(__file__).resolve().parent
    places = [root / name for root in roots for name in ("CAMUS-master", "generator/CAMUS-master")]
    masters = {place.resolve(): place for place in places if place.is_dir()}
    if len(masters) > 1:
        raise RefusalError(f"several masters: name one, {' or '.join(map(str, masters))}")
    if not masters:
        raise RefusalError("no CAMUS-master here: make it with the generator, or name your master")
    return next(iter(masters.values()))


def assign(rows_of: dict[str, list[Row]], args: argparse.Namespace) -> dict[str, str]:
    """The subset of each key, which is a patient or a pair, at random. rows_of: the rows by key."""
    keys = splits.shuffled(rows_of, args.seed)
    if args.stratify:
        strata = {
            key: (splits.ef_band(rows), splits.worse_quality(rows)) for key, rows in rows_of.items()
        }
        if all(UNKNOWN in stratum for stratum in strata.values()):
            raise RefusalError(
                "--stratify needs ejection fractions and image qualities, which the Info files of "
                "the release have: leave --stratify out, or run the generator with these files"
            )
        keys.sort(key=strata.__getitem__)
    return splits.distribute(keys, splits.subset_sizes(len(keys), args.ratios))


def assign_by_lists(patients: set[str], folder: Path) -> dict[str, str]:
    """The subset of each patient. Raises RefusalError unless each is in one of the three lists."""
    folder = folder / "database_split" if (folder / "database_split").is_dir() else folder
    subset_of: dict[str, str] = {}
    for subset, name in SUBGROUPS.items():
        try:
            lines = (folder / name).read_text("utf-8-sig", errors="replace").splitlines()
        except FileNotFoundError as error:
            remedy = "choose a folder with all three lists"
            raise RefusalError(f"{folder / name} is missing: {remedy}") from error
        for patient in filter(None, map(str.strip, lines)):
            if subset_of.setdefault(patient, subset) != subset:
                names = f"{SUBGROUPS[subset_of[patient]]} and in {name}"
                raise RefusalError(f"{folder}: {patient} is in {names}: correct the lists")
    if missing := sorted(patients - subset_of.keys()):
        number = cli.counted(len(missing), "patient")
        raise RefusalError(f"{number} in no list of {folder}, the first is {missing[0]}: add them")
    if absent := subset_of.keys() - patients:
        cli.say(f"{cli.counted(len(absent), 'listed patient')} not in this master")
    return subset_of


def split(args: argparse.Namespace) -> int:
    """Split a master as the command line says; the exit code."""
    check_options(args)
    master = find_master(args.master)
    dataset = args.dataset.resolve()
    if dataset.is_relative_to(master.resolve()) or master.resolve().is_relative_to(dataset):
        raise RefusalError(f"{args.dataset} and {master} overlap: choose another folder")
    description, rows, deleted = metadata.read_master(master)
    rows_of = defaultdict(list)  # by what stays together
    for row in rows:
        pair = Path(row["file_name"]).stem.removeprefix(MIRRORED)
        rows_of[row["patient"] if args.by == "patient" else pair].append(row)
    if args.subgroups:
        subset_of = assign_by_lists(set(rows_of), args.subgroups)
    else:
        subset_of = assign(rows_of, args)
    subsets: dict[str, list[Row]] = {subset: [] for subset in SUBSETS}
    for key in rows_of:
        subsets[subset_of[key]] += rows_of[key]
    write(dataset, master, subsets, description, args)
    pairs = cli.counted(len(rows), "phantom pair" if description["phantom"] else "pair")
    gone = f", {deleted:,} left out because their files were deleted" if deleted else ""
    cli.say(f"{master}: {pairs} read{gone}")
    cli.say(f"{args.dataset}: {pairs} written")
    patients = {subset: {row["patient"] for row in subsets[subset]} for subset in SUBSETS}
    cli.say(" " * 8 + "".join(f"{subset:>8}" for subset in SUBSETS))
    cli.say("patients" + "".join(f"{len(patients[subset]):8}" for subset in SUBSETS))
    cli.say("pairs   " + "".join(f"{len(subsets[subset]):8}" for subset in SUBSETS))
    if args.by == "pair":
        number_of = Counter(patient for subset in SUBSETS for patient in patients[subset])
        shared = sum(number > 1 for number in number_of.values())
        cli.say(f"{shared} of {cli.counted(len(number_of), 'patient')} are in several subsets")
    cli.say(f"to look at: {args.dataset / PICTURES[-1]}")
    return 0


def write(
    dataset: Path,
    master: Path,
    subsets: Mapping[str, list[Row]],
    description: metadata.Description,
    args: argparse.Namespace,
) -> None:
    """Write a dataset: the files of the pairs byte for byte, and all that describes them."""
    how: dict[str, Any] = {"by": "lists"}
    if not args.subgroups:
        how = {"ratios": args.ratios, "seed": args.seed, "by": args.by, "stratify": args.stratify}
    description = {**description, "made_by": SPLIT, "split": how, "subsets": {}}
    with output.new_folder(dataset, SPLIT, args.overwrite, pattern_of) as part:
        for subset, rows in subsets.items():
            for folder, column in metadata.FOLDERS.items():
                (part / subset / folder).mkdir(parents=True)
                for row in rows:
                    shutil.copyfile(master / row[column], part / subset / row[column])
            if rows:  # without rows, Hugging Face's loader looks for pictures that are not there
                metadata.write_rows(part / subset, rows)
            patients = sorted({row["patient"] for row in rows})
            description["subsets"][subset] = {"pairs": len(rows), "patients": len(patients)}
            if args.by == "patient":
                lines = "".join(f"{patient}\n" for patient in patients)
                (part / SUBGROUPS[subset]).write_text(lines, encoding="utf-8", newline="")
        for name, picture in previews(master, subsets, description).items():
            (part / name).write_bytes(picture)
        example = next(f"{s}/{rows[0]['mask_file_name']}" for s, rows in subsets.items() if rows)
        (part / "README.md").write_text(card(description, example), encoding="utf-8", newline="")
        metadata.write_description(part, description)


def pattern_of(description: metadata.Description) -> str:
    """A pattern of the files of a dataset."""
    names = "|".join([metadata.DATASET_JSON, "README.md", *SUBGROUPS.values(), *PICTURES])
    return f"{names}|({'|'.join(SUBSETS)})/({metadata.made_files(description)})"


def check_options(args: argparse.Namespace) -> None:
    """Raise RefusalError for options that contradict each other; fill in the defaults."""
    if args.subgroups and (
        args.ratios or args.seed is not None or args.stratify or args.by == "pair"
    ):
        options = "--ratios, --seed, --stratify or --by pair"
        raise RefusalError(f"--subgroups cannot be combined with {options}")
    if args.stratify and args.by == "pair":
        raise RefusalError("--stratify cannot be combined with --by pair")
    args.ratios, args.seed = args.ratios or RATIOS, args.seed or 0
    if min(args.ratios) < 0:
        raise RefusalError(f"--ratios must be 0 or more, not {min(args.ratios):g}")
    if not math.isclose(sum(args.ratios), 1):
        raise RefusalError(f"--ratios must sum to 1, not to {sum(args.ratios):.9g}")


def arguments() -> cli.Parser:
    """The command line."""
    example = "split_master.py --ratios 0.8 0.1 0.1 --stratify"
    parser = cli.Parser(__doc__, "[MASTER] [DATASET]", example)
    add, number = parser.add_argument, cli.whole_number
    # fmt: off
    add("master", metavar="MASTER", nargs="?", type=cli.path,
        help="folder to split (default: [generator/]CAMUS-master, here or beside the script)")
    add("dataset", metavar="DATASET", nargs="?", type=cli.path,
        default=Path("CAMUS_public-ImageMask-Dataset"),
        help="folder to write (default: ./%(default)s)")
    add("--ratios", metavar=("TRAIN", "VALID", "TEST"), nargs=3, type=float,
        help="shares of the patients, summing to 1 (default: 0.7 0.2 0.1)")
    add("--seed", metavar="N", type=number(0, 2**32 - 1),
        help="random seed for the shuffle (default: 0)")
    add("--by", choices=("patient", "pair"), default="patient",
        help="what stays together: all pairs of a patient, or a pair and its mirrored copy"
             " (default: %(default)s)")
    add("--subgroups", metavar="DIR", type=cli.path,
        help="split by the lists of patients subgroup_training.txt, subgroup_validation.txt and "
             "subgroup_testing.txt in DIR: database_split of the release, or an earlier dataset")
    add("--stratify", action="store_true",
        help="balance ejection fraction and image quality over the subsets")
    add("--overwrite", action="store_true", help="replace an earlier dataset")
    # fmt: on
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    return cli.run(arguments(), split, argv)


if __name__ == "__main__":
    raise SystemExit(main())
