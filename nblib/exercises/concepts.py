"""Checks of the exercises in the lesson on concepts."""
from collections.abc import Callable

import torch

from nblib.exercises.verdict import Verdict, judge, self_check


def check_coefficient(answer: Callable) -> Verdict:
    """Check `answer(activations (R, C), direction (C,)) -> (R,)`: the best coefficient that is not negative."""
    rows = torch.tensor([[2.0, 2.0], [2.0, 0.0], [0.0, 0.0]])
    across = torch.tensor([[1.0, -3.0]])
    return judge(answer, [
        ("a direction of length one", (rows, torch.tensor([1.0, 0.0])), torch.tensor([2.0, 2.0, 0.0])),
        ("a longer direction needs less of it", (rows, torch.tensor([1.0, 1.0])), torch.tensor([2.0, 1.0, 0.0])),
        ("where the best would be negative, it is zero", (across, torch.tensor([1.0, 1.0])), torch.tensor([0.0])),
    ], "the projection on the direction, in units of the direction, cut at zero", mistakes={
        "forgets the length of the direction": lambda rows, d: (rows @ d).relu(),
        "divides by the length where its square is needed": lambda rows, d: (rows @ d / d.norm()).relu(),
        "lets it be negative": lambda rows, d: rows @ d / (d @ d),
    }, hints=[
        "Without the condition it is a projection: how often does the direction fit into the row?",
        "(row · direction) / (direction · direction). A direction twice as long is needed half as often.",
        "Where that is negative, the best that is allowed is zero: .clamp(min=0).",
    ])


def check_jansen(answer: Callable) -> Verdict:
    """Check `answer(at_first (n,), at_mixed (r, n)) -> (r,)`: Jansen's total indices, the variance with n − 1 below."""
    first = torch.tensor([0.0, 1.0, 2.0, 3.0])  # variance 5/3
    swapped = torch.tensor([1.0, 0.0, 3.0, 2.0])
    return judge(answer, [
        ("an input that changes nothing", (first, first[None]), torch.tensor([0.0])),
        ("one that changes the function by one", (first, swapped[None]), torch.tensor([0.3])),
        ("two inputs at once", (first, torch.stack([first, first.flip(0)])), torch.tensor([0.0, 1.5])),
    ], "half of the mean squared change over the variance", mistakes={
        "forgets the factor of two": lambda f, c: (f - c).square().mean(1) / f.var(),
        "divides the variance by n": lambda f, c: (f - c).square().mean(1) / (2 * f.var(correction=0)),
        "does not square the changes": lambda f, c: (f - c).abs().mean(1) / (2 * f.var()),
        "takes the mean over the inputs too": lambda f, c: (f - c).square().mean() / (2 * f.var()),
    }, hints=[
        "How far does the logit move when one coordinate is drawn anew? Square it, and take the mean over the points.",
        "Two independent draws of a number differ by twice its variance in the mean square. So divide by 2 Var.",
        "at_mixed has a row for each input: (at_first - at_mixed) broadcasts; .mean(1) is over the points; .var() has n − 1.",
    ])


def check_purity(answer: Callable) -> Verdict:
    """Check `answer(maps (N, H, W), part (N, H, W) bool) -> ()`: how much more lies on the part than by chance."""
    part = torch.zeros(2, 2, 2, dtype=torch.bool)
    part[0] = True  # the first image whole, nothing of the second: half of all pixels
    on, bright = part.float(), torch.ones(2, 2, 2)
    bright[0] = 3.0
    return judge(answer, [
        ("all of it on the part", (on, part), torch.tensor(1.0)),
        ("the same everywhere", (torch.ones(2, 2, 2), part), torch.tensor(0.0)),
        ("three quarters on a half", (bright, part), torch.tensor(0.5)),
        ("all beside the part is less than chance", (1 - on, part), torch.tensor(-1.0)),
    ], "the share on the part less its area, over what could have been gained", mistakes={
        "returns the share and forgets chance": lambda maps, part: maps[part].sum() / maps.sum(),
        "forgets what could have been gained": lambda maps, part: maps[part].sum() / maps.sum() - part.float().mean(),
        "cuts at zero": lambda maps, part: ((maps[part].sum() / maps.sum() - part.float().mean())
                                            / (1 - part.float().mean())).relu(),
    }, hints=[
        "How much of the concept lies on the part, of all of it, over all images together?",
        "A concept that is the same everywhere has the part's area there. That is worth nothing.",
        "Of what is left above chance, 1 − area, how much does it have? It may be negative.",
    ])


def check_off(answer: Callable) -> Verdict:
    """Check `answer(activations (R, C), coefficients (R, r), bank (r, C), concept) -> (R, C)`: less one concept."""
    bank = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    coefficients = torch.tensor([[2.0, 1.0], [0.0, 3.0]])
    made = coefficients @ bank
    rest = torch.tensor([[0.0, 0.5], [0.25, 0.0]])  # what no concept explains
    return judge(answer, [
        ("the other concept stays", (made, coefficients, bank, 0), torch.tensor([[1.0, 1.0], [3.0, 3.0]])),
        ("the second one can go too", (made, coefficients, bank, 1), torch.tensor([[2.0, 0.0], [0.0, 0.0]])),
        ("what no concept explains stays", (made + rest, coefficients, bank, 1), torch.tensor([[2, 0.5], [0.25, 0]])),
    ], "the activation less the concept's own part, and nothing else", mistakes={
        "drops what no concept explains": lambda a, u, bank, k: u @ bank - torch.outer(u[:, k], bank[k]),
        "keeps the concept alone": lambda a, u, bank, k: torch.outer(u[:, k], bank[k]),
        "takes the direction out once, whatever the amount": lambda a, u, bank, k: a - bank[k],
        "sets the concept's channels to zero": lambda a, u, bank, k: a * (bank[k] == 0),
    }, hints=[
        "What is the concept's own part of a row? An amount, times a direction.",
        "For all rows at once that is an outer product of coefficients[:, concept] and bank[concept].",
        "Take it away from the activations, not from coefficients @ bank: what no concept explains has to stay.",
    ])


def check_gallery(answer: str) -> Verdict:
    """Look at an answer in words: what does a gallery of crops show, and what would show that a concept is used?"""
    return self_check(answer, [
        "a network with random weights has galleries too, whose crops look alike, so a gallery alone is no evidence that "
        "anything was learnt",
        "another training or other images of the same class change the gallery too; ask how far before you blame the pruning",
        "whether the network uses a concept only an intervention tells: switch it off, and beside it as much of something else",
    ])
