"""Write phantom patients in the exact form of the CAMUS release, to try the scripts without it.

DATABASE gets one folder per patient, with both views: ED and ES frames, masks and Info files, and
half sequences with --frames. A folder database_split, for split_master.py --official, appears
beside it.
"""

import argparse
import contextlib
import functools
import gzip
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from camus import cli, output, phantom  # first: checks that the packages below are installed
from camus.errors import RefusalError, uninterrupted
from camus.names import VIEWS

# isort: split
import numpy as np
import numpy.typing as npt
from nibabel.nifti1 import Nifti1Header

MADE_BY = "make_phantom_database"
SPACING = 0.308  # mm, as in the release
NOMINAL_FRAMES = 19  # NbFrame if no half sequence is written: the median of the release
SUBGROUPS = ("testing", "validation", "training")


def nifti_gz(frames: npt.NDArray[np.uint8]) -> bytes:
    """A .nii.gz as in the release, of frames (height, width) or (frames, height, width)."""
    header = Nifti1Header()
    header.set_data_dtype(np.float32)
    header.set_data_shape(frames.shape[::-1])
    header.set_zooms((SPACING, SPACING, 1.0)[: frames.ndim])
    header.set_xyzt_units("mm")
    header.set_sform(np.diag([-SPACING, -SPACING, 1, 1]), code=1)
    header.set_qform(np.diag([-SPACING, -SPACING, 1, 1]), code=1)
    header.set_slope_inter(np.nan, np.nan)
    header["vox_offset"] = header.single_vox_offset
    data = header.binaryblock + bytes(4) + frames.astype("<f4").tobytes()
    return gzip.compress(data, compresslevel=1, mtime=0)


def info(patient: phantom.Patient, view: str, ed: int, es: int) -> bytes:
    """An Info_2CH.cfg or Info_4CH.cfg; ED and ES are frames of the half sequence, from 1."""
    return (
        f"ED: {ed}\nES: {es}\nNbFrame: {max(ed, es)}\nSex: {patient.sex}\nAge: {patient.age}\n"
        f"ImageQuality: {patient.qualities[view]}\nEF: {patient.ef}\n"
        f"FrameRate: {patient.frame_rate}\n"
    ).encode()


def write_patient(database: Path, frames: int, seed: int, number: int) -> None:
    """Write one patient's folder. The second patient's 4CH sequence runs from ES to ED."""
    patient = phantom.draw_patient(seed, number)
    folder = database / f"patient{number:04}"
    folder.mkdir()
    # The heart moves slowest at ED and ES
    phases = (1 - np.cos(np.linspace(0, np.pi, frames or 2))) / 2
    for view in VIEWS:
        pairs = list(phantom.draw_frames(patient, view, phases))
        files = {"ED": pairs[0], "ES": pairs[-1]}
        ed, es = 1, frames or NOMINAL_FRAMES
        if number == 2 and view == "4CH":
            ed, es = es, ed
            pairs.reverse()
        if frames:
            images, masks = zip(*pairs, strict=True)
            files["half_sequence"] = (np.stack(images), np.stack(masks))
        for instant, (image, mask) in files.items():
            stem = f"{folder.name}_{view}_{instant}"
            (folder / f"{stem}.nii.gz").write_bytes(nifti_gz(image))
            (folder / f"{stem}_gt.nii.gz").write_bytes(nifti_gz(mask))
        (folder / f"Info_{view}.cfg").write_bytes(info(patient, view, ed, es))


def write_split(folder: Path, patients: int, seed: int) -> None:
    """Write the lists of the split, one patient per line; the release has 400, 50 and 50."""
    order = np.random.default_rng([seed, 0]).permutation(patients) + 1
    held_out = max(1, patients // 10) if patients >= 3 else 0
    groups = np.split(order, [held_out, 2 * held_out])
    for name, numbers in zip(SUBGROUPS, groups, strict=True):
        lines = "".join(f"patient{number:04}\n" for number in sorted(numbers))
        (folder / f"subgroup_{name}.txt").write_bytes(lines.encode())


def make_database(options: argparse.Namespace) -> int:
    """Write DATABASE and the database_split beside it; the exit code."""
    patients, frames, seed = options.patients, options.frames, options.seed
    database = options.database.resolve()
    split = database.parent / "database_split"
    description = {
        "made_by": MADE_BY,
        "source": "phantom echocardiograms, not patients",
        "phantom": True,
        "patients": patients,
        "frames": frames,
        "seed": seed,
    }
    if database == split:
        raise RefusalError(f"{database} is kept for the split lists: choose another folder")
    if frames == 1:
        raise RefusalError("--frames 1: a half sequence has two frames at least, ED and ES")
    same_split = output.read_description(split) == description
    split_files = {output.DATASET_JSON} | {f"subgroup_{name}.txt" for name in SUBGROUPS}
    with contextlib.ExitStack() as folders:
        new_database = folders.enter_context(output.new_folder(database, MADE_BY))
        new_split = folders.enter_context(
            output.new_folder(split, MADE_BY, same_split or None, lambda _: split_files)
        )
        write = functools.partial(write_patient, new_database, frames, seed)
        cli.side_by_side(write, range(1, patients + 1), cli.cores(), "patient")
        write_split(new_split, patients, seed)
        for folder in (new_database, new_split):
            output.write_description(folder, description)
        with uninterrupted():
            folders.close()  # both appear, the database last
    what = cli.counted(patients, "phantom patient")
    cli.say(f"{options.database}: {what} written; {split.name} is beside it")
    return 0


def arguments() -> cli.Parser:
    """The command line."""
    parser = cli.Parser(__doc__, "demo/database_nifti --patients 12")
    number, add = cli.whole_number, parser.add_argument
    # fmt: off
    add("database", metavar="DATABASE", type=Path, help="the folder to write, new or empty")
    add("--patients", metavar="N", type=number(1, 9999), default=50,
        help="number of patients (default: %(default)s)")
    add("--frames", metavar="N", type=number(0, 99), default=0,
        help="frames per half sequence; 0 writes no half sequences (default: %(default)s)")
    add("--seed", metavar="N", type=number(0, 2**32 - 1), default=0,
        help="random seed; the same seed gives the same files (default: %(default)s)")
    # fmt: on
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    return cli.run(arguments(), make_database, argv)


if __name__ == "__main__":
    raise SystemExit(main())
