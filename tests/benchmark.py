"""How fast the generator is on all processors of this machine: medians, without the imports.

It runs with zlib and, if it is installed, with isal.
"""

import argparse
import contextlib
import tempfile
import time
import zlib
from pathlib import Path
from statistics import median

import CAMUSImageMaskDatasetGenerator as generator
from camus import nifti

from .build import PHANTOM, run


def seconds(rounds: int, *words: object) -> float:
    """The median time of the generator with these words and a new target."""
    times = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(None):
            started = time.perf_counter()
            assert generator.main([*map(str, words), f"{folder}/target"]) == 0
            times.append(time.perf_counter() - started)
    return median(times)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        key, sequences = Path(name, "key"), Path(name, "sequences")
        run(PHANTOM, key, "--patients", args.patients)
        run(PHANTOM, sequences, "--patients", 10, "--frames", 19)
        for inflate in dict.fromkeys((zlib, nifti.inflate)):
            nifti.inflate = inflate
            pairs = 4 * args.patients / seconds(args.rounds, key)
            print(f"{pairs:7.0f} pairs per s with {inflate.__name__}")
            frames = 380 / seconds(args.rounds, "--frames", "sequence", sequences)
            print(f"{frames:7.0f} sequence frames per s with {inflate.__name__}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
