"""Checks of the exercises in the lesson on pruning."""
import math
import statistics
from collections.abc import Callable, Sequence

import torch

from nblib.checks import expect_one_of
from nblib.exercises.verdict import Verdict, judge, self_check

CONCLUSIONS = ("sparser", "less sparse", "cannot tell")


def check_mask(answer: Callable) -> Verdict:
    """Check `answer(weights (d,), sparsity) -> (d,) bool`: false at the round(sparsity d) smallest magnitudes."""
    weights = torch.tensor([0.3, -2.0, 0.1, -0.2, 1.0])
    tied = torch.tensor([1.0, 1.0, -1.0, 1.0])
    return judge(answer, [
        ("nothing to remove", (weights, 0.0), torch.ones(5)),
        ("two of five, by magnitude", (weights, 0.4), torch.tensor([1.0, 1.0, 0.0, 0.0, 1.0])),
        ("four of five", (weights, 0.8), torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0])),
        ("equal magnitudes: half of them go, the first ones", (tied, 0.5), torch.tensor([0.0, 0.0, 1.0, 1.0])),
    ], "exactly as many weights go as were asked for, the smallest magnitudes first", mistakes={
        "ranks signed values": lambda weights, share: _mask(weights, weights, share),
        "keeps the small ones": lambda weights, share: ~_mask(weights, weights.abs(), share),
        "cuts at a quantile, so that equal magnitudes go together": lambda weights, share: (
            weights.abs() > weights.abs().quantile(share)),
    }, hints=[
        "A threshold cannot part equal magnitudes. Which weights go is a question of places in an order.",
        "weights.abs().argsort(stable=True) has the places, the smallest magnitude first.",
        "Begin with a mask that is true everywhere, and set its first round(sparsity * d) places of that order to false.",
    ])


def check_area(answer: Callable) -> Verdict:
    """Check `answer(curve (P + 1,)) -> ()`: the AOPC with the untouched accuracy, the first value, as its reference."""
    return judge(answer, [
        ("a flat curve has no area over it", (torch.ones(4),), torch.tensor(0.0)),
        ("a fall", (torch.tensor([1.0, 0.5, 0.25, 0.25]),), torch.tensor(0.5)),
        ("a curve that does not start at one", (torch.tensor([0.8, 0.4]),), torch.tensor(0.2)),
    ], "the mean drop below the first value, that value itself counted as a drop of zero", mistakes={
        "leaves the first value out of the mean": lambda curve: (curve[0] - curve[1:]).mean(),
        "takes one for the accuracy of untouched images": lambda curve: (1 - curve).mean(),
        "takes the area under the curve": lambda curve: curve.mean(),
        "counts from the second value, as the authors' code does": lambda curve: (curve[1] - curve[1:]).sum() / len(curve),
    }, hints=[
        "The reference is the accuracy before anything is removed, curve[0], which need not be one.",
        "The sum has P drops, and is divided by P + 1, as many as there are values in the curve.",
        "The first value is a drop of zero, so the mean of curve[0] - curve over all values is it.",
    ])


def check_floor(pruned: Sequence[float], again: Sequence[float], conclusion: str) -> Verdict:
    """Check how a comparison was read: do pruned networks have sparser maps than a second training has?

    The 95 % interval of the mean difference over seeds, pairs of the same seed, is compared with zero.

    Args:
        pruned: a change of the Gini index by pruning, one a seed.
        again: the change by another training without pruning, of the same seeds in the same order.
        conclusion: one of `CONCLUSIONS`.
    """
    from scipy.stats import t as student

    try:
        pairs = list(zip(map(float, pruned), map(float, again), strict=True))
        expect_one_of("conclusion", conclusion, CONCLUSIONS)
    except (TypeError, ValueError) as error:
        return Verdict(False, f"{error}; expected two lists of as many numbers, one a seed, and a conclusion")
    if len(pairs) < 3:
        return Verdict(False, f"{len(pairs)} seeds were given, expected three or more: fewer have no spread to speak of")
    apart = [first - second for first, second in pairs]
    mean, half = statistics.mean(apart), student.ppf(0.975, len(apart) - 1) * statistics.stdev(apart) / math.sqrt(len(apart))
    follows = "cannot tell" if abs(mean) <= half else CONCLUSIONS[mean < 0]
    said = f"pruned minus trained again is {mean:+.3f} over {len(apart)} seeds, with an interval of {half:.3f} on each side"
    if conclusion == follows:
        return Verdict(True, f"{said}: {conclusion}")
    return Verdict(False, f"{said}; {conclusion!r} does not follow", (
        "The mean is never exactly zero. Ask how far it could have come by chance.",
        "Does the interval, the mean plus and minus its half width, hold zero?"))


def check_schedule(answer: str) -> Verdict:
    """Look at an answer in words: what has to be compared before a sparser map is put down to pruning?"""
    return self_check(answer, [
        "the unpruned network has to be trained like the pruned one, on the same schedule, and for as long; only then do "
        "they differ in their zeros alone",
        "two trainings of the unpruned network say how far maps differ without any cause; one network a level is one draw",
        "a sparser map need not be a truer one: ask where the truth is known, or take away what the map points at",
    ])


def _mask(weights: torch.Tensor, ranked: torch.Tensor, share: float) -> torch.Tensor:
    """Return a mask (d,) that is false at the first places of an order of values (d,)."""
    kept = torch.ones(len(weights), dtype=torch.bool)
    kept[ranked.argsort(stable=True)[: round(share * len(weights))]] = False
    return kept
