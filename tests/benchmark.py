"""How fast the scripts are, compared with the least that must happen on the same machine.

    .venv/bin/python -m tests.benchmark

Every run is a process of its own, imports not counted; medians are printed. The least, called the
floor, is: inflate each file without isal, then cast, resize, encode and write each frame, in one
thread. Needs Linux.
"""

import argparse
import gzip
import io
import os
import subprocess
import sys
import tempfile
import time
import timeit
import zlib
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

import CAMUSImageMaskDatasetGenerator as generator
import make_phantom_database
import split_master
from camus import nifti, phantom

from .build import SCRIPTS, run

FRAMES = 19  # of a half sequence: the median of the release
Costs = tuple[float, ...]  # seconds by the clock, seconds of the processor, MB of memory at most


def measured(main: Any, *words: object) -> Costs:
    """The costs of a main function in this process, which prints nothing any more."""
    sys.stdout = sys.stderr = lines = io.StringIO()
    started, processor = time.perf_counter(), time.process_time()
    assert not main([str(word) for word in words]), lines.getvalue()
    seconds, processor = time.perf_counter() - started, time.process_time() - processor
    peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
    return seconds, processor, int(peak) / 1024


def apart(*work: Any) -> Costs:
    """The same in a process of its own."""
    os.sync()
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(measured, *work).result()


def take_turns(rounds: int, folder: Path, works: dict[str, Any]) -> dict[str, Costs]:
    """The median costs of works: main functions with all arguments but the last, a new target."""
    runs: dict[str, list[Costs]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            runs[name].append(apart(*work, Path(tempfile.mkdtemp(dir=folder), "target")))
    return {name: tuple(map(median, zip(*costs, strict=True))) for name, costs in runs.items()}


def say(what: str, figure: float, digits: int = 0, aim: str = "") -> None:
    print(f"{what:46}{figure:9,.{digits}f}   {aim}", flush=True)


def generate_with_zlib(words: list[str]) -> int:
    nifti.inflate = zlib
    return generator.main(words)


def make_largest(words: list[str]) -> int:
    phantom.SIZES = [(787, 649)]  # the largest in the release
    return make_phantom_database.main(["--patients", "2", "--frames", "29", *words])


def copy(words: list[str]) -> int:
    return subprocess.run(["sh", "-c", 'cp -r "$0" "$1" && sync', *words]).returncode


def floor(words: list[str]) -> int:
    """The least that must happen to the files of a pattern."""
    pattern, database, target = words
    cv2.setNumThreads(1)
    Path(target).mkdir()
    for path in sorted(Path(database).glob(pattern)):
        data = zlib.decompress(path.read_bytes(), 31)
        width, height, frames = (int(side) for side in np.frombuffer(data, "<i2", 3, 42))
        method = cv2.INTER_AREA if width > 512 else cv2.INTER_CUBIC
        method = cv2.INTER_NEAREST_EXACT if "_gt" in path.name else method
        values = np.frombuffer(data, "<f4", offset=352).reshape(frames, height, width)
        for number, frame in enumerate(values):
            shape = (512, round(512 * height / width))
            square = np.zeros((512, 512), np.uint8)  # as large as what must be written
            square[: shape[1]] = cv2.resize(frame.astype(np.uint8), shape, interpolation=method)
            jpg = cv2.imencode(".jpg", square, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
            Path(target, f"{path.name}{number}.jpg").write_bytes(jpg.tobytes())
    return 0


def make_patients(folder: Path, patients: int, frames: int) -> Path:
    """A database of phantoms, compressed as the release is: by gzip's level 6."""
    words = ("--patients", patients, "--frames", frames, folder)
    say("phantom patients per s", patients / apart(make_phantom_database.main, *words)[0])
    for path in folder.glob("database_nifti/*/*.gz"):
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 6))
    return folder / "database_nifti"


def multiply(database: Path, target: Path, patients: int) -> Path:
    """A database of more or fewer patients: hard links with other names."""
    originals = patients * sorted(database.glob("patient*"))
    for number, original in enumerate(originals[:patients], 1):
        folder = target / f"patient{number:04}"
        folder.mkdir(parents=True)
        for path in original.iterdir():
            os.link(path, folder / path.name.replace(original.name, folder.name))
    return target


def compare(thing: str, number: int, database: Path, options: list[str], rounds: int) -> None:
    """The generator with zlib and with isal, with one and with two workers, and the floor."""
    mains = {"zlib": generate_with_zlib, "isal": generator.main}
    for inflater in ["zlib"] if nifti.inflate is zlib else mains:
        works = {jobs: (mains[inflater], *options, "--jobs", jobs, database) for jobs in "12"}
        works["floor"] = (floor, "*/*sequence*.gz" if options else "*/*_E[DS]*.gz", database)
        one, two, least = take_turns(rounds, database.parent, works).values()
        for workers, costs in (("one worker", one), ("two workers", two)):
            say(f"{thing} per s, {inflater}, {workers}", number / costs[0])
            say("  processor time / floor", costs[1] / least[1], 2, "at most 1.3; 1.0 with isal")
        say("  speed, two workers / one", one[0] / two[0], 2, "at least 1.7 on two cores")


def measure(folder: Path, patients: int, rounds: int) -> None:
    key = make_patients(folder / "made", min(patients, 50), 0)
    compare("pairs", 4 * patients, multiply(key, folder / "key", patients), [], rounds)
    made, many = make_patients(folder / "made-sequences", 4, FRAMES), max(4, patients // 10)
    sequences, options = multiply(made, folder / "sequences", many), ["--frames", "sequence"]
    compare("sequence frames", 2 * FRAMES * many, sequences, options, rounds)
    apart(make_largest, folder / "largest")
    words = (*options, "--jobs", 2, folder / "largest", folder / "master-largest")
    say("MB, 29 frames of 787 x 649", apart(generator.main, *words)[2], aim="under 300")
    few = multiply(key, folder / "few", patients // 4)  # the same files in every size
    works: dict[str, Any] = {}
    for number in (patients // 4, patients, 4 * patients):
        works[f"{4 * number}"] = (generator.main, multiply(few, folder / f"of-{number}", number))
    for pairs, (seconds, _, memory) in take_turns(rounds, folder, works).items():
        say(f"pairs per s, {pairs} pairs", int(pairs) / seconds, aim="all within 10 %")
        say("  MB", memory)
    for number in (20 * patients, 100 * patients):
        database = multiply(key, folder / f"for-{number}", number // 8)
        apart(generator.main, "--mirror", database, folder / f"master-{number}")
    master = folder / f"master-{20 * patients}"
    works = {"cp": (copy, master), "split": (split_master.main, master)}
    copied, split = take_turns(rounds, folder, works).values()
    say(f"s, split of {20 * patients:,} pairs", split[0], 2)
    say("  speed / cp -r and sync", copied[0] / split[0], 2, "at least 0.5")
    costs = apart(split_master.main, folder / f"master-{number}", folder / "of-many")
    say(f"MB, split of {number:,} pairs", costs[2], aim="under 150")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    for script in SCRIPTS:
        seconds = timeit.repeat(partial(run, script, "--help"), number=1, repeat=args.rounds)
        say(f"s, {script.stem} --help", median(seconds), 2, "under 0.3")
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), args.patients, args.rounds)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
