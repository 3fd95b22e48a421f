"""The palette, the style, and what holds of every figure."""
import io
import itertools

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib._pylab_helpers import Gcf
from matplotlib.colors import to_rgb
from PIL import Image

from nblib import figures
from nblib.figures import style

VISION = {
    "all cones": np.eye(3),
    "no red cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}


def linear(colour: str) -> np.ndarray:
    """Return a colour as light."""
    value = np.array(to_rgb(colour))
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(light: np.ndarray) -> np.ndarray:
    """Return light in CIE Lab, where distances are about what is seen."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.clip(to_xyz @ light / (to_xyz @ np.ones(3)), 1e-4, None))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def pixels(figure) -> np.ndarray:
    """Return a figure as it is shown, (H, W, 4) in 0 to 255."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return np.asarray(Image.open(buffer).convert("RGBA"))


def every_figure(images, maps):
    steps = torch.arange(1, 5)
    return [
        figures.image_grid(images, labels=["a", "b", "c"]),
        figures.map_grid(images, maps, overlay=True),
        figures.map_grid(images[:1], {name: values[:1] for name, values in maps.items()}),
        figures.curves({"line": (steps, steps / 2, steps / 4, steps)}, x="steps", y="gap (logits)"),
        figures.bars({"a": 0.5, "b": 0.2}, x="share", intervals={"a": (0.4, 0.6)}, references={"uniform": 0.3}),
        figures.heatmap(torch.eye(3), list("abc"), list("def"), quantity="share"),
    ]


@pytest.mark.parametrize("vision", VISION)
def test_palette_is_told_apart(vision):
    seen = [lab(VISION[vision] @ linear(colour)) for colour in style.PALETTE]
    distances = [np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)]
    assert min(distances) > 12  # about five times what is just noticed


def test_palette_is_seen_on_white():
    for colour in style.PALETTE:
        brightness = linear(colour) @ [0.2126, 0.7152, 0.0722]
        assert 1.05 / (brightness + 0.05) > 2, colour
    assert len(style.PALETTE) == len(style.MARKERS) == len(set(style.PALETTE))


def test_figures_are_opaque_small_and_leave_nothing_open(images, maps):
    before = len(Gcf.figs)
    for figure in every_figure(images, maps):
        shown = pixels(figure)
        assert (shown[..., 3] == 255).all()
        assert (shown[0, 0] == 255).all()
        assert shown.shape[1] <= style.WIDTH * style.DPI
    assert len(Gcf.figs) == before


def test_importing_the_room_applies_the_style():
    with matplotlib.rc_context():
        matplotlib.rcParams["axes.facecolor"] = "black"
        figures.use_style()
        assert matplotlib.rcParams["axes.facecolor"] == "white"
    assert matplotlib.rcParams["figure.dpi"] == style.DPI
