"""Measures of contributions against formulas term by term, by hand, and at the ends of their ranges."""
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nblib import targets
from nblib.methods.contributions import (
    channel_sparsity,
    completeness_gap,
    contributions,
    dimensionality,
    excitation_inhibition,
    excitation_inhibition_correlation,
)
from nblib.metrics import hoyer
from tests.fixtures.contributions import some_images
from tests.references import contributions as reference


def units(*shape, seed=3):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shape, axis", [((2, 5), None), ((2, 5, 3, 4), None), ((2, 6, 5), None), ((2, 3, 4, 5), 3),
                                         ((2, 3, 4, 5), -1), ((2, 5, 7), 1)])
def test_signs_are_split_before_places_are_summed(shape, axis):
    values = units(*shape)
    excitation, inhibition = excitation_inhibition(values, channel_axis=axis)
    where = {None: 2 if len(shape) == 3 else 1}.get(axis, axis)
    for image in range(2):
        for channel in range(5):
            mine = values[image].select(where - 1 if where > 0 else where, channel).flatten().tolist()
            assert excitation[image, channel].item() == pytest.approx(sum(v for v in mine if v > 0))
            assert inhibition[image, channel].item() == pytest.approx(sum(v for v in mine if v < 0))


def test_both_signs_add_up_to_the_net_contribution():
    values = units(3, 4, 5, 5)
    excitation, inhibition = excitation_inhibition(values)
    torch.testing.assert_close(excitation + inhibition, values.sum((2, 3)))
    assert (excitation >= 0).all() and (inhibition <= 0).all()


def test_sums_of_half_precision_are_formed_in_single():
    values = torch.full((1, 2, 64, 64), 0.1, dtype=torch.bfloat16)
    excitation, _ = excitation_inhibition(values)
    assert excitation.dtype == torch.bfloat16 and excitation[0, 0].item() == pytest.approx(410, rel=0.01)


def test_sparsity_is_hoyers_index_of_the_channels_sums():
    values = units(3, 6, 4, 4)
    torch.testing.assert_close(channel_sparsity(values), hoyer(values.sum((2, 3))))
    torch.testing.assert_close(channel_sparsity(values.sum((2, 3))), channel_sparsity(values))
    tokens = units(3, 7, 6)
    torch.testing.assert_close(channel_sparsity(tokens), hoyer(tokens.sum(1)))
    assert channel_sparsity(torch.tensor([[2.0, 2, -2, 2]])).item() == 0
    assert channel_sparsity(torch.tensor([[0.0, 0, -3, 0]])).item() == 1
    assert channel_sparsity(torch.tensor([[3.0, 4, 0, 0]])).item() == pytest.approx((2 - 7 / 5) / (2 - 1))
    assert channel_sparsity(torch.zeros(1, 4)).isnan()


def test_correlation_equals_pearsons_term_by_term():
    values = units(3, 6, 4, 4)
    excitation, inhibition = excitation_inhibition(values)
    found = excitation_inhibition_correlation(values)
    for image in range(3):
        expected = -reference.correlation(excitation[image].tolist(), inhibition[image].tolist())
        assert found[image].item() == pytest.approx(expected)


def test_correlation_at_its_ends():
    up = torch.tensor([1.0, 2, 5])
    balanced = torch.stack([up, -2 * up], 1)[None, :, :, None]  # (1, 3, 2, 1): each channel pulls as it pushes
    assert excitation_inhibition_correlation(balanced).item() == pytest.approx(1)
    opposed = torch.stack([up, -up.flip(0)], 1)[None, :, :, None]
    assert excitation_inhibition_correlation(opposed).item() < 0
    assert excitation_inhibition_correlation(up.view(1, 3, 1, 1)).isnan()  # no inhibition at all


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 9))
def test_sparsity_and_correlation_stay_in_their_ranges(seed, channels, places):
    values = units(2, channels, places, 1, seed=seed) * 10.0 ** (seed % 7 - 3)
    assert ((0 <= channel_sparsity(values)) & (channel_sparsity(values) <= 1)).all()
    correlation = excitation_inhibition_correlation(values)
    assert (correlation.isnan() | (correlation.abs() <= 1)).all()


def test_dimensionality_counts_components_of_known_variance():
    variances = torch.tensor([50.0, 30, 15, 5]).double()
    axes, _ = torch.linalg.qr(units(40, 5))
    centred, _ = torch.linalg.qr(axes[:, :4] - axes[:, :4].mean(0))
    turned, _ = torch.linalg.qr(units(6, 6, seed=8))
    values = centred * variances.sqrt() @ turned[:4] + 7
    found = [dimensionality(values, share) for share in (0.49, 0.51, 0.79, 0.81, 0.95, 0.951, 1.0)]
    assert found == [1, 2, 2, 3, 3, 4, 4]
    assert dimensionality(values.float()) == 3 and dimensionality(1e-4 * values + 1) == 3
    assert dimensionality(values[:3], 1.0) == 2  # never more than the rows allow


def test_dimensionality_of_equal_rows_is_none():
    assert dimensionality(torch.full((4, 3), 0.1)) == 0


@pytest.mark.parametrize("function, values, message", [
    (dimensionality, torch.zeros(1, 3), "at least two rows"),
    (dimensionality, torch.zeros(2, 3, 4), "at least two rows"),
    (dimensionality, torch.tensor([[1.0, math.nan], [1, 2]]), "not finite"),
    (channel_sparsity, torch.zeros(3), "expected floating point"),
    (channel_sparsity, torch.zeros(3, 4, dtype=torch.long), "torch.int64"),
    (excitation_inhibition, [1.0], "values of list"),
])
def test_values_that_do_not_fit_are_refused(function, values, message):
    with pytest.raises(ValueError, match=message):
        function(values)


def test_a_channel_axis_that_is_not_there_or_that_of_the_images_is_refused():
    for axis in (4, -4, 0, 1.0):
        with pytest.raises(ValueError, match="channel_axis="):
            excitation_inhibition(units(2, 3, 4, 5), channel_axis=axis)
    with pytest.raises(ValueError, match="share=95"):
        dimensionality(units(4, 3), share=95)


def test_the_gap_is_the_sum_minus_the_change(model):
    images, target = some_images(), targets.class_logit(2)
    found = contributions(model, images, ["bn2"], target=target, baseline=0.4)["bn2"]
    change = model(images)[:, 2] - model(torch.full_like(images, 0.4))[:, 2]
    gap = completeness_gap(found, model, images, target=target, baseline=0.4, chunk_size=2)
    torch.testing.assert_close(gap, found.sum((1, 2, 3)) - change.detach())
    with pytest.raises(ValueError, match="2 images were given with 3"):
        completeness_gap(found[:2], model, images)
    with pytest.raises(ValueError, match="contributions of NoneType were given, expected a tensor"):
        completeness_gap(None, model, images)
