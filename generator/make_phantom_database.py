"""Write phantom patients in the exact form of the CAMUS release, to try things on without it.

DATABASE gets a folder a patient: both views, the ED and ES frames, the half sequences between
them, their masks, and the Info files. A folder database_split with the subgroups stands beside it.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from generator import shared

if __name__ == "__main__":
    shared.quit_on_interrupt()  # the libraries below take long enough to be interrupted

import gzip
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from nibabel.nifti1 import Nifti1Header
from tqdm import tqdm

from generator import phantom
from generator.phantom import Heart, Sector
from generator.shared import RefusalError

SPACING = 0.308  # mm, of the release
# Sizes of frames in the release, the smallest and the largest among them
SECTORS = [Sector(*size) for size in ((748, 617), (591, 420), (551, 428), (512, 422), (787, 649),
                                      (382, 325), (748, 619), (600, 480))]  # fmt: skip
VIEWS = ("2CH", "4CH")
NOMINAL_FRAMES = 19  # of a half sequence, where none is written: the median of the release


class Patient(NamedTuple):
    """What the Info files tell of a patient."""

    name: str
    sex: str
    age: int
    ef: int  # percent
    frame_rate: float
    qualities: tuple[str, str]  # of the views


def draw_patient(number: int, seed: int) -> Patient:
    """A patient at random, from failing to vigorous hearts, from good to poor pictures."""
    rng = np.random.default_rng([seed, number])
    ef = int(rng.integers(25, 71))
    first = rng.choice(list(phantom.QUALITIES), p=[0.45, 0.38, 0.17])
    second = rng.choice(list(phantom.QUALITIES)) if rng.random() < 0.55 else first
    return Patient(
        name=f"patient{number:04}",
        sex=str(rng.choice(["F", "M"])),
        age=int(np.clip(rng.normal(65, 14), 20, 93)),
        ef=ef,
        frame_rate=float(np.round(rng.uniform(46, 62), 1)),
        qualities=(str(first), str(second)),
    )


def draw_heart(patient: Patient, view: str, sector: Sector, rng: np.random.Generator) -> Heart:
    """A heart that fits the sector; the weaker it pumps, the wider it is."""
    height = sector.height
    length = height * rng.uniform(0.45, 0.5)
    right = 0.03 if view == "4CH" else 0.0
    return Heart(
        apex=(sector.width / 2 + height * (right + rng.uniform(-0.02, 0.02)), 0.08 * height),
        tilt=rng.uniform(-0.1, 0.02),
        length=length,
        half_width=length * (0.34 - 0.0016 * patient.ef + rng.uniform(-0.02, 0.02)),
        wall=length * rng.uniform(0.13, 0.17),
        bend=rng.uniform(-0.02, 0.05),
        atrium=(length * rng.uniform(0.48, 0.56), length * rng.uniform(0.23, 0.28)),
        ejection_fraction=patient.ef / 100,
        four_chamber=view == "4CH",
    )


def loop(
    patient: Patient, view: str, phases: Iterable[float], seed: Sequence[int]
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]:
    """The frames of a view with their masks, both (height, width)."""
    rng = np.random.default_rng(seed)
    sector = SECTORS[rng.integers(len(SECTORS))]
    heart = draw_heart(patient, view, sector, rng)
    quality = phantom.QUALITIES[patient.qualities[VIEWS.index(view)]]
    slow, maps = phantom.slow_changes(sector, quality, rng), phantom.scan_conversion(sector)
    for phase in phases:
        outline = phantom.outlines(heart, phase)
        echo = phantom.echo_field(sector, heart, outline, phase)
        image = phantom.echocardiogram(echo, slow, quality, maps, rng)
        yield image, phantom.label_map(sector, heart, outline)


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


def info(patient: Patient, view: str, frames: int, backwards: bool) -> bytes:
    """An Info_2CH.cfg or Info_4CH.cfg."""
    ends = (frames, 1) if backwards else (1, frames)
    values = {
        "ED": ends[0],
        "ES": ends[1],
        "NbFrame": frames,
        "Sex": patient.sex,
        "Age": patient.age,
        "ImageQuality": patient.qualities[VIEWS.index(view)],
        "EF": patient.ef,
        "FrameRate": patient.frame_rate,
    }
    return "".join(f"{key}: {value}\n" for key, value in values.items()).encode()


def write_patient(database: Path, number: int, frames: int, seed: int, backwards: bool) -> None:
    """Write one patient's folder; backwards: the four-chamber sequence runs from ES to ED."""
    patient = draw_patient(number, seed)
    folder = database / patient.name
    folder.mkdir()
    phases = (1 - np.cos(np.linspace(0, np.pi, frames or 2))) / 2
    for index, view in enumerate(VIEWS):
        turned = backwards and view == "4CH"
        pairs = list(loop(patient, view, phases, (seed, number, index)))
        files = {"ED": pairs[0], "ES": pairs[-1]}
        if frames:
            images, masks = zip(*reversed(pairs) if turned else pairs, strict=True)
            files["half_sequence"] = (np.stack(images), np.stack(masks))
        for instant, (image, mask) in files.items():
            stem = f"{patient.name}_{view}_{instant}"
            (folder / f"{stem}.nii.gz").write_bytes(nifti_gz(image))
            (folder / f"{stem}_gt.nii.gz").write_bytes(nifti_gz(mask))
        text = info(patient, view, frames or NOMINAL_FRAMES, turned)
        (folder / f"Info_{view}.cfg").write_bytes(text)


def write_split(folder: Path, patients: int, seed: int) -> None:
    """Subgroups in the proportions of the release, 400/50/50."""
    folder.mkdir()
    order = np.random.default_rng([seed, 0]).permutation(patients) + 1
    held_out = max(1, patients // 10) if patients >= 3 else 0
    ends = {"testing": held_out, "validation": 2 * held_out, "training": patients}
    start = 0
    for name, end in ends.items():
        names = [f"patient{number:04}\n" for number in sorted(order[start:end])]
        (folder / f"subgroup_{name}.txt").write_bytes("".join(names).encode())
        start = end


def write_patients(database: Path, patients: int, frames: int, seed: int) -> None:
    """Write the patients' folders side by side; the second patient has a backward sequence."""
    database.mkdir()
    pool = ThreadPoolExecutor(shared.processors())
    try:
        futures = [
            pool.submit(write_patient, database, number, frames, seed, number == min(2, patients))
            for number in range(1, patients + 1)
        ]
        for future in tqdm(futures, unit="patient", disable=None):
            future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def make_database(database: Path, patients: int, frames: int, seed: int) -> int:
    """Write a whole database beside its place, then move it there; returns the exit code."""
    given, database = database, database.resolve()
    split = database.with_name("database_split")
    if database == split:
        raise RefusalError(f"{database} is where the subgroups go: name another folder")
    for folder in (database, split):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RefusalError(f"{folder} is not empty: name another place, or remove it yourself")
    with shared.workshop(database) as workshop:
        write_patients(workshop / "database", patients, frames, seed)
        write_split(workshop / "split", patients, seed)
        (workshop / "split").replace(split)
        (workshop / "database").replace(database)
    print(f"{given}: {patients} phantom patients, and {split.name} beside it")
    return 0


def arguments() -> shared.Parser:
    """The command line."""
    parser = shared.Parser(__doc__, "demo/database_nifti --patients 12")
    option, number = parser.option, shared.whole_number
    option("database", "folder to write, new or empty", metavar="DATABASE", type=Path)
    option("--patients", "patients to make", metavar="N", type=number(1, 9999), default=12)
    text = "frames of a half sequence, 0 for no half sequences"
    option("--frames", text, metavar="N", type=number(0, 99), default=12)
    text = "another seed, other patients"
    option("--seed", text, metavar="N", type=number(0, 2**32 - 1), default=0)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    parser = arguments()
    args = parser.parse_args(argv)
    return shared.exit_code(parser.prog, lambda: make_database(**vars(args)))


if __name__ == "__main__":
    raise SystemExit(main())
