"""Turn the CAMUS echocardiography release (NIfTI) into square image/mask pairs.

Every ED and ES frame, or every frame of the half sequences, becomes
images/NAME.jpg and masks/NAME.jpg in MASTER, beside metadata.csv (one row per
pair) and dataset.json (labels, settings). MASTER appears when all is done.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))
from camus import cli, database, facts, metadata, nifti, output, pixels  # isort: skip
from camus import PairError, RefusalError, command_line, words
from camus.database import Source
from camus.facts import HALF_SEQUENCE, KEY_INSTANTS, MIRRORED, QUALITIES, STRUCTURES, UNKNOWN, VIEWS
from camus.metadata import Row, Settings, decimal

INSTANTS = {"key": KEY_INSTANTS, "sequence": (HALF_SEQUENCE,)}  # of the sources, by --frames
RELEASE_AXES = "LP"  # of the images: x to the patient's left, y to posterior; so the apex is on top


class Outcome(NamedTuple):
    """The rows of a source's pairs, or why there are none; neither if an option left it out."""

    rows: list[Row]
    reason: str = ""
    axes: str = RELEASE_AXES  # where the image says x and y point in the patient
    spacing: tuple[float, float] = (0, 0)  # of the image, mm
    unclear: Sequence[str] = ()  # lines of its Info file that make no sense


def convert(settings: Settings, folder: Path, source: Source) -> Outcome:
    """Make the pairs of a source, all of them or none. Raises OSError if they cannot be written."""
    suffix, masks, frame = settings["format"], settings["masks"], ""
    mask_suffix = "png" if masks == "index" else suffix
    rows: list[Row] = []
    files: dict[str, bytes] = {}
    unclear: Sequence[str] = ()
    try:
        info, unclear = database.read_info(source)
        if settings["image_quality"] and info.get("ImageQuality") not in settings["image_quality"]:
            return Outcome(rows, unclear=unclear)
        image = nifti.read(source.image, pixels.to_gray, nifti.SIDES)
        mask = nifti.read(source.mask, pixels.to_labels)
        nifti.check_same_grid(mask, image)
        instants = database.instants_shown(source, info, len(image.frames))
        height, width = image.frames[0].shape
        box = pixels.fit_box(width, height, image.spacing, settings["size"], settings["fit"])
        for number, instant in enumerate(instants, 1):
            name = source.name
            if source.instant == HALF_SEQUENCE:
                frame = str(number)
                name += f"_frame{frame.zfill(2)}"
            gray = pixels.resize_image(image.frames[number - 1], box.width, box.height)
            labels = pixels.resize_labels(mask.frames[number - 1], box.width, box.height)
            levels = pixels.paint(labels, masks, settings["structures"])
            gray, levels = (pixels.on_black(picture, box) for picture in (gray, levels))
            copies = [("", box.left, gray, levels)]
            if settings["mirror"]:
                right = box.picture_width - box.left - box.width
                copies.append((MIRRORED, right, gray[:, ::-1], levels[:, ::-1]))
            for mirrored, left, gray, levels in copies:
                row = {
                    "file_name": f"images/{mirrored}{name}.{suffix}",
                    "mask_file_name": f"masks/{mirrored}{name}.{mask_suffix}",
                    "patient": source.patient,
                    "view": source.view,
                    "instant": instant,
                    "frame": frame,
                    "mirrored": int(bool(mirrored)),
                    "sex": info.get("Sex", UNKNOWN),
                    "age": decimal(info.get("Age")),
                    "image_quality": info.get("ImageQuality", UNKNOWN),
                    "ef": decimal(info.get("EF")),
                    "frame_rate": decimal(info.get("FrameRate")),
                    "source_width": width,  # of the NIfTI, pixels
                    "source_height": height,
                    "source_spacing_x": decimal(image.spacing[0]),  # mm per pixel of the NIfTI
                    "source_spacing_y": decimal(image.spacing[1]),
                    "left": left,  # the image's place in the picture, pixels
                    "top": box.top,
                    "width": box.width,
                    "height": box.height,
                    "spacing_x": decimal(width * image.spacing[0] / box.width),
                    "spacing_y": decimal(height * image.spacing[1] / box.height),
                }
                rows.append(row)
                files[row["file_name"]] = pixels.encode(gray, suffix, settings["jpg_quality"])
                files[row["mask_file_name"]] = pixels.encode_mask(levels, masks, mask_suffix)
    except (PairError, OSError) as error:
        # Return the message, not the exception: its traceback would keep the arrays in memory
        reason = f"frame {frame}: {words(error)}" if frame else words(error)
        return Outcome([], reason, unclear=unclear)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return Outcome(rows, "", image.axes or RELEASE_AXES, image.spacing, unclear)


def generate(args: argparse.Namespace) -> int:
    """Convert a database as the command line says; the exit code."""
    settings = {name: getattr(args, name) for name in metadata.SETTINGS}
    for name in metadata.LISTS:
        settings[name] = [choice for choice in metadata.SETTINGS[name] if choice in settings[name]]
    settings["format"] = args.format or ("png" if args.masks == "index" else "jpg")
    settings["size"] = None if args.fit == "none" else args.size
    folder = database.find_database(args.database)
    if args.master.resolve().is_relative_to(folder.resolve()):
        raise RefusalError(f"{args.master} lies in the database {folder}: choose another folder")
    sources, problems = database.find_sources(folder, args.views, INSTANTS[args.frames])
    patients = {source.patient for source in sources}
    here, above = map(metadata.read_description, (folder, folder.resolve().parent))
    phantoms = metadata.phantom_patients(here) | metadata.phantom_patients(above)
    folders = {path.name for path in folder.glob("patient*") if path.is_dir()}
    phantom = bool(phantoms) and folders <= phantoms
    with output.new_folder(args.master, metadata.GENERATOR, args.overwrite) as part:
        for name in metadata.FOLDERS:
            (part / name).mkdir()
        results = cli.side_by_side(partial(convert, settings, part), sources, args.jobs, "file")
        outcomes = dict(zip(sources, results, strict=True))
        rows = [row for outcome in results for row in outcome.rows]
        if rows:  # else the target stays as it was
            metadata.write_rows(part, rows)
            metadata.write_description(part, metadata.describe(settings, phantom))
    problems |= {s.name: outcome.reason for s, outcome in outcomes.items() if outcome.reason}
    if not rows and not problems:
        frames = f"{args.frames} frames of {' or '.join(args.views)}"
        if args.image_quality:
            info = " and ".join(f"Info_{view}.cfg" for view in args.views)
            frames += f" of which {info} say {' or '.join(args.image_quality)}"
        raise RefusalError(f"{folder} has no {frames}: keep more, or try other --frames")
    for name, reason in sorted(problems.items()):
        cli.say(f"{name}: {reason}", sys.stderr)
    adjective = "phantom " if phantom else ""
    cli.say(f"{folder}: {cli.counted(len(patients), f'{adjective}patient')} read")
    pairs = f"{cli.counted(len(rows), f'{adjective}pair')} written" if rows else "nothing written"
    cli.say(f"{args.master}: {pairs}, {cli.counted(len(problems), 'problem')}")
    report(args, outcomes, phantom)
    if rows:
        split = os.path.normpath(Path(sys.argv[0]).parent / "../split_master.py")
        cli.say(f"to look at: {args.master / rows[0]['file_name']}")
        cli.say(f"next: {command_line('python', split, str(args.master))}")
    return 1 if problems else 0


def report(args: argparse.Namespace, outcomes: dict[Source, Outcome], phantom: bool) -> None:
    """Say what may be wrong, what an option left out, and what of the release is missing."""
    unclear = {line for outcome in outcomes.values() for line in outcome.unclear}
    cli.tell(unclear, "line", "of Info files not understood, taken as missing", sys.stderr)
    turned = {
        f"{source.name}, {outcome.axes} instead of {RELEASE_AXES}"
        for source, outcome in outcomes.items()
        if outcome.axes != RELEASE_AXES
    }
    fact = "in another orientation than the release (check that the apex is on top)"
    cli.tell(turned, "image", fact, sys.stderr)
    unscaled = {source.name for source, outcome in outcomes.items() if outcome.spacing == (1, 1)}
    fact = "with pixels of 1 x 1 mm in the header (areas and proportions may be wrong)"
    cli.tell(unscaled, "image", fact, sys.stderr)
    converted = [source for source, outcome in outcomes.items() if not outcome.reason]
    left_out = {f"{s.patient} {s.view}" for s in converted if not outcomes[s].rows}
    cli.tell(left_out, "view", "left out by --image-quality")
    patients = {f"patient{number:04}" for number in range(1, facts.PATIENTS + 1)}
    release = set(map("_".join, product(patients, args.views, INSTANTS[args.frames])))
    absent = patients - {source.patient for source in converted}
    if absent != patients and not phantom:
        thing = "pair" if args.frames == "key" else "half sequence"
        fact = f"of the release's {len(release):,} missing ({len(absent)} patients have none)"
        cli.tell(release - {source.name for source in converted}, thing, fact)


def main(argv: Sequence[str] | None = None) -> int:
    example = "generator/CAMUSImageMaskDatasetGenerator.py --size 256"
    parser = cli.Parser(__doc__, "[DATABASE] [MASTER]", example)
    add, number, choices = parser.add_argument, cli.whole_number, metadata.SETTINGS
    # fmt: off
    add("database", metavar="DATABASE", nargs="?", type=cli.path,
        help="folder of the patient folders, or a folder that contains it as database_nifti or "
             "CAMUS_public/database_nifti (default: here, or beside the README)")
    add("master", metavar="MASTER", nargs="?", type=cli.path, default=Path("CAMUS-master"),
        help="folder to write (default: ./CAMUS-master)")
    add("--frames", choices=choices["frames"], default="key",
        help="the ED and ES frames, or every frame from ED to ES (default: %(default)s)")
    add("--views", metavar="{2CH,4CH}", nargs="+", type=cli.one_of(*VIEWS), default=list(VIEWS),
        help="keep these views (default: both)")
    add("--structures", metavar="{lv,myo,la}", nargs="+", type=cli.one_of(*STRUCTURES),
        default=list(STRUCTURES),
        help="keep these structures; the rest becomes background (default: all)")
    add("--image-quality", metavar="{Good,Medium,Poor}", nargs="+", type=cli.one_of(*QUALITIES),
        default=[], help="keep views of this quality, by their Info files (default: all)")
    add("--masks", choices=choices["masks"], default="gray",
        help="labels 0, 1, 2, 3 become: gray: 0, 85, 170, 255; binary: 0, 255, 255, 255;"
             " index: 0, 1, 2, 3, masks always PNG (default: %(default)s)")
    add("--format", choices=choices["format"],
        help="file format of images and masks (default: jpg, but png with --masks index)")
    add("--jpg-quality", metavar="N", type=number(1, 100), default=95,
        help="JPG quality of the images, 1 to 100; masks keep 95 (default: %(default)s)")
    add("--size", metavar="N", type=number(16, 8192), default=512,
        help="side of the square in pixels (default: %(default)s)")
    add("--fit", choices=choices["fit"], default="pad",
        help="keep proportions on a black square, fill the square, or keep the size of the "
             "NIfTI and write no square (default: %(default)s)")
    add("--mirror", action="store_true",
        help="also write each pair flipped left to right, as mirrored_NAME")
    add("--jobs", metavar="N", type=number(1, 256), default=cli.CORES,
        help="number of files to convert at the same time (default: all cores, %(default)s)")
    add("--overwrite", action="store_true", help="replace an earlier master")
    # fmt: on
    return cli.run(parser, generate, argv)


if __name__ == "__main__":
    raise SystemExit(main())
