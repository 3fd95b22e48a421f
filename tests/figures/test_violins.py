"""Densities over numbers of things."""
import numpy as np
import pytest
import torch

from nblib import figures


def test_a_density_peaks_where_numbers_crowd_and_not_where_one_is_most_frequent():
    numbers = torch.tensor([10, 10, 30, 31, 32, 33])
    found = figures.density(numbers, 50)
    width = numbers.double().std().item() * 6 ** -0.2
    expected = [sum(np.exp(-0.5 * ((place - number) / width) ** 2) for number in numbers.tolist())
                for place in range(50)]
    np.testing.assert_allclose(found, np.array(expected) / max(expected), rtol=1e-12)
    assert 25 < found.argmax() < 33 and numbers.mode().values == 10
    assert figures.density(torch.tensor([7, 7]), 9).tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 0]


def test_violins_have_a_panel_a_name_and_a_line_through_their_peaks():
    numbers = torch.tensor([[1, 8], [1, 9], [1, 8]])
    figure = figures.violins({"disc": numbers, "star": numbers.flip(1)}, x="layer", y="neuron", size=12)
    first, second = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["disc", "star"] and first.get_ylabel() == "neuron"
    assert first.lines[-1].get_ydata().tolist() == [1, 8] and second.lines[-1].get_ydata().tolist() == [8, 1]


@pytest.mark.parametrize("values, said", [
    ({}, "0 names"),
    ({"disc": torch.zeros(3, dtype=torch.long)}, r"'disc' of shape \(3,\)"),
    ({"disc": torch.full((3, 2), 12)}, "from 0 to 11"),
])
def test_violins_refuse_what_they_cannot_draw(values, said):
    with pytest.raises(ValueError, match=said):
        figures.violins(values, x="layer", y="neuron", size=12)
