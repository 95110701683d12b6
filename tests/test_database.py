"""What lies in a folder: databases in every place, and what people take for one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from . import build
from .conftest import Run

NAME = "patient0001_2CH_ED"


def empty(*names: str) -> Callable[[Path], object]:
    """Makes a folder of empty files."""

    def make(folder: Path) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"")

    return make


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda folder: None, "does not exist"),
        (lambda folder: folder.mkdir(), "holds no patient folders"),
        (lambda folder: folder.write_bytes(b""), "is not a folder"),
        (empty("patient0001/patient0001_2CH_ED.mhd"), "holds the older CAMUS release"),
        (empty("training/patient0001/patient0001_2CH_ED.mhd"), "holds the older CAMUS release"),
        (empty("patient0001_2CH_ED.nii.gz"), "holds NIfTI files without patient folders"),
        (empty("imagesTr/p_0000.nii.gz", "labelsTr/p.nii.gz"), "is an nnU-Net data set"),
        (empty("images/a.jpg", "masks/a.jpg"), "holds image/mask pairs already"),
        (empty("train/images/a.jpg"), "is a split dataset already"),
        (empty("subgroup_testing.txt"), "holds the subgroups of the split"),
        (
            empty("0001/patient0001_2CH_ED.nii.gz"),
            "holds NIfTI files, but not in folders patientNNNN",
        ),
        (empty("CAMUS_public.zip"), "holds an archive: unpack it"),
        (empty("patient0001/Info_2CH.cfg"), "holds patient folders without NIfTI files"),
    ],
)
def test_other_folders_are_called_what_they_are(
    generate: Run, tmp_path: Path, make: Callable[[Path], object], found: str
) -> None:
    make(tmp_path / "data")
    before = build.tree(tmp_path)
    code, out, err = generate(tmp_path / "data", tmp_path / "master")
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert f"{tmp_path / 'data'} {found}" in err
    assert "Expected is the folder database_nifti with patient0001/patient0001_2CH_ED" in err
    nothing = found in ("does not exist", "holds no patient folders")
    for advice in ("humanheart-project", "make_phantom_database.py demo/database_nifti"):
        assert (advice in err) == nothing
    assert build.tree(tmp_path) == before and not (tmp_path / "master").exists()


def test_the_folder_of_one_patient(generate: Run, database: Path, master: Path) -> None:
    folder = build.write_pair(database)
    code, _, err = generate(folder, master)
    assert (
        code == 2 and f"is the folder of one patient: name the folder above it, {database}" in err
    )


@pytest.mark.parametrize("given", ["", "database_nifti", "CAMUS_public/database_nifti"])
def test_the_database_is_found_inside_the_folder_given(
    generate: Run, tmp_path: Path, given: str
) -> None:
    build.write_pair(tmp_path / "data" / given)
    assert generate(tmp_path / "data", tmp_path / "master")[0] == 0


@pytest.mark.parametrize(
    "place",
    [
        "CAMUS_public/database_nifti",
        "database_nifti",
        "CAMUS_public",  # unpacked one folder too shallow,
        "CAMUS_public/CAMUS_public/database_nifti",  # or too deep
        "database_nifti/database_nifti",
    ],
)
def test_default_places(
    generate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    build.write_pair(tmp_path / place)
    monkeypatch.chdir(tmp_path)
    assert generate()[0] == 0
    assert (tmp_path / f"CAMUS-master/images/{NAME}.jpg").exists()


def test_no_database_here(generate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = generate()
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert "no CAMUS_public or database_nifti here" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("make", "name", "reason"),
    [
        (empty("patient0002/notes.txt"), "patient0002", "holds no frames"),
        (empty("patient0002"), "patient0002", "is a file; a folder for each patient is expected"),
        (empty("0002/patient0002_2CH_ED.nii.gz"), "0002", "its name does not begin with patient"),
        (empty("0002_2CH_ED.nii.gz"), "0002_2CH_ED.nii.gz", "is a file; a folder for each"),
        (empty("Patient0002/x.nii.gz"), "Patient0002", "its name does not begin with patient"),
        (
            lambda folder: (folder / "patient0002").symlink_to(".git/annex/objects/gone"),
            "patient0002",
            "is a broken link: fetch what it stands for",
        ),
        (
            empty("patient0002/patient0003_2CH_ED.nii.gz"),
            "patient0002/patient0003_2CH_ED.nii.gz",
            "lies in the folder of another patient",
        ),
        *(
            (
                empty(f"patient0002/{name}"),
                f"patient0002/{name}",
                "should be called patientNNNN_2CH_ED.nii.gz and",
            )
            for name in (
                "patient0002_2CH_ED.NII.GZ",
                "patient0002_2ch_ed.nii.gz",
                "patient0002_2CH_ED.nii.gz.part",
                "patient0002_2CH_ED_gt_corrected.nii.gz",
                "patient0002_2CH_ED.mha",
                "patient0002_3CH_ED.nii.gz",
                "patient0002-2CH-ED.nii.gz",
            )
        ),
    ],
)
def test_nothing_is_left_out_without_a_word(
    generate: Run,
    database: Path,
    master: Path,
    make: Callable[[Path], object],
    name: str,
    reason: str,
) -> None:
    build.write_pair(database)
    make(database)
    code, out, err = generate(database, master)
    assert code == 1 and "1 pair written, 1 failed" in out
    assert err.startswith(f"{name}: ") and reason in err and err.count("\n") == 1


def test_a_database_of_broken_links(generate: Run, database: Path, master: Path) -> None:
    database.mkdir(parents=True)
    (database / "patient0001").symlink_to("../.git/annex/objects/gone")
    code, out, err = generate(database, master)
    assert code == 1 and "0 pairs, so nothing was written, 1 failed" in out
    assert "patient0001: is a broken link" in err


def test_names_that_differ_in_case_alone_clash(generate: Run, database: Path, master: Path) -> None:
    for patient in ("patient000a", "patient000A", "patient0001"):
        build.write_pair(database, f"{patient}_2CH_ED")
    if len(list(database.iterdir())) < 3:
        pytest.skip("so they do on this disk")
    code, out, err = generate(database, master)
    assert code == 1 and "1 pair written" in out
    assert "several files of one name: patient000A/" in err and err.count("\n") == 1


def test_a_copy_of_a_patient_is_named(generate: Run, database: Path, master: Path) -> None:
    shutil.copytree(build.write_pair(database), database / "patient0001 (copy)")
    code, _, err = generate(database, master)
    assert code == 1 and err.count("\n") == 2
    name = "patient0001 (copy)/patient0001_2CH_ED.nii.gz"
    assert f"{name}: lies in the folder of another patient" in err


@pytest.mark.parametrize(
    ("options", "failed"),
    [((), True), (("--views", "4CH"), False), (("--frames", "sequence"), False)],
)
def test_only_names_of_frames_that_were_asked_for_count(
    generate: Run, database: Path, master: Path, options: tuple[str, ...], failed: bool
) -> None:
    build.write_pair(database, "patient0001_4CH_half_sequence", [build.IMAGE] * 2, [build.MASK] * 2)
    folder = build.write_pair(database, "patient0001_4CH_ED")
    (folder / "patient0001_2ch_ed.nii.gz").write_bytes(b"")
    (folder / "patient0002_2CH_ED_gt.nii.gz").write_bytes(b"")
    code, _, err = generate(database, master, *options)
    assert code == int(failed) and err.count("\n") == 2 * failed
