"""Weights that are made anew in each pass are refused where weights are asked for; of others every one changes."""
import copy
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune, remove_weight_norm, spectral_norm, weight_norm
from torch.nn.utils.parametrize import remove_parametrizations

from nblib.methods.pruning import lottery_ticket, magnitude_mask, one_shot, random_tickets, sparsity_of, train_ticket
from nblib.metrics import randomize_layers, randomized_stages
from tests.fixtures.networks import SmallNet, settled
from tests.fixtures.pruning import LEVELS, Fit, make

WAYS = {
    "spectral norm": (parametrizations.spectral_norm, "remove_parametrizations"),
    "weight norm": (parametrizations.weight_norm, "remove_parametrizations"),
    "orthogonal": (parametrizations.orthogonal, "remove_parametrizations"),
    "old spectral norm": (spectral_norm, "remove_spectral_norm"),
    "old weight norm": (weight_norm, "remove_weight_norm"),
    "pruned": (lambda module: prune.l1_unstructured(module, "weight", 0.5), "prune.remove"),
}
every_way = pytest.mark.parametrize("way, advice", WAYS.values(), ids=WAYS)


def altered(way) -> nn.Module:
    model = make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's, that its older ways are old
        way(model.conv2)
    return model


@every_way
def test_such_weights_are_refused_with_the_call_that_makes_them_plain(way, advice):
    dense = train_ticket(make(), magnitude_mask(make(), 0.0), Fit())
    for call in (lambda: lottery_ticket(lambda: altered(way), Fit(), sparsities=LEVELS),
                 lambda: lottery_ticket(lambda: altered(way), Fit(), sparsities=LEVELS, procedure="published"),
                 lambda: magnitude_mask(altered(way), 0.5), lambda: sparsity_of(altered(way)),
                 lambda: random_tickets(lambda: altered(way), Fit(), [dense]),
                 lambda: one_shot(lambda: altered(way), Fit(), dense, sparsities=[0.5]),
                 lambda: randomized_stages(altered(way)), lambda: next(randomize_layers(altered(way)))):
        with pytest.raises(ValueError, match=f"'conv2.weight' of SmallNet is made anew in each pass.*{advice}"):
            call()


@pytest.mark.parametrize("way, back", [
    (WAYS["spectral norm"][0], lambda module: remove_parametrizations(module, "weight")),
    (WAYS["old weight norm"][0], remove_weight_norm),
    (WAYS["pruned"][0], lambda module: prune.remove(module, "weight")),
])
def test_after_the_call_they_are_pruned_and_randomised_as_any(way, back):
    model = altered(way)
    back(model.conv2)
    model = copy.deepcopy(model)
    ticket = lottery_ticket(lambda: copy.deepcopy(model), Fit(), sparsities=[0.8])[0]
    weights = torch.cat([ticket.model.get_parameter(name).flatten() for name in ticket.mask])
    assert (weights == 0).float().mean().item() == pytest.approx(0.8, abs=1 / len(weights))
    last = randomized_stages(model, count=2)[1]
    for name in ("conv1", "conv2", "head"):
        assert (last.get_parameter(f"{name}.weight") != model.get_parameter(f"{name}.weight")).all()


def test_weights_that_are_standardised_in_each_pass_are_not_pruned():
    from timm.layers import StdConv2d

    model = SmallNet()
    model.conv1 = StdConv2d(3, 6, 3)
    with pytest.raises(ValueError, match="'conv1' of SmallNet standardises its weights"):
        magnitude_mask(model, 0.5)


def test_what_a_reset_leaves_as_it_was_is_drawn_anew():
    class Scaled(nn.Linear):
        def __init__(self):
            super().__init__(8, 300)
            self.scale = nn.Parameter(3 + torch.randn(300))

    model = settled(nn.Sequential(Scaled(), nn.Linear(300, 2)))
    changed = dict(randomize_layers(model, seed=1))["0"]
    for name in ("weight", "bias", "scale"):
        assert (changed.get_parameter(f"0.{name}") != model.get_parameter(f"0.{name}")).all()
    before = model[0].scale
    assert changed[0].scale.mean().item() == pytest.approx(before.mean().item(), abs=0.3)
