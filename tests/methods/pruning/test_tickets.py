"""Tickets that are kept: trained once, whole or not at all, and gone on with after an interruption."""
import pytest
import torch
from safetensors.torch import save_file
from torch.optim.optimizer import register_optimizer_step_pre_hook

from nblib.data import load
from nblib.methods.pruning import kept_tickets
from nblib.models import build
from nblib.training import conditions, networks_read

LEVELS = [0.0, 0.3, 0.7]
SHORT = {"epochs": 2, "device": "cpu", "progress": False}  # of two steps each


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("NBLIB_STORE", str(tmp_path))
    return load("shapes", split="fit", limit=128)


def same(first, second) -> bool:
    pairs = zip(first.model.state_dict().values(), second.model.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs) and all(
        torch.equal(kept, second.mask[name]) for name, kept in first.mask.items())


def networks(folder) -> list:
    """The files of networks below a folder, without the states of trainings that are not finished."""
    return sorted(path for path in folder.rglob("*.safetensors") if not path.name.endswith(".training.safetensors"))


def states(folder) -> list:
    """The files from which an interrupted training goes on."""
    return sorted(folder.rglob("*.training.safetensors"))


def test_a_ladder_is_trained_once_and_comes_back_the_same(data, rates, tmp_path):
    first = kept_tickets("small_resnet", data, sparsities=LEVELS, **SHORT)
    assert [round(ticket.sparsity, 3) for ticket in first] == LEVELS
    assert [len(steps) for steps in rates.values()] == [4, 4, 4] and len(networks(tmp_path)) == 1
    again = kept_tickets("small_resnet", data, sparsities=LEVELS, **SHORT)
    assert len(rates) == 3 and all(same(a, b) for a, b in zip(first, again, strict=True))
    assert [ticket.sparsity for ticket in again] == [ticket.sparsity for ticket in first]
    assert not states(tmp_path) and len(networks(tmp_path)) == 1
    assert not any(module.training for ticket in again for module in ticket.model.modules())


def test_an_interrupted_ladder_goes_on_where_it_was(data, rates, monkeypatch, tmp_path):
    def interrupt(optimizer, _, __):
        if len(rates) == 3:  # the first step of the third training
            raise KeyboardInterrupt

    hook = register_optimizer_step_pre_hook(interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            kept_tickets("small_resnet", data, sparsities=LEVELS, **SHORT)
    finally:
        hook.remove()
    assert len(states(tmp_path)) == 2 and not networks(tmp_path)
    rates.clear(), networks_read()
    resumed = kept_tickets("small_resnet", data, sparsities=LEVELS, **SHORT)
    (told,) = [network["training"] for network in networks_read()]
    assert told["resumed"] and told.items() >= conditions("cpu").items()
    assert len(rates) == 1  # the first two rounds were read, not trained again
    monkeypatch.setenv("NBLIB_STORE", str(tmp_path / "afresh"))
    straight = kept_tickets("small_resnet", data, sparsities=LEVELS, **SHORT)
    assert len(rates) == 1 + 3 and all(same(a, b) for a, b in zip(resumed, straight, strict=True))


def test_controls_start_from_the_ladder(data):
    ladder = dict(zip(LEVELS, kept_tickets("small_resnet", data, sparsities=LEVELS, **SHORT)))
    random, = kept_tickets("small_resnet", data, sparsities=LEVELS, recipe="random", only=[0.7], **SHORT)
    assert random.sparsity == ladder[0.7].sparsity
    for name, kept in random.mask.items():
        assert kept.sum() == ladder[0.7].mask[name].sum()
    assert not all(torch.equal(kept, ladder[0.7].mask[name]) for name, kept in random.mask.items())
    shot, = kept_tickets("small_resnet", data, sparsities=LEVELS, recipe="one_shot", only=[0.7], **SHORT)
    assert round(shot.sparsity, 3) == 0.7 and not same(shot, ladder[0.7])
    again, = kept_tickets("small_resnet", data, sparsities=LEVELS, recipe="retrained", only=[0.0], **SHORT)
    assert again.sparsity == 0 and not same(again, ladder[0.0])


def test_published_tickets_hold_fewer_zeros_than_they_are_called(data):
    called = kept_tickets("small_resnet", data, sparsities=LEVELS, recipe="published", **SHORT)
    assert called[0].sparsity == 0
    assert called[1].sparsity < 0.3 and called[2].sparsity < 0.7


@pytest.mark.parametrize("wrong, message", [
    ({"recipe": "txt"}, "recipe.*'text'"),
    ({"epoch": 3}, "epoch.*epochs"),
    ({"sparsities": [0.1, 0.3]}, "begins at 0.0"),
    ({"sparsities": [0.0, 0.7, 0.3]}, "ascending"),
    ({"recipe": "random", "only": [0.5]}, "0.5"),
    ({"name": "small_resnett"}, "small_resnet"),
])
def test_bad_input_is_refused_before_any_training(data, rates, tmp_path, wrong, message):
    arguments = {"name": "small_resnet", "sparsities": LEVELS, **SHORT} | wrong
    with pytest.raises(ValueError, match=message):
        kept_tickets(arguments.pop("name"), data, **arguments)
    assert not rates and not networks(tmp_path)


def test_data_without_a_key_are_refused(data):
    data.key = ""
    with pytest.raises(ValueError, match="key"):
        kept_tickets("small_resnet", data, sparsities=LEVELS, **SHORT)


def test_a_ladder_starts_from_weights_that_are_given_and_is_rewound_to_them(data, tmp_path):
    start = build("small_resnet", classes=len(data.classes), size=data[:1].images.shape[-1], seed=5)
    file = tmp_path / "start.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in start.state_dict().items()}, file)
    held = {"lr": 1e-12, "weight_decay": 0.0}  # so small a rate that a ticket still is what its training began with
    dense, sparse = kept_tickets("small_resnet", data, sparsities=[0.0, 0.5], weights=file, **SHORT | held)
    for name, first in start.named_parameters():
        kept = sparse.mask.get(name, torch.ones_like(first, dtype=torch.bool))
        torch.testing.assert_close(dense.model.get_parameter(name), first, rtol=0, atol=1e-6)
        torch.testing.assert_close(sparse.model.get_parameter(name), first * kept, rtol=0, atol=1e-6)
    other = kept_tickets("small_resnet", data, sparsities=[0.0, 0.5], **SHORT | held)
    assert not same(dense, other[0])
