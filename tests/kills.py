"""Kill and interrupt the scripts at random moments and see that no half-made folder is left.

    .venv/bin/python -m tests.kills --kills 100

After SIGKILL a folder that has a dataset.json must be the earlier one or the new one, byte for
byte, and its ZIP must agree with it; the next run must end like an undisturbed one. After Ctrl-C
(SIGINT) a script must end within two seconds, and the target must be as it was before.
"""

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from camus.output import DATASET_JSON, HIDDEN, MOVES

from .build import GENERATOR, PHANTOM, ROOT, SPLIT

SCRIPTS = ("generator", "split", "phantoms")
TARGET = "target"  # the name of every target, each in a folder of its own, called its place

Tree = dict[str, bytes]
Command = tuple[object, ...]  # a script and its arguments


class Case(NamedTuple):
    """A command, and its place before and after it."""

    name: str
    command: Command
    start: Path
    before: Tree
    after: Tree
    seconds: float  # that the command takes


def tree(folder: Path) -> Tree:
    """All that a folder holds, with its bytes; folders have none."""
    paths = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    return {p: (folder / p).read_bytes() if (folder / p).is_file() else b"" for p in paths}


def differences(found: Tree, wanted: Tree, top: str = "") -> list[str]:
    """Names that begin with top and are in one tree only, or differ in their bytes."""
    names = {**found, **wanted}
    return [n for n in names if n.startswith(top) and found.get(n) != wanted.get(n)]


def begin(command: Command, place: Path) -> subprocess.Popen[str]:
    """Start a command that writes to a place."""
    words = [str(place / TARGET if word is TARGET else word) for word in command]
    listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # even in the background
    return subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listen,
    )  # fmt: skip


def run(command: Command, place: Path) -> float:
    """Run a command to its end; the seconds it took."""
    started, process = time.perf_counter(), begin(command, place)
    lines = process.communicate(timeout=60)[1]
    finished = process.returncode == 2 and "--overwrite" not in command and "already" in lines
    assert process.returncode == 0 or finished, lines
    return time.perf_counter() - started


def make_cases(folder: Path) -> list[Case]:
    """Every script with a new target, and with an earlier one that differs."""
    database, master = folder / "database" / TARGET, folder / "master" / TARGET
    run((PHANTOM, TARGET, "--patients", 12), database.parent)
    run((GENERATOR, database, TARGET), master.parent)
    generate, split = (GENERATOR, database, TARGET), (SPLIT, master, TARGET)
    phantoms, over, other = (PHANTOM, TARGET, "--patients", 5), "--overwrite", ("--seed", 1)
    commands: list[tuple[str, Command, Command]] = [  # the second makes what is there before
        ("generator", (*generate, "--mirror"), ()),
        ("generator", (*generate, "--mirror", over), (*generate, "--size", 300)),
        ("split", (*split, over), (*split, *other)),
        ("split", (*split, over), (*split, *other, "--zip")),
        ("split", (*split, over, "--zip"), (*split, *other)),
        ("split", (*split, over, "--zip"), (*split, *other, "--zip")),
        ("phantoms", phantoms, ()),
    ]
    cases = []
    for number, (name, command, earlier) in enumerate(commands):
        start, end = folder / f"start-{number}", folder / f"end-{number}"
        start.mkdir()
        if earlier:
            run(earlier, start)
        shutil.copytree(start, end)
        seconds = run(command, end)
        cases.append(Case(name, command, start, tree(start), tree(end), seconds))
    return cases


def prepare(case: Case, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(case.start, place)


def begin_and_wait(case: Case, place: Path, rng: random.Random) -> subprocess.Popen[str]:
    """Start a run and wait for a random moment; every other one is late, when files are moved."""
    process, target = begin(case.command, place), place / TARGET
    if rng.random() < 0.5:
        time.sleep(rng.uniform(0, 1.05 * case.seconds))
        return process
    while process.poll() is None and not (target / HIDDEN / MOVES).exists():
        time.sleep(0.0005)
    if rng.random() < 0.7 and process.poll() is None:
        changed = target.stat().st_mtime_ns
        while process.poll() is None and target.stat().st_mtime_ns == changed:
            pass  # until the first file moves
    time.sleep(rng.choice([0.003, 0.03]) * rng.random())
    return process


def state(case: Case, place: Path) -> str:
    """Which folder stands in a place, the hidden folder aside."""
    found = {name: data for name, data in tree(place).items() if HIDDEN not in name}
    outcome = "a folder without dataset.json"
    for top in ("database_split", TARGET):  # the phantom script makes both
        if f"{top}/{DATASET_JSON}" in found:
            outcome, files = "the earlier folder", case.before
            if differences(found, files, f"{top}/"):
                outcome, files = "the new folder", case.after
            if differences(found, files, f"{top}/"):
                return f"WRONG: {case.name}, {top} is neither the earlier folder nor the new one"
            if found.get(f"{top}.zip") not in (None, files.get(f"{top}.zip")):
                return f"WRONG: {case.name}, {top}.zip is not of {outcome}"
    return outcome


def kill(cases: Sequence[Case], kills: int, place: Path, rng: random.Random) -> Counter[str]:
    """Series of one to three kills, and after each series a run to the end; what was left."""
    outcomes: Counter[str] = Counter()
    while outcomes.total() < kills:
        case = rng.choice(cases)
        last = rng.choice([c for c in cases if "--overwrite" in c.command] or cases)
        prepare(case, place)
        for _ in range(rng.randint(1, 3)):
            process = begin_and_wait(case, place, rng)
            process.kill()
            process.communicate(timeout=60)
            outcomes[state(case, place)] += 1
        run(last.command, place)
        if names := differences(tree(place), last.after):
            what = f"{case.command[3:]}, then {last.command[3:]}, ends with other {names[:5]}"
            outcomes[f"WRONG: {case.name}, {what}"] += 1
    return outcomes


def interrupt(case: Case, place: Path, rng: random.Random) -> tuple[str, float]:
    """Press Ctrl-C at a random moment; how the script ended, and how many seconds later."""
    prepare(case, place)
    process = begin_and_wait(case, place, rng)
    process.send_signal(signal.SIGINT)
    sent = time.perf_counter()
    lines = process.communicate(timeout=60)[1].splitlines()
    waited, code, changed = time.perf_counter() - sent, process.returncode, tree(place)
    unheard = not lines or lines[0].startswith("Exception ignored")  # in a callback of an import
    if code in (0, -signal.SIGINT) and unheard and not differences(changed, case.after):
        return "all done", waited
    within = [line for line in lines if str(ROOT) in line and "in <module>" not in line]
    if not differences(changed, case.before) and waited < 2:
        if code == 130 and len(lines) == 1:
            return "exit code 130, one line", waited
        if not lines or (lines[-1].startswith("KeyboardInterrupt") and not within):
            return "while Python or a package was loaded", waited
    names = differences(changed, case.before)[:5]
    return f"WRONG: {case.name}, exit code {code}, {lines[-3:]}, changed {names}", waited


def report(what: str, outcomes: Counter[str]) -> bool:
    """Print counts; whether all is well."""
    print(f"{what}:", *(f"{n:6} {outcome}" for outcome, n in sorted(outcomes.items())), sep="\n")
    return not any(outcome.startswith("WRONG") for outcome in outcomes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="of each script")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as name:
        cases, place, well = make_cases(Path(name)), Path(name, "place"), True
        for script in SCRIPTS:
            of_script = [case for case in cases if case.name == script]
            well &= report(f"{script}, SIGKILL", kill(of_script, args.kills, place, rng))
        ends = [interrupt(rng.choice(cases), place, rng) for _ in range(args.kills)]
    well &= report("SIGINT", Counter(outcome for outcome, _ in ends))
    print(f"the longest wait after SIGINT: {max(waited for _, waited in ends):.2f} s")
    return not well


if __name__ == "__main__":
    raise SystemExit(main())
