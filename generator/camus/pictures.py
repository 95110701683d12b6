"""Contact sheets and bar charts, made from arrays and strings. Pure functions.

Canvases are uint8 arrays of shape (height, width, 3), blue first, on white.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from camus.pixels import Picture

Colour = tuple[int, int, int]
Legend = Sequence[tuple[str, Colour]]
Bars = Mapping[str, Sequence[float]]  # the name below a group of bars, and their values

COLUMNS, THUMBNAIL, GAP = 6, 152, 10  # 982 pixels wide: GitHub shows a README at 830
PANEL_WIDTH, PANEL_HEIGHT = 491, 290
FONT, TEXT_SCALE, TITLE_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.5, 0.6
LINE = 20  # height of a line of text, pixels
TEXT, GRAY = (40, 40, 40), (120, 120, 120)
# Colours that everyone can tell apart: Okabe and Ito, https://jfly.uni-koeln.de/color
YELLOW, VERMILLION, SKY = (66, 228, 240), (0, 94, 213), (233, 180, 86)
BLUE, ORANGE, GREEN = (178, 114, 0), (0, 159, 230), (115, 158, 0)
STRUCTURE_COLOURS = {1: YELLOW, 2: VERMILLION, 3: SKY}  # by label


def write_text(
    canvas: Picture, text: str, x: int, y: int, scale: float = TEXT_SCALE, centred: bool = False
) -> int:
    """Write lines of text; the width of the last one in pixels.

    x: the left end of each line, or its middle. y: the first base line.
    """
    width = 0
    for number, line in enumerate(text.split("\n")):
        line = line.encode("ascii", "replace").decode()  # OpenCV 4 cannot draw other letters
        width = cv2.getTextSize(line, FONT, scale, 1)[0][0]
        start = (x - width // 2 if centred else x, y + number * LINE)
        cv2.putText(canvas, line, start, FONT, scale, TEXT, 1, cv2.LINE_AA)
    return width


def heading(title: str, legend: Legend, width: int = 2 * PANEL_WIDTH) -> Picture:
    """A strip with a title and, below it, coloured squares with their names."""
    canvas = np.full((66 if legend else 40, width, 3), 255, np.uint8)
    write_text(canvas, title, GAP, 26, TITLE_SCALE)
    x = GAP
    for name, colour in legend:
        cv2.rectangle(canvas, (x, 42), (x + 12, 54), colour, -1)
        cv2.rectangle(canvas, (x, 42), (x + 12, 54), GRAY, 1)
        x += 44 + write_text(canvas, name, x + 20, 54)
    return canvas


def thumbnail(picture: Picture) -> Picture:
    """A square picture, (height, width) or with colours, as a canvas of THUMBNAIL pixels a side."""
    small = cv2.resize(picture, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return np.asarray(
        small if small.ndim == 3 else cv2.cvtColor(small, cv2.COLOR_GRAY2BGR), np.uint8
    )


def overlay(image: Picture, labels: Picture) -> Picture:
    """A thumbnail of an image with the outline of each structure. Both arrays: (height, width).

    A border that two structures share is drawn in the colour of the lower label.
    """
    canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    width = max(1, round(1.3 * len(image) / THUMBNAIL))
    for label, colour in sorted(STRUCTURE_COLOURS.items(), reverse=True):
        region = cv2.inRange(labels, label, label)
        outlines, _ = cv2.findContours(region, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, outlines, -1, colour, width, cv2.LINE_AA)
    return thumbnail(np.asarray(canvas, np.uint8))


def sheet(title: str, tiles: Sequence[Picture], captions: Sequence[str], legend: Legend) -> Picture:
    """A title and a legend, and below them square tiles with their captions, COLUMNS in a row."""
    lines = 1 + max((caption.count("\n") for caption in captions), default=0)
    cell, step = THUMBNAIL + LINE * lines + 2 * GAP, THUMBNAIL + GAP
    canvas = np.full((cell * math.ceil(len(tiles) / COLUMNS), 2 * PANEL_WIDTH, 3), 255, np.uint8)
    for number, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        top, left = cell * (number // COLUMNS), GAP + step * (number % COLUMNS)
        canvas[top : top + THUMBNAIL, left : left + THUMBNAIL] = tile
        below = canvas[:, left : left + THUMBNAIL]  # which cuts off what is too long
        write_text(below, caption, THUMBNAIL // 2, top + THUMBNAIL + LINE - 2, centred=True)
    return np.vstack([heading(title, legend), canvas])


def chart(title: str, bars: Bars, colours: Sequence[Colour]) -> Picture:
    """Groups of bars, one bar per colour, with their values above them."""
    canvas = heading(title, [], PANEL_WIDTH)
    canvas = np.vstack([canvas, np.full((PANEL_HEIGHT - 40, PANEL_WIDTH, 3), 255, np.uint8)])
    top, bottom = 66, PANEL_HEIGHT - 3 * LINE
    highest = max([1, *map(max, bars.values())])
    slot = (PANEL_WIDTH - 2 * GAP) / max(1, len(bars))
    width = int(min(48, 0.88 * slot / len(colours)))
    for group, (name, values) in enumerate(bars.items()):
        middle = int(GAP + (group + 0.5) * slot)
        for series, (value, colour) in enumerate(zip(values, colours, strict=True)):
            left = middle + int((series - len(colours) / 2) * width)
            y = bottom - round((bottom - top) * value / highest)
            canvas[y:bottom, left + 2 : left + width - 1] = colour
            text = f"{value:,}" if isinstance(value, int) else f"{value:.1f}"
            write_text(canvas, text, left + width // 2, y - 6, centred=True)
        lines = textwrap.wrap(name, int(slot / 9), max_lines=2, placeholder=" ...")
        write_text(canvas, "\n".join(lines), middle, bottom + LINE, centred=True)
    cv2.line(canvas, (GAP, bottom), (PANEL_WIDTH - GAP, bottom), GRAY, 1)
    return canvas


def png(canvas: Picture) -> bytes:
    """The bytes of a PNG file, with one channel if the canvas has no colour."""
    if (canvas == canvas[:, :, :1]).all():
        canvas = canvas[:, :, 0]
    return cv2.imencode(".png", canvas, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes()
