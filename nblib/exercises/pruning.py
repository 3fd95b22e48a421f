"""Checks of the exercises in the chapter on pruning."""
from collections.abc import Callable

import torch

from nblib.exercises.verdict import Verdict, judge


def check_mask(answer: Callable) -> Verdict:
    """Check `answer(weights (d,), sparsity) -> (d,) bool`: false at the round(sparsity d) smallest magnitudes."""
    weights = torch.tensor([0.3, -2.0, 0.1, -0.2, 1.0])
    tied = torch.tensor([1.0, 1.0, -1.0, 1.0])
    return judge(answer, [
        ("nothing to remove", (weights, 0.0), torch.ones(5)),
        ("two of five, by magnitude", (weights, 0.4), torch.tensor([1.0, 1.0, 0.0, 0.0, 1.0])),
        ("four of five", (weights, 0.8), torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0])),
        ("equal magnitudes: exactly half of them, the first ones", (tied, 0.5), torch.tensor([0.0, 0.0, 1.0, 1.0])),
    ], "exactly as many weights go as were asked for, the smallest magnitudes first")


def check_rewind(answer: Callable) -> Verdict:
    """Check `answer(trained (d,), first (d,), mask (d,) bool) -> (d,)`: what the next round of training starts from."""
    trained, first = torch.tensor([0.0, 3.0, -4.0]), torch.tensor([0.5, -1.0, 2.0])
    mask = torch.tensor([False, True, True])
    return judge(answer, [
        ("survivors go back to their first values", (trained, first, mask), torch.tensor([0.0, -1.0, 2.0])),
        ("nothing removed", (trained, first, torch.ones(3, dtype=torch.bool)), first.clone()),
    ], "the ticket is the mask times the first weights; what training made of them is forgotten")


def check_gini(answer: Callable) -> Verdict:
    """Check `answer(values (d,)) -> ()`: the Gini index of the magnitudes."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(50, generator=generator)
    ordered = noise.abs().sort().values
    places = torch.arange(1, 51)
    expected = ((2 * places - 51) * ordered).sum() / (50 * ordered.sum())
    return judge(answer, [
        ("one pixel has everything", (torch.tensor([0.0, 4.0, 0.0, 0.0]),), torch.tensor(0.75)),
        ("all are equal", (torch.ones(6),), torch.tensor(0.0)),
        ("signs do not count", (torch.tensor([1.0, -1.0, 1.0, -1.0]),), torch.tensor(0.0)),
        ("fifty random values", (noise,), expected),
    ], "zero for an even map, near one for a map with a single bright pixel")


def check_fill(answer: Callable) -> Verdict:
    """Check `answer(image (H, W), row, column) -> ()`: the weighted mean of a pixel's neighbours, 2 for an edge, 1 for a corner."""
    image = torch.arange(12.0).reshape(3, 4)
    spot = torch.zeros(3, 3)
    spot[0, 1] = 12.0
    corner = torch.zeros(3, 3)
    corner[0, 0] = 12.0
    return judge(answer, [
        ("a ramp is filled with its own value", (image, 1, 1), torch.tensor(5.0)),
        ("a neighbour at an edge weighs one sixth", (spot, 1, 1), torch.tensor(2.0)),
        ("a neighbour at a corner weighs one twelfth", (corner, 1, 1), torch.tensor(1.0)),
        ("in the image's corner, weights of absent neighbours are dropped", (spot, 0, 0), torch.tensor(4.8)),
    ], "the pixel becomes the weighted mean of the neighbours that exist")


def check_area(answer: Callable) -> Verdict:
    """Check `answer(curve (P + 1,)) -> ()`: the AOPC with the untouched accuracy, the first value, as its reference."""
    return judge(answer, [
        ("a flat curve has no area over it", (torch.ones(4),), torch.tensor(0.0)),
        ("a fall", (torch.tensor([1.0, 0.5, 0.25, 0.25]),), torch.tensor(0.5)),
        ("a curve that does not start at one", (torch.tensor([0.8, 0.4]),), torch.tensor(0.2)),
    ], "the mean drop below the first value, that value itself counted as a drop of zero")
