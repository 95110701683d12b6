"""What lies in a folder: databases in every place, and what people take for one."""

from pathlib import Path

import pytest

from . import build
from .build import DATABASE, MASTER, NAME
from .conftest import Run, refusal


@pytest.mark.parametrize(
    ("given", "names", "found"),
    [
        ("data", "", "does not exist"),
        ("data", "data/.DS_Store", "holds no patient folders"),
        ("data", "data", "is not a folder"),
        ("x.nii.gz", "x.nii.gz", "is one file"),
        ("CAMUS.zip", "CAMUS.zip", "is an archive"),
        ("data", "data/patient0001/patient0001_2CH_ED.mhd", "holds the older CAMUS release"),
        ("data", "data/training/patient0001/x.mhd", "holds the older CAMUS release"),
        ("data", "data/patient0001_2CH_ED.nii.gz", "holds NIfTI files without patient folders"),
        ("data", "data/imagesTr/p_0000.nii.gz data/labelsTr/p.nii.gz", "is an nnU-Net data set"),
        ("data", "data/images/a.jpg data/masks/a.jpg", "holds image/mask pairs already"),
        ("data", "data/train/images/a.jpg", "is a split dataset already"),
        ("data", "data/subgroup_testing.txt", "holds the lists of the split"),
        ("data", "data/0001/patient0001_2CH_ED.nii.gz", "not in folders patientNNNN"),
        ("data", "data/CAMUS_public.zip", "holds an archive"),
        ("data", "data/patient0001/Info_2CH.cfg", "holds patient folders without NIfTI files"),
    ],
)
def test_other_folders_are_called_what_they_are(
    generate: Run, given: str, names: str, found: str
) -> None:
    for name in names.split():
        build.write(Path(name), b"")
    before = build.tree(Path())
    line = refusal(generate(given, MASTER))
    assert given in line and found in line
    assert "patient0001/patient0001_2CH_ED" in line  # what is expected
    has_nothing = found in ("does not exist", "holds no patient folders")
    for advice in ("humanheart-project", "make_phantom_database.py database_nifti"):
        assert (advice in line) == has_nothing
    assert build.tree(Path()) == before and not MASTER.exists()


def test_the_folder_of_one_patient(generate: Run) -> None:
    line = refusal(generate(build.write_pair(DATABASE), MASTER))
    assert f"is the folder of one patient: choose the folder above it, {DATABASE.resolve()}" in line


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ((), "CAMUS_public/database_nifti"),
        ((), "database_nifti"),
        ((), "CAMUS_public"),  # unpacked one folder too shallow,
        ((), "CAMUS_public/CAMUS_public/database_nifti"),  # or too deep
        ((), "database_nifti/database_nifti"),
        (("data",), "data"),
        (("data",), "data/database_nifti"),
        (("data",), "data/CAMUS_public/database_nifti"),
    ],
)
def test_the_database_is_found(generate: Run, given: tuple[str, ...], place: str) -> None:
    build.write_pair(Path(place))
    assert generate(*given)[0] == 0
    assert Path(f"CAMUS-master/images/{NAME}.jpg").exists()


def test_no_database_here(generate: Run) -> None:
    assert "no CAMUS_public or database_nifti here" in refusal(generate())
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("patient0002/notes.txt", "patient0002: holds no frames"),
        ("patient0002", "patient0002: is a file"),
        ("0002/patient0002_2CH_ED.nii.gz", "0002: holds NIfTI files, but its name"),
        ("0002_2CH_ED.nii.gz", "0002_2CH_ED.nii.gz: is a file"),
        ("Patient0002/x.nii.gz", "Patient0002: holds NIfTI files, but its name"),
        *(
            (f"{folder}/{NAME}.nii.gz", f"{folder}/{NAME}.nii.gz: lies in the folder of another")
            for folder in ("patient0002", "patient0001 (copy)")
        ),
        *(
            (f"patient0002/{name}", f"patient0002/{name}: needs a name such as patientNNNN")
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
def test_nothing_is_left_out_without_a_word(generate: Run, path: str, reason: str) -> None:
    build.write_pair(DATABASE)
    build.write(DATABASE / path, b"")
    code, out, err = generate(DATABASE, MASTER)
    assert code == 1 and "1 pair written, 1 problem" in out
    assert err.startswith(reason) and err.count("\n") == 1


def test_a_database_of_broken_links(generate: Run) -> None:
    DATABASE.mkdir(parents=True)
    for patient in ("patient0001", "patient0002"):
        (DATABASE / patient).symlink_to("../.git/annex/objects/gone")
    code, out, err = generate(DATABASE, MASTER)
    assert code == 1 and "0 pairs, so nothing was written, 2 problems" in out
    for patient in ("patient0001", "patient0002"):
        assert f"{patient}: is a broken link: fetch" in err


def test_names_that_differ_in_case_alone_clash(generate: Run) -> None:
    for patient in ("patient000a", "patient000A", "patient0001"):
        build.write_pair(DATABASE, f"{patient}_2CH_ED")
    if len(list(DATABASE.iterdir())) < 3:
        pytest.skip("so they do on this disk")
    code, out, err = generate(DATABASE, MASTER)
    assert code == 1 and "1 pair written" in out
    assert "several files of one name: patient000A/" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "failed"),
    [((), True), (("--views", "4CH"), False), (("--frames", "sequence"), False)],
)
def test_only_names_of_frames_that_were_asked_for_count(
    generate: Run, options: tuple[str, ...], failed: bool
) -> None:
    build.write_pair(DATABASE, "patient0001_4CH_half_sequence", [build.IMAGE] * 2, [build.MASK] * 2)
    folder = build.write_pair(DATABASE, "patient0001_4CH_ED")
    for name in ("patient0001_2ch_ed.nii.gz", "patient0002_2CH_ED_gt.nii.gz"):
        build.write(folder / name, b"")
    code, _, err = generate(DATABASE, MASTER, *options)
    assert code == int(failed) and err.count("\n") == 2 * failed
