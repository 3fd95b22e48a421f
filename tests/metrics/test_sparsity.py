"""The Gini index and Hoyer's measure against formulas, by hand, and at the ends of the number range."""
import math

import pytest
import torch
from hypothesis import given, settings

from nblib import metrics
from tests.fixtures.maps import random_maps, some_maps
from tests.references import metrics as reference


def test_gini_equals_the_formula_term_by_term():
    maps = random_maps()
    expected = [reference.gini(row) for row in maps.flatten(1)]
    torch.testing.assert_close(metrics.gini(maps), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize(
    "row, expected", [([0, 0, 0, 4.0], 0.75), ([3.0, 3, -3, 3], 0.0), ([0, 0, -7.0], 2 / 3), ([1.0, 2, 3, 4], 0.25)]
)
def test_gini_of_rows_one_can_check_by_hand(row, expected):
    assert metrics.gini(torch.tensor([row])).item() == pytest.approx(expected, abs=1e-7)


def test_gini_of_a_constant_map_is_zero_at_photograph_size_in_float32():
    assert metrics.gini(torch.full((1, 224, 224), 0.1)).item() == 0


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf])
def test_gini_and_hoyer_are_nan_for_one_bad_map_only(value):
    maps = random_maps(2)
    maps[0] = value
    for measure in (metrics.gini, metrics.hoyer):
        result = measure(maps)
        assert result[0].isnan() and result[1].isfinite()


@given(some_maps)
@settings(max_examples=60, deadline=None)
def test_gini_and_hoyer_stay_in_bounds_and_know_no_scale(values):
    maps = torch.from_numpy(values)
    for measure, top in ((metrics.gini, 1 - 1 / 24), (metrics.hoyer, 1.0)):
        result = measure(maps)
        good = ~result.isnan()
        assert ((result[good] >= 0) & (result[good] <= top + 1e-12)).all()
        torch.testing.assert_close(measure(maps * -37.5), result, equal_nan=True)
    torch.testing.assert_close(metrics.gini(maps.repeat(1, 2, 1)), metrics.gini(maps), equal_nan=True)


def test_gini_survives_the_largest_and_smallest_numbers():
    row = torch.tensor([[1.0, 2, 3, 4]], dtype=torch.float64)
    for scale in (1e307, 1e-307):
        torch.testing.assert_close(metrics.gini(row * scale), metrics.gini(row))


def test_hoyer_by_hand():
    vectors = torch.tensor([[0.0, 5, 0, 0], [1, -1, 1, 1], [3, 4, 0, 0]])
    torch.testing.assert_close(metrics.hoyer(vectors), torch.tensor([1.0, 0.0, 2 - 1.4]))


def test_metrics_of_whole_numbers_come_back_as_fractions():
    assert metrics.gini(torch.tensor([[0, 0, 0, 4]])).item() == 0.75
    assert metrics.importance_sparsity(torch.tensor([[[1, 0], [0, 0]]])).item() == 0.25


def test_maps_without_rows_or_values_are_refused():
    for measure in (metrics.gini, metrics.hoyer, metrics.importance_sparsity):
        with pytest.raises(ValueError, match="expected"):
            measure(torch.zeros(3))
        with pytest.raises(ValueError, match="expected"):
            measure(torch.zeros(0, 3))
    with pytest.raises(ValueError, match="1 component"):
        metrics.hoyer(torch.ones(2, 1))
