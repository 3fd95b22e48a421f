"""Checks of the exercises in the chapter that compares all methods."""
from collections.abc import Callable

import torch
from torch import Tensor

from nblib.exercises.verdict import Verdict, judge, self_check

FIRST, SECOND = torch.tensor([0.9, 0.6, 0.2, 0.1, 0.4]), torch.tensor([0.1, 0.8, 0.6, 0.3, 0.2])
RHO = torch.tensor([[0.9, 0.3, 0.2], [0.5, 0.7, 0.1], [0.4, 0.6, 0.8]])


def check_overlap(answer: Callable) -> Verdict:
    """Check `answer(first (P,), second (P,), count) -> float`: intersection over union of the largest patches."""

    def tops(first: Tensor, second: Tensor, count: int) -> tuple[set, set]:
        return tuple(set(values.topk(count).indices.tolist()) for values in (first, second))

    def over(below: Callable) -> Callable:
        return lambda a, b, count: len(set.intersection(*tops(a, b, count))) / below(*tops(a, b, count), count)

    return judge(answer, [
        ("two of five patches, one of them shared", (FIRST, SECOND, 2), torch.tensor(1 / 3)),
        ("a map with itself", (FIRST, FIRST, 3), torch.tensor(1.0)),
        ("the largest patch of each, none shared", (FIRST, SECOND, 1), torch.tensor(0.0)),
        ("another scale changes nothing", (100 * FIRST - 3, SECOND, 2), torch.tensor(1 / 3)),
    ], "scales do not matter, and one shared patch of two is a third: three patches are in either", mistakes={
        "divides by the count, which makes a share of shared patches": over(lambda a, b, count: count),
        "divides by both counts, so that a map has one half with itself": over(lambda a, b, count: 2 * count),
        "takes the smallest patches": lambda a, b, count: over(lambda c, d, _: len(c | d))(-a, -b, count),
        "compares values with a fixed threshold": lambda a, b, count: ((a > 0.5) & (b > 0.5)).sum() / max(
            1, int(((a > 0.5) | (b > 0.5)).sum())),
    }, hints=[
        "Which patches are the most important ones of each map? topk gives their places.",
        "As sets: how many places are in both, and how many in at least one?",
        "a, b = (set(values.topk(count).indices.tolist()) for values in (first, second)); len(a & b) / len(a | b).",
    ])


def check_beyond(answer: Callable) -> Verdict:
    """Check `answer(rho (N, N)) -> float`: the mean of the diagonal minus the mean of all else."""
    same = torch.tensor([[0.6, 0.6], [0.6, 0.6]])
    return judge(answer, [
        ("three pictures", (RHO,), torch.tensor(0.8 - 0.35)),
        ("two methods that always draw the same map: nothing of the picture", (same,), torch.tensor(0.0)),
        ("no likeness on different pictures", (torch.eye(4),), torch.tensor(1.0)),
    ], "two methods may agree well on every picture and say nothing of any", mistakes={
        "leaves out what they share on different pictures": lambda rho: rho.diagonal().mean(),
        "subtracts the mean of all pairs, the same pictures among them": lambda rho: rho.diagonal().mean() - rho.mean(),
        "looks at one neighbour of each picture only": lambda rho: (rho.diagonal() - rho.diagonal(1).mean()).mean(),
        "subtracts the other way round": lambda rho: (rho.sum() - rho.diagonal().sum()) / (
            rho.numel() - len(rho)) - rho.diagonal().mean(),
    }, hints=[
        "The same pictures stand on the diagonal. Where do the different ones stand?",
        "same = torch.eye(len(rho), dtype=torch.bool) says which; ~same are the others.",
        "rho[same].mean() - rho[~same].mean().",
    ])


def check_witnesses(answer: str) -> Verdict:
    """Look at an answer in words: are two maps that agree two witnesses?"""
    return self_check(answer, [
        "both maps are made of the same late layer, so they agree whatever that layer says; they are hardly independent",
        "compare with maps of other scans, and with a map that knows nothing: lungs lie in the same place in each",
        "draw the network's weights anew: what stays is not about the network",
        "end with an intervention: hide or change that place and see whether the answer changes; until then the agreement "
        "shows where that layer is active, not what the answer hangs on",
    ])
