"""Turn the CAMUS echocardiography release (NIfTI) into square image/mask pairs.

Every ED and ES frame, or every frame of the half sequences, becomes
images/NAME.jpg and masks/NAME.jpg in MASTER, beside metadata.csv (one row per
pair) and dataset.json (labels, settings). MASTER appears when all is done.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))
from camus import PairError, RefusalError, cli, database, facts, metadata, nifti, output, pixels
from camus.database import Source
from camus.facts import HALF_SEQUENCE, KEY_INSTANTS, MIRRORED, QUALITIES, STRUCTURES, UNKNOWN, VIEWS
from camus.metadata import Row, decimal

RELEASE_AXES = "LP"  # of the images: x to the patient's left, y to posterior; so the apex is on top


class Outcome(NamedTuple):
    """The rows of a source's pairs, or why there are none; neither if an option left it out."""

    rows: list[Row]
    reason: str = ""
    axes: str = RELEASE_AXES  # where the image says x and y point in the patient
    unclear: Sequence[str] = ()  # lines of its Info file that make no sense


def convert(args: argparse.Namespace, folder: Path, source: Source) -> Outcome:
    """Make the pairs of a source, all of them or none."""
    rows: list[Row] = []
    files: dict[str, bytes] = {}
    try:
        info, unclear = database.read_info(source)
        if args.image_quality and info.get("ImageQuality") not in args.image_quality:
            return Outcome(rows, unclear=unclear)
        image = nifti.read(source.image, pixels.to_gray, nifti.SIDES)
        mask = nifti.read(source.mask, pixels.to_labels)
        nifti.check_same_grid(mask, image)
        instants = database.instants_shown(source, info, len(image.frames))
        height, width = image.frames[0].shape
        millimetres = width * image.spacing[0], height * image.spacing[1]
        box = pixels.fit_box(*millimetres, args.size, args.fit)
        for number, instant in enumerate(instants, 1):
            gray = pixels.resize_image(image.frames[number - 1], box.width, box.height)
            labels = pixels.resize_labels(mask.frames[number - 1], box.width, box.height)
            levels = pixels.paint(labels, args.masks, args.structures)
            gray, levels = (pixels.on_square(p, box, args.size) for p in (gray, levels))
            name, frame, left = source.name, "", box.left
            if source.instant == HALF_SEQUENCE:
                frame = str(number)
                name += f"_frame{frame.zfill(2)}"
            for mirrored in (False, True) if args.mirror else (False,):
                if mirrored:
                    name, gray, levels = MIRRORED + name, gray[:, ::-1], levels[:, ::-1]
                    left = args.size - box.left - box.width
                row = {
                    "file_name": f"images/{name}.{args.format}",
                    "mask_file_name": f"masks/{name}.{args.mask_format}",
                    "patient": source.patient,
                    "view": source.view,
                    "instant": instant,
                    "frame": frame,
                    "mirrored": int(mirrored),
                    "sex": info.get("Sex", UNKNOWN),
                    "age": decimal(info.get("Age")),
                    "image_quality": info.get("ImageQuality", UNKNOWN),
                    "ef": decimal(info.get("EF")),
                    "frame_rate": decimal(info.get("FrameRate")),
                    "source_width": width,  # of the NIfTI, pixels
                    "source_height": height,
                    "source_spacing_x": decimal(image.spacing[0]),  # mm per pixel of the NIfTI
                    "source_spacing_y": decimal(image.spacing[1]),
                    "left": left,  # the image's place in the square, pixels
                    "top": box.top,
                    "width": box.width,
                    "height": box.height,
                    "spacing_x": decimal(millimetres[0] / box.width),  # mm per pixel of the square
                    "spacing_y": decimal(millimetres[1] / box.height),
                }
                rows.append(row)
                files[row["file_name"]] = pixels.encode(gray, args.format, args.jpg_quality)
                files[row["mask_file_name"]] = pixels.encode_mask(
                    levels, args.masks, args.mask_format, args.jpg_quality
                )
    except (PairError, OSError) as error:
        # Return the message, not the exception: its traceback would keep the arrays in memory
        return Outcome([], str(error))
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return Outcome(rows, axes=image.axes or RELEASE_AXES, unclear=unclear)


def generate(args: argparse.Namespace) -> int:
    """Convert a database as the command line says; the exit code."""
    args.structures = [name for name in STRUCTURES if name in args.structures]
    args.instants = KEY_INSTANTS if args.frames == "key" else (HALF_SEQUENCE,)
    args.mask_format = "png" if args.masks == "index" else args.format
    folder = database.find_database(args.database)
    if args.master.resolve().is_relative_to(folder.resolve()):
        raise RefusalError(f"{args.master} lies in the database {folder}: choose another folder")
    sources, problems = database.find_sources(folder, args.views, args.instants)
    described = [metadata.read_description(path) for path in (folder, folder.resolve().parent)]
    phantom = any(description.get("phantom") is True for description in described)
    with output.new_folder(args.master, metadata.GENERATOR, args.overwrite) as part:
        for name in metadata.FOLDERS:
            (part / name).mkdir()
        results = cli.side_by_side(partial(convert, args, part), sources, args.jobs, "file")
        outcomes = dict(zip(sources, results, strict=True))
        rows = [row for outcome in results for row in outcome.rows]
        if rows:  # else the target stays as it was
            metadata.write_rows(part, rows)
            metadata.write_description(part, metadata.describe(vars(args), phantom))
    problems |= {s.name: outcome.reason for s, outcome in outcomes.items() if outcome.reason}
    if not rows and not problems:
        kept = " or ".join([*args.views, *args.image_quality])
        other = "key" if args.frames == "sequence" else "sequence"
        remedy = f"try --frames {other}, or keep more by --views and --image-quality"
        raise RefusalError(f"{folder} has no {args.frames} frames of {kept}: {remedy}")
    for name, reason in sorted(problems.items()):
        cli.say(f"{name}: {reason}", sys.stderr)
    phantoms, patients = "phantom " if phantom else "", {source.patient for source in sources}
    cli.say(f"{folder}: {cli.counted(len(patients), f'{phantoms}patient')} read")
    pairs = f"{cli.counted(len(rows), f'{phantoms}pair')} written" if rows else "nothing written"
    cli.say(f"{args.master}: {pairs}, {cli.counted(len(problems), 'problem')}")
    report(args, outcomes)
    if rows:
        cli.say(f"to look at: {args.master / rows[0]['file_name']}")
    return 1 if problems else 0


def report(args: argparse.Namespace, outcomes: dict[Source, Outcome]) -> None:
    """Say what may be wrong, what an option left out, and what of the release is missing."""
    if unclear := sorted({line for outcome in outcomes.values() for line in outcome.unclear}):
        values = f"{cli.counted(len(unclear), 'value')} not understood, taken as missing"
        cli.say(f"Info files: {values}; the first is in {unclear[0]}", sys.stderr)
    turned = [source for source, outcome in outcomes.items() if outcome.axes != RELEASE_AXES]
    if turned:
        images = f"{cli.counted(len(turned), 'image')} in another orientation than the release"
        first = f"{turned[0].name}, {outcomes[turned[0]].axes} instead of {RELEASE_AXES}"
        cli.say(f"{images}; the first is {first}: check that the apex is on top", sys.stderr)
    converted = {source for source, outcome in outcomes.items() if not outcome.reason}
    left_out = {(source.patient, source.view) for source in converted if not outcomes[source].rows}
    if left_out:
        cli.say(f"{cli.counted(len(left_out), 'view')} left out by --image-quality")
    patients = {f"patient{number:04}" for number in range(1, facts.PATIENTS + 1)}
    release = {"_".join(parts) for parts in product(patients, args.views, args.instants)}
    if missing := release - {source.name for source in converted}:
        absent = patients - {source.patient for source in converted}
        thing = "pairs" if args.frames == "key" else "half sequences"
        people = f"{len(absent)} of {len(patients)} patients"
        files = f"{len(missing):,} of {len(release):,} {thing}"
        cli.say(
            f"of the whole release, {people} and {files} are missing; the first is {min(missing)}"
        )


def main(argv: Sequence[str] | None = None) -> int:
    example = "generator/CAMUSImageMaskDatasetGenerator.py --size 256"
    parser = cli.Parser(__doc__, "[DATABASE] [MASTER]", example)
    add, number = parser.add_argument, cli.whole_number
    # fmt: off
    add("database", metavar="DATABASE", nargs="?", type=cli.path,
        help="folder of the patient folders, or a folder that contains it as database_nifti or "
             "CAMUS_public/database_nifti (default: here, or beside the README)")
    add("master", metavar="MASTER", nargs="?", type=cli.path, default=Path("CAMUS-master"),
        help="folder to write (default: ./%(default)s)")
    add("--frames", choices=("key", "sequence"), default="key",
        help="the ED and ES frames, or every frame from ED to ES (default: %(default)s)")
    add("--views", metavar="{2CH,4CH}", nargs="+", type=cli.one_of(*VIEWS), default=list(VIEWS),
        help="keep these views (default: both)")
    add("--structures", metavar="{lv,myo,la}", nargs="+", type=cli.one_of(*STRUCTURES),
        default=list(STRUCTURES),
        help="keep these structures; the rest becomes background (default: all)")
    add("--image-quality", metavar="{Good,Medium,Poor}", nargs="+", type=cli.one_of(*QUALITIES),
        default=[], help="keep views of this quality, by their Info files (default: all)")
    add("--masks", choices=tuple(facts.LEVELS), default="gray",
        help="labels 0, 1, 2, 3 become: gray: 0, 85, 170, 255; binary: 0, 255, 255, 255;"
             " index: 0, 1, 2, 3, always PNG (default: %(default)s)")
    add("--format", choices=("jpg", "png"), default="jpg",
        help="file format of images and masks (default: %(default)s)")
    add("--jpg-quality", metavar="N", type=number(1, 100), default=95,
        help="JPG quality, 1 to 100 (default: %(default)s)")
    add("--size", metavar="N", type=number(16, 8192), default=512,
        help="side of the square in pixels (default: %(default)s)")
    add("--fit", choices=("pad", "stretch"), default="pad",
        help="keep proportions on a black square, or fill the square (default: %(default)s)")
    add("--mirror", action="store_true",
        help="also write each pair flipped left to right, as mirrored_NAME")
    add("--jobs", metavar="N", type=number(1, 256), default=cli.CORES,
        help="number of files to convert at the same time (default: all cores, %(default)s)")
    add("--overwrite", action="store_true", help="replace an earlier master")
    # fmt: on
    return cli.run(parser, generate, argv)


if __name__ == "__main__":
    raise SystemExit(main())
