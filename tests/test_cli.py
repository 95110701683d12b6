"""The scripts as programs: installation, Ctrl-C, full disks, closed pipes, calls from Python."""

import io
import os
import re
import shutil
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import pytest

from camus import cli, command_line, words

from . import ROOT, build
from .build import DATABASE, DATASET, GENERATOR, MASTER, SPLIT, Run, posix, refusal, run


@pytest.mark.parametrize("script", build.SCRIPTS)
def test_each_script_finds_its_library(script: Path) -> None:
    """Though another camus is on the path, and the folder of the script is not."""
    Path("camus.py").write_text("raise SystemExit('the wrong one')")
    environment = {**os.environ, "PYTHONPATH": ".", "PYTHONSAFEPATH": "1", "COLUMNS": "80"}
    code, out, err = run(script, "--help", env=environment)
    assert (code, err, out[:6]) == (0, "", "usage:")
    assert not re.search(r".{81}|[-/]$", out, re.MULTILINE)  # no long line, no word in two


# Runs a script after a change of Python
RUNNER = ("import runpy, sys, sysconfig; del sys.argv[0]; sysconfig.get_path = lambda name: 'lib'; "
          "sys.prefix = sys.base_prefix; sys.path.insert(0, 'lib'); {}; "
          "runpy.run_path(sys.argv[0], run_name='__main__')")  # fmt: skip
NO_NUMPY, PIP = "No module named 'numpy': ", "run {python} -m pip install -r {requirements}"


@pytest.mark.parametrize(("script", "file", "content", "change", "said"), [
    (GENERATOR, "lib/EXTERNALLY-MANAGED", "", "0", NO_NUMPY + "make .venv, as the README shows"),
    (SPLIT, "lib/EXTERNALLY-MANAGED", "", "sys.prefix = 'a venv'", NO_NUMPY + PIP),
    (build.PHANTOM, "{venv}", "", "sys.prefix = 'the scripts/.venv'", NO_NUMPY + PIP),
    (GENERATOR, "{venv}", "", "0", NO_NUMPY + "run the script with {venv}"),
    (GENERATOR, "lib/x", "", "sys.version_info = (3, 9, 1); sys.version = '3.9.1 (x)'", "this is "
     "Python 3.9.1, 3.10 or newer is needed: make .venv with a newer Python, as the README shows"),
    (SPLIT, "lib/numpy.py", "raise ImportError('two\\nlines')", "", "two lines: " + PIP),
    (GENERATOR, "lib/nibabel.py", "raise KeyError(1)", "", "KeyError(1): " + PIP),
    (GENERATOR, "lib/tqdm.py", "1 / 0", "", "ZeroDivisionError('division by zero'): " + PIP),
])  # fmt: skip
def test_it_cannot_start(script: Path, file: str, content: str, change: str, said: str) -> None:
    """One line says why, and the remedy. Where `change` is given, Python has no packages."""
    folder = Path("the scripts").absolute()
    no_data = shutil.ignore_patterns("CAMUS-master", "__pycache__")  # a master may lie there
    shutil.copytree(ROOT / "generator", folder / "generator", ignore=no_data)
    shutil.copy(SPLIT, folder)
    venv = folder / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    paths = {"python": sys.executable, "venv": venv, "requirements": folder / "requirements.txt"}
    quoted = {name: command_line(str(path)) for name, path in paths.items()}
    build.write(Path(file.format(venv=venv)), content.encode())
    build.write_pair(DATABASE)
    start = ("-c", RUNNER.format(change or "0"), folder / script.relative_to(ROOT))
    line = refusal(run(*["-SE"] * bool(change), *start, DATABASE, MASTER))
    assert line == f"{script.name}: cannot start, {said.format(**quoted)}\n"


def test_ctrl_c_while_packages_load_takes_one_line() -> None:
    Path("numpy.py").write_text("raise KeyboardInterrupt")
    done = run(SPLIT, env={**os.environ, "PYTHONPATH": "."})
    assert done == (130, "", "split_master.py: interrupted\n")


def test_a_command_can_be_copied_and_a_path_of_windows_is_said_as_it_is() -> None:
    quoted = '"my data" a$b' if os.name == "nt" else "'my data' 'a$b'"
    assert command_line("py", "a/b.py", "my data", "a$b") == f"py a/b.py {quoted}"
    assert words(OSError(2, "Not there", "C:\\a\\b")) == "[Errno 2] Not there: 'C:\\a\\b'"


def test_importing_changes_no_signal_handler_and_the_split_needs_no_nibabel() -> None:
    code = "import signal, sys; signal.signal(signal.SIGINT, print); import split_master; "
    check = "sys.exit('nibabel' in sys.modules or signal.getsignal(signal.SIGINT) is not print)"
    assert run("-c", code + check, env={**os.environ, "PYTHONPATH": str(ROOT)}) == (0, "", "")


def test_an_interrupted_call_changes_nothing(generate: Run) -> None:
    build.write_pair(DATABASE)
    cv2.setNumThreads(3)
    with mock.patch("cv2.imencode", side_effect=KeyboardInterrupt):
        done = generate(DATABASE, MASTER)
    assert done == (130, "", "script.py: interrupted; nothing was changed\n")
    assert cv2.getNumThreads() == 3 and not MASTER.exists()


def test_work_is_done_side_by_side_and_comes_in_order() -> None:
    barrier = threading.Barrier(3, timeout=30)  # which three threads pass together

    def work(item: int) -> tuple[int, int]:
        time.sleep(0.05 * (item % 3 == 0))
        barrier.wait()
        return item, cv2.getNumThreads()

    assert cli.side_by_side(work, range(6), 3, "file") == [(item, 1) for item in range(6)]


def test_after_an_error_no_other_work_begins() -> None:
    work = mock.Mock(wraps=time.sleep)  # for less than no second: ValueError
    with pytest.raises(ValueError):
        cli.side_by_side(work, [-1, *[0.05] * 300], 1, "file")
    assert work.call_count < 100


@pytest.mark.parametrize(("place", "error"), [
    ("cv2.resize", MemoryError("Unable to allocate 9 GiB")),
    ("cv2.resize", cv2.error("OpenCV(5) Insufficient memory (Failed to allocate 9 bytes)")),
    ("cv2.imencode", cv2.error("std::bad_alloc")),
    ("threading.Thread.start", RuntimeError("can't start new thread")),
])  # fmt: skip
def test_missing_memory_and_threads_take_one_line(generate: Run, place: str, error: Any) -> None:
    build.write_pair(DATABASE)
    with mock.patch(place, side_effect=error):
        line = refusal(generate(DATABASE, MASTER))
    assert ": out of memory or threads: close other programs, or use fewer --jobs of the" in line
    with mock.patch("cv2.resize", side_effect=cv2.error("a bug")), pytest.raises(cv2.error):
        generate(DATABASE, MASTER)


def test_a_full_disk_leaves_everything_as_it_was(generate: Run) -> None:
    resource = pytest.importorskip("resource")
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (1000, 1000))  # bytes of a file
    build.write_pair(DATABASE)
    generate(DATABASE, MASTER)
    before = build.tree(Path())
    for script, *arguments in (
        (GENERATOR, DATABASE, MASTER, "--overwrite"),
        (SPLIT, MASTER, DATASET, "--ratios", 1, 0, 0),
        (build.PHANTOM, DATASET, "--patients", 1),
    ):
        line = refusal(run("-B", script, *arguments, preexec_fn=limit))
        assert line.startswith(f"{script.name}: [Errno 27] File too large: ")
        assert build.tree(Path()) == before


@posix
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_does_not_stop_the_work(unbuffered: str) -> None:
    """Nor does it change the exit code."""
    build.write_pair(DATABASE)
    build.write(DATABASE / "patient0002/notes.txt", b"")
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    reader, pipe = os.pipe()
    os.close(reader)
    for code, said, *arguments in (
        (1, "patient0002: holds no NIfTI files\n", GENERATOR, DATABASE, MASTER),
        (0, "", SPLIT, MASTER, DATASET, "--ratios", 1, 0, 0),
        *((0, "", script, "--help") for script in build.SCRIPTS),
    ):
        assert run(*arguments, stdout=pipe, env=environment)[::2] == (code, said)
    os.close(pipe)
    assert (DATASET / "dataset.json").exists()  # which is written last, and MASTER before


def test_a_bar_shows_the_progress_on_a_terminal(generate: Run) -> None:
    build.write_pair(DATABASE)
    with mock.patch("sys.stderr.isatty", return_value=True):
        assert re.search(r"100%.* 1/1 \[.*(file/s|s/file)\]", generate(DATABASE, MASTER)[2])


def test_what_a_terminal_cannot_show_is_escaped() -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), "ascii", newline="\n", write_through=True)
    cli.say("bad\nname\x1b[31m ä", terminal)
    assert terminal.buffer.getvalue() == b"bad\\nname\\x1b[31m \\xe4\n"
