"""Answers to the exercises on contributions: right ones in other words than the page's, and typical wrong ones."""
import numpy as np
import torch

from nblib.exercises.contributions import check_leaders, check_split, check_stretch


def in_place(contribution):
    """Work in place, as nobody should, and return numpy's numbers."""
    up = contribution.clone()
    up[up < 0] = 0
    contribution[contribution > 0] = 0
    return np.stack([up.numpy().sum((2, 3)), contribution.numpy().sum((2, 3))])


RIGHT = [
    (check_split, "in place, with numpy", in_place),
    (check_split, "by halves of magnitudes", lambda c: [
        (c.abs() + c).flatten(2).sum(2) / 2, (c - c.abs()).flatten(2).sum(2) / 2]),
    (check_stretch, "as a trapezoid", lambda b, a, f, g: (a - b) * 0.5 * f + (a - b) * 0.5 * g),
    (check_leaders, "image by image", lambda net, count: [sorted(range(len(row)), key=lambda c: -row[c])[:count]
                                                          for row in net.tolist()]),
]

WRONG = [
    (check_split, "cancels first",
     lambda c: torch.stack([c.sum((2, 3)).clamp(min=0), c.sum((2, 3)).clamp(max=0)])),
    (check_split, "drops the minus", lambda c: torch.stack([c.relu().sum((2, 3)), (-c).relu().sum((2, 3))])),
    (check_split, "sums over channels", lambda c: torch.stack([c.clamp(min=0).sum(1), c.clamp(max=0).sum(1)])),
    (check_split, "takes means",
     lambda c: torch.stack([c.clamp(min=0).mean((2, 3)), c.clamp(max=0).mean((2, 3))])),
    (check_split, "gives the net alone", lambda c: c.sum((2, 3))),
    (check_stretch, "the last slope", lambda b, a, f, g: g * (a - b)),
    (check_stretch, "the first slope", lambda b, a, f, g: f * (a - b)),
    (check_stretch, "the activation", lambda b, a, f, g: (f + g) / 2 * a),
    (check_stretch, "forgets to halve", lambda b, a, f, g: (f + g) * (a - b)),
    (check_leaders, "magnitudes", lambda net, count: net.abs().topk(count, 1).indices),
    (check_leaders, "the wrong end", lambda net, count: net.argsort(1)[:, :count]),
    (check_leaders, "all images together",
     lambda net, count: net.sum(0).topk(count).indices.expand(len(net), count)),
    (check_leaders, "values", lambda net, count: net.topk(count, 1).values),
]
