"""The phantom database: the release's form, an EF that its masks show, pictures like echoes."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest

from generator import make_phantom_database as script
from generator import phantom
from generator.phantom import TISSUE, Quality, Sector

from . import build
from .conftest import Run

PATIENTS = 3


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("phantom") / "database_nifti"
    arguments = [str(path), "--patients", str(PATIENTS), "--frames", "4", "--seed", "3"]
    assert script.main(arguments) == 0
    return path


def info(database: Path, patient: str, view: str) -> dict[str, str]:
    lines = (database / patient / f"Info_{view}.cfg").read_text().splitlines()
    return dict(line.split(": ") for line in lines)


def array(path: Path) -> npt.NDArray[np.float32]:
    return np.asarray(nib.nifti1.load(path).dataobj).T


def test_the_files_are_those_of_the_release(database: Path) -> None:
    kinds = [f"_{view}_{i}{gt}.nii.gz" for view in ("2CH", "4CH")
             for i in ("ED", "ES", "half_sequence") for gt in ("", "_gt")]  # fmt: skip
    for number in range(1, PATIENTS + 1):
        name = f"patient000{number}"
        expected = {name + kind for kind in kinds} | {"Info_2CH.cfg", "Info_4CH.cfg"}
        assert {path.name for path in (database / name).iterdir()} == expected
    groups = [
        (database.parent / "database_split" / f"subgroup_{group}.txt").read_text().split()
        for group in ("training", "validation", "testing")
    ]
    assert [len(group) for group in groups] == [1, 1, 1]
    assert sorted(sum(groups, [])) == [f"patient000{n}" for n in range(1, PATIENTS + 1)]


def test_headers_and_values_are_those_of_the_release(database: Path) -> None:
    for path in database.glob("*/*.nii.gz"):
        image = nib.nifti1.load(path)
        header, pixels = image.header, np.asarray(image.dataobj)
        raw = nib.nifti1.Nifti1Header.from_fileobj(nib.openers.Opener(str(path)), check=True)
        assert header.get_data_dtype() == np.dtype("<f4")
        assert np.isnan(raw["scl_slope"]) and raw["vox_offset"] == 352
        assert header.get_zooms()[:2] == pytest.approx((0.308, 0.308))
        assert header.get_xyzt_units()[0] == "mm"
        assert np.allclose(image.affine, np.diag([-0.308, -0.308, 1, 1]))
        width, height = image.shape[:2]
        assert width > height and 382 <= width <= 787 and 325 <= height <= 649
        assert np.array_equal(pixels, np.rint(pixels))
        if "_gt" in path.name:
            assert np.unique(pixels).tolist() == [0, 1, 2, 3]
        else:
            assert pixels.min() == 0 and 204 <= pixels.max() <= 255


def test_key_frames_are_the_ends_of_the_half_sequence(database: Path) -> None:
    backwards = []
    for path in database.glob("*/*_half_sequence*.nii.gz"):
        frames, (patient, view) = array(path), path.name.split("_")[:2]
        assert len(frames) == 4
        facts = info(database, patient, view)
        assert {facts["ED"], facts["ES"]} == {"1", "4"} and facts["NbFrame"] == "4"
        if facts["ED"] == "4":
            backwards.append(f"{patient} {view}")
        for instant in ("ED", "ES"):
            key = array(path.with_name(path.name.replace("half_sequence", instant)))
            assert np.array_equal(frames[int(facts[instant]) - 1], key)
    assert backwards == ["patient0002 4CH"] * 2  # one sequence and its mask


def area_and_length(mask: npt.NDArray[np.float32]) -> tuple[int, float]:
    """Of the cavity: pixels, and the distance from the middle of its base to its apex."""
    y, x = np.nonzero(mask == 1)
    low = y > y.max() - 4
    return len(y), float(np.hypot(x - x[low].mean(), y - y[low].mean()).max())


def test_the_area_length_method_finds_the_stated_ejection_fraction(database: Path) -> None:
    for path in database.glob("*/*_ED_gt.nii.gz"):
        volumes = []
        for instant in ("ED", "ES"):
            area, length = area_and_length(array(path.with_name(path.name.replace("ED", instant))))
            volumes.append(area**2 / length)
        stated = float(info(database, *path.name.split("_")[:2])["EF"])
        assert 100 * (1 - volumes[1] / volumes[0]) == pytest.approx(stated, abs=2)


def test_contraction_by_hand() -> None:
    assert phantom.contraction(0.5, 0) == (1, 1)
    across, along = phantom.contraction(0.5, 1)
    assert along == pytest.approx(0.88)
    assert across**2 * along == pytest.approx(0.5)


def test_masks_are_anatomy(database: Path) -> None:
    """Apex on top, the atrium under the cavity, myocardium on three sides and open at the base."""
    for path in database.glob("*/*_E?_gt.nii.gz"):
        mask = array(path)
        y = [np.nonzero(mask == label)[0] for label in range(4)]
        assert y[2].min() < y[1].min() < y[1].mean() < y[3].mean() < y[3].max()
        row = mask[int(y[1].mean())]
        labels = [int(v) for i, v in enumerate(row) if i == 0 or v != row[i - 1]]
        assert labels in ([0, 2, 1, 2, 0], [0, 2, 1, 2])
        columns = np.nonzero(mask == 1)[1]
        column = mask[:, int(np.median(columns))]
        below = column[np.nonzero(column == 1)[0].max() + 1]
        assert below == 3


def test_cavities_are_darker_than_walls_and_poor_pictures_flatter(database: Path) -> None:
    contrast: dict[str, list[float]] = {}
    for path in database.glob("*/*_E?_gt.nii.gz"):
        mask = array(path)
        image = array(path.with_name(path.name.replace("_gt", "")))
        wall, cavity = image[(mask == 2) & (image > 0)].mean(), image[mask == 1].mean()
        assert wall > cavity + 5
        quality = info(database, *path.name.split("_")[:2])["ImageQuality"]
        contrast.setdefault(quality, []).append(wall - cavity)
    means = {quality: np.mean(values) for quality, values in contrast.items()}
    assert len(means) >= 2
    ranked = [means[quality] for quality in ("Good", "Medium", "Poor") if quality in means]
    assert ranked == sorted(ranked, reverse=True)


def test_speckle_is_rayleigh_and_widens_with_depth() -> None:
    rng = np.random.default_rng(1)
    flat = np.full((400, phantom.BEAMS), TISSUE, np.float32)
    envelope = 10 ** (phantom.speckle(flat, rng)[20:-20, 20:-20] / 20)
    assert envelope.mean() / envelope.std() == pytest.approx(1.91, abs=0.05)  # Rayleigh's SNR
    sector = Sector(600, 480)
    quiet = Quality(1, -90, 0)
    maps = phantom.scan_conversion(sector)
    field = np.full((480, phantom.BEAMS), TISSUE, np.float32)
    image = phantom.echocardiogram(field, 0 * field, quiet, maps, rng).astype(float)

    def correlation(rows: slice, dy: int, dx: int) -> float:
        patch = image[rows, 260:340]
        shifted = np.roll(image, (-dy, -dx), (0, 1))[rows, 260:340]
        return float(np.corrcoef(patch.ravel(), shifted.ravel())[0, 1])

    near, far = slice(150, 200), slice(400, 460)
    assert correlation(far, 0, 4) > correlation(far, 4, 0) + 0.2  # wider than deep
    assert correlation(far, 0, 4) > correlation(near, 0, 4) + 0.1  # wider below


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        arguments = [str(tmp_path / name / "db"), "--patients", "2", "--frames", "0"]
        assert script.main([*arguments, "--seed", seed]) == 0
    trees = [build.tree(tmp_path / name) for name in "abc"]
    assert trees[0] == trees[1] != trees[2]
    assert not any("half_sequence" in name for name in trees[0])


def test_a_folder_with_something_in_it_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("db", "database_split"):
        place = tmp_path / folder / "in"
        (place.parent / folder).mkdir(parents=True)
    for taken in ("one/db/mine.txt", "two/database_split/mine.txt", "three/db"):
        path = tmp_path / taken
        path.parent.mkdir(parents=True)
        path.write_text("mine")
        before = build.tree(tmp_path)
        assert script.main([str(tmp_path / taken.split("/")[0] / "db")]) == 2
        assert "is not empty" in capsys.readouterr().err
        assert build.tree(tmp_path) == before


def test_an_interrupted_database_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(script, "nifti_gz", interrupt)
    assert script.main([str(tmp_path / "db")]) == 130
    assert not list(tmp_path.iterdir())


def test_the_generator_takes_it_for_the_release(
    database: Path, generate: Run, tmp_path: Path
) -> None:
    code, out, err = generate(database, tmp_path / "master")
    assert (code, err) == (0, "") and f"{4 * PATIENTS} pairs written" in out
    with (tmp_path / "master" / "metadata.csv").open(newline="") as file:
        assert all(all(row.values()) for row in csv.DictReader(file))
