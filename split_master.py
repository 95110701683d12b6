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
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent / "generator"))
from camus import RefusalError, cli, metadata, output, splits
from camus.card import card
from camus.facts import MIRRORED, SUBGROUPS, SUBSETS, UNKNOWN
from camus.metadata import Row
from camus.previews import previews

RATIOS = [0.7, 0.2, 0.1]


def find_master(chosen: Path | None) -> Path:
    """The master chosen, or the only one in the default places."""
    if chosen:
        return chosen
    roots = Path(), Path(__file__).resolve().parent
    places = [root / name for root in roots for name in ("CAMUS-master", "generator/CAMUS-master")]
    masters = {place.resolve(): place for place in places if place.is_dir()}
    if len(masters) > 1:
        raise RefusalError(
            f"there are {' and '.join(map(str, masters.values()))}: name one of them"
        )
    if not masters:
        raise RefusalError("no CAMUS-master here: make it with the generator, or name your master")
    return next(iter(masters.values()))


def check_options(args: argparse.Namespace) -> None:
    """Raise RefusalError for options that contradict each other."""
    is_random = args.ratios != RATIOS or args.seed or args.stratify or args.by == "pair"
    if args.subgroups and is_random:
        options = "--ratios, --seed, --stratify or --by pair"
        raise RefusalError(f"--subgroups cannot be combined with {options}")
    if args.stratify and args.by == "pair":
        raise RefusalError("--stratify cannot be combined with --by pair")
    if min(args.ratios) < 0 or not math.isclose(sum(args.ratios), 1):
        ratios = " ".join(f"{ratio:g}" for ratio in args.ratios)
        raise RefusalError(f"--ratios must be 0 or more and sum to 1, not {ratios}")


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
    if (folder / "database_split").is_dir():
        folder = folder / "database_split"
    subset_of: dict[str, str] = {}
    for subset, name in SUBGROUPS.items():
        lines = (folder / name).read_text("utf-8-sig", errors="replace").splitlines()
        for patient in filter(None, map(str.strip, lines)):
            if subset_of.setdefault(patient, subset) != subset:
                raise RefusalError(f"{folder}: {patient} is in two lists: delete it from one")
    if missing := sorted(patients - subset_of.keys()):
        number = cli.counted(len(missing), "patient")
        raise RefusalError(f"{number} in no list of {folder}, the first is {missing[0]}: add them")
    if absent := subset_of.keys() - patients:
        cli.say(f"{cli.counted(len(absent), 'listed patient')} not in this master")
    return {patient: subset_of[patient] for patient in patients}


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
    if args.subgroups:
        how: dict[str, Any] = {"by": "lists of patients"}
        subset_of = assign_by_lists(set(rows_of), args.subgroups)
    else:
        how = {name: getattr(args, name) for name in ("ratios", "seed", "by", "stratify")}
        subset_of = assign(rows_of, args)
    subsets: dict[str, list[Row]] = {subset: [] for subset in SUBSETS}
    for key in rows_of:
        subsets[subset_of[key]] += rows_of[key]
    numbers = {
        subset: {"pairs": len(own), "patients": len({row["patient"] for row in own})}
        for subset, own in subsets.items()
    }
    description |= {"made_by": metadata.SPLIT, "split": how, "subsets": numbers}
    with output.new_folder(args.dataset, metadata.SPLIT, args.overwrite) as part:
        write(part, master, subsets, description)
        if args.by == "patient":
            metadata.write_lists(part, subset_of)
    pairs = cli.counted(len(rows), "phantom pair" if description["phantom"] else "pair")
    gone = f", {deleted:,} left out because their files were deleted" if deleted else ""
    cli.say(f"{master}: {pairs} read{gone}")
    cli.say(f"{args.dataset}: {pairs} written")
    for subset, number in numbers.items():
        own = cli.counted(number["patients"], "patient"), cli.counted(number["pairs"], "pair")
        cli.say(f"{subset}: {', '.join(own)}")
    if args.by == "pair":
        cli.say("patients may be in several subsets, so test scores may be too high", sys.stderr)
    cli.say(f"to look at: {args.dataset / metadata.PICTURES[-1]}")
    return 0


def write(
    part: Path, master: Path, subsets: Mapping[str, list[Row]], description: metadata.Description
) -> None:
    """Write the pairs of a dataset, byte for byte those of the master, and what describes them."""
    for subset, rows in subsets.items():
        for folder, column in metadata.FOLDERS.items():
            (part / subset / folder).mkdir(parents=True)
            for row in rows:
                shutil.copyfile(master / row[column], part / subset / row[column])
        if rows:  # without rows, Hugging Face's loader looks for pictures that are not there
            metadata.write_rows(part / subset, rows)
    for name, picture in previews(master, subsets, description).items():
        (part / name).write_bytes(picture)
    example = next(f"{s}/{rows[0]['mask_file_name']}" for s, rows in subsets.items() if rows)
    (part / "README.md").write_bytes(card(description, example).encode())
    metadata.write_description(part, description)


def main(argv: Sequence[str] | None = None) -> int:
    example = "split_master.py --ratios 0.8 0.1 0.1 --stratify"
    parser = cli.Parser(__doc__, "[MASTER] [DATASET]", example)
    add, number = parser.add_argument, cli.whole_number
    # fmt: off
    add("master", metavar="MASTER", nargs="?", type=cli.path,
        help="folder to split (default: [generator/]CAMUS-master, here or beside the script)")
    add("dataset", metavar="DATASET", nargs="?", type=cli.path,
        default=Path("CAMUS_public-ImageMask-Dataset"),
        help="folder to write (default: ./CAMUS_public-ImageMask-Dataset)")
    add("--ratios", metavar=("TRAIN", "VALID", "TEST"), nargs=3, type=float,
        default=RATIOS, help="shares of the patients, summing to 1 (default: 0.7 0.2 0.1)")
    add("--seed", metavar="N", type=number(0, 2**32 - 1), default=0,
        help="random seed for the shuffle (default: %(default)s)")
    add("--by", choices=("patient", "pair"), default="patient",
        help="keep together all pairs of a patient, or a pair and its copy (default: %(default)s)")
    add("--subgroups", metavar="DIR", type=cli.path,
        help="split by the lists of patients subgroup_training.txt, subgroup_validation.txt and "
             "subgroup_testing.txt in DIR: database_split of the release, or an earlier dataset")
    add("--stratify", action="store_true",
        help="balance ejection fraction and image quality over the subsets")
    add("--overwrite", action="store_true", help="replace an earlier dataset")
    # fmt: on
    return cli.run(parser, split, argv)


if __name__ == "__main__":
    raise SystemExit(main())
