"""Whether a map lies on the object: references, exact values of trivial maps, bounds, and wrong input."""
import math

import pytest
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nblib import metrics
from tests.fixtures.maps import random_maps, some_maps, some_masks, square_masks
from tests.references import metrics as reference

LOCALIZATION = {
    "pointing_game": metrics.pointing_game,
    "energy_inside": metrics.energy_inside,
    "energy_gain": metrics.energy_gain,
    "auroc": metrics.auroc,
    "average_precision": metrics.average_precision,
    "patch_iou": metrics.patch_iou,
    "segmentation_difference": metrics.segmentation_difference,
}


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
        result = metric(metrics.normalize_min_max(maps), masks)
        good = result[~result.isnan()]
        top = 24 if name == "energy_gain" else 1
        assert ((good >= 0) & (good <= top + 1e-12)).all(), name


@given(some_maps, some_masks, st.sampled_from([0.0, 0.3, 0.5, 1.0]))
@settings(max_examples=40, deadline=None)
def test_patch_iou_equals_counting_cells(values, truth, threshold):
    maps = metrics.normalize_min_max(torch.from_numpy(values))
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
    maps = metrics.normalize_min_max(random_maps()) * 0.98 + 0.005  # no value at the threshold
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
    maps, masks = metrics.normalize_min_max(random_maps()), square_masks()
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


def test_numbers_out_of_range_and_other_shapes_are_refused():
    with pytest.raises(ValueError, match="tolerance=-1"):
        metrics.pointing_game(random_maps(), square_masks(), tolerance=-1)
    with pytest.raises(ValueError, match="threshold=2"):
        metrics.patch_iou(random_maps(), square_masks(), threshold=2)
    with pytest.raises(ValueError, match="expected \\(N, H, W\\)"):
        metrics.trivial_maps(torch.zeros(4, 4))
