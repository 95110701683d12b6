"""How fast the scripts are, beside the least that must happen on the same machine.

    .venv/bin/python -m tests.benchmark

Makes its own database of phantoms of the release's sizes. What is compared alternates within one
run, so that its ratios hold on a noisy machine; medians of the rounds are printed. The floor is
zlib, a cast, one cv2.resize, one cv2.imencode and one write a file, in one thread. Imports are not
counted but where it says so.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

import cv2
import numpy as np

import split_master
from generator import CAMUSImageMaskDatasetGenerator as script
from generator import make_phantom_database as phantom
from generator import pictures
from generator.phantom import Sector

ROOT = Path(__file__).resolve().parents[1]
Times = tuple[float, ...]  # seconds: wall clock first


def timed(work: Callable[[], object]) -> Times:
    """Wall clock and processor time."""
    wall, processor = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        result = work()
    assert not result
    return time.perf_counter() - wall, time.process_time() - processor


def apart(work: Callable[..., object], *arguments: object) -> Times:
    """Times in a process of its own: in one, works profit from the memory that others left."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(timed, partial(work, *arguments)).result()


def alternate(
    rounds: int, folder: Path, **works: Callable[[Path], Times]
) -> dict[str, list[Times]]:
    """The times of works, done in turn, each with a new output folder.

    Nothing is deleted meanwhile: ext4 is slow to make files just after many were deleted.
    """
    times: dict[str, list[Times]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            target = Path(tempfile.mkdtemp(dir=folder)) / "out"
            os.sync()
            times[name].append(work(target))
    return times


def ratio(above: Sequence[Times], below: Sequence[Times], which: int) -> float:
    """The median of the ratios round by round, of which of the times."""
    return statistics.median(a[which] / b[which] for a, b in zip(above, below, strict=True))


def wall(times: Sequence[Times]) -> float:
    return statistics.median(seconds for seconds, *_ in times)


def multiply(database: Path, target: Path, patients: int) -> Path:
    """A database of more or fewer patients, by hard links under other names."""
    originals = sorted(database.iterdir())
    for number in range(1, patients + 1):
        original = originals[(number - 1) % len(originals)]
        folder = target / f"patient{number:04}"
        folder.mkdir(parents=True)
        for path in original.iterdir():
            os.link(path, folder / path.name.replace(original.name, folder.name))
    return target


def floor(database: Path, target: Path) -> None:
    """The least that must happen to every file."""
    cv2.setNumThreads(1)
    target.mkdir(parents=True)
    for path in sorted(database.glob("*/*.nii.gz")):
        data = zlib.decompress(path.read_bytes(), 31)
        width, height = (int(side) for side in np.frombuffer(data, "<i2", 2, 42))
        pixels = np.frombuffer(data, "<f4", offset=352).astype(np.uint8).reshape(height, width)
        method = cv2.INTER_AREA if width > 512 else cv2.INTER_CUBIC
        if "_gt" in path.name:
            method = cv2.INTER_NEAREST_EXACT
        resized = cv2.resize(pixels, (512, round(512 * height / width)), interpolation=method)
        jpg = cv2.imencode(".jpg", resized, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
        (target / path.name).write_bytes(jpg.tobytes())


def generate(database: Path, options: Sequence[str], target: Path) -> int:
    return script.main([str(database), str(target), *options])


def copy(master: Path, target: Path) -> int:
    return subprocess.run(["cp", "-r", master, target], check=True).returncode


def split(master: Path, options: Sequence[str], target: Path) -> int:
    """The split without its pictures."""
    blank = np.zeros((1, 1, 3), np.uint8)
    with (
        mock.patch.object(pictures, "train_sheets", lambda *_: {}),
        mock.patch.object(pictures, "statistics", lambda _: blank),
    ):
        return split_master.main([str(master), str(target), *options])


def process(*arguments: object) -> tuple[float, float, float]:
    """The generator as a process of its own: seconds, those without imports, peak MB."""
    code = (
        f"import sys, time; sys.path.insert(0, {str(ROOT)!r})\n"
        "from generator.CAMUSImageMaskDatasetGenerator import main\n"
        "started = time.perf_counter()\n"
        f"try: code = main({[str(a) for a in arguments]!r})\n"
        "except SystemExit as end: code = end.code\n"
        "print(time.perf_counter() - started)\n"
        "print(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1])\n"
        "sys.exit(code)"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - started
    working, memory = done.stdout.splitlines()[-2:]
    return seconds, float(working), int(memory) / 1024


def measure(folder: Path, patients: int, rounds: int) -> None:
    database = folder / "phantoms" / "database_nifti"
    make = [str(database), "--patients", str(patients), "--frames", "0"]
    seconds = timed(lambda: phantom.main(make))[0]
    print(f"phantoms: {patients / seconds:.1f} patients/s, without sequences")

    times = alternate(
        rounds,
        folder,
        floor=partial(apart, floor, database),
        one=partial(apart, generate, database, ["--jobs", "1"]),
        two=partial(apart, generate, database, ["--jobs", "2"]),
    )
    pairs = 4 * patients
    print(f"key frames: {pairs / wall(times['one']):.0f} pairs/s with --jobs 1, "
          f"{pairs / wall(times['two']):.0f} with --jobs 2, "
          f"{ratio(times['one'], times['two'], 0):.2f} times as fast")  # fmt: skip
    print(f"processor time / floor: {ratio(times['one'], times['floor'], 1):.2f} with --jobs 1, "
          f"{ratio(times['two'], times['floor'], 1):.2f} with --jobs 2")  # fmt: skip

    quarter = max(1, patients // 4)
    few = multiply(database, folder / "few", quarter)
    sizes = {f"of{n}": n for n in (quarter, patients, 4 * patients)}
    same = {name: multiply(few, folder / name, n) for name, n in sizes.items()}
    works = {name: partial(apart, generate, same[name], []) for name in sizes}
    times = alternate(rounds, folder, **works)
    for name, number in sizes.items():
        memory = process(same[name], folder / f"{name}-memory")[2]
        print(f"{number} patients: {4 * number / wall(times[name]):.0f} pairs/s, {memory:.0f} MB")

    release = multiply(database, folder / "release", 500)
    process(release, folder / "finished")
    again = statistics.median(process(release, folder / "finished")[0] for _ in range(rounds))
    told = statistics.median(process("--help")[0] for _ in range(rounds))
    print(f"start-up: --help {told:.2f} s, nothing left to do over 2000 pairs {again:.2f} s")

    measure_sequences(folder / "sequences", patients, rounds)

    master = folder / "master"
    timed(partial(generate, release, ["--mirror"], master))
    times = alternate(
        rounds,
        folder,
        cp=partial(apart, copy, master),
        copy=partial(apart, split, master, []),
        link=partial(apart, split, master, ["--link"]),
    )
    print(f"split of 4000 pairs, speed / cp -r: {ratio(times['cp'], times['copy'], 0):.2f}, "
          f"{ratio(times['cp'], times['link'], 0):.2f} with --link")  # fmt: skip


def measure_sequences(folder: Path, patients: int, rounds: int) -> None:
    """Half sequences beside the key frames of the same patients, as a user runs both."""
    frames = 19  # the mean of the release
    few = folder / "few" / "database_nifti"
    timed(lambda: phantom.main([str(few), "--patients", "8", "--frames", str(frames)]))
    database = multiply(few, folder / "many", patients)
    works = {
        name: partial(process, "--frames", name, "--jobs", 2, database)
        for name in ("key", "sequence")
    }
    times = alternate(rounds, folder, **works)
    speed, working = (ratio(times["key"], times["sequence"], i) * frames / 2 for i in (0, 1))
    print(f"half sequences: {2 * frames * patients / wall(times['sequence']):.0f} frames/s, "
          f"{speed:.2f} times the pairs/s of the same patients' key frames, imports counted "
          f"in both; {working:.2f} times without them")  # fmt: skip

    largest = [str(folder / "largest" / "database_nifti"), "--patients", "2", "--frames", "29"]
    with mock.patch.object(phantom, "SECTORS", [Sector(787, 649)]):
        timed(lambda: phantom.main(largest))
    options = ("--frames", "sequence", "--jobs", 2)
    memory = process(largest[0], folder / "largest-master", *options)[2]
    print(f"29 frames of 787 x 649: {memory:.0f} MB with --jobs 2")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), args.patients, args.rounds)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
