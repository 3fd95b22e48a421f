"""Masks, tickets by text and by published code, their controls, and the optimiser that the published code uses."""
import copy
import functools
import itertools
import pickle

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nblib import training
from nblib.data import load
from nblib.methods.pruning import (
    Hold,
    Ticket,
    fine_tuned,
    lottery_ticket,
    magnitude_mask,
    one_shot,
    prunable,
    random_mask,
    random_tickets,
    retrained,
    sparsity_of,
    train_ticket,
)
from nblib.models import build
from nblib.training import Ranger, loop
from tests.references import pruning as reference
from tests.references.saliency import SmallNet, settled
from tests.training.test_training import Stop, Tiny, bright, equal, run, tiny

WEIGHTS = ["conv1.weight", "conv2.weight", "head.weight"]
COUNT = 6 * 3 * 9 + 8 * 6 * 9 + 4 * 8
LEVELS = [0.0, 0.1, 0.3, 0.7]
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "ranger": lambda p: Ranger(p, lr=0.02, weight_decay=0.1),
}


def make():
    return settled(SmallNet())


class Fit:
    """A training of 14 steps, longer than two look-aheads, that writes down what it began with and what it saw."""

    def __init__(self, optimizer="sgd", steps=14, call=lambda after_step, model: after_step(model)):
        self.optimizer, self.steps, self.call = OPTIMIZERS[optimizer], steps, call
        self.starts, self.zeros = [], []

    def __call__(self, model, after_step):
        generator = torch.Generator().manual_seed(1)
        images = torch.rand(24, 3, 8, 8, generator=generator, dtype=torch.float64)
        labels = torch.arange(24) % 4
        self.starts.append(copy.deepcopy(model.state_dict()))
        optimizer = self.optimizer(model.parameters())
        model.train()
        zeros = []
        for _ in range(self.steps):
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
            self.call(after_step, model)
            zeros.append(zero_count(model))
        self.zeros.append(zeros)


def zero_count(model):
    return sum(int((model.get_parameter(name) == 0).sum()) for name in WEIGHTS)


def removed(mask):
    return sum(int((~kept).sum()) for kept in mask.values())


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


# masks


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


# tickets as the text has them


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("scope", ["global", "tensor"])
def test_zeros_are_exact_after_every_step_and_masks_are_nested(optimizer, scope):
    fit = Fit(optimizer)
    tickets = lottery_ticket(make, fit, sparsities=LEVELS, scope=scope)
    names = [[name] for name in WEIGHTS] if scope == "tensor" else [WEIGHTS]
    first = make()
    for level, ticket, zeros in zip(LEVELS, tickets, fit.zeros, strict=True):
        counts = [sum(first.get_parameter(n).numel() for n in group) for group in names]
        expected = sum(round(level * count) for count in counts)
        assert zeros == [expected] * fit.steps and zero_count(ticket.model) == expected == removed(ticket.mask)
        assert ticket.sparsity == expected / COUNT and isinstance(ticket.sparsity, float)
        for name, kept in ticket.mask.items():
            assert torch.equal(ticket.model.get_parameter(name) != 0, kept)
        assert not any(module.training for module in ticket.model.modules())
        assert all(parameter.grad is None for parameter in ticket.model.parameters())
    for low, high in itertools.pairwise(tickets):
        assert not any((high.mask[name] & ~low.mask[name]).any() for name in WEIGHTS)


def test_each_mask_removes_the_smallest_survivors_of_the_training_before():
    tickets = lottery_ticket(make, Fit(), sparsities=LEVELS)
    for low, high in itertools.pairwise(tickets):
        sizes = torch.cat([low.model.get_parameter(name).abs().flatten() for name in WEIGHTS])
        before = torch.cat([low.mask[name].flatten() for name in WEIGHTS])
        after = torch.cat([high.mask[name].flatten() for name in WEIGHTS])
        assert sizes[before & ~after].max() <= sizes[after].min()


@pytest.mark.parametrize("hold", [True, False])
def test_rewinding_is_bit_for_bit_in_every_round(hold):
    fit = Fit("ranger")
    tickets = lottery_ticket(make, fit, sparsities=LEVELS, hold=hold)
    first = make().state_dict()
    for ticket, start in zip(tickets, fit.starts, strict=True):
        for name, tensor in start.items():
            expected = first[name] * ticket.mask[name] if name in ticket.mask else first[name]
            assert torch.equal(tensor, expected), name  # biases, scales and running statistics among them
        assert not torch.equal(ticket.model.bn1.running_mean, first["bn1.running_mean"])


def test_the_same_ticket_twice_gives_the_same_tensors_and_tickets_share_no_memory():
    tickets = lottery_ticket(make, Fit(), sparsities=LEVELS)
    again = lottery_ticket(make, Fit(), sparsities=LEVELS)
    for one, other in zip(tickets, again, strict=True):
        assert same(one.model.state_dict(), other.model.state_dict()) and same(one.mask, other.mask)
    kept = [copy.deepcopy(ticket.model.state_dict()) for ticket in tickets]
    with torch.no_grad():
        for tensor in tickets[1].model.state_dict().values():
            tensor.zero_()
    for index in (0, 2, 3):
        assert same(kept[index], tickets[index].model.state_dict())
    places = [t.data_ptr() for ticket in tickets for t in ticket.model.state_dict().values()]
    assert len(set(places)) == len(places)


def test_a_network_that_the_caller_keeps_is_left_alone_and_so_is_the_random_generator():
    mine = make().train()
    mine.bn1.eval()
    modes, state = [m.training for m in mine.modules()], copy.deepcopy(mine.state_dict())
    torch.manual_seed(7)
    generator = torch.get_rng_state()
    lottery_ticket(lambda: mine, Fit(), sparsities=[0.5])
    with pytest.raises(Stop):
        lottery_ticket(lambda: mine, stopped, sparsities=[0.5])
    assert same(state, mine.state_dict()) and modes == [m.training for m in mine.modules()]
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(parameter.grad is None for parameter in mine.parameters())


def stopped(model, after_step):
    torch.rand(3)
    raise Stop


def test_a_seed_decides_what_is_drawn_from_pytorchs_generator():
    def noisy(model, after_step):
        model.head.weight.data += torch.rand(4, 8)
        after_step(model)

    models = [lottery_ticket(SmallNet, noisy, sparsities=[0.2], seed=seed)[0].model for seed in (1, 1, 2)]
    assert equal(models[0], models[1]) and not equal(models[0], models[2])
    trained = [lottery_ticket(lambda: models[0], noisy, sparsities=[0.0, 0.2], seed=seed) for seed in (1, 1, 2)]
    for first, second, other in zip(*trained, strict=True):  # a network of fixed weights, trained with another noise
        assert equal(first.model, second.model) and not equal(first.model, other.model)


@pytest.mark.parametrize("call", [lambda after_step, model: after_step(), lambda after_step, model: after_step(model)])
def test_after_step_may_be_called_with_the_model_or_without(call):
    tickets = lottery_ticket(make, Fit("ranger", call=call), sparsities=[0.4])
    assert [ticket.sparsity for ticket in tickets] == [round(0.4 * COUNT) / COUNT]


def test_levels_that_are_not_asked_for_are_not_returned_and_change_nothing():
    fit = Fit()
    alone = lottery_ticket(make, fit, sparsities=[0.3])
    whole = lottery_ticket(make, Fit(), sparsities=(0, 0.3))
    assert len(alone) == 1 and len(fit.starts) == 2 and len(whole) == 2
    assert same(alone[0].model.state_dict(), whole[1].model.state_dict())
    assert whole[0].sparsity == 0 and all(kept.all() for kept in whole[0].mask.values())


def test_without_holding_weights_grow_again_while_masks_stay_exact():
    tickets = lottery_ticket(make, Fit("ranger"), sparsities=LEVELS, hold=False)
    assert [removed(ticket.mask) for ticket in tickets] == [round(level * COUNT) for level in LEVELS]
    assert all(ticket.sparsity < level / 2 for ticket, level in list(zip(tickets, LEVELS, strict=True))[1:])
    for low, high in itertools.pairwise(tickets):
        assert not any((high.mask[name] & ~low.mask[name]).any() for name in WEIGHTS)


def test_tickets_can_be_copied_stored_and_loaded(tmp_path):
    ticket = lottery_ticket(make, Fit(), sparsities=[0.3])[0]
    model, mask, sparsity = ticket
    training.save(model, tmp_path / "ticket.safetensors", sparsity=sparsity)
    loaded = make()
    training.load(loaded, tmp_path / "ticket.safetensors")
    images = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    assert torch.equal(loaded(images), model(images)) and torch.equal(copy.deepcopy(model)(images), model(images))
    assert list(model.state_dict()) == list(make().state_dict()) and not model._forward_pre_hooks
    assert isinstance(ticket, Ticket) and sparsity_of(loaded) == sparsity


def test_pruned_networks_can_be_trained_otherwise():
    fit, refit = Fit(), Fit("adamw")
    lottery_ticket(make, fit, sparsities=LEVELS, refit=refit)
    assert (len(fit.starts), len(refit.starts)) == (1, 3)


# tickets as the published code makes them


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_published_procedure_equals_one_network_whose_biases_share_memory(optimizer):
    tickets = lottery_ticket(make, Fit(optimizer), sparsities=LEVELS, procedure="published")
    expected = reference.published(make(), functools.partial(Fit(optimizer), after_step=lambda model: None), LEVELS)
    for ticket, (model, mask) in zip(tickets, expected, strict=True):
        assert list(ticket.mask) == list(mask) == [n for n, _ in make().named_parameters() if "weight" in n]
        assert all(torch.equal(kept, torch.from_numpy(mask[name])) for name, kept in ticket.mask.items())
        assert equal(ticket.model, model)


def test_the_published_procedure_prunes_scales_carries_biases_and_statistics_and_lets_weights_grow():
    ladder = [0.0, 0.2, 0.36, 0.488]  # 20 % of what is left in each round
    fit = Fit("ranger")
    tickets = lottery_ticket(make, fit, sparsities=ladder, procedure="published")
    first = make().state_dict()
    for number, (ticket, start) in enumerate(zip(tickets, fit.starts, strict=True)):
        for name, kept in ticket.mask.items():
            assert torch.equal(start[name], first[name] * kept)
        for name in ("bn1.bias", "head.bias"):
            before = first if number < 2 else tickets[number - 1].model.state_dict()
            assert torch.equal(start[name], before[name])
            assert not torch.equal(ticket.model.state_dict()[name], start[name])
        if number:
            assert torch.equal(start["bn1.running_var"], tickets[number - 1].model.bn1.running_var)
    assert not all(tickets[1].mask["bn2.weight"])
    for kept in tickets[1].mask.values():  # linear interpolation between (n − 1) places, what equals it is kept
        assert int((~kept).sum()) == -(-(kept.numel() - 1) // 5)
    for level, ticket in list(zip(ladder, tickets, strict=True))[1:]:
        assert ticket.sparsity < level / 2 and ticket.sparsity == sparsity_of(ticket.model)
    share = removed(tickets[3].mask) / sum(kept.numel() for kept in tickets[3].mask.values())
    assert share < 0.4  # what grew again is removed again, in place of weights that were kept


def test_a_tensor_of_zeros_does_not_stop_the_published_procedure():
    def cleared(model, after_step):
        Fit()(model, after_step)
        model.head.weight.data.zero_()

    ticket = lottery_ticket(make, cleared, sparsities=[0.2], procedure="published")[0]
    assert ticket.mask["head.weight"].all() and not ticket.mask["conv1.weight"].all()


# controls


def test_random_tickets_differ_from_tickets_only_in_which_weights_go():
    tickets = lottery_ticket(make, Fit(), sparsities=[0.3, 0.7])
    fit = Fit()
    controls = random_tickets(make, fit, tickets, seed=2)
    first = make().state_dict()
    for ticket, control, start in zip(tickets, controls, fit.starts, strict=True):
        assert control.sparsity == ticket.sparsity and not same(control.mask, ticket.mask)
        assert same(control.mask, random_mask(ticket.mask, seed=2))
        assert all(torch.equal(start[name], first[name] * control.mask.get(name, 1)) for name in start)


def test_one_shot_takes_every_mask_from_the_dense_network():
    tickets = lottery_ticket(make, Fit(), sparsities=LEVELS)
    controls = one_shot(make, Fit(), tickets[0], sparsities=LEVELS[1:])
    assert [control.sparsity for control in controls] == [ticket.sparsity for ticket in tickets[1:]]
    assert equal(controls[0].model, tickets[1].model)  # the first round is one shot
    assert same(controls[2].mask, magnitude_mask(tickets[0].model, 0.7)) and not same(controls[2].mask, tickets[3].mask)


def test_fine_tuning_goes_on_from_the_trained_weights():
    dense = lottery_ticket(make, Fit(), sparsities=[0.0])[0]
    fit = Fit("ranger")
    tickets = fine_tuned(fit, dense, sparsities=LEVELS[1:])
    for before, ticket, start in zip([dense, *tickets], tickets, fit.starts, strict=False):
        state = before.model.state_dict()
        assert all(torch.equal(start[name], state[name] * ticket.mask.get(name, 1)) for name in start)
        assert not any((ticket.mask[name] & ~before.mask[name]).any() for name in WEIGHTS)
    assert [ticket.sparsity for ticket in tickets] == [round(level * COUNT) / COUNT for level in LEVELS[1:]]


def test_the_network_trained_again_equals_the_first_unless_it_is_trained_otherwise():
    dense = lottery_ticket(make, Fit(), sparsities=[0.0])[0]
    assert equal(retrained(make, Fit()).model, dense.model)
    assert not equal(retrained(make, Fit("adamw")).model, dense.model)
    assert retrained(make, Fit()).sparsity == 0


# with the library's own training


def shapes_fit(**options):
    data = load("shapes", split="train", size=16, limit=48)
    defaults = dict(data=data, epochs=2, batch_size=16, lr=3e-3, weight_decay=0.1, device="cpu", progress=False)
    return functools.partial(training.fit, **(defaults | options))


def shapes_network():
    return build("small_resnet", classes=9, size=16)


@pytest.mark.parametrize("optimizer", loop.OPTIMIZER)
def test_tickets_of_the_librarys_own_training(optimizer):
    tickets = lottery_ticket(shapes_network, shapes_fit(optimizer=optimizer), sparsities=[0.0, 0.25, 0.5])
    total = sum(kept.numel() for kept in tickets[0].mask.values())
    assert [ticket.sparsity for ticket in tickets] == [0, round(0.25 * total) / total, round(0.5 * total) / total]
    again = retrained(shapes_network, shapes_fit(optimizer=optimizer))
    assert equal(again.model, tickets[0].model)  # bit for bit on a CPU, so that the control needs another seed
    assert not equal(retrained(shapes_network, shapes_fit(optimizer=optimizer, seed=1)).model, again.model)


def test_the_schedule_moves_the_optimiser_of_each_round(monkeypatch):
    made = []

    class Watched(Ranger):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append([])
            self.rates = made[-1]

        def step(self, closure=None):
            self.rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    monkeypatch.setitem(loop.OPTIMIZER, "ranger", Watched)
    fit = shapes_fit(optimizer="ranger", schedule="cosine", lr=0.01)
    lottery_ticket(shapes_network, fit, sparsities=[0.2, 0.4])
    assert len(made) == 3 and made[0] == made[1] == made[2]
    assert made[0][0] == 0.01 and made[0][-1] < 0.001
    made.clear()
    lottery_ticket(shapes_network, fit, sparsities=[0.2], refit=shapes_fit(optimizer="ranger", schedule="constant"))
    assert made[0][-1] < made[0][0] and set(made[1]) == {3e-3}


def test_zeros_are_held_in_several_processes():
    options = dict(data=bright(), epochs=1, batch_size=16, optimizer="ranger", device="cpu", devices=2)
    model = tiny()
    ticket = train_ticket(model, magnitude_mask(model, 0.5), functools.partial(training.fit, **options))
    assert ticket.sparsity == 0.5 and not equal(ticket.model, model)


# the optimiser


def test_ranger_equals_its_papers_equations():
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 2, 3, 3), (4, 5), (6,)]
    params = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    gradients = [[1 + torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in params] for _ in range(20)]
    ours = [p.clone().requires_grad_() for p in params]
    idle = torch.ones(2, requires_grad=True)
    optimizer = Ranger([{"params": ours[:2], "weight_decay": 0.3}, {"params": [*ours[2:], idle]}], lr=0.05)
    for step in gradients:
        for parameter, gradient in zip(ours, step, strict=True):
            parameter.grad = gradient.clone()
        optimizer.step()
    for number, (parameter, start) in enumerate(zip(ours, params, strict=True)):
        expected = reference.ranger(start, [step[number] for step in gradients], 0.05, 0.3 if number < 2 else 0.0)
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(idle.detach(), torch.ones(2))


def test_rangers_state_is_tensors_only_and_survives_a_copy():
    model = tiny()
    optimizer = Ranger(model.parameters(), lr=0.01, k=3, alpha=0.2)

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model.eval()(bright().images), bright().labels)
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(4)]
    assert losses[-1] < losses[0]
    for state in optimizer.state.values():
        assert set(state) == {"step", "exp_avg", "exp_avg_sq", "slow"}
        assert all(isinstance(value, torch.Tensor) for value in state.values())
    copied = pickle.loads(pickle.dumps(optimizer))
    assert [copied.param_groups[0][name] for name in ("k", "alpha", "betas", "eps")] == [3, 0.2, (0.95, 0.999), 1e-6]
    copied.add_param_group({"params": [torch.ones(1, requires_grad=True)]})
    assert copied.param_groups[1]["k"] == 3


def test_an_interrupted_training_with_ranger_ends_with_exactly_the_same_weights(tmp_path):
    options = dict(epochs=4, augment="crop_flip", optimizer="ranger", lr=0.01)
    whole, path, calls = tiny(), tmp_path / "state.safetensors", []
    losses = run(whole, **options)

    def stop(model):
        calls.append(None)
        if len(calls) == 10:  # in the third epoch of four steps each, between two look-aheads
            raise Stop

    with pytest.raises(Stop):
        run(tiny(), after_step=stop, checkpoint=path, **options)
    fresh = tiny(seed=9)
    assert run(fresh, checkpoint=path, **options) == losses and equal(fresh, whole)


@pytest.mark.parametrize("wrong", [{"k": 0}, {"alpha": 1.5}, {"alpha": -0.1}, {"lr": -1}, {"betas": (1.0, 0.9)}])
def test_ranger_refuses_options_out_of_range(wrong):
    with pytest.raises(ValueError):
        Ranger([torch.ones(1, requires_grad=True)], **wrong)


# what is refused


@pytest.mark.parametrize("wrong, says", [
    (dict(sparsities=[]), "expected one or more"), (dict(sparsities=[0.2, 0.1]), "ascending"),
    (dict(sparsities=[0.1, 0.1]), "ascending"), (dict(sparsities=[0.5, 1.0]), "below 1"),
    (dict(sparsities=[-0.1]), "sparsity=-0.1"), (dict(sparsities=[20]), "sparsity=20"),
    (dict(sparsities=[float("nan")]), "sparsity=nan"), (dict(sparsities=0.3), "expected a list"),
    (dict(procedure="publish"), "nearest: 'published'"), (dict(scope="locl"), "'global', 'tensor'"),
    (dict(scope="layer", procedure="published"), "'global', 'tensor'"), (dict(seed=-1), "seed=-1"),
    (dict(make_model=lambda: nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())), "Sequential has no nn.Conv"),
    (dict(make_model=lambda: None), "returned NoneType"),
])
def test_wrong_arguments_are_refused_before_any_training(wrong, says):
    fit = Fit()
    with pytest.raises(ValueError, match=says):
        lottery_ticket(**(dict(make_model=make, fit=fit, sparsities=[0.1]) | wrong))
    assert not fit.starts


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
    with pytest.raises(ValueError, match="'conv2.weight' has values that are not finite"):
        magnitude_mask(model, 0.5)


def test_a_training_that_goes_astray_does_nothing_or_does_not_hold_is_reported():
    def astray(model, after_step):
        model.bn2.bias.data[1] = float("inf")

    with pytest.raises(RuntimeError, match="'bn2.bias'.*lower learning rate"):
        lottery_ticket(make, astray, sparsities=[0.1])
    with pytest.raises(RuntimeError, match=r"removed weights are not zero.*after_step\(model\)"):
        lottery_ticket(make, Fit(call=lambda after_step, model: None), sparsities=[0.1])
    with pytest.warns(UserWarning, match="fit left every parameter as it was"):
        tickets = lottery_ticket(make, lambda model, after_step: "nothing", sparsities=[0.1])
    assert tickets[0].sparsity == round(0.1 * COUNT) / COUNT


def test_tickets_on_the_device_of_their_network(device):
    tickets = lottery_ticket(lambda: tiny().to(device), lambda model, after_step: run(
        model, after_step=after_step, device=str(device), epochs=1), sparsities=[0.0, 0.5])
    for ticket in tickets:
        assert next(ticket.model.parameters()).device.type == device.type
        assert all(kept.device.type == device.type for kept in ticket.mask.values())
    assert tickets[1].sparsity == 0.5 and isinstance(tickets[1].model, Tiny)
