"""Drawings of pruning: five weights on their way to a lottery ticket, and a pixel removed so that no hole shows."""
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from nblib.figures.mosaic import LETTERS, sheet
from nblib.figures.style import BLACK, BLUE, GREY, NARROW, ORANGE

FIRST = (0.5, -1.0, 0.4, 0.3, 0.6)  # five weights before training
TRAINED = (0.3, -2.0, 0.1, -0.2, 1.0)  # and after it
KEPT = (True, True, False, False, True)  # two of five are removed, the smallest of the trained ones
RAMP = (0, 1, 2, 3, 4, 5, 6, 7, 8)  # an image of three by three pixels
SHARES = ("1/12", "1/6", "1/12", "1/6", "", "1/6", "1/12", "1/6", "1/12")  # of the neighbours in a removed pixel
SIDE = 0.46  # inches: of a drawn cell


def ticket_toy() -> Figure:
    r"""Draw one round of a lottery ticket: :math:`\theta_0`, trained, the mask, and back to :math:`M\odot\theta_0`."""
    gap = 0.42
    rows = (("first weights", FIRST, "train"), ("trained", TRAINED, "remove the two smallest"),
            ("mask", tuple(map(int, KEPT)), "go back to the first weights"),
            ("the ticket", tuple(w if kept else 0 for w, kept in zip(FIRST, KEPT)), "train it, and hold its zeros"))
    height = len(rows) * (SIDE + gap) + 0.06
    figure, axis = sheet(height)
    top = height - 0.05
    for number, (name, values, step) in enumerate(rows):
        axis.text(1.2, top - SIDE / 2, name, ha="right", va="center", fontsize=LETTERS, weight="bold")
        for place, (value, kept) in enumerate(zip(values, KEPT)):
            gone = number > 0 and not kept
            _cell(axis, 1.32 + place * SIDE, top, _said(value), colour=ORANGE if gone else BLUE,
                  alpha=0.25 if gone else 0.06 + 0.22 * min(2.0, abs(value)))
        middle = 1.32 + 2.5 * SIDE
        _arrow(axis, (middle, top - SIDE - 0.03), (middle, top - SIDE - gap + 0.03))
        axis.text(middle + 0.12, top - SIDE - gap / 2, step, ha="left", va="center", fontsize=LETTERS - 0.5, color=GREY)
        top -= SIDE + gap
    return figure


def filling_toy() -> Figure:
    """Draw a ramp of nine pixels, its middle made black, the neighbours' shares, and the middle filled by them."""
    height = 3 * SIDE + 0.62
    figure, axis = sheet(height)
    black, filled = [*RAMP[:4], 0, *RAMP[5:]], RAMP
    step = (NARROW - 0.12 + 0.22) / 3
    for number, (name, below, values) in enumerate((("the image", "a ramp, its middle is 4", RAMP),
                                                    ("removed: black", "the hole shows", black),
                                                    ("removed: filled", "the neighbours' mean, 4", filled))):
        left, top = 0.06 + number * step, height - 0.3
        axis.text(left + 1.5 * SIDE, top + 0.06, name, ha="center", va="bottom", fontsize=LETTERS, weight="bold")
        for place, value in enumerate(values):
            row, column = divmod(place, 3)
            shade = 0.25 + 0.7 * value / max(RAMP) if number != 1 or place != 4 else 0.0
            _cell(axis, left + column * SIDE, top - row * SIDE, str(value), grey=shade,
                  edge=ORANGE if number and place == 4 else GREY)
            if number == 2 and place != 4:
                axis.text(left + column * SIDE + SIDE / 2, top - row * SIDE - SIDE + 0.03, f"× {SHARES[place]}", ha="center",
                          va="bottom", fontsize=LETTERS - 3, color="white" if shade < 0.5 else BLACK)
        axis.text(left + 1.5 * SIDE, top - 3 * SIDE - 0.06, below, ha="center", va="top", fontsize=LETTERS - 1, color=GREY)
    return figure



def _cell(axis, left: float, top: float, text: str, *, colour: str = GREY, alpha: float = 1.0, grey: float | None = None,
          edge: str = GREY) -> None:
    """Draw a square with its number: tinted, or as grey as a pixel."""
    face = {"facecolor": colour, "alpha": alpha} if grey is None else {"facecolor": (grey,) * 3}
    axis.add_patch(Rectangle((left, top - SIDE), SIDE, SIDE, linewidth=0, **face))
    axis.add_patch(Rectangle((left, top - SIDE), SIDE, SIDE, facecolor="none", edgecolor=edge,
                             linewidth=2.2 if edge == ORANGE else 0.8, zorder=3 if edge == ORANGE else 2))
    ink = "white" if grey is not None and grey < 0.5 else BLACK
    axis.text(left + SIDE / 2, top - SIDE / 2, text, ha="center", va="center", fontsize=LETTERS + 1, color=ink)


def _arrow(axis, start: Sequence[float], end: Sequence[float]) -> None:
    """Draw an arrow from one step to the next."""
    axis.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=11, color=GREY, linewidth=1.4,
                                   shrinkA=0, shrinkB=0))


def _said(value: float) -> str:
    """Return a number as it is written by hand."""
    return f"{value:g}".replace("-", "−")
