"""What lottery tickets have to be compared with, as tickets of the same form; P2 has none of these.

Each differs from the text's procedure in one thing: which weights go, how often weights are chosen, where training
starts, or whether anything is removed at all. All hold their zeros. Arguments and errors that are not named: as in
`nblib.methods.pruning`.
"""
from collections.abc import Callable, Iterable, Sequence

from torch import nn

from nblib.checks import expect_kind
from nblib.methods.pruning.lottery import Fit, Ticket, expect_levels, make_network, train_ticket
from nblib.methods.pruning.masks import magnitude_mask, random_mask


def random_tickets(
    make_model: Callable[[], nn.Module], fit: Fit, tickets: Sequence[Ticket], *, seed: int = 0
) -> list[Ticket]:
    """For each ticket one that removes as many weights of each parameter, but any: does it matter which ones go?

    Args:
        tickets: whose masks say how many weights go.
        seed: also of the masks, which are nested.
    """
    if not isinstance(tickets, Iterable):
        raise ValueError(f"tickets={tickets!r} was given, expected several in a list")
    for ticket in tickets:
        expect_kind("a ticket", ticket, Ticket)
    start = make_network(make_model, seed)
    return [train_ticket(start, random_mask(ticket.mask, seed=seed), fit, seed=seed) for ticket in tickets]


def one_shot(
    make_model: Callable[[], nn.Module], fit: Fit, dense: Ticket, *, sparsities: Sequence[float],
    scope: str = "global", seed: int = 0,
) -> list[Ticket]:
    """Remove all weights of a level in one round, and rewind the others: does it take many rounds?

    Args:
        dense: the unpruned network, trained: the ticket at 0.0. Its weights decide every mask.
    """
    expect_kind("a ticket", dense, Ticket)
    start = make_network(make_model, seed)
    masks = [magnitude_mask(dense.model, level, scope=scope) for level in expect_levels(sparsities)]
    return [train_ticket(start, mask, fit, seed=seed) for mask in masks]


def fine_tuned(
    fit: Fit, dense: Ticket, *, sparsities: Sequence[float], scope: str = "global", seed: int = 0
) -> list[Ticket]:
    """Prune in rounds and go on from the trained weights each time: is it the rewinding?

    Each network has been trained once more than the one before it, so that its training is longer than a ticket's.

    Args:
        dense: the unpruned network, trained: the ticket at 0.0.
    """
    expect_kind("a ticket", dense, Ticket)
    tickets, last = [], dense
    for level in expect_levels(sparsities):
        mask = magnitude_mask(last.model, level, scope=scope, within=last.mask)
        last = train_ticket(last.model, mask, fit, seed=seed)
        tickets.append(last)
    return tickets


def retrained(make_model: Callable[[], nn.Module], fit: Fit, *, seed: int = 0) -> Ticket:
    """Rewind the unpruned network and train it again, with a mask of ones: is it the second training?

    On a CPU the same `fit` gives the same weights to the last bit, so that the control asks something only where `fit`
    differs from the one of the unpruned network: by its seed, which tells how far two trainings are apart anyway, or by
    its schedule, as in the published procedure (`refit`), whose pruned networks alone have a constant learning rate.
    """
    start = make_network(make_model, seed)
    return train_ticket(start, magnitude_mask(start, 0.0), fit, seed=seed)
