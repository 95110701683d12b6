"""Contact sheets and bar charts, made from arrays and strings. Pure functions.

Canvases are uint8 arrays of shape (height, width, 3), blue first, on white.
"""

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from camus.pixels import Picture

Colour = tuple[int, int, int]
Place = tuple[int, int]  # x, y: pixels from the left and from the top
Legend = Sequence[tuple[str, Colour]]

COLUMNS, THUMBNAIL, GAP = 6, 152, 10  # 982 pixels wide: GitHub shows a README at 830
PANEL_WIDTH, PANEL_HEIGHT, MARGIN = 508, 340, 16
TEXT_SCALE, TITLE_SCALE, LINE = 0.5, 0.6, 20  # LINE: height of a line of text in pixels
TEXT, GRAY, LIGHT_GRAY = (40, 40, 40), (120, 120, 120), (225, 225, 225)
# Colours that everyone can tell apart: Okabe and Ito, https://jfly.uni-koeln.de/color
YELLOW, VERMILLION, SKY = (66, 228, 240), (0, 94, 213), (233, 180, 86)
BLUE, ORANGE, GREEN = (178, 114, 0), (0, 159, 230), (115, 158, 0)
COLOURS = {0: LIGHT_GRAY, 1: YELLOW, 2: VERMILLION, 3: SKY}  # by label


def _readable(text: str) -> str:
    """The text with "?" for what OpenCV cannot draw: it crashes on names that are not Unicode.

    OpenCV 4 draws ASCII only.
    """
    if int(cv2.__version__.split(".")[0]) < 5:
        text = text.replace("·", "-").encode("ascii", "replace").decode()
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def text_width(text: str, scale: float = TEXT_SCALE) -> int:
    """The width of a line of text in pixels."""
    return int(cv2.getTextSize(_readable(text), cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0])


def write_text(
    canvas: Picture, text: str, place: Place, scale: float = TEXT_SCALE, centred: bool = False
) -> None:
    """Write lines of text. place: the left end, or the middle, of the first base line."""
    for number, line in enumerate(text.split("\n")):
        left = place[0] - (text_width(line, scale) // 2 if centred else 0)
        start, font = (left, place[1] + number * LINE), cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(canvas, _readable(line), start, font, scale, TEXT, 1, cv2.LINE_AA)


def shorten(line: str, width: int = THUMBNAIL) -> str:
    """A line of text of at most `width` pixels. The end is kept, which tells names apart."""
    while text_width(line) > width:
        line = f"...{line[4:]}"
    return line


def thumbnail(picture: npt.NDArray[Any]) -> Picture:
    """A picture as 8-bit colour, its longer side THUMBNAIL pixels.

    picture: (height, width) or (height, width, channels), blue first. Other types than uint8 are
    scaled so that their maximum is white; a fourth channel is left out.
    """
    if picture.dtype != np.uint8:
        values = np.nan_to_num(picture.astype(np.float64)).clip(0)
        picture = (values * (255 / max(values.max(), 1e-9))).astype(np.uint8)
    scale = THUMBNAIL / max(picture.shape[:2])
    size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.dstack([small] * 3) if small.ndim == 2 else small[:, :, :3]


def placeholder(text: str) -> Picture:
    """A gray tile with a text, in place of a thumbnail."""
    canvas = np.full((THUMBNAIL, THUMBNAIL, 3), LIGHT_GRAY, np.uint8)
    write_text(canvas, text, (THUMBNAIL // 2, THUMBNAIL // 2 + 5), centred=True)
    return canvas


def draw_outlines(tile: Picture, labels: Picture) -> None:
    """Draw the outline of each structure onto the thumbnail of its image.

    labels: (height, width) of the image, values 0..3. A border that two structures share is drawn
    once, in the colour of the lower label.
    """
    height, width = tile.shape[:2]
    drawn = np.zeros((height, width), np.uint8)
    for label in (1, 2, 3):
        region = cv2.resize(cv2.inRange(labels, label, label), (4 * width, 4 * height))
        region = cv2.inRange(region, 128, 255)
        outlines, _ = cv2.findContours(region, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        # From pixels of the enlarged region to 16ths of a pixel: 16 * ((p + 0.5) / 4 - 0.5)
        fixed = [np.asarray(outline * 4 - 6, np.int32) for outline in outlines]
        line = np.zeros((height, width), np.uint8)
        cv2.polylines(line, fixed, True, 255, 1, cv2.LINE_AA, 4)
        line[drawn > 0] = 0
        drawn = np.maximum(drawn, cv2.dilate(line, np.ones((3, 3))))
        weight = line[:, :, None] / 255
        tile[:] = np.rint(tile * (1 - weight) + weight * np.array(COLOURS[label]))


def sheet(title: str, tiles: Sequence[Picture], captions: Sequence[str], legend: Legend) -> Picture:
    """A title and a legend, and below them tiles with their captions, COLUMNS in a row."""
    lines = 1 + max((caption.count("\n") for caption in captions), default=0)
    cell = THUMBNAIL + LINE * lines + 2 * GAP
    width = GAP + COLUMNS * (THUMBNAIL + GAP)
    canvas = np.full((math.ceil(len(tiles) / COLUMNS) * cell, width, 3), 255, np.uint8)
    for index, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        top, left = index // COLUMNS * cell, GAP + index % COLUMNS * (THUMBNAIL + GAP)
        rows, columns = tile.shape[:2]
        y, x = top + (THUMBNAIL - rows) // 2, left + (THUMBNAIL - columns) // 2
        canvas[y : y + rows, x : x + columns] = tile
        place = (left + THUMBNAIL // 2, top + THUMBNAIL + LINE - 2)
        lines_of_caption = [shorten(line) for line in caption.split("\n")]
        write_text(canvas, "\n".join(lines_of_caption), place, centred=True)
    return np.vstack([_heading(title, legend, width, GAP), canvas])


def _heading(title: str, legend: Legend, width: int, margin: int) -> Picture:
    """A strip with a title and, below it, coloured squares with their names."""
    canvas = np.full((40 + LINE * 2 * len(legend), width, 3), 255, np.uint8)
    write_text(canvas, title, (margin, 26), TITLE_SCALE)
    x, y = margin, 26 + (LINE + 8 if legend else 0)
    for name, colour in legend:
        length = 20 + text_width(name)
        if x > margin and x + length > width - margin:
            x, y = margin, y + LINE
        cv2.rectangle(canvas, (x, y - 12), (x + 12, y), colour, -1)
        cv2.rectangle(canvas, (x, y - 12), (x + 12, y), GRAY, 1)
        write_text(canvas, name, (x + 20, y))
        x += length + 24
    return canvas[: y + 14]


def two_columns(title: str, panels: Sequence[Picture]) -> Picture:
    """Charts in two columns under a title."""
    blank = np.full((PANEL_HEIGHT, PANEL_WIDTH, 3), 255, np.uint8)
    panels = [*panels, blank] if len(panels) % 2 else panels
    rows = [np.hstack(pair) for pair in zip(panels[::2], panels[1::2], strict=True)]
    return np.vstack([_heading(title, [], 2 * PANEL_WIDTH, MARGIN), *rows])


def chart(
    title: str, legend: Legend, groups: Sequence[str], values: npt.NDArray[Any],
    full: npt.NDArray[Any], number: str,
) -> Picture:  # fmt: skip
    """Groups of bars, one bar per entry of the legend, with their numbers.

    groups: names to write under the bars; may have several lines. values: (legend, groups); one
    that is not a number has no bar. full: (legend,), the values whose bars fill the chart.
    number: how a value is written above its bar, such as "{:.0f}".
    """
    canvas = np.full((PANEL_HEIGHT, PANEL_WIDTH, 3), 255, np.uint8)
    heading = _heading(title, legend, PANEL_WIDTH, MARGIN)
    canvas[: len(heading)] = heading
    top, bottom = len(heading) + LINE, PANEL_HEIGHT - 3 * LINE
    slot = (PANEL_WIDTH - 2 * MARGIN) / len(groups)
    bar = int(min(56, 0.88 * slot / len(legend)))
    for group, name in enumerate(groups):
        middle = int(MARGIN + (group + 0.5) * slot)
        for series, (_, colour) in enumerate(legend):
            value = values[series][group]
            if np.isnan(value):
                continue
            left = middle + int((series - len(legend) / 2) * bar)
            y = bottom - round((bottom - top) * value / max(1, full[series]))
            canvas[y:bottom, left + 2 : left + bar - 1] = colour
            write_text(canvas, number.format(value), (left + bar // 2, y - 6), centred=True)
        write_text(canvas, name, (middle, bottom + LINE), centred=True)
    cv2.line(canvas, (MARGIN, bottom), (PANEL_WIDTH - MARGIN, bottom), GRAY, 1)
    return canvas


def png(canvas: Picture) -> bytes:
    """The bytes of a PNG file, with one channel if the canvas has no colour."""
    if (canvas == canvas[:, :, :1]).all():
        canvas = canvas[:, :, 0]
    return cv2.imencode(".png", canvas, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes()
