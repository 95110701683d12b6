"""Kill and interrupt the scripts at random moments and check that every folder is whole.

After SIGKILL the target must be the earlier folder, the new one, or absent between two renames.
Ctrl-C (SIGINT) must end with one true line. The next run must end like an undisturbed one.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from signal import SIGINT, SIGKILL, Signals

from .build import GENERATOR, PHANTOM, SPLIT, process, run, tree

PART, OLD = ".target.camus-part", ".target.camus-old"
SLOW = """import sys, time  # else no signal would come between two renames
sys.addaudithook(lambda event, _: event in ("os.rename", "shutil.rmtree") and time.sleep(0.1))"""


def state(place: Path, before: dict[str, bytes], after: dict[str, bytes]) -> str:
    """Which folder the target is; before and after are the files of the earlier and the new one."""
    found, part, old = (tree(place / name) for name in ("target", PART, OLD))
    if found == after:
        return "new"
    if found == before and not old:
        return "as before"
    is_between = not found and old in (before, after) and part == after
    return "between two renames" if is_between else "WRONG: not whole"


def is_true(code: int, errors: str, earlier: str, left: str) -> bool:
    """Whether an interrupted run may leave the target so, and says the truth in one line."""
    if code != 130:  # the signal came before or after the work of camus.cli.run
        return left in (earlier if code else "new", "new") and ", in run\n" not in errors
    allowed = (earlier,) if "nothing was changed" in errors else (earlier, "new")
    return left in allowed and "interrupted" in errors and errors.count("\n") == 1


def trial(place: Path, words: list[object], after: dict[str, bytes], how: Signals) -> Iterator[str]:
    """Stop a run once or twice, then let the next one end; what each stopped run leaves."""
    before = tree(place / "target")
    for _ in range(random.randint(1, 2)):
        earlier = state(place, before, after)
        stopped = process([sys.executable, *map(str, words)])
        stage = place / random.choice([PART, f"{PART}/dataset.json"])
        while stopped.poll() is None and not stage.exists():
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.5))
        stopped.send_signal(how)
        errors = stopped.communicate(timeout=60)[1]
        left = state(place, before, after)
        if how == SIGINT and not is_true(stopped.returncode, errors, earlier, left):
            left = f"WRONG: {left}, exit code {stopped.returncode}, {errors!r}"
        yield f"{how.name}: {left}"
    code, _, errors = run(*words)
    if code or tree(place / "target") != after or len([*place.iterdir()]) > 1:
        yield f"WRONG: {how.name}, {left}, then exit code {code}, {errors!r}"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=60, help="and as many Ctrl-C, of each script")
    args = parser.parse_args()
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        Path(name, "sitecustomize.py").write_text(SLOW)  # which Python runs first
        os.environ["PYTHONPATH"] = name
        phantoms, master, place = (Path(name, end) for end in ("phantoms", "master", "place"))
        run(PHANTOM, phantoms, "--patients", 12)
        run(GENERATOR, phantoms, master)
        for *words, new, other in (
            (GENERATOR, phantoms, place / "target", "--overwrite", "--size", 512, 200),
            (SPLIT, master, place / "target", "--overwrite", "--seed", 0, 1),
            (PHANTOM, place / "target", "--overwrite", "--patients", 5, 6),
        ):
            run(*words, new)
            after = tree(place / "target")
            for how in args.kills * (SIGKILL, SIGINT):
                shutil.rmtree(place)
                if random.random() < 0.5:
                    run(*words, other)
                outcomes.update(trial(place, [*words, new], after, how))
            shutil.rmtree(place)
    print(*(f"{number:6} {outcome}" for outcome, number in sorted(outcomes.items())), sep="\n")
    return 1 if "WRONG" in " ".join(outcomes) else 0


if __name__ == "__main__":
    raise SystemExit(main())
