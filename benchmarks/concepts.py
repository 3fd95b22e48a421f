"""Pairs for CRAFT: its Sobol indices beside a loop over images, its coefficients beside a loop over rows."""
import functools
from collections.abc import Callable

import numpy
import torch
from scipy.optimize import nnls
from scipy.stats import qmc
from torch import Tensor, nn

from benchmarks.difference import Pair
from nblib.data import load
from nblib.engine import logit_after, pools_first
from nblib.methods.concepts import Craft, mask_response, nonnegative_coefficients, total_indices, varied_activations
from nblib.models import build

LABEL = 4


def fitted(name: str, layer: str, size: int, count: int) -> tuple[Craft, Tensor]:
    """Return concepts of eight generated images in an untrained network, and `count` images."""
    model = build(name, classes=9, size=size, seed=0)
    images = load("shapes", split="test", size=size, limit=count).images
    return Craft(model, layer).fit(images[:8]), images


def loop(head: nn.Module, coefficients: Tensor, bank: Tensor) -> Tensor:
    """The published estimate, one image at a time: all its masks go through the head together."""
    concepts = len(bank)
    points = qmc.Halton(2 * concepts, scramble=False).random(32)
    first, second = points[:, :concepts], points[:, concepts:]
    mixed = [numpy.where(numpy.arange(concepts) == i, second, first) for i in range(concepts)]
    masks = torch.from_numpy(numpy.concatenate([first, *mixed])).to(coefficients)
    indices = []
    for image in coefficients.movedim(1, 3):  # (h, w, r)
        activations = (image * masks[:, None, None, :]) @ bank  # (M, h, w, C)
        with torch.no_grad():
            values = head(activations.movedim(3, 1))[:, LABEL].double().unflatten(0, (concepts + 1, 32))
        indices.append((values[:1] - values[1:]).square().mean(1) / (2 * values[0].var()))
    return torch.stack(indices)


def importance(name: str, layer: str, after: Callable[[nn.Module], nn.Module], size: int, count: int) -> Callable:
    """Return a maker of a pair on given coefficients; their side runs `after` alone, without what comes before it."""

    def make() -> Pair:
        craft, images = fitted(name, layer, size, count)
        coefficients = craft.coefficients(images)

        def ours() -> Tensor:
            """As `Craft.image_importance` does, but for the coefficients, which both sides are given."""
            logit, activations = logit_after(craft.model, layer, images[:4], LABEL)
            pools = pools_first(logit, varied_activations(activations, coefficients[:4], craft.bank))
            seen = coefficients.mean((2, 3), keepdim=True) if pools else coefficients
            respond = functools.partial(mask_response, logit, seen, craft.bank)
            return total_indices(respond, len(craft.bank), design="halton", samples=32).T

        head = after(craft.model)
        return {"ours": ours, "theirs": lambda: loop(head, coefficients, craft.bank)}

    return make


def least_squares() -> Pair:
    """Return a pair of non-negative least squares: 49 places of 40 images, 512 channels, 10 directions."""
    generator = torch.Generator().manual_seed(0)
    rows, bank = (torch.rand(n, 512, generator=generator) for n in (1960, 10))
    directions = bank.double().numpy().T

    def by_row() -> Tensor:
        return torch.from_numpy(numpy.stack([nnls(directions, row)[0] for row in rows.double().numpy()])).float()

    return {"ours": lambda: nonnegative_coefficients(rows, bank), "theirs": by_row}


def small_head(model: nn.Module) -> nn.Module:
    """What follows layer3 of our small network."""
    return nn.Sequential(model.pool, nn.Flatten(), model.linear)


def large_head(model: nn.Module) -> nn.Module:
    """What follows layer4 of torchvision's ResNet-18."""
    return nn.Sequential(model.avgpool, nn.Flatten(), model.fc)


PAIRS: dict[str, Callable[[], Pair]] = {
    "concept importance, 32 px, loop": importance("small_resnet", "layer3", small_head, 32, 256),
    "concept importance, 224 px, loop": importance("torchvision:resnet18", "layer4", large_head, 224, 128),
    "concept coefficients, scipy": least_squares,
}
