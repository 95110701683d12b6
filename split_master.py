"""Split image/mask pairs into train, valid and test, which by default have no patient in common.

MASTER, made by the generator or by another tool, holds images/ and masks/. DATASET gets test, train
and valid, each with images/, masks/ and metadata.csv; README.md and dataset.json; and pictures to
look at. Nothing appears in DATASET until all is done.
"""

import argparse
import math
import os
import re
import sys
import zipfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parent / "generator"))
from camus import cli, master, names, output, splits
from camus.card import card
from camus.errors import RefusalError
from camus.master import METADATA, Pair
from camus.previews import previews
from camus.splits import SUBSETS, ef_band, worse_quality

SPLIT = "split_master"
RATIOS = [0.7, 0.2, 0.1]
# The authors' lists, in the folder database_split of the release
OFFICIAL = {
    "train": "subgroup_training.txt",
    "valid": "subgroup_validation.txt",
    "test": "subgroup_testing.txt",
}
PICTURES = (
    "statistics.png",
    *(f"train_{kind}_samples.png" for kind in ("images", "masks", "overlays")),
)


def assign(pairs: Sequence[Pair], args: argparse.Namespace) -> dict[str, str]:
    """The subset of each key, which is a patient or a pair."""
    rows_of = defaultdict(list)
    for pair in pairs:
        rows_of[key_of(pair, args.by)].append(pair.row)
    if args.official:
        return assign_officially(set(rows_of), args.official)
    keys = splits.shuffled(rows_of, args.seed)
    if args.stratify:
        strata = {key: (ef_band(rows), worse_quality(rows)) for key, rows in rows_of.items()}
        if all(splits.UNKNOWN in stratum for stratum in strata.values()):
            raise RefusalError(
                f"--stratify needs ef and image_quality in {METADATA}, from the Info files of the "
                "release: use a database that has them, or leave --stratify out"
            )
        keys.sort(key=strata.__getitem__)
    return splits.deal(keys, splits.subset_sizes(len(keys), args.ratios))


def key_of(pair: Pair, by: str) -> str:
    """What stays together: all pairs of a patient, or a pair and its mirrored copy."""
    return pair.patient if by == "patient" else Path(pair.image).stem.removeprefix(names.MIRRORED)


def assign_officially(patients: set[str], folder: Path) -> dict[str, str]:
    """The subset of each patient. Raises RefusalError unless each is in one list of the authors."""
    subset_of: dict[str, str] = {}
    for subset, name in OFFICIAL.items():
        path = folder / name
        if not path.is_file():
            raise RefusalError(f"there is no {path}: choose database_split of the release")
        text = path.read_bytes().decode("utf-8-sig", "replace")
        for patient in re.findall(r"[^\s,;]+", text):
            if subset_of.setdefault(names.patient_key(patient), subset) != subset:
                raise RefusalError(f"{patient} is in two lists of {folder}: correct the lists")
    if missing := sorted(patients - subset_of.keys()):
        number = cli.counted(len(missing), "patient")
        raise RefusalError(
            f"{number} in no list of {folder}, the first is {missing[0]}: add them to a list, or "
            "leave --official out"
        )
    if absent := subset_of.keys() - patients:
        cli.say(f"{cli.counted(len(absent), 'listed patient')} not in this master")
    return {patient: subset_of[patient] for patient in patients}


def copy_pair(master_folder: Path, link: bool, job: tuple[Pair, Path]) -> None:
    """Copy a pair into the folder of its subset, or hard-link it where the disk allows."""
    pair, folder = job
    for file in (pair.image, pair.mask):
        source, target = master_folder / file, folder / file
        if link:
            try:
                os.link(source.resolve() if source.is_symlink() else source, target)
                continue
            except OSError:
                pass
        target.write_bytes(source.read_bytes())


def write_subsets(
    new: Path, master_folder: Path, subsets: Mapping[str, Sequence[Pair]], link: bool
) -> None:
    """Write the folders test, train and valid, each with the metadata.csv of its pairs."""
    for subset in subsets:
        for name in ("images", "masks"):
            (new / subset / name).mkdir(parents=True)
    jobs = [(pair, new / subset) for subset, pairs in subsets.items() for pair in pairs]
    # Threads would only wait for each other
    cli.side_by_side(partial(copy_pair, master_folder, link), jobs, 1, "pair")
    for subset, pairs in subsets.items():
        if pairs:  # without rows, Hugging Face's loader looks for pictures that are not there
            master.write_metadata(new / subset, [pair.row for pair in pairs])


def describe(
    description: Mapping[str, Any], subsets: Mapping[str, Sequence[Pair]], args: argparse.Namespace
) -> dict[str, Any]:
    """What dataset.json says of a dataset: what the master's says, and how it was split."""
    how: dict[str, Any] = {"official": True}
    if not args.official:
        how = {"ratios": args.ratios, "seed": args.seed, "by": args.by, "stratify": args.stratify}
    counts = {
        subset: {"pairs": len(pairs), "patients": len({pair.patient for pair in pairs})}
        for subset, pairs in subsets.items()
    }
    return {**description, "made_by": SPLIT, "split": how, "subsets": counts}


def files_of(dataset: Path) -> set[str]:
    """The files that a dataset has, as its metadata.csv files list them."""
    files = {output.DATASET_JSON, "README.md", *PICTURES}
    for subset in SUBSETS:
        files |= {f"{subset}/{name}" for name in (METADATA, *master.listed_files(dataset / subset))}
    return files


def pack(folder: Path, archive: Path) -> None:
    """Write a ZIP that unpacks to what the folder holds; the same bytes whenever it is made."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if not name.isprintable():  # also where it is not Unicode
                raise RefusalError(f"{name!a} cannot be in a ZIP: rename it, or leave --zip out")
            entry = zipfile.ZipInfo(name + "/" * path.is_dir())
            entry.external_attr = (0o755 if path.is_dir() else 0o644) << 16
            file.writestr(entry, b"" if path.is_dir() else path.read_bytes())


def replaces_archive(dataset: Path, args: argparse.Namespace) -> bool:
    """Whether DATASET.zip is to be written, or an earlier one goes with the earlier dataset."""
    archive = output.archive_of(dataset)
    if not os.path.lexists(archive):
        return bool(args.zip)
    try:
        with zipfile.ZipFile(archive) as file:
            packed = {name for name in file.namelist() if not name.endswith("/")}
            inside = cast(Path, zipfile.Path(file))  # it has the methods that are needed here
            is_ours = output.read_description(inside).get("made_by") == SPLIT
            is_ours = is_ours and packed <= files_of(inside)
    except (OSError, zipfile.BadZipFile, RuntimeError, RefusalError):  # Runtime: encrypted
        is_ours = False
    if not is_ours and args.zip:
        raise RefusalError(f"{archive} was not made by {SPLIT}: move it away, or leave --zip out")
    if is_ours and not args.overwrite:
        remedy = "replace it with --overwrite, or move it away"
        raise RefusalError(f"{archive} is there already: {remedy}")
    return is_ours


def state_of(folder: Path) -> list[tuple[int, int]]:
    """Something that changes when a run of the generator replaces a master."""
    paths = [folder / name for name in (output.DATASET_JSON, METADATA)]
    facts = [path.stat() for path in paths if path.exists()]
    return [(fact.st_ino, fact.st_mtime_ns) for fact in facts]


def split(args: argparse.Namespace) -> int:
    """Split a master as the command line says; the exit code."""
    check_options(args)
    folder = master.find_master(args.master, Path(__file__).resolve().parent)
    dataset, resolved = args.dataset.resolve(), folder.resolve()
    if dataset.is_relative_to(resolved) or resolved.is_relative_to(dataset):
        raise RefusalError(f"{args.dataset} and {folder} overlap: choose another folder")
    had_archive = output.archive_of(dataset).exists()
    with_archive = partial(replaces_archive, dataset, args)
    before = state_of(folder)
    pairs = master.read_master(folder)
    subset_of = assign(pairs, args)
    subsets: dict[str, list[Pair]] = {subset: [] for subset in SUBSETS}
    for pair in pairs:
        subsets[subset_of[key_of(pair, args.by)]].append(pair)
    description = master.description_of(folder)
    with output.new_folder(dataset, SPLIT, args.overwrite, files_of, with_archive) as new:
        if args.zip:
            output.unfinished_archive(dataset).touch()  # can it be written there?
        write_subsets(new, folder, subsets, args.link)
        for name, picture in previews(folder, subsets, description).items():
            (new / name).write_bytes(picture)
        description = describe(description, subsets, args)
        (new / "README.md").write_bytes(card(description).encode("utf-8", "backslashreplace"))
        output.write_description(new, description)
        if args.zip:
            pack(new, output.unfinished_archive(dataset))
        if state_of(folder) != before:
            raise RefusalError(f"{folder} was replaced meanwhile: run the command again")
    report(subsets, args, had_archive)
    return 0


def report(
    subsets: Mapping[str, Sequence[Pair]], args: argparse.Namespace, had_archive: bool
) -> None:
    """Say what is where."""
    patients = {subset: {pair.patient for pair in pairs} for subset, pairs in subsets.items()}
    counts = {"patients": patients.values(), "pairs": subsets.values()}
    cli.say(" " * 8 + "".join(f"{subset:>8}" for subset in SUBSETS))
    for name, groups in counts.items():
        cli.say(f"{name:8}" + "".join(f"{len(group):8}" for group in groups))
    if args.by == "pair":
        several = Counter(patient for subset in patients.values() for patient in subset)
        shared = sum(number > 1 for number in several.values())
        cli.say(f"{shared} of {cli.counted(len(several), 'patient')} are in several subsets")
    pairs = cli.counted(sum(map(len, subsets.values())), "pair")
    cli.say(f"{args.dataset}: {pairs}; to look at: {args.dataset / PICTURES[-1]}")
    archive = output.archive_of(args.dataset.resolve())
    if args.zip:
        cli.say(f"{archive}: written")
    elif had_archive and not archive.exists():
        cli.say(f"{archive}: removed, it held the earlier dataset")


def check_options(args: argparse.Namespace) -> None:
    """Raise RefusalError for options that contradict each other; fill in the defaults."""
    is_random = args.ratios or args.stratify or args.by == "pair" or args.seed is not None
    if args.official and is_random:
        options = "--ratios, --seed, --stratify or --by pair"
        raise RefusalError(f"--official cannot be combined with {options}")
    if args.stratify and args.by == "pair":
        raise RefusalError("--stratify cannot be combined with --by pair")
    args.ratios = args.ratios or RATIOS
    args.seed = args.seed or 0
    if min(args.ratios) < 0 or not math.isclose(sum(args.ratios), 1):
        total = f"{sum(args.ratios):g}"
        raise RefusalError(f"--ratios must be 0 or more each, and sum to 1; their sum is {total}")


def arguments() -> cli.Parser:
    """The command line."""
    parser = cli.Parser(__doc__, "CAMUS-master CAMUS_public-ImageMask-Dataset --stratify")
    add, number = parser.add_argument, cli.whole_number
    # fmt: off
    add("master", metavar="MASTER", nargs="?", type=Path,
        help="folder to split (default: [generator/]CAMUS-master, here or beside the script)")
    add("dataset", metavar="DATASET", nargs="?", type=Path,
        default=Path("CAMUS_public-ImageMask-Dataset"),
        help="folder to write (default: ./%(default)s)")
    add("--ratios", metavar=("TRAIN", "VALID", "TEST"), nargs=3, type=float,
        help="shares of the patients, summing to 1 (default: 0.7 0.2 0.1)")
    add("--seed", metavar="N", type=number(0, 2**32 - 1),
        help="random seed for the shuffle (default: 0)")
    add("--by", choices=("patient", "pair"), default="patient",
        help="what stays together: all pairs of a patient, or a pair and its mirrored copy"
             " (default: %(default)s)")
    add("--official", metavar="DIR", type=Path,
        help="split as the CAMUS authors did; DIR is the folder of their subgroup_*.txt")
    add("--stratify", action="store_true",
        help="balance ejection fraction and image quality over the subsets")
    add("--link", action="store_true",
        help="hard links instead of copies where the disk allows: editing one changes the other")
    add("--zip", action="store_true", help="also write DATASET.zip")
    add("--overwrite", action="store_true",
        help="replace an earlier dataset; remove its ZIP (--zip makes a new one)")
    # fmt: on
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    return cli.run(arguments(), split, argv)


if __name__ == "__main__":
    raise SystemExit(main())
