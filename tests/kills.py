"""Kill and interrupt the scripts at random moments and check that every folder is whole.

    .venv/bin/python -m tests.kills --kills 60

After SIGKILL the target must be the earlier folder or the new one, byte for byte. It may be absent
only between two renames, while both lie beside it. After Ctrl-C (SIGINT) it is never absent, and
the script says in one line that it was interrupted. The next run must end like an undisturbed one
and leave nothing else behind. Half of the signals come late, when folders are renamed.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import product
from pathlib import Path
from typing import NamedTuple

from .build import GENERATOR, PHANTOM, SCRIPTS, SPLIT, run

TARGET, PART, OLD = "target", ".target.camus-part", ".target.camus-old"
NEW = "the new folder"
SECONDS = 0.6  # about what a run takes
# For sitecustomize.py, which Python runs first. Else no signal would come between two renames
SLOW_RENAMES = """import functools, os, time
os.rename = functools.partial(lambda rename, *names: (rename(*names), time.sleep(0.02)), os.rename)
"""


class Case(NamedTuple):
    """A command that writes a new target or replaces an earlier one."""

    command: tuple[object, ...]  # a script and its arguments
    start: Path  # a copy of the folder in which the target is, before the command
    before: dict[str, bytes]  # the target, as `tree` returns it
    after: dict[str, bytes]


def tree(folder: Path) -> dict[str, bytes]:
    """All that is in a folder, with its bytes; folders have none. Empty if it does not exist."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {name: path.read_bytes() if path.is_file() else b"" for name, path in paths.items()}


def make_cases(folder: Path, place: Path) -> list[Case]:
    """Every script with a new target, and with an earlier one that differs."""
    phantoms, master, target = folder / "phantoms", folder / "master", place / TARGET
    run(PHANTOM, phantoms, "--patients", 12)
    run(GENERATOR, phantoms, master)
    cases: list[Case] = []
    for *words, value, other in (
        (GENERATOR, phantoms, target, "--overwrite", "--size", 512, 200),
        (SPLIT, master, target, "--overwrite", "--seed", 0, 1),
        (PHANTOM, target, "--overwrite", "--patients", 5, 6),
    ):
        for has_earlier in (False, True):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            if has_earlier:
                run(*words, other)
            start = shutil.copytree(place, folder / f"start-{len(cases)}")
            run(*words, value)
            cases.append(Case((*words, value), start, tree(start / TARGET), tree(target)))
            assert cases[-1].before != cases[-1].after and cases[-1].after
    return cases


def state(case: Case, place: Path) -> str:
    """Which folder the target is."""
    found, old = tree(place / TARGET), tree(place / OLD)
    if old and not found:
        is_whole = old in (case.before, case.after) and tree(place / PART) == case.after
        return "between two renames" if is_whole else "WRONG: no folder"
    if found == case.after:
        return NEW
    if found == case.before:
        return "the earlier folder" if found else "no folder yet"
    return "WRONG: a folder that is not whole"


def stop(case: Case, place: Path, how: signal.Signals) -> str:
    """Send a run a signal at a random moment; which folder it leaves, and how it ends."""
    earlier, is_late = state(case, place), random.random() < 0.5
    words = [sys.executable, *map(str, case.command)]
    run = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while is_late and run.poll() is None and not (place / PART / "dataset.json").exists():
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.06 if is_late else SECONDS))
    run.send_signal(how)
    lines = run.communicate(timeout=60)[1].splitlines()
    left = state(case, place)
    if how == signal.SIGKILL:
        return left
    is_at_work = any(line.endswith(", in run") for line in lines)  # of camus.cli
    # Before, a traceback is allowed. NumPy may also say that it cannot be imported
    is_loading = not lines or "KeyboardInterrupt" in lines[-1] or "cannot start" in lines[0]
    said, allowed = f"exit code {run.returncode}, {lines}", {""}
    if run.returncode == 130 and len(lines) == 1 and "interrupted" in lines[0]:
        said, allowed = "interrupted", {earlier, NEW}
        if "nothing was changed" in lines[0]:
            allowed = {""} if (place / PART).exists() else {earlier}
    elif is_loading and not is_at_work and run.returncode != 130:
        said = "before or after the work"
        allowed = {earlier, NEW} if run.returncode else {NEW}
    return f"{left}, {said}" if left in allowed else f"WRONG: {left}, {said}"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=60, help="and as many Ctrl-C, of each script")
    args = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job would ignore it
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name, "place")
        Path(name, "sitecustomize.py").write_text(SLOW_RENAMES)
        os.environ["PYTHONPATH"] = name
        cases = make_cases(Path(name), place)
        for script, how in list(product(SCRIPTS, (signal.SIGKILL, signal.SIGINT))) * args.kills:
            case = random.choice([case for case in cases if case.command[0] == script])
            shutil.rmtree(place)
            shutil.copytree(case.start, place)
            for _ in range(random.randint(1, 2)):
                outcome = stop(case, place, how)
                outcomes[f"{script.stem}, {how.name}: {outcome}"] += 1
            code, _, lines = run(*case.command)
            if code or tree(place / TARGET) != case.after or len([*place.iterdir()]) > 1:
                outcomes[f"WRONG: {script.stem}, {outcome}, then {lines or 'other files'}"] += 1
    print(*(f"{number:6} {outcome}" for outcome, number in sorted(outcomes.items())), sep="\n")
    return 1 if "WRONG" in " ".join(outcomes) else 0


if __name__ == "__main__":
    raise SystemExit(main())
