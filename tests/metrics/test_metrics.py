"""Metrics against references from the formulas, exact values of trivial maps, bounds, and wrong input."""
import math

import numpy
import pytest
import scipy.stats
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nblib import metrics
from nblib.metrics import maps as steps
from tests.references import saliency as reference

LOCALIZATION = {
    "pointing_game": metrics.pointing_game,
    "energy_inside": metrics.energy_inside,
    "energy_gain": metrics.energy_gain,
    "auroc": metrics.auroc,
    "average_precision": metrics.average_precision,
    "patch_iou": metrics.patch_iou,
    "segmentation_difference": metrics.segmentation_difference,
}
some_maps = arrays.arrays(numpy.float64, (2, 4, 6), elements=st.floats(-5, 5).map(lambda v: round(v, 1)))
some_masks = arrays.arrays(numpy.bool_, (2, 4, 6))


def random_maps(count=3, height=8, width=6, seed=0):
    return torch.randn(count, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def square_masks(count=3, height=8, width=6):
    masks = torch.zeros(count, height, width, dtype=torch.bool)
    masks[:, 2:5, 1:4] = True
    return masks


# sparsity


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


# localisation


def test_pointing_game_hits_misses_ties_and_tolerance():
    masks = square_masks(4)
    maps = torch.zeros(4, 8, 6)
    maps[0, 3, 2] = 1.0  # inside
    maps[1, 3, 5] = 1.0  # two pixels to the right of the object
    maps[2, 3, 2] = maps[2, 0, 0] = 1.0  # one of two maxima inside
    maps[3] = 1.0  # constant
    result = metrics.pointing_game(maps, masks)
    torch.testing.assert_close(result, torch.tensor([1.0, 0.0, 0.5, 9 / 48]))
    assert metrics.pointing_game(maps, masks, tolerance=1)[1] == 0
    assert metrics.pointing_game(maps, masks, tolerance=2)[1] == 1


def test_pointing_game_tolerance_is_a_disc_not_a_square():
    maps, masks = torch.zeros(1, 9, 9), torch.zeros(1, 9, 9, dtype=torch.bool)
    masks[0, 4, 4] = maps[0, 6, 6] = True
    assert metrics.pointing_game(maps, masks, tolerance=2).item() == 0
    assert metrics.pointing_game(maps, masks, tolerance=3).item() == 1


def test_energy_by_hand_and_a_constant_map_gains_nothing():
    maps = torch.tensor([[[3.0, -6.0], [1.0, 0.0]]])
    masks = torch.tensor([[[True, True], [False, False]]])
    assert metrics.energy_inside(maps, masks).item() == pytest.approx(0.75)
    assert metrics.energy_inside(maps, masks, absolute=True).item() == pytest.approx(0.9)
    assert metrics.energy_gain(maps, masks).item() == pytest.approx(1.5)
    torch.testing.assert_close(metrics.energy_gain(torch.full((3, 8, 6), 2.0), square_masks()), torch.ones(3))
    assert metrics.energy_inside(-maps.abs(), masks).isnan().all()


@given(some_maps, some_masks)
@settings(max_examples=60, deadline=None)
def test_auroc_and_average_precision_equal_scikit_learns_with_ties(values, truth):
    area = metrics.auroc(torch.from_numpy(values), torch.from_numpy(truth))
    precision = metrics.average_precision(torch.from_numpy(values), torch.from_numpy(truth))
    for row in range(2):
        scores, found = values[row].ravel(), truth[row].ravel()
        if 0 < found.sum() < found.size:
            assert area[row].item() == pytest.approx(sklearn.metrics.roc_auc_score(found, scores))
        else:
            assert area[row].isnan()
        if found.any():
            assert precision[row].item() == pytest.approx(sklearn.metrics.average_precision_score(found, scores))
        else:
            assert precision[row].isnan()


@given(some_maps, some_masks)
@settings(max_examples=60, deadline=None)
def test_localization_stays_in_bounds(values, truth):
    maps, masks = torch.from_numpy(values), torch.from_numpy(truth)
    for name, metric in LOCALIZATION.items():
        result = metric(steps.normalize_min_max(maps), masks)
        good = result[~result.isnan()]
        top = 24 if name == "energy_gain" else 1
        assert ((good >= 0) & (good <= top + 1e-12)).all(), name


@given(some_maps, some_masks, st.sampled_from([0.0, 0.3, 0.5, 1.0]))
@settings(max_examples=40, deadline=None)
def test_patch_iou_equals_counting_cells(values, truth, threshold):
    maps = steps.normalize_min_max(torch.from_numpy(values))
    result = metrics.patch_iou(maps, torch.from_numpy(truth), threshold=threshold)
    expected = [reference.macro_iou(maps[i].numpy() >= threshold, truth[i]) for i in range(2)]
    torch.testing.assert_close(result, torch.tensor(expected, dtype=torch.float64))


def test_trivial_maps_have_the_values_that_the_text_states():
    masks = square_masks(2, 32, 32)
    masks[1, :20] = True
    share = masks.float().mean((1, 2))
    maps = metrics.trivial_maps(masks, seed=3)
    assert list(maps) == ["empty", "full", "uniform", "centre"]
    difference = {name: metrics.segmentation_difference(values, masks) for name, values in maps.items()}
    torch.testing.assert_close(difference["empty"], share)
    torch.testing.assert_close(difference["full"], 1 - share)
    torch.testing.assert_close(difference["uniform"], torch.full((2,), 0.5), atol=0.02, rtol=0)
    torch.testing.assert_close(metrics.patch_iou(maps["empty"], masks), (1 - share) / 2)
    torch.testing.assert_close(metrics.patch_iou(maps["full"], masks), share / 2)
    for name in ("empty", "full"):
        torch.testing.assert_close(metrics.auroc(maps[name], masks), torch.full((2,), 0.5))
        torch.testing.assert_close(metrics.average_precision(maps[name], masks), share)
        torch.testing.assert_close(metrics.pointing_game(maps[name], masks), share)
    torch.testing.assert_close(metrics.energy_inside(maps["full"], masks), share)
    torch.testing.assert_close(maps["centre"], maps["centre"].flip(1).flip(2))
    assert torch.equal(maps["uniform"], metrics.trivial_maps(masks, seed=3)["uniform"])
    assert not torch.equal(maps["uniform"], metrics.trivial_maps(masks, seed=4)["uniform"])


def test_a_perfect_map_is_perfect_and_foreground_and_background_may_swap():
    masks = square_masks()
    perfect = masks.double()
    for name in ("pointing_game", "energy_inside", "auroc", "average_precision", "patch_iou"):
        torch.testing.assert_close(LOCALIZATION[name](perfect, masks), torch.ones(3, dtype=torch.float64))
    assert (metrics.segmentation_difference(perfect, masks) == 0).all()
    maps = steps.normalize_min_max(random_maps()) * 0.98 + 0.005  # no value at the threshold
    torch.testing.assert_close(metrics.patch_iou(1 - maps, ~masks), metrics.patch_iou(maps, masks))
    torch.testing.assert_close(
        metrics.segmentation_difference(1 - maps, ~masks), metrics.segmentation_difference(maps, masks)
    )


def test_patch_maps_meet_pixel_masks_on_the_patch_grid():
    masks = square_masks(2, 8, 8)
    maps = torch.rand(2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    shares = masks.double().reshape(2, 4, 2, 4, 2).mean((2, 4))
    expected = (maps - shares).abs().mean((1, 2))
    torch.testing.assert_close(metrics.segmentation_difference(maps, masks), expected)
    torch.testing.assert_close(metrics.segmentation_difference(maps, shares), expected)
    torch.testing.assert_close(metrics.patch_iou(maps, masks), metrics.patch_iou(maps, shares >= 0.5))


@pytest.mark.parametrize("name", LOCALIZATION)
def test_localization_of_one_bad_image_leaves_the_others_alone(name):
    maps, masks = steps.normalize_min_max(random_maps()), square_masks()
    clean = LOCALIZATION[name](maps, masks)
    maps[1, 0, 0] = math.nan
    result = LOCALIZATION[name](maps, masks)
    assert result[1].isnan() and torch.equal(result[[0, 2]], clean[[0, 2]])
    masks[0] = False
    empty = LOCALIZATION[name](maps, masks)[0]
    assert empty.isfinite() if name in ("patch_iou", "segmentation_difference") else empty.isnan()


@pytest.mark.parametrize("name", LOCALIZATION)
@pytest.mark.parametrize(
    "maps, masks, message",
    [
        (torch.rand(2, 8, 6), square_masks(3), "were given, expected"),
        (torch.rand(3, 7, 6), square_masks(3), "were given, expected"),
        (torch.rand(3, 3, 8, 6), square_masks(3), "were given, expected"),
        (torch.rand(3, 8, 6), square_masks(3).to(torch.uint8) * 255, "expected torch.bool"),
        (torch.rand(0, 8, 6), square_masks(0), "were given, expected"),
    ],
)
def test_localization_refuses_what_does_not_fit(name, maps, masks, message):
    with pytest.raises(ValueError, match=message):
        LOCALIZATION[name](maps, masks)


@pytest.mark.parametrize("metric", [metrics.patch_iou, metrics.segmentation_difference])
def test_metrics_with_a_threshold_ask_for_normalised_maps(metric):
    with pytest.raises(ValueError, match="normalize_max"):
        metric(random_maps(), square_masks())


def test_other_wrong_arguments():
    with pytest.raises(ValueError, match="tolerance=-1"):
        metrics.pointing_game(random_maps(), square_masks(), tolerance=-1)
    with pytest.raises(ValueError, match="threshold=2"):
        metrics.patch_iou(random_maps(), square_masks(), threshold=2)
    for measure in (metrics.gini, metrics.hoyer, metrics.importance_sparsity):
        with pytest.raises(ValueError, match="expected"):
            measure(torch.zeros(3))
        with pytest.raises(ValueError, match="expected"):
            measure(torch.zeros(0, 3))
    with pytest.raises(ValueError, match="1 component"):
        metrics.hoyer(torch.ones(2, 1))
    with pytest.raises(ValueError, match="S from 2 up"):
        metrics.reproducibility(random_maps().unsqueeze(0))
    with pytest.raises(ValueError, match="one shape"):
        metrics.reproducibility([random_maps(2), random_maps(3)])
    with pytest.raises(ValueError, match="expected the same"):
        metrics.rank_correlation(random_maps(2), random_maps(3))
    with pytest.raises(ValueError, match="expected \\(N, H, W\\)"):
        metrics.trivial_maps(torch.zeros(4, 4))


# stability


@given(some_maps, some_maps, st.booleans())
@settings(max_examples=60, deadline=None)
def test_rank_correlation_equals_scipys_with_ties(first, second, signed):
    result = metrics.rank_correlation(torch.from_numpy(first), torch.from_numpy(second), signed=signed)
    for row in range(2):
        a, b = first[row].ravel(), second[row].ravel()
        a, b = (a, b) if signed else (abs(a), abs(b))
        if numpy.ptp(a) == 0 or numpy.ptp(b) == 0:
            assert result[row].isnan()
        else:
            assert result[row].item() == pytest.approx(scipy.stats.spearmanr(a, b).statistic, abs=1e-12)


def test_rank_correlation_sees_the_sign_only_when_asked():
    maps = random_maps()
    torch.testing.assert_close(metrics.rank_correlation(maps, -maps), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(metrics.rank_correlation(maps, -maps, signed=True), -torch.ones(3, dtype=torch.float64))
    maps[1, 0, 0] = math.inf
    assert metrics.rank_correlation(maps, maps).isnan().tolist() == [False, True, False]


def test_reproducibility_and_sparsity_of_known_maps():
    maps = torch.rand(50, 2, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = maps.numpy().std(0, ddof=1).mean((1, 2))
    torch.testing.assert_close(metrics.reproducibility(maps), torch.from_numpy(expected))
    torch.testing.assert_close(metrics.reproducibility(list(maps)), torch.from_numpy(expected))
    assert expected.mean() == pytest.approx(12**-0.5, abs=0.01)
    assert (metrics.reproducibility([maps[0]] * 3) == 0).all()
    torch.testing.assert_close(metrics.importance_sparsity(torch.full((2, 4, 4), 0.3)), torch.full((2,), 0.3))


# the named steps between a raw map and a number


def test_each_normalisation_does_what_its_name_says():
    maps = torch.tensor([[[-2.0, 4.0], [1.0, 0.0]], [[0, 0], [0, 0]], [[-1, -2], [-3, -4]]])
    assert torch.equal(steps.absolute(maps), maps.abs()) and torch.equal(steps.positive(maps), maps.clamp(min=0))
    scaled = steps.normalize_max(maps)
    torch.testing.assert_close(scaled[0], maps[0] / 4)
    assert (scaled[1] == 0).all() and scaled[2].isnan().all()
    stretched = steps.normalize_min_max(maps)
    torch.testing.assert_close(stretched[0], (maps[0] + 2) / 6)
    assert (stretched[1] == 0).all() and stretched[2].min() == 0 and stretched[2].max() == 1


def test_patches_are_means_over_squares():
    maps = random_maps(2, 6, 9)
    patches = steps.to_patches(maps, 3)
    assert patches.shape == (2, 2, 3)
    torch.testing.assert_close(patches[1, 1, 2], maps[1, 3:6, 6:9].mean())
    assert steps.to_patches(square_masks(1, 8, 6), 2).dtype == torch.float32
    for patch in (0, 4):
        with pytest.raises(ValueError, match=f"patch={patch}"):
            steps.to_patches(maps, patch)
