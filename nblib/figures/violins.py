"""Densities over numbers of things, side by side, as P1 draws the neurons of a class."""
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from nblib.figures.inputs import as_array
from nblib.figures.style import BLACK, PALETTE, new_figure


def density(numbers, size: int) -> np.ndarray:
    """Return the Gaussian density of whole numbers (N,) from 0 to size − 1 at each of these, (size,), of peak 1.

    The width of the Gaussians is Scott's, :math:`N^{-1/5}` standard deviations, as is usual for violins. Numbers that
    are all the same have a density at that number alone.

    Raises:
        ValueError: numbers of another shape or out of range, or none.
    """
    numbers = as_array(numbers)
    if numbers.ndim != 1 or not len(numbers) or numbers.min() < 0 or numbers.max() >= size:
        raise ValueError(f"numbers of shape {numbers.shape} were given, expected (N,) from 0 to {size - 1}")
    places, spread = np.arange(size), numbers.std(ddof=1) if len(numbers) > 1 else 0.0
    if spread == 0:
        return (places == numbers[0]).astype(float)
    width = spread * len(numbers) ** -0.2
    values = np.exp(-0.5 * ((places[:, None] - numbers) / width) ** 2).sum(1)
    return values / values.max()


def violins(values: Mapping[str, object], *, x: str, y: str, size: int) -> Figure:
    """Draw one panel a name with a violin for each column, and a dotted line through the violins' peaks.

    Args:
        values: name -> (N, L) whole numbers from 0 to size − 1; up to seven names.
        x: what the columns are; they are counted from 1.
        y: what the numbers are.
        size: how many numbers there are.

    Raises:
        ValueError: no names or too many, or numbers that are not (N, L) or out of range.
    """
    if not 1 <= len(values) <= len(PALETTE):
        raise ValueError(f"{len(values)} names were given, expected 1 to {len(PALETTE)}")
    figure = new_figure(3.2)
    axes = figure.subplots(1, len(values), sharey=True, squeeze=False)[0]
    for axis, (name, numbers), colour in zip(axes, values.items(), PALETTE):
        numbers = as_array(numbers)
        if numbers.ndim != 2:
            raise ValueError(f"numbers of {name!r} of shape {numbers.shape} were given, expected (N, L)")
        peaks = []
        for place, column in enumerate(numbers.T, 1):
            shape = density(column, size)
            inside = slice(column.min(), column.max() + 1)  # as the paper cuts them, at the numbers that occur
            heights = np.arange(size)[inside]
            axis.fill_betweenx(heights, place - 0.42 * shape[inside], place + 0.42 * shape[inside], color=colour,
                               alpha=0.45, linewidth=0)
            axis.hlines(numbers[:, place - 1], place - 0.06, place + 0.06, color=colour, linewidth=0.8)
            peaks.append(shape.argmax())
        columns = range(1, len(peaks) + 1)
        axis.plot(columns, peaks, color=BLACK, linestyle=":", linewidth=1.2, marker=".")
        axis.set_title(name)
        axis.set(xlabel=x, ylim=(-1, size))
        axis.set_xticks(columns)
    axes[0].set_ylabel(y)
    return figure
