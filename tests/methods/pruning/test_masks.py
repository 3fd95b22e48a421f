"""Masks by magnitude and at random, against a sort of all weights; what holds their zeros."""
import copy
import itertools
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nblib.methods.pruning import Hold, magnitude_mask, prunable, random_mask, sparsity_of, train_ticket
from tests.fixtures.pruning import COUNT, LEVELS, WEIGHTS, Fit, make, removed, same, zero_count
from tests.references import pruning as reference


@pytest.mark.parametrize("scope", ["global", "tensor"])
@pytest.mark.parametrize("sparsity", [0, 0.1, 0.333, 0.7, 1])
def test_masks_equal_a_sort_of_all_weights(scope, sparsity):
    model = make()
    with torch.no_grad():
        model.conv2.weight.copy_((model.conv2.weight * 4).round() / 4)  # many ties, and zeros
    mask = magnitude_mask(model, sparsity, scope=scope)
    expected = reference.magnitude_mask(
        {name: model.get_parameter(name).flatten().tolist() for name in WEIGHTS}, sparsity, scope)
    assert list(mask) == WEIGHTS
    for name, kept in mask.items():
        assert kept.dtype == torch.bool and kept.shape == model.get_parameter(name).shape
        assert kept.flatten().tolist() == expected[name]
    if scope == "global":
        assert removed(mask) == round(sparsity * COUNT)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_masks_are_exact_and_nested_whatever_the_ties(values, first, second):
    first, second = sorted([first, second])
    model = nn.Linear(len(values), 1)
    model.weight.data.copy_(torch.tensor(values, dtype=torch.float32))
    early = magnitude_mask(model, first)
    model.weight.data.neg_().add_(1)  # training has moved them
    late = magnitude_mask(model, second, within=early)
    assert (removed(early), removed(late)) == (round(first * len(values)), round(second * len(values)))
    assert not (late["weight"] & ~early["weight"]).any()
    assert same(magnitude_mask(model, first, within=late), late)  # a lower level brings nothing back


def test_masks_follow_the_device_leave_the_model_and_cover_every_kind_of_layer(device):
    model = nn.ModuleDict({
        "a": nn.Conv1d(2, 3, 3), "b": nn.ConvTranspose2d(2, 3, 3), "c": nn.Linear(4, 5), "d": nn.LayerNorm([3, 4]),
        "e": nn.Embedding(7, 3), "f": nn.BatchNorm2d(3),
    }).to(device)
    state = copy.deepcopy(model.state_dict())
    mask = magnitude_mask(model, 0.5)
    assert list(mask) == prunable(model) == ["a.weight", "b.weight", "c.weight"]
    assert all(kept.device.type == device.type for kept in mask.values())
    assert same(state, model.state_dict()) and model.training
    assert prunable(nn.Linear(2, 2)) == ["weight"]
    places = {kept.untyped_storage().data_ptr() for kept in mask.values()}
    assert len(places) == 3  # safetensors refuses shared memory


def test_sparsity_counts_exact_zeros():
    model = make()
    assert sparsity_of(model) == 0
    with torch.no_grad():
        model.conv1.weight[0] = 0
        model.conv1.weight[1] = -0.0
        model.bn1.weight[0] = 0
    assert sparsity_of(model) == 54 / COUNT
    assert sparsity_of(model, ["bn1.weight"]) == 1 / 6


def test_random_masks_keep_the_counts_of_each_tensor_are_nested_and_follow_their_seed():
    model = make()
    masks = [magnitude_mask(model, level) for level in LEVELS]
    torch.manual_seed(5)
    state = torch.get_rng_state()
    drawn = [random_mask(mask, seed=3) for mask in masks]
    assert torch.equal(torch.get_rng_state(), state)
    for mask, other in zip(masks, drawn, strict=True):
        assert [int(k.sum()) for k in mask.values()] == [int(k.sum()) for k in other.values()]
        assert [k.shape for k in mask.values()] == [k.shape for k in other.values()]
    for low, high in itertools.pairwise(drawn):
        assert not any((high[name] & ~low[name]).any() for name in WEIGHTS)
    assert not same(drawn[3], masks[3]) and same(drawn[3], random_mask(masks[3], seed=3))
    assert not same(drawn[3], random_mask(masks[3], seed=4))


def test_hold_can_be_called_both_ways_pickled_and_has_nothing_to_do_for_a_mask_of_ones(device):
    model = make().to(device).float()
    mask = magnitude_mask(model, 0.4)
    hold, first = Hold(model, mask), copy.deepcopy(model)
    other = copy.deepcopy(model)
    hold()
    hold(other)
    assert same(model.state_dict(), other.state_dict()) and zero_count(model) == round(0.4 * COUNT)
    for name, kept in mask.items():
        assert torch.equal(model.get_parameter(name)[kept], first.get_parameter(name)[kept])
    again, its_model = pickle.loads(pickle.dumps((hold, model)))
    assert again.model is its_model  # so that a copy in another process holds that process's network
    hold(other.double())  # a training may cast it
    Hold(first, magnitude_mask(first, 0.0))()
    assert zero_count(first) == 0


def test_wrong_masks_are_refused():
    model = make()
    mask = magnitude_mask(model, 0.5)
    for wrong in (-0.1, 1.1, float("nan"), "half"):
        with pytest.raises(ValueError, match="sparsity="):
            magnitude_mask(model, wrong)
    with pytest.raises(ValueError, match="nearest: 'global'"):
        magnitude_mask(model, 0.5, scope="globl")
    with pytest.raises(KeyError, match="'conv1.weight' in the mask"):
        magnitude_mask(model, 0.6, within={"head.weight": mask["head.weight"]})
    with pytest.raises(KeyError, match="no parameter 'conv3.weight' in SmallNet; nearest: 'conv2.weight'"):
        train_ticket(model, {"conv3.weight": mask["conv2.weight"]}, Fit())
    with pytest.raises(ValueError, match=r"'head.weight' is torch.bool of shape \(4, 7\), expected .*\(4, 8\)"):
        train_ticket(model, {"head.weight": mask["head.weight"][:, :7]}, Fit())
    with pytest.raises(ValueError, match="torch.float64"):
        train_ticket(model, {"head.weight": mask["head.weight"].double()}, Fit())
    with pytest.raises(ValueError, match="seed=-1"):
        random_mask(mask, seed=-1)
    model.conv2.weight.data[0, 0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match=r"rows of 'conv2.weight' \[0\] have values that are not finite"):
        magnitude_mask(model, 0.5)
