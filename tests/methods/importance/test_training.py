"""Training in two stages: it learns, it is kept, it goes on, what is frozen stays, a dark map is told."""
import copy

import pytest
import torch
from torch import nn

from nblib.data import Images
from nblib.methods import importance
from nblib.methods.importance import importance_map, train_embedding, train_importance, train_pixel
from nblib.models.importance import ImportanceModel, ImportanceNet
from nblib.training import evaluate
from tests.fixtures.importance import spotted
from tests.fixtures.networks import SmallNet
from tests.fixtures.training import equal

ASK = {"patch": 8, "width": 8, "batch_size": 16, "device": "cpu", "augment": None, "progress": False}
FIT = {name: value for name, value in ASK.items() if name not in ("patch", "width")}


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    """An empty store."""
    monkeypatch.setenv("NBLIB_STORE", str(tmp_path))
    return tmp_path / "models"


def kept(store) -> list:
    return sorted(path.name for path in store.iterdir() if path.suffix == ".safetensors")


def test_it_learns_and_is_kept_once(store):
    ia = train_importance(spotted(96), epochs=12, lr=0.01, **ASK)
    assert evaluate(ia, spotted(40, seed=1)) > 0.9 and not ia.training
    assert len(kept(store)) == 1 and kept(store)[0].startswith("importance-ia-")
    begun = [path.stat().st_mtime_ns for path in store.iterdir()]
    assert equal(ia, train_importance(spotted(96), epochs=12, lr=0.01, **ASK))
    assert begun == [path.stat().st_mtime_ns for path in store.iterdir()]


@pytest.mark.parametrize("change", [{"seed": 1}, {"epochs": 2}, {"width": 9}, {"head": "convolutional"}, {"lr": 1e-3},
                                    {"learn_importance": False}, {"patch": 4}])
def test_whatever_decides_the_training_is_in_its_key(store, change):
    train_importance(spotted(), epochs=1, **ASK)
    train_importance(spotted(), **({"epochs": 1} | ASK | change))
    assert len(kept(store)) == 2


def test_the_second_stage_leaves_the_first_as_it_was(store):
    ia = train_importance(spotted(), epochs=2, **ASK)
    given, net = copy.deepcopy(ia.state_dict()), SmallNet(classes=2).eval()
    backbone = copy.deepcopy(net.state_dict())
    ea = train_embedding(ia, spotted(), epochs=1, **FIT)
    pa = train_pixel(ia, net, spotted(), threshold=0.4, epochs=1, **FIT)
    for state, before in ((ia.state_dict(), given), (net.state_dict(), backbone)):
        assert all(torch.equal(before[name], tensor) for name, tensor in state.items())
    for model in (ea, pa):  # parameters and the statistics of norms
        assert all(torch.equal(given[f"scores.{name}"], tensor) for name, tensor in model.scores.network.state_dict(
            prefix="scores.").items() for name in [name.removeprefix("scores.")])
    images = spotted(8, seed=2).images
    assert torch.equal(importance_map(ea, images), importance_map(ia, images))
    assert not torch.equal(ea.components.linear.weight, ia.components.linear.weight)
    assert not torch.equal(pa.backbone.head.weight, net.head.weight)
    assert len(kept(store)) == 3


def test_what_the_second_stage_begins_with_is_in_its_key(store):
    first, second = (train_importance(spotted(), epochs=1, seed=seed, **ASK) for seed in (0, 1))
    train_embedding(first, spotted(), epochs=1, **FIT)
    train_embedding(second, spotted(), epochs=1, **FIT)
    train_embedding(first, spotted(), epochs=1, scores=importance.RandomMap(2), **FIT)
    for change in ({}, {"threshold": 0.6}, {"order": "deletion"}, {"fill": 0.5}):
        train_pixel(first, SmallNet(classes=2), spotted(), **({"threshold": 0.5, "epochs": 1} | FIT | change))
    assert len(kept(store)) == 2 + 3 + 4


def test_an_importance_that_is_not_learnt_stays_as_it_was_drawn():
    ia = train_importance(spotted(), epochs=1, learn_importance=False, seed=3, **ASK)
    fresh = ImportanceModel(2, size=16, patch=8, width=8, learn_importance=False, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(fresh.scores.state_dict().values(), ia.scores.state_dict().values()))
    assert not torch.equal(fresh.linear.weight, ia.linear.weight)


def test_an_interrupted_training_goes_on(store, monkeypatch):
    whole = train_importance(spotted(), epochs=3, **ASK)
    for path in store.iterdir():
        path.unlink()
    forward, calls = ImportanceModel.forward, []

    def stops(self, images):
        calls.append(1)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return forward(self, images)

    with monkeypatch.context() as patched:
        patched.setattr(ImportanceModel, "forward", stops)
        with pytest.raises(KeyboardInterrupt):
            train_importance(spotted(), epochs=3, **ASK)
    assert any("training" in name for name in kept(store))
    assert equal(whole, train_importance(spotted(), epochs=3, **ASK))


def test_a_map_that_has_collapsed_is_told(store, monkeypatch):
    made = ImportanceNet.__init__

    def dark(self, **options):
        made(self, **options)
        nn.init.constant_(self.head.bias, -20.0)

    monkeypatch.setattr(ImportanceNet, "__init__", dark)
    with pytest.raises(RuntimeError, match="has collapsed: its mean is 0.0.*try a lower lr"):
        train_importance(spotted(96), epochs=8, **ASK)  # while it trains
    with pytest.raises(RuntimeError, match="has collapsed"):
        train_importance(spotted(), epochs=1, **ASK)  # too short for that: at the end
    assert not [name for name in kept(store) if "training" not in name]


def test_images_without_a_key_or_that_are_not_square_are_refused():
    data = spotted()
    with pytest.raises(ValueError, match="no key"):
        train_importance(Images(data.images, data.labels, data.classes), epochs=1)
    with pytest.raises(ValueError, match="16 × 8 pixels were given, expected square"):
        train_importance(Images(data.images[..., :8], data.labels, data.classes, key="a"), epochs=1)
