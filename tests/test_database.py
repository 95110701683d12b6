"""What lies in a folder: databases in every place, what people take for one, what is left out."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import build
from .build import DATABASE, MASTER, NAME, rows
from .conftest import Run, refusal


@pytest.mark.parametrize(
    ("chosen", "names", "reason"),
    [
        ("data", "", "data does not exist: download CAMUS_public from https://humanheart"),
        ("data", "data/.DS_Store", "holds nothing: choose the folder with patient0001/patient0001"),
        ("data", "data/a data/b", "it holds a, b: choose the folder with patient0001/"),
        ("x.nii.gz", "x.nii.gz", "not a folder of patients, it is a file: choose the folder with"),
        ("CAMUS.zip", "CAMUS.zip", "it is a file: unpack the archive"),
        ("data", "data/patient0001/p.mhd data/patient0001/p.raw", "of the older release"),
        ("data", "data/patient0001_2CH_ED.nii.gz", "choose the folder above, which must hold"),
        ("data", "data/images/a.jpg data/masks/a.jpg", "it holds images, masks: this was made"),
        ("data", "data/train/images/a.jpg", "it holds train: this was made from CAMUS"),
        ("data", "data/CAMUS_public.zip", "unpack the archive"),
        ("data", "data/patient0001/Info_2CH.cfg", "patient0001 holds no NIfTI files, it holds"),
    ],
)
def test_other_folders_are_shown_by_what_they_hold(
    generate: Run, chosen: str, names: str, reason: str
) -> None:
    for name in names.split():
        build.write(Path(name), b"")
    before = build.tree(Path())
    assert reason in refusal(generate(chosen, MASTER))
    assert build.tree(Path()) == before and not MASTER.exists()


def test_no_database_here(generate: Run) -> None:
    assert "no CAMUS_public or database_nifti here: download" in refusal(generate())
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("chosen", "place"),
    [
        ((), "CAMUS_public/database_nifti"),
        ((), "database_nifti"),
        (("data",), "data"),
        (("data",), "data/database_nifti"),
        (("data",), "data/CAMUS_public/database_nifti"),
        (("~/data",), "home ä/data"),
    ],
)
def test_the_database_is_found_and_said(
    generate: Run, monkeypatch: pytest.MonkeyPatch, chosen: tuple[str, ...], place: str
) -> None:
    monkeypatch.setenv("HOME", str(Path("home ä").absolute()))
    build.write_pair(Path(place))
    code, out, _ = generate(*chosen, *(["~/out"] if chosen else []))
    assert code == 0 and f"{place}: 1 patient read\n" in out
    master = Path("home ä/out" if chosen else "CAMUS-master")
    assert (master / f"images/{NAME}.jpg").exists() and not Path("~").exists()


NOT_READ = "is not read: move it to"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("patient0002/notes.txt", "patient0002: holds no NIfTI files"),
        ("patient0002", "patient0002: is a file, not the folder of a patient"),
        ("patient0002.zip", "patient0002.zip: is a file, not the folder of a patient"),
        ("0002/patient0002_2CH_ED.nii.gz", f"0002/patient0002_2CH_ED.nii.gz: {NOT_READ}"),
        (f"patient0002/{NAME}.nii.gz", f"patient0002/{NAME}.nii.gz: {NOT_READ}"),
        (f"patient0001/redo/{NAME}.nii.gz", f"patient0001/redo/{NAME}.nii.gz: {NOT_READ}"),
        (f"patient0001/{NAME}_gt.nii.gz/x.nii", f"patient0001/{NAME}_gt.nii.gz/x.nii: is not read"),
        (f"more/patient0001/{NAME}.nii.gz", f"more/patient0001/{NAME}.nii.gz: {NOT_READ}"),
        ("patient0001/patient0001_2CH_ES.NII.GZ", "needs a name like patient0001_2CH_ED.nii.gz"),
        ("patient0001/patient0001_3CH_ED.nii.gz", "needs a name like patient0001_2CH_ED.nii.gz"),
        ("patient\udcff/patient\udcff_2CH_ED.nii.gz", "needs a name like patient0001_2CH_ED.nii"),
    ],
)
def test_nothing_is_left_out_without_a_word(generate: Run, path: str, reason: str) -> None:
    build.write_pair(DATABASE, "patient0003_4CH_ED")
    if not (DATABASE / path).parent.parent.name.endswith(".gz"):
        build.write(DATABASE / path, b"")
    code, out, err = generate(DATABASE, MASTER)
    assert code == 1 and "1 pair written, 1 problem" in out
    assert reason in err and err.count("\n") == 1


@pytest.mark.parametrize("name", ["patient0002", "patient0003/patient0003_4CH_ES.nii.gz"])
def test_broken_links_are_named(generate: Run, name: str) -> None:
    build.write_pair(DATABASE, "patient0003_4CH_ED")
    (DATABASE / "patient0003/notes.txt").symlink_to("gone")  # is no one's business
    (DATABASE / name).parent.mkdir(exist_ok=True)
    (DATABASE / name).symlink_to("../.git/annex/objects/gone")
    code, _, err = generate(DATABASE, MASTER)
    assert (code, err) == (1, f"{name}: is a broken link: fetch what it points to\n")


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store", f"._{NAME}.nii.gz", "Icon\r", "Thumbs.db", "notes.txt", "patients.csv",
        "__MACOSX/patient0001/x.nii.gz", f"patient0001/{NAME}.mhd", f"patient0001/{NAME}.raw",
        "patient0001/MANDATORY_CITATION.md", "patient0001/.hidden/x.nii.gz", "more/notes.txt",
    ],
)  # fmt: skip
def test_other_files_are_no_ones_business(generate: Run, name: str) -> None:
    build.write_pair(DATABASE)
    build.write(DATABASE / name, b"litter")
    code, out, err = generate(DATABASE, MASTER)
    assert (code, err) == (0, "") and "1 pair written, 0 problems" in out


def test_what_an_option_leaves_out_is_no_problem(generate: Run) -> None:
    build.write_pair(DATABASE)
    build.write(DATABASE / "patient0002/patient0002_4CH_ED.nii.gz", b"")
    build.write(DATABASE / "patient0003/patient0003_2CH_half_sequence.nii.gz", b"")
    code, _, err = generate(DATABASE, MASTER, "--views", "2CH")
    assert (code, err) == (0, "")
    line = refusal(generate(DATABASE, "other", "--views", "4CH", "--frames", "sequence"))
    assert "has no sequence frames of 4CH: try --frames key" in line


@pytest.mark.parametrize("patient", ["patient_sequence_1", "patient Jörg Å", "patient"])
def test_patients_may_have_any_name(generate: Run, split: Run, patient: str) -> None:
    build.write_pair(DATABASE, f"{patient}_2CH_ED", patient=patient)
    assert generate(DATABASE, MASTER)[0] == 0
    assert [row["patient"] for row in rows(MASTER)] == [patient]
    assert split(MASTER, "dataset")[0] == 0
    assert Path(f"dataset/train/images/{patient}_2CH_ED.jpg").exists()


def test_a_pair_that_is_there_twice_takes_one_line(generate: Run) -> None:
    build.write_pair(DATABASE)
    build.write_pair(DATABASE, suffix=".nii")
    build.write_pair(DATABASE, "patient0002_2CH_ED")
    code, _, err = generate(DATABASE, MASTER)
    assert code == 1 and err.startswith(f"{NAME}: is there twice ({NAME}.nii, {NAME}.nii.gz, ")
    assert err.count("\n") == 1 and "delete the .nii or the .nii.gz of each" in err


@pytest.fixture
def powerless() -> Iterator[None]:
    """A folder that everyone may write to, and a user who may not read all."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        os.chdir(name)
        build.write_pair(DATABASE)
        build.write_pair(DATABASE, "patient0002_2CH_ED")
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(65534)
        yield
        if is_root:
            os.seteuid(0)
        os.chdir("/")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of another kind")
@pytest.mark.usefixtures("powerless")
def test_what_cannot_be_read_is_not_taken_for_missing(generate: Run) -> None:
    def close(path: Path) -> None:
        user = os.geteuid()
        os.seteuid(os.getuid())
        path.chmod(0)
        os.seteuid(user)

    close(DATABASE / "patient0002")
    close(DATABASE / f"patient0001/{NAME}_gt.nii.gz")
    code, out, err = generate(DATABASE, MASTER)
    assert code == 1 and "not written, no pair could be made, 2 problems" in out
    assert "patient0002: cannot be read (Permission denied)" in err
    assert f"{NAME}: {NAME}_gt.nii.gz cannot be read (Permission denied)" in err
    close(DATABASE)
    assert f"{DATABASE}: Permission denied" in refusal(generate(DATABASE, MASTER))
    close(DATABASE.parent)
    assert f"{DATABASE}: Permission denied" in refusal(generate(DATABASE, MASTER))
    shutil.rmtree(MASTER, ignore_errors=True)
