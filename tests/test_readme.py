"""What the README says is what the scripts do: options, files, its lines of code, real frames."""

import json
import os
import re
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import nibabel as nib
import numpy as np
import pytest
import SimpleITK

import CAMUSImageMaskDatasetGenerator
import make_phantom_database
import split_master
from camus.facts import LABEL_NAMES, LEVELS
from camus.metadata import PICTURES

from . import ROOT, build
from .build import IMAGE, INFO, MASK, README, Run, array, picture, rows

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
MASTER, DATASET = Path("CAMUS-master"), Path("CAMUS_public-ImageMask-Dataset")
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
HUGGING_FACE, PYTORCH, NNUNET, AREA = BLOCK.findall(README)
SCRIPTS = (CAMUSImageMaskDatasetGenerator, split_master, make_phantom_database)
TABLES = re.findall(r"^\| option .*\n.*---.*\n((?:\|.*\n)+)", README, re.MULTILINE)
# Defaults that the README words in its own way
DEFAULTS = {"--structures": "all", "--views": "both", "--image-quality": "all",
            "--ratios": f"`{' '.join(split_master.RATIOS)}`",
            "--jobs": "all cores", "--format": "`jpg`, but `png` with index masks"}  # fmt: skip
RELEASE = Path(os.environ.get("CAMUS_DATABASE", "")).resolve()


@pytest.mark.parametrize(("script", "table"), [*zip(SCRIPTS, TABLES, strict=True)])
def test_options_are_those_of_the_parsers(script: Any, table: str, capsys: Any) -> None:
    assert script.main(["--help"]) == 0
    text = re.sub(r" \[.* \.\.\.\]", "...", capsys.readouterr().out)  # one word or more
    assert "example:" in text and "None" not in text and "False" not in text
    with mock.patch("camus.cli.run") as run:
        script.main()
    actions = [action for action in run.call_args.args[0]._actions if action.option_strings]
    assert all(action.help for action in actions)
    expected = []
    usages = re.findall(r"^  (--.+?)(?:  .*)?$", text, re.MULTILINE)
    for usage, action in zip(usages, actions[1:], strict=True):  # the first one is --help
        default = "off" if str(action.default) in ("None", "False") else f"`{action.default}`"
        expected.append([f"`{usage}`", DEFAULTS.get(usage.split()[0], default)])
    assert [line.strip("| ").split(" | ")[::2] for line in table.splitlines()] == expected


def make_dataset(generate: Run, split: Run, options: str = "", missing: Any = ()) -> None:
    """Ten patients, seven for train, two for valid; those missing have no Info file."""
    for number in range(1, 11):
        folder = build.write_pair(Path("database_nifti"), f"patient{number:04}_2CH_ED")
        if number not in missing:
            build.write_info(folder, **INFO)
    assert generate("--size", 160, *options.split())[0] == split()[0] == 0


def test_files_columns_and_gray_levels(generate: Run, split: Run) -> None:
    """The README names every file, the card every column; and what the README names is there."""
    make_dataset(generate, split)
    (block,) = re.findall(r"## What you get\n\n(.*?)\n\n", README, re.DOTALL)
    master, dataset = block.split(f"{DATASET}/")
    for folder, told in ((MASTER, master), (DATASET, dataset), (DATASET / "train", dataset)):
        for path in folder.iterdir():
            name = re.sub(r"_\w+?(?=\.txt|_samples)", "_*", path.name) + "/" * path.is_dir()
            assert name in re.findall(r"[\w.*/]+", told)
    card = (DATASET / "README.md").read_text(encoding="utf-8")
    assert {*re.findall(r"\((\w+\.png)\)", card)} == {PICTURES[0], PICTURES[-1]}
    columns = "".join(re.findall(r"^\| (`.*?) \|", card, re.MULTILINE))
    assert re.findall(r"`(\w+)`", columns) == list(rows(MASTER)[0])
    named = {*re.findall(r"(?:generator/)?\w+\.py|tests/\w+\.txt|asset/[\w.]+", README)}
    assert len(named) == 5 and all((ROOT / name).exists() for name in named), named
    (sentence,) = re.findall(r"In gray masks, the background .*?\.", README, re.DOTALL)
    assert tuple(map(int, re.findall(r"\) (?:is )?(\d+)", sentence))) == LEVELS["gray"]


@pytest.mark.parametrize(("options", "labels", "missing"), [
    ("", [0, 1, 2, 3], {1}), ("--masks index", [0, 1, 2, 3], {5}),  # the only patient of test
    ("--masks binary --structures myo", [0, 0, 1, 0], {*range(1, 11)} - {7}),
    ("--structures lv la --format png", [0, 1, 0, 3], {}),
])  # fmt: skip
def test_numpy_hugging_face_and_pytorch(
    generate: Run, split: Run, monkeypatch: Any, options: str, labels: list[int], missing: Any
) -> None:
    """A column has one type in every subset (else loading fails), and every label comes back."""
    pytest.importorskip("datasets", minversion="3.4")  # as the README says
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", Path("cache").absolute())
    make_dataset(generate, split, options, missing)
    names, card = dict[str, Any](), dict[str, Any]()
    exec(HUGGING_FACE, names)
    for name, subset in (("train", "train"), ("validation", "valid"), ("test", "test")):
        for pair, row in zip(names["camus"][name], rows(DATASET / subset), strict=True):
            assert (pair["patient"], pair["mirrored"]) == (row["patient"], 0)
            assert pair["ef"] == (float(row["ef"]) if row["ef"] else None)
            assert np.array_equal(pair["image"], picture(DATASET / subset / row["file_name"]))
            assert np.array_equal(pair["mask"], picture(DATASET / subset / row["mask_file_name"]))
    with mock.patch.dict("sys.modules", torch=mock.Mock(from_numpy=np.asarray)):
        exec(PYTORCH, names)
    image, label_map = (np.asarray(part) for part in names["load"]("train", names["rows"][0]))
    assert image.shape == (1, 160, 160) and 0.6 < image.max() < 0.7  # 159 of 255
    monkeypatch.chdir(DATASET)
    exec(BLOCK.findall(Path("README.md").read_text())[0], card)
    for found in (names["label_map"], label_map, card["label_map"]):
        assert np.array_equal(found[30:130], np.array(labels)[MASK].repeat(10, 0).repeat(10, 1))
        assert not np.any(found[:30])


def test_nnunet_gets_its_raw_folder(generate: Run, split: Run, monkeypatch: Any) -> None:
    for folder in ("nnUNet_raw", "nnUNet_preprocessed"):
        monkeypatch.setenv(folder, folder)
    make_dataset(generate, split, "--masks index --format jpg")
    with pytest.raises(AssertionError, match="make index PNG masks first"):
        exec(NNUNET, {})
    assert generate("--masks", "index", "--overwrite")[0] == 0
    for seed in (0, 2):  # twice, with other patients in test
        assert split("--seed", seed, "--overwrite")[0] == 0
        exec(NNUNET, {})
    raw, made = build.tree(Path("nnUNet_raw/Dataset501_CAMUS")), build.tree(DATASET)
    about = json.loads(raw.pop("dataset.json"))
    labels = {name: label for label, name in enumerate(LABEL_NAMES)}
    told = {"channel_names": {"0": "ultrasound"}, "file_ending": ".png", "numTraining": 9}
    assert about == {**told, "labels": labels}
    expected, stems = {}, {}
    for subset, part in (("train", "Tr"), ("valid", "Tr"), ("test", "Ts")):
        stems[subset] = [Path(row["file_name"]).stem for row in rows(DATASET / subset)]
        for stem in stems[subset]:
            expected[f"images{part}/{stem}_0000.png"] = made[f"{subset}/images/{stem}.png"]
            expected[f"labels{part}/{stem}.png"] = made[f"{subset}/masks/{stem}.png"]
    assert raw == expected
    folds = Path("nnUNet_preprocessed/Dataset501_CAMUS/splits_final.json").read_text()
    assert json.loads(folds) == [{"train": stems["train"], "val": stems["valid"]}]


@pytest.mark.parametrize("options", ["", "--fit stretch", "--size 1024", "--fit none"])
def test_areas_and_back_to_nifti(make_phantoms: Run, generate: Run, options: str) -> None:
    """The area of each structure, and its Dice with the NIfTI; from half the size, too."""
    make_phantoms("phantoms", "--patients", 3)
    assert generate("phantoms", MASTER, *options.split())[0] == 0
    side = json.loads((MASTER / "dataset.json").read_text())["settings"]["size"]
    for row in rows(MASTER):
        name = f"phantoms/database_nifti/{row['patient']}/{Path(row['file_name']).stem}"
        truth = array(Path(f"{name}_gt.nii.gz"))
        lines = AREA.replace("patient0001_2CH_ED", name).replace("side = 512", f"side = {side}")
        label_map = np.rint(picture(MASTER / row["mask_file_name"]) / 85)
        for found, tolerance, dice in ((label_map, 0.005, 0.98), (label_map[::2, ::2], 0.03, 0.95)):
            for label in (1, 2, 3):
                names: dict[str, Any] = {"label_map": found, "row": row}
                exec(lines.replace("picture == 1", f"picture == {label}"), names)
                prediction = nib.nifti1.load("prediction.nii.gz")
                ours, theirs = np.transpose(prediction.dataobj) == label, truth == label
                assert names["area"] == pytest.approx(theirs.sum() * 0.308**2, rel=tolerance)
                assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) >= dice
                assert np.allclose(prediction.affine, np.diag([-0.308, -0.308, 1, 1]))


def test_the_older_release_keeps_pixels_and_their_size(generate: Run) -> None:
    Path("training/patient0001").mkdir(parents=True)
    for kind, pixels in (("", IMAGE), ("_gt", MASK)):
        image = SimpleITK.GetImageFromArray(pixels[None])
        image.SetSpacing((4, 5, 1))  # type: ignore[no-untyped-call]
        SimpleITK.WriteImage(image, f"training/patient0001/patient0001_2CH_ED{kind}.mhd")
    (lines,) = re.findall(r"`(import SimpleITK.*?)`\n  `(for p in .*?)`\n", README)
    exec("\n".join(lines), {})
    assert generate("training", MASTER, "--size", 64, "--format", "png")[0] == 0
    mask = picture(MASTER / "masks/patient0001_2CH_ED.png")  # 1 mm per pixel, 7 above the image
    assert (mask[32:52, 8:36] == 255).all() and not mask[52:].any()


def test_a_mask_with_a_wrong_header_gets_that_of_its_image(generate: Run) -> None:
    image = build.write_pair(Path("database_nifti")) / "patient0001_2CH_ED.nii.gz"
    mask = image.with_name("patient0001_2CH_ED_gt.nii.gz")
    build.write(mask, build.nifti(MASK, affine=np.diag([5, 5, 1, 1])))
    assert generate()[0] == 1
    (lines,) = re.findall(r"`(import nibabel, .*?)`\n  `(.*?)`\n", README)
    exec("\n".join(lines), {"image_path": image, "mask_path": mask})
    assert generate()[0] == 0 and np.array_equal(array(mask), MASK)


def on_a_square(image: SimpleITK.Image, shrink: int, grow: int) -> Any:
    """An image on a centred square, resized to 512."""
    pixels = SimpleITK.GetArrayFromImage(image).astype(np.uint8)
    side = max(pixels.shape)
    margins = [((side - length) // 2, (side - length + 1) // 2) for length in pixels.shape]
    method = shrink if side > 512 else grow
    return cv2.resize(np.pad(pixels, margins), (512, 512), interpolation=method)


@pytest.mark.skipif(not os.environ.get("CAMUS_DATABASE"), reason="CAMUS_DATABASE is not set")
def test_every_key_frame_of_the_database(generate: Run) -> None:
    """The bounds stand near what was measured: 33.1 dB, 0.9919 and 0.40 %."""
    assert generate(RELEASE, MASTER)[::2] == (0, "")  # the exit code, and no warning
    for row in rows(MASTER):
        source = RELEASE / row["patient"] / Path(row["file_name"]).stem
        image, mask = (SimpleITK.ReadImage(f"{source}{kind}.nii.gz") for kind in ("", "_gt"))
        expected = on_a_square(image, cv2.INTER_AREA, cv2.INTER_CUBIC)
        assert cv2.PSNR(picture(MASTER / row["file_name"]), expected) >= 33
        labels = on_a_square(mask, cv2.INTER_NEAREST_EXACT, cv2.INTER_NEAREST_EXACT)
        pixel = np.prod(mask.GetSpacing())  # type: ignore[no-untyped-call]
        decoded = np.rint(picture(MASTER / row["mask_file_name"]) / 85)
        for label in (1, 2, 3):
            ours, theirs = decoded == label, labels == label
            assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) >= 0.9915
            area = ours.sum() * float(row["spacing_x"]) * float(row["spacing_y"])
            original = (SimpleITK.GetArrayFromImage(mask) == label).sum() * pixel
            assert area == pytest.approx(original, rel=0.004)
