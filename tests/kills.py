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
from pathlib import Path

from .build import GENERATOR, PHANTOM, SPLIT, Files, run, tree

Words = list[object]  # of a command line
HOOK = """# Python runs this file, sitecustomize.py, first
import os, random, signal, sys, time
slow, chance, refused = float(os.environ.get("SLOW", 0)), float(os.environ.get("REFUSED", 0)), 0
time.sleep(random.uniform(0, slow))
def hook(event, _):
    global refused
    if event in ("os.rename", "shutil.rmtree"):  # else little would happen between two renames
        time.sleep(random.uniform(0, slow))
    if event == "os.rename":  # refuse four times in a row at most, or always: the scripts try six
        refused = refused + 1 if random.random() < chance and (chance == 1 or refused < 4) else 0
        if refused:
            raise PermissionError(13, "refused as by a virus scanner")
sys.addaudithook(hook)
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background, it may be ignored
"""


def start(words: Words, refused: float = 0) -> "subprocess.Popen[str]":
    """Start a script that is slow to begin and at its renames, of which a share is refused."""
    env = {**os.environ, "SLOW": "0.2", "REFUSED": str(refused)}
    command, pipe = [sys.executable, *map(str, words)], subprocess.PIPE
    return subprocess.Popen(command, text=True, env=env, stdout=pipe, stderr=pipe)


def hidden(place: Path, kind: str = "*") -> set[Path]:
    """The hidden folders beside the target. kind: part or old."""
    return {*place.glob(f".target.camus-{kind}-*")}


def state(place: Path, before: Files, after: Files) -> str:
    """Which folder the target is; before and after are the files of the earlier and the new one."""
    found = tree(place / "target")
    if found in (before, after):
        return "new" if found == after else "as before"
    earlier = [tree(path) for path in hidden(place, "old")]
    is_between = before in earlier and not (place / "target").exists()
    return "between two renames" if is_between else "WRONG: not whole"


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
        if how == "SIGINT":
            allowed = {earlier, "new"} if code else {"new"}
            if code == 130:
                is_true = "interrupted" in errors and errors.count("\n") == 1 and not litter
                allowed = {earlier} if "nothing was changed" in errors else allowed
            else:  # the signal came before or after the work of camus.cli.run
                is_true = ", in run\n" not in errors and not litter & hidden(place, "part")
            if left not in allowed or not is_true:
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
    overwrite = random.choices([[], ["--overwrite"]], [3, 7], k=2)
    if is_there := any(overwrite) and random.random() < 0.5:
        shutil.copytree(third, target)
    earlier, refused = tree(target), random.choices([0, 0.3, 1], [10, 10, 1], k=2)
    runs = [start([*commands[n][0], *overwrite[n]], refused[n]) for n in range(2)]
    errors = "".join(process.communicate(timeout=300)[1] for process in runs)
    codes = [process.returncode for process in runs]
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
    outcome = f"exit codes {sorted(codes)}, {overwrite.count([])} without --overwrite"
    if wrong := ", ".join(reason for reason, is_so in wrongs.items() if is_so):
        return f"WRONG: {wrong}; {outcome}, refused {refused}, {errors!r}"
    return f"{outcome}{', one or both always refused' if 1 in refused else ''}"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=60, help="and as many Ctrl-C, of each script")
    parser.add_argument("--races", type=int, default=200, help="of each script")
    args = parser.parse_args()
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        Path(name, "sitecustomize.py").write_text(HOOK)
        os.environ["PYTHONPATH"] = name
        phantoms, master, place = (Path(name, end) for end in ("phantoms", "made gray", "place"))
        target = place / "target"
        run(PHANTOM, phantoms, "--patients", 12)
        for *words, values in (
            (GENERATOR, phantoms, target, "--size", 200, "--masks", ("gray", "binary", "index")),
            (SPLIT, master, target, "--seed", (0, 1, 2)),
            (PHANTOM, target, "--patients", (5, 6, 7)),
        ):
            commands = []
            for value in values:
                shutil.rmtree(place, ignore_errors=True)
                code, _, errors = run(*words, value)
                assert code == 0, errors
                commands.append(([*words, value], target.rename(Path(name, f"made {value}"))))
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
