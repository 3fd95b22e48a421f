"""Tickets by text and by published code, also with the library's own training."""
import copy
import functools
import itertools

import pytest
import torch
from torch import nn

from nblib import training
from nblib.data import load
from nblib.methods.pruning import Ticket, lottery_ticket, magnitude_mask, retrained, sparsity_of, train_ticket
from nblib.models import build
from tests.fixtures.networks import SmallNet
from tests.fixtures.pruning import COUNT, LEVELS, OPTIMIZERS, WEIGHTS, Fit, make, removed, same, zero_count
from tests.fixtures.training import Stop, Tiny, bright, equal, run, tiny
from tests.references import pruning as reference


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


def shapes_fit(**options):
    data = load("shapes", split="train", size=16, limit=48)
    defaults = dict(data=data, epochs=2, batch_size=16, lr=3e-3, weight_decay=0.1, device="cpu", progress=False)
    return functools.partial(training.fit, **(defaults | options))


def shapes_network():
    return build("small_resnet", classes=9, size=16)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_tickets_of_the_librarys_own_training(optimizer):
    tickets = lottery_ticket(shapes_network, shapes_fit(optimizer=optimizer), sparsities=[0.0, 0.25, 0.5])
    total = sum(kept.numel() for kept in tickets[0].mask.values())
    assert [ticket.sparsity for ticket in tickets] == [0, round(0.25 * total) / total, round(0.5 * total) / total]
    again = retrained(shapes_network, shapes_fit(optimizer=optimizer))
    assert equal(again.model, tickets[0].model)  # bit for bit on a CPU, so that the control needs another seed
    assert not equal(retrained(shapes_network, shapes_fit(optimizer=optimizer, seed=1)).model, again.model)


def test_the_schedule_moves_the_optimiser_of_each_round(rates):
    fit = shapes_fit(optimizer="ranger", schedule="cosine", lr=0.01)
    lottery_ticket(shapes_network, fit, sparsities=[0.2, 0.4])
    made = list(rates.values())
    assert len(made) == 3 and made[0] == made[1] == made[2]
    assert made[0][0] == 0.01 and made[0][-1] < 0.001
    rates.clear()
    lottery_ticket(shapes_network, fit, sparsities=[0.2], refit=shapes_fit(optimizer="ranger", schedule="constant"))
    first, second = rates.values()
    assert first[-1] < first[0] and set(second) == {3e-3}


def test_zeros_are_held_in_several_processes():
    options = dict(data=bright(), epochs=1, batch_size=16, optimizer="ranger", device="cpu", devices=2)
    model = tiny()
    ticket = train_ticket(model, magnitude_mask(model, 0.5), functools.partial(training.fit, **options))
    assert ticket.sparsity == 0.5 and not equal(ticket.model, model)


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
