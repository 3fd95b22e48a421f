"""Checks of the exercises in the chapter on concepts."""
from collections.abc import Callable

import torch

from nblib.exercises.verdict import Verdict, judge


def check_coefficient(answer: Callable) -> Verdict:
    """Check `answer(activations (R, C), direction (C,)) -> (R,)`: the best coefficient that is not negative."""
    rows = torch.tensor([[2.0, 2.0], [2.0, 0.0], [0.0, 0.0]])
    across = torch.tensor([[1.0, -3.0]])
    return judge(answer, [
        ("a direction of length one", (rows, torch.tensor([1.0, 0.0])), torch.tensor([2.0, 2.0, 0.0])),
        ("a longer direction needs less of it", (rows, torch.tensor([1.0, 1.0])), torch.tensor([2.0, 1.0, 0.0])),
        ("where the best would be negative, it is zero", (across, torch.tensor([1.0, 1.0])), torch.tensor([0.0])),
    ], "the projection on the direction, in units of the direction, cut at zero")


def check_importance(answer: Callable) -> Verdict:
    """Check `answer(mean_coefficients (N, r), bank (r, C), class_weights (C,)) -> (N, r)`: exact Sobol indices."""
    bank = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    weights = torch.tensor([3.0, -4.0])  # W w = (3, -1)
    once, twice = torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 1.0], [1.0, 3.0]])
    return judge(answer, [
        ("contributions of 3 and −1", (once, bank, weights), torch.tensor([[0.9, 0.1]])),
        ("each image sums to one", (twice, bank, weights), torch.tensor([[0.9, 0.1], [0.5, 0.5]])),
        ("a concept that is absent has none", (torch.tensor([[0.0, 2.0]]), bank, weights), torch.tensor([[0.0, 1.0]])),
    ], "each squared contribution over the sum of an image's squared contributions")


def check_jansen(answer: Callable) -> Verdict:
    """Check `answer(at_first (n,), at_mixed (r, n)) -> (r,)`: Jansen's total indices, the variance with n − 1 below."""
    first = torch.tensor([0.0, 1.0, 2.0, 3.0])  # variance 5/3
    swapped = torch.tensor([1.0, 0.0, 3.0, 2.0])
    return judge(answer, [
        ("an input that changes nothing", (first, first[None]), torch.tensor([0.0])),
        ("one that changes the function by one", (first, swapped[None]), torch.tensor([0.3])),
        ("two inputs at once", (first, torch.stack([first, first.flip(0)])), torch.tensor([0.0, 1.5])),
    ], "half of the mean squared change over the variance")


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
    ], "the share on the part less its area, over what could have been gained")


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
    ], "the activation less the concept's own part, and nothing else")
