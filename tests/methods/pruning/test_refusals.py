"""Wrong calls of pruning, and what is said of each."""
import torch
from torch import nn

from nblib.methods.pruning import (
    Hold,
    fine_tuned,
    kept_tickets,
    lottery_ticket,
    magnitude_mask,
    one_shot,
    random_mask,
    random_tickets,
    retrained,
    sparsity_of,
    train_ticket,
)
from tests.fixtures.networks import SmallNet, settled
from tests.fixtures.pruning import Fit, make
from tests.fixtures.refusals import check, refused
from tests.fixtures.training import bright

NET, BROKEN, TRAIN, DATA = settled(SmallNet()), settled(SmallNet()), Fit(steps=2), bright(12)
nn.init.constant_(BROKEN.conv1.weight, torch.nan)

REFUSED = [
    (lambda: lottery_ticket(None, TRAIN, sparsities=[0.5]), "make_model=None"),
    (lambda: lottery_ticket(NET, TRAIN, sparsities=[0.5]), "make_model"),
    (lambda: lottery_ticket(lambda: None, TRAIN, sparsities=[0.5]), "make_model returned NoneType"),
    (lambda: lottery_ticket(lambda x: NET, TRAIN, sparsities=[0.5]), "make_model cannot be called"),
    (lambda: lottery_ticket(make, None, sparsities=[0.5]), "fit=None"),
    (lambda: lottery_ticket(make, lambda model: None, sparsities=[0.5]), "after_step"),
    (lambda: lottery_ticket(make, TRAIN, sparsities=None), "sparsities=None"),
    (lambda: lottery_ticket(make, TRAIN, sparsities=0.5), "sparsities=0.5"),
    (lambda: lottery_ticket(make, TRAIN, sparsities="0.5"), "sparsit"),
    (lambda: lottery_ticket(make, TRAIN, sparsities=[]), "one or more"),
    (lambda: lottery_ticket(make, TRAIN, sparsities=[0.5, 0.2]), "ascending"),
    (lambda: lottery_ticket(make, TRAIN, sparsities=[20]), "sparsity=20"),
    (lambda: lottery_ticket(make, TRAIN, sparsities=[None]), "sparsity=None"),
    (lambda: lottery_ticket(make, TRAIN, sparsities=[0.5], procedure=None), "procedure None"),
    (lambda: lottery_ticket(make, TRAIN, sparsities=[0.5], scope=3), "scope 3"),
    (lambda: lottery_ticket(make, TRAIN, sparsities=[0.5], seed="a"), "seed='a'"),
    (lambda: lottery_ticket(make, TRAIN, sparsities=[0.5], refit=3), "fit=3"),
    (lambda: train_ticket(None, {}, TRAIN), "a model of type"),
    (lambda: train_ticket(NET, None, TRAIN), "mask"),
    (lambda: train_ticket(NET, [1], TRAIN), "mask"),
    (lambda: train_ticket(NET, {"conv1.weight": None}, TRAIN), "mask of 'conv1.weight' is NoneType"),
    (lambda: train_ticket(NET, {"conv1.wait": torch.ones(2).bool()}, TRAIN), "nearest: 'conv1.weight'"),
    (lambda: train_ticket(NET, {"conv1.weight": torch.ones(2).bool()}, TRAIN), "expected torch.bool of shape"),
    (lambda: train_ticket(NET, magnitude_mask(NET, 0.5), 3), "fit=3"),
    (lambda: magnitude_mask(None, 0.5), "a model of type"),
    (lambda: magnitude_mask(nn.ReLU(), 0.5), "expected weights to prune"),
    (lambda: magnitude_mask(NET, None), "sparsity=None"),
    (lambda: magnitude_mask(NET, "half"), "sparsity='half'"),
    (lambda: magnitude_mask(NET, 50), "sparsity=50"),
    (lambda: magnitude_mask(NET, 0.5, scope=None), "scope None"),
    (lambda: magnitude_mask(NET, 0.5, within=[1]), "mask"),
    (lambda: magnitude_mask(NET, 0.5, within={}), "in the mask"),
    (lambda: magnitude_mask(BROKEN, 0.5), "not finite"),
    (lambda: random_mask(None), "mask"),
    (lambda: random_mask({"a": None}), "mask of 'a' is NoneType"),
    (lambda: random_mask({"a": torch.ones(3)}), "expected torch.bool"),
    (lambda: random_mask(magnitude_mask(NET, 0.5), seed=None), "seed=None"),
    (lambda: sparsity_of(None), "a model of type"),
    (lambda: sparsity_of(NET, 3), "names=3"),
    (lambda: sparsity_of(NET, ["conv9.weight"]), "nearest"),
    (lambda: sparsity_of(NET, []), "no names"),
    (lambda: Hold(NET, None), "mask"),
    (lambda: Hold(None, {}), "a model of type"),
    (lambda: one_shot(make, TRAIN, None, sparsities=[0.5]), "ticket"),
    (lambda: one_shot(make, TRAIN, NET, sparsities=[0.5]), "ticket"),
    (lambda: fine_tuned(TRAIN, None, sparsities=[0.5]), "ticket"),
    (lambda: random_tickets(make, TRAIN, None), "tickets=None"),
    (lambda: random_tickets(make, TRAIN, [NET]), "ticket"),
    (lambda: retrained(None, TRAIN), "make_model=None"),
    (lambda: kept_tickets("small_resnet", None, sparsities=[0.0]), "data of NoneType"),
    (lambda: kept_tickets("small_resnet", DATA, sparsities=None), "sparsities=None"),
    (lambda: kept_tickets("small_resnet", DATA, sparsities=[0.0], recipe=None), "recipe None"),
]


@refused(REFUSED)
def test_a_wrong_call_is_refused_in_words(call, said):
    check(call, said)
