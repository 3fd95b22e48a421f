"""Drawings of neurons: what a transformer does with a photograph, the grids of its layers, the terms of a product."""
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle

from nblib.figures.inputs import as_array, as_pictures, expect_count
from nblib.figures.mosaic import APART, GAP, LETTERS, LINE, sheet
from nblib.figures.style import BLACK, BLUE, GREY, NARROW, ORANGE

GRID = 1.15  # inches: the height of a layer's grid
PATCHES = 4  # a side, in the drawing; a network of photographs has more
SHOWN = ((0, 1), (1, 2), (2, 1), (3, 2))  # (row, column) of the patches whose tokens are drawn
TABLES = (("path w, v", "wv", (2, 3), (Fraction(3, 2), 1)), ("path w, u", "wu", (2, 0), (3, 4)))  # values, mean slopes
CELL = 0.5  # inches: the side of a term


def neuron_grids(pictures: Sequence, values: Sequence, chosen: Sequence, *, labels: Sequence[str] | None = None) -> Figure:
    """Draw each layer's neurons as a grid of cells, darker where more active, and mark the neurons that are meant.

    Where exactly one is meant in every layer, a line joins them.

    Args:
        pictures: R pictures (3, H, W) in [0, 1], what goes into each network.
        values: R tables (L, n), the neurons' values; below zero counts as zero.
        chosen: R lists of pairs (layer, neuron), counted from 0.
        labels: R texts above the rows.

    Raises:
        ValueError: numbers of pictures, tables, lists and labels that do not agree.
    """
    for what, given in (("values", values), ("chosen", chosen), ("labels", labels)):
        expect_count(what, given, len(pictures))
    above = LINE if labels is not None else 0.0
    apart = APART * (labels is not None)  # above the label of every row but the first
    height = LINE + len(pictures) * (GRID + above + GAP) + (len(pictures) - 1) * apart
    figure, axis = sheet(height)
    top = height
    for row, (picture, table, marks) in enumerate(zip(pictures, map(as_array, values), chosen)):
        if labels is not None:
            axis.text(0.02, top - 0.02, labels[row], ha="left", va="top", fontsize=LETTERS, weight="bold")
        top -= above + GRID
        axis.imshow(as_pictures(as_array(picture)[None])[0], extent=(0.02, 0.92, top + 0.12, top + 1.02), zorder=1)
        left, step = 1.02, (NARROW - 1.04) / len(table)
        across = max(1, round((table.shape[1] * (step - GAP) / GRID) ** 0.5))
        places = [_grid(axis, cells, left + layer * step, top, step - GAP, across) for layer, cells in enumerate(table)]
        points = [places[layer][neuron] for layer, neuron in marks]
        if [layer for layer, _ in marks] == list(range(len(table))):
            axis.plot(*zip(*points), color=ORANGE, linewidth=1.8, zorder=3)
        for point in points:
            axis.add_patch(Circle(point, 0.055, facecolor=ORANGE, edgecolor=BLACK, linewidth=0.8, zorder=4))
        if row == len(pictures) - 1:
            for layer in range(len(table)):
                axis.text(left + layer * step + (step - GAP) / 2, top - 0.03, f"{layer + 1}", ha="center", va="top",
                          fontsize=LETTERS - 0.5, color=GREY)
            axis.text(0.47, top - 0.03, "layer", ha="center", va="top", fontsize=LETTERS - 0.5, color=GREY)
        top -= GAP + apart
    axis.set(xlim=(0, NARROW), ylim=(0, height))
    return figure


def transformer_idea(picture) -> Figure:
    """Draw how a vision transformer reads a photograph: patches, tokens, blocks, and one neuron of each as a path.

    Args:
        picture: (3, H, W) in [0, 1].
    """
    height = 2.6
    figure, axis = sheet(height)
    image = as_pictures(as_array(picture)[None])[0]
    side = 1.2
    bottom = (height - side) / 2
    axis.imshow(image, extent=(0.05, 0.05 + side, bottom, bottom + side))
    for line in range(1, PATCHES):
        at = line * side / PATCHES
        axis.plot([0.05 + at] * 2, [bottom, bottom + side], color="white", linewidth=1)
        axis.plot([0.05, 0.05 + side], [bottom + at] * 2, color="white", linewidth=1)
    axis.text(0.05 + side / 2, bottom - 0.05, "patches", ha="center", va="top", fontsize=LETTERS)
    heights = [2.12 - 0.42 * number for number in range(1 + len(SHOWN))]
    _tokens(axis, image, heights)
    for left in (2.05, 2.98, 3.91):
        _block(axis, left, heights)
    neurons = [(2.05 + 0.64, heights[0] + 0.14), (2.98 + 0.64, heights[0]), (3.91 + 0.64, heights[0] + 0.28)]
    axis.plot(*zip(*neurons), color=ORANGE, linewidth=2, zorder=5)
    for point in neurons:
        axis.add_patch(Circle(point, 0.06, facecolor=ORANGE, edgecolor=BLACK, linewidth=0.8, zorder=6))
    _arrow(axis, (4.72, heights[0]), (5.0, heights[0] - 0.35))
    axis.text(4.99, heights[0] - 0.42, "answer", ha="center", va="top", fontsize=LETTERS)
    axis.text(3.4, 0.08, "blocks: attention mixes the tokens, then each has neurons", ha="center", va="bottom",
              fontsize=LETTERS - 1)
    axis.set(xlim=(0, NARROW + 0.08), ylim=(0, height))
    return figure


def product_terms() -> Figure:
    r"""Draw the terms of two joint attributions of :math:`F=wv+4u`: each value times each mean slope."""
    height = 1.95
    figure, axis = sheet(height)
    for number, (name, letters, values, slopes) in enumerate(TABLES):
        left, top = 0.95 + number * NARROW / 2, height - 0.62
        axis.text(left + CELL, height - 0.08, name, ha="center", va="top", fontsize=LETTERS + 1, weight="bold")
        axis.text(left - 0.08, top + 0.17, "slopes →", ha="right", va="center", fontsize=LETTERS - 1, color=GREY)
        axis.text(left - 0.5, top - CELL, "values", ha="right", va="center", fontsize=LETTERS - 1, color=GREY)
        for place, (letter, value, slope) in enumerate(zip(letters, values, slopes)):
            axis.text(left + (place + 0.5) * CELL, top + 0.08, f"{letter}: {_mixed(slope)}", ha="center", va="bottom",
                      fontsize=LETTERS)
            axis.text(left - 0.08, top - (place + 0.5) * CELL, f"{letter}: {value}", ha="right", va="center", fontsize=LETTERS)
            for other, along in enumerate(slopes):
                own = place == other
                corner = (left + other * CELL, top - (place + 1) * CELL)
                axis.add_patch(Rectangle(corner, CELL, CELL, facecolor=BLUE if own else ORANGE, alpha=0.3, linewidth=0))
                axis.add_patch(Rectangle(corner, CELL, CELL, facecolor="none", edgecolor=GREY, linewidth=0.8))
                axis.text(corner[0] + CELL / 2, corner[1] + CELL / 2, _mixed(value * along), ha="center", va="center",
                          fontsize=LETTERS + 2)
        own = sum(value * slope for value, slope in zip(values, slopes))
        crossed = sum(values) * sum(slopes) - own
        axis.text(left + CELL, top - 2 * CELL - 0.1, f"own {_mixed(own)} + cross {_mixed(crossed)} = "
                  f"{_mixed(own + crossed)}", ha="center", va="top", fontsize=LETTERS)
    axis.set(xlim=(0, NARROW), ylim=(0, height))
    return figure



def _grid(axis, cells: np.ndarray, left: float, bottom: float, width: float, across: int) -> list[tuple[float, float]]:
    """Draw one layer's neurons, row by row from the top, and return where the middle of each lies."""
    down = -(-len(cells) // across)  # rounded up
    field = np.full(down * across, np.nan)
    field[: len(cells)] = np.clip(cells, 0, None)
    end = np.nanpercentile(field, 99) or 1.0
    axis.imshow(field.reshape(down, across), extent=(left, left + width, bottom, bottom + GRID), cmap="Greys", vmin=-0.15 * end,
                vmax=1.3 * end, aspect="auto", interpolation="nearest", zorder=1)
    axis.add_patch(Rectangle((left, bottom), width, GRID, facecolor="none", edgecolor=GREY, linewidth=0.6, zorder=2))
    return [(left + (place % across + 0.5) * width / across, bottom + GRID - (place // across + 0.5) * GRID / down)
            for place in range(len(cells))]


def _tokens(axis, image: np.ndarray, heights: Sequence[float]) -> None:
    """Draw the class token and those of some patches, one below the other."""
    side, step = 0.3, image.shape[0] // PATCHES
    for number, height in enumerate(heights):
        box = (1.6, 1.6 + side, height - side / 2, height + side / 2)
        if number:
            row, column = SHOWN[number - 1]
            axis.imshow(image[row * step: (row + 1) * step, column * step: (column + 1) * step], extent=box)
        axis.add_patch(Rectangle(box[::2], side, side, facecolor="none" if number else "white",
                                 edgecolor=GREY if number else BLACK, linewidth=1.2))
    axis.text(1.75, heights[0], "?", ha="center", va="center", fontsize=LETTERS + 2)
    axis.text(1.5, heights[0], "class token", ha="right", va="center", fontsize=LETTERS)
    _arrow(axis, (1.3, 1.3), (1.55, 1.3))


def _block(axis, left: float, heights: Sequence[float]) -> None:
    """Draw one block: attention between all tokens, then the neurons of each."""
    axis.add_patch(Rectangle((left - 0.05, 0.28), 0.84, 2.28, facecolor="#F2F2F2", edgecolor="none", zorder=0))
    for start in heights:
        for end in heights:
            axis.plot([left, left + 0.45], [start, end], color=GREY, linewidth=0.5, alpha=0.6)
    for number, height in enumerate(heights):
        for neuron in range(-2, 3) if number else range(-1, 3):
            size, gap = (0.02, 0.07) if number else (0.045, 0.14)
            axis.add_patch(Circle((left + 0.64, height + neuron * gap), size, facecolor="white", edgecolor=BLACK,
                                  linewidth=0.6, zorder=3))


def _arrow(axis, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw an arrow."""
    axis.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=10, color=BLACK, linewidth=1.2))


def _mixed(value) -> str:
    """Return a number of halves as it is written by hand."""
    whole, rest = divmod(Fraction(value), 1)
    return f"{whole if whole or not rest else ''}{'½' if rest else ''}"
