"""Drawings that are an idea: a toy whose slope, share and need differ, the walk to an image, recipes, pathways."""
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle

from nblib.figures.inputs import as_array, as_pictures
from nblib.figures.mosaic import LETTERS, NUMBER, number_table, sheet
from nblib.figures.style import BLACK, BLUE, GREY, NARROW, ORANGE, SIGNED

TOY = ((Fraction(1), Fraction(1, 2)), (Fraction(1, 4), Fraction(0)))  # the upper two pixels count together, up to one
ANSWERS = {  # question -> (what is asked, the map)
    "slope": ("A little more of it:\nwhat happens?", ((0, 0), (1, 1))),
    "share": ("On the way from black:\nwhat did it add?", ((Fraction(2, 3), Fraction(1, 3)), (Fraction(1, 4), 0))),
    "need": ("Without it:\nwhat is lost?", ((Fraction(1, 2), 0), (Fraction(1, 4), 0))),
}
SIGNS = {"1/2": "½", "1/3": "⅓", "2/3": "⅔", "1/4": "¼", "3/4": "¾"}
USES = ((1, 0), (0, 1), (1, 0), (1, 1))  # four images, two recipes
RECIPES = ((2, 0, 1, 0), (0, 1, 0, 3))  # two recipes, four channels
UNITS = ("$h_A$", "$h_B$", "$g_A$", "$g_B$")
PATHWAYS = {"a note": (0, 0, 1, 0), "a comparison": (1, 0, 1, 1)}  # which of the units are kept
PICTURES = ((1.0, 0.0), (0.5, 0.5), (0.0, 1.0))  # two pixels each: left, grey, right
CELL = 0.52  # inches: the side of a drawn pixel


def saturating_toy() -> Figure:
    r"""Draw an image of four pixels, the network :math:`z=\min(x_1+x_2,1)+x_3+x_4`, and three maps of one decision."""
    height = 3.55
    figure, axis = sheet(height)
    top = height - 0.35
    _pixels(axis, 0.35, top, TOY, grey=True)
    axis.text(0.35 + CELL, top + 0.08, "image", ha="center", va="bottom", fontsize=LETTERS)
    _network(axis, 0.35 + 2 * CELL, top)
    for number, (name, (question, values)) in enumerate(ANSWERS.items()):
        left = 0.35 + number * (NARROW - 0.2) / 3
        axis.text(left + CELL, 1.78, name, ha="center", va="bottom", fontsize=LETTERS + 1, weight="bold")
        _pixels(axis, left, 1.72, values, grey=False)
        total = Fraction(sum(map(sum, values)))
        axis.text(left + CELL, 0.62, f"sum {_said(total)}", ha="center", va="top", fontsize=LETTERS - 0.5, color=GREY)
        axis.text(left + CELL, 0.40, question, ha="center", va="top", fontsize=LETTERS - 1)
    return figure


def _pixels(axis, left: float, top: float, values, *, grey: bool) -> None:
    """Draw 2 × 2 pixels with their numbers: an image in grey, a map in the colour of maps, deeper where larger."""
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            shade = float(value)
            colour = (shade,) * 3 if grey else (1 - 0.55 * shade, 1 - 0.35 * shade, 1 - 0.12 * shade)
            corner = (left + column * CELL, top - (row + 1) * CELL)
            axis.add_patch(Rectangle(corner, CELL, CELL, facecolor=colour, edgecolor=GREY, linewidth=0.8))
            axis.text(corner[0] + CELL / 2, corner[1] + CELL / 2, _said(Fraction(value)), ha="center", va="center",
                      fontsize=LETTERS + 3, color="white" if grey and shade < 0.4 else BLACK)


def _network(axis, left: float, top: float) -> None:
    """Draw what the toy network does with its four pixels."""
    box, out = (left + 1.35, top - CELL / 2), (left + 2.75, top - CELL)
    for start, end, colour in (((left + 0.08, top - CELL / 2), (box[0] - 0.42, box[1]), ORANGE),
                               ((box[0] + 0.44, box[1]), (out[0] - 0.2, out[1] + 0.08), ORANGE),
                               ((left + 0.08, top - 1.5 * CELL), (out[0] - 0.2, out[1] - 0.08), BLUE)):
        axis.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=11, color=colour, linewidth=1.6))
    text = {"ha": "center", "va": "center", "fontsize": LETTERS}
    axis.text(*box, "at most 1", bbox={"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": ORANGE}, **text)
    axis.text(*out, "+", bbox={"boxstyle": "circle,pad=0.25", "facecolor": "white", "edgecolor": BLACK}, **text)
    axis.text(out[0] + 0.3, out[1], "z = 5/4", ha="left", va="center", fontsize=LETTERS + 2)
    axis.text(left + 0.5, box[1] + 0.12, "$x_1+x_2$", ha="center", va="bottom", fontsize=LETTERS)
    axis.text(left + 1.35, top - 1.5 * CELL - 0.03, "$x_3+x_4$", ha="center", va="top", fontsize=LETTERS)


def _said(value: Fraction) -> str:
    """Return a fraction as it is written by hand."""
    return SIGNS.get(str(value), str(value))


def recipes_toy() -> Figure:
    """Draw four images' contributions as a table of who uses which recipe, times two recipes of four channels."""
    height = 2.35
    figure, axis = sheet(height)
    added = [[sum(use * recipe[channel] for use, recipe in zip(row, RECIPES)) for channel in range(4)] for row in USES]
    top = height - 0.42
    for left, name, rows, colour in ((0.1, "contributions", added, GREY), (2.2, "who uses which", USES, BLUE),
                                     (3.5, "recipes", RECIPES, ORANGE)):
        number_table(axis, left, top, name, rows, colour)
    for left, sign in ((1.95, "="), (3.25, "×")):
        axis.text(left, top - 2 * NUMBER, sign, ha="center", va="center", fontsize=LETTERS + 6)
    axis.text(0.9, top - 4 * NUMBER - 0.06, "image by channel", ha="center", va="top", fontsize=LETTERS - 1)
    axis.text(4.3, top - 2 * NUMBER - 0.06, "mode by channel", ha="center", va="top", fontsize=LETTERS - 1)
    return figure


def path_frame(image, accumulated, target: Sequence[float], at: int) -> Figure:
    """Draw one step of the walk from black to an image: where it is, what has added up, and how the target rises.

    Args:
        image: (3, H, W) in [0, 1].
        accumulated: (H, W), the map up to this step, signed.
        target: P + 1 values of what is explained, from black to the image.
        at: the step, from 0 to P.
    """
    values, walked = np.asarray(target, float), at / (len(target) - 1)
    figure = Figure(figsize=(NARROW, 2.05))
    side = 1.68
    for left, name in ((0.0, f"the image at {walked:.0%}"), (side + 0.08, "added up so far")):
        axis = figure.add_axes((left / NARROW, 0.02, side / NARROW, side / 2.05))
        axis.set_axis_off()
        axis.set_title(name, fontsize=LETTERS, pad=4)
        if left:
            size = np.abs(as_array(accumulated))
            end = np.percentile(size, 99) or size.max() or 1.0
            axis.imshow(as_array(accumulated), cmap=SIGNED, vmin=-end, vmax=end)
        else:
            axis.imshow(as_pictures(walked * as_array(image)[None])[0])
    axis = figure.add_axes((0.74, 0.2, 0.21, side / 2.05 - 0.18))
    places = np.linspace(0, 1, len(values))
    axis.plot(places, values, color=GREY, linewidth=1.2)
    axis.plot(places[: at + 1], values[: at + 1], color=BLUE, linewidth=2.2)
    axis.plot(places[at], values[at], "o", color=BLUE)
    axis.set_xticks([0, 1], ["black", "image"], fontsize=LETTERS - 1)
    axis.tick_params(axis="y", labelsize=LETTERS - 1.5)
    axis.set_title("the logit", fontsize=LETTERS, pad=4)
    return figure


def pathway_toy() -> Figure:
    """Draw two pathways of the toy, and what the network says of three pictures along each."""
    height, half = 2.75, NARROW / 2
    figure, axis = sheet(height)
    for number, (name, mask) in enumerate(PATHWAYS.items()):
        left = number * half + 0.12
        axis.text(number * half + half / 2, height - 0.04, f"{name}, {sum(mask)} of 4", ha="center", va="top",
                  fontsize=LETTERS, weight="bold")
        _units(axis, left, height - 0.62, mask)
        for row, picture in enumerate(PICTURES):
            top = height - 1.72 - row * 0.34
            for place, value in enumerate(picture):
                axis.add_patch(Rectangle((left + place * 0.22, top - 0.22), 0.22, 0.22, facecolor=(value,) * 3,
                                         edgecolor=GREY, linewidth=0.8))
            first, second = said(picture, mask)
            answer = "A" if first > second else "B" if second > first else "neither"
            axis.text(left + 0.6, top - 0.11, f"({first:g}, {second:g})  {answer}", ha="left", va="center",
                      fontsize=LETTERS)
    return figure


def said(picture, mask) -> tuple[float, float]:
    """Return the toy's two logits for a picture of two pixels along a pathway of its four units."""
    x, kept = torch.tensor(picture), torch.tensor(mask)
    h = torch.stack([x[0] - x[1], x[1] - x[0]]).relu() * kept[:2]
    return tuple((torch.stack([1 + h[0] - h[1], 1 + h[1] - h[0]]).relu() * kept[2:]).tolist())


def _units(axis, left: float, top: float, mask) -> None:
    """Draw two pixels and two layers of two units; those that are off are empty, and so are their lines."""
    columns, rows, radius = (left + 0.16, left + 0.86, left + 1.56), (top, top - 0.62), 0.19
    kept = [(1, 1), mask[:2], mask[2:]]
    for place in (0, 1):
        for start in (0, 1):
            for end in (0, 1):
                on = kept[place][start] and kept[place + 1][end]
                axis.plot(columns[place:place + 2], (rows[start], rows[end]), color=BLUE if on else GREY,
                          linewidth=1.8 if on else 0.6, linestyle="-" if on else ":", zorder=1)
    for place, names in enumerate((("$x_1$", "$x_2$"), UNITS[:2], UNITS[2:])):
        for row, name in enumerate(names):
            on = kept[place][row]
            shape = {"facecolor": "white" if not on else "#cfe3f5" if place else "#eeeeee", "zorder": 2,
                     "edgecolor": BLUE if on and place else GREY, "linewidth": 1.8 if on and place else 0.8}
            centre = (columns[place], rows[row])
            axis.add_patch(Circle(centre, radius, **shape) if place else
                           Rectangle((centre[0] - 0.16, centre[1] - 0.16), 0.32, 0.32, **shape))
            axis.text(*centre, name, ha="center", va="center", fontsize=LETTERS, color=BLACK if on else GREY, zorder=3)
            if not on:
                axis.plot((centre[0] - 0.14, centre[0] + 0.14), (centre[1] - 0.14, centre[1] + 0.14), color=ORANGE,
                          linewidth=1.4, zorder=4)
