"""How fast the scripts are, compared with the least that must happen on the same machine.

Imports are not counted; medians are printed. The least, called the floor, is: inflate each file
with zlib, then cast, resize, encode and write each frame, in one thread. Needs Linux.
"""

import argparse
import contextlib
import os
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import numpy as np

import CAMUSImageMaskDatasetGenerator as generator
import split_master
from camus import nifti

from .build import GENERATOR, PHANTOM, ROOT, SCRIPTS, run

# For a process of its own: the generator, then the most memory that it took
PEAK = """import sys, tests, CAMUSImageMaskDatasetGenerator as generator
assert not generator.main(sys.argv[1:])
print(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])"""


def say(what: str, figure: float, aim: str = "") -> None:
    print(f"{what:51}{figure:9,.2f}   {aim}", flush=True)


def costs(rounds: int, main: Callable[[list[str]], int], *words: object) -> list[float]:
    """The median seconds, by the clock and of the processor, of main(words and a new target)."""
    runs = []
    for _ in range(rounds):
        os.sync()
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(None):
            started, processor = time.perf_counter(), time.process_time()
            assert main([*map(str, words), f"{folder}/target"]) == 0
            runs.append((time.perf_counter() - started, time.process_time() - processor))
    return [median(values) for values in zip(*runs, strict=True)]


def floor(words: list[str]) -> int:
    """The least that must happen to the half sequences of a database, or else to its key frames."""
    database, target = (Path(word) for word in words)
    target.mkdir()
    cv2.setNumThreads(1)
    for path in [*database.glob("*/*sequence*.gz")] or database.glob("*/*.gz"):
        data = zlib.decompress(path.read_bytes(), 31)
        width, height, frames = (int(side) for side in np.frombuffer(data, "<i2", 3, 42))
        method = cv2.INTER_NEAREST_EXACT if "_gt" in path.name else cv2.INTER_AREA
        values = np.frombuffer(data, "<f4", offset=352).reshape(frames, height, width)
        for number, frame in enumerate(values):
            shape = (512, round(512 * height / width))
            square = np.zeros((512, 512), np.uint8)  # as large as what must be written
            square[: shape[1]] = cv2.resize(frame.astype(np.uint8), shape, interpolation=method)
            jpg = cv2.imencode(".jpg", square, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
            (target / f"{path.name}{number}.jpg").write_bytes(jpg.tobytes())
    return 0


def compare(thing: str, number: int, rounds: int, *words: object) -> None:
    """The generator with zlib and with isal, with one and with two workers, and the floor."""
    least = costs(rounds, floor, words[-1])[1]
    for inflate in dict.fromkeys((zlib, nifti.inflate)):
        nifti.inflate = inflate
        for jobs in (1, 2):
            seconds, processor = costs(rounds, generator.main, "--jobs", jobs, *words)
            say(f"{thing} per s, {inflate.__name__}, {jobs} at a time", number / seconds)
            say("  processor time / floor", processor / least, "at most 1.3; 1.0 with isal")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    for script in SCRIPTS:
        seconds = costs(args.rounds, lambda words: run(words[0], "--help")[0], script)[0]
        say(f"s, {script.stem} --help", seconds, "under 0.3")
    with tempfile.TemporaryDirectory() as name:
        key, sequences, largest, master = (Path(name, end) for end in ("k", "s", "l", "m"))
        run(PHANTOM, key, "--patients", args.patients)
        compare("pairs", 4 * args.patients, args.rounds, key / "database_nifti")
        run(PHANTOM, sequences, "--patients", 10, "--frames", 19)
        options = ("--frames", "sequence")
        compare("sequence frames", 380, args.rounds, *options, sequences / "database_nifti")
        run(PHANTOM, largest, "--patients", 6, "--frames", 29)  # the sixth has the largest size
        peak = run("-c", PEAK, *options, "--jobs", 2, largest, f"{name}/x", cwd=ROOT)[1]
        say("MB, 29 frames of 787 x 649", int(peak.split()[-1]) / 1024, "under 300")
        run(GENERATOR, "--mirror", key, master)
        split = costs(args.rounds, split_master.main, master)[0]
        copied = costs(args.rounds, lambda new: os.system(f"cp -r {master} {new[0]} && sync"))[0]
        say(f"s, split of {8 * args.patients:,} pairs", split)
        say("  speed / cp -r and sync", copied / split, "at least 0.5")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
