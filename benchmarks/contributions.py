"""Pairs for contributions: all layers from one pass a step, beside captum's one call a layer and loops over units.

captum's `LayerConductance` takes a one-sided sum where ours takes the trapezoid, so the two differ by what ten steps
leave; both look at the same eleven points.
"""
import warnings
from collections.abc import Callable

import torch
from captum.attr import LayerConductance
from torch import Tensor, nn

from benchmarks.difference import Pair
from nblib.data import load
from nblib.hooks import capture
from nblib.methods.contributions import contribution_map, contributions
from nblib.models import build
from nblib.targets import class_logit

STEPS = 10
RESNET50 = [f"layer{stage}.{block}" for stage, count in enumerate((3, 4, 6, 3), 1) for block in range(count)]
SMALL = ["relu", "layer1.0", "layer2.0", "layer3.0"]


def settled(name: str, size: int, classes: int = 9) -> nn.Module:
    """Return a network with random weights whose norms have random statistics, as those of trained ones are not zero."""
    model = build(name, classes=classes, size=size, seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.bias.copy_(0.2 * torch.randn(module.bias.shape, generator=generator))
                module.running_mean.copy_(0.2 * torch.randn(module.bias.shape, generator=generator))
    return model


def sums(found: dict[str, Tensor]) -> Tensor:
    """Return each layer's channel sums, side by side, (N, all channels)."""
    return torch.cat([values.flatten(2).sum(2) for values in found.values()], 1).detach()


def conductance(name: str, layers: list[str], size: int, count: int, rows: int | None = None) -> Callable[[], Pair]:
    """Return a maker of a pair: both sides take the contributions of all layers, theirs by a call for each.

    `rows` is how many captum sends through the network in one pass; None all steps of all images, its default, which
    is its fastest and takes most memory.
    """

    def make() -> Pair:
        model, images = settled(name, size), load("shapes", split="test", size=size, limit=count).images
        with torch.no_grad():
            labels = model(images).argmax(1)

        def theirs() -> Tensor:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # captum's, about hooks
                return sums({layer: LayerConductance(model, model.get_submodule(layer)).attribute(
                    images, target=labels, n_steps=STEPS + 1, method="riemann_trapezoid",
                    internal_batch_size=rows).detach() for layer in layers})  # or 16 graphs would stay in memory

        return {"ours": lambda: sums(contributions(model, images, layers, target=class_logit(labels), steps=STEPS)),
                "theirs": theirs}

    return make


def three_kinds(size: int, count: int) -> Callable[[], Pair]:
    """Return a maker of a pair: blocks, MLP hidden and attention of a ViT together, or in three runs as P3's code."""

    def make() -> Pair:
        model, images = settled("small_vit", size), load("shapes", split="test", size=size, limit=count).images
        kinds = [[f"blocks.{block}{rest}" for block in range(6)] for rest in ("", ".mlp.fc2:input", ".attn.proj:input")]

        def tokens(found: dict[str, Tensor]) -> Tensor:
            return torch.cat([values.sum(1) for values in found.values()], 1)

        return {"ours": lambda: tokens(contributions(model, images, sum(kinds, []), steps=STEPS)),
                "theirs": lambda: torch.cat([tokens(contributions(model, images, k, steps=STEPS)) for k in kinds], 1)}

    return make


def unit_by_unit(size: int) -> Callable[[], Pair]:
    """Return a maker of a pair: the map of a mode by one cotangent, or by a backward pass a channel and place."""

    def make() -> Pair:
        model, images = settled("small_resnet", size), load("shapes", split="test", size=size, limit=1).images
        weights = torch.rand(48, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            label = int(model(images).argmax(1))

        def theirs() -> Tensor:
            rows = images.clone().requires_grad_()
            with capture(model, ["layer2.0"]) as captured:
                logit = model(rows)[0, label]
            output = captured["layer2.0"]
            slopes = torch.autograd.grad(logit, output, retain_graph=True)[0][0]
            total = torch.zeros_like(images)
            for channel, weight in enumerate(weights):
                for unit, slope in zip(output[0, channel].flatten(), slopes[channel].flatten()):
                    total += weight * slope * torch.autograd.grad(unit, rows, retain_graph=True)[0]
            return total * images

        return {"ours": lambda: contribution_map(model, images, "layer2.0", weights), "theirs": theirs}

    return make


PAIRS: dict[str, Callable[[], Pair]] = {
    "contributions, ResNet-50, 16 blocks": conductance("torchvision:resnet50", RESNET50, 224, 2),
    "the same, captum in as little memory": conductance("torchvision:resnet50", RESNET50, 224, 2, rows=2),
    "contributions, small ResNet, 4 layers": conductance("small_resnet", SMALL, 32, 32),
    "contributions, small ViT, 3 kinds": three_kinds(32, 64),
    "map of a mode, 48 channels, 8 x 8": unit_by_unit(32),
}
