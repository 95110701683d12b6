"""Synthetic echocardiograms of the two apical views, with their masks. Pure functions, no files.

A heart is a list of shapes, painted from back to front: once with their labels, which gives the
mask, and once with their brightness. The brightness times speckle is the image.

Points are (across, along): the distance from the long axis of the left ventricle, and the distance
down that axis from its upper end. Lengths are shares of the image's height, angles are radians.
"""

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from camus.facts import STRUCTURES, VIEWS
from camus.pixels import Picture

Floats = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]

# Width and height of frames in the release, the smallest and the largest among them
SIZES = [(382, 325), (512, 422), (551, 428), (591, 420), (600, 480), (748, 617), (787, 649)]
CONTRAST = {"Good": 1.0, "Medium": 0.75, "Poor": 0.6}  # by ImageQuality: the share that is kept
# Mean gray levels in a good image
BLOOD, TISSUE, WALL, PERICARDIUM, VALVE = 52, 88, 118, 155, 205
BEAMS = 160  # of the scanner, side by side from the left edge of the sector to its right edge


class Shape(NamedTuple):
    """An area, or a line if it has a width. Only shapes with a label are in the mask."""

    points: Points
    brightness: float
    label: int = 0
    width: float = 0


def draw_patient(seed: int, number: int) -> SimpleNamespace:
    """What both views of a random patient have in common: weak to strong hearts."""
    rng = np.random.default_rng([seed, number])
    return SimpleNamespace(
        seed=[seed, number],
        sex=rng.choice(["F", "M"]),
        age=int(np.clip(rng.normal(65, 14), 20, 93)),
        ef=int(rng.integers(25, 71)),  # ejection fraction, percent
        frame_rate=float(np.round(rng.uniform(46, 62), 1)),
        qualities={view: str(rng.choice(list(CONTRAST), p=[0.5, 0.35, 0.15])) for view in VIEWS},
        size=SIZES[rng.integers(len(SIZES))],
        length=rng.uniform(0.44, 0.56),  # of the left ventricle's cavity, from apex to valve
    )


def draw_frames(
    patient: SimpleNamespace, view: str, phases: Iterable[float]
) -> Iterator[tuple[Picture, Picture]]:
    """Draw image and mask of a view, both (height, width), at phases from 0 (ED) to 1 (ES)."""
    rng = np.random.default_rng([*patient.seed, VIEWS.index(view)])
    width, height = patient.size
    # The sector fills the image, its tip is in the middle of the upper edge
    half_angle = np.arcsin(width / 2 / height)
    heart, contrast = draw_heart(patient, half_angle, rng), CONTRAST[patient.qualities[view]]
    brightness_of_tissue = texture(height, rng)
    x, y = np.arange(width) - (width - 1) / 2, np.arange(height)[:, None] + 1e-3
    beam = ((np.arctan2(x, y) / half_angle + 1) / 2 * (BEAMS - 1)).astype(np.float32)
    depth = np.hypot(x, y).astype(np.float32)
    outside = (beam < 0) | (beam > BEAMS - 1) | (depth > height - 1)
    for phase in phases:
        brightness = np.full((height, width), TISSUE, np.float32)
        mask = np.zeros((height, width), np.uint8)
        for shape in shapes_of(heart, view, phase):
            paint(brightness, heart, shape, TISSUE + contrast * (shape.brightness - TISSUE))
            if shape.label:
                paint(mask, heart, shape, shape.label)
        blurred = cv2.GaussianBlur(brightness, (0, 0), height / 200)
        echoes = brightness_of_tissue * speckle(height, rng)
        image = np.rint(np.minimum(blurred * cv2.remap(echoes, beam, depth, cv2.INTER_LINEAR), 255))
        image[outside] = mask[outside] = 0
        yield image.astype(np.uint8), mask


def draw_heart(patient: SimpleNamespace, half_angle: float, rng: Generator) -> SimpleNamespace:
    """The left heart in one view at end-diastole (ED). Weak hearts are wide."""
    heart = SimpleNamespace(
        ef=patient.ef / 100,
        length=patient.length * rng.uniform(0.97, 1.03),
        half_width=patient.length * (0.37 - 0.0012 * patient.ef + rng.uniform(-0.03, 0.03)),
        wall=rng.uniform(0.08, 0.115),
        atrium=rng.uniform(0.21, 0.29),  # its length
        tilt=rng.uniform(-0.18, 0.06),  # the angle of the long axis
        x=rng.uniform(-0.05, 0.03),  # of its upper end, to the right of the sector's tip
        y=0.07,  # and below the tip
    )
    # Move it down until its walls lie inside the sector
    x, y = to_image(heart, np.concatenate([ventricle(heart, phase)[1] for phase in (0, 1)])).T
    heart.y += max(0, np.max(np.abs(x) / np.tan(half_angle) - y) + 0.015)
    return heart


def ventricle(heart: SimpleNamespace, phase: float) -> tuple[Points, Points]:
    """Outlines of the left ventricle's cavity and of its outer wall; phase 0 is ED, 1 is ES.

    The points run from the left end of the base over the apex to the right end.

    The CAMUS authors' script_camus_ef.ipynb gives the discs of ED and ES one height, so the volume
    is proportional to the product of the two views' diameters. To eject a share of it, each
    diameter shrinks with the square root. The cavity also gets shorter, and the wall thicker.
    """
    ejected = heart.ef * phase
    half_width = heart.half_width * np.sqrt(1 - ejected)
    length = heart.length * (1 - 0.25 * ejected)
    wall = heart.wall * (1 + 0.6 * ejected)
    depth = np.linspace(0, 1, 32) ** 2  # squared: close together at the apex
    half = 1.57 * np.sqrt(depth) * (1 - depth**2 / 2)  # a bullet, 1 at its widest
    bullet = np.stack([np.append(-half[::-1], half), np.append(depth[::-1], depth)], 1)
    cavity = bullet * (half_width, length) + (0, 0.6 * wall)
    return cavity, bullet * (half_width + wall, length + 0.8 * wall)


def shapes_of(heart: SimpleNamespace, view: str, phase: float) -> list[Shape]:
    """The left ventricle, the left atrium below it, and the mitral valve between them.

    In 4CH also the right heart, without labels. The left heart is painted over its inner side.
    """
    cavity, outer = ventricle(heart, phase)
    (hinge, base), angle = cavity[-1], np.linspace(0, np.pi, 32)
    bulge = 0.06 + 0.02 * phase  # the atrium fills while the ventricle empties
    across = hinge * np.cos(angle) + bulge * np.sin(2 * angle)
    atrium = np.stack([across, base + heart.atrium * np.sin(angle)], 1)
    shapes = []
    if view == "4CH":
        shift = outer[0, 0] - 0.06  # to the left
        right_ventricle = (cavity - (0, base)) * (1, 0.75) + (shift, base)
        shapes += [Shape(right_ventricle, WALL, width=0.06), Shape(right_ventricle, BLOOD)]
        shapes += [Shape(atrium + (shift, 0), BLOOD + 4)]
    shapes += [
        Shape(atrium, TISSUE + 15, width=0.03),
        Shape(outer[40:] + (0.01, 0), PERICARDIUM, width=0.015),  # along the lateral wall
        Shape(outer, WALL, STRUCTURES["myo"]),
        Shape(atrium, BLOOD + 4, STRUCTURES["la"]),
        Shape(cavity, BLOOD, STRUCTURES["lv"]),
    ]
    for side in (-hinge, hinge):  # a leaflet of the mitral valve hangs on each
        leaflet = [(side, base), (0.3 * side * (1 - phase), base - 0.3 * hinge)]
        shapes.append(Shape(np.array(leaflet), VALVE, width=0.008))
    return shapes


def to_image(heart: SimpleNamespace, points: Points) -> Points:
    """From (across, along) to (x, y), to the right of the sector's tip and below it."""
    sin, cos = np.sin(heart.tilt), np.cos(heart.tilt)
    return np.asarray(points @ [[cos, sin], [-sin, cos]] + (heart.x, heart.y))


def paint(canvas: Floats | Picture, heart: SimpleNamespace, shape: Shape, value: float) -> None:
    """Fill a shape, or draw its line."""
    height, width = canvas.shape
    pixels = to_image(heart, shape.points) * height + ((width - 1) / 2, 0)
    points = [np.round(pixels * 16).astype(np.int32)]  # OpenCV counts in 16ths of a pixel (shift 4)
    if shape.width:
        cv2.polylines(canvas, points, False, value, max(1, round(shape.width * height)), shift=4)
    else:
        cv2.fillPoly(canvas, points, value, shift=4)


def texture(height: int, rng: Generator) -> Floats:
    """What is brighter or darker in all frames: a factor for each (depth, beam)."""
    depth = np.linspace(0, 1, height)[:, None]
    total = 4 * np.exp(-depth / 0.015) + np.zeros(BEAMS)  # the near field is bright
    # Shadows of ribs and lung along the beams, and coarse to fine differences of the tissue
    for rows, columns, strength in ((1, 9, 0.15), (5, 4, 0.2), (12, 9, 0.15), (70, 30, 0.12)):
        patches = rng.normal(0, strength, (rows, columns))
        total += cv2.resize(patches, (BEAMS, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.exp(total), np.float32)


def speckle(height: int, rng: Generator) -> Floats:
    """Speckle as a factor for each (depth, beam), with a mean of 1.

    Every point adds up the echoes of many small scatterers, so the amplitude is Rayleigh
    distributed (Wagner et al. 1983, IEEE Trans. Sonics Ultrason. 30(3), 156-163). The fourth root
    stands for the compression of a scanner. Beams fan out, so speckle gets wider with depth.
    """
    scatterers = rng.standard_normal((height, BEAMS, 2), np.float32)
    echoes = cv2.GaussianBlur(scatterers, (0, 0), sigmaX=1.5, sigmaY=1.1)
    amplitude = np.sqrt(np.sqrt(cv2.magnitude(echoes[..., 0], echoes[..., 1])))
    return np.asarray(amplitude / amplitude.mean(), np.float32)
