"""Phantom echocardiograms of the two apical views, with their masks. Pure functions, no files.

Points are rows of (across, along): pixels from the long axis of the left ventricle, and down it
from the outer apex. Pictures are (height, width), polar fields (depth, beam) in decibels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]

BEAMS = 224
DYNAMIC_RANGE = 66  # dB from black to white

# Echo strengths, dB below white
BLOOD, TISSUE, WALL, SEPTUM, PAPILLARY, PERICARDIUM, VALVE = -50, -29, -22, -14, -30, -9, -7


class Quality(NamedTuple):
    """What an acquisition loses: contrast (share kept), haze (dB) and dark shadows (dB)."""

    contrast: float
    haze: float
    shadow: float


QUALITIES = {
    "Good": Quality(1.0, -52, 3),
    "Medium": Quality(0.85, -45, 5),
    "Poor": Quality(0.72, -42, 8),
}


class Sector(NamedTuple):
    """The size of a picture that a sector fills, its tip in the middle of the top."""

    width: int
    height: int

    @property
    def half_angle(self) -> float:
        return float(np.arcsin(self.width / 2 / self.height))


@dataclass(frozen=True)
class Heart:
    """A heart in one view at end-diastole: pixels, radians, and the ejection fraction 0..1."""

    apex: tuple[float, float]  # x, y in the picture, of the outer wall
    tilt: float
    length: float  # of the cavity, from apex to mitral annulus
    half_width: float
    wall: float
    bend: float  # sideways, as a share of the length
    atrium: tuple[float, float]  # length, half width
    ejection_fraction: float
    four_chamber: bool


class Outlines(NamedTuple):
    """Closed outlines of the left heart, each from the septal (4CH) or inferior (2CH) side on."""

    cavity: Points
    myocardium: Points
    atrium: Points


class Stroke(NamedTuple):
    """A line of some width in beams, or a filled outline where the width is 0."""

    points: Points
    level: float
    width: int = 0


def contraction(ejection_fraction: float, phase: float) -> tuple[float, float]:
    """Scale of the cavity across and along; phase 0 is end-diastole, 1 end-systole.

    The area-length method gives a volume as 8 A^2 / (3 pi L), A the area and L the length, so the
    volume scales with across^2 * along.
    """
    ejected = ejection_fraction * phase
    along = 1 - 0.24 * ejected
    return float(np.sqrt((1 - ejected) / along)), along


def outlines(heart: Heart, phase: float) -> Outlines:
    """The left heart at a phase: the base moves to the apex, the walls thicken, the atrium fills.

    The myocardium is open at the base, and its septal end reaches lower, as in the CAMUS masks.
    """
    across, along = contraction(heart.ejection_fraction, phase)
    wall = heart.wall * (1 + 0.7 * heart.ejection_fraction * phase)
    tip, length, half_width = 0.6 * wall, heart.length * along, heart.half_width * across
    depth = 1 - np.cos(np.linspace(0, np.pi / 2, 48))
    half = _half_width(depth)
    inner = _both_sides(half_width * half, tip + length * depth)
    outer = _both_sides((half_width + wall) * half, (tip + length) * depth)
    ends = outer[[0, -1]] + [(0, 0.45 * wall), (0, 0.1 * wall)]
    ring = np.concatenate([ends[:1], outer[1:-1], ends[1:], inner[::-1]])
    return Outlines(inner, ring, _atrium(heart, inner[-1], phase))


def _half_width(depth: Points, widest: float = 0.6) -> Points:
    """The cavity's half width at a depth, both as shares: an ellipse, tapering to the base."""
    ellipse = np.sqrt(np.clip(1 - (1 - depth / widest) ** 2, 0, 1))
    return np.where(depth < widest, ellipse, 1 - 0.27 * ((depth - widest) / (1 - widest)) ** 2)


def _both_sides(half: Points, along: Points) -> Points:
    """Up the left side of a symmetric outline and down its right."""
    left, right = np.stack([-half, along], 1), np.stack([half, along], 1)
    return np.concatenate([left[::-1], right])


def _atrium(heart: Heart, hinge: Points, phase: float) -> Points:
    length, widest = np.array(heart.atrium) * (1 + 0.12 * phase)
    depth = np.sin(np.linspace(0, np.pi / 2, 32))
    half = hinge[0] + (widest - hinge[0]) * np.sin(np.pi * depth / 1.4)
    return _both_sides(half * np.sqrt(1 - depth**4), hinge[1] + length * depth)


def strokes(heart: Heart, outline: Outlines, phase: float) -> list[Stroke]:
    """What the beam meets, from back to front."""
    cavity, ring, atrium = outline
    outer, inner = ring[: len(ring) // 2], ring[len(ring) // 2 :][::-1]
    middle = (outer + inner[: len(outer)]) / 2
    septum, lateral = middle[: len(middle) * 5 // 12], outer[len(outer) * 7 // 12 :]
    picture = right_heart(heart, outline) if heart.four_chamber else []
    picture += [Stroke(atrium * (1.07, 1), TISSUE + 5), Stroke(ring, WALL)]
    picture += [Stroke(septum, SEPTUM if heart.four_chamber else WALL + 4, 7)]
    picture += [Stroke(lateral + (4, 0), PERICARDIUM, 3)]
    if not heart.four_chamber:
        picture += [Stroke(outer[: len(outer) // 3] - (4, 0), PERICARDIUM - 2, 3)]
    picture += [Stroke(atrium, BLOOD + 4), Stroke(cavity, BLOOD)]
    picture += papillary_muscles(outline, heart.four_chamber)
    return picture + mitral_valve(cavity[0], cavity[-1], phase)


def right_heart(heart: Heart, outline: Outlines) -> list[Stroke]:
    """Right ventricle and atrium, left of the septum in the four-chamber view."""
    outer = outline.myocardium[: len(outline.myocardium) // 2]
    septal = outer[: len(outer) // 2 - 6][::-1] - (3, 0)
    down = np.linspace(0, 1, len(septal))[:, None]
    free = septal - np.hstack([0.5 * heart.length * down**0.6 * (1 - 0.3 * down), 0 * down])
    base = free[-1], septal[-1]
    angle = np.linspace(0, 2 * np.pi, 40)
    size = heart.length * np.array([0.22, 0.27])
    centre = (free[-1] + septal[-1]) / 2 + (0, size[1] * 0.95)
    atrium = centre + size * np.stack([np.cos(angle), np.sin(angle)], 1)
    return [
        Stroke(np.concatenate([septal, free[::-1]]), BLOOD + 3),
        Stroke(free, WALL + 5, 4),
        Stroke(atrium, TISSUE + 4, 4),
        Stroke(atrium, BLOOD + 4),
        *mitral_valve(*base, phase=1),
    ]


def mitral_valve(left: Points, right: Points, phase: float) -> list[Stroke]:
    """Two bright leaflets between bright hinges; they meet as the ventricle starts to contract."""
    gap = 0.16 * max(0.0, 1 - 3 * phase)
    t = np.linspace(0, 1, 12)[:, None]
    width = right[0] - left[0]
    picture = []
    for hinge, other, share in ((left, right, 0.58 - gap), (right, left, 0.42 - gap)):
        leaf = hinge + share * t * (other - hinge)
        leaf = leaf - np.hstack([0 * t, width * (0.10 + gap) * np.sin(t * 2.0)])
        picture += [Stroke(leaf, VALVE, 2), Stroke(hinge + [(-4.0, 0), (4, 2)], VALVE - 4, 4)]
    return picture


def papillary_muscles(outline: Outlines, four_chamber: bool) -> list[Stroke]:
    """Faint ridges in the cavity: one on the lateral wall (4CH), one on each wall (2CH)."""
    inner = outline.cavity
    right = inner[len(inner) * 7 // 10 : len(inner) * 9 // 10]
    ridges = [right * (0.82, 1)]
    if not four_chamber:
        ridges.append(inner[len(inner) // 10 : len(inner) * 3 // 10] * (0.86, 1))
    top = inner[len(inner) * 4 // 10 : len(inner) * 6 // 10]
    return [*(Stroke(ridge, PAPILLARY, 4) for ridge in ridges), Stroke(top + (0, 4), PAPILLARY, 3)]


def in_picture(heart: Heart, points: Points) -> Points:
    """From (across, along) to (x, y) in the picture."""
    across, along = points[:, 0], points[:, 1]
    across = across + heart.bend * heart.length * np.sin(np.pi * along / (1.6 * heart.length))
    cos, sin = np.cos(heart.tilt), np.sin(heart.tilt)
    return np.stack([cos * across - sin * along, sin * across + cos * along], 1) + heart.apex


def in_sector(sector: Sector, points: Points) -> Points:
    """From (x, y) in the picture to (beam, depth)."""
    x, y = points[:, 0] - (sector.width - 1) / 2, points[:, 1]
    beam = (np.arctan2(x, y) / sector.half_angle + 1) / 2 * (BEAMS - 1)
    return np.stack([beam, np.hypot(x, y)], 1)


def draw(field: npt.NDArray[Any], points: Points, level: float, width: int = 0) -> None:
    """Fill an outline, or draw a line; pixel centres are at whole numbers."""
    fixed = np.round(points * 16).astype(np.int32)
    if width:
        cv2.polylines(field, [fixed], False, level, width, cv2.LINE_8, 4)
    else:
        cv2.fillPoly(field, [fixed], level, cv2.LINE_8, 4)


def label_map(sector: Sector, heart: Heart, outline: Outlines) -> npt.NDArray[np.uint8]:
    """The mask: 1 left-ventricle cavity, 2 myocardium, 3 left atrium."""
    labels = np.zeros((sector.height, sector.width), np.uint8)
    cavity, myocardium, atrium = (in_picture(heart, points) for points in outline)
    for label, points in ((2, myocardium), (3, atrium), (1, cavity)):
        draw(labels, points, label)
    return labels


def echo_field(sector: Sector, heart: Heart, outline: Outlines, phase: float) -> Floats:
    """Echo strength of the anatomy, before anything that blurs or weakens it."""
    field = np.full((sector.height, BEAMS), TISSUE, np.float32)
    for points, level, width in strokes(heart, outline, phase):
        draw(field, in_sector(sector, in_picture(heart, points)), level, width)
    return np.asarray(cv2.GaussianBlur(field, (0, 0), 1.6, sigmaY=3.0), np.float32)


def slow_changes(sector: Sector, quality: Quality, rng: np.random.Generator) -> Floats:
    """What an acquisition adds to every frame: patchy tissue, shadows, attenuation, near field."""
    size = (BEAMS, sector.height)

    def patches(rows: int, columns: int, strength: float) -> Floats:
        grid = rng.standard_normal((rows, columns), np.float32) * np.float32(strength)
        return np.asarray(cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC), np.float32)

    shadows = np.abs(patches(1, 9, quality.shadow))
    edges = 7 * np.linspace(-1, 1, BEAMS, dtype=np.float32) ** 6
    depth = np.linspace(0, 1, sector.height, dtype=np.float32)[:, None]
    near_field = 16 * np.exp(-depth / 0.045) + 8 * np.exp(-(((depth - 0.95) / 0.05) ** 2))
    texture = patches(5, 4, 4.0) + patches(14, 9, 3.5) + patches(70, 24, 3.5)
    return np.asarray(texture - shadows - edges - 7 * depth + near_field, np.float32)


def speckle(echo: Floats, rng: np.random.Generator) -> Floats:
    """The envelope, in dB, of Gaussian scatterers of a given echo strength seen by a beam.

    Fully developed speckle: the envelope is Rayleigh distributed (Wagner et al. 1983, IEEE Trans.
    Sonics Ultrason. 30(3), 156-163). The beam has a constant angle, so it widens with depth.
    """
    scatterers = rng.standard_normal((2, *echo.shape), np.float32)
    scatterers *= np.power(np.float32(10), echo / np.float32(20))
    real, imaginary = (cv2.GaussianBlur(part, (0, 0), 1.2, sigmaY=1.2) for part in scatterers)
    envelope = np.asarray(cv2.magnitude(real, imaginary), np.float32) * np.float32(2.9)
    return np.asarray(20 * np.log10(envelope + np.float32(1e-6)), np.float32)


def scan_conversion(sector: Sector) -> tuple[Floats, Floats]:
    """The beam and the depth that each pixel of the picture shows."""
    x = np.arange(sector.width, dtype=np.float32) - np.float32((sector.width - 1) / 2)
    y = np.arange(sector.height, dtype=np.float32)[:, None] + np.float32(1e-3)
    beam = (np.arctan2(x, y) / sector.half_angle + 1) / 2 * (BEAMS - 1)
    return beam.astype(np.float32), np.hypot(x, y).astype(np.float32)


def echocardiogram(
    echo: Floats,
    slow: Floats,
    quality: Quality,
    maps: tuple[Floats, Floats],
    rng: np.random.Generator,
) -> npt.NDArray[np.uint8]:
    """One frame of a cine loop, black outside its sector."""
    seen = TISSUE + quality.contrast * (echo - TISSUE) + slow
    power = np.power(np.float32(10), seen / 10) + np.float32(10 ** (quality.haze / 10))
    decibels = speckle(10 * np.log10(power), rng)
    gray = np.clip(255 * (1 + decibels / DYNAMIC_RANGE), 0, 255)
    smooth = cv2.GaussianBlur(gray, (0, 0), 0.7, sigmaY=0.9)  # as scanners do for the eye
    picture = cv2.remap(smooth, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.rint(picture).astype(np.uint8)
