"""Cells of a retina as they are drawn: who hears whom, a moment of a movie, courses over each other."""
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from nblib.figures import cell_frame, circuit, overlays
from nblib.figures.style import BLUE, ORANGE
from nblib.models.retina import SPEEDS, TYPES


def test_the_circuit_names_the_types_of_the_simulated_retina():
    words = {text.get_text().replace("\n", " ") for text in circuit().axes[0].texts}
    assert {*TYPES, *SPEEDS, "bipolar cells answer to change", "nobody records"} <= words


def moment(**other):
    spikes = torch.tensor([[1, 0], [0, 3], [2, 0]])
    given = {"names": ["ON", "OFF"], "place": (2, 5), "limit": 0.5} | other
    return cell_frame(torch.randn(8, 8), torch.linspace(-1, 1, 64).view(8, 8), spikes, 1, **given)


def test_a_moment_shows_screen_field_and_the_spikes_until_then():
    light, field, raster = moment().axes
    assert field.images[0].norm.vmax == -field.images[0].norm.vmin == 0.5
    assert light.images[0].norm.vmax == -light.images[0].norm.vmin > 0
    assert light.patches[0].center == field.patches[0].center == (5, 2)  # across, down
    strokes = [(line.get_xdata()[0], round(float(np.mean(line.get_ydata()))), line.get_linewidth())
               for line in raster.lines[:-1]]
    assert [stroke[:2] for stroke in strokes] == [(0, 0), (1, 1)]  # the third frame is still to come
    assert strokes[1][2] > strokes[0][2]  # three spikes, and one
    assert [label.get_text() for label in raster.get_yticklabels()] == ["ON", "OFF"]
    with pytest.raises(ValueError, match="3 names were given, expected 2"):
        moment(names=["a", "b", "c"])


def test_courses_lie_over_each_other_whatever_their_scales():
    course = torch.randn(30, generator=torch.Generator().manual_seed(0))
    rows = [[("r = 1", course, 5 * course + 3), ("still", torch.ones(30), course)]]
    figure = overlays(rows, columns=["a", "b"], labels=["c"], names=("truth", "guess"))
    alike, still = figure.axes
    first, second = alike.lines
    np.testing.assert_allclose(first.get_ydata(), second.get_ydata(), atol=1e-5)
    assert [to_hex(line.get_color()).upper() for line in alike.lines] == [ORANGE, BLUE]
    assert not still.lines[0].get_ydata().any()
    assert {"a", "b", "c", "r = 1", "still", "truth", "guess"} <= {text.get_text() for text in figure.texts}
    for other in ({"columns": ["a"]}, {"labels": []}):
        with pytest.raises(ValueError, match=f"{next(iter(other))} were given"):
            overlays(rows, **{"columns": ["a", "b"], "labels": ["c"], "names": ("truth", "guess")} | other)
