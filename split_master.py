"""Split a folder of image/mask pairs into train, valid and test, patient by patient.

MASTER holds images/ and masks/ with files of the same names, as the generator makes it or another
tool does. DATASET gets test, train and valid, each with images, masks and metadata.csv, and
pictures to look at. It appears under its name only when it is whole.
"""

from __future__ import annotations

from generator import shared

if __name__ == "__main__":
    shared.quit_on_interrupt()  # the libraries below take long enough to be interrupted

import argparse
import contextlib
import csv
import io
import json
import os
import re
import shutil
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from tqdm import tqdm

from generator import pictures, splits
from generator.master import description_of
from generator.pairs import REQUIRED, Pair, find_master, read_master, read_rows
from generator.shared import RefusalError, write_whole
from generator.splits import SUBSETS

RATIOS = [Fraction("0.7"), Fraction("0.2"), Fraction("0.1")]
MADE_BY = "split_master"
SHEETS = ("images", "masks", "overlays")
OWN_FILE = re.compile(
    r"dataset\.json|statistics\.png|train_\w+_samples\.png|(?:test|train|valid)/"
    r"(?:metadata\.csv|(?:images|masks)/[^/]*)?"
)


def assign(
    pairs: Sequence[Pair], args: argparse.Namespace
) -> tuple[dict[str, list[Pair]], list[str]]:
    """The pairs of each subset, and what there is to say of the split."""
    keys = [splits.key_of(pair, args.by) for pair in pairs]
    remarks = []
    if args.official:
        subset_of, lacking = splits.place_officially(pairs, args.official)
        remarks.append(f"{lacking} of the listed patients are not in this master")
    else:
        order = splits.shuffled(keys, args.seed)
        if args.stratify:
            stratum_of = splits.strata(pairs)
            order.sort(key=stratum_of.__getitem__)
        dealt = splits.deal(order, splits.subset_sizes(len(order), args.ratios))
        subset_of = {key: SUBSETS[index] for key, index in dealt.items()}
        if args.stratify:
            remarks += balance_table(stratum_of, subset_of)
    chosen: dict[str, list[Pair]] = {subset: [] for subset in SUBSETS}
    for key, pair in zip(keys, pairs, strict=True):
        chosen[subset_of[key]].append(pair)
    if args.by == "pair":
        several = Counter(p for own in chosen.values() for p in {pair.patient for pair in own})
        shared_out = sum(count > 1 for count in several.values())
        remarks.append(f"patients may stand in several subsets: {shared_out} of {len(several)} do")
    return chosen, remarks


def balance_table(
    stratum_of: Mapping[str, tuple[str, str]], subset_of: Mapping[str, str]
) -> list[str]:
    """A small table: how the strata are shared out."""
    counts = Counter((stratum_of[key], subset) for key, subset in subset_of.items())
    strata = sorted(set(stratum_of.values()), key=splits.stratum_order)
    return table({", ".join(s): [counts[s, subset] for subset in SUBSETS] for s in strata})


def table(rows: Mapping[str, Sequence[int]]) -> list[str]:
    """Lines of numbers under the names of the subsets."""
    width = max(map(len, rows))
    head = " " * width + "".join(f"{subset:>8}" for subset in SUBSETS)
    return [
        head,
        *(f"{name:{width}}" + "".join(f"{n:8}" for n in row) for name, row in rows.items()),
    ]


def write_subset(folder: Path, master: Path, pairs: Sequence[Pair], link: bool) -> None:
    """Copy, or link, the pairs of a subset, and write their metadata.csv."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for pair in tqdm(pairs, desc=folder.name, unit="pair", disable=None):
        for file in (pair.image, pair.mask):
            copy(master / file, folder / file, link)
    if not pairs:  # a metadata.csv without rows makes Hugging Face's loader look for pictures
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, list(pairs[0].row), lineterminator="\n")
    writer.writeheader()
    writer.writerows(pair.row for pair in pairs)
    write_whole(folder / "metadata.csv", text.getvalue().encode(errors="surrogateescape"))


def copy(source: Path, target: Path, link: bool) -> None:
    """Copy a file's bytes; as a hard link if asked to and the disk can."""
    if link:
        with contextlib.suppress(OSError):
            os.link(source.resolve(), target)
            return
    shutil.copyfile(source, target)


def check_leakage(dataset: Path, pairs: Sequence[Pair], by: str) -> None:
    """Make sure, from what lies on the disk, that nothing stands in two subsets."""
    key_of = {pair.image: splits.key_of(pair, by) for pair in pairs}
    seen: dict[str, str] = {}
    for subset in SUBSETS:
        for path in (dataset / subset / "images").iterdir():
            key = key_of[f"images/{path.name}"]
            if seen.setdefault(key, subset) != subset:
                raise AssertionError(f"{key} stands in {seen[key]} and in {subset}")


def describe(
    master: Mapping[str, object], chosen: Mapping[str, list[Pair]], args: argparse.Namespace
) -> bytes:
    """The bytes of dataset.json: what the master's says, and how it was split."""
    how: dict[str, object] = {"official": True}
    if not args.official:
        ratios = [float(ratio) for ratio in args.ratios]
        how = {"ratios": ratios, "seed": args.seed, "by": args.by, "stratify": args.stratify}
    counts = {
        subset: {"pairs": len(pairs), "patients": len({pair.patient for pair in pairs})}
        for subset, pairs in chosen.items()
    }
    description = {**master, "made_by": MADE_BY, "split": how, "subsets": counts}
    return (json.dumps(description, indent=2) + "\n").encode()


def build(
    folder: Path, master: Path, chosen: Mapping[str, list[Pair]], args: argparse.Namespace
) -> None:
    """Write a whole dataset into an empty folder."""
    description = description_of(master)
    pairs = [pair for own in chosen.values() for pair in own]
    for subset in sorted(SUBSETS):
        write_subset(folder / subset, master, chosen[subset], args.link)
    check_leakage(folder, pairs, args.by)
    drawn = pictures.train_sheets(folder / "train", chosen["train"], description)
    drawn["statistics.png"] = pictures.statistics(chosen)
    for name, picture in drawn.items():
        write_whole(folder / name, pictures.png(picture))
    write_whole(folder / "dataset.json", describe(description, chosen, args))


def pack(folder: Path, archive: Path) -> None:
    """Write a ZIP that unpacks to the folder's content; the same bytes whenever it is made."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = path.relative_to(folder).as_posix()
            if not name.isprintable():  # as are names that are no Unicode
                raise RefusalError(f"{name!a} cannot stand in a ZIP: give it another name")
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16
            file.writestr(entry, path.read_bytes())


def check_place(dataset: Path, archive: Path, master: Path, args: argparse.Namespace) -> None:
    """Raise RefusalError unless the place is free, or an earlier dataset is to be replaced."""
    if dataset.is_relative_to(master) or master.is_relative_to(dataset):
        raise RefusalError(f"{dataset} and {master} lie in each other: name another folder")
    if dataset.exists() and not dataset.is_dir():
        raise RefusalError(f"{dataset} is a file: name another folder")
    if dataset.is_dir() and any(dataset.iterdir()):
        if description_of(dataset).get("made_by") != MADE_BY:
            raise RefusalError(f"{dataset} was not made by this script: name another folder")
        if not args.overwrite:
            raise RefusalError(f"{dataset} is there already: name another, or add --overwrite")
        for name in sorted(set(shared.own_files(dataset, OWN_FILE)) - listed_files(dataset)):
            raise RefusalError(f"{dataset / name} is not of this script's making: move it away")
    if archive.exists() and (args.zip or args.overwrite):
        if not (args.zip and args.overwrite):
            raise RefusalError(f"{archive} is there already: move it away, or replace it, too, "
                               "with --zip --overwrite")  # fmt: skip
        if not packed_here(archive):
            raise RefusalError(f"{archive} is not of this script's making: move it away")


def listed_files(dataset: Path) -> set[str]:
    """The files that a dataset has by what its metadata tells."""
    names = {"dataset.json", "statistics.png", *(f"train_{kind}_samples.png" for kind in SHEETS)}
    for subset in SUBSETS:
        path = dataset / subset / "metadata.csv"
        if path.exists():
            named = [row.get(column) for row in read_rows(path) for column in REQUIRED[:2]]
            names |= {f"{subset}/metadata.csv", *(f"{subset}/{name}" for name in named)}
    return names


def packed_here(archive: Path) -> bool:
    """Whether a ZIP is one of this script's."""
    try:
        with zipfile.ZipFile(archive) as file:
            ours = json.loads(file.read("dataset.json"))["made_by"] == MADE_BY
            return bool(ours and all(OWN_FILE.fullmatch(name) for name in file.namelist()))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return False


def split(args: argparse.Namespace) -> int:
    """Split a master as the command line says; returns the exit code."""
    master, dataset = find_master(args.master), args.dataset.resolve()
    archive = dataset.parent / f"{dataset.name}.zip"
    check_place(dataset, archive, master.resolve(), args)
    with shared.sole_writer(master), shared.workshop(dataset) as workshop:
        pairs = read_master(master)
        if not pairs:
            raise RefusalError(f"{master} has no pairs: run the generator first")
        chosen, remarks = assign(pairs, args)
        build(workshop / "new", master, chosen, args)
        if args.zip:
            pack(workshop / "new", workshop / "zip")
        check_place(dataset, archive, master.resolve(), args)  # which may have changed meanwhile
        if dataset.exists():
            dataset.replace(workshop / "old")
        (workshop / "new").replace(dataset)
        if args.zip:
            (workshop / "zip").replace(archive)
    print(*table(counts_of(chosen)), *remarks, f"{args.dataset}: {len(pairs)} pairs", sep="\n")
    return 0


def counts_of(chosen: Mapping[str, list[Pair]]) -> dict[str, list[int]]:
    patients = [len({pair.patient for pair in chosen[subset]}) for subset in SUBSETS]
    return {"patients": patients, "pairs": [len(chosen[subset]) for subset in SUBSETS]}


def arguments() -> shared.Parser:
    """The command line."""
    parser = shared.Parser(__doc__, "CAMUS-master CAMUS_public-ImageMask-Dataset --stratify")
    option, number = parser.option, shared.whole_number
    where = "./CAMUS-master, else ./generator/CAMUS-master"
    option("master", "folder to split", where, metavar="MASTER", nargs="?", type=Path, default=None)
    text, default = "folder to write", Path("CAMUS_public-ImageMask-Dataset")
    option(
        "dataset", text, "./%(default)s", metavar="DATASET", nargs="?", type=Path, default=default
    )
    text, names = "shares, summing to 1", ("TRAIN", "VALID", "TEST")
    option("--ratios", text, "0.7 0.2 0.1", metavar=names, nargs=3, type=share, default=None)
    text = "of the shuffle; another seed, another split"
    option("--seed", text, metavar="N", type=number(0, 2**32 - 1), default=0)
    text = "what is shuffled as one: all of a patient, or each pair with its mirrored copy"
    option("--by", text, choices=("patient", "pair"), default="patient")
    text = "split as the CAMUS authors did: the folder of their subgroup_*.txt"
    option("--official", text, metavar="DIR", type=Path)
    option("--stratify", "balance ejection fraction and image quality", action="store_true")
    option("--link", "hard links instead of copies where the disk allows", action="store_true")
    option("--zip", "also write DATASET.zip", action="store_true")
    option("--overwrite", "replace an earlier dataset of this script's", action="store_true")
    return parser


def share(text: str) -> Fraction:
    """An argument type: an exact share from 0 to 1."""
    with contextlib.suppress(ValueError, ZeroDivisionError):
        if len(text) < 20 and "e" not in text.casefold() and 0 <= Fraction(text) <= 1:
            return Fraction(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no share from 0 to 1")


def main(argv: Sequence[str] | None = None) -> int:
    parser = arguments()
    args = parser.parse_args(argv)
    if args.official and (args.ratios or args.stratify or args.by == "pair"):
        parser.error("--official goes without --ratios, --stratify and --by pair")
    args.ratios = args.ratios or RATIOS
    if sum(args.ratios) != 1:
        parser.error(f"--ratios sum to {float(sum(args.ratios))}, not to 1")
    if args.stratify and args.by == "pair":
        parser.error("--stratify is about patients: it goes without --by pair")
    return shared.exit_code(parser.prog, lambda: split(args))


if __name__ == "__main__":
    raise SystemExit(main())
