"""What people load a dataset with: Hugging Face, pandas, and the lines of the README."""

import json
import os
import re
import sys
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pandas
import pytest
import SimpleITK

from camus import phantom

from . import build
from .build import DATABASE, DATASET, IMAGE, INFO, MASK, MASTER, README, array, picture, rows
from .conftest import Run
from .test_phantom import discs

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
SUBSETS = {"train": "train", "validation": "valid", "test": "test"}  # as Hugging Face calls them
DATASET_HERE = Path("CAMUS_public-ImageMask-Dataset")
SIZES = {"train": 7, "validation": 2, "test": 1}  # of ten patients with a pair each


def block(word: str) -> str:
    """The one Python block of the README that has this word in it."""
    (found,) = [b for b in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if word in b]
    return str(found)


def make_master(generate: Run, missing: set[int]) -> None:
    """Ten patients; those missing have no Info file, and patient 2 an EF of 50.5."""
    for number in range(1, 11):
        folder = build.write_pair(DATABASE, f"patient{number:04}_2CH_ED")
        if number not in missing:
            build.write_info(folder, **{**INFO, "EF": 50.5 if number == 2 else 54})
    assert generate(DATABASE, MASTER, "--size", 32)[0] == 0


# Whose EF is missing: one patient, the only one of test, all but one
@pytest.mark.parametrize("missing", [{1}, {5}, {*range(1, 11)} - {7}])
def test_hugging_face_and_pandas_see_one_type_in_every_column(
    generate: Run, split: Run, missing: set[int]
) -> None:
    import datasets

    make_master(generate, missing)
    assert split(MASTER, DATASET)[0] == 0
    assert [row["patient"] for row in rows(DATASET / "test")] == ["patient0005"]
    tables = [pandas.read_csv(DATASET / subset / "metadata.csv") for subset in SUBSETS.values()]
    assert all(table.dtypes.equals(tables[0].dtypes) for table in tables)
    for path, options in (("imagefolder", {"data_dir": str(DATASET)}), (str(DATASET), {})):
        loaded = datasets.load_dataset(path, cache_dir="cache", **options)
        streamed = datasets.load_dataset(path, streaming=True, **options)
        assert {name: len(loaded[name]) for name in SUBSETS} == SIZES
        for name, subset in SUBSETS.items():
            row = rows(DATASET / subset)[0]
            for found in (loaded[name][0], next(iter(streamed[name]))):
                assert found["patient"] == row["patient"] and found["mirrored"] == 0
                assert found["ef"] == (float(row["ef"]) if row["ef"] else None)
                for kind, column in (("image", "file_name"), ("mask", "mask_file_name")):
                    expected = picture(DATASET / subset / row[column])
                    assert np.array_equal(np.array(found[kind]), expected)


def make_dataset(generate: Run, split: Run, *options: object) -> None:
    """A dataset of four patients under its default name."""
    for number in (1, 2, 3, 4):
        build.write_pair(Path("database_nifti"), f"patient000{number}_2CH_ED")
    assert generate("--size", 160, *options)[0] == 0
    assert split("--ratios", 0.5, 0.25, 0.25)[0] == 0


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
def test_the_lines_for_hugging_face_and_pytorch_give_every_label_back(
    generate: Run, split: Run, monkeypatch: Any, file_format: str, options: Any, expected: list[int]
) -> None:
    """Where PyTorch is not installed, NumPy stands in for the names that the lines use."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(Path("cache").absolute()))
    make_dataset(generate, split, "--format", file_format, *options)
    names: dict[str, Any] = {}
    exec(block("load_dataset("), names)
    if "torch" not in sys.modules:
        monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(from_numpy=np.asarray))
    exec(block("import csv, cv2, torch"), names)
    small = np.array(expected)[MASK].repeat(10, 0).repeat(10, 1)
    image, label_map = (np.asarray(part) for part in names["load"](names["rows"][0]))
    assert image.shape == (1, 160, 160) and 0.6 < image.max() < 0.7  # 159 of 255
    for found in (label_map, names["label_map"]):
        assert np.array_equal(found[30:130], small) and not np.any(found[:30])
    card = (DATASET_HERE / "README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(DATASET_HERE)
    exec(re.findall(r"```python\n(.*?)```", card, re.DOTALL)[0], names)
    assert np.array_equal(names["label_map"][30:130], small)


def test_the_lines_for_nnunet_make_its_raw_folder(
    generate: Run, split: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("nnUNet_raw", "nnUNet_preprocessed"):
        monkeypatch.setenv(folder, folder)
    make_dataset(generate, split, "--masks", "index", "--format", "png")
    exec(block("Dataset501_CAMUS"), {})
    assert split("--ratios", 0.5, 0.25, 0.25, "--seed", 1, "--overwrite")[0] == 0
    exec(block("Dataset501_CAMUS"), {})  # again, after another split
    raw = Path("nnUNet_raw/Dataset501_CAMUS")
    described = json.loads((raw / "dataset.json").read_text())
    assert described["numTraining"] == 3 and described["labels"]["background"] == 0
    assert sorted(described["labels"].values()) == [0, 1, 2, 3]
    folds = Path("nnUNet_preprocessed/Dataset501_CAMUS/splits_final.json")
    (fold,) = json.loads(folds.read_text())
    assert {key: len(stems) for key, stems in fold.items()} == {"train": 2, "val": 1}
    for stem in fold["train"] + fold["val"]:
        image, mask = raw / "imagesTr" / f"{stem}_0000.png", raw / "labelsTr" / f"{stem}.png"
        error = picture(image)[35:130:10, 5::10].astype(int) - IMAGE
        assert np.abs(error).max() <= 20  # cubic interpolation of steep steps
        assert set(np.unique(picture(mask))) == {0, 1, 2, 3}
    assert len(list((raw / "imagesTs").iterdir())) == 1


def test_the_lines_for_nnunet_refuse_other_masks(
    generate: Run, split: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("nnUNet_raw", "nnUNet_preprocessed"):
        monkeypatch.setenv(folder, folder)
    make_dataset(generate, split, "--masks", "index")
    with pytest.raises(AssertionError, match="make index PNG masks first"):
        exec(block("Dataset501_CAMUS"), {})


@pytest.mark.parametrize("options", [(), ("--fit", "stretch"), ("--size", 1024)])
def test_areas_and_the_way_back_to_nifti(make_phantoms: Run, generate: Run, options: Any) -> None:
    """The area of each structure within 0.5 %, and its Dice with the mask of the NIfTI."""
    make_phantoms("phantoms", "--patients", 3)
    assert generate("phantoms", MASTER, *options)[0] == 0
    size = str(options[1] if "--size" in options else 512)
    for row in rows(MASTER):
        name = f"phantoms/database_nifti/{row['patient']}/{Path(row['file_name']).stem}"
        truth = array(Path(f"{name}_gt.nii.gz"))
        label_map = np.rint(picture(MASTER / row["mask_file_name"]) / 85)
        smaller = label_map[::2, ::2]  # a prediction of another size
        for found, tolerance, dice in ((label_map, 0.005, 0.98), (smaller, 0.03, 0.95)):
            names: dict[str, Any] = {"label_map": found, "row": row}
            for label in (1, 2, 3):
                lines = block("area =").replace("label_map == 1", f"label_map == {label}")
                exec(lines.replace("patient0001_2CH_ED", name).replace("512", size), names)
                area = (truth == label).sum() * 0.308**2
                assert names["area"] == pytest.approx(area, rel=tolerance)
            back = array(Path("prediction.nii.gz"))
            affines = [nib.nifti1.load(f"{stem}.nii.gz").affine for stem in ("prediction", name)]
            assert back.shape == truth.shape and np.allclose(*affines)
            for label in (1, 2, 3):
                ours, theirs = back == label, truth == label
                assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) >= dice


def test_ejection_fraction_from_the_jpg_masks(make_phantoms: Run, generate: Run) -> None:
    """As the authors compute it, from JPG masks and from NIfTI masks: within one point."""
    make_phantoms("phantoms", "--patients", 20)
    assert generate("phantoms", MASTER)[0] == 0
    products: dict[Any, Any] = defaultdict(lambda: np.ones(20))  # of the diameters in both views
    for row in rows(MASTER):
        patient, instant = row["patient"], row["instant"]
        name = f"{patient}/{Path(row['file_name']).stem}_gt.nii.gz"
        mask = array(Path("phantoms/database_nifti") / name)
        jpg = np.rint(picture(MASTER / row["mask_file_name"]) / 85)
        products["nifti", patient, instant] *= discs(mask)[0] * 0.308
        products["jpg", patient, instant] *= discs(jpg)[0] * float(row["spacing_x"])
    volumes = {key: product.sum() for key, product in products.items()}
    for number in range(1, 21):
        patient = f"patient{number:04}"
        ours, theirs = (
            100 * (1 - volumes[kind, patient, "ES"] / volumes[kind, patient, "ED"])
            for kind in ("jpg", "nifti")
        )
        assert abs(ours - theirs) <= 1
        assert theirs == pytest.approx(phantom.draw_patient(0, number).ef, abs=1.5)


def test_the_lines_for_the_older_release_keep_pixels_and_their_size(generate: Run) -> None:
    folder = Path("training/patient0001")
    folder.mkdir(parents=True)
    for kind, pixels in (("", IMAGE), ("_gt", MASK)):
        image = SimpleITK.GetImageFromArray(pixels[None])
        image.SetSpacing((4, 5, 1))  # type: ignore[no-untyped-call]
        SimpleITK.WriteImage(image, str(folder / f"patient0001_2CH_ED{kind}.mhd"))
    first, second = re.findall(r"`(for p in Path.*?:)`\n  ` (.*?)`\n", README)[0]
    exec(f"{first}\n {second}", {"Path": Path, "SimpleITK": SimpleITK})
    assert generate("training", MASTER, "--size", 64, "--format", "png")[0] == 0
    (row,) = rows(MASTER)
    assert (row["source_spacing_x"], row["source_spacing_y"]) == ("4.0", "5.0")
    assert (row["width"], row["height"]) == ("64", "50")
    assert picture(MASTER / row["mask_file_name"])[16:20, 10:20].tolist() == [[85] * 10] * 4


def test_the_lines_for_a_mask_with_a_wrong_header_make_it_lie_on_its_image(generate: Run) -> None:
    image_path = build.write_pair(DATABASE) / "patient0001_2CH_ED.nii.gz"
    mask_path = image_path.with_name("patient0001_2CH_ED_gt.nii.gz")
    build.write(mask_path, build.nifti(MASK, affine=np.diag([5, 5, 1, 1])))
    assert "the mask has the orientation RA" in generate(DATABASE, MASTER)[2]
    lines = re.findall(r"`(i, m = .*?)`\n  `(.*?)`\n", README)[0]
    paths = {"image_path": image_path, "mask_path": mask_path}
    exec("\n".join(lines), {"nibabel": nib, "numpy": np, **paths})
    assert generate(DATABASE, MASTER)[0] == 0 and np.array_equal(array(mask_path), MASK)
