"""Write phantom patients in the exact form of CAMUS_public, to try the scripts.

FOLDER gets database_nifti, with a folder per patient, and database_split, with
the lists of patients of three subgroups.
"""

import argparse
import gzip
import sys
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from camus import RefusalError, cli, importing, metadata, output, phantom, splits
from camus.facts import HALF_SEQUENCE, VIEWS
from camus.pixels import Picture

# isort: split
import numpy as np

with importing():
    from nibabel.nifti1 import Nifti1Image

SPACING = 0.308  # mm, as in the release
UNKNOWN_SYSTEM = b"\xff"  # in gzip's tenth byte (RFC 1952), since Python writes its own system
FRAMES = 19  # NbFrame if no half sequence is written: the median of the release
RATIOS = [Fraction(n, 10) for n in (8, 1, 1)]  # of the authors' subgroups: 400, 50, 50 patients


def nifti_gz(frames: Sequence[Picture]) -> bytes:
    """A .nii.gz as in the release; one frame has two axes, several have three."""
    array = np.stack(frames).T.squeeze().astype("<f4")
    affine = np.diag([-SPACING, -SPACING, 1, 1])
    header = Nifti1Image(array, affine).header
    header.set_sform(affine, 1)
    header.set_qform(affine, 1)
    header.set_xyzt_units("mm")
    header["vox_offset"] = header.single_vox_offset
    content = header.binaryblock + bytes(4) + array.tobytes(order="F")
    data = gzip.compress(content, compresslevel=1, mtime=0)
    return data[:9] + UNKNOWN_SYSTEM + data[10:]


def write_patient(database: Path, frames: int, seed: int, number: int) -> None:
    """Write one patient's folder. The second patient's 4CH sequence runs from ES to ED."""
    folder = database / f"patient{number:04}"
    folder.mkdir()
    # The heart moves slowest at ED and ES
    phases = (1 - np.cos(np.linspace(0, np.pi, frames or 2))) / 2
    for view in VIEWS:
        patient = phantom.draw_patient(seed, number, view)
        pairs = list(phantom.draw_frames(patient, phases))
        files = {"ED": pairs[:1], "ES": pairs[-1:]}
        ed, es = 1, frames or FRAMES
        if number == 2 and view == "4CH":
            ed, es = es, ed
            pairs.reverse()
        if frames:
            files[HALF_SEQUENCE] = pairs
        for instant, shown in files.items():
            for kind, pictures in zip(("", "_gt"), zip(*shown, strict=True), strict=True):
                name = f"{folder.name}_{view}_{instant}{kind}.nii.gz"
                (folder / name).write_bytes(nifti_gz(pictures))
        (folder / f"Info_{view}.cfg").write_bytes(
            f"ED: {ed}\nES: {es}\nNbFrame: {max(ed, es)}\nSex: {patient.sex}\nAge: {patient.age}\n"
            f"ImageQuality: {patient.quality}\nEF: {patient.ef}\n"
            f"FrameRate: {patient.frame_rate}\n".encode()
        )


def make_database(args: argparse.Namespace) -> int:
    """Write phantom patients as the command line says; the exit code."""
    if args.frames == 1:
        raise RefusalError("--frames 1: a half sequence has two frames at least, ED and ES")
    options = {name: getattr(args, name) for name in ("patients", "frames", "seed")}
    description = {"made_by": metadata.PHANTOMS, "phantom": True, **options}
    names = metadata.phantom_patients(description)
    subset_of = splits.assign(splits.in_random_order(names, args.seed, {}), RATIOS)
    with output.new_folder(args.folder, metadata.PHANTOMS, args.overwrite) as part:
        (part / "database_nifti").mkdir()
        write = partial(write_patient, part / "database_nifti", args.frames, args.seed)
        cli.side_by_side(write, range(1, args.patients + 1), cli.CORES, "patient")
        metadata.write_lists(part / "database_split", subset_of)
        metadata.write_description(part, description)
    cli.say(f"{args.folder}: {cli.counted(args.patients, 'phantom patient')} written")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    parser = cli.Parser(__doc__, "FOLDER", "generator/make_phantom_database.py phantoms")
    add, number = parser.add_argument, cli.whole_number
    # fmt: off
    add("folder", metavar="FOLDER", type=cli.path, help="folder to write")
    add("--patients", metavar="N", type=number(1, metadata.MOST_PHANTOMS), default=50,
        help="number of patients (default: %(default)s)")
    add("--frames", metavar="N", type=number(0, 99), default=0,
        help="frames per half sequence; 0 writes no half sequences (default: %(default)s)")
    add("--seed", metavar="N", type=number(0, 2**32 - 1), default=0,
        help="random seed; the same seed gives the same files (default: %(default)s)")
    add("--overwrite", action="store_true", help="replace earlier phantom patients")
    # fmt: on
    return cli.run(parser, make_database, argv)


if __name__ == "__main__":
    raise SystemExit(main())
