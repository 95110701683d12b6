"""Damage NIfTI pairs at random and see that none is taken for what it is not.

    .venv/bin/python -m tests.mutations --count 2000

Every damaged pair must be refused in one line that names it, or give the very bytes of the whole
pair, or, where no checksum guards it (a plain .nii, or a header changed before compression), be a
different but legal NIfTI: then the written pixels must be those that nibabel reads from it.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import gzip
import io
import random
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import nibabel as nib
import numpy as np

from generator import CAMUSImageMaskDatasetGenerator as script
from generator.make_phantom_database import SECTORS, draw_patient, loop, nifti_gz

NAME = "patient0001_2CH_ED"
# Odd values for any field of a header; those that do not fit it are left out.
ODD = (0, 1, -1, 2, 3, 7, 255, 512, 32767, 30000, 2**31 - 1, 1e30, -1e30, 0.5, 1e-30,
       float("nan"), float("inf"), -float("inf"))  # fmt: skip
FIELDS = ("sizeof_hdr", "dim", "datatype", "bitpix", "pixdim", "vox_offset", "scl_slope",
          "scl_inter", "xyzt_units", "magic", "qform_code", "sform_code")  # fmt: skip


def flip_bits(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def overwrite_run(data: bytearray, rng: random.Random) -> None:
    start, length = rng.randrange(len(data)), rng.choice([1, 4, 64, 4096])
    length = len(data[start : start + length])
    data[start : start + length] = rng.choice(
        [bytes(length), b"\xff" * length, rng.randbytes(length)]
    )


def delete_run(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.choice([1, 4, 64, 4096])]


def repeat_run(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    data[start:start] = data[start : start + rng.choice([1, 4, 64, 4096])]


def append(data: bytearray, rng: random.Random) -> None:
    data += rng.choice([b"\0", bytes(512), rng.randbytes(20), bytes(data)])


RAW: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip_bits, cut, overwrite_run, delete_run, repeat_run, append,
)  # fmt: skip


def odd_header(data: bytes, rng: random.Random) -> bytes:
    """The same file with one field of its header set to an odd value."""
    header = nib.nifti1.Nifti1Header(data[:348], check=False)
    field = rng.choice(FIELDS)
    values = header[field]
    with warnings.catch_warnings(), contextlib.suppress(OverflowError, ValueError):
        warnings.simplefilter("ignore")
        if field == "magic":
            header[field] = rng.choice([b"ni1", b"n+2", b"", b"N+1"])
        elif values.ndim:
            values[rng.randrange(len(values) if rng.random() < 0.3 else 4)] = rng.choice(ODD)
            header[field] = values
        else:
            header[field] = rng.choice(ODD)
    return bytes(header.binaryblock) + data[348:]


def mutate(whole: bytes, suffix: str, rng: random.Random) -> tuple[bytes, str]:
    """A damaged copy of an uncompressed NIfTI as a file of that suffix, and how it was made."""
    if rng.random() < 0.35:
        odd = odd_header(whole, rng)
        return (gzip.compress(odd, 1, mtime=0) if suffix == ".nii.gz" else odd), "header"
    data = bytearray(gzip.compress(whole, 6, mtime=0) if suffix == ".nii.gz" else whole)
    how = rng.choice(RAW)
    how(data, rng)
    return bytes(data), how.__name__


def convert(folder: Path, size: int) -> tuple[int, str, dict[str, bytes]]:
    """Run the generator without resizing; its exit code, its lines, the files of the pair."""
    lines = io.StringIO()
    with contextlib.redirect_stderr(lines), contextlib.redirect_stdout(io.StringIO()):
        arguments = ("--masks", "index", "--format", "png", "--size", str(size), "--overwrite")
        code = script.main([str(folder / "db"), str(folder / "master"), *arguments])
    files = {
        path.parent.name: path.read_bytes() for path in sorted((folder / "master").glob("*/*.png"))
    }
    return code, lines.getvalue(), files


def is_what_nibabel_reads(path: Path, png: bytes) -> bool:
    """Whether a picture shows a NIfTI's own values, wherever on the square they stand."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = np.squeeze(np.asarray(nib.nifti1.load(path).dataobj)).T
    shown: Any = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    read, written = (np.bincount(np.rint(a).astype(int).ravel(), minlength=256)[1:]
                     for a in (values, shown))  # fmt: skip
    return bool(np.array_equal(read, written) or read.sum() != written.sum())  # else resized


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    nib.imageglobals.logger.disabled = True
    rng = random.Random(args.seed)
    patient = draw_patient(1, args.seed)
    del SECTORS[:-1]
    outcomes: collections.Counter[str] = collections.Counter()
    wrong, slowest = [], 0.0
    image, mask = next(loop(patient, "2CH", [0.0], (args.seed,)))
    whole = {key: gzip.decompress(nifti_gz(a)) for key, a in (("", image), ("_gt", mask))}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        patient_folder = folder / "db" / "patient0001"
        patient_folder.mkdir(parents=True)
        expected: dict[str, bytes] = {}
        for number in range(args.count + 1):
            suffix, target = rng.choice([".nii.gz", ".nii.gz", ".nii"]), rng.choice(["", "_gt"])
            for path in patient_folder.iterdir():
                path.unlink()
            how = "none"
            for key, data in whole.items():
                path = patient_folder / f"{NAME}{key}{suffix}"
                if number and key == target:
                    damaged, how = mutate(data, suffix, rng)
                    path.write_bytes(damaged)
                else:
                    path.write_bytes(gzip.compress(data, 1) if suffix == ".nii.gz" else data)
            started = time.perf_counter()
            code, lines, files = convert(folder, max(image.shape))
            slowest = max(slowest, time.perf_counter() - started)
            if not number:
                expected = files
                assert code == 0 and len(files) == 2
                continue
            unguarded = suffix == ".nii" or how == "header"
            if code == 1 and not files and lines.startswith(NAME) and lines.count("\n") == 1:
                outcome = "refused in one line"
            elif code == 0 and files == expected:
                outcome = "the bytes of the whole pair"
            elif (
                code == 0
                and len(files) == 2
                and unguarded
                and is_what_nibabel_reads(
                    patient_folder / f"{NAME}{target}{suffix}",
                    files["masks" if target else "images"],
                )
            ):
                outcome = "a different, legal NIfTI"
            else:
                outcome = "WRONG"
                wrong.append((number, suffix, target, how, code, lines))
            outcomes[f"{suffix:8}{outcome}"] += 1
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:6} {outcome}")
    print(
        f"{args.count} damaged pairs, {len(wrong)} wrong, slowest {slowest:.2f} s", *wrong, sep="\n"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
