"""Pruning by magnitude with rewinding: lottery tickets as P2's text describes them, and as its authors' code has them.

A ticket is a copy of the first, untrained network in which some weights are zero, trained. Rewinding is to start from
that copy anew, so that nothing of an earlier round can come along. What tickets have to be compared with is in
`nblib.methods.pruning.controls`.
"""
import copy
import inspect
import itertools
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy
import torch
from torch import nn

from nblib.checks import expect_callable, expect_int, expect_model, expect_number, expect_one_of
from nblib.engine import drawing_from
from nblib.methods.pruning.masks import (
    SCOPES,
    Hold,
    Mask,
    expect_kept,
    find_parameters,
    magnitude_mask,
    prunable,
    sparsity_of,
)

Fit = Callable[..., object]


class Ticket(NamedTuple):
    """A network that was pruned and then trained."""

    model: nn.Module
    """In evaluation mode; removed weights are plain zeros among its parameters."""
    mask: Mask
    """From the name of a parameter to a bool tensor of its shape; True is kept."""
    sparsity: float
    """The share of the weights of convolutions and linear layers that are exactly zero after training, in [0, 1]."""


def lottery_ticket(
    make_model: Callable[[], nn.Module],
    fit: Fit,
    *,
    sparsities: Sequence[float],
    procedure: str = "text",
    scope: str = "global",
    hold: bool = True,
    seed: int = 0,
    refit: Fit | None = None,
) -> list[Ticket]:
    r"""Prune a network in rounds: train it, remove the smallest weights, rewind the others to their first values.

    .. math:: \theta_s=\operatorname{train}(M_s\odot\theta_0),\qquad
              M_s=\text{all of }M_{s'}\text{ but the smallest }|\theta_{s'}|,\qquad s'\text{ the level before }s

    "text" rewinds everything to :math:`\theta_0` bit for bit: weights, biases, and the norms' scales, shifts and
    running statistics. Exactly round(s N) weights are zero during training and after it.

    "published" does what the authors' code does. It prunes every parameter with "weight" in its name, thus the norms'
    scales too, each tensor for itself: what lies below a percentile of the magnitudes that are not zero. Removed
    weights are free to grow again; they then count in the next percentile, though their mask stays zero. Biases are
    rewound only once: the code hands the stored first biases themselves to the network, training changes both, and
    later there is nothing left to go back to. Running statistics are never reset. The step from s' to s removes
    :math:`(s-s')/(1-s')` of what is not zero: the code's 20 % a round, on its ladder :math:`1-0.8^{\text{round}}`.

    Args:
        sparsities: the levels. The unpruned network is always trained, since the first mask needs it, and returned
            where 0.0 is among them.
        procedure: "text" or "published".
        scope: of the text's masks; the published ones are by tensor.
        hold: for the text: False leaves the zeros to the optimiser, and most of them grow again.
        refit: trains the pruned networks, where that differs from `fit`. The authors' scheduler goes on moving the
            first optimiser: the unpruned network has a cosine, and all others a constant learning rate.

    Other arguments, and errors: as in `nblib.methods.pruning`.

    Returns:
        One `Ticket(model, mask, sparsity)` for each level, in their order; the models share no memory. The sparsity is
        measured after training, and lies below the level where nothing holds the zeros.

    Source: P2, section 3.1, after Frankle and Carbin (2019); its authors' code. As there, the percentile is numpy's,
    interpolated, and a weight that equals it is kept.
    """
    levels = expect_levels(sparsities)
    text = expect_one_of("procedure", procedure, ("text", "published")) == "text"
    expect_one_of("scope", scope, SCOPES)
    _expect_fit(fit)
    _expect_fit(refit or fit)
    start = make_network(make_model, seed)
    names = prunable(start) if text else [name for name, _ in start.named_parameters() if "weight" in name]
    kept = {name: torch.ones_like(start.get_parameter(name), dtype=torch.bool) for name in names}
    tickets = [train_ticket(start, kept, fit, seed=seed)]
    for before, level in itertools.pairwise([0.0, *(level for level in levels if level > 0)]):
        last = tickets[-1]
        if text:
            rewound, mask = start, magnitude_mask(last.model, level, scope=scope, within=last.mask)
        else:
            rewound = _partly_rewound(start, last.model, biases=before == 0)
            mask = _percentile_mask(last, (level - before) / (1 - before))
        tickets.append(train_ticket(rewound, mask, refit or fit, hold=hold and text, seed=seed))
    return tickets if levels[0] == 0 else tickets[1:]


def train_ticket(model: nn.Module, mask: Mask, fit: Fit, *, hold: bool = True, seed: int = 0) -> Ticket:
    """Train a copy of a network in which the weights outside a mask are zero.

    Args:
        model: where training starts; it is left as it is.
        hold: True keeps the removed weights at zero during training; False lets them grow again.

    Other arguments, errors and warnings: as in `nblib.methods.pruning`.
    """
    expect_model(model)
    _expect_fit(fit)
    model = copy.deepcopy(model)
    back_to_zero = Hold(model, mask)
    back_to_zero()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    with drawing_from(expect_int("seed", seed, 0)):
        fit(model, after_step=back_to_zero if hold else let_grow)
    model.eval().zero_grad()
    bad = next((name for name, weight in model.named_parameters() if not weight.isfinite().all()), None)
    if bad is not None:
        raise RuntimeError(f"training left {bad!r} with values that are not finite: try a lower learning rate")
    if all(torch.equal(old, new.to(old)) for old, new in zip(before, model.parameters(), strict=True)):
        warnings.warn("fit left every parameter as it was, expected it to train the model in place", stacklevel=3)
    weights = find_parameters(model, mask)
    grown = sum(int(weight[~expect_kept(mask, name, weight)].count_nonzero()) for name, weight in weights.items())
    if hold and grown:
        raise RuntimeError(f"{grown} removed weights are not zero after training, expected fit to call "
                           "after_step(model) after each step of its optimiser")
    return Ticket(model, mask, sparsity_of(model))


def _expect_fit(fit: Fit) -> None:
    """Refuse what cannot be called as `fit(model, after_step=function)`."""
    expect_callable("fit", fit)
    _expect_call("fit", fit, "fit(model, after_step=function)", None, after_step=None)


def _made(make_model: Callable[[], nn.Module]) -> object:
    """Return what `make_model` makes, if it can be called."""
    if isinstance(make_model, nn.Module):
        raise ValueError("make_model is a network, expected a function without arguments that gives one")
    expect_callable("make_model", make_model)
    _expect_call("make_model", make_model, "make_model()")
    return make_model()


def _expect_call(name: str, function: Callable, as_: str, *args: object, **kwargs: object) -> None:
    """Refuse a function whose signature, where it tells one, has no place for these arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise ValueError(f"{name} cannot be called as {as_}: {error}") from error


def make_network(make_model: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Return a network of the caller's making, its weights from `seed` as far as PyTorch draws them."""
    with drawing_from(expect_int("seed", seed, 0)):
        model = _made(make_model)
    if not isinstance(model, nn.Module):
        raise ValueError(f"make_model returned {type(model).__name__}, expected an nn.Module")
    prunable(model)
    return model


def let_grow(model: nn.Module | None = None) -> None:
    """Leave the weights as the optimiser made them: `after_step` where nothing is held."""


def expect_levels(sparsities: Sequence[float]) -> list[float]:
    """Return the levels, if there are some, and they ascend within [0, 1), since a network has to be left."""
    if not isinstance(sparsities, Iterable) or isinstance(sparsities, str):
        raise ValueError(f"sparsities={sparsities!r} was given, expected a list, such as [0.0, 0.2]")
    levels = [expect_number("sparsity", level, 0, 1) for level in sparsities]
    ascending = all(low < high for low, high in itertools.pairwise(levels))
    if not levels or not ascending or levels[-1] == 1:
        raise ValueError(f"sparsities={levels} were given, expected one or more, ascending, from 0 to below 1")
    return levels


@torch.no_grad()
def _partly_rewound(start: nn.Module, trained: nn.Module, *, biases: bool) -> nn.Module:
    """Return a copy of the trained network with its first weights; with its first biases, or as they are now."""
    model, first = copy.deepcopy(trained), dict(start.named_parameters())
    for name, parameter in model.named_parameters():
        if "weight" in name or (biases and "bias" in name):
            parameter.copy_(first[name])
    return model


def _percentile_mask(ticket: Ticket, share: float) -> Mask:
    """Return the published mask: of each tensor also remove what lies below the percentile of its non-zero values."""
    mask = {}
    for name, weight in find_parameters(ticket.model, ticket.mask).items():
        size = weight.detach().abs().double()
        nonzero = size[size > 0].cpu().numpy()
        threshold = float(numpy.percentile(nonzero, 100 * share)) if len(nonzero) else 0.0
        mask[name] = expect_kept(ticket.mask, name, weight) & (size >= threshold)
    return mask
