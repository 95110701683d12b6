"""The phantom database: the release's form, an EF that its masks show, pictures like echoes."""

import shutil
from pathlib import Path
from typing import Any

import cv2
import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest

import make_phantom_database as script
from camus import phantom

from . import build
from .build import array
from .conftest import Run, refusal

Array = npt.NDArray[Any]
VIEWS = ("2CH", "4CH")
PATIENTS = [f"patient000{number}" for number in range(1, 5)]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("phantom") / "CAMUS_public"
    assert script.main([str(path), "--patients", "4", "--frames", "4", "--seed", "3"]) == 0
    return path / "database_nifti"


def info(database: Path, patient: str, view: str) -> dict[str, str]:
    lines = (database / patient / f"Info_{view}.cfg").read_text().splitlines()
    return dict(line.split(": ") for line in lines)


def test_the_files_are_those_of_the_release(database: Path) -> None:
    kinds = [f"_{view}_{instant}{gt}.nii.gz" for view in VIEWS
             for instant in ("ED", "ES", "half_sequence") for gt in ("", "_gt")]  # fmt: skip
    assert {path.name for path in database.iterdir()} == {*PATIENTS}
    for name in PATIENTS:
        expected = {name + kind for kind in kinds} | {"Info_2CH.cfg", "Info_4CH.cfg"}
        assert {path.name for path in (database / name).iterdir()} == expected
        two, four = (info(database, name, view) for view in VIEWS)
        assert {*two} == {"ED", "ES", "NbFrame", "Sex", "Age", "ImageQuality", "EF", "FrameRate"}
        assert all(two[key] == four[key] for key in ("Sex", "Age", "EF", "FrameRate"))


def test_the_lists_stand_beside_it(database: Path) -> None:
    files = build.tree(database.parent / "database_split")
    names = [f"subgroup_{group}.txt" for group in ("training", "validation", "testing")]
    assert {*files} == {*names}
    groups = [files[name].decode().split() for name in names]
    assert [len(group) for group in groups] == [2, 1, 1] and sorted(sum(groups, [])) == PATIENTS
    described = (database.parent / "dataset.json").read_text()
    assert '"phantom": true' in described and '"seed": 3' in described


def test_headers_and_values_are_those_of_the_release(database: Path) -> None:
    for path in database.glob("*/*.nii.gz"):
        image = nib.nifti1.load(path)
        raw = nib.nifti1.Nifti1Header.from_fileobj(nib.openers.Opener(str(path)), check=True)
        assert raw.get_data_dtype() == np.dtype("<f4") and raw.get_xyzt_units()[0] == "mm"
        assert np.isnan(raw["scl_slope"]) and np.isnan(raw["scl_inter"])
        assert raw["vox_offset"] == 352
        assert raw.get_zooms()[:2] == pytest.approx((0.308, 0.308))
        assert np.allclose(image.affine, np.diag([-0.308, -0.308, 1, 1]))
        assert image.shape[:2] in phantom.SIZES
        assert image.shape[2:] == ((4,) if "half_sequence" in path.name else ())
        assert path.read_bytes()[4:8] == bytes(4)  # gzip's time stamp
        pixels = np.asarray(image.dataobj)
        if "_gt" in path.name:
            assert np.unique(pixels).tolist() == [0, 1, 2, 3]
        else:
            assert np.array_equal(pixels, np.rint(pixels))
            assert pixels.min() == 0 and 204 <= pixels.max() <= 255


def test_key_frames_are_the_ends_of_the_half_sequence(database: Path) -> None:
    backwards = []
    for path in database.glob("*/*_half_sequence*.nii.gz"):
        frames, (patient, view) = array(path), path.name.split("_")[:2]
        facts = info(database, patient, view)
        assert {facts["ED"], facts["ES"]} == {"1", "4"} and facts["NbFrame"] == "4"
        if facts["ED"] == "4":
            backwards.append(f"{patient} {view}")
        for instant in ("ED", "ES"):
            key = array(path.with_name(path.name.replace("half_sequence", instant)))
            assert np.array_equal(frames[int(facts[instant]) - 1], key)
    assert backwards == ["patient0002 4CH"] * 2  # one sequence and its mask


def discs(mask: Array) -> tuple[Array, float]:
    """The mean diameters of 20 discs of the cavity from base to apex, and its length; pixels.

    The long axis runs from the middle of the border to the atrium to the farthest pixel.
    """
    y, x = np.nonzero((mask[:-1] == 1) & (mask[1:] == 3))
    middle = x.mean(), y.mean()
    y, x = np.nonzero(mask == 1)
    points = np.stack([x, y], 1) - middle
    distances = np.hypot(*points.T)
    length = distances.max()
    along = points @ points[distances.argmax()] / length**2  # 0 at the base, 1 at the apex
    disc = np.clip(along * 20, 0, 19).astype(int)
    return np.bincount(disc, minlength=20) / (length / 20), length


def test_the_biplane_method_of_discs_finds_the_stated_ejection_fraction() -> None:
    stated = []
    for number in range(1, 21):
        patient = phantom.draw_patient(5, number)
        (two, length), (two_es, _), (four, other_length), (four_es, _) = (
            discs(mask) for view in VIEWS for _, mask in phantom.draw_frames(patient, view, [0, 1])
        )
        assert 0.9 < length / other_length < 1.1  # two views of the same heart
        measured = 100 * (1 - np.sum(two_es * four_es) / np.sum(two * four))
        assert measured == pytest.approx(patient.ef, abs=1.5)
        stated.append(patient.ef)
    assert min(stated) < 40 and max(stated) > 60


def test_masks_are_anatomy(database: Path) -> None:
    """Apex on top, the atrium under the cavity, myocardium on three sides and open at the base."""
    for path in database.glob("*/*_E?_gt.nii.gz"):
        mask = array(path)
        y = [np.nonzero(mask == label)[0] for label in range(4)]
        assert y[2].min() < y[1].min() < y[1].mean() < y[3].mean() < y[3].max()
        row = mask[int(y[1].mean())]
        assert row[np.nonzero(np.diff(row, prepend=9))].tolist() == [0, 2, 1, 2, 0]
        column = mask[:, int(np.median(np.nonzero(mask == 1)[1]))]
        assert column[np.nonzero(column == 1)[0].max() + 1] == 3


def test_masks_are_as_large_as_in_the_release_and_stay_in_the_sector() -> None:
    shares = []
    for number in range(1, 26):
        patient = phantom.draw_patient(0, number)
        for image, mask in phantom.draw_frames(patient, VIEWS[number % 2], [0, 1]):
            shares.append(np.bincount(mask.ravel(), minlength=4) / mask.size)
            assert image.max() >= 204
            closed = cv2.morphologyEx(image, cv2.MORPH_CLOSE, np.ones((9, 9)))
            assert closed[mask > 0].all()
            edge = cv2.erode(closed, np.ones((3, 3)), borderValue=0) == 0
            assert not (edge & ((mask == 1) | (mask == 2))).any()  # the walls are not cut off
    assert np.mean(shares, axis=0) == pytest.approx([0.771, 0.085, 0.093, 0.051], abs=0.01)
    assert np.std(shares, axis=0)[1] > 0.015  # not every heart looks the same


def test_same_seed_same_bytes(make_phantoms: Run) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        code, out, _ = make_phantoms(name, "--patients", 2, "--seed", seed)
        assert code == 0 and f"{name}: 2 phantom patients written" in out
    trees = [build.tree(Path(name)) for name in "abc"]
    assert trees[0] == trees[1]
    for name, data in trees[2].items():  # another seed draws other hearts
        assert "patient" not in name or data != trees[0][name]
    assert not any("half_sequence" in name for name in trees[0])


def test_overwrite_replaces_phantoms_alone(make_phantoms: Run) -> None:
    make_phantoms("a", "--patients", 2, "--frames", 2)
    before = build.tree(Path("a"))
    assert "replace it with --overwrite" in refusal(make_phantoms("a", "--patients", 1))
    mine = build.write(Path("a/database_nifti/patient0001/mine.nii.gz"), b"")
    assert "patient0001/mine.nii.gz, not made" in refusal(make_phantoms("a", "--overwrite"))
    mine.unlink()
    mine = build.write(Path("a/database_split/subgroup_mine.txt"), b"")
    assert "subgroup_mine.txt, not made" in refusal(make_phantoms("a", "--overwrite"))
    mine.unlink()
    mine = build.write(Path("a/database_nifti/patient0003/Info_2CH.cfg"), b"")  # a third patient
    assert "patient0003/Info_2CH.cfg, not made" in refusal(make_phantoms("a", "--overwrite"))
    shutil.rmtree(mine.parent)
    assert build.tree(Path("a")) == before
    assert make_phantoms("a", "--patients", 1, "--overwrite")[0] == 0
    assert {path.name for path in Path("a/database_nifti").iterdir()} == {"patient0001"}
    assert "two frames at least" in refusal(make_phantoms("b", "--frames", 1))
