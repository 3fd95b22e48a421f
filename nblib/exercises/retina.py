"""Checks of the exercises in the lesson on the retina."""
from collections.abc import Callable

import torch
from torch import Tensor

from nblib.exercises.verdict import Verdict, judge, self_check

FRAMES = torch.tensor([[3.0, 1.0, 0.0], [-1.0, 2.0, 0.5], [0.0, 0.0, 0.0], [0.5, 0.0, 1.0], [-2.0, -2.0, 0.0]])
WEIGHTS = torch.tensor([1.0, -1.0, 0.5])


def check_field(answer: Callable) -> Verdict:
    """Check `answer(frames (N, P), weights (P,), threshold) -> (N, P)`: the field of an ON-OFF cell in each frame."""
    still = torch.zeros(2, 3)
    return judge(answer, [
        ("light in the centre, dark in the centre, grey", (FRAMES[:3], WEIGHTS, 1.0), _field(FRAMES[:3], WEIGHTS, 1.0)),
        ("five frames, a higher threshold", (FRAMES, WEIGHTS, 1.5), _field(FRAMES, WEIGHTS, 1.5)),
        ("grey alone", (still, WEIGHTS, 0.5), still),
        ("one pixel that is liked dark", (FRAMES[:, :1], torch.tensor([-2.0]), 1.0),
         _field(FRAMES[:, :1], torch.tensor([-2.0]), 1.0)),
    ], "the field is the weights where the ON part works, minus them where the OFF part does, else zero", mistakes={
        "gives the weights in every frame, as a mean field would": lambda x, w, t: w.expand(len(x), -1),
        "forgets that the OFF part turns the sign": lambda x, w, t: _field(x, w, t).abs() * w.sign(),
        "leaves the OFF part out": lambda x, w, t: ((x @ w > t).float())[:, None] * w,
        "forgets the threshold": lambda x, w, t: _field(x, w, 0.0),
        "multiplies by the frame, which is a contribution": lambda x, w, t: _field(x, w, t) * x,
    }, hints=[
        "Which of the two parts is above zero in a frame? At most one.",
        "The slope of max(0, u) by u is 1 where u is above 0, else 0; u is w·x − θ for ON and −w·x − θ for OFF.",
        "(frames @ weights > threshold) gives the frames of the ON part; their field is the weights.",
    ])


def check_border(answer: Callable) -> Verdict:
    """Check `answer(cells (N, P), edge) -> r`: the sum over all places with the sum over those without both ends."""
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(400, 16, generator=draw)
    shared = torch.randn(50, 1, generator=draw).expand(-1, 8)
    few = torch.tensor([[5.0, 1, 2, 0], [0, 2, 1, 7], [3, 0, 1, 0], [1, 4, 4, 2]])
    return judge(answer, [
        ("four frames of four cells, without one at each end", (few, 1), _border(few, 1)),
        ("noise that is independent from place to place", (noise, 4), _border(noise, 4)),
        ("noise that is the same everywhere", (shared, 3), torch.tensor(1.0)),
        ("no edge", (noise, 0), torch.tensor(1.0)),
    ], "independent noise gives about the root of the share of places that are left; shared noise hides the edge",
        mistakes={
            "leaves the edge at one end only": lambda x, e: _r(x.sum(1), x[:, e:].sum(1)),
            "correlates over places, not over frames": lambda x, e: _r(x[:, e:x.shape[1] - e].mean(0), x.mean(0)[
                e:x.shape[1] - e]),
            "takes -edge, which leaves nothing where the edge is 0": lambda x, e: _r(x.sum(1), x[:, e:-e].sum(1)),
            "does not subtract the means": lambda x, e: _cosine(x.sum(1), x[:, e:x.shape[1] - e].sum(1)),
    }, hints=[
        "Two sums for each frame: over all places, and over those from edge to P − edge.",
        "A slice that ends at -edge is empty where edge is 0; let it end at P - edge.",
        "torch.corrcoef of the two sums, stacked as rows, has r at [0, 1].",
    ])


def check_inside(answer: str) -> Verdict:
    """Look at an answer in words: what does a channel that correlates with a recorded cell prove?"""
    return self_check(answer, [
        "a floor: the best of as many channels with random weights, over the same places and frames",
        "one good pair says nothing of the other parts: a model of the output may be wired otherwise",
        "what the cell brings about is another question than what it does; a test is an experiment that switches it off",
    ])


def _field(frames: Tensor, weights: Tensor, threshold: float) -> Tensor:
    """Return the field of an ON-OFF cell, (N, P)."""
    contrast = frames @ weights
    return ((contrast > threshold).float() - (contrast < -threshold).float())[:, None] * weights


def _cosine(first: Tensor, second: Tensor) -> Tensor:
    """Return the cosine of two vectors."""
    return torch.nn.functional.cosine_similarity(first, second, dim=0)


def _r(first: Tensor, second: Tensor) -> Tensor:
    """Return Pearson's r of two vectors."""
    return torch.corrcoef(torch.stack([first, second]))[0, 1]


def _border(cells: Tensor, edge: int) -> Tensor:
    """Return r over frames of the sum over all places and that without the edges."""
    return _r(cells.sum(1), cells[:, edge:cells.shape[1] - edge].sum(1))
