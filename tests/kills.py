"""Kill the scripts at random moments and see that nothing half-made stands under a final name.

    .venv/bin/python -m tests.kills --kills 100

After every SIGKILL each file under its final name must have the bytes that an undisturbed run
gives it; the run after a series of kills must end with the very tree of that run, and no litter.
Ctrl-C (SIGINT) at any moment must end a script within two seconds, with exit code 130 or, just
before its end, 0, and with one line.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path

from tests.build import tree

ROOT = Path(__file__).resolve().parents[1]
GENERATOR, SPLIT = "generator/CAMUSImageMaskDatasetGenerator.py", "split_master.py"
PHANTOM = "generator/make_phantom_database.py"


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / script), *map(str, arguments)]
    pipe = subprocess.PIPE
    mind = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # even in the background
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, preexec_fn=mind)


def run(script: str, *arguments: object) -> float:
    """Run a script to its end; the seconds it took."""
    started = time.perf_counter()
    process = start(script, *arguments)
    lines = process.communicate()[1]
    assert process.returncode == 0, lines
    return time.perf_counter() - started


def hidden(folder: Path) -> list[str]:
    """What scripts call their unfinished business, anywhere below a folder."""
    return [str(path) for path in folder.rglob(".partial-*")]


def kill_generator(folder: Path, kills: int, rng: random.Random) -> Counter[str]:
    """Series of one to four kills on one master, each series with a last run to its end."""
    outcomes: Counter[str] = Counter()
    database, master = folder / "database_nifti", folder / "killed"
    seconds = run(GENERATOR, database, folder / "undisturbed", "--mirror")
    expected = tree(folder / "undisturbed")
    while outcomes.total() < kills:
        for _ in range(rng.randint(1, 4)):
            process = start(GENERATOR, database, master, "--mirror")
            time.sleep(rng.uniform(0, 1.05 * seconds))
            process.kill()
            process.communicate()
            found = {n: b for n, b in tree(master).items() if ".partial-" not in n}
            assert found.items() <= expected.items()
            outcomes["not begun" if not found else "done" if found == expected else "half way"] += 1
        run(GENERATOR, database, master, "--mirror")
        assert tree(master) == expected and not hidden(folder)
        shutil.rmtree(master)
    return outcomes


def kill_split(folder: Path, kills: int, rng: random.Random) -> Counter[str]:
    """Kills of a run that replaces a dataset: what stands there is the old one or the new one."""
    outcomes: Counter[str] = Counter()
    master, dataset = folder / "undisturbed", folder / "dataset"
    seconds = run(SPLIT, master, folder / "new", "--seed", 1, "--zip")
    run(SPLIT, master, dataset)
    old, new = tree(dataset), tree(folder / "new")
    while outcomes.total() < kills:
        process = start(SPLIT, master, dataset, "--seed", 1, "--zip", "--overwrite")
        time.sleep(rng.uniform(0, 1.05 * seconds))
        process.kill()
        process.communicate()
        found = tree(dataset)
        assert found in ({}, old, new)  # {}: between two renames, put back by the next run
        outcomes["old" if found == old else "new" if found else "between"] += 1
        run(SPLIT, master, dataset, "--seed", 1, "--zip", "--overwrite")
        assert tree(dataset) == new and not hidden(folder)
        (folder / "dataset.zip").unlink()
        run(SPLIT, master, dataset, "--overwrite")
        assert tree(dataset) == old
    return outcomes


def interrupt(folder: Path, times: int, rng: random.Random) -> tuple[Counter[str], float]:
    """Ctrl-C at random moments of all scripts; how they ended, and the longest wait in seconds."""
    outcomes: Counter[str] = Counter()
    longest = 0.0
    for number in range(times):
        target = folder / f"interrupted{number}"
        choices: list[tuple[str, tuple[object, ...]]] = [
            (GENERATOR, (folder / "database_nifti", target)),
            (GENERATOR, (folder / "database_nifti", target, "--frames", "sequence")),
            (SPLIT, (folder / "undisturbed", target)),
            (PHANTOM, (target / "database_nifti", "--patients", 4)),
        ]
        script, arguments = rng.choice(choices)
        process = start(script, *arguments)
        time.sleep(rng.uniform(0.06, 1.2))
        process.send_signal(signal.SIGINT)
        started = time.perf_counter()
        lines = process.communicate()[1].splitlines()
        longest = max(longest, time.perf_counter() - started)
        assert process.returncode in (0, 130), (process.returncode, lines)
        assert len(lines) == (process.returncode == 130) and time.perf_counter() - started < 2, (
            lines
        )
        assert script == GENERATOR or not hidden(folder), hidden(folder)
        outcomes[f"exit {process.returncode}"] += 1
        shutil.rmtree(target, ignore_errors=True)
    return outcomes, longest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(PHANTOM, folder / "database_nifti", "--patients", 12)
        print("generator, SIGKILL:", dict(kill_generator(folder, args.kills, rng)))
        print("split, SIGKILL:", dict(kill_split(folder, args.kills, rng)))
        outcomes, longest = interrupt(folder, args.kills, rng)
        print(f"SIGINT: {dict(outcomes)}, the longest wait {longest:.2f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
