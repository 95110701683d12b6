"""The phantom database: the release's form, an EF that its masks show, pictures like echoes."""

from itertools import product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest

import make_phantom_database as script
from camus import phantom
from camus.facts import SUBGROUPS, VIEWS

from . import build
from .build import array
from .conftest import Run, refusal

PATIENTS = [f"patient000{number}" for number in range(1, 5)]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("phantom") / "CAMUS_public"
    assert script.main([str(path), "--patients", "4", "--frames", "4", "--seed", "3"]) == 0
    return path


def test_the_files_are_those_of_the_release(release: Path) -> None:
    """The key frames are the ends of the half sequence; one sequence runs from ES to ED."""
    expected = {"dataset.json", *(f"database_split/{name}" for name in SUBGROUPS.values())}
    keys = ["ED", "ES", "NbFrame", "Sex", "Age", "ImageQuality", "EF", "FrameRate"]
    for patient, view in product(PATIENTS, VIEWS):
        stem = f"database_nifti/{patient}/{patient}_{view}_"
        path = release / f"database_nifti/{patient}/Info_{view}.cfg"
        info = dict(line.split(": ") for line in path.read_text().splitlines())
        is_backwards = (patient, view) == ("patient0002", "4CH")
        assert [*info] == keys and info["NbFrame"] == "4"
        assert (info["ED"], info["ES"]) == (("4", "1") if is_backwards else ("1", "4"))
        expected.add(path.relative_to(release).as_posix())
        for instant, kind in product(("ED", "ES"), ("_gt.nii.gz", ".nii.gz")):
            expected |= {stem + instant + kind, f"{stem}half_sequence{kind}"}
            frames = array(release / f"{stem}half_sequence{kind}")
            key = array(release / (stem + instant + kind))
            assert np.array_equal(frames[int(info[instant]) - 1], key) and len(frames) == 4
    files = build.tree(release)
    assert {*files} == expected and b'"phantom": true' in files["dataset.json"]
    groups = [files[f"database_split/{name}"].decode().split() for name in SUBGROUPS.values()]
    assert [len(group) for group in groups] == [3, 1, 0] and sorted(sum(groups, [])) == PATIENTS


def test_headers_and_values_are_those_of_the_release(release: Path) -> None:
    for path in release.glob("database_nifti/*/*.nii.gz"):
        image = nib.nifti1.load(path)
        raw = nib.nifti1.Nifti1Header.from_fileobj(nib.openers.Opener(str(path)), check=True)
        assert raw.get_data_dtype() == np.dtype("<f4") and raw.get_xyzt_units()[0] == "mm"
        assert np.isnan(raw["scl_slope"]) and raw["vox_offset"] == 352
        assert raw["sform_code"] == raw["qform_code"] == 1
        assert raw.get_zooms()[:2] == pytest.approx((0.308, 0.308))
        assert np.allclose(image.affine, np.diag([-0.308, -0.308, 1, 1]))
        assert image.shape[:2] in phantom.SIZES
        assert path.read_bytes()[4:10] == bytes(4) + b"\4\xff"  # gzip: no time, an unknown system


def discs(mask: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The mean diameters of 20 discs of the cavity, from base to apex; pixels.

    The long axis runs from the middle of the border to the atrium to the farthest pixel.
    """
    y, x = np.nonzero((mask[:-1] == 1) & (mask[1:] == 3))
    middle = x.mean(), y.mean()
    points = np.argwhere(mask == 1)[:, ::-1] - middle
    distances = np.hypot(*points.T)
    length = distances.max()
    along = points @ points[distances.argmax()] / length**2  # 0 at the base, 1 at the apex
    disc = np.clip(along * 20, 0, 19).astype(int)
    return np.asarray(np.bincount(disc, minlength=20) / (length / 20))


def test_the_biplane_method_of_discs_finds_the_stated_ejection_fraction() -> None:
    stated = []
    for number in range(1, 21):
        patients = [phantom.draw_patient(5, number, view) for view in VIEWS]
        (two, two_es), (four, four_es) = (
            [discs(mask) for _, mask in phantom.draw_frames(patient, [0, 1])]
            for patient in patients
        )
        measured = 100 * (1 - np.sum(two_es * four_es) / np.sum(two * four))
        stated.append(patients[0].ef)
        assert measured == pytest.approx(stated[-1], abs=1.5)
    assert min(stated) < 40 and max(stated) > 60


def test_masks_are_anatomy_as_large_as_in_the_release() -> None:
    """Apex on top, the atrium under the cavity, myocardium at both sides, all within the sector.

    The shares of background and structures are those of the release's sample.
    """
    shares = []
    for number in range(1, 151):
        patient = phantom.draw_patient(0, number, VIEWS[number % 2])._replace(size=(300, 240))
        for image, mask in phantom.draw_frames(patient, [0, 1]):
            y = [np.nonzero(mask == label)[0] for label in range(4)]
            assert y[2].min() < y[1].min() < y[1].mean() < y[3].mean() < y[3].max()
            row = mask[int(y[1].mean())]
            assert row[np.nonzero(np.diff(row, prepend=9))].tolist() == [0, 2, 1, 2, 0]
            assert image.max() >= 204 and (image[mask > 0] > 0).mean() > 0.99
            shares.append(np.bincount(mask.ravel(), minlength=4) / mask.size)
    assert np.mean(shares, axis=0) == pytest.approx([0.771, 0.085, 0.093, 0.051], abs=0.01)
    assert np.std(shares, axis=0)[1] > 0.015  # not every heart looks the same


def test_same_seed_same_bytes(make_phantoms: Run) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        done = make_phantoms(name, "--patients", 2, "--seed", seed)
        assert done == (0, f"{name}: 2 phantom patients written\n", "")
    a, b, c = (build.tree(Path(name)) for name in "abc")
    assert a == b and not any("half_sequence" in name for name in a)
    assert all(c[name] != a[name] for name in a if "patient" in name)
    assert "replace it with --overwrite" in refusal(make_phantoms("a", "--patients", 1))
    assert make_phantoms("a", "--patients", 1, "--overwrite")[0] == 0
    assert [path.name for path in Path("a/database_nifti").iterdir()] == ["patient0001"]
    assert "a half sequence has two frames at least" in refusal(make_phantoms("b", "--frames", 1))
