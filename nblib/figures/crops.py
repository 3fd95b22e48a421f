"""Drawings of pictures in pieces: crops as sums of two concepts, and patches that vote by their importance."""
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from nblib.figures.mosaic import LETTERS, NUMBER, number_table, sheet
from nblib.figures.style import BLACK, BLUE, GREY, NARROW, ORANGE

AMOUNTS = ((2, 1), (1, 0), (0, 2), (1, 3))  # U: how much of two concepts is in four crops
BANK = ((1, 0), (1, 1))  # W: two concepts, each a direction of two channels
ROWS = tuple(tuple(sum(u * w[channel] for u, w in zip(row, BANK)) for channel in range(2)) for row in AMOUNTS)  # A = UW
SPOTS = ((0.34, 1.0), (0.08, 0.44), (0.86, 0.62), (0.5, 0.16))  # inches: lower left corners of the four crops
WINDOW = 0.48  # inches: of a crop
VOTES = ((2, 0), (0, 1), (0, 1), (0, 1))  # e: what each of four patches says for A and for B
IMPORTANCE = (1.0, 0.2, 0.2, 0.2)  # a
OBJECT, TAG = (1, 0, 0, 0), (0, 0, 0, 1)  # where each is
PATCH = 0.44  # inches: the side of a patch


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


def patches_toy() -> Figure:
    r"""Draw four patches, their votes e and importance a, the answer :math:`\sum_ia_ie_i`, and d of four maps."""
    height = 2.75
    figure, axis = sheet(height)
    top = height - 0.3
    texts = {"votes (A, B)": [f"{a}, {b}" for a, b in VOTES], "importance a": [f"{value:g}" for value in IMPORTANCE]}
    _scene(axis, 0.15, top)
    for left, (name, cells), shades in zip((1.35, 2.6), texts.items(), ((0,) * 4, IMPORTANCE)):
        _four(axis, left, top, name, cells, shades)
    for left, sign in ((2.42, "×"), (3.72, "=")):
        axis.text(left, top - PATCH, sign, ha="center", va="center", fontsize=LETTERS + 6)
    total = [sum(a * vote[letter] for a, vote in zip(IMPORTANCE, VOTES)) for letter in (0, 1)]
    axis.text(3.95, top - PATCH, f"sum\n({total[0]:g}, {total[1]:g})\nso A", ha="left", va="center", fontsize=LETTERS + 2)
    maps = {"this map": IMPORTANCE, "a fifth of it": [0.2 * value for value in IMPORTANCE], "nothing": (0,) * 4,
            "on the tag": TAG}
    low = 1.2
    for number, (name, values) in enumerate(maps.items()):
        left = 0.15 + number * (NARROW - 0.1) / len(maps)
        _four(axis, left, low, name, [f"{value:g}" for value in values], values)
        axis.text(left + PATCH, low - 2 * PATCH - 0.06, f"d = {_distance(values):.2f}", ha="center", va="top",
                  fontsize=LETTERS + 1, weight="bold")
    return figure


def _distance(values: Sequence[float]) -> float:
    """Return the toy's d: the mean distance of four values from where the object is."""
    return sum(abs(value - truth) for value, truth in zip(values, OBJECT)) / len(OBJECT)


def _corners(left: float, top: float) -> list[tuple[float, float]]:
    """Return the lower left corners of four patches, row by row."""
    return [(left + PATCH * column, top - PATCH * (row + 1)) for row in (0, 1) for column in (0, 1)]


def _four(axis: Axes, left: float, top: float, name: str, cells: Sequence[str], shades: Sequence[float]) -> None:
    """Draw four patches with texts under a name, each deeper where its shade in [0, 1] is larger."""
    axis.text(left + PATCH, top + 0.05, name, ha="center", va="bottom", fontsize=LETTERS)
    for corner, text, shade in zip(_corners(left, top), cells, shades):
        axis.add_patch(Rectangle(corner, PATCH, PATCH, facecolor=BLUE, alpha=0.5 * shade, linewidth=0))
        axis.add_patch(Rectangle(corner, PATCH, PATCH, facecolor="none", edgecolor=GREY, linewidth=0.8))
        axis.text(corner[0] + PATCH / 2, corner[1] + PATCH / 2, text, ha="center", va="center", fontsize=LETTERS + 1,
                  color=BLACK)


def _scene(axis: Axes, left: float, top: float) -> None:
    """Draw the picture of four patches: an object in the first, a tag in the last."""
    axis.text(left + PATCH, top + 0.05, "image", ha="center", va="bottom", fontsize=LETTERS)
    corners = _corners(left, top)
    for corner in corners:
        axis.add_patch(Rectangle(corner, PATCH, PATCH, facecolor="#DDE5EA", edgecolor=GREY, linewidth=0.8))
    middle = (corners[0][0] + PATCH / 2, corners[0][1] + PATCH / 2)
    axis.add_patch(Circle(middle, 0.17, facecolor="#8FA8B8", linewidth=0))
    axis.add_patch(Circle(middle, 0.07, facecolor="none", edgecolor="white", linewidth=2.5))
    axis.add_patch(Rectangle((corners[3][0] + 0.26, corners[3][1] + 0.06), 0.12, 0.12, facecolor=ORANGE, linewidth=0))
