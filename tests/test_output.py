"""The one rule for output: a folder appears whole or not at all; nothing else is touched."""

import os
import sys
from pathlib import Path

import pytest

from camus import RefusalError, output
from camus.metadata import write_description

from . import build

TARGET = Path("new/Ordner ä")
HIDDEN = {kind: Path(f"new/.Ordner ä.camus-{kind}") for kind in ("part", "old")}


def fill(folder: Path, content: str) -> None:
    """Write what a script builds: files, and dataset.json."""
    (folder / "images").mkdir(parents=True)
    for name in ("images/a.jpg", "notes.txt"):
        (folder / name).write_text(content)
    write_description(folder, {"made_by": "me", "content": content})


def pattern(_: object) -> str:
    return r"dataset\.json|notes\.txt|images/\w\.jpg"


def make(content: str, overwrite: bool = False, target: Path = TARGET) -> None:
    with output.new_folder(target, "me", overwrite, pattern) as part:
        fill(part, content)


def made(content: str) -> dict[str, bytes]:
    """What the current folder holds after a run with this content."""
    folder = Path(f"expected-{content}")
    if not folder.exists():
        fill(folder, content)
    return {f"{TARGET.as_posix()}/{name}": data for name, data in build.tree(folder).items()}


def tree() -> dict[str, bytes]:
    return {k: v for k, v in build.tree(Path()).items() if not k.startswith("expected-")}


def test_a_new_folder_and_its_replacement() -> None:
    make("one")
    assert tree() == made("one")
    with pytest.raises(RefusalError, match="is there already: replace it with --overwrite, or"):
        make("two")
    assert tree() == made("one")
    make("two", overwrite=True)
    assert tree() == made("two")
    assert [path.name for path in TARGET.parent.iterdir()] == [TARGET.name]


def test_a_link_to_a_folder_is_a_target() -> None:
    Path("link").symlink_to(Path("disk/folder"))
    make("one", target=Path("link"))
    make("two", overwrite=True, target=Path("link"))
    assert Path("disk/folder/notes.txt").read_text() == "two" and Path("link").is_symlink()


@pytest.mark.parametrize(
    "name", [".DS_Store", "Icon\r", "Thumbs.db", ".git/config", "lost+found/x"]
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_litter_is_passed_over_and_stays(name: str, overwrite: bool) -> None:
    if overwrite:
        make("one")
    (TARGET / name).parent.mkdir(parents=True, exist_ok=True)
    (TARGET / name).write_text("litter")
    make("two", overwrite)
    assert tree() == {**made("two"), f"{TARGET.as_posix()}/{name}": b"litter"}


@pytest.mark.parametrize("foreign", ["thesis.docx", "images/holiday.jpg", "images/sub/x", "link"])
@pytest.mark.parametrize("is_own", [False, True])
def test_what_others_made_is_never_touched(is_own: bool, foreign: str) -> None:
    Path("precious.jpg").write_text("precious")
    if is_own:
        make("one")
    if foreign == "link":
        foreign = "images/b.jpg"
        (TARGET / "images").mkdir(parents=True, exist_ok=True)
        (TARGET / foreign).symlink_to(Path("precious.jpg").absolute())
    else:
        build.write(TARGET / foreign, b"mine")
    before = tree()
    first = foreign if is_own else foreign.split("/")[0]
    for overwrite in (True, False) if not is_own else (True,):
        with pytest.raises(RefusalError, match=f"holds {first}, not made by me: move it away"):
            make("two", overwrite)
        assert tree() == before
    assert not HIDDEN["part"].exists()


@pytest.mark.parametrize("description", ["null", '{"made_by": "you"}', "", "[" * 100_000])
def test_a_folder_with_another_dataset_json_is_refused(description: str) -> None:
    build.write(TARGET / "dataset.json", description.encode())
    with pytest.raises(RefusalError, match="holds dataset.json, not made by me"):
        make("one", overwrite=True)
    assert tree() == {f"{TARGET.as_posix()}/dataset.json": description.encode()}


def test_targets_that_cannot_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = Path("a/b").absolute()
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    for target in (Path(), Path(".."), Path("/")):
        with pytest.raises(RefusalError, match="choose a folder inside it"):
            make("one", target=target)
    Path("file").write_text("mine")
    with pytest.raises(RefusalError, match="is not a folder"):
        make("one", target=Path("file"))
    with pytest.raises(OSError, match="file"):
        make("one", target=Path("file/below"))
    assert build.tree(Path()) == {"file": b"mine"}


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError])
def test_a_failure_leaves_everything_as_it_was(failure: type[BaseException]) -> None:
    make("one")
    for target in (TARGET, Path("new/other")):
        with pytest.raises(failure), output.new_folder(target, "me", True, pattern) as part:
            fill(part, "two")
            raise failure
    assert tree() == made("one")
    assert [path.name for path in TARGET.parent.iterdir()] == [TARGET.name]


def test_without_a_dataset_json_nothing_is_replaced() -> None:
    make("one")
    for target in (TARGET, Path("new/other")):
        with output.new_folder(target, "me", True, pattern) as part:
            (part / "notes.txt").write_text("two")
    assert tree() == made("one")


def test_what_appears_meanwhile_is_not_replaced() -> None:
    with (
        pytest.raises(RefusalError, match="holds mine.txt, not made by me"),
        output.new_folder(TARGET, "me", True, pattern) as part,
    ):
        fill(part, "one")
        build.write(TARGET / "mine.txt", b"mine")
    assert tree() == {f"{TARGET.as_posix()}/mine.txt": b"mine"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_two_runs_into_one_folder() -> None:
    with output.new_folder(TARGET, "me", False, pattern) as part:
        with pytest.raises(RefusalError, match="another run is writing to"):
            make("two")
        fill(part, "one")
    assert tree() == made("one")


@pytest.mark.parametrize("name", ["dataset.json", "metadata.csv", "images/a.jpg"])
def test_what_a_killed_run_left_half_written_does_not_stop_the_next(name: str) -> None:
    build.write(HIDDEN["part"] / name, b'{"made_by": "m')
    make("one")
    assert tree() == made("one")


def test_a_run_killed_between_its_renames_is_put_right_by_the_next() -> None:
    make("one")
    TARGET.rename(HIDDEN["old"])
    fill(HIDDEN["part"], "two")
    with pytest.raises(RefusalError, match="is there already"):
        make("three")
    assert tree() == made("one")
    fill(HIDDEN["old"], "older")  # killed before it was removed
    (HIDDEN["old"] / ".git").mkdir()
    make("two", overwrite=True)
    assert tree() == made("two") and (TARGET / ".git").is_dir()
    for name in ("part", "old"):  # both have a .git, and the old folder was half removed
        (HIDDEN[name] / ".git").mkdir(parents=True)
    make("three", overwrite=True)
    assert tree() == made("three") and not HIDDEN["old"].exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from tests import test_output
renames, rename = int(sys.argv[1]), Path.rename
def kill(path, destination):
    global renames
    renames -= 1
    if renames < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(path, destination)
Path.rename = kill
test_output.make("two", True, Path(sys.argv[2]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize(("renames", "left"), [(0, "one"), (1, ""), (2, "two")])
def test_a_killed_run_leaves_a_whole_folder_or_none(renames: int, left: str) -> None:
    make("one")
    code = build.run("-c", KILLED, renames, TARGET.absolute(), cwd=build.ROOT)[0]
    assert (code != 0) == (renames < 2)
    found = {name: data for name, data in tree().items() if "camus-" not in name}
    assert found == (made(left) if left else {})
    with pytest.raises(RefusalError, match="is there already"):
        make("three")
    assert tree() == made(left or "one")


@pytest.mark.skipif(os.name != "posix", reason="permissions of another kind")
def test_the_error_of_a_closed_parent_names_it() -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    Path("closed").mkdir(mode=0o500)
    with pytest.raises(PermissionError, match="closed"):
        make("one", target=Path("closed/target"))
