"""The scripts as processes, where things go wrong: full disks, closed pipes, bombs, odd names."""

import gzip
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from . import build, kills
from .build import DATABASE, DATASET, GENERATOR, IMAGE, MASK, MASTER, NAME, PHANTOM, SPLIT, run
from .conftest import Run, refusal

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits, pipes and signals")
linux = pytest.mark.skipif(sys.platform != "linux", reason="limits and names of Linux")
MEGABYTE = 2**20


def limited(**limits: int) -> Callable[[], None]:
    """Something for a child to do first: set limits of its own, such as FSIZE, in bytes."""

    def set_limits() -> None:
        import resource

        for name, limit in limits.items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))

    return set_limits


PEAK = f"""
import sys
sys.path.insert(0, {str(GENERATOR.parent)!r})
from CAMUSImageMaskDatasetGenerator import main
code = main(sys.argv[2:])
print(next(line for line in open("/proc/self/status") if line.startswith(sys.argv[1])).split()[1])
sys.exit(code)
"""


def peak(kind: str, *arguments: object) -> tuple[int, str, int]:
    """Run the generator; its exit code, stderr, and VmHWM or VmPeak of its process, in bytes."""
    code, out, err = run("-c", PEAK, kind, *arguments)
    return code, err, int(out.split()[-1]) * 1024


@pytest.mark.parametrize("script", build.SCRIPTS)
def test_each_script_finds_its_library(script: Path) -> None:
    """Though another camus is on the path, and the folder of the script is not."""
    for name in ("camus.py", "generator.py"):
        Path(name).write_text("raise SystemExit('the wrong one')")
    environment = {**os.environ, "PYTHONPATH": ".", "PYTHONSAFEPATH": "1"}
    code, out, err = run(script, "--help", env=environment)
    assert (code, err) == (0, "") and "usage" in out


@pytest.mark.parametrize("script", build.SCRIPTS)
def test_missing_packages_take_one_line(script: Path) -> None:
    line = refusal(run("-S", script))  # without site-packages
    assert line.startswith(f"{script.name}: ") and "No module named" in line
    assert f'-m pip install -r "{build.ROOT / "requirements.txt"}"' in line


@pytest.mark.parametrize("script", build.SCRIPTS)
def test_an_old_python_takes_one_line(script: Path) -> None:
    code = (
        "import runpy, sys; sys.version_info = (3, 9, 1); sys.version = '3.9.1 (default)'\n"
        f"sys.argv = [{str(script)!r}]; runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    line = refusal(run("-c", code))
    assert line.startswith(f"{script.name}: ") and "3.9.1" in line and "3.10" in line


def test_the_split_does_without_nibabel() -> None:
    code = "import sys, split_master; sys.exit('nibabel' in sys.modules)"
    assert run("-c", code, cwd=build.ROOT)[0] == 0


@posix
def test_a_full_disk_leaves_everything_as_it_was() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300))
    for number in range(8):
        image = IMAGE if number < 4 else noise  # whose files are too large
        build.write_pair(DATABASE, f"patient000{number}_2CH_ED", image, 0 * image + 1)
    full = limited(FSIZE=60_000)
    line = refusal(run(GENERATOR, DATABASE, MASTER, preexec_fn=full))
    assert "File too large: free some space" in line and not MASTER.exists()
    assert run(GENERATOR, DATABASE, MASTER, "--size", 64)[0] == 0
    before = build.tree(MASTER)
    refusal(run(GENERATOR, DATABASE, MASTER, "--overwrite", preexec_fn=full))
    assert build.tree(MASTER) == before
    assert run(GENERATOR, DATABASE, MASTER, "--overwrite")[0] == 0
    there = set(MASTER.parent.iterdir())
    for command in ((SPLIT, MASTER, DATASET), (PHANTOM, DATASET, "--patients", 1)):
        assert "free some space" in refusal(run(*command, preexec_fn=full))
        assert set(MASTER.parent.iterdir()) == there
    assert run(SPLIT, MASTER, DATASET)[0] == 0


@linux
def test_bombs_cost_nothing() -> None:
    build.write_pair(DATABASE, "patient0002_2CH_ED")
    normal = peak("VmHWM", DATABASE, "normal")[2]
    folder = build.write_pair(DATABASE)
    image, mask = build.nifti(IMAGE), build.nifti(MASK)
    claims = build.nifti(IMAGE, dim=[2, 30000, 30000, 1, 1, 1, 1, 1])[:352]
    bomb = 16 * gzip.compress(bytes(256 * MEGABYTE), 9)
    for name, data in (
        (f"{NAME}.nii.gz", gzip.compress(claims) + bomb),
        ("patient0001_2CH_ES.nii.gz", gzip.compress(image)),
        ("patient0001_2CH_ES_gt.nii.gz", gzip.compress(mask) + bomb),
    ):
        (folder / name).write_bytes(data)
    code, err, bombed = peak("VmHWM", DATABASE, "bombed")
    assert code == 1 and err.count("\n") == 2
    assert f"{NAME}: {NAME}.nii.gz: header claims 900000000 pixels" in err
    assert "ES_gt.nii.gz: holds more data" in err
    assert bombed < normal + 100 * MEGABYTE


@posix
@pytest.mark.parametrize(
    "line",
    [
        '"$@" 2>&-',
        '"$@" <&- >&- 2>&-',
        '"$@" | true; exit ${PIPESTATUS[0]}',
        'PYTHONUNBUFFERED=1 "$@" | true; exit ${PIPESTATUS[0]}',
        'test ! -e /dev/full || "$@" > /dev/full 2>&1',
    ],
)
def test_the_work_is_done_whoever_listens(generate: Run, monkeypatch: Any, line: str) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    for patient in (1, 2, 3):
        build.write_pair(DATABASE, f"patient000{patient}_2CH_ED")
    for words in ((GENERATOR, DATABASE, MASTER), (SPLIT, MASTER, DATASET), (SPLIT, "--help")):
        code, _, err = run(*words, line=line)
        assert (code, err) == (0, "")
    generate(DATABASE, Path("expected"))
    assert build.tree(MASTER) == build.tree(Path("expected"))
    assert len(list(DATASET.glob("*/*/*.jpg"))) == 6 and (DATASET / "dataset.json").exists()


@linux
@pytest.mark.parametrize(
    ("resource", "patients", "frames", "jobs", "reason"),
    [
        ("NOFILE", 16, 4, 16, "Too many open files"),
        ("AS", 2, 30, 2, "out of memory|can't start new thread|Cannot allocate memory"),
    ],
)
def test_scarce_resources_are_not_blamed_on_a_picture(
    resource: str, patients: int, frames: int, jobs: int, reason: str
) -> None:
    frame = np.resize(np.arange(250), (1000, 1000))
    for patient in range(10, 10 + patients):
        name = f"patient00{patient}_2CH_half_sequence"
        sequences = [frame] * frames, [frame * 0 + 1] * frames
        build.write_pair(DATABASE, name, *sequences, suffix=".nii")
    limit = 8 if resource == "NOFILE" else peak("VmPeak", "--help")[2] + 100 * MEGABYTE
    words = (GENERATOR, DATABASE, MASTER, "--frames", "sequence", "--jobs", jobs)
    line = refusal(run(*words, preexec_fn=limited(**{resource: limit})))
    assert re.search(f"({reason}): try --jobs 1", line) and "_2CH_half_sequence:" not in line
    assert not MASTER.exists()


@posix
@pytest.mark.parametrize("script", build.SCRIPTS)
def test_ctrl_c_while_packages_load_ends_quietly(script: Path) -> None:
    code = (
        "import importlib, os, runpy, signal, sys\n"
        "importlib.import_module = lambda name: os.kill(os.getpid(), signal.SIGINT)\n"
        f"sys.argv = [{str(script)!r}]; runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # even in the background
    assert run("-c", code, preexec_fn=listen) == (-signal.SIGINT, "", "")


@posix
@pytest.mark.parametrize("script", [GENERATOR, PHANTOM])
def test_more_ctrl_c_than_needed_is_one_ctrl_c(script: Path) -> None:
    for number in range(100):
        build.write_pair(DATABASE, f"patient{number:04}_2CH_ED")
    there = set(Path().rglob("*"))
    words = (DATABASE, MASTER, "--size", 2048) if script == GENERATOR else (MASTER,)
    with kills.begin((script, *words), Path()) as process:
        deadline = time.monotonic() + 30
        while not any(path.is_file() for path in MASTER.rglob("*")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        for _ in range(20):
            process.send_signal(signal.SIGINT)
            time.sleep(0.005)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (130, "", f"{script.name}: interrupted\n")
    assert set(Path().rglob("*")) == there


@posix
def test_one_name_too_long_is_the_failure_of_that_pair(generate: Run) -> None:
    long = "patient" + "x" * 230
    build.write_pair(DATABASE, f"{long}_2CH_ED")
    build.write_pair(DATABASE, "patient0002_2CH_ED")
    code, out, err = generate(DATABASE, MASTER, "--mirror")
    assert code == 1 and "2 pairs written, 1 problem" in out
    assert err.startswith(f"{long}_2CH_ED: images/mirrored_{long}") and "File name too long" in err
    assert len(build.tree(MASTER)) == 6


@posix
def test_the_root_of_a_disk_is_no_target(generate: Run) -> None:
    build.write_pair(DATABASE)
    assert "choose another folder" in refusal(generate(DATABASE, "/", "--overwrite"))


@pytest.mark.parametrize(
    "patient", ["patient Jörg Å", "patient" + 193 * "x", "patient-1", "patient"]
)
def test_odd_names(generate: Run, split: Run, patient: str) -> None:
    Path("-data").mkdir()
    build.write_pair(Path("-data"), f"{patient}_2CH_half_sequence", [IMAGE] * 2, [MASK] * 2)
    code, _, err = generate("--frames", "sequence", "--mirror", "--size", 32, "--", "-data", "-out")
    assert (code, err) == (0, "")
    name = f"mirrored_{patient}_2CH_half_sequence_frame02.jpg"
    assert (Path("-out/masks") / name).stat().st_size
    assert split("--ratios", 1, 0, 0, "--", "-out", "-dataset")[0] == 0
    assert (Path("-dataset/train/images") / name).exists()


@linux
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_names_that_cannot_be_shown(locale: str) -> None:
    patient = os.fsdecode(b"patient\xff\xc3\xa4")
    build.write_pair(DATABASE, f"{patient}_2CH_ED")
    build.write_pair(DATABASE, f"{patient}_2CH_ES", mask=MASK * 0)
    master, dataset = Path(os.fsdecode(b"out\xfe")), DATASET
    environment = {**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, out, err = run(GENERATOR, DATABASE, master, env=environment)
    assert code == 1 and "1 pair written, 1 problem" in out and err.count("\n") == 1
    assert (master / "images" / f"{patient}_2CH_ED.jpg").exists()
    code, _, err = run(SPLIT, master, dataset, "--ratios", 1, 0, 0, env=environment)
    assert (code, err) == (0, "")
    assert (dataset / "train" / "images" / f"{patient}_2CH_ED.jpg").exists()
