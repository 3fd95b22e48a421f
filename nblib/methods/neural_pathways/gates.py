r"""Gates on all units that are learned for one image at a time, here for many at once (distillation guided routing)."""
import warnings
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nblib.checks import expect_int, expect_number
from nblib.engine import frozen, logits_of
from nblib.hooks import edit
from nblib.methods.neural_pathways.pathways import Scores

HIGHEST = 100.0  # what a gate is held below, as published
RESTARTS = 3  # with a tenth of the penalty each, for images of which no iterate keeps the prediction


class Schedule(NamedTuple):
    """How gates are learned."""

    iterations: int
    rate: float
    penalty: float
    momentum: float


def expect_schedule(iterations: int, rate: float, penalty: float, momentum: float) -> Schedule:
    """Return a schedule whose numbers are in range."""
    return Schedule(expect_int("iterations", iterations, 1), expect_number("rate", rate, 1e-12),
                    expect_number("penalty", penalty, 0), expect_number("momentum", momentum, 0, 1 - 1e-6))


def gates(model: nn.Module, images: Tensor, start: Scores, schedule: Schedule, numbers: Tensor) -> Scores:
    r"""Return gates :math:`\lambda\ge0` that keep each image's softmax p with as little as possible, (R, ...) by layer.

    .. math:: \min_{\lambda\ge0}\;-\sum_kp_k\log q_k(\lambda)+\gamma\sum_j|\lambda_j|

    By gradient descent with momentum. The loss is summed over images, and no step depends on another image's, so the
    result is that of one image at a time. The best iterate of each image is kept, of those that keep its prediction. An
    image of which none does begins again with a tenth of the penalty, thrice at most; then a warning names it.

    Args:
        images: (R, C, H, W).
        start: where the gates begin.
        schedule: of `expect_schedule`.
        numbers: (R,) of the images, for the warning.
    """
    found, missing = _descend(model, images, start, schedule)
    for _ in range(RESTARTS):
        if not missing.any():
            break
        schedule = schedule._replace(penalty=schedule.penalty / 10)
        rows = missing.nonzero().flatten()
        again, still = _descend(model, images[rows], {layer: values[rows] for layer, values in start.items()}, schedule)
        for layer, values in again.items():
            found[layer][rows] = values
        missing = missing.clone()
        missing[rows] = still
    if missing.any():
        warnings.warn(f"no gates keep the prediction of images {numbers[missing].tolist()}: theirs are those of the "
                      "smallest loss", stacklevel=2)
    return found


def _descend(model: nn.Module, images: Tensor, start: Scores, schedule: Schedule) -> tuple[Scores, Tensor]:
    """Return the best gates of one descent, and of which images no iterate kept the prediction, (R,)."""
    with torch.no_grad():
        whole = logits_of(model, images)
    share, label = whole.softmax(1), whole.argmax(1)
    now = {layer: values.clone() for layer, values in start.items()}
    speed = {layer: torch.zeros_like(values) for layer, values in start.items()}
    best = {layer: values.clone() for layer, values in start.items()}
    least = images.new_full((len(images),), torch.inf, dtype=share.dtype)
    kept_any = torch.zeros(len(images), dtype=torch.bool, device=images.device)
    with frozen(model), edit(model, {layer: lambda t, layer=layer: t * now[layer] for layer in start}):
        for _ in range(schedule.iterations):
            now = {layer: values.detach().requires_grad_() for layer, values in now.items()}
            logits = logits_of(model, images)
            sizes = sum(values.flatten(1).abs().sum(1) for values in now.values())
            losses = -(share * logits.log_softmax(1)).sum(1) + schedule.penalty * sizes
            slopes = torch.autograd.grad(losses.sum(), list(now.values()))
            keeps = logits.argmax(1) == label
            better = torch.where(keeps == kept_any, losses.detach() < least, keeps)
            least = torch.where(better, losses.detach(), least)
            kept_any |= keeps
            for (layer, values), slope in zip(now.items(), slopes):
                at = better.view(-1, *[1] * (values.ndim - 1))
                best[layer] = torch.where(at, values.detach(), best[layer])
                speed[layer] = schedule.momentum * speed[layer] + slope
                now[layer] = (values.detach() - schedule.rate * speed[layer]).clamp(0, HIGHEST)
    return best, ~kept_any
