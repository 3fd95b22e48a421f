"""One look for every figure: opaque, legible at page width, and readable without seeing all colours."""
import matplotlib
from IPython import get_ipython
from IPython.core.pylabtools import select_figure_formats
from matplotlib.figure import Figure

# The palette of Okabe and Ito (2008), made to be told apart with any kind of colour vision.
BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#767676"  # axes, references, and whatever stands back; 4.5:1 on white

PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)  # not their yellow: thin lines of it vanish on white
MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # a second sign beside the colour
SIGNED = "RdBu_r"  # blue below zero, white at zero, red above
POSITIVE = "viridis"

GREY_LEVELS = (0.299, 0.587, 0.114)  # how bright red, green and blue look

WIDTH = 7.2  # inches; what a page shows, so that 9 points stay 9 points
NARROW = 5.2  # inches; a phone shows two thirds of it, at which 9 points are still read
DPI = 130

STYLE = {
    "figure.dpi": DPI,
    "figure.facecolor": "white",
    "savefig.dpi": DPI,
    "savefig.facecolor": "white",
    "savefig.transparent": False,
    "axes.facecolor": "white",
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "axes.labelsize": 9,
    "axes.titlesize": 8,  # names above the pictures of a grid; plots have no titles
    "axes.prop_cycle": matplotlib.cycler(color=PALETTE),
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.color": "#404040",
    "ytick.color": "#404040",
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "image.interpolation": "nearest",
    "svg.hashsalt": "nblib",  # the same picture gives the same file
}


def use_style() -> None:
    """Give all figures from here on the book's style, and let a notebook show a figure that is a cell's value."""
    matplotlib.rcParams.update(STYLE)
    if shell := get_ipython():
        # Our figures are made without pyplot, so nothing else would register this.
        select_figure_formats(shell, {"png"})


def new_figure(height: float, *, width: float = WIDTH) -> Figure:
    """Return an empty figure of `width` × `height` inches that no global list keeps open."""
    return Figure(figsize=(width, height), layout="constrained")
