"""What lies in a folder: databases in every place, what people take for one, what is left out."""

import os
import tempfile
from pathlib import Path

import pytest

from . import build
from .build import DATABASE, MASTER, NAME
from .conftest import Run, refusal, says

OTHER = "patient0003_4CH_ED"  # the name of a pair that is made, whatever else is in the database


@pytest.mark.parametrize(
    ("chosen", "files", "facts"),
    [
        ("", "", "CAMUS_public; database_nifti; download; make_phantom_database.py"),
        ("data", "", "data does not exist; download; https://humanheart"),
        ("data", "data/.DS_Store", "nothing; patient0001/patient0001_2CH_ED.nii.gz; download"),
        ("data", "data/a data/b", "data; a; b; patient0001/patient0001_2CH_ED.nii.gz"),
        ("data", "data/patient0001/p.mhd data/patient0001/p.raw", "patient0001; older release"),
        ("data", "data/patient0001/Info_2CH.cfg", "data/patient0001; NIfTI; Info_2CH.cfg"),
        ("data", f"data/{NAME}.nii.gz", "above; patient0001/patient0001_2CH_ED.nii.gz"),
        ("data", "data/train/images/a.jpg", "train; split_master.py"),
        ("CAMUS.zip", "CAMUS.zip", "CAMUS.zip; a file; unpack"),
    ],
)
def test_other_folders_are_shown_by_what_they_hold(
    generate: Run, chosen: str, files: str, facts: str
) -> None:
    for file in files.split():
        build.write(Path(file), b"")
    before = set(Path().rglob("*"))
    assert says(refusal(generate(*chosen.split())), facts)
    assert set(Path().rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "database", "master"),
    [
        ("", "CAMUS_public/database_nifti", "CAMUS-master"),
        ("", "database_nifti", "CAMUS-master"),
        ("data out", "data/database_nifti", "out"),
        ("data out", "data/CAMUS_public/database_nifti", "out"),
        ("~/data ~/out", "home ä/data", "home ä/out"),
    ],
)
def test_where_a_database_is_found(
    generate: Run, monkeypatch: pytest.MonkeyPatch, arguments: str, database: str, master: str
) -> None:
    monkeypatch.setenv("HOME", str(Path("home ä").absolute()))
    build.write_pair(Path(database))
    code, out, _ = generate(*arguments.split())
    assert code == 0 and says(out, f"{database}: 1 patient; {master}: 1 pair")
    assert Path(master, f"images/{NAME}.jpg").exists()


@pytest.mark.parametrize(
    ("file", "facts"),
    [
        ("patient0002/notes.txt", "NIfTI"),
        ("patient0002.zip", "a file"),
        (f"patient0002/{NAME}.nii.gz", f"move; {DATABASE}/patient0001"),
        (f"patient0001/redo/{NAME}.nii", f"move; {DATABASE}/patient0001"),
        ("0002/patient0002_2CH_ED.nii.gz", f"move; {DATABASE}/patient0002"),
        ("patient0001/patient0001_3CH_ED.nii.gz", "name; patient0001_2CH_ED.nii.gz"),
        ("patient0001/patient0001_2CH_ES.NII.GZ", "name; patient0001_2CH_ED.nii.gz"),
        ("heart.nii", "name; patient0001_2CH_ED.nii.gz"),
    ],
)
def test_nothing_is_left_out_without_a_word(generate: Run, file: str, facts: str) -> None:
    build.write_pair(DATABASE, OTHER)
    build.write(DATABASE / file, b"")
    code, out, err = generate(DATABASE, MASTER)
    assert code == 1 and says(out, "1 pair; 1 problem")
    named = file.removesuffix("/notes.txt")  # the folder of a patient who has no other file
    assert err.count("\n") == 1 and err.startswith(f"{named}: ") and says(err, facts)


@pytest.mark.parametrize(
    "link", ["patient0002", "patientX", "patient0003/patient0003_4CH_ES.nii.gz"]
)
def test_broken_links_are_named(generate: Run, link: str) -> None:
    build.write_pair(DATABASE, OTHER)
    (DATABASE / "patient0003/notes.txt").symlink_to("gone")  # is no one's business
    (DATABASE / link).symlink_to("../.git/annex/objects/gone")
    code, out, err = generate(DATABASE, MASTER)
    assert code == 1 and says(out, "1 pair; 1 problem")
    assert err.count("\n") == 1 and err.startswith(f"{link}: ") and "broken link" in err


def test_other_files_are_no_ones_business(generate: Run) -> None:
    folder = build.write_pair(DATABASE)
    for name in ("MANDATORY_CITATION.md", f"{NAME}.mhd", f"._{NAME}.nii.gz", ".hidden/x.nii.gz"):
        build.write(folder / name, b"litter")
    for name in ("Thumbs.db", "patients.csv", "more/notes.txt", "__MACOSX/patient0001/x.nii.gz"):
        build.write(DATABASE / name, b"litter")
    code, out, err = generate(DATABASE, MASTER)
    assert (code, err) == (0, "") and says(out, "1 pair; 0 problems")


def test_what_an_option_leaves_out_is_no_problem(generate: Run) -> None:
    build.write_pair(DATABASE)
    for name in ("patient0002_4CH_ED", "patient0003_2CH_half_sequence"):
        build.write(DATABASE / name.split("_")[0] / f"{name}.nii.gz", b"damaged")
    code, out, err = generate(DATABASE, MASTER, "--views", "2CH")
    assert (code, err) == (0, "") and says(out, "1 pair; 0 problems")


@pytest.mark.skipif(os.name != "posix", reason="permissions of another kind")
def test_what_cannot_be_read_is_not_taken_for_missing(generate: Run) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        build.write_pair(folder / "database")
        build.write_pair(folder / "database", "patient0002_2CH_ED")
        closed = folder / "closed/database_nifti"
        closed.mkdir(parents=True)
        mask = folder / f"database/patient0001/{NAME}_gt.nii.gz"
        for path in (closed, mask, folder / "database/patient0002"):
            path.chmod(0)
        user = os.geteuid()
        os.seteuid(user or 65534)  # root may read everything
        try:
            code, out, err = generate(folder / "database", folder / "master")
            line = refusal(generate(folder / "closed", folder / "master"))
        finally:
            os.seteuid(user)
    assert code == 1 and says(out, "nothing written; 2 problems")
    first, second = err.splitlines()
    assert says(first, f"{NAME}: ; Permission denied; {mask.name}")
    assert says(second, "patient0002: ; Permission denied")
    assert says(line, f"Permission denied; {closed}")
