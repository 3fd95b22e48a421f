"""Slow references for pruning and its optimiser: one weight at a time, and shared memory where the authors share it."""
import copy
import math

import numpy
import torch
from torch import Tensor, nn


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


def ranger(weights: Tensor, gradients: list[Tensor], lr: float, decay: float, k: int = 6, alpha: float = 0.5) -> Tensor:
    """RAdam, look-ahead and centralised gradients from their papers' equations; gradients are given, a step each."""
    beta1, beta2, eps = 0.95, 0.999, 1e-6
    fast, slow = weights.clone(), weights.clone()
    m, v = torch.zeros_like(weights), torch.zeros_like(weights)
    longest = 2 / (1 - beta2) - 1
    for t, gradient in enumerate(gradients, start=1):
        g = gradient.clone()
        if g.ndim > 1:
            for row in g:
                row -= row.sum() / row.numel()
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        fast = fast - lr * decay * fast
        length = longest - 2 * t * beta2**t / (1 - beta2**t)
        mean = m / (1 - beta1**t)
        if length > 5:
            r = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            fast = fast - lr * math.sqrt(r) * mean * math.sqrt(1 - beta2**t) / (v.sqrt() + eps)
        else:
            fast = fast - lr * mean
        if t % k == 0:
            slow = slow + alpha * (fast - slow)
            fast = slow.clone()
    return fast


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
