"""How fast the scripts are on this machine: medians, without the imports.

All processors are used. The generator runs with zlib and, if it is installed, with isal.
"""

import argparse
import contextlib
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from statistics import median

import CAMUSImageMaskDatasetGenerator as generator
import split_master
from camus import nifti

from .build import GENERATOR, PHANTOM, SCRIPTS, run


def seconds(rounds: int, main: Callable[[list[str]], object], *words: object) -> float:
    """The median time of main(words and a new target)."""
    times = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(None):
            started = time.perf_counter()
            assert not main([*map(str, words), f"{folder}/target"])
            times.append(time.perf_counter() - started)
    return median(times)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    for script in SCRIPTS:
        help_takes = seconds(args.rounds, lambda words: run(words[0], "--help")[0], script)
        print(f"{help_takes:7.2f} s, {script.stem} --help")
    with tempfile.TemporaryDirectory() as name:
        key, sequences, master = (Path(name, end) for end in ("key", "sequences", "master"))
        run(PHANTOM, key, "--patients", args.patients)
        run(PHANTOM, sequences, "--patients", 10, "--frames", 19)
        for inflate in dict.fromkeys((zlib, nifti.inflate)):
            nifti.inflate = inflate
            pairs = 4 * args.patients / seconds(args.rounds, generator.main, key)
            print(f"{pairs:7.0f} pairs per s with {inflate.__name__}")
            words = ("--frames", "sequence", sequences)
            frames = 380 / seconds(args.rounds, generator.main, *words)
            print(f"{frames:7.0f} sequence frames per s with {inflate.__name__}")
        run(GENERATOR, "--mirror", key, master)
        pairs = 8 * args.patients / seconds(args.rounds, split_master.main, master)
        print(f"{pairs:7.0f} pairs per s, split")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
