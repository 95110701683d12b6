"""The scripts as programs: installations, Ctrl-C, full disks, closed pipes, and from Python."""

import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from . import build
from .build import DATABASE, DATASET, GENERATOR, IMAGE, MASTER, NAME, PHANTOM, SPLIT, run
from .conftest import Run, refusal

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits, pipes and signals")
AS_SCRIPT = "import runpy, sys; sys.argv = ['{0}']; {1}; runpy.run_path('{0}', run_name='__main__')"


@pytest.mark.parametrize("script", build.SCRIPTS)
def test_each_script_finds_its_library(script: Path) -> None:
    """Though another camus is on the path, and the folder of the script is not."""
    Path("camus.py").write_text("raise SystemExit('the wrong one')")
    environment = {**os.environ, "PYTHONPATH": ".", "PYTHONSAFEPATH": "1"}
    code, out, err = run(script, "--help", env=environment)
    assert (code, err) == (0, "") and "usage" in out
    assert all(len(line) <= 80 for line in out.splitlines())
    example = out.rpartition("example:\n  python ")[2].strip()
    assert (build.ROOT / example.split()[0]) == script and run(script, "--help", cwd="/")[0] == 0


@pytest.mark.parametrize("script", build.SCRIPTS)
def test_missing_packages_take_one_line(script: Path) -> None:
    line = refusal(run("-S", script))  # without site-packages
    assert line.startswith(f"{script.name}: cannot start, No module named 'numpy': run ")


def test_the_remedy_for_missing_packages_names_the_environment() -> None:
    for name in ("generator", "split_master.py", "requirements.txt"):
        copy = shutil.copytree if name == "generator" else shutil.copy
        copy(build.ROOT / name, name)
    script, root = Path("split_master.py").resolve(), Path().resolve()
    install = f'"{sys.executable}" -m pip install -r "{root / "requirements.txt"}"'
    assert install in refusal(run("-S", script))
    python = build.write(root / ".venv/bin/python", b"")
    if os.name == "posix":
        assert f'run the script with "{python}"' in refusal(run("-S", script))


@pytest.mark.parametrize("script", build.SCRIPTS)
def test_an_old_python_takes_one_line(script: Path) -> None:
    old = "sys.version_info = (3, 9, 1); sys.version = '3.9.1 (default)'"
    line = refusal(run("-c", AS_SCRIPT.format(script, old)))
    assert line.startswith(f"{script.name}: ") and "3.9.1, 3.10 or newer" in line


def test_the_split_does_without_nibabel() -> None:
    code = "import sys, split_master; sys.exit('nibabel' in sys.modules)"
    assert run("-c", code, cwd=build.ROOT)[0] == 0


def state() -> Any:
    """What a program must find unchanged."""
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    return handlers, cv2.getNumThreads(), sys.stdout, sys.stderr, Path.cwd()


def test_a_program_that_calls_the_scripts_stays_as_it_was(generate: Run, split: Run) -> None:
    cv2.setNumThreads(3)
    before = state()
    build.write_pair(DATABASE)
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(generate(DATABASE, MASTER)[0]))
    thread.start()
    thread.join()
    assert codes == [0] and state() == before
    assert split(MASTER, DATASET)[0] == 0 and split("--help")[0] == 0 and state() == before


def test_after_an_interrupted_call_the_next_works(
    generate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    build.write_pair(DATABASE)
    before, encode = state(), cv2.imencode

    def press_ctrl_c(*_: object) -> None:
        monkeypatch.setattr(cv2, "imencode", encode)
        raise KeyboardInterrupt

    monkeypatch.setattr(cv2, "imencode", press_ctrl_c)
    code, out, err = generate(DATABASE, MASTER)
    program = Path(sys.argv[0]).name
    assert (code, out, err) == (130, "", f"{program}: interrupted; nothing was changed\n")
    assert state() == before and not MASTER.exists()
    assert generate(DATABASE, MASTER)[0] == 0 and state() == before


@posix
def test_importing_changes_no_signal_handler() -> None:
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, print); sys.path += ['generator', '.']\n"
        "import CAMUSImageMaskDatasetGenerator, split_master, make_phantom_database\n"
        "sys.exit(signal.getsignal(signal.SIGINT) is not print)"
    )
    assert run("-c", code, cwd=build.ROOT)[0] == 0


@posix
def test_ctrl_c_leaves_everything_as_it_was() -> None:
    for number in range(60):
        build.write_pair(DATABASE, f"patient{number:04}_2CH_ED")
    before = set(Path().rglob("*"))
    words = [sys.executable, str(GENERATOR), str(DATABASE), str(MASTER), "--size", "2048"]
    with build.process(words) as process:
        deadline = time.monotonic() + 30
        while not list(Path().glob(".*.camus-part/images/*")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err == f"{GENERATOR.name}: interrupted; nothing was changed\n"
    assert set(Path().rglob("*")) == before


@posix
def test_a_full_disk_leaves_everything_as_it_was() -> None:
    def fill_disk() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))  # bytes

    noise = np.random.default_rng(0).integers(0, 256, (200, 300))
    for number in range(8):
        image = IMAGE if number < 4 else noise  # whose files are too large
        spacing = (5, 5) if number < 4 else (0.5, 0.5)
        name = f"patient000{number}_2CH_ED"
        build.write_pair(DATABASE, name, image, 0 * image + 1, spacing=spacing)
    line = refusal(run(GENERATOR, DATABASE, MASTER, preexec_fn=fill_disk))
    assert line == f"{GENERATOR.name}: {MASTER.resolve()}: File too large\n"
    assert not MASTER.exists()
    assert run(GENERATOR, DATABASE, MASTER, "--size", 64)[0] == 0
    before = build.tree(MASTER)
    refusal(run(GENERATOR, DATABASE, MASTER, "--overwrite", preexec_fn=fill_disk))
    assert build.tree(MASTER) == before
    assert run(GENERATOR, DATABASE, MASTER, "--overwrite")[0] == 0
    names = set(Path().iterdir())
    for command in ((SPLIT, MASTER, DATASET), (PHANTOM, DATASET, "--patients", 1)):
        assert "File too large" in refusal(run(*command, preexec_fn=fill_disk))
        assert set(Path().iterdir()) == names
    assert run(SPLIT, MASTER, DATASET)[0] == 0


@posix
@pytest.mark.parametrize(
    "line",
    [
        '"$@" | true; exit ${PIPESTATUS[0]}',
        'PYTHONUNBUFFERED=1 "$@" | true; exit ${PIPESTATUS[0]}',
        'test ! -e /dev/full || "$@" > /dev/full',
    ],
)
def test_the_work_is_done_whoever_listens(generate: Run, line: str) -> None:
    for patient in (1, 2, 3):
        build.write_pair(DATABASE, f"patient000{patient}_2CH_ED")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    for words in ((GENERATOR, DATABASE, MASTER), (SPLIT, MASTER, DATASET), (SPLIT, "--help")):
        assert run(*words, line=line, env=environment) == (0, "", "")
    generate(DATABASE, Path("expected"))
    assert build.tree(MASTER) == build.tree(Path("expected"))
    assert len(list(DATASET.glob("*/*/*.jpg"))) == 6 and (DATASET / "dataset.json").exists()


@posix
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_names_with_control_characters_take_one_line(locale: str) -> None:
    build.write_pair(DATABASE)
    build.write(DATABASE / "patient0001/bad\nname\x1b[31m ä.nii", b"")
    environment = {**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, out, err = run(GENERATOR, DATABASE, MASTER, env=environment)
    assert code == 1 and "1 pair written, 1 problem" in out and err.count("\n") == 1
    assert err.startswith(r"patient0001/bad\nname\x1b[31m ") and "\x1b" not in err
    assert (MASTER / f"images/{NAME}.jpg").exists()
