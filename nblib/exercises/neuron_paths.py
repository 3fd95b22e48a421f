"""Checks of the exercises in the lesson on neuron paths."""
from collections.abc import Callable

import torch

from nblib.exercises.verdict import Verdict, judge, self_check


def check_candidates(answer: Callable) -> Verdict:
    """Check `answer(values (n,), slopes (n,), path_value, path_slope) -> (n,)`: the score with each neuron added."""
    values, slopes = torch.tensor([1.0, 0.0, -2.0]), torch.tensor([0.5, 2.0, 1.0])
    return judge(answer, [
        ("the first layer: no path yet, so both sums are 0", (values, slopes, 0.0, 0.0), torch.tensor([0.5, 0.0, -2.0])),
        ("behind a path; the second candidate is silent", (values, slopes, 3.0, 1.0), torch.tensor([6.0, 9.0, 2.0])),
        ("behind a path whose slopes add up to 0", (values, slopes, 3.0, 0.0), torch.tensor([2.0, 6.0, 1.0])),
    ], "add each candidate's value to the path's sum of values, its slope to the sum of slopes, then multiply the two", mistakes={
        "scores the candidate alone": lambda w, g, s, t: w * g,
        "adds the path's score to the candidate's": lambda w, g, s, t: s * t + w * g,
        "forgets the candidate's slope": lambda w, g, s, t: (s + w) * (t + 0 * g),
        "forgets the candidate's value": lambda w, g, s, t: (s + 0 * w) * (t + g),
    }, hints=[
        "With the candidate the path is one neuron longer. What are its two sums then?",
        "The sum of values is path_value + values, one number for each candidate. Now the sum of slopes.",
        "(path_value + values) * (path_slope + slopes).",
    ])


def check_deviation(answer: Callable) -> Verdict:
    """Check `answer(clean (N, K), edited (N, K), labels (N,)) -> (N,)`: relative changes of the true class."""
    clean = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])
    edited = torch.tensor([[0.25, 0.5, 0.25], [0.1, 0.5, 0.4]])
    return judge(answer, [
        ("the edit changed nothing", (clean, clean, torch.tensor([0, 1])), torch.zeros(2)),
        ("the first image's true class has half of it left, the second's two and a half times as much",
         (clean, edited, torch.tensor([0, 1])), torch.tensor([-0.5, 1.5])),
        ("the same probabilities, other true classes", (clean, edited, torch.tensor([1, 0])), torch.tensor([1.0, 0.0])),
    ], "the true class's probability after the edit, minus that before, over that before", mistakes={
        "does not divide": lambda p, q, y: _of(q, y) - _of(p, y),
        "divides by the probability after the edit": lambda p, q, y: (_of(q, y) - _of(p, y)) / _of(q, y),
        "takes the predicted class": lambda p, q, y: _of(q, p.argmax(1)) / _of(p, p.argmax(1)) - 1,
        "returns the ratio": lambda p, q, y: _of(q, y) / _of(p, y),
    }, hints=[
        "Each image has one probability that matters, that of its true class.",
        "clean.gather(1, labels[:, None])[:, 0] reads it before the edit.",
        "Subtract what it was from what it is, and divide by what it was.",
    ])


def check_rivals(answer: Callable) -> Verdict:
    """Check `answer(attribution (N, L, n)) -> (N, L)`: the best neuron of each layer by itself."""
    first = torch.tensor([[[0.1, 0.5, 0.2], [0.0, -0.9, 0.3]], [[0.4, 0.1, 0.3], [0.6, 0.2, 0.7]]])
    second = torch.tensor([[[-0.1, -0.3], [0.2, 0.1], [0.0, 0.9]]])
    return judge(answer, [
        ("two images, two layers of three neurons", (first,), torch.tensor([[1, 2], [0, 2]])),
        ("one image; all neurons of its first layer are negative", (second,), torch.tensor([[0, 0, 1]])),
    ], "in each layer the neuron with the largest signed attribution, and no layer looks at another", mistakes={
        "takes the largest magnitude": lambda a: a.abs().argmax(2),
        "returns attributions instead of neurons": lambda a: a.amax(2),
        "takes one neuron for all images": lambda a: a.sum(0).argmax(1).expand(len(a), -1),
        "takes the best layer of each neuron": lambda a: a.argmax(1),
    }, hints=[
        "Which axis are the neurons of a layer?",
        "You want a neuron's number, not its attribution.",
        "attribution.argmax(2).",
    ])


def check_control(answer: str) -> Verdict:
    """Look at an answer in words: what a favourite neuron and a gain by doubling say where the search was told the class."""
    return self_check(answer, [
        "how many paths of other classes, or of dealt labels, go through the same neuron: it may be a favourite of all",
        "whether a network with random weights has such a neuron when it is asked for cats: the search was told the class",
        "whether doubling still helps if the search is told the network's own guess: with the true class it was told the answer",
    ])


def _of(probabilities: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return each image's probability of a class, (N,)."""
    return probabilities.gather(1, classes[:, None])[:, 0]
