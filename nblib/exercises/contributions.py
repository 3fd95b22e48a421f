"""Checks of the exercises in the chapter on contributions."""
from collections.abc import Callable

import torch

from nblib.exercises.verdict import Verdict, judge, self_check


def check_split(answer: Callable) -> Verdict:
    """Check `answer(contribution (N, C, H, W)) -> (2, N, C)`: excitation and inhibition of each channel."""
    mixed = torch.tensor([[[[3.0, -1.0], [0.0, 2.0]], [[-2.0, -2.0], [1.0, 1.0]]]])
    one_sided = torch.tensor([[[[1.0, 2.0], [0.0, 4.0]], [[-1.0, 0.0], [0.0, -5.0]]]])
    return judge(answer, [
        ("channels that push and pull", (mixed,), torch.tensor([[[5.0, 2.0]], [[-1.0, -4.0]]])),
        ("one that only pushes, one that only pulls", (one_sided,), torch.tensor([[[7.0, 0.0]], [[0.0, -6.0]]])),
        ("two images, each by itself", (torch.cat([mixed, one_sided]),),
         torch.tensor([[[5.0, 2.0], [7.0, 0.0]], [[-1.0, -4.0], [0.0, -6.0]]])),
    ], "signs are split before places are summed, and inhibition keeps its minus", mistakes={
        "sums over places first, so that the signs cancel": lambda c: torch.stack([
            c.sum((2, 3)).clamp(min=0), c.sum((2, 3)).clamp(max=0)]),
        "gives inhibition without its minus": lambda c: torch.stack([
            c.clamp(min=0).sum((2, 3)), -c.clamp(max=0).sum((2, 3))]),
        "sums over channels instead of places": lambda c: torch.stack([c.clamp(min=0).sum(1), c.clamp(max=0).sum(1)]),
        "takes the mean over places": lambda c: torch.stack([c.clamp(min=0).mean((2, 3)), c.clamp(max=0).mean((2, 3))]),
    }, hints=[
        "A channel can push at one place and pull at another. What is lost if you add these first?",
        "contribution.clamp(min=0) keeps what pushes. Which axes are the places?",
        "Sum over the axes 2 and 3, once what is above zero and once what is below, and stack the two.",
    ])


def check_stretch(answer: Callable) -> Verdict:
    """Check `answer(before (U,), after (U,), slope_before (U,), slope_after (U,)) -> (U,)`: one interval of the sum."""
    before, after = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, 1.0, -1.0])
    first, last = torch.tensor([2.0, 5.0, 1.0]), torch.tensor([4.0, 5.0, 3.0])
    return judge(answer, [
        ("three units", (before, after, first, last), torch.tensor([3.0, 0.0, -6.0])),
        ("a slope that stays", (before, after, last, last), torch.tensor([4.0, 0.0, -9.0])),
        ("back again", (after, before, last, first), torch.tensor([-3.0, 0.0, 6.0])),
    ], "a stretch adds the mean of its two slopes times the change of the unit", mistakes={
        "takes the last slope alone, as the paper's printed sum does": lambda b, a, f, g: g * (a - b),
        "takes the first slope alone": lambda b, a, f, g: f * (a - b),
        "multiplies by the activation and not by its change": lambda b, a, f, g: (f + g) / 2 * a,
        "adds the slopes and does not halve them": lambda b, a, f, g: (f + g) * (a - b),
    }, hints=[
        "How far did the unit move on this stretch, and how steep was the answer meanwhile?",
        "The unit moved by after − before. The answer's slope is known at both ends.",
        "Multiply the change by the mean of the two slopes.",
    ])


def check_leaders(answer: Callable) -> Verdict:
    """Check `answer(net (N, C), count) -> (N, count)`: the channels that push most, the first of them first."""
    net = torch.tensor([[0.5, -9.0, 3.0, 1.0], [-1.0, -2.0, -0.5, -4.0]])
    return judge(answer, [
        ("two of four", (net, 2), torch.tensor([[2, 3], [2, 0]])),
        ("one of four", (net, 1), torch.tensor([[2], [2]])),
        ("all of them", (net, 4), torch.tensor([[2, 3, 0, 1], [2, 0, 1, 3]])),
    ], "pushing most is the largest signed value; a large pull is no push", mistakes={
        "takes the largest magnitudes": lambda net, count: net.abs().argsort(1, descending=True)[:, :count],
        "begins with the smallest": lambda net, count: net.argsort(1)[:, :count],
        "ranks channels over all images together": lambda net, count: net.sum(0).argsort(
            descending=True)[:count].expand(len(net), count),
        "returns values instead of channels": lambda net, count: net.topk(count, 1).values,
    }, hints=[
        "Which channel of the first image pulls hard? It must come last.",
        "net.argsort(1) puts each image's channels in order. Which end do you want?",
        "net.topk(count, dim=1).indices.",
    ])


def check_control(answer: str) -> Verdict:
    """Look at an answer in words: what a number that random weights show as well says of learning."""
    return self_check(answer, [
        "what a network with random weights shows too was not learnt: it comes from the architecture, or from the measure",
        "another cause is possible, such as the few places of a late channel, which tends to push or to pull, not both; "
        "that one is a guess until it is tested",
        "so one reports the difference between the trained network and the random one, with its interval, and claims only "
        "that",
    ])

