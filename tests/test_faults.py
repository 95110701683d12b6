"""The scripts as processes, where things go wrong: full disks, closed pipes, bombs, odd names."""

from __future__ import annotations

import gzip
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from . import build
from .build import IMAGE, MASK
from .conftest import Run

ROOT = Path(__file__).resolve().parents[1]
GENERATOR = ROOT / "generator" / "CAMUSImageMaskDatasetGenerator.py"
PHANTOM = ROOT / "generator" / "make_phantom_database.py"
SPLIT = ROOT / "split_master.py"
SCRIPTS = (GENERATOR, PHANTOM, SPLIT)
NAME = "patient0001_2CH_ED"
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits, pipes and signals")


def limited(**limits: int) -> Callable[[], None]:
    """Something for a child to do first: set limits of its own, such as FSIZE, in bytes."""

    def set_limits() -> None:
        import resource

        for name, limit in limits.items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))

    return set_limits


def run(script: Path, *arguments: object, **options: Any) -> tuple[int, str, str]:
    command = [sys.executable, str(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    return done.returncode, done.stdout, done.stderr


def shell(line: str, *arguments: object) -> tuple[int, str, str]:
    """Run a line of bash in which "$@" is a script with its arguments; its exit code is the end."""
    command = ["bash", "-c", line, "bash", sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("mode", ["-I", "safe path", "another camus"])
def test_each_script_finds_its_library(tmp_path: Path, script: Path, mode: str) -> None:
    for name in ("camus.py", "generator.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong one')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    if mode == "safe path":
        environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    command = [sys.executable, *(["-I"] if mode == "-I" else []), str(script), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0 and "usage" in done.stdout and not done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_missing_packages_take_one_line(script: Path) -> None:
    command = [sys.executable, "-S", str(script)]  # without site-packages
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"{script.name}: ") and "No module named" in done.stderr
    assert f'-m pip install -r "{ROOT / "requirements.txt"}"' in done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_old_python_takes_one_line(script: Path) -> None:
    code = (
        "import runpy, sys; sys.version_info = (3, 9, 1); sys.version = '3.9.1 (default)'\n"
        f"sys.argv = [{str(script)!r}]; runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    expected = f"{script.name}: this is Python 3.9.1; Python 3.10 or newer is needed\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


def test_the_split_does_without_nibabel() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import split_master\n"
        "sys.exit('nibabel' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@posix
def test_a_full_disk_leaves_everything_as_it_was(
    database: Path, master: Path, dataset: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300))
    for number in range(8):
        image = IMAGE if number < 4 else noise  # whose files are too large
        build.write_pair(database, f"patient000{number}_2CH_ED", image, 0 * image + 1)
    full = limited(FSIZE=60_000)
    code, out, err = run(GENERATOR, database, master, preexec_fn=full)
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert "File too large: free some space and run the command again" in err
    assert not master.exists()
    assert run(GENERATOR, database, master, "--size", 64)[0] == 0
    before = build.tree(master)
    assert run(GENERATOR, database, master, "--overwrite", preexec_fn=full)[0] == 2
    assert build.tree(master) == before
    assert run(GENERATOR, database, master, "--overwrite")[0] == 0
    code, out, err = run(SPLIT, master, dataset, preexec_fn=full)
    assert (code, out) == (2, "") and err.count("\n") == 1 and "free some space" in err
    assert not dataset.exists()
    assert run(SPLIT, master, dataset)[0] == 0
    code, _, err = run(PHANTOM, dataset.with_name("p"), "--patients", 1, preexec_fn=full)
    assert code == 2 and "free some space" in err and not dataset.with_name("p").exists()
    assert sorted(path.name for path in dataset.parent.iterdir()) == sorted(
        [database.parent.name, master.name, dataset.name]
    )


def peak_memory(database: Path, master: Path) -> tuple[int, str, int]:
    """Exit code, stderr and the most memory that a run took, in bytes."""
    code = f"""
import sys
sys.path.insert(0, {str(GENERATOR.parent)!r})
from CAMUSImageMaskDatasetGenerator import main
code = main({[str(database), str(master)]!r})
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr, int(done.stdout.splitlines()[-1]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted otherwise elsewhere")
def test_bombs_cost_nothing(database: Path, tmp_path: Path) -> None:
    build.write_pair(database, "patient0002_2CH_ED")
    normal = peak_memory(database, tmp_path / "normal")[2]
    folder = build.write_pair(database)
    honest = build.nifti(IMAGE, dim=[2, 30000, 30000, 1, 1, 1, 1, 1])
    deflating = gzip.compress(bytes(2**28), 9)  # a quarter of a gigabyte, many times over
    (folder / f"{NAME}.nii.gz").write_bytes(gzip.compress(honest[:352]) + deflating * 16)
    small = gzip.compress(build.nifti(build.MASK))
    (folder / f"{NAME.replace('ED', 'ES')}.nii.gz").write_bytes(gzip.compress(build.nifti(IMAGE)))
    (folder / f"{NAME.replace('ED', 'ES')}_gt.nii.gz").write_bytes(small + deflating * 16)
    code, err, peak = peak_memory(database, tmp_path / "bombed")
    assert code == 1 and len(err.splitlines()) == 2
    assert f"{NAME}: {NAME}.nii.gz: header claims 900000000 pixels" in err
    assert "ES_gt.nii.gz: goes on after the data" in err
    assert peak < normal + 100 * 2**20


@posix
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('"$@" 2>&-', 0),
        ('"$@" >&-', 0),
        ('"$@" <&- >&- 2>&-', 0),
        ('"$@" | true; exit ${PIPESTATUS[0]}', 0),
        ('"$@" | head -1; exit ${PIPESTATUS[0]}', 0),
        ('PYTHONUNBUFFERED=1 "$@" | true; exit ${PIPESTATUS[0]}', 0),
        ('test ! -e /dev/full || "$@" > /dev/full', 0),
        ('test ! -e /dev/full || "$@" > /dev/full 2>&1', 0),
    ],
)
def test_the_work_is_done_whoever_listens(
    database: Path, tmp_path: Path, line: str, code: int
) -> None:
    for patient in (1, 2, 3):
        build.write_pair(database, f"patient000{patient}_2CH_ED")
    master = tmp_path / "master"
    found, _, err = shell(line, GENERATOR, database, master)
    assert (found, err) == (code, "")
    assert run(GENERATOR, database, tmp_path / "expected")[0] == 0
    assert build.tree(master) == build.tree(tmp_path / "expected")
    found, _, err = shell(line, SPLIT, master, tmp_path / "dataset")
    assert (found, err) == (code, "") and (tmp_path / "dataset" / "dataset.json").exists()
    found, _, err = shell(line, SPLIT, "--help")
    assert (found, err) == (code, "")


def virtual_memory() -> int:
    """The address space of a process that has loaded the generator, in bytes."""
    code = f"""
import sys
sys.path.insert(0, {str(GENERATOR.parent)!r})
import CAMUSImageMaskDatasetGenerator
print(next(line for line in open("/proc/self/status") if line.startswith("VmPeak")).split()[1])
"""
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True).stdout) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="limits differ elsewhere")
@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        ("NOFILE", "Too many open files: try --jobs 1"),
        (
            "AS",
            "(out of memory|can't start new thread|Cannot allocate memory): try --jobs 1",
        ),
    ],
)
def test_scarce_resources_are_not_blamed_on_a_picture(
    database: Path, master: Path, resource: str, reason: str
) -> None:
    frame = np.resize(np.arange(250), (1000, 1000))
    files, memory = resource == "NOFILE", resource == "AS"
    for patient in range(10, 12 if memory else 26):
        name, frames = f"patient00{patient}_2CH_half_sequence", 30 if memory else 4
        build.write_pair(database, name, [frame] * frames, [frame * 0 + 1] * frames)
    limit = 8 if files else virtual_memory() + 100 * 2**20
    options = ("--frames", "sequence", "--jobs", 16 if files else 2)
    before = limited(**{resource: limit})
    code, out, err = run(GENERATOR, database, master, *options, preexec_fn=before)
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert re.search(reason, err) and "_2CH_half_sequence:" not in err
    assert not master.exists()


@posix
def test_more_ctrl_c_than_needed_is_one_ctrl_c(database: Path, master: Path) -> None:
    for number in range(400):
        build.write_pair(database, f"patient{number:04}_2CH_ED")
    command = [sys.executable, str(GENERATOR), str(database), str(master), "--size", "2048"]
    pipe = subprocess.PIPE
    mind = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, preexec_fn=mind)
    deadline = time.monotonic() + 30
    while not master.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    for _ in range(20):
        process.send_signal(signal.SIGINT)
        time.sleep(0.005)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (130, "")
    assert err == f"{GENERATOR.name}: interrupted\n" and not master.exists()


@posix
def test_one_name_too_long_is_the_failure_of_that_pair(database: Path, master: Path) -> None:
    long = "patient" + "x" * 230
    build.write_pair(database, f"{long}_2CH_ED")
    build.write_pair(database, "patient0002_2CH_ED")
    code, out, err = run(GENERATOR, database, master, "--mirror")
    assert code == 1 and "2 pairs written, 1 failed" in out
    assert err.startswith(f"{long}_2CH_ED: images/mirrored_{long}") and "File name too long" in err
    assert len(build.tree(master)) == 6


@posix
@pytest.mark.parametrize("script", [GENERATOR, SPLIT])
def test_the_root_of_a_disk_is_no_target(database: Path, master: Path, script: Path) -> None:
    build.write_pair(database)
    if script == SPLIT:
        run(GENERATOR, database, master)
    code, out, err = run(script, database if script == GENERATOR else master, "/", "--overwrite")
    assert (code, out) == (2, "") and err.count("\n") == 1 and "name another folder" in err


@pytest.mark.parametrize(
    "patient", ["patient Jörg Å", "patient" + 193 * "x", "patient-1", "patient"]
)
def test_odd_names(
    generate: Run, split: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patient: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-data").mkdir()
    build.write_pair(tmp_path / "-data", f"{patient}_2CH_half_sequence", [IMAGE] * 2, [MASK] * 2)
    code, _, err = generate("--frames", "sequence", "--mirror", "--size", 32, "--", "-data", "-out")
    assert (code, err) == (0, "")
    name = f"mirrored_{patient}_2CH_half_sequence_frame02.jpg"
    assert (tmp_path / "-out" / "masks" / name).stat().st_size
    assert split("--ratios", 1, 0, 0, "--", "-out", "-dataset")[0] == 0
    assert (tmp_path / "-dataset" / "train" / "images" / name).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX"])
def test_names_that_cannot_be_shown(database: Path, tmp_path: Path, locale: str) -> None:
    patient = os.fsdecode(b"patient\xff\xc3\xa4")
    build.write_pair(database, f"{patient}_2CH_ED")
    build.write_pair(database, f"{patient}_2CH_ES", mask=MASK * 0)
    place = tmp_path / os.fsdecode(b"out\xfe")
    environment = {**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, out, err = run(GENERATOR, database, place, env=environment)
    assert code == 1 and "1 pair written, 1 failed" in out and err.count("\n") == 1
    assert (place / "images" / f"{patient}_2CH_ED.jpg").exists()
    code, _, err = run(SPLIT, place, tmp_path / "dataset", "--ratios", 1, 0, 0, env=environment)
    assert (code, err) == (0, "")
    assert list((tmp_path / "dataset" / "train" / "images").iterdir())
