"""Turn the CAMUS echocardiography release (NIfTI) into a folder of square image/mask pairs.

Every ED and ES frame, or every frame of the half sequences, becomes images/NAME.jpg and
masks/NAME.jpg in MASTER, beside metadata.csv (one row per pair) and dataset.json (labels,
settings). Nothing appears in MASTER until all is done.
"""

import argparse
import errno
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))
from camus import cli, database, master, names, nifti, output, pixels
from camus.database import Found, Info, Source
from camus.errors import PairError, RefusalError, blame
from camus.master import Row
from camus.names import VIEWS
from camus.nifti import Grid
from camus.pixels import LEVELS, STRUCTURES, Box, Picture
from camus.splits import UNKNOWN

PATIENTS = 500  # of the whole release, each with two views, each with ED, ES and a half sequence
BAD_NAMES = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)  # names that a disk cannot hold


class Outcome(NamedTuple):
    """What became of a source: the rows of its pairs, or the reason why there are none."""

    rows: list[Row]
    reason: str = ""
    odd: Sequence[str] = ()  # values of its Info file that were left out


def convert(args: argparse.Namespace, folder: Path, source: Source) -> Outcome:
    """Make the pairs of a source, all of them or none."""
    try:
        info = database.read_info(source)
        with blame(source.image):
            grid, images = read_frames(source.image, pixels.to_gray)
            nifti.check_image_grid(grid)
            database.check_frames(source, grid.frames, info)
        with blame(source.mask):
            mask_grid, label_maps = read_frames(source.mask, pixels.to_labels)
            nifti.check_same_grid(mask_grid, grid)
        extent = grid.width * grid.spacing[0], grid.height * grid.spacing[1]
        box = pixels.place(*extent, args.size, args.fit)
        rows, files = [], {}
        for number, (image, labels) in enumerate(zip(images, label_maps, strict=True), 1):
            image = pixels.resize_image(image, box.width, box.height)
            labels = pixels.resize_labels(labels, box.width, box.height)
            mask = pixels.paint(labels, args.masks, args.structures)
            image, mask = (pixels.on_square(p, box, args.size) for p in (image, mask))
            for mirrored in [False, True] if args.mirror else [False]:
                if mirrored:
                    image, mask = image[:, ::-1], mask[:, ::-1]
                row = metadata_row(args, source, info, grid, box, number, mirrored)
                files[row["file_name"]] = pixels.encode(image, args.format, args.quality)
                files[row["mask_file_name"]] = pixels.encode_mask(
                    mask, args.masks, args.mask_format, args.quality
                )
                rows.append(row)
        write_files(folder, files)
    except PairError as error:
        # Return the message, not the exception: its traceback would keep the arrays in memory
        return Outcome([], str(error))
    return Outcome(rows, odd=info.odd)


def read_frames(path: Path, to_8_bits: Callable[[Any], Picture]) -> tuple[Grid, list[Picture]]:
    """The grid of a NIfTI file, and its frames as 8 bits. The scaled values are freed here."""
    grid, values = nifti.read(path)
    return grid, [to_8_bits(frame) for frame in values]


def metadata_row(
    args: argparse.Namespace, source: Source, info: Info, grid: Grid, box: Box, number: int,
    mirrored: bool,
) -> Row:  # fmt: skip
    """What metadata.csv says of a pair. None is written as an empty field.

    number: of the frame in its file, counted from 1. box: of the picture that is not mirrored.
    """
    name, instant, frame = source.name, source.instant, None
    if instant == "half_sequence":
        frame = number
        name += f"_frame{number:0{max(2, len(str(grid.frames)))}}"
        ends = sorted(info.instants.values())
        instant = "between" if len(ends) == 2 and ends[0] < number < ends[1] else UNKNOWN
        instant = next((key for key, at in info.instants.items() if at == number), instant)
    if mirrored:
        name, box = names.MIRRORED + name, box._replace(left=args.size - box.left - box.width)
    return {
        "file_name": f"images/{name}.{args.format}",
        "mask_file_name": f"masks/{name}.{args.mask_format}",
        "patient": source.patient,
        "view": source.view,
        "instant": instant,  # ED, ES, between or unknown
        "frame": frame,  # of a half sequence, counted from 1; None for key frames
        "mirrored": int(mirrored),
        **info.facts,  # sex, age, image_quality, ef, frame_rate
        "source_width": grid.width,
        "source_height": grid.height,
        "source_spacing_x": grid.spacing[0],  # mm per pixel of the NIfTI
        "source_spacing_y": grid.spacing[1],
        **box._asdict(),  # left, top, width, height: the picture's place in the square, pixels
        "spacing_x": grid.spacing[0] * grid.width / box.width,  # mm per pixel of the square
        "spacing_y": grid.spacing[1] * grid.height / box.height,
    }


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Write the images and masks of a source. Raises PairError for a name the disk cannot hold."""
    for name in sorted(files, key=len, reverse=True):  # the longest first: only that can fail
        try:
            (folder / name).write_bytes(files[name])
        except OSError as error:
            if error.errno not in BAD_NAMES:
                raise
            raise PairError(f"{name} cannot be written ({error.strerror})") from error


def generate(args: argparse.Namespace) -> int:
    """Convert a database as the command line says; the exit code."""
    started = time.perf_counter()
    chosen = [name for group in args.structures or [STRUCTURES] for name in group]
    args.structures = [name for name in STRUCTURES if name in chosen]
    args.views = [view for view in VIEWS if view in args.views]
    args.mask_format = "png" if args.masks == "index" else args.format
    folder = database.find_database(args.database, Path(__file__).resolve().parents[1])
    if args.master.resolve().is_relative_to(folder.resolve()):
        raise RefusalError(f"{args.master} is in the database: choose another folder")
    found = database.find_sources(folder, args.frames, args.views)
    if not found.sources and not found.problems:
        other = "key" if args.frames == "sequence" else "sequence"
        views = " and ".join(args.views)
        raise RefusalError(f"no {args.frames} frames of {views} in {folder}: try --frames {other}")
    phantom = output.read_description(folder).get("phantom") is True
    with output.new_folder(args.master, master.GENERATOR, args.overwrite, master.files_of) as new:
        for name in ("images", "masks"):
            (new / name).mkdir()
        work = partial(convert, args, new)
        outcomes = cli.side_by_side(work, found.sources, args.jobs, "file")
        rows = [row for outcome in outcomes for row in outcome.rows]
        if rows:  # else the target stays as it was
            master.write_metadata(new, rows)
            output.write_description(new, master.describe(args, phantom))
    named = zip(found.sources, outcomes, strict=True)
    failed = {source.name: outcome.reason for source, outcome in named if outcome.reason}
    report_problems(found.problems, failed, outcomes)
    problems = {**found.problems, **failed}
    written = cli.counted(len(rows), "pair") + (" written" if rows else ", so nothing was written")
    seconds = time.perf_counter() - started
    number = cli.counted(len(problems), "problem")
    cli.say(f"{args.master}: {written}, {number}, {seconds:.1f} s")
    report_completeness(found, len(found.sources) - len(failed), args, phantom)
    return 1 if problems else 0


def report_problems(
    problems: dict[str, str], failed: dict[str, str], outcomes: Sequence[Outcome]
) -> None:
    """Name what failed, one line each. A setting that suits no mask takes one line in all."""
    reasons = set(failed.values())
    if len(failed) > 1 and len(reasons) == 1 and not any(outcome.rows for outcome in outcomes):
        failed = {f"all {len(failed)}": reasons.pop()}
    for name, reason in sorted({**problems, **failed}.items()):
        cli.warn(f"{name}: {reason}")
    if odd := sorted({value for outcome in outcomes for value in outcome.odd}):
        values = cli.counted(len(odd), "implausible value")
        cli.warn(f"left out {values} of Info files; the first: {odd[0]}")


def report_completeness(
    found: Found, converted: int, args: argparse.Namespace, phantom: bool
) -> None:
    """Say how much of a whole database there is, and what was not asked for."""
    is_key = args.frames == "key"
    if is_key and found.half_sequences:
        number = cli.counted(found.half_sequences, "half sequence")
        cli.say(f"{number} not asked for; --frames sequence converts them")
    thing, per_patient = ("pair" if is_key else "half sequence"), len(args.views) * (1 + is_key)
    expected = found.patients * per_patient
    release = f"; the whole release has {PATIENTS} patients and {PATIENTS * per_patient:,} {thing}s"
    if converted < expected or (found.patients < PATIENTS and not phantom):
        patients = cli.counted(found.patients, "patient")
        line = f"{patients} with {converted:,} of {cli.counted(expected, thing)}"
        cli.say(line if phantom else line + release)


def structure_names(text: str) -> list[str]:
    """An argument type: structures by name or label, separated by commas. LV,2: [lv, myo]."""
    name_of = {key: name for name, label in STRUCTURES.items() for key in (name, str(label))}
    words = [word for word in text.casefold().split(",") if word] or [text]
    for word in words:
        if word not in name_of:
            raise argparse.ArgumentTypeError(
                f"{word!r} is not a structure: use lv, myo, la (DATABASE and MASTER come first)"
            )
    return [name_of[word] for word in words]


def arguments() -> cli.Parser:
    """The command line."""
    parser = cli.Parser(__doc__, "CAMUS_public/database_nifti CAMUS-master --structures lv myo")
    add, number = parser.add_argument, cli.whole_number
    # fmt: off
    add("database", metavar="DATABASE", nargs="?", type=Path,
        help="folder of the patient folders, or the folder that contains database_nifti "
             "(default: CAMUS_public/database_nifti or database_nifti, here or beside the README)")
    add("master", metavar="MASTER", nargs="?", type=Path, default=Path("CAMUS-master"),
        help="folder to write (default: ./%(default)s)")
    add("--frames", choices=("key", "sequence"), default="key",
        help="the ED and ES frames, or every frame of the half sequences from ED to ES"
             " (default: %(default)s)")
    add("--views", nargs="+", type=str.upper, choices=VIEWS, default=list(VIEWS),
        help="keep these views (default: both)")
    add("--masks", choices=tuple(LEVELS), default="gray",
        help="labels 0, 1, 2, 3 become: gray: 0, 85, 170, 255; binary: 0, 255, 255, 255;"
             " index: 0, 1, 2, 3, as PNG (default: %(default)s)")
    add("--structures", metavar="NAME", nargs="+", type=structure_names,
        help="keep these of lv, myo, la (or 1, 2, 3); the rest becomes background (default: all)")
    add("--format", choices=("jpg", "png"), default="jpg", 
        help="file format of images and masks (default: %(default)s)")
    add("--quality", metavar="N", type=number(1, 100), default=95, 
        help="JPG quality, 1 to 100 (default: %(default)s)")
    add("--size", metavar="N", type=number(16, 8192), default=512, 
        help="side of the square in pixels (default: %(default)s)")
    add("--fit", choices=("pad", "stretch"), default="pad",
        help="keep proportions on a black square, or fill the square (default: %(default)s)")
    add("--mirror", action="store_true",
        help="also write each pair flipped left to right, as mirrored_NAME")
    add("--jobs", metavar="N", type=number(1, 256), default=cli.cores(),
        help="number of files to convert at the same time (default: all cores, %(default)s)")
    add("--overwrite", action="store_true", help="replace an earlier master")
    # fmt: on
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    return cli.run(arguments(), generate, argv)


if __name__ == "__main__":
    raise SystemExit(main())
