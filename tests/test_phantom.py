"""The phantom database: the release's form, an EF that its masks show, pictures like echoes."""

import gzip
import json
import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Header

from camus import phantom
from camus.facts import SUBGROUPS, VIEWS

from . import build
from .build import Run, array, refusal

PATIENTS = [f"patient000{number}" for number in range(1, 5)]


def test_the_files_are_those_of_the_release(make_phantoms: Run) -> None:
    """The key frames are the ends of the half sequence; one sequence runs from ES to ED."""
    make_phantoms("release", "--patients", 4, "--frames", 4, "--seed", 3)
    files = build.tree(Path("release"))
    told = {"made_by": "make_phantom_database", "patients": 4, "frames": 4, "seed": 3}
    assert json.loads(files.pop("dataset.json")) == {**told, "phantom": True}
    groups = [files.pop(f"database_split/{name}").decode().split() for name in SUBGROUPS.values()]
    assert groups == [[PATIENTS[0], *PATIENTS[2:]], [PATIENTS[1]], []]  # with seed 0: the fourth
    for patient, view in product(PATIENTS, VIEWS):
        folder = f"database_nifti/{patient}"
        ed, es = (4, 1) if (patient, view) == ("patient0002", "4CH") else (1, 4)
        lines = rf"ED: {ed}\nES: {es}\nNbFrame: 4\nSex: [FM]\nAge: \d\d\n"
        lines += r"ImageQuality: (Good|Medium|Poor)\nEF: \d\d\nFrameRate: \d\d\.\d\n"
        assert re.fullmatch(lines, files.pop(f"{folder}/Info_{view}.cfg").decode())
        for kind in (".nii.gz", "_gt.nii.gz"):
            instants = ("half_sequence", "ED", "ES")
            names = [f"{folder}/{patient}_{view}_{instant}{kind}" for instant in instants]
            frames, *ends = (array(Path("release", name)) for name in names)
            assert len(frames) == 4 and np.array_equal(ends, frames[[ed - 1, es - 1]])
            for name in names:
                check_header(files.pop(name))
        assert (ends[0] == 1).sum() > (ends[1] == 1).sum()  # the cavity is larger at ED
    assert not files
    again = make_phantoms("release", "--patients", 1, "--overwrite")
    assert again == (0, "release: 1 phantom patient written\n", "")
    assert [path.name for path in Path("release/database_nifti").iterdir()] == PATIENTS[:1]


def check_header(data: bytes) -> None:
    """Raise an error unless the header of a .nii.gz is that of a file of the release."""
    assert data[4:10] == bytes(4) + b"\4\xff"  # gzip: no time, an unknown system
    header = Nifti1Header(gzip.decompress(data)[:348])
    assert header.get_data_dtype() == np.dtype("<f4") and header.get_xyzt_units()[0] == "mm"
    assert np.isnan(header["scl_slope"]) and header["vox_offset"] == 352
    assert header["sform_code"] == header["qform_code"] == 1
    affines = [header.get_sform(), header.get_qform()]
    assert np.allclose(affines, np.diag([-0.308, -0.308, 1, 1]))
    assert header.get_data_shape()[:2] in phantom.SIZES


def test_the_biplane_method_of_discs_finds_the_stated_ejection_fraction() -> None:
    stated = []
    for number in range(1, 21):
        volumes = np.ones((2, 20))  # of 20 discs at ED and ES, which have one height
        for view in VIEWS:
            patient = phantom.draw_patient(5, number, view)
            for discs, (_, mask) in zip(volumes, phantom.draw_frames(patient, [0, 1]), strict=True):
                widths = np.trim_zeros((mask == 1).sum(1))  # of the cavity, from apex to base
                discs *= widths[np.linspace(0, len(widths) - 1, 20).round().astype(int)]
        ed, es = volumes.sum(1)
        assert 100 * (1 - es / ed) == pytest.approx(patient.ef, abs=1.5)
        stated.append(patient.ef)
    assert min(stated) < 40 and max(stated) > 60


def test_masks_are_anatomy_as_large_as_in_the_release() -> None:
    """Apex on top, the atrium under the cavity, myocardium at both sides, all within the sector."""
    shares = []
    for number in range(1, 151):
        patient = phantom.draw_patient(0, number, VIEWS[number % 2])._replace(size=(300, 240))
        for image, mask in phantom.draw_frames(patient, [0, 1]):
            y = [np.nonzero(mask == label)[0] for label in range(4)]
            assert y[2].min() < y[1].min() and y[1].mean() < y[3].mean() and y[1].max() < y[3].max()
            row = mask[int(y[1].mean())]
            assert row[np.nonzero(np.diff(row, prepend=9))].tolist() == [0, 2, 1, 2, 0]
            assert image.max() >= 204 and (image[mask > 0] > 0).mean() > 0.99
            shares.append(np.bincount(mask.ravel(), minlength=4) / mask.size)
    # Those of background, cavity, myocardium and atrium in the release's sample
    assert np.mean(shares, axis=0) == pytest.approx([0.771, 0.085, 0.093, 0.051], abs=0.01)
    assert np.std(shares, axis=0)[1] > 0.015  # not every heart looks the same


def test_same_seed_same_bytes(make_phantoms: Run) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_phantoms(name, "--patients", 10, "--seed", seed)
    a, b, c = (build.tree(Path(name)) for name in "abc")
    assert a == b and not any("half_sequence" in name for name in a)
    sizes = [a[f"database_split/{name}"].count(b"\n") for name in SUBGROUPS.values()]
    assert sizes == [8, 1, 1]
    assert all(c[name] != a[name] for name in a if "patient" in name)
    first = f"database_nifti/{PATIENTS[0]}/Info_2CH.cfg"
    assert a[first].startswith(b"ED: 1\nES: 19\nNbFrame: 19\n")
    assert a[first].split()[-1] != c[first].split()[-1]  # FrameRate, as all that is of a patient
    assert "replace it with --overwrite" in refusal(make_phantoms("a", "--patients", 1))
    assert "a half sequence has two frames at least" in refusal(make_phantoms("b", "--frames", 1))
