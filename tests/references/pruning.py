"""Slow references for pruning: one weight at a time, and shared memory where the authors share it."""
import copy

import numpy
import torch
from torch import nn


def magnitude_mask(tensors: dict[str, list[float]], sparsity: float, scope: str) -> dict[str, list[bool]]:
    """Sort all weights by magnitude, then by place, and remove the first round(s N)."""
    groups = [list(tensors)] if scope == "global" else [[name] for name in tensors]
    mask = {name: [True] * len(values) for name, values in tensors.items()}
    for names in groups:
        places = [(name, i) for name in names for i in range(len(tensors[name]))]
        order = sorted(range(len(places)), key=lambda j: (abs(tensors[places[j][0]][places[j][1]]), j))
        for j in order[: round(sparsity * len(places))]:
            mask[places[j][0]][places[j][1]] = False
    return mask


def published(model: nn.Module, train, levels: list[float]) -> list[tuple[nn.Module, dict[str, numpy.ndarray]]]:
    """The published procedure, one network all along; its biases share the memory of the stored ones."""
    stored = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    mask = {name: numpy.ones(p.shape, bool) for name, p in model.named_parameters() if "weight" in name}
    train(model)
    rounds = [(copy.deepcopy(model), dict(mask))]
    before = 0.0
    for level in levels[1:]:
        percent = 100 * ((level - before) / (1 - before))  # where rounding falls otherwise, a tie may too
        for name, parameter in model.named_parameters():
            if name in mask:
                size = numpy.abs(parameter.detach().numpy())
                mask[name] = mask[name] & ~(size < numpy.percentile(size[size != 0], percent))
                parameter.data = stored[name] * torch.from_numpy(mask[name])
            else:
                parameter.data = stored[name]  # not a copy: that is the point
        train(model)
        rounds.append((copy.deepcopy(model), dict(mask)))
        before = level
    return rounds
