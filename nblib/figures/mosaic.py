"""Pictures and maps of any size side by side, with letters that a phone can show: openings, riddles and frames."""
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from nblib.figures.inputs import as_array, as_pictures, expect_count
from nblib.figures.style import BLACK, GREY, NARROW, POSITIVE, SIGNED

LETTERS = 9.5  # points
LINE, GAP = 0.22, 0.05  # inches: a line of text above pictures, and what lies between two of them
APART = 0.12  # inches, above the label of every row but the first: a label belongs to the row below it
NUMBER = 0.4  # inches: the side of a cell of a table of numbers
BORDERS = ((2.2, BLACK), (0.9, "white"))  # of masks: seen on any picture


def sheet(height: float) -> tuple[Figure, Axes]:
    """Return a figure of a phone's width and one empty axis over all of it, in inches."""
    figure = Figure(figsize=(NARROW, height))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, NARROW), ylim=(0, height))
    axis.set_axis_off()
    return figure, axis


def number_table(axis: Axes, left: float, top: float, name: str, rows: Sequence[Sequence[int]], colour: str) -> None:
    """Draw rows of small whole numbers under a name, darker where larger; the upper left corner is given in inches."""
    axis.text(left + NUMBER * len(rows[0]) / 2, top + 0.12, name, ha="center", va="bottom", fontsize=LETTERS,
              weight="bold")
    for row, line in enumerate(rows):
        for column, value in enumerate(line):
            corner = (left + column * NUMBER, top - (row + 1) * NUMBER)
            axis.add_patch(Rectangle(corner, NUMBER, NUMBER, facecolor=colour, alpha=0.12 + 0.13 * value, linewidth=0))
            axis.add_patch(Rectangle(corner, NUMBER, NUMBER, facecolor="none", edgecolor=GREY, linewidth=0.8))
            axis.text(corner[0] + NUMBER / 2, corner[1] + NUMBER / 2, str(value), ha="center", va="center",
                      fontsize=LETTERS + 1)


def panels(rows: Sequence[Sequence], *, columns: Sequence[str] | None = None, labels: Sequence[str] | None = None,
           titles: Sequence[Sequence[str]] | None = None, outlines: Sequence | None = None, together: Sequence[int] = (),
           bands: Sequence[str] = (), percentile: float = 99.0, width: float = NARROW) -> Figure:
    """Show rows of pictures and maps; each map has its own scale, which begins at zero or is symmetric about it.

    Args:
        rows: of cells: a picture (3, H, W) in [0, 1], a finite map (H, W), or None for an empty place. Sizes may
            differ.
        columns: a text of one line or more above each column, once.
        labels: a text above each row, over its whole width.
        titles: a text above each cell, in rows as the cells.
        outlines: for each row None, or a mask (H, W) whose border is drawn on all its pictures.
        together: places in a row, from 0, whose maps share a scale, row by row.
        bands: short names, from top to bottom, of the bands of equal height that each map consists of.
        percentile: of a map's magnitudes, in (0, 100]; its scale ends there.
        width: of the figure, in inches.

    Raises:
        ValueError: no cell, rows of different lengths, a cell of another shape, or texts that do not fit.
    """
    lengths = {len(row) for row in rows}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"rows of {[len(row) for row in rows]} cells were given, expected equal numbers, at least one")
    across = lengths.pop()
    if not set(together) <= set(range(across)):
        raise ValueError(f"together={list(together)} was given, expected places from 0 to {across - 1}")
    down = (("labels", labels, len(rows)), ("titles", titles, len(rows)), ("outlines", outlines, len(rows)))
    for what, texts, count in (("columns", columns, across), *down, *(("titles", row, across) for row in titles or ())):
        expect_count(what, texts, count)
    side = (width - GAP * (across - 1)) / across
    named = [bool(label) for label in labels or [""] * len(rows)]
    above = [LINE * name + LINE * any(head) for name, head in zip(named, titles or [()] * len(rows))]
    apart = [APART * (name and number > 0) for number, name in enumerate(named)]
    heads = LINE * max((name.count("\n") + 1 for name in columns or ()), default=0)
    height = heads + sum(above) + sum(apart) + len(rows) * side + (len(rows) - 1) * GAP
    figure = Figure(figsize=(width, height))
    text = {"fontsize": LETTERS, "va": "top"}
    for place, name in enumerate(columns or ()):
        figure.text((place * (side + GAP) + side / 2) / width, 1 - 0.02 / height, name, ha="center", **text)
    top = height - heads
    for number, row in enumerate(rows):
        top -= apart[number]
        if named[number]:
            figure.text(0.01 / width, top / height, labels[number], ha="left", weight="bold", **text)
        top -= above[number] + side
        shared = [as_array(row[place]).ravel() for place in together if row[place] is not None]
        for place, cell in enumerate(row):
            box = (place * (side + GAP), top, side, side)
            if cell is not None:
                axis = figure.add_axes(np.divide(box, (width, height, width, height)))
                _fill(axis, cell, percentile, outlines[number] if outlines is not None else None,
                      np.concatenate(shared) if place in together else cell)
                if as_array(cell).ndim == 2:
                    _name_bands(axis, bands)
                axis.set_title(titles[number][place] if titles else "", fontsize=LETTERS, pad=3)
        top -= GAP
    return figure


def _name_bands(axis, bands: Sequence[str]) -> None:
    """Write the names of a map's bands at its left edge, seen on any colour."""
    for number, name in enumerate(bands):
        axis.text(0.01, 1 - (number + 0.5) / len(bands), name, transform=axis.transAxes, fontsize=LETTERS, va="center",
                  color="white", path_effects=[withStroke(linewidth=2, foreground=BLACK)])


def _fill(axis, cell, percentile: float, outline, scaled_by) -> None:
    """Draw a picture or a map on the scale of some values, and the border of a mask on it."""
    values = as_array(cell)
    axis.set_axis_off()
    if values.ndim == 3:
        axis.imshow(as_pictures(values[None])[0])
    elif values.ndim == 2 and np.isfinite(values).all():
        size = np.abs(as_array(scaled_by))
        end = np.percentile(size, percentile) or size.max() or 1.0  # few values in a map of zeros must still be seen
        signed = bool((values < 0).any())
        axis.imshow(values, cmap=SIGNED if signed else POSITIVE, vmin=-end if signed else 0, vmax=end)
    else:
        raise ValueError(f"a cell of shape {values.shape} was given, expected a picture (3, H, W) or a finite map "
                         "(H, W)")
    if outline is not None and as_array(outline).any():
        mask = np.pad(as_array(outline).astype(float), 1)  # so that the border closes at the edge of the picture
        places = [np.r_[-0.2, np.arange(length), length - 0.8] for length in values.shape[-2:]]  # and whole inside it
        for width, colour in BORDERS:
            axis.contour(places[1], places[0], mask, levels=[0.5], colors=[colour], linewidths=width)
        axis.set(xlim=(-0.5, values.shape[-1] - 0.5), ylim=(values.shape[-2] - 0.5, -0.5))
