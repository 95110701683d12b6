"""Kill, interrupt and race the scripts at random moments and check that every folder is whole.

After SIGKILL the target must be the earlier folder, the new one, or absent between two renames.
Ctrl-C (SIGINT) must end with one true line. After a race of two runs the target must be what one
that ended with 0 made. The next run must end like an undisturbed one. Windows runs races only.
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
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .build import GENERATOR, PHANTOM, SPLIT, run, tree

Files = dict[str, bytes]
Words = list[object]  # of a command line
HOOK = """# Python runs this file, sitecustomize.py, first
import os, random, sys, time
slow, chance, refused = float(os.environ.get("SLOW", 0)), float(os.environ.get("REFUSED", 0)), 0
def hook(event, _):
    global refused
    if event in ("os.rename", "shutil.rmtree"):  # else little would happen between two renames
        time.sleep(random.uniform(0, slow))
    if event == "os.rename":  # refuse four times in a row at most, or always: the scripts try six
        refused = refused + 1 if random.random() < chance and (chance == 1 or refused < 4) else 0
        if refused:
            raise PermissionError(13, "refused as by a virus scanner")
sys.addaudithook(hook)
"""


def start(words: Words, refused: float = 0) -> "subprocess.Popen[str]":
    """Start a script that is slow at its renames, of which a share is refused."""
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if sys.platform != "win32":  # it hears Ctrl-C even where this program runs in the background
        options["preexec_fn"] = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    env = {**os.environ, "SLOW": "0.2", "REFUSED": str(refused)}
    return subprocess.Popen([sys.executable, *map(str, words)], text=True, env=env, **options)


def hidden(place: Path, kind: str = "*") -> set[Path]:
    """The hidden folders beside the target. kind: part or old."""
    return {*place.glob(f".target.camus-{kind}-*")}


def state(place: Path, before: Files, after: Files) -> str:
    """Which folder the target is; before and after are the files of the earlier and the new one."""
    found, earlier = tree(place / "target"), [tree(path) for path in hidden(place, "old")]
    if found == after:
        return "new"
    if found == before and (found or not earlier):
        return "as before"
    is_between = not (place / "target").exists() and before and before in earlier
    return "between two renames" if is_between else "WRONG: not whole"


def is_true(code: int, errors: str, earlier: str, left: str) -> bool:
    """Whether an interrupted run may leave the target so, and says the truth in one line."""
    if code != 130:  # the signal came before or after the work of camus.cli.run
        return left in (earlier if code else "new", "new") and ", in run\n" not in errors
    allowed = (earlier,) if "nothing was changed" in errors else (earlier, "new")
    return left in allowed and "interrupted" in errors and errors.count("\n") == 1


def trial(place: Path, words: Words, after: Files, how: str) -> Iterator[str]:
    """Stop a run once or twice, then let the next one end; what each stopped run leaves."""
    before = tree(place / "target")
    for _ in range(random.randint(1, 2)):
        earlier, lying = state(place, before, after), hidden(place)
        stopped = start(words)
        stage = random.choice([".target.camus-part-*", ".target.camus-part-*/dataset.json"])
        while stopped.poll() is None and not {*place.glob(stage)} - lying:
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.5))
        stopped.send_signal(signal.Signals[how])
        errors, code = stopped.communicate(timeout=60)[1], stopped.returncode
        left, litter = state(place, before, after), hidden(place) - lying
        if how == "SIGINT":  # which may come while a run that has done its work removes the old
            is_tidy = not litter if code == 130 else not litter & hidden(place, "part")
            if not is_true(code, errors, earlier, left) or not is_tidy:
                left = f"WRONG: {left}, exit code {code}, {errors!r}, {litter}"
        if left == "new":
            before = after  # no later run may go back behind it
        yield f"{how}: {left}"
    code, _, errors = run(*words)
    litter = {*place.glob("*")} - {place / "target"}
    if how == "SIGKILL":
        litter -= hidden(place, "part")  # which goes after a day
    if code or tree(place / "target") != after or litter:
        yield f"WRONG: {how}, {left}, then exit code {code}, {errors!r}, {litter}"


def race(place: Path, commands: Sequence[tuple[Words, Path]]) -> str:
    """Start two runs at once, and a third when they have ended; what came of it.

    commands: the three, with what each makes undisturbed. That of the third may be there first.
    """
    target, (words, third) = place / "target", commands[2]
    overwrite = [random.random() < 0.7 for _ in range(2)]
    is_there = any(overwrite) and random.random() < 0.5
    if is_there:
        shutil.copytree(third, target)
    earlier, refused = tree(target), random.choices([0, 0.3, 1], [10, 10, 1], k=2)
    processes = {}
    for n in random.sample(range(2), 2):
        option = ["--overwrite"] if overwrite[n] else []
        processes[n] = start([*commands[n][0], *option], refused[n])
        time.sleep(random.uniform(0, 0.2))
    errors = "".join(processes[n].communicate(timeout=300)[1] for n in range(2))
    codes = [processes[n].returncode for n in range(2)]
    made = [tree(commands[n][1]) for n in range(2) if codes[n] == 0]
    can_end_with_0 = [refused[n] < 1 and (overwrite[n] or not is_there) for n in range(2)]
    wrongs = {
        "exit code or traceback": not {*codes} <= {0, 2} or "Traceback" in errors,
        "none ended with 0": any(can_end_with_0) and not made,
        "both ended with 0": not any(overwrite) and len(made) > 1,
        "not what one made": tree(target) not in (made or [earlier]),
        "hidden folders left": hidden(place),
        "next run": run(*words, "--overwrite")[0] or tree(target) != tree(third),
        "not tidy after it": {*place.glob("*")} - {target},
    }
    outcome = f"exit codes {sorted(codes)}, --overwrite {sorted(overwrite)}"
    if wrong := ", ".join(reason for reason, is_so in wrongs.items() if is_so):
        return f"WRONG: {wrong}; {outcome}, refused {refused}, {errors!r}"
    return f"{outcome}{', one or both always refused' if 1 in refused else ''}"


def undisturbed(*words: object) -> Path:
    """Let a run make a folder where nothing is; its target."""
    target = Path(os.environ["PYTHONPATH"], "place", "target")
    shutil.rmtree(target.parent, ignore_errors=True)
    code, _, errors = run(*words)
    assert code == 0, errors
    return target


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=60, help="and as many Ctrl-C, of each script")
    parser.add_argument("--races", type=int, default=200, help="of each script")
    args = parser.parse_args()
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        Path(name, "sitecustomize.py").write_text(HOOK)
        os.environ["PYTHONPATH"] = name
        phantoms, master, place = (Path(name, end) for end in ("phantoms", "master", "place"))
        target = place / "target"
        undisturbed(PHANTOM, phantoms, "--patients", 12)
        undisturbed(GENERATOR, phantoms, master, "--size", 64)
        for *words, values in (
            (GENERATOR, phantoms, target, "--size", 200, "--masks", ("gray", "binary", "index")),
            (SPLIT, master, target, "--seed", (0, 1, 2)),
            (PHANTOM, target, "--patients", (5, 6, 7)),
        ):
            commands = []
            for value in values:
                made = undisturbed(*words, value).rename(Path(name, f"made {value}"))
                commands.append(([*words, value], made))
            for _ in range(args.races):
                shutil.rmtree(place, ignore_errors=True)
                outcomes[f"races, {words[-1]}: {race(place, commands)}"] += 1
            (new, after), (_, earlier), _ = commands
            for how in args.kills * ("SIGKILL", "SIGINT") * (sys.platform != "win32"):
                shutil.rmtree(place, ignore_errors=True)
                if random.random() < 0.5:
                    shutil.copytree(earlier, target)
                outcomes.update(trial(place, [*new, "--overwrite"], tree(after), how))
    print(*(f"{number:6} {outcome}" for outcome, number in sorted(outcomes.items())), sep="\n")
    return 1 if "WRONG" in " ".join(outcomes) else 0


if __name__ == "__main__":
    raise SystemExit(main())
