"""Lines, bars and tables of colour; they lay out what they are given and measure nothing."""
import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from nblib.figures.inputs import as_array, expect_count
from nblib.figures.style import BLACK, GREY, GREY_LEVELS, MARKERS, NARROW, PALETTE, POSITIVE, SIGNED, WIDTH, new_figure


def curves(lines: Mapping[str, tuple], *, x: str, y: str, log_x: bool = False, log_y: bool = False,
           references: Mapping[str, float] | None = None, height: float = 3.2, width: float = WIDTH) -> Figure:
    """Draw lines that carry their names at their ends, each with a band where one is given.

    Args:
        lines: name -> (x, mean) or (x, mean, low, high), each of these (P,); the band goes from low to high.
        x: what runs to the right, with its unit.
        y: what runs upwards, with its unit.
        log_x: a logarithmic axis.
        log_y: a logarithmic axis.
        references: name -> height of a dashed line, such as chance.
        height: of the figure, in inches.
        width: of the figure, in inches.

    Raises:
        ValueError: no line, more lines than can be told apart, arrays that do not fit each other, or that hold no numbers.
    """
    _expect_few("lines", lines)
    figure = new_figure(height, width=width)
    axis = figure.subplots()
    ends = []
    for (name, line), colour, marker in zip(lines.items(), PALETTE, MARKERS):
        line = [as_array(values) for values in line]
        if len(line) not in (2, 4) or any(values.shape != line[0].shape or values.ndim != 1 for values in line):
            shapes = ", ".join(str(values.shape) for values in line)
            raise ValueError(f"line {name!r} has arrays of shape {shapes}, expected x, mean and perhaps low and high")
        if any(values.dtype.kind not in "biuf" for values in line):
            raise ValueError(f"line {name!r} has values that are no numbers, such as {line[0][:1].tolist()}")
        axis.plot(line[0], line[1], color=colour, marker=marker)
        if len(line) == 4:
            axis.fill_between(line[0], line[2], line[3], color=colour, alpha=0.18, linewidth=0)
        known = np.flatnonzero(np.isfinite(line[1]))
        if known.size:
            last = known[-1]
            ends.append((float(line[0][last]), float(line[1][last]), name, colour, float(np.nanmean(line[1]))))
    for name, value in (references or {}).items():
        axis.axhline(value, color=GREY, linestyle="--", linewidth=1)
        ends.append((math.nan, value, name, GREY, value))
    axis.set(xlabel=x, ylabel=y, xscale="log" if log_x else "linear", yscale="log" if log_y else "linear")
    if log_x:  # the places that were measured, as plain numbers
        places = sorted({float(place) for line in lines.values() for place in as_array(line[0])})
        axis.set_xticks(places, [f"{place:g}" for place in places], minor=False)
        axis.minorticks_off()
    axis.grid(axis="y")
    _name_ends(axis, ends, height)
    return figure


def bars(values: Mapping[str, object], *, x: str, intervals: Mapping[str, object] | None = None,
         series: Sequence[str] | None = None, references: Mapping[str, float] | None = None,
         limits: tuple[float, float] | None = None) -> Figure:
    """Draw horizontal bars, with intervals and with lines for what is trivial; one too short to see says "≈ 0".

    Args:
        values: name -> a number, or one number for each of `series`.
        x: what the bars measure, with its unit.
        intervals: name -> (low, high), or one such pair for each of `series`; names may be missing.
        series: what the bars of a name are, in the order of their numbers.
        references: name -> value of a dashed line, such as what an empty map gets.
        limits: the ends of the axis.

    Raises:
        ValueError: numbers that do not fit `series`, or intervals of a name that has no bar.
    """
    if not values:
        raise ValueError("no bars were given, expected at least one")
    if unknown := sorted(set(intervals or {}) - set(values)):
        raise ValueError(f"intervals for {', '.join(unknown)} were given, expected some of {', '.join(values)}")
    rows = np.array([np.atleast_1d(as_array(value)).astype(float) for value in values.values()])  # (names, series)
    _expect_few("series", range(rows.shape[1]))
    expect_count("series", series, rows.shape[1])
    thick = 0.8 / rows.shape[1]
    figure = new_figure(0.9 + len(rows) * max(0.26, 0.16 * rows.shape[1]), width=NARROW)
    axis = figure.subplots()
    for number in range(rows.shape[1]):
        places = np.arange(len(rows)) + (number - (rows.shape[1] - 1) / 2) * thick
        axis.barh(places, rows[:, number], thick * 0.92, color=PALETTE[number], label=series and series[number])
        for place, name in zip(places, values):
            if name in (intervals or {}):
                low, high = np.asarray(as_array(intervals[name]), float).reshape(-1, 2)[number]
                axis.plot([low, high], [place, place], color=BLACK, linewidth=1.2, marker="|", markersize=4)
    axis.set_yticks(range(len(rows)), list(values))
    axis.set(xlabel=x, ylim=(len(rows) - 0.5, -0.5), **({"xlim": limits} if limits else {}))
    _name_zeros(axis, rows, thick, intervals, list(values))
    for name, value in (references or {}).items():
        axis.axvline(value, color=GREY, linestyle="--", linewidth=1)
        axis.annotate(name, (value, 1.0), xycoords=axis.get_xaxis_transform(), xytext=(0, 2), rotation=30,
                      textcoords="offset points", ha="left", va="bottom", fontsize=8, color=GREY)
    axis.grid(axis="x")
    axis.tick_params(axis="y", length=0)
    if series is not None:
        figure.legend(loc="outside lower center", ncols=rows.shape[1], frameon=False)
    return figure


def heatmap(matrix, row_labels: Sequence[str], column_labels: Sequence[str], *, quantity: str, digits: int = 2,
            x: str = "", y: str = "", width: float | None = None) -> Figure:
    """Show a matrix as coloured cells with their numbers written in them; one that rounds to zero has no sign.

    Args:
        matrix: (R, C); a cell that is NaN stays white and says "–".
        row_labels: R names.
        column_labels: C names.
        quantity: what the values are, with its unit; written at the colour bar.
        digits: decimal places in the cells.
        x: what the columns are.
        y: what the rows are.
        width: of the figure, in inches; None goes by the labels.

    Raises:
        ValueError: a matrix without two axes, or labels that do not fit it.
    """
    matrix = as_array(matrix)
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(f"a matrix of shape {matrix.shape} was given, expected (R, C)")
    expect_count("row_labels", row_labels, matrix.shape[0])
    expect_count("column_labels", column_labels, matrix.shape[1])
    signed = bool((matrix < 0).any())
    known = np.abs(matrix[np.isfinite(matrix)])
    top = float(known.max(initial=0.0)) or 1.0
    short = max(map(len, row_labels)) <= 12 and sum(map(len, column_labels)) <= 45 and matrix.shape[1] <= 6
    figure = new_figure(1.0 + 0.3 * len(matrix), width=width or (NARROW if short else WIDTH))
    axis = figure.subplots()
    norm = Normalize(-top if signed else 0.0, top)
    shown = axis.imshow(matrix, cmap=SIGNED if signed else POSITIVE, norm=norm, aspect="auto")
    brightness = shown.to_rgba(matrix)[..., :3] @ GREY_LEVELS
    for (row, column), value in np.ndenumerate(matrix):
        finite = np.isfinite(value)
        text = f"{value:z.{digits}f}".replace("-", "−") if finite else "–"
        ink = "white" if finite and brightness[row, column] < 0.5 else BLACK
        axis.text(column, row, text, ha="center", va="center", fontsize=8, color=ink)
    turned = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if sum(map(len, column_labels)) > 60 else {}
    axis.set_xticks(range(len(column_labels)), column_labels, **turned)
    axis.set_yticks(range(len(row_labels)), row_labels)
    axis.set(xlabel=x, ylabel=y)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    figure.colorbar(shown, ax=axis, label=quantity)
    return figure


def _expect_few(what: str, things) -> None:
    """Refuse nothing, and more things than the palette tells apart."""
    if not 1 <= len(things) <= len(PALETTE):
        most = len(PALETTE)
        raise ValueError(f"{len(things)} {what} were given, expected 1 to {most}: more cannot be told apart by colour")


def _name_zeros(axis, rows, thick: float, intervals, names: Sequence[str]) -> None:
    """Write "≈ 0" beside each bar that is too short to be seen, on the side with more room."""
    low, high = axis.get_xlim()
    side = 1 if high >= -low else -1
    for row, number in np.argwhere(np.abs(rows) < 0.01 * (high - low)):
        ends = np.asarray(as_array((intervals or {}).get(names[row], ())), float).reshape(-1, 2)
        end = max([0.0, *side * ends[number]] if len(ends) else [0.0])
        place = row + (number - (rows.shape[1] - 1) / 2) * thick
        axis.annotate("≈ 0", (side * end, place), xytext=(3 * side, 0), textcoords="offset points", fontsize=7,
                      ha="left" if side > 0 else "right", va="center", color=GREY)


def _name_ends(axis, ends: list[tuple[float, float, str, str, float]], height: float) -> None:
    """Write each line's name beside its end (x, y), as near as names without overlap can be, with a thread to the end.

    Lines that end together have their names in the order of their means, the last of each tuple. A reference line has no
    x of its own: its end is the axis's.
    """
    if not ends:
        return
    axis.get_ylim()  # makes matplotlib settle the limits, without which nothing can be placed
    middle = axis.get_xlim()[0]
    data = axis.transData.transform([(middle if math.isnan(x) else x, y) for x, y, *_ in ends])
    found = axis.transAxes.inverted().transform(data)
    order = sorted(range(len(ends)), key=lambda number: (round(found[number, 1], 2), ends[number][4], ends[number][2]))
    ends, found = [ends[number] for number in order], found[order]
    places = _apart(found[:, 1], 0.2 / height)  # a line of text, as a share of the axis
    for (x, _, name, colour, _), (across, up), place in zip(ends, found, places):
        axis.text(1.03, place, name, transform=axis.transAxes, color=colour, va="center")
        if abs(place - up) > 0.02:
            axis.plot([1.0 if math.isnan(x) else across, 1.02], [up, place], transform=axis.transAxes, color=colour,
                      linewidth=0.6, clip_on=False)


def _apart(places, step: float):
    """Return ascending places in [0, 1] moved as little as possible (in squares) so that neighbours are a step apart."""
    rows = [[place - number * step] for number, place in enumerate(places)]
    for number in range(len(rows) - 1, 0, -1):  # pools neighbours that are out of order, until none is
        while number < len(rows) and np.mean(rows[number - 1]) > np.mean(rows[number]):
            rows[number - 1:number + 1] = [rows[number - 1] + rows[number]]
    level = np.concatenate([np.full(len(row), np.mean(row)) for row in rows])
    most = 1.0 - step * (len(places) - 1)
    return np.clip(level, 0.0, max(0.0, most)) + step * np.arange(len(places))
