"""Checks of the exercises in the chapter on neuron paths."""
from collections.abc import Callable

import torch

from nblib.exercises.verdict import Verdict, judge

TWO = torch.tensor([2.0, 3.0])  # activations of a path of two neurons
PRODUCT = torch.tensor([[0.0, 0.0], [1.5, 1.0]])  # slopes of F = w v, that is (v, w), at shares 0 and 1/2


def check_joint(answer: Callable) -> Verdict:
    """Check `answer(activations (L,), slopes (m, L)) -> ()`: the joint attribution of a path."""
    return judge(answer, [
        ("one neuron: its activation times its mean slope", (torch.tensor([2.0]), torch.tensor([[1.0], [3.0]])),
         torch.tensor(4.0)),
        ("two neurons: each activation meets each slope", (TWO, PRODUCT), torch.tensor(6.25)),
        ("an activation may be negative", (torch.tensor([2.0, -1.0]), torch.tensor([[1.0, 1.0]])), torch.tensor(2.0)),
    ], "the sum of the activations times the mean sum of the slopes, cross terms and all")


def check_complete(answer: Callable) -> Verdict:
    """Check `answer(activations (L,), slopes (m, L)) -> ()`: the complete path integral."""
    ends = torch.tensor([[0.0, 0.0], [3.0, 2.0]])  # at shares 0 and 1, of which the mean is exact here
    return judge(answer, [
        ("one neuron: the joint attribution", (torch.tensor([2.0]), torch.tensor([[1.0], [3.0]])), torch.tensor(4.0)),
        ("each activation meets its own slope only", (TWO, ends), torch.tensor(6.0)),
        ("two neurons that cancel", (torch.tensor([1.0, -1.0]), torch.tensor([[0.5, 0.5]])), torch.tensor(0.0)),
    ], "each activation times its own mean slope, which adds up to F at the neurons minus F at zero")


def check_candidates(answer: Callable) -> Verdict:
    """Check `answer(values (n,), slopes (n,), path_value, path_slope) -> (n,)`: the score with each neuron added."""
    values, slopes = torch.tensor([1.0, 0.0, -2.0]), torch.tensor([0.5, 2.0, 1.0])
    return judge(answer, [
        ("the first layer: no path yet", (values, slopes, 0.0, 0.0), torch.tensor([0.5, 0.0, -2.0])),
        ("behind a path, an inactive neuron can win", (values, slopes, 3.0, 1.0), torch.tensor([6.0, 9.0, 2.0])),
        ("a path without slope", (values, slopes, 3.0, 0.0), torch.tensor([2.0, 6.0, 1.0])),
    ], "the path's sums and the candidate's own are added first and multiplied then")


def check_deviation(answer: Callable) -> Verdict:
    """Check `answer(clean (N, K), edited (N, K), labels (N,)) -> (N,)`: relative deviations of the true class."""
    clean = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])
    edited = torch.tensor([[0.25, 0.5, 0.25], [0.1, 0.5, 0.4]])
    return judge(answer, [
        ("nothing was changed", (clean, clean, torch.tensor([0, 1])), torch.zeros(2)),
        ("half of it is gone; more than twice as much", (clean, edited, torch.tensor([0, 1])),
         torch.tensor([-0.5, 1.5])),
        ("other labels", (clean, edited, torch.tensor([1, 0])), torch.tensor([1.0, 0.0])),
    ], "the change of the true class's probability, over what it was before")


def check_similarity(answer: Callable) -> Verdict:
    """Check `answer(counts (K, L, n)) -> (K, K)`: the cosine of two classes' utilisation matrices."""
    same = torch.tensor([[[4.0, 0.0], [4.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]])
    half = torch.tensor([[[2.0, 0.0], [2.0, 0.0]], [[3.0, 0.0], [0.0, 3.0]]])
    mixed = torch.tensor([[[1.0, 1.0], [2.0, 0.0]], [[0.0, 2.0], [2.0, 0.0]]])  # (1/2, 1/2, 1, 0) and (0, 1, 1, 0)
    cosine = 1.5 / 3**0.5
    uneven = torch.tensor([[[3.0, 1.0], [1.0, 0.0]], [[1.0, 1.0], [0.0, 4.0]]])  # (3/4, 1/4, 1, 0) and (1/2, 1/2, 0, 1)
    apart = 0.5 / (1.625 * 1.5) ** 0.5
    return judge(answer, [
        ("the same neurons, more often or not", (same,), torch.ones(2, 2)),
        ("the same neuron in one of two layers", (half,), torch.tensor([[1.0, 0.5], [0.5, 1.0]])),
        ("counts become shares of each layer", (mixed,), torch.tensor([[1.0, cosine], [cosine, 1.0]])),
        ("also where a layer was counted more often", (uneven,), torch.tensor([[1.0, apart], [apart, 1.0]])),
    ], "each layer's counts become shares, and the whole matrices are compared, not layer by layer", mistakes={
        "compares the counts themselves": lambda counts: _cosine(counts.flatten(1)),
        "takes the mean of the layers' cosines":
            lambda counts: torch.stack([_cosine(layer) for layer in counts.unbind(1)]).mean(0),
    })


def _cosine(rows: torch.Tensor) -> torch.Tensor:
    """Return the cosine of each two rows, (K, K)."""
    unit = rows / rows.norm(dim=1, keepdim=True)
    return unit @ unit.T
