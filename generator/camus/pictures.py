"""Contact sheets and bar charts, made from arrays and strings. Pure functions.

Canvases are uint8 arrays of shape (height, width, 3), blue first, on white.
"""

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from camus.facts import UNKNOWN
from camus.pixels import Picture, fit_box, on_black

Colour = tuple[int, int, int]
Legend = Sequence[tuple[str, Colour]]

COLUMNS, THUMBNAIL, GAP = 6, 152, 10
WIDTH = COLUMNS * (THUMBNAIL + GAP) + GAP  # 982 pixels: GitHub shows a README at 830
LINE = 20  # height of a line of text, pixels
TEXT = (40, 40, 40)
FONT: Any = (cv2.FONT_HERSHEY_SIMPLEX, 0.5, TEXT, 1, cv2.LINE_AA)  # as cv2.putText takes them
if hasattr(cv2, "FontFace"):  # OpenCV 5 has a font whose zero has no stroke through it
    FONT = (TEXT, cv2.FontFace("uni"), 15)
CHART = 660  # width of a chart, pixels
BARS = 140  # the left end of bars; their names are at its left
# Colours that everyone can tell apart: Okabe and Ito, https://jfly.uni-koeln.de/color
YELLOW, VERMILLION, SKY = (66, 228, 240), (0, 94, 213), (233, 180, 86)
BLUE, ORANGE, GREEN = (178, 114, 0), (0, 159, 230), (115, 158, 0)
STRUCTURE_COLOURS = {1: YELLOW, 2: VERMILLION, 3: SKY}  # by label
SUBSET_COLOURS = (BLUE, ORANGE, GREEN)  # of train, valid, test


def write_text(canvas: Picture, text: str, x: int, y: int) -> None:
    """Write lines of text. x, y: the left end of the first base line."""
    for number, line in enumerate(text.split("\n")):
        line = line.encode("ascii", "replace").decode()  # OpenCV cannot draw all other letters
        cv2.putText(canvas, line, (x, y + number * LINE), *FONT)


def heading(title: str, legend: Legend) -> Picture:
    """A title, and below it coloured squares with their names."""
    canvas = np.full((LINE * (len(legend) + 2), WIDTH, 3), 255, np.uint8)
    write_text(canvas, title, GAP, LINE)
    for number, (name, colour) in enumerate(legend, 2):
        corners = (GAP, number * LINE - 12), (GAP + 12, number * LINE)
        cv2.rectangle(canvas, *corners, colour, cv2.FILLED)
        cv2.rectangle(canvas, *corners, TEXT)  # its outline
        write_text(canvas, name, GAP + LINE, number * LINE)
    return canvas


def thumbnail(picture: Picture) -> Picture:
    """A picture, (height, width) or with colours, on a black square of THUMBNAIL pixels a side."""
    height, width = picture.shape[:2]
    box = fit_box(width, height, (1, 1), THUMBNAIL, "pad")
    small = cv2.resize(picture, (box.width, box.height), interpolation=cv2.INTER_AREA)
    return on_black(np.asarray(small, np.uint8), box)


def overlay(image: Picture, labels: Picture) -> Picture:
    """A thumbnail of an image with the outline of each structure. Both arrays: (height, width).

    A border that two structures share is drawn in the colour of the lower label.
    """
    canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    width = max(1, round(1.3 * max(image.shape) / THUMBNAIL))
    for label, colour in sorted(STRUCTURE_COLOURS.items(), reverse=True):
        region = cv2.inRange(labels, label, label)
        outlines, _ = cv2.findContours(region, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, outlines, -1, colour, width, cv2.LINE_AA)
    return thumbnail(np.asarray(canvas, np.uint8))


def sheet(title: str, legend: Legend, tiles: Sequence[Picture], captions: Sequence[str]) -> Picture:
    """A heading, and below it thumbnails with their captions, COLUMNS in a row."""
    cell = THUMBNAIL + LINE * (2 + max((text.count("\n") for text in captions), default=0))
    height = cell * math.ceil(len(tiles) / COLUMNS)
    canvas = np.full((height, WIDTH, 3), 255, np.uint8)
    for number, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        top, left = cell * (number // COLUMNS), GAP + (THUMBNAIL + GAP) * (number % COLUMNS)
        canvas[top : top + THUMBNAIL, left : left + THUMBNAIL] = np.atleast_3d(tile)
        column = canvas[:, left : left + THUMBNAIL]  # which cuts off what is too long
        write_text(column, caption, 0, top + THUMBNAIL + LINE)
    return np.vstack([heading(title, legend), canvas])


def chart(title: str, kinds: Sequence[str], values: Sequence[Sequence[str]]) -> Picture:
    """What share of each subset's values is of each kind, or unknown: a bar per subset, percent.

    The chart takes the left CHART pixels of its canvas.
    """
    kinds = [kind for kind in (*kinds, UNKNOWN) if any(kind in own for own in values)]
    height = 2 * LINE + (LINE * sum(map(bool, values)) + GAP) * len(kinds)
    canvas = np.full((height, WIDTH, 3), 255, np.uint8)
    write_text(canvas, title, GAP, LINE)
    y = LINE
    for kind in kinds:
        write_text(canvas, kind, GAP, y + LINE + 2)
        for own, colour in zip(values, SUBSET_COLOURS, strict=True):
            if own:  # an empty subset has no shares
                share = own.count(kind) / len(own)
                right = BARS + round((CHART - BARS - 80) * share)
                canvas[y + 6 : y + 22, BARS:right] = colour
                write_text(canvas, f"{100 * share:.1f}", right + GAP, y + LINE)
                y += LINE
        y += GAP
    return canvas
