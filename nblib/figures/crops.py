"""A drawing of concepts: crops of a picture, what a layer makes of them, and that as sums of two directions."""
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from nblib.figures.mosaic import LETTERS, NUMBER, number_table, sheet
from nblib.figures.style import BLUE, GREY, ORANGE

AMOUNTS = ((2, 1), (1, 0), (0, 2), (1, 3))  # U: how much of two concepts is in four crops
BANK = ((1, 0), (1, 1))  # W: two concepts, each a direction of two channels
ROWS = tuple(tuple(sum(u * w[channel] for u, w in zip(row, BANK)) for channel in range(2)) for row in AMOUNTS)  # A = UW
SPOTS = ((0.34, 1.0), (0.08, 0.44), (0.86, 0.62), (0.5, 0.16))  # inches: lower left corners of the four crops
WINDOW = 0.48  # inches: of a crop


def crops_toy() -> Figure:
    """Draw four crops of a picture, their activations A, and A as amounts U times concepts W."""
    height, picture = 2.5, 1.56
    figure, axis = sheet(height)
    top = height - 0.42
    _picture(axis, top - picture, picture)
    left = picture + 0.36
    for name, below, rows, colour in (("A", "crop by channel", ROWS, GREY), ("U", "how much of each", AMOUNTS, BLUE),
                                      ("W", "the concepts", BANK, ORANGE)):
        width = NUMBER * len(rows[0])
        number_table(axis, left, top, name, rows, colour)
        for row in range(len(rows) if name != "W" else 0):
            axis.text(left - 0.05, top - (row + 0.5) * NUMBER, str(row + 1), ha="right", va="center",
                      fontsize=LETTERS - 1, color=GREY)
        axis.text(left + width / 2, top - len(rows) * NUMBER - 0.06, below, ha="center", va="top", fontsize=LETTERS - 1)
        left += width + 0.34
        if name != "W":
            axis.text(left - 0.2, top - 2 * NUMBER, "=" if name == "A" else "×", ha="center", va="center",
                      fontsize=LETTERS + 5)
    return figure


def _picture(axis, bottom: float, side: float) -> None:
    """Draw a picture of a disc with a ring, and four numbered windows on it."""
    left = 0.1
    axis.add_patch(Rectangle((left, bottom), side, side, facecolor="#DDE5EA", edgecolor=GREY, linewidth=0.8))
    middle = (left + side / 2, bottom + side / 2)
    axis.add_patch(Circle(middle, 0.58, facecolor="#8FA8B8", linewidth=0))
    axis.add_patch(Circle(middle, 0.24, facecolor="none", edgecolor="white", linewidth=5))
    for number, (x, y) in enumerate(SPOTS, 1):
        axis.add_patch(Rectangle((left + x, bottom + y), WINDOW, WINDOW, facecolor="none", edgecolor="#202020", linewidth=1.4))
        axis.text(left + x + 0.06, bottom + y + WINDOW - 0.04, str(number), ha="left", va="top", fontsize=LETTERS - 1,
                  weight="bold")
    axis.text(left + side / 2, bottom - 0.06, "four crops", ha="center", va="top", fontsize=LETTERS - 1)
