"""Cells of a retina: their circuit, a moment of a movie with what they answer, and courses laid over each other."""
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch

from nblib.figures.inputs import as_array, expect_count
from nblib.figures.mosaic import LETTERS, sheet
from nblib.figures.style import BLACK, BLUE, GREY, NARROW, ORANGE, SIGNED, VERMILION

ROWS = {"light": 3.05, "bipolar": 2.2, "amacrine": 1.55, "ganglion": 0.8}  # inches from below
BIPOLAR = {"ON fast": 1.0, "OFF fast": 1.75, "ON slow": 2.5, "OFF slow": 3.25}  # inches from the left


def circuit() -> Figure:
    """Draw the simulated retina: light, four types of bipolar cells, two of amacrine cells, a ganglion cell, spikes."""
    height = 3.5
    figure, axis = sheet(height)
    amacrine, ganglion = {"fast": 1.38, "slow": 2.88}, (2.13, ROWS["ganglion"])
    for kind, x in BIPOLAR.items():
        _arrow(axis, (x, ROWS["light"] - 0.08), (x, ROWS["bipolar"] + 0.2), GREY)
        _arrow(axis, (x, ROWS["bipolar"] - 0.2), ganglion, BLUE)
        _arrow(axis, (x, ROWS["bipolar"] - 0.2), (amacrine[kind.split()[1]], ROWS["amacrine"] + 0.12), GREY)
        _cell(axis, (x, ROWS["bipolar"]), BLUE, kind.replace(" ", "\n"))
    for speed, x in amacrine.items():
        _arrow(axis, (x, ROWS["amacrine"] - 0.1), ganglion, VERMILION)
        _cell(axis, (x, ROWS["amacrine"]), VERMILION, speed, side=0.15)
    _cell(axis, ganglion, BLACK, "")
    for x in (1.83, 1.95, 2.12, 2.19, 2.4):
        axis.plot([x, x], [0.22, 0.4], color=BLACK, linewidth=1.4)
    for name, words in {"light": "light, a movie", "bipolar": "bipolar cells\nanswer to change", "amacrine":
                        "amacrine cells\nhold back", "ganglion": "a ganglion cell\nadds up"}.items():
        axis.text(3.75, ROWS[name], words, va="center", ha="left", fontsize=LETTERS)
    axis.text(3.75, 0.31, "its spikes", va="center", ha="left", fontsize=LETTERS)
    axis.plot([0.75, 3.5], [ROWS["light"]] * 2, color=ORANGE, linewidth=5, solid_capstyle="round")
    for y, words in ((1.87, "nobody\nrecords"), (0.31, "recorded"), (ROWS["light"], "known")):
        axis.text(0.05, y, words, va="center", ha="left", fontsize=LETTERS - 0.5, color=GREY, style="italic")
    return figure


def cell_frame(light, field, spikes, at: int, *, names: Sequence[str], place: tuple[int, int], limit: float) -> Figure:
    """Draw one moment of a movie: what is on the screen, what one cell looks for, and what all have fired so far.

    Args:
        light: (H, W), around a mean grey of 0.
        field: (H, W), the cell's field of the moment.
        spikes: (F, cells), counts in each frame of the stretch.
        at: the moment, from 0 to F − 1; later spikes are not shown.
        names: of the cells.
        place: row and column of the cell.
        limit: where the colours of the field end.

    Raises:
        ValueError: names that do not fit the spikes.
    """
    spikes = as_array(spikes)
    expect_count("names", names, spikes.shape[1])
    figure, side, height = Figure(figsize=(NARROW, 2.05)), 1.6, 2.05
    shown = (("on the screen", as_array(light), "gray", 2.5), ("what the cell looks for", as_array(field), SIGNED, limit))
    for number, (title, values, colours, end) in enumerate(shown):
        axis = figure.add_axes((number * (side + 0.06) / NARROW, 0.02, side / NARROW, side / height))
        axis.imshow(values, cmap=colours, vmin=-end, vmax=end)
        axis.add_patch(Circle(place[::-1], 3.0, fill=False, edgecolor=ORANGE, linewidth=1.8))
        axis.set_axis_off()
        axis.set_title(title, fontsize=LETTERS - 0.5, pad=4)
    axis = figure.add_axes((0.79, 0.02, 0.2, side / height))
    for row, counts in enumerate(spikes[:at + 1].T):
        for frame in counts.nonzero()[0]:
            axis.plot([frame, frame], [row - 0.38, row + 0.38], color=BLACK, linewidth=min(0.7 + 0.5 * counts[frame], 2.6))
    axis.axvline(at + 0.4, color=ORANGE, linewidth=1.2)
    axis.set(xlim=(-1, len(spikes)), ylim=(len(names) - 0.4, -0.6), xticks=[])
    axis.set_yticks(range(len(names)), names, fontsize=LETTERS - 2)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_title("spikes so far", fontsize=LETTERS - 0.5, pad=4)
    return figure


def overlays(rows: Sequence[Sequence[tuple]], *, columns: Sequence[str], labels: Sequence[str],
             names: tuple[str, str]) -> Figure:
    """Lay courses over each other, two in each cell of a grid, each about its mean and over its standard deviation.

    Args:
        rows: of cells (title, first (F,), second (F,)).
        columns: a text above each column.
        labels: a text above each row.
        names: of the first courses, drawn thick and orange, and of the second, thin and blue.

    Raises:
        ValueError: texts that do not fit the cells.
    """
    expect_count("labels", labels, len(rows))
    for row in rows:
        expect_count("columns", columns, len(row))
    height = 0.62 + 1.06 * len(rows)
    figure = Figure(figsize=(NARROW, height))
    wide, text = NARROW / len(columns), {"fontsize": LETTERS, "va": "top"}
    for place, name in enumerate(columns):
        figure.text((place + 0.5) / len(columns), 1 - 0.03 / height, name, ha="center", weight="bold", **text)
    for down, (label, row) in enumerate(zip(labels, rows)):
        top = height - 0.27 - 1.06 * down
        figure.text(0.01, top / height, label, ha="left", **text)
        for across, (title, *courses) in enumerate(row):
            axis = figure.add_axes(((across * wide + 0.04) / NARROW, (top - 0.98) / height, (wide - 0.08) / NARROW,
                                    0.74 / height))
            for values, (colour, width) in zip(courses, ((ORANGE, 2.6), (BLUE, 1.1))):
                values = as_array(values).astype(float)
                axis.plot((values - values.mean()) / (values.std() or 1.0), color=colour, linewidth=width)
            axis.set_axis_off()
            figure.text(((across + 1) * wide - 0.06) / NARROW, top / height, title, ha="right", **text)
    for x, (name, colour) in zip((0.02, 0.5), zip(names, (ORANGE, BLUE))):
        figure.add_artist(FancyArrowPatch((x, 0.12 / height), (x + 0.06, 0.12 / height), arrowstyle="-", color=colour,
                                          linewidth=2.4, transform=figure.transFigure))
        figure.text(x + 0.075, 0.12 / height, name, va="center", ha="left", fontsize=LETTERS)
    return figure


def _arrow(axis, start: tuple, end: tuple, colour: str) -> None:
    """Draw an arrow that stops short of the cell at its end."""
    axis.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, color=colour, linewidth=1.1, shrinkA=0,
                                   shrinkB=17, zorder=0))


def _cell(axis, at: tuple, colour: str, name: str, side: float = 0.24) -> None:
    """Draw a cell as a circle with its name."""
    axis.add_patch(Circle(at, side, facecolor="white", edgecolor=colour, linewidth=1.6))
    axis.text(*at, name, ha="center", va="center", fontsize=LETTERS - 3, linespacing=0.95)
