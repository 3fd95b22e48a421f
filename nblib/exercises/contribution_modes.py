"""Checks of the exercises in the chapter on contribution modes."""
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from nblib.exercises.verdict import Verdict, judge, self_check

LOADINGS = torch.tensor([[1.0, 0.0, 0.5], [0.0, 0.0, 0.5], [1.0, 0.9, 0.5], [0.0, 1.0, 0.5], [1.0, 0.2, 0.5],
                         [0.3, 0.0, 0.5]])  # the last mode is the same on all images
LABELS = torch.tensor([0, 1, 0, 1, 0, 2])


def check_correlation(answer: Callable) -> Verdict:
    """Check `answer(loadings (N, M), labels (N,), classes) -> (M, K)`: r of each mode with each class."""
    alike = torch.tensor([[1.0], [0.0], [1.0], [0.0]])
    return judge(answer, [
        ("a mode of one class alone", (alike, torch.tensor([1, 0, 1, 0]), 2), torch.tensor([[-1.0, 1.0]])),
        ("three modes, one of them constant; three classes", (LOADINGS, LABELS, 3), _correlations(LOADINGS, LABELS, 3)),
        ("a class without images", (LOADINGS, LABELS, 4), _correlations(LOADINGS, LABELS, 4)),
        ("larger loadings change nothing", (50 * LOADINGS + 3, LABELS, 3), _correlations(LOADINGS, LABELS, 3)),
    ], "r needs class means alone, and zero where nothing varies", mistakes={
        "leaves out the share of the class": lambda z, y, k: _parts(z, y, k)[0],
        "divides by the spread without the mean taken off": lambda z, y, k: torch.nan_to_num(
            _lead(z, y, k) / z.square().mean(0).sqrt()[:, None] * _parts(z, y, k)[1]),
        "leaves 0 / 0 where nothing varies": lambda z, y, k: (
            _lead(z, y, k) / z.std(0, correction=0)[:, None] * _parts(z, y, k)[1]),
        "returns a row a class": lambda z, y, k: _correlations(z, y, k).T,
    }, hints=[
        "First the mean loading of each mode on the images of each class, minus its mean on all.",
        "Divide by the mode's standard deviation over all images, and multiply by the root of q / (1 − q).",
        "Where a mode or a class does not vary, the division is by zero: put 0 there with torch.where.",
    ])


def check_echo(answer: Callable) -> Verdict:
    """Check `answer(activations (N, C), weights (K, C), cards (N,)) -> (N, C)`: what each channel contributes."""
    weights = torch.tensor([[2.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 3.0]])
    cards = torch.tensor([1, 0, 0])
    same, others = torch.ones(3, 4), torch.tensor([[1.0, 2.0, 0.0, 1.0], [3.0, 0.0, 1.0, 1.0], [0.5, 1.0, 1.0, 0.0]])
    return judge(answer, [
        ("a network that sees no difference: the card alone", (same, weights, cards), weights[cards]),
        ("activations that differ", (others, weights, cards), others * weights[cards]),
        ("nothing is active", (0 * same, weights, cards), torch.zeros(3, 4)),
    ], "with equal activations, contributions are the card's row of weights, and nothing else", mistakes={
        "forgets the activations": lambda a, w, cards: w[cards],
        "takes the predicted class and not the card": lambda a, w, cards: a * w[(a @ w.T).argmax(1)],
        "sums over the channels": lambda a, w, cards: (a * w[cards]).sum(1),
        "sums the weights of all classes": lambda a, w, cards: a * w.sum(0),
    }, hints=[
        "Each image has a row of activations, and its card says which row of the weights counts.",
        "weights[cards] has a row for each image.",
        "Multiply the two, channel by channel; do not sum.",
    ])


def check_report(answer: str) -> Verdict:
    """Look at an answer in words: what does a correlation with the class that was the target prove?"""
    return self_check(answer, [
        "the diagnosis was the target, so contributions carry it, whatever the network has learnt",
        "controls: a diagnosis drawn by lot for each patient, random weights, one target for all patients",
        "a test of cause: switch the channels off and see whose diagnosis is lost, beside a list that is made of class "
        "means alone",
    ])


def _lead(loadings: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return the mean loading on the images of each class minus that on all, (M, K); 0 for a class without images."""
    inside = one_hot(labels, classes).to(loadings)
    means = inside.T @ loadings / inside.sum(0).clamp(min=1)[:, None]
    return torch.where(inside.any(0)[:, None], means - loadings.mean(0), 0.0).T


def _parts(loadings: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Return the leads over each mode's spread, 0 for one that is constant, (M, K), and the classes' factor (K,)."""
    spread = (loadings - loadings.mean(0)).square().mean(0).sqrt()[:, None]
    share = one_hot(labels, classes).to(loadings).mean(0)
    over = torch.where(spread > 1e-6, _lead(loadings, labels, classes) / spread.clamp(min=1e-6), 0.0)
    return over, (share / (1 - share)).sqrt()


def _correlations(loadings: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return r of each mode with each class, (M, K)."""
    over, factor = _parts(loadings, labels, classes)
    return over * factor
