"""The scripts as programs: installation, Ctrl-C, full disks, closed pipes, calls from Python."""

import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest

from . import build
from .build import DATABASE, DATASET, GENERATOR, MASTER, PHANTOM, SPLIT, run
from .conftest import Run, refusal, says

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits, pipes and signals")


@pytest.mark.parametrize("script", build.SCRIPTS)
def test_each_script_finds_its_library(script: Path) -> None:
    """Though another camus is on the path, and the folder of the script is not."""
    Path("camus.py").write_text("raise SystemExit('the wrong one')")
    environment = {**os.environ, "PYTHONPATH": ".", "PYTHONSAFEPATH": "1"}
    code, out, err = run(script, "--help", env=environment)
    assert (code, err) == (0, "") and all(len(line) <= 80 for line in out.splitlines())


@pytest.mark.parametrize("script", build.SCRIPTS)
def test_a_wrong_installation_takes_one_line_with_the_remedy(script: Path) -> None:
    shutil.copytree(build.ROOT / "generator", "generator")
    shutil.copy(SPLIT, ".")
    name = script.relative_to(build.ROOT)
    line = refusal(run("-S", name))  # without site-packages
    command = f"run {sys.executable} -m pip install -r {Path('requirements.txt').absolute()}\n"
    assert line == f"{script.name}: cannot start, No module named 'numpy': {command}"
    old = "import runpy, sys; sys.version_info = (3, 9, 1); sys.version = '3.9.1'"
    start = "del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
    line = refusal(run("-c", f"{old}; {start}", name))
    assert says(line, f"{script.name}: ; 3.9.1; 3.10; .venv; README")
    python = Path(".venv", "Scripts/python.exe" if os.name == "nt" else "bin/python").absolute()
    build.write(python, b"")
    assert refusal(run("-S", name)).endswith(f": run the script with {python}\n")


def test_importing_changes_no_signal_handler_and_the_split_needs_no_nibabel() -> None:
    code = "import signal, sys; signal.signal(signal.SIGINT, print); import split_master; "
    check = "sys.exit('nibabel' in sys.modules or signal.getsignal(signal.SIGINT) is not print)"
    assert run("-c", code + check, cwd=build.ROOT) == (0, "", "")


def state_of_the_program() -> tuple[object, ...]:
    return signal.getsignal(signal.SIGINT), cv2.getNumThreads(), sys.stdout, Path.cwd()


def test_calling_a_script_changes_nothing(generate: Run, split: Run) -> None:
    build.write_pair(DATABASE)
    cv2.setNumThreads(3)
    before = state_of_the_program()
    with mock.patch("cv2.imencode", side_effect=KeyboardInterrupt):
        assert generate(DATABASE, MASTER)[0] == 130
    assert state_of_the_program() == before and not MASTER.exists()
    thread = threading.Thread(target=generate, args=(DATABASE, MASTER))
    thread.start()
    thread.join()
    assert MASTER.exists() and split(MASTER, DATASET)[0] == 0
    assert split("--help")[0] == 0 and state_of_the_program() == before


@posix
def test_ctrl_c_leaves_everything_as_it_was() -> None:
    for number in range(60):
        build.write_pair(DATABASE, f"patient{number:04}_2CH_ED")
    before = set(Path().rglob("*"))
    words = [sys.executable, str(GENERATOR), str(DATABASE), str(MASTER), "--size", "2048"]
    with build.process(words) as process:
        deadline = time.monotonic() + 30
        while not list(Path().glob(".*.camus-part-*/images/*")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=30)[1]
    assert (process.returncode, err.count("\n")) == (130, 1)
    assert says(err, f"{GENERATOR.name}: ; interrupted; nothing")
    assert set(Path().rglob("*")) == before


@posix
def test_a_full_disk_leaves_everything_as_it_was(generate: Run) -> None:
    def fill_disk() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))  # bytes of a file

    noise = np.random.default_rng(0).integers(0, 256, (200, 300))
    build.write_pair(DATABASE, image=noise, mask=0 * noise + 1, spacing=(0.5, 0.5))
    generate(DATABASE, MASTER)
    before = build.tree(Path())
    for script, *words in (
        (GENERATOR, DATABASE, "new"),
        (GENERATOR, DATABASE, MASTER, "--overwrite"),
        (SPLIT, MASTER, DATASET),
        (PHANTOM, DATASET, "--patients", 1),
    ):
        line = refusal(run(script, *words, preexec_fn=fill_disk))
        assert says(line, f"{Path(script).name}: ; File too large") and build.tree(Path()) == before


@posix
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_does_not_stop_the_work(generate: Run, unbuffered: str) -> None:
    build.write_pair(DATABASE)
    generate(DATABASE, "expected")
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    reader, pipe = os.pipe()
    os.close(reader)
    for words in ((GENERATOR, DATABASE, MASTER), (SPLIT, MASTER, DATASET), (SPLIT, "--help")):
        assert run(*words, stdout=pipe, env=environment)[::2] == (0, "")
    os.close(pipe)
    assert build.tree(MASTER) == build.tree(Path("expected"))
    assert (DATASET / "dataset.json").exists()


@posix
def test_a_name_with_control_characters_takes_one_line() -> None:
    build.write(DATABASE / "patient0001/bad\nname\x1b[31m ä.nii", b"")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    code, _, err = run(GENERATOR, DATABASE, MASTER, env=environment)
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith(r"patient0001/bad\nname\x1b[31m ") and "\x1b" not in err
