"""How fast the scripts are, compared with the least that must happen on the same machine.

    .venv/bin/python -m tests.benchmark

Every run is a process of its own, imports not counted. Runs that are compared take turns, and
medians are printed. The floor is, without isal: inflate each file, then cast, resize, encode and
write each frame, in one thread. Needs Linux.
"""

import argparse
import contextlib
import gzip
import io
import os
import subprocess
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import cv2
import numpy as np

import CAMUSImageMaskDatasetGenerator as generator
import make_phantom_database
import split_master
from camus import nifti, phantom

from .build import SCRIPTS, run

FRAMES = 19  # of a half sequence: the median of the release
LEVEL = 6  # of gzip in the release, whose images it makes 6.5 times smaller
INFLATERS = ("zlib", "isal") if nifti.inflate is not zlib else ("zlib",)
SECONDS, PROCESSOR, MEMORY = 0, 1, 2  # what a run takes; the memory in MB, at the most

Main = Callable[[Sequence[str]], int]
Work = tuple[Main, Sequence[object], str]  # a script, its arguments but for the target, inflater
Cost = tuple[float, float, float]


def measured(work: Work, target: Path) -> Cost:
    """What a script takes in this process: seconds by the clock, of the processor, and memory."""
    main, words, inflater = work
    if inflater == "zlib":
        nifti.inflate = zlib
    lines = io.StringIO()
    with contextlib.redirect_stdout(lines), contextlib.redirect_stderr(lines):
        started, processor = time.perf_counter(), time.process_time()
        assert not main([*map(str, words), str(target)]), lines.getvalue()
        seconds, processor = time.perf_counter() - started, time.process_time() - processor
    peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
    return seconds, processor, int(peak) / 1024


def apart(target: Path, main: Main, *words: object, inflater: str = "") -> Cost:
    """The same in a process of its own."""
    os.sync()
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(measured, (main, words, inflater), target).result()


def take_turns(rounds: int, folder: Path, works: dict[str, Work]) -> dict[str, list[Cost]]:
    """The costs of works, each with a new target. Deleting meanwhile would slow ext4 down."""
    costs: dict[str, list[Cost]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, (main, words, inflater) in works.items():
            target = Path(tempfile.mkdtemp(dir=folder)) / "target"
            costs[name].append(apart(target, main, *words, inflater=inflater))
    return costs


def ratio(costs: list[Cost], others: list[Cost], field: int = SECONDS) -> float:
    """The median of the ratios, round by round."""
    return median(a[field] / b[field] for a, b in zip(costs, others, strict=True))


def say(what: str, *figures: float, digits: int = 0, aim: str = "") -> None:
    """Print a row of the table."""
    cells = [f"{figure:9,.{digits}f}" for figure in figures] + [" " * 9] * (2 - len(figures))
    print(f"{what:46}" + "".join(cells) + f"   {aim}", flush=True)


def copy(words: Sequence[str]) -> int:
    code = subprocess.run(["cp", "-r", *words], timeout=600).returncode
    os.sync()
    return code


def make_largest(words: Sequence[str]) -> int:
    phantom.SIZES = [(787, 649)]  # the largest in the release
    return make_phantom_database.main(["--patients", "2", "--frames", "29", *words])


def floor(words: Sequence[str]) -> int:
    """The least that must happen to the files of a pattern in a database."""
    database, pattern, target = words
    cv2.setNumThreads(1)
    Path(target).mkdir()
    for path in sorted(Path(database).glob(pattern)):
        data = zlib.decompress(path.read_bytes(), 31)
        width, height, frames = (int(side) for side in np.frombuffer(data, "<i2", 3, 42))
        method = cv2.INTER_AREA if width > 512 else cv2.INTER_CUBIC
        if "_gt" in path.name:
            method = cv2.INTER_NEAREST_EXACT
        values = np.frombuffer(data, "<f4", offset=352).reshape(frames, height, width)
        for number, frame in enumerate(values):
            shape = (512, round(512 * height / width))
            square = np.zeros((512, 512), np.uint8)  # as large as what must be written
            square[: shape[1]] = cv2.resize(frame.astype(np.uint8), shape, interpolation=method)
            jpg = cv2.imencode(".jpg", square, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
            Path(target, f"{path.name}{number}.jpg").write_bytes(jpg.tobytes())
    return 0


def compress(database: Path) -> float:
    """Compress phantoms as the release is; how many times larger the images are inside."""
    sizes = []
    for path in database.glob("*/*.gz"):
        data = gzip.decompress(path.read_bytes())
        path.write_bytes(gzip.compress(data, LEVEL))
        sizes += [(len(data), path.stat().st_size)] * ("_gt" not in path.name)
    return sum(size for size, _ in sizes) / sum(size for _, size in sizes)


def multiply(database: Path, target: Path, patients: int) -> Path:
    """A database of more or fewer patients, by hard links under other names."""
    originals = sorted(database.glob("patient*"))
    for number in range(1, patients + 1):
        original = originals[(number - 1) % len(originals)]
        folder = target / f"patient{number:04}"
        folder.mkdir(parents=True)
        for path in original.iterdir():
            os.link(path, folder / path.name.replace(original.name, folder.name))
    return target


def compare(thing: str, number: int, database: Path, options: list[str], rounds: int) -> None:
    """The generator with one and with two workers, with and without isal, and the floor."""
    pattern = "*/*sequence*.gz" if "sequence" in options else "*/*_E[DS]*.gz"
    works: dict[str, Work] = {"floor": (floor, [database, pattern], "")}
    for name in INFLATERS:
        for jobs in "12":
            words = [*options, "--jobs", jobs, database]
            works[name + jobs] = (generator.main, words, name)
    costs = take_turns(rounds, database.parent, works)
    for jobs in "12":
        runs = [costs[name + jobs] for name in INFLATERS]
        speeds = [number / median(seconds for seconds, *_ in of_name) for of_name in runs]
        say(f"{thing} per s, --jobs {jobs}", *speeds)
        ratios = [ratio(of_name, costs["floor"], PROCESSOR) for of_name in runs]
        say("  processor time / floor", *ratios, digits=2, aim="at most 1.3; 1.0 with isal")
    ratios = [ratio(costs[name + "1"], costs[name + "2"]) for name in INFLATERS]
    say("  speed, two workers / one", *ratios, digits=2, aim="at least 1.7 on two cores")


def measure_generator(folder: Path, key: Path, patients: int, rounds: int) -> None:
    database = multiply(key, folder / "key" / "database", patients)
    compare("pairs", 4 * patients, database, [], rounds)
    made, many = folder / "sequences" / "made", max(4, patients // 10)
    apart(made, make_phantom_database.main, "--patients", 4, "--frames", FRAMES)
    compress(made)
    database, options = multiply(made, made.parent / "database", many), ["--frames", "sequence"]
    compare("sequence frames", 2 * FRAMES * many, database, options, rounds)
    largest = folder / "largest" / "database"
    apart(largest, make_largest)
    cost = apart(folder / "of-largest", generator.main, *options, "--jobs", 2, largest)
    say("MB, 29 frames of 787 x 649, two workers", cost[MEMORY], aim="under 300")
    few = multiply(key, folder / "few", max(1, patients // 4))  # the same files in every size
    works: dict[str, Work] = {}
    for number in (patients // 4, patients, 4 * patients):
        database = multiply(few, folder / f"of-{number}", number)
        works[str(number)] = (generator.main, [database], "")
    for name, costs in take_turns(rounds, folder, works).items():
        speed = 4 * int(name) / median(cost[SECONDS] for cost in costs)
        say(f"pairs per s, {name} patients", speed, aim="all three within 10 %")
        say("  MB", max(cost[MEMORY] for cost in costs))


def measure_split(folder: Path, key: Path, patients: int, rounds: int) -> None:
    """Masters of 20 and of 100 pairs for each patient: 4,000 and 20,000 for 200 patients."""
    masters = [folder / f"master-{pairs}" for pairs in (20 * patients, 100 * patients)]
    for master, number in zip(masters, (20 * patients // 8, 100 * patients // 8), strict=True):
        database = multiply(key, folder / f"for-{master.name}", number)
        apart(master, generator.main, "--mirror", database)
    works: dict[str, Work] = {
        "cp": (copy, [masters[0]], ""),
        "split": (split_master.main, [masters[0]], ""),
        "link": (split_master.main, ["--link", masters[0]], ""),
    }
    costs = take_turns(rounds, folder, works)
    seconds = median(cost[SECONDS] for cost in costs["split"])
    say(f"s, split of {20 * patients:,} pairs", seconds, digits=2)
    speeds = [ratio(costs["cp"], costs[name]) for name in ("split", "link")]
    say("  speed / cp -r and sync", speeds[0], digits=2, aim="at least 0.5")
    say("  with --link", speeds[1], digits=2, aim="more than without")
    cost = apart(folder / "of-many", split_master.main, "--link", masters[1])
    say(f"MB, split of {100 * patients:,} pairs", cost[MEMORY], aim="under 150")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print(f"{'':46}{'zlib':>9}{'isal':>9}" + "   (isal is not installed)" * (len(INFLATERS) == 1))
    for script in SCRIPTS:
        seconds = []
        for _ in range(args.rounds):
            started = time.perf_counter()
            assert run(script, "--help")[0] == 0
            seconds.append(time.perf_counter() - started)
        say(f"s, {script.stem} --help", median(seconds), digits=2, aim="under 0.3")
    with tempfile.TemporaryDirectory() as name:
        key, number = Path(name, "made", "database"), min(args.patients, 50)
        cost = apart(key, make_phantom_database.main, "--patients", number)
        say("phantom patients per s", number / cost[SECONDS])
        say("compression of their images", compress(key), digits=1, aim="6.5 in the release")
        measure_generator(Path(name), key, args.patients, args.rounds)
        measure_split(Path(name), key, args.patients, args.rounds)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
