"""What people load a dataset with: Hugging Face, pandas, and the lines of the README."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pandas
import pytest

from camus import phantom

from . import build
from .build import IMAGE, MASK, rows
from .conftest import Run
from .test_phantom import VIEWS, array, discs

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
SUBSETS = {"train": "train", "validation": "valid", "test": "test"}  # as Hugging Face calls them
INFO = {"Sex": "F", "Age": 56, "ImageQuality": "Good", "EF": 54, "FrameRate": 48.4}


def block(word: str) -> str:
    """The one Python block of the README that has this word in it."""
    (found,) = [b for b in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if word in b]
    return str(found)


def make_dataset(
    database: Path, master: Path, generate: Run, split: Run, dataset: Path, missing: set[int]
) -> None:
    """Ten patients; those missing have no Info file, and patient 2 an EF of 50.5."""
    for number in range(1, 11):
        folder = build.write_pair(database, f"patient{number:04}_2CH_ED")
        if number not in missing:
            build.write_info(folder, **{**INFO, "EF": 50.5 if number == 2 else 54})
    assert generate(database, master, "--size", 32)[0] == 0
    assert split(master, dataset)[0] == 0


@pytest.mark.parametrize("which", ["none", "one", "test", "all but one"])
def test_hugging_face_and_pandas_see_one_type_in_every_column(
    generate: Run, split: Run, database: Path, master: Path, dataset: Path, tmp_path: Path,
    which: str,
) -> None:  # fmt: skip
    import datasets

    # With seed 0, patient 5 is the test subset; which is checked below
    missing = {"none": set(), "one": {1}, "test": {5}, "all but one": {*range(1, 11)} - {7}}[which]
    make_dataset(database, master, generate, split, dataset, missing)
    if which == "test":
        assert [row["ef"] for row in rows(dataset / "test")] == [""]
    tables = [pandas.read_csv(dataset / subset / "metadata.csv") for subset in SUBSETS.values()]
    assert all(table.dtypes.equals(tables[0].dtypes) for table in tables)
    for path, options in (("imagefolder", {"data_dir": str(dataset)}), (str(dataset), {})):
        loaded = datasets.load_dataset(path, cache_dir=str(tmp_path / "cache"), **options)
        streamed = datasets.load_dataset(path, streaming=True, **options)
        assert {name: len(loaded[name]) for name in SUBSETS} == {
            "train": 7, "validation": 2, "test": 1,
        }  # fmt: skip
        for name, subset in SUBSETS.items():
            first, row = loaded[name][0], rows(dataset / subset)[0]
            assert first["patient"] == row["patient"] and first["mirrored"] == 0
            assert first["ef"] == (float(row["ef"]) if row["ef"] else None)
            for column in ("image", "mask"):
                file = (
                    dataset / subset / row["file_name" if column == "image" else "mask_file_name"]
                )
                assert np.array_equal(np.array(first[column]), build.picture(file))
                streamed_first = next(iter(streamed[name]))
                assert np.array_equal(np.array(streamed_first[column]), build.picture(file))


def test_hugging_face_reads_the_zip(
    generate: Run, split: Run, database: Path, master: Path, tmp_path: Path
) -> None:
    import datasets

    make_dataset(database, master, generate, split, tmp_path / "plain", set())
    assert split(master, tmp_path / "X", "--zip")[0] == 0
    (form,) = re.findall(r'"(zip://train/\*\*::X.zip)"', README)
    files = {
        name: form.replace("train", subset).replace("X.zip", str(tmp_path / "X.zip"))
        for name, subset in SUBSETS.items()
    }
    cache = str(tmp_path / "cache")
    loaded = datasets.load_dataset("imagefolder", data_files=files, cache_dir=cache)
    assert {name: len(loaded[name]) for name in SUBSETS} == {"train": 7, "validation": 2, "test": 1}


@pytest.fixture
def in_place(generate: Run, split: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a dataset under its default name in the current folder."""
    monkeypatch.chdir(tmp_path)

    def make(*options: object) -> None:
        for number in (1, 2, 3, 4):
            build.write_pair(tmp_path / "database_nifti", f"patient000{number}_2CH_ED")
        assert generate("--size", 160, *options)[0] == 0
        assert split("--ratios", 0.5, 0.25, 0.25)[0] == 0

    return make


@pytest.mark.parametrize("file_format", ["jpg", "png"])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--masks", "gray"), [0, 1, 2, 3]),
        (("--masks", "index"), [0, 1, 2, 3]),
        (("--masks", "binary"), [0, 1, 1, 1]),
        (("--masks", "gray", "--structures", "lv", "la"), [0, 1, 0, 3]),
        (("--masks", "binary", "--structures", "myo"), [0, 0, 1, 0]),
    ],
)
def test_the_lines_for_numpy_and_pytorch_give_every_label_back(
    in_place: Any, monkeypatch: pytest.MonkeyPatch, file_format: str, options: Any, expected: Any
) -> None:
    """Where PyTorch is not installed, NumPy stands in for the two names that the lines use."""
    in_place("--format", file_format, *options)
    if "torch" not in sys.modules:
        data = SimpleNamespace(Dataset=object)
        torch = SimpleNamespace(utils=SimpleNamespace(data=data), from_numpy=np.asarray)
        monkeypatch.setitem(sys.modules, "torch", torch)
    names: dict[str, Any] = {}
    exec(block('gray_level"] for') + block("class Camus"), names)
    assert len(names["train"]) == 2
    image, labels = (np.asarray(part) for part in names["train"][0])
    assert image.shape == (1, 160, 160) and 0.6 < image.max() < 0.7  # the brightest has 159 of 255
    small = np.array(expected)[MASK].repeat(10, 0).repeat(10, 1)
    assert np.array_equal(labels[30:130], small) and not labels[:30].any()


def test_the_lines_for_nnunet_make_its_raw_folder(in_place: Any, tmp_path: Path) -> None:
    in_place("--masks", "index", "--format", "png")
    exec(block("Dataset501_CAMUS"), {})
    raw = tmp_path / "nnUNet_raw" / "Dataset501_CAMUS"
    described = json.loads((raw / "dataset.json").read_text())
    assert described["numTraining"] == 3 and described["labels"]["background"] == 0
    assert sorted(described["labels"].values()) == [0, 1, 2, 3]
    folds = tmp_path / "nnUNet_preprocessed" / "Dataset501_CAMUS" / "splits_final.json"
    (fold,) = json.loads(folds.read_text())
    assert {key: len(stems) for key, stems in fold.items()} == {"train": 2, "val": 1}
    for stem in fold["train"] + fold["val"]:
        image, mask = raw / "imagesTr" / f"{stem}_0000.png", raw / "labelsTr" / f"{stem}.png"
        error = build.picture(image)[35:130:10, 5::10].astype(int) - IMAGE
        assert np.abs(error).max() <= 20  # cubic interpolation of steep steps
        assert set(np.unique(build.picture(mask))) == {0, 1, 2, 3}
    assert len(list((raw / "imagesTs").iterdir())) == 1


@pytest.mark.parametrize("options", [(), ("--fit", "stretch"), ("--size", 1024)])
def test_areas_and_the_way_back_to_nifti(
    make_phantoms: Run, generate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Any
) -> None:
    """The area of each structure within 0.5 %, and its Dice with the mask of the NIfTI."""
    make_phantoms(tmp_path / "db", "--patients", 3)
    assert generate(tmp_path / "db", tmp_path / "master", *options)[0] == 0
    for row in rows(tmp_path / "master"):
        name = Path(row["file_name"]).stem
        folder = tmp_path / "db" / row["patient"]
        truth = np.asarray(nib.nifti1.load(folder / f"{name}_gt.nii.gz").dataobj)
        labels = np.rint(build.picture(tmp_path / "master" / row["mask_file_name"]) / 85)
        names: dict[str, Any] = {"labels": labels, "row": row}
        monkeypatch.chdir(folder)
        for label in (3, 2, 1):
            lines = block("area =").replace("labels == 1", f"labels == {label}")
            exec(lines.replace("patient0001_2CH_ED", name), names)
            area = (truth == label).sum() * 0.308**2
            assert names["area"] == pytest.approx(area, rel=0.005)
        back = nib.nifti1.load("prediction.nii.gz")
        array = np.asarray(back.dataobj)
        assert array.shape == truth.shape
        assert np.allclose(back.affine, nib.nifti1.load(folder / f"{name}.nii.gz").affine)
        for label in (1, 2, 3):
            ours, theirs = array == label, truth == label
            assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) >= 0.98


def test_ejection_fraction_from_the_jpg_masks(
    make_phantoms: Run, generate: Run, tmp_path: Path
) -> None:
    """As the authors compute it, from JPG masks and from NIfTI masks: within one point."""
    make_phantoms(tmp_path / "db", "--patients", 20)
    assert generate(tmp_path / "db", tmp_path / "master")[0] == 0
    scale = {}
    for row in rows(tmp_path / "master"):
        scale[Path(row["file_name"]).stem] = float(row["spacing_x"])
    for number in range(1, 21):
        patient = f"patient{number:04}"
        fractions = []
        for kind in ("nifti", "jpg"):
            sums = []
            for instant in ("ED", "ES"):
                product = np.ones(20)
                for view in VIEWS:
                    name = f"{patient}_{view}_{instant}"
                    if kind == "nifti":
                        mask, pixel = array(tmp_path / "db" / patient / f"{name}_gt.nii.gz"), 0.308
                    else:
                        file = tmp_path / "master" / "masks" / f"{name}.jpg"
                        mask, pixel = np.rint(build.picture(file) / 85), scale[name]
                    product *= discs(mask)[0] * pixel
                sums.append(product.sum())
            fractions.append(100 * (1 - sums[1] / sums[0]))
        assert abs(fractions[0] - fractions[1]) <= 1
        assert fractions[0] == pytest.approx(phantom.draw_patient(0, number).ef, abs=1.5)
