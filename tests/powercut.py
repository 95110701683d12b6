"""Cut the power of a real file system and see that what is there afterwards is whole.

    sudo .venv/bin/python -m tests.powercut --cuts 20

An ext4 or XFS in an image file is shut down so that nothing more reaches its disk, and mounted
again: right after a script has ended, when all must be there, and at random moments, when the rules
of tests/kills.py hold. Needs root, Linux, loop devices and mkfs; without them it does nothing.
"""

import argparse
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from camus.output import HIDDEN
from tests import kills
from tests.kills import Case, differences, tree

KINDS = ("ext4", "xfs")
# EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN of Linux, both _IOR('X', 125, __u32)
SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2


def system(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True, timeout=60)


def mount(disk: Path) -> None:
    system("mount", "-o", "loop", disk.with_suffix(".img"), disk)


def cut_power(disk: Path) -> None:
    """Let nothing more reach the disk, not even what the file system has in its log."""
    import fcntl  # which Windows has not

    descriptor = os.open(disk, os.O_RDONLY)
    fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
    os.close(descriptor)


def restart(disk: Path) -> None:
    system("umount", disk)
    mount(disk)


def show_that_it_can_fail(disk: Path, source: Path) -> None:
    """Assert that a power cut damages a plain copy."""
    copy = Path(shutil.copytree(source, disk / "copy"))
    cut_power(disk)
    restart(disk)
    lost, files = differences(tree(copy), tree(source)), tree(source)
    print(f"{disk.name}: a plain copy lost {len(lost)} of {len(files)} files and folders")
    assert lost


def cut(case: Case, disk: Path, rng: random.Random | None) -> str:
    """Cut the power at a random moment of a run, or right after it; what is there then."""
    place = disk / "place"
    kills.prepare(case, place)
    os.sync()
    if rng:
        process = kills.begin_and_wait(case, place, rng)
    else:
        process = kills.begin(case.command, place)
        process.wait(timeout=60)
    cut_power(disk)
    lines = process.communicate(timeout=60)[1]
    restart(disk)
    found = {name: data for name, data in tree(place).items() if HIDDEN not in name}
    lost, outcome = differences(found, case.after), kills.state(case, place)
    if "Traceback" in lines or (lost and not rng):
        return f"WRONG: {case.name}, {outcome}, {lines} {lost[:5]}"
    kills.run(case.command, place)
    if names := differences(tree(place), case.after):
        return f"WRONG: {case.name}, after {outcome} the next run ends with other {names[:5]}"
    return f"{'at a random moment' if rng else 'at the end'}: {outcome}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=20, help="at random moments, of each script")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    kinds = [kind for kind in KINDS if shutil.which(f"mkfs.{kind}")]
    is_able = sys.platform == "linux" and not os.geteuid() and Path("/dev/loop-control").exists()
    if not (is_able and kinds):
        print("nothing done: this needs Linux, root, loop devices, and mkfs.ext4 or mkfs.xfs")
        return 0
    rng, well = random.Random(args.seed), True
    with tempfile.TemporaryDirectory() as name:
        cases = kills.make_cases(Path(name))
        for kind in kinds:
            disk = Path(name, kind)
            disk.mkdir()
            with disk.with_suffix(".img").open("wb") as file:
                file.truncate(2**29)
            system(f"mkfs.{kind}", "-q", disk.with_suffix(".img"))
            try:
                mount(disk)
                show_that_it_can_fail(disk, Path(name, "end-0"))
                for script in kills.SCRIPTS:
                    of_script = [case for case in cases if case.name == script]
                    chosen = rng.choices(of_script, k=args.cuts)
                    outcomes = Counter(cut(case, disk, None) for case in of_script)
                    outcomes.update(cut(case, disk, rng) for case in chosen)
                    well &= kills.report(f"{kind}, {script}", outcomes)
            finally:
                if disk.is_mount():
                    system("umount", disk)
    return not well


if __name__ == "__main__":
    raise SystemExit(main())
