"""A slow reference for the optimiser, from its papers' equations."""
import math

import torch
from torch import Tensor


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
