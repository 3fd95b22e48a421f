"""Which weights a network can do without: tickets, their controls, and tickets that are kept.

The room:

- `masks`: which weights are removed, by magnitude or at random; `Hold` keeps them at zero while a network is trained.
- `lottery`: `lottery_ticket` prunes with `masks` in rounds and rewinds; `train_ticket` is one training of it.
- `controls`: what tickets have to be compared with, each differing in one thing, by the same `train_ticket`.
- `tickets`: `kept_tickets` makes any of these by `nblib.training.fit`, once, and keeps them in the store.

Each calls those above it. Only `tickets` knows data and the store; to the others training is the caller's `fit`.

Arguments that functions of this room share:

Args:
    make_model: gives the untrained network; called once, without arguments. Where the seed is the same, it gives the
        same first network again.
    fit: called as `fit(model, after_step=function)`. It trains the model in place, by a fresh optimiser, and calls
        `function(model)` or `function()` after each of its steps. What it returns is dropped.
    mask: from the name of a parameter to a bool tensor of its shape; True is kept.
    sparsities: the levels s, ascending, in [0, 1).
    scope: "global" ranks all weights of the network together, "tensor" those of each parameter by themselves.
    seed: of PyTorch's CPU generator while `make_model` draws, and again in each training; `nblib.models.build` and
        `nblib.training.fit` take seeds of their own. The caller's generator is left as it was.

Raises:
    ValueError: levels out of range or order; an unknown scope; a `make_model` that gives no network, or one without
        weights to prune; a mask of another shape or type.
    KeyError: a mask for a parameter that the model lacks.
    RuntimeError: a training that ends with NaN or infinite weights, or a `fit` that did not hold the zeros.

Warns:
    UserWarning: where `fit` left every parameter as it was.

P2 is Suwal et al. (2025); its authors' code is code/lottery_ticket.ipynb of the repository
sanishsuwal7/Neurips-CogInterp.
"""
from nblib.methods.pruning.controls import fine_tuned, one_shot, random_tickets, retrained
from nblib.methods.pruning.lottery import Ticket, lottery_ticket, train_ticket
from nblib.methods.pruning.masks import Hold, magnitude_mask, prunable, random_mask, sparsity_of
from nblib.methods.pruning.tickets import kept_tickets

__all__ = [
    "fine_tuned", "Hold", "kept_tickets", "lottery_ticket", "magnitude_mask", "one_shot", "prunable", "random_mask",
    "random_tickets", "retrained", "sparsity_of", "Ticket", "train_ticket",
]
