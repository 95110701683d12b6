"""The scripts as processes, where things go wrong: full disks, bombs, Ctrl-C, odd names."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK

from generator import nifti, shared

from . import build
from .build import IMAGE
from .conftest import Run

ROOT = Path(__file__).resolve().parents[1]
GENERATOR = ROOT / "generator" / "CAMUSImageMaskDatasetGenerator.py"
NAME = "patient0001_2CH_ED"
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits and signals")


def limited(limit: int) -> Callable[[], None]:
    """Something for a child to do first: no file of its may grow beyond the limit, in bytes."""

    def limit_files() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return limit_files


def interruptible() -> None:
    """For a child to do first: mind Ctrl-C, even where the tests run in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(script: Path, *arguments: object, **options: Any) -> tuple[int, str, str]:
    command = [sys.executable, str(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    return done.returncode, done.stdout, done.stderr


@posix
def test_no_room_takes_one_line_and_a_run_with_room_completes(
    database: Path, master: Path, dataset: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300))
    for number in range(8):
        image = IMAGE if number < 4 else noise  # whose files are too large
        build.write_pair(database, f"patient000{number}_2CH_ED", image, 0 * image)
    code, out, err = run(GENERATOR, database, master, preexec_fn=limited(60_000))
    assert (code, out) == (1, "") and err.count("\n") == 1
    assert "File too large: make room and run the same command again" in err
    there = build.tree(master)
    code, out, _ = run(GENERATOR, database, master)
    assert code == 0 and " 0 already there" not in out
    assert there.items() <= build.tree(master).items()
    split = ROOT / "split_master.py"
    code, out, err = run(split, master, dataset, preexec_fn=limited(60_000))
    assert (code, out) == (1, "") and err.count("\n") == 1 and "make room" in err
    assert sorted(path.name for path in dataset.parent.iterdir()) == [master.name, "Große Daten"]
    assert run(split, master, dataset)[0] == 0


def peak_memory(database: Path, master: Path) -> tuple[int, str, int]:
    """Exit code, stderr and the most memory that a run took, in bytes."""
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from generator.CAMUSImageMaskDatasetGenerator import main
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
    ("script", "library"),
    [
        ("generator/CAMUSImageMaskDatasetGenerator.py", "cv2"),
        ("generator/make_phantom_database.py", "numpy"),
        ("split_master.py", "tqdm"),
    ],
)
def test_ctrl_c_takes_one_line_while_libraries_load(
    tmp_path: Path, script: str, library: str
) -> None:
    stand_in = "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(30)"
    (tmp_path / f"{library}.py").write_text(stand_in)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = run(ROOT / script, "a", "b", env=environment, preexec_fn=interruptible)
    assert done == (130, "", "interrupted\n")


@posix
def test_more_ctrl_c_than_needed_is_one_ctrl_c(database: Path, master: Path) -> None:
    for number in range(400):
        build.write_pair(database, f"patient{number:04}_2CH_ED")
    command = [sys.executable, str(GENERATOR), str(database), str(master), "--size", "2048"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, preexec_fn=interruptible
    )
    while not master.exists():
        time.sleep(0.01)
    for _ in range(20):
        process.send_signal(signal.SIGINT)
        time.sleep(0.005)
    out, err = process.communicate(timeout=5)
    assert (process.returncode, out) == (130, "")
    assert "interrupted" in err and err.count("\n") == 1


def test_a_file_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.jpg"
    shared.write_whole(path, b"old")
    writing = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        writing(path, data[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="x.jpg"):
        shared.write_whole(path, b"new")
    assert build.tree(tmp_path) == {"x.jpg": b"old"}


def test_a_file_that_disappears_is_named(
    generate: Run, database: Path, master: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build.write_pair(database)
    build.write_pair(database, "patient0002_2CH_ED")
    opened = nifti.opened

    def vanish(path: Path) -> Any:
        if path.name == f"{NAME}_gt.nii.gz":
            path.unlink()
        return opened(path)

    monkeypatch.setattr(nifti, "opened", vanish)
    code, out, err = generate(database, master)
    assert code == 1 and "1 pairs written" in out
    assert err == f"{NAME}: {NAME}_gt.nii.gz: cannot be read (No such file or directory)\n"


@pytest.mark.parametrize(
    "patient", ["patient Jörg Å", "patient" + 193 * "x", "patient-1", "patient"]
)
def test_odd_names(
    generate: Run, split: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patient: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-data").mkdir()
    images = [IMAGE, IMAGE]
    build.write_pair(
        tmp_path / "-data", f"{patient}_2CH_half_sequence", images, 0 * np.array(images)
    )
    code, _, err = generate("--frames", "sequence", "--mirror", "--size", 32, "--", "-data", "-out")
    assert (code, err) == (0, "")
    name = f"mirrored_{patient}_2CH_half_sequence_frame02.jpg"
    assert (tmp_path / "-out" / "masks" / name).stat().st_size
    assert split("--ratios", 1, 0, 0, "--", "-out", "-dataset")[0] == 0
    assert (tmp_path / "-dataset" / "train" / "images" / name).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
def test_names_that_are_no_unicode(
    generate: Run, split: Run, database: Path, tmp_path: Path
) -> None:
    patient = os.fsdecode(b"patient\xff")
    build.write_pair(database, f"{patient}_2CH_ED")
    place = tmp_path / os.fsdecode(b"out\xfe")
    assert generate(database, place)[0] == 0
    assert (place / "images" / f"{patient}_2CH_ED.jpg").exists()
    assert split(place, tmp_path / "dataset", "--ratios", 1, 0, 0)[0] == 0


def test_names_that_differ_in_case_alone_clash(generate: Run, database: Path, master: Path) -> None:
    for patient in ("patient000a", "patient000A", "patient0001"):
        build.write_pair(database, f"{patient}_2CH_ED")
    if len(list(database.iterdir())) < 3:
        pytest.skip("so they do on this disk")
    code, out, err = generate(database, master)
    assert code == 1 and "1 pairs written" in out
    assert "several files of one name: patient000A/" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: build.nifti(IMAGE),
        lambda: build.nifti(IMAGE, ">f4"),
        lambda: build.nifti(IMAGE, "u1"),
        lambda: build.nifti(IMAGE, "<i2", scl_slope=0.5, scl_inter=7),
        lambda: build.nifti(IMAGE, "<f8", spacing=(0.2, 0.4)),
        lambda: build.nifti(IMAGE, pixdim=[-1, 0.308, 0.308, 1, 1, 1, 1, 1]),
        lambda: build.nifti(IMAGE[None]),
    ],
)
def test_simpleitk_reads_the_same(tmp_path: Path, make: Callable[[], bytes]) -> None:
    """An independent reader agrees on pixels, their order and their spacing."""
    path = build.write(tmp_path / "x.nii.gz", make())
    theirs = SimpleITK.ReadImage(str(path))
    with nifti.opened(path) as (grid, frames):
        pixels = np.stack(list(frames))
    assert np.array_equal(
        pixels, np.atleast_3d(SimpleITK.GetArrayFromImage(theirs)).reshape(pixels.shape)
    )
    spacing: Any = theirs.GetSpacing()  # type: ignore[no-untyped-call]
    assert grid.spacing == pytest.approx(spacing[:2])
