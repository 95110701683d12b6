"""What lies in a folder: databases in every place, what people take for one, what is left out."""

import os
from pathlib import Path

import pytest

from . import build
from .build import DATABASE, MASTER, NAME, Run, posix, refusal

EXPECTED = "patient0001/patient0001_2CH_ED.nii.gz"
DOWNLOAD = "download CAMUS_public from https://humanheart-project.creatis.insa-lyon.fr/database, or"
CHOOSE = f"choose the folder with {EXPECTED}, or {DOWNLOAD}"
NO_FOLDER = "is not a folder of patients"


@pytest.mark.parametrize(("chosen", "files", "said"), [
    ("", "patients/notes.txt", f"{Path('CAMUS_public/database_nifti')} does not exist: {DOWNLOAD}"),
    ("", "CAMUS_public.zip", "CAMUS_public.zip is an archive: unpack it into the folder CAMUS_pub"),
    ("", "a.zip CAMUS_public.zip CAMUS_public/x.txt", f"{NO_FOLDER}, it holds x.txt: {CHOOSE}"),
    ("", "CAMUS_public/.DS_Store", f"CAMUS_public {NO_FOLDER}, it holds nothing: {CHOOSE}"),
    ("data", "", f"data does not exist: {DOWNLOAD} make phantom patients with generator/make_phan"),
    ("data", "data/aa data/bb", f"data {NO_FOLDER}, it holds aa, bb: {CHOOSE}"),
    ("data", "data/patient0001/p.mhd", "0001 holds no NIfTI files, it holds p.mhd: these files a"),
    ("data", f"data/{NAME}.nii.gz", f"choose the folder above, which must hold {EXPECTED} and so"),
    *(("data", f"data/{folder}/a.jpg", "was made from CAMUS; to split a master, use split_master.p")
      for folder in ("masks", "train/images")),
    ("", f"CAMUS_public/database_nifti/b/{EXPECTED} CAMUS_public/database_nifti/a/{EXPECTED}",
     f"they are in a, b below it: choose one, such as {Path('CAMUS_public/database_nifti/a')}"),
    ("CAMUS.zip", "CAMUS.zip", f"CAMUS.zip {NO_FOLDER}, it is a file: unpack the archive"),
])  # fmt: skip
def test_a_wrong_folder_is_explained(generate: Run, chosen: str, files: str, said: str) -> None:
    for file in files.split():
        build.write(Path(file), b"")
    before = set(Path().rglob("*"))
    assert said in refusal(generate(*chosen.split()))
    assert set(Path().rglob("*")) == before


@pytest.mark.parametrize(("arguments", "database", "master"), [
    ("", "CAMUS_public/database_nifti", "CAMUS-master"), ("", "CAMUS_public", "CAMUS-master"),
    ("", "database_nifti", "CAMUS-master"), ("data out", "data/database_nifti", "out"),
    ("", "CAMUS_public/CAMUS_public/database_nifti", "CAMUS-master"),  # unpacked twice
    ("", "CAMUS_public/database_nifti/database_nifti", "CAMUS-master"),
    ("", "repo/CAMUS_public/database_nifti", "CAMUS-master"),  # beside the README
    ("data out", "data/CAMUS_public/database_nifti", "out"), ("x y", "x/CAMUS_public", "y"),
    ("~/data ~/out", "home ä/data", "home ä/out"), ("data --size 64 out", "data", "out"),
])  # fmt: skip
def test_where_a_database_is_found(
    generate: Run, monkeypatch: pytest.MonkeyPatch, arguments: str, database: str, master: str
) -> None:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(Path("home ä").absolute()))
    build.write_pair(Path(database))
    Path(database).with_name("patients").mkdir()  # which must not hide the database
    assert f"{Path(database)}: 1 patient read\n" in generate(*arguments.split())[1]
    assert Path(master, f"images/{NAME}.jpg").exists()


NEEDS_NAME = "is not read: it needs a name like patient0001_2CH_ED.nii.gz"
MOVE, NO_PATIENT = f"is not read: move it to {DATABASE}", "not the folder of a patient"


@pytest.mark.parametrize(("file", "reason"), [
    ("patient0002/notes.txt", "holds no NIfTI files"),
    ("patient0002.zip", f"is a file or a broken link, {NO_PATIENT}"),
    (f"patient0002/{NAME}.nii.gz", f"{MOVE}{os.sep}patient0001"),
    (f"redo/patient0001/{NAME}.nii", f"{MOVE}{os.sep}patient0001"),
    ("heart.nii", NEEDS_NAME), ("patient0001/patient0001_2CH_ES.NII.GZ", NEEDS_NAME),
    ("patient,1/patient,1_2CH_ED.nii", NEEDS_NAME),  # no list of patients could hold the name
    pytest.param("link: patientX", NO_PATIENT, marks=posix),
    pytest.param("link: patient0003/patient0003_4CH_ES.nii.gz", "is a broken link", marks=posix),
])  # fmt: skip
def test_nothing_is_left_out_without_a_word(generate: Run, file: str, reason: str) -> None:
    build.write_pair(DATABASE, "patient0003_4CH_ED")
    if file.startswith("link: "):
        file = file.removeprefix("link: ")
        (DATABASE / file).symlink_to("../.git/annex/objects/gone")
    else:
        build.write(DATABASE / file, b"")
    code, out, err = generate(DATABASE, MASTER)
    assert code == 1 and ": 1 pair written, 1 problem\n" in out
    named = file.removesuffix("/notes.txt")  # the folder of a patient who has no other file
    assert err.count("\n") == 1 and err.startswith(f"{named}: ") and reason in err


def test_other_files_are_no_ones_business(generate: Run) -> None:
    """Nor what an option leaves out, or lies more than two folders down."""
    build.write_pair(DATABASE)
    for name in ("patient0001/MANDATORY_CITATION.md", f"patient0001/{NAME}.mhd", "Thumbs.db",
                 f"patient0001/._{NAME}.nii.gz", "patient0001/.hidden/x.nii.gz", "patients.csv",
                 "more.nii/notes.txt", "__MACOSX/patient0001/x.nii.gz", "patient0001/redo/a/x.nii",
                 "patient0002/patient0002_4CH_ED.nii.gz",
                 "patient0003/patient0003_2CH_half_sequence.nii.gz"):  # fmt: skip
        build.write(DATABASE / name, b"litter")
    code, out, err = generate(DATABASE, MASTER, "--views", "2CH")
    assert (code, err) == (0, "") and "1 pair written, 0 problems" in out


@posix
def test_what_cannot_be_read_is_not_taken_for_missing(generate: Run) -> None:
    build.write_pair(DATABASE)
    generate(DATABASE, MASTER)  # now all is imported, also if Python lies in a folder of root
    with build.as_a_common_user() as place:
        database, master = place / "database", place / "master"
        mask = build.write_pair(database) / f"{NAME}_gt.nii.gz"
        patient = build.write_pair(database, "patient0002_2CH_ED")
        for path in (mask, patient):
            path.chmod(0)
        code, out, err = generate(database, master)
        line = refusal(generate(patient, master))
    denied = "[Errno 13] Permission denied: "
    assert code == 1 and "nothing written, 2 problems" in out
    assert err == f"{NAME}: {denied}'{mask}'\npatient0002: {denied}'{patient}'\n"
    assert line.endswith(f": {denied}'{patient}'\n")
