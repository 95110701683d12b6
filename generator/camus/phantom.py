"""Synthetic echocardiograms of the left heart, with their masks. Pure functions, no files.

The mask is painted from back to front. The gray level of each label times speckle is the image.

Points are (across, along): the distance from the long axis of the left ventricle, and the distance
down that axis from its upper end. Lengths are shares of the image's height, angles are radians.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from camus.facts import VIEWS
from camus.pixels import Picture

Floats = npt.NDArray[np.float32]

# Width and height of frames in the release, the smallest and the largest among them
SIZES = [(382, 325), (512, 422), (551, 428), (591, 420), (600, 480), (748, 617), (787, 649)]
CONTRAST = {"Good": 1.0, "Medium": 0.75, "Poor": 0.6}  # by ImageQuality: the share that is kept
OTHER, CAVITY, MYOCARDIUM, ATRIUM = range(4)  # tissues: the labels of the masks
GRAY_LEVELS = np.array([88, 52, 118, 56], np.float32)  # their means in a good image
DEPTH = 0.16  # of the upper end of the long axis, so that most hearts lie within the sector
BEAMS = 160  # of the scanner, side by side from the left edge of the sector to its right edge


class Patient(NamedTuple):
    """A patient, and the left heart in one view at end-diastole (ED)."""

    seed: list[int]
    sex: str
    age: int
    ef: int  # ejection fraction, percent
    frame_rate: float
    quality: str
    size: tuple[int, int]  # width and height of the frames, pixels
    length: float  # of the left ventricle's cavity, from apex to valve
    half_width: float  # of the cavity
    wall: float  # its thickness
    atrium: float  # its length
    tilt: float  # the angle of the long axis
    shift: float  # of its upper end to the right


def draw_patient(seed: int, number: int, view: str) -> Patient:
    """A random patient. Weak hearts are wide."""
    rng = np.random.default_rng([seed, number])  # for what both views have in common
    sex = str(rng.choice(["F", "M"]))
    age = int(np.clip(rng.normal(65, 14), 20, 93))
    ef = int(rng.integers(25, 71))
    frame_rate = float(np.round(rng.uniform(46, 62), 1))
    length = rng.uniform(0.44, 0.56)
    view_seed = [seed, number, VIEWS.index(view)]
    rng = np.random.default_rng(view_seed)
    return Patient(
        view_seed, sex, age, ef, frame_rate,
        quality=str(rng.choice(list(CONTRAST), p=[0.5, 0.35, 0.15])),
        size=SIZES[number % len(SIZES)],
        length=length,
        half_width=length * (0.37 - 0.0012 * ef + rng.uniform(-0.03, 0.03)),
        wall=rng.uniform(0.08, 0.115),
        atrium=rng.uniform(0.21, 0.29),
        tilt=rng.uniform(-0.18, 0.06),
        shift=rng.uniform(-0.05, 0.03),
    )  # fmt: skip


def draw_frames(patient: Patient, phases: Iterable[float]) -> Iterator[tuple[Picture, Picture]]:
    """Draw images and masks, all (height, width), at phases from 0 (ED) to 1 (ES)."""
    rng = np.random.default_rng(patient.seed)
    width, height = patient.size
    half_angle = np.arcsin(width / 2 / height)  # of the sector, which fills the image
    contrast = CONTRAST[patient.quality]
    gray_levels = GRAY_LEVELS[OTHER] + contrast * (GRAY_LEVELS - GRAY_LEVELS[OTHER])
    brightness = texture(height, rng)
    x, y = np.arange(width) - (width - 1) / 2, np.arange(height)[:, None] + 1e-3
    beam = ((np.arctan2(x, y) / half_angle + 1) / 2 * (BEAMS - 1)).astype(np.float32)
    depth = np.hypot(x, y).astype(np.float32)
    outside = (beam < 0) | (beam > BEAMS - 1) | (depth > height - 1)
    for phase in phases:
        mask = draw_mask(patient, phase)
        blurred = cv2.GaussianBlur(gray_levels[mask], (0, 0), height / 200)
        echoes = cv2.remap(brightness * speckle(height, rng), beam, depth, cv2.INTER_LINEAR)
        image = np.rint(np.minimum(blurred * echoes, 255)).astype(np.uint8)
        image[outside] = mask[outside] = 0
        yield image, mask


def draw_mask(patient: Patient, phase: float) -> Picture:
    """The label of each pixel, (height, width), at a phase from 0 (ED) to 1 (ES).

    The CAMUS authors' script_camus_ef.ipynb gives the discs of ED and ES one height, so the volume
    is proportional to the product of the two views' diameters. To eject a share of it, each
    diameter shrinks with the square root. The cavity also gets shorter, and the wall thicker.
    """
    ejected = patient.ef / 100 * phase
    half_width = patient.half_width * np.sqrt(1 - ejected)
    length = patient.length * (1 - 0.25 * ejected)
    wall = patient.wall * (1 + 0.6 * ejected)
    depth = np.linspace(0, 1, 32) ** 2  # squared: close together at the apex
    half = 1.57 * np.sqrt(depth) * (1 - depth**2 / 2)  # a bullet, 1 at its widest
    # From the left end of the base over the apex to the right end
    bullet = np.stack([np.append(-half[::-1], half), np.append(depth[::-1], depth)], 1)
    cavity = bullet * (half_width, length) + (0, 0.6 * wall)
    outer = bullet * (half_width + wall, length + 0.8 * wall)
    (hinge, base), angle = cavity[-1], np.linspace(0, np.pi, 32)
    across = hinge * np.cos(angle) + 0.07 * np.sin(2 * angle)  # it bulges
    atrium = np.stack([across, base + patient.atrium * np.sin(angle)], 1)
    sin, cos = np.sin(patient.tilt), np.cos(patient.tilt)
    width, height = patient.size
    mask = np.zeros((height, width), np.uint8)
    for points, label in ((outer, MYOCARDIUM), (atrium, ATRIUM), (cavity, CAVITY)):
        turned = points @ [[cos, sin], [-sin, cos]] + (patient.shift, DEPTH)
        pixels = turned * height + ((width - 1) / 2, 0)
        # OpenCV counts in 16ths of a pixel: shift 4
        cv2.fillPoly(mask, [np.round(pixels * 16).astype(np.int32)], label, shift=4)
    return mask


def texture(height: int, rng: np.random.Generator) -> Floats:
    """What is brighter or darker in all frames: a factor for each (depth, beam)."""
    depth = np.linspace(0, 1, height)[:, None]
    total = 4 * np.exp(-depth / 0.015) + np.zeros(BEAMS)  # the near field is bright
    # Shadows of ribs and lung along the beams, and differences of the tissue
    for rows, columns, strength in ((1, 9, 0.15), (8, 6, 0.25), (70, 30, 0.12)):
        patches = rng.normal(0, strength, (rows, columns))
        total += cv2.resize(patches, (BEAMS, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.exp(total), np.float32)


def speckle(height: int, rng: np.random.Generator) -> Floats:
    """Speckle as a factor for each (depth, beam), with a mean of 1.

    Every point adds up the echoes of many small scatterers, so the amplitude is Rayleigh
    distributed (Wagner et al. 1983, IEEE Trans. Sonics Ultrason. 30(3), 156-163). The fourth root
    stands for the compression of a scanner. Beams fan out, so speckle gets wider with depth.
    """
    scatterers = rng.standard_normal((height, BEAMS, 2), np.float32)
    echoes = cv2.GaussianBlur(scatterers, (0, 0), sigmaX=1.5, sigmaY=1.1)
    amplitude = np.sqrt(np.sqrt(cv2.magnitude(echoes[..., 0], echoes[..., 1])))
    return np.asarray(amplitude / amplitude.mean(), np.float32)
