"""Drawings of neurons: what they show of what they are given, and what they refuse."""
import numpy as np
import pytest
import torch
from matplotlib.patches import Circle

from nblib.figures import neuron_grids, product_terms, transformer_idea

PICTURE = torch.full((3, 16, 16), 0.5)
VALUES = torch.arange(24.0).view(2, 12)


def marks(figure) -> list[tuple[float, float]]:
    return [patch.center for patch in figure.axes[0].patches if isinstance(patch, Circle)]


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_a_path_is_marked_in_each_layer_and_joined():
    figure = neuron_grids([PICTURE], [VALUES], [[(0, 11), (1, 0)]], labels=["one"])
    first, second = marks(figure)
    assert first[0] < second[0] and first[1] < second[1], "neuron 0 lies above neuron 11, and layer 1 left of layer 2"
    (line,) = figure.axes[0].lines
    np.testing.assert_allclose(line.get_xydata(), [first, second])
    assert {"one", "1", "2", "layer"} <= set(texts(figure))


def test_neurons_of_one_layer_are_marked_and_not_joined():
    figure = neuron_grids([PICTURE], [VALUES], [[(0, 3), (0, 5)]])
    assert len(marks(figure)) == 2 and not figure.axes[0].lines


def test_every_neuron_has_a_place_of_its_own():
    figure = neuron_grids([PICTURE], [torch.rand(3, 7)], [[(layer, neuron) for layer in range(3) for neuron in range(7)]])
    places = np.array(marks(figure))
    assert len(np.unique(places.round(6), axis=0)) == 21
    assert places.min() > 0 and (places < figure.get_size_inches()).all()


@pytest.mark.parametrize("given", [{"values": []}, {"chosen": []}, {"labels": ["one", "two"]}])
def test_numbers_that_do_not_agree_are_refused(given):
    with pytest.raises(ValueError, match="expected 1"):
        neuron_grids(**{"pictures": [PICTURE], "values": [VALUES], "chosen": [[(0, 0)]]} | given)


def test_the_terms_are_those_of_the_toy():
    w, v, u = (torch.tensor(value, requires_grad=True) for value in (2.0, 3.0, 0.0))

    def score(first, second):
        slopes = torch.zeros(2)
        for alpha in (0.25, 0.75):  # exact, since the slopes are linear
            moved = {id(neuron): (alpha * neuron).detach().requires_grad_() for neuron in (first, second)}
            a, b, c = (moved.get(id(neuron), neuron) for neuron in (w, v, u))
            slopes += torch.stack(torch.autograd.grad(a * b + 4 * c, [moved[id(first)], moved[id(second)]])) / 2
        return (torch.stack([first, second]).sum() * slopes.sum()).item()

    said = " ".join(texts(product_terms()))
    assert score(w, v) == 12.5 and "own 6 + cross 6½ = 12½" in said
    assert score(w, u) == 14.0 and "own 6 + cross 8 = 14" in said


def test_the_idea_has_a_path_through_its_blocks():
    figure = transformer_idea(PICTURE)
    orange = [patch for patch in figure.axes[0].patches if isinstance(patch, Circle) and patch.get_facecolor()[0] < 0.95]
    assert len(orange) == 3 and {"class token", "patches", "answer"} <= set(texts(figure))
