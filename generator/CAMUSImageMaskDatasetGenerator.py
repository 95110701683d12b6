"""Turn the CAMUS echocardiography release (NIfTI) into square image/mask pairs.

Every ED and ES frame, or every frame of the half sequences, becomes
images/NAME.jpg and masks/NAME.jpg in MASTER, beside metadata.csv (one row per
pair) and dataset.json (labels, settings). MASTER appears when all is done.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))
from camus import PairError, RefusalError, cli, database, facts, metadata, nifti, output, pixels
from camus.database import Source
from camus.facts import HALF_SEQUENCE, KEY_INSTANTS, MIRRORED, QUALITIES, STRUCTURES, VIEWS
from camus.metadata import Row, decimal

RELEASE_AXES = "LP"  # of the images: x to the patient's left, y to posterior; so the apex is on top


class Outcome(NamedTuple):
    """What became of a source: the rows of its pairs, or the reason why there are none.

    Without rows and reason, an option left the source out.
    """

    rows: list[Row]
    reason: str = ""
    axes: str = RELEASE_AXES  # where the image says x and y point in the patient
    unclear: Sequence[str] = ()  # lines of its Info file that make no sense


def convert(args: argparse.Namespace, folder: Path, source: Source) -> Outcome:
    """Make the pairs of a source, all of them or none."""
    try:
        info, unclear = database.read_info(source)
        if args.image_quality and info.get("image_quality") not in args.image_quality:
            return Outcome([], unclear=unclear)
        image = nifti.read(source.image, pixels.to_gray, nifti.SIDES)
        mask = nifti.read(source.mask, pixels.to_labels)
        nifti.check_same_grid(mask, image)
        instants = database.instants_shown(source, info, len(image.frames))
        pairs = list(pairs_of(args, source, info, instants, image, mask))
    except PairError as error:
        # Return the message, not the exception: its traceback would keep the arrays in memory
        return Outcome([], str(error))
    for row, image_bytes, mask_bytes in pairs:
        (folder / row["file_name"]).write_bytes(image_bytes)
        (folder / row["mask_file_name"]).write_bytes(mask_bytes)
    rows = [row for row, *_ in pairs]
    return Outcome(rows, axes=image.axes or RELEASE_AXES, unclear=unclear)


def pairs_of(
    args: argparse.Namespace,
    source: Source,
    info: database.Info,
    instants: Sequence[str],
    image: nifti.Scan,
    mask: nifti.Scan,
) -> Iterator[tuple[Row, bytes, bytes]]:
    """The pairs of a source: the row, the image file and the mask file of each."""
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
            name += f"_frame{number:0{max(2, len(str(len(instants))))}}"
        for mirrored in (False, True) if args.mirror else (False,):
            if mirrored:
                name, gray, levels = MIRRORED + name, gray[:, ::-1], levels[:, ::-1]
                left = args.size - box.left - box.width
            row: Row = {
                "file_name": f"images/{name}.{args.format}",
                "mask_file_name": f"masks/{name}.{args.mask_format}",
                "patient": source.patient,
                "view": source.view,
                "instant": instant,
                "frame": frame,
                "mirrored": int(mirrored),
                "sex": info.get("sex", facts.UNKNOWN),
                "age": decimal(info.get("age")),
                "image_quality": info.get("image_quality", facts.UNKNOWN),
                "ef": decimal(info.get("ef")),
                "frame_rate": decimal(info.get("frame_rate")),
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
            yield (
                row,
                pixels.encode(gray, args.format, args.jpg_quality),
                pixels.encode_mask(levels, args.masks, args.mask_format, args.jpg_quality),
            )


def generate(args: argparse.Namespace) -> int:
    """Convert a database as the command line says; the exit code."""
    args.views = [view for view in VIEWS if view in args.views]
    args.structures = [name for name in STRUCTURES if name in args.structures]
    args.image_quality = [word for word in QUALITIES if word in args.image_quality]
    args.instants = KEY_INSTANTS if args.frames == "key" else (HALF_SEQUENCE,)
    args.mask_format = "png" if args.masks == "index" else args.format
    folder = database.find_database(args.database, Path(__file__).resolve().parents[1])
    if args.master.resolve().is_relative_to(folder.resolve()):
        raise RefusalError(f"{args.master} lies in the database {folder}: choose another folder")
    sources, problems = database.find_sources(folder, args.views, args.instants)
    if not sources and not problems:
        other = "key" if args.frames == "sequence" else "sequence"
        views = " and ".join(args.views)
        raise RefusalError(f"{folder} has no {args.frames} frames of {views}: try --frames {other}")
    described = [metadata.read_description(path) for path in (folder, folder.resolve().parent)]
    phantom = any(description.get("phantom") is True for description in described)
    with output.new_folder(args.master, metadata.GENERATOR, args.overwrite, pattern_of) as part:
        for name in metadata.FOLDERS:
            (part / name).mkdir()
        outcomes = cli.side_by_side(partial(convert, args, part), sources, args.jobs, "file")
        rows = [row for outcome in outcomes for row in outcome.rows]
        if rows:  # else the target stays as it was
            metadata.write_rows(part, rows)
            metadata.write_description(part, metadata.describe(vars(args), phantom))
    of_source = dict(zip(sources, outcomes, strict=True))
    problems |= {s.name: outcome.reason for s, outcome in of_source.items() if outcome.reason}
    if not rows and not problems:
        words = " or ".join(args.image_quality)
        raise RefusalError(f"{folder} has no view of the image quality {words}: choose others")
    warn_of_problems(problems, of_source)
    phantoms, patients = "phantom " if phantom else "", {source.patient for source in sources}
    cli.say(f"{folder}: {cli.counted(len(patients), f'{phantoms}patient')} read")
    pairs = cli.counted(len(rows), f"{phantoms}pair") + " written"
    pairs = pairs if rows else "not written, no pair could be made"
    cli.say(f"{args.master}: {pairs}, {cli.counted(len(problems), 'problem')}")
    report_missing(args, of_source)
    if rows:
        cli.say(f"to look at: {args.master / rows[0]['file_name']}")
    return 1 if problems else 0


def pattern_of(description: metadata.Description) -> str:
    """A pattern of the files of a master."""
    return f"{metadata.DATASET_JSON}|{metadata.made_files(description)}"


def warn_of_problems(problems: dict[str, str], outcomes: dict[Source, Outcome]) -> None:
    """Name what failed, one line each; then what may be wrong with Info files and pictures."""
    for name, reason in sorted(problems.items()):
        cli.warn(f"{name}: {reason}")
    if unclear := sorted({line for outcome in outcomes.values() for line in outcome.unclear}):
        values = cli.counted(len(unclear), "value")
        cli.warn(
            f"Info files: {values} not understood, taken as missing; the first is in {unclear[0]}"
        )
    turned = [source for source, outcome in outcomes.items() if outcome.axes != RELEASE_AXES]
    if turned:
        images, axes = cli.counted(len(turned), "image"), outcomes[turned[0]].axes
        cli.warn(
            f"{images} in another orientation than the release (not {RELEASE_AXES}); the first is "
            f"{turned[0].name} ({axes}): check that the apex is on top, and the pixel size"
        )


def report_missing(args: argparse.Namespace, outcomes: dict[Source, Outcome]) -> None:
    """Say what --image-quality left out, and what of the whole release is missing."""
    converted = {source for source, outcome in outcomes.items() if not outcome.reason}
    left_out = {(source.patient, source.view) for source in converted if not outcomes[source].rows}
    if left_out:
        cli.say(f"{cli.counted(len(left_out), 'view')} left out by --image-quality")
    patients = {f"patient{number:04}" for number in range(1, facts.PATIENTS + 1)}
    release = {"_".join(parts) for parts in product(patients, args.views, args.instants)}
    if missing := release - {source.name for source in converted}:
        absent = len(patients - {source.patient for source in converted})
        thing = "pairs" if args.frames == "key" else "half sequences"
        cli.say(
            f"of the whole release, {absent} of {len(patients)} patients and {len(missing):,} of "
            f"{len(release):,} {thing} are missing; the first is {min(missing)}"
        )


def word_of(*words: str) -> Callable[[str], str]:
    """An argument type: one of the words, in any case. good: Good."""

    def parse(text: str) -> str:
        for word in words:
            if word.casefold() == text.casefold():
                return word
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(words)}")

    return parse


def arguments() -> cli.Parser:
    """The command line."""
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
        help="the ED and ES frames, or every frame of the half sequences from ED to ES"
             " (default: %(default)s)")
    add("--views", metavar="{2CH,4CH}", nargs="+", type=word_of(*VIEWS), default=list(VIEWS),
        help="keep these views (default: both)")
    add("--structures", metavar="{lv,myo,la}", nargs="+", type=word_of(*STRUCTURES),
        default=list(STRUCTURES),
        help="keep these structures, labels unchanged; the rest becomes background (default: all)")
    add("--image-quality", metavar="{Good,Medium,Poor}", nargs="+", type=word_of(*QUALITIES),
        default=[],
        help="keep views of this quality, by Info_2CH.cfg and Info_4CH.cfg (default: all)")
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
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    return cli.run(arguments(), generate, argv)


if __name__ == "__main__":
    raise SystemExit(main())
