"""Dropping the least important units round by round, of many images at a time."""
from collections.abc import Callable

import torch
from torch import Tensor

from nblib.methods.neural_pathways.pathways import Scores, flat


def order_of_removal(activations: Scores, magnitudes: Callable[[Scores], list[Tensor]], sparsity: float,
                     round_share: float) -> Scores:
    """Return when each unit goes, in [0, 1], the later the more important; what is left is in the order of magnitude.

    First go the units that are zero, which change nothing; then in each round a share of all units, those of the
    smallest magnitude on what is left, until each image has dropped round(sparsity · n) of n. What went stays away.

    Args:
        activations: by layer, (R, ...).
        magnitudes: from masks by layer, (R, ...), to each layer's magnitudes on the network behind these masks.
        sparsity: in [0, 1).
        round_share: in (0, 1].
    """
    values = flat(activations)
    rows, units = values.shape
    to_drop = round(sparsity * units)
    step = max(1, round(round_share * units))
    place = torch.zeros(rows, units, dtype=torch.float64, device=values.device)  # the number of the round, and a rest
    left = values != 0  # what is zero went in round 0
    dropped = (~left).sum(1)
    last = -(-to_drop // step) + 1  # the number of what is left in the end, whatever the other images need
    number = 1
    while True:
        masks = _by_layer(left.to(values.dtype), activations)
        sizes = torch.cat([part.flatten(1) for part in magnitudes(masks)], 1).double()
        within = sizes / sizes.amax(1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
        done = bool((dropped >= to_drop).all())
        place = torch.where(left, (last if done else number) + within / 2, place)
        if done:
            return _by_layer(place / (last + 1), activations)
        order = torch.where(left, sizes, torch.inf).argsort(dim=1, stable=True)  # the smallest of what is left first
        count = (to_drop - dropped).clamp(0, step)
        going = torch.zeros_like(left).scatter(1, order, torch.arange(units, device=left.device) < count[:, None])
        left &= ~going
        dropped += count
        number += 1


def _by_layer(values: Tensor, like: Scores) -> Scores:
    """Return values (R, n) as tensors of the layers' shapes."""
    parts = values.split([tensor[0].numel() for tensor in like.values()], 1)
    return {layer: part.reshape(tensor.shape) for part, (layer, tensor) in zip(parts, like.items())}
