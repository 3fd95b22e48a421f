"""The verdict chart: what the intervals say of each claim, in words, in shapes and in colours, as wide as a phone."""
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nblib.checks import expect_one_of
from nblib.figures.style import BLACK, BLUE, GREY, VERMILION, new_figure

WIDTH = 4.2  # inches; a phone shows three quarters of the size that a page does
LETTERS = 62  # of a claim in one line
LINE, HEADING, RULE, GAP = 0.165, 0.30, 0.34, 0.10  # inches: a line of text, a heading, an interval, the space below it
LEAD = 0.05  # inches: the space between a sentence and its verdict
LEFT, MIDDLE, RIGHT, WORDS = 0.02, 0.29, 0.56, 0.61  # shares of the width: where intervals end, and verdicts begin

LEGEND = ("The line is zero, or the threshold that the row names. Right of it lies",
          "the claim's side: larger numbers, or smaller ones where the row says",
          "“claim: below”. The number is the effect as it was measured.")

# verdict -> marker, its colour, and what fills it: never told by colour alone
SIGNS = {
    "supported": ("o", BLUE, BLUE),
    "contradicted": ("X", VERMILION, VERMILION),
    "undecided": ("D", GREY, "white"),
    "not tested": ("", GREY, GREY),
}


@dataclass(frozen=True)
class Judged:
    """A claim as the chart shows it: its sentence, its verdict, and the interval on which that rests.

    `note` stands below the verdict: the effect in numbers, or why nothing was tested. Without an interval, `low` and
    `high` are None.
    """

    claim: str
    verdict: str
    note: str = ""
    mean: float = math.nan
    low: float | None = None
    high: float | None = None
    threshold: float = 0.0
    direction: str = "above"


def verdict_chart(groups: Mapping[str, Sequence[Judged]]) -> Figure:
    """Draw one row a claim: its interval beside its threshold, and its verdict as a word and a marker.

    The vertical line is the threshold of each row, and right of it lies the side that the claim names, whichever that
    is. Each row has its own scale, on which the farther end of its interval lies at the edge; the numbers are written
    beside it.

    Args:
        groups: heading -> claims; an empty heading is left out.

    Raises:
        ValueError: no claim, an unknown verdict or direction, or a tested claim without an interval.
    """
    if not any(groups.values()):
        raise ValueError("no claims were given, expected at least one")
    for row in (row for rows in groups.values() for row in rows):
        expect_one_of("verdict", row.verdict, SIGNS)
        expect_one_of("direction", row.direction, ("above", "below"))
        if row.verdict != "not tested" and (row.low is None or row.high is None):
            raise ValueError(f"{row.claim!r} is {row.verdict} and has no interval, expected one")
    blocks = [(heading, [(row, *_lines(row)) for row in rows]) for heading, rows in groups.items() if rows]
    headings = HEADING * sum(bool(heading) for heading, _ in blocks)
    height = 2 * HEADING + len(LEGEND) * LINE + headings + sum(_height(*block) for _, rows in blocks for block in rows)
    figure = new_figure(height, width=WIDTH)
    figure.set_layout_engine("none")
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, 1), ylim=(height, 0))
    axis.axis("off")
    place = HEADING
    axis.text(MIDDLE - 0.015, place, "← against the claim", ha="right", fontsize=8, color="#404040")
    axis.text(MIDDLE + 0.015, place, "for the claim →", ha="left", fontsize=8, color="#404040")
    for number, line in enumerate(LEGEND):
        axis.text(LEFT, place + (number + 1) * LINE, line, fontsize=8, color="#404040")
    place += len(LEGEND) * LINE
    for heading, rows in blocks:
        if heading:
            place += HEADING
            axis.text(LEFT, place, heading, fontsize=9, fontweight="bold", color=BLACK)
        for row, sentence, note in rows:
            _draw(axis, row, sentence, note, place + 0.5 * LINE)
            place += _height(row, sentence, note)
    return figure


def _lines(row: Judged) -> tuple[list[str], list[str]]:
    """Return the lines of a claim's sentence, and those of its note."""
    tested = row.low is not None
    return textwrap.wrap(row.claim, LETTERS), textwrap.wrap(row.note, 28 if tested else LETTERS - 16)


def _height(row: Judged, sentence: Sequence[str], note: Sequence[str]) -> float:
    """Return the height of a row in inches."""
    words = RULE + max(0, len(note) - 1) * LINE if row.low is not None else max(1, len(note)) * LINE
    return len(sentence) * LINE + LEAD + words + GAP


def _draw(axis: Axes, row: Judged, sentence: Sequence[str], note: Sequence[str], top: float) -> None:
    """Draw one row below a height."""
    for number, line in enumerate(sentence):
        axis.text(LEFT, top + (number + 0.5) * LINE, line, va="center", fontsize=9, color=BLACK)
    below = top + len(sentence) * LINE + LEAD
    marker, colour, inside = SIGNS[row.verdict]
    if row.low is None:
        axis.text(LEFT, below + 0.5 * LINE, row.verdict, va="center", fontsize=8, fontweight="bold", color="#404040")
        for number, line in enumerate(note):
            axis.text(LEFT + 0.18, below + (number + 0.5) * LINE, line, va="center", fontsize=8, color="#404040")
        return
    side = 1 if row.direction == "above" else -1
    ends = sorted(side * (value - row.threshold) for value in (row.low, row.high))
    scale = (RIGHT - MIDDLE) / (max(map(abs, ends)) or 1.0)
    height = below + 0.5 * RULE
    axis.plot([LEFT, RIGHT], [height, height], color="#DDDDDD", linewidth=0.8)
    axis.plot([MIDDLE, MIDDLE], [below + 0.02, below + RULE - 0.02], color=GREY, linewidth=1.2)
    places = [MIDDLE + scale * end for end in ends]
    axis.plot(places, [height, height], color=BLACK, linewidth=1.8, marker="|", markersize=7)
    axis.plot([MIDDLE + scale * side * (row.mean - row.threshold)], [height], marker=marker, markersize=7.5,
              markeredgecolor=BLACK, markeredgewidth=0.8 if row.verdict != "undecided" else 1.2, markerfacecolor=inside)
    axis.plot([WORDS + 0.015], [below + 0.5 * LINE], marker=marker, markersize=6, color=colour, markerfacecolor=inside)
    axis.text(WORDS + 0.05, below + 0.5 * LINE, row.verdict, va="center", fontsize=9, fontweight="bold", color=BLACK)
    for number, line in enumerate(note):
        axis.text(WORDS, below + (number + 1.5) * LINE, line, va="center", fontsize=8, color="#404040")
