"""Turn the CAMUS echocardiography database (NIfTI) into a folder of square image/mask pairs.

Every ED and ES frame, or every frame of the half sequences, becomes images/NAME.jpg and
masks/NAME.jpg in MASTER, beside metadata.csv (a row a pair) and dataset.json (labels, settings).
Run again after an interruption, it goes on where it stopped.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from generator import shared

if __name__ == "__main__":
    shared.quit_on_interrupt()  # the libraries below take long enough to be interrupted

import argparse
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from functools import partial
from typing import NamedTuple

import cv2
from tqdm import tqdm

from generator import nifti, pixels
from generator.database import (
    Source,
    find_database,
    find_sources,
    read_info,
    read_labels,
    times_of,
)
from generator.master import (
    Row,
    Settings,
    columns_from_geometry,
    columns_from_info,
    metadata_csv,
    open_master,
)
from generator.nifti import BadFileError, Grid
from generator.pixels import LEVELS, STRUCTURES, Box, Picture
from generator.shared import RefusalError, write_whole

SAME_TIME = 0.001  # seconds; disks keep the times of files more or less finely


class Target(NamedTuple):
    """An image and a mask file to be: which frame of the source, counted from 0, and how."""

    frame: int
    mirrored: bool
    image: str
    mask: str


def plan_pairs(source: Source, grid: Grid, settings: Settings) -> Iterator[Target]:
    """The pairs that a source gives. Raises BadFileError if its dimensions are not a source's."""
    stems = [source.name]
    if source.instant == "half_sequence":
        count = (*grid.shape, 1)[2]
        digits = max(2, len(str(count)))
        stems = [f"{source.name}_frame{number:0{digits}}" for number in range(1, count + 1)]
    elif len(grid.shape) == 3:
        raise BadFileError(f"has {grid.shape[2]} frames, a key frame has one")
    for mirrored in (False, True)[: 1 + settings.mirror]:
        for frame, stem in enumerate(stems):
            name = f"mirrored_{stem}" if mirrored else stem
            image, mask = f"images/{name}.{settings.format}", f"masks/{name}.{settings.mask_format}"
            yield Target(frame, mirrored, image, mask)


def metadata_row(
    source: Source, pair: Target, grid: Grid, box: Box, info: dict[str, str], size: int
) -> Row:
    """What metadata.csv says of a pair; box is the place of the picture that is not mirrored."""
    frame, instant = info.get(source.instant, ""), source.instant
    if source.instant == "half_sequence":
        frame = str(pair.frame + 1)
        instant = next((end for end in ("ED", "ES") if info.get(end) == frame), "")
    if pair.mirrored:
        box = box._replace(left=size - box.left - box.width)
    return Row(
        file_name=pair.image,
        mask_file_name=pair.mask,
        patient=source.patient,
        view=source.view,
        instant=instant,
        frame=frame,
        mirrored=int(pair.mirrored),
        **columns_from_info(info),
        **columns_from_geometry(grid, box),
    )


def image_files(frames: Iterable[Picture], box: Box, settings: Settings) -> list[list[bytes]]:
    """The image file of each frame, and of its mirrored copy if there is to be one."""
    images = pixels.resize_images(frames, box.width, box.height)
    encode = partial(pixels.encode, suffix=settings.format, quality=settings.quality)
    return [[encode(side) for side in both_sides(image, box, settings)] for image in images]


def mask_files(labels: Iterable[Picture], box: Box, settings: Settings) -> list[list[bytes]]:
    """The mask file of each frame, and of its mirrored copy. Raises BadFileError."""
    suffix, step = settings.mask_format, LEVELS[settings.masks][1]
    encode = partial(pixels.encode_mask, suffix=suffix, quality=settings.quality, step=step)
    resized = (pixels.resize_labels(frame, box.width, box.height) for frame in labels)
    masks = (pixels.paint(frame, settings.masks, settings.structures) for frame in resized)
    return [[encode(side) for side in both_sides(mask, box, settings)] for mask in masks]


def both_sides(picture: Picture, box: Box, settings: Settings) -> list[Picture]:
    """The picture on its square, and flipped if mirrored copies are wanted."""
    square = pixels.on_square(picture, box, settings.size)
    return [square, pixels.flip(square)] if settings.mirror else [square]


def convert(
    source: Source, settings: Settings, master: Path, there: Mapping[str, float]
) -> tuple[list[Row], int]:
    """Make the pairs of a source that are not yet there: all of them, or none.

    A picture carries the time of its NIfTI; one in `there` that has another time is out of date.
    Returns the rows of all pairs of the source, and how many are new. Raises BadFileError.
    """
    info, (image_time, mask_time) = read_info(source.image.parent, source.view), times_of(source)

    def is_there(pair: Target) -> bool:
        ours = there.get(pair.image, math.inf), there.get(pair.mask, math.inf)
        return abs(ours[0] - image_time) < SAME_TIME and abs(ours[1] - mask_time) < SAME_TIME

    with nifti.opened(source.image) as (grid, frames):
        pairs = list(plan_pairs(source, grid, settings))
        new = [pair for pair in pairs if not is_there(pair)]
        box = pixels.place(grid, settings.size, settings.fit)
        # encoded as they are read: pictures of a whole sequence would cost memory, and time
        images = image_files(map(pixels.to_uint8, frames), box, settings) if new else []
    masks = mask_files(read_labels(source.mask, grid), box, settings) if new else []
    for pair in new:
        write_whole(master / pair.image, images[pair.frame][pair.mirrored], image_time)
        write_whole(master / pair.mask, masks[pair.frame][pair.mirrored], mask_time)
    return [metadata_row(source, pair, grid, box, info, settings.size) for pair in pairs], len(new)


def attempt(
    source: Source, settings: Settings, master: Path, there: Mapping[str, float]
) -> tuple[list[Row], int, str]:
    """What convert returns, and why it failed. An exception that is kept keeps the pictures."""
    try:
        return (*convert(source, settings, master, there), "")
    except BadFileError as error:
        return [], 0, str(error)


def generate(args: argparse.Namespace) -> int:
    """Convert a database as the command line says; returns the exit code."""
    started = time.perf_counter()
    cv2.setNumThreads(1)  # the workers are the threads
    # From the largest mapped block that was freed, glibc learns how much memory to keep for what
    # comes next; else it would fault in that of every frame anew: mallopt(3), M_MMAP_THRESHOLD
    bytes(2**24)
    args.structures = [name for name in STRUCTURES if name in args.structures]
    settings = Settings(**{field.name: getattr(args, field.name) for field in fields(Settings)})
    database, master = find_database(args.database), args.master
    sources, problems, skipped = find_sources(database, settings.frames)
    if not sources and not problems:
        other = "key" if settings.frames == "sequence" else "sequence"
        raise RefusalError(f"no {settings.frames} frames in {database}: try --frames {other}")
    if master.resolve().is_relative_to(database.resolve()):
        raise RefusalError(f"{master} is in the database: name another folder")
    _make_folder(master)
    with shared.sole_writer(master):
        names = {source.name for source in sources} | set(problems)
        there = open_master(master, settings, args.overwrite, names)
        for name, reason in problems.items():
            print(f"{name}: {reason}", file=sys.stderr)
        rows, written, failed = convert_all(sources, settings, master, there, args.jobs)
        current = {name for row in rows for name in (row.file_name, row.mask_file_name)}
        for outdated in there.keys() - current:
            (master / outdated).unlink(missing_ok=True)
        write_whole(master / "metadata.csv", metadata_csv(rows))
    print(
        f"{master}: {written} pairs written, {len(rows) - written} already there, "
        f"{len(problems) + failed} failed, {skipped} half sequences skipped, "
        f"{time.perf_counter() - started:.1f} s"
    )
    return 1 if problems or failed else 0


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise RefusalError(f"{error.filename} is a file: name another folder") from error


def convert_all(
    sources: list[Source], settings: Settings, master: Path, there: Mapping[str, float], jobs: int
) -> tuple[list[Row], int, int]:
    """Convert the sources side by side; returns all rows, new pairs and failed sources."""
    rows, written, failed = [], 0, 0
    pool = ThreadPoolExecutor(jobs)
    try:
        futures = [pool.submit(attempt, source, settings, master, there) for source in sources]
        unit = "sequence" if settings.frames == "sequence" else "pair"
        with tqdm(total=len(sources), unit=unit, disable=None) as progress:
            for source, future in zip(sources, futures, strict=True):
                new_rows, new, reason = future.result()
                rows += new_rows
                written += new
                if reason:
                    failed += 1
                    tqdm.write(f"{source.name}: {reason}", file=sys.stderr)
                progress.update()
    finally:
        pool.shutdown(cancel_futures=True)
    return rows, written, failed


def structure(text: str) -> str:
    """An argument type: a structure by its name or label."""
    for name, label in STRUCTURES.items():
        if text in (name, str(label)):
            return name
    raise argparse.ArgumentTypeError(
        f"{text!r} is none of lv, myo, la, 1, 2, 3 (DATABASE and MASTER stand before --structures)"
    )


def arguments() -> shared.Parser:
    """The command line."""
    example = "CAMUS_public/database_nifti CAMUS-master --structures lv myo"
    parser = shared.Parser(__doc__, example)
    option, number = parser.option, shared.whole_number
    where = "./CAMUS_public/database_nifti, else ./database_nifti"
    text = "folder of the patient folders, or one that holds database_nifti"
    option("database", text, where, metavar="DATABASE", nargs="?", type=Path, default=None)
    text, default = "folder to write to", Path("CAMUS-master")
    option("master", text, "./%(default)s", metavar="MASTER", nargs="?", type=Path, default=default)
    text = "the ED and ES frames, or every frame of the half sequences"
    option("--frames", text, choices=("key", "sequence"), default="key")
    text = "labels 0, 1, 2, 3 as 0, 85, 170, 255; as 0 or 255; or as they are, always PNG"
    option("--masks", text, choices=tuple(LEVELS), default="gray")
    text = "keep these of lv, myo, la (or 1, 2, 3), the rest becomes background"
    option(
        "--structures",
        text,
        "all",
        metavar="NAME",
        nargs="+",
        type=structure,
        default=[*STRUCTURES],
    )
    option("--format", "file format of images and masks", choices=("jpg", "png"), default="jpg")
    option("--quality", "JPG quality, 1 to 100", metavar="N", type=number(1, 100), default=95)
    option("--size", "side in pixels", metavar="N", type=number(16, 8192), default=512)
    text = "keep proportions on a black square, or fill it"
    option("--fit", text, choices=("pad", "stretch"), default="pad")
    option("--mirror", "also write each pair flipped left to right", action="store_true")
    text, cores = "pairs to convert at a time", shared.processors()
    option("--jobs", text, "all cores", metavar="N", type=number(1, 256), default=cores)
    option("--overwrite", "start over in a master of this script's making", action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    parser = arguments()
    args = parser.parse_args(argv)
    return shared.exit_code(parser.prog, lambda: generate(args))


if __name__ == "__main__":
    raise SystemExit(main())
