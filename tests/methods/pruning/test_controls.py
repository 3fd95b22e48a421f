"""The controls of tickets, each against what it should differ in."""
import torch

from nblib.methods.pruning import (
    fine_tuned,
    lottery_ticket,
    magnitude_mask,
    one_shot,
    random_mask,
    random_tickets,
    retrained,
)
from tests.fixtures.pruning import COUNT, LEVELS, WEIGHTS, Fit, make, same
from tests.fixtures.training import equal


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
