"""Pairs for neural pathways: many images at once, the rest of a network, a matrix product, beside loops that give the same.

Nobody's library has these methods; the other side is what their papers' code does: one image at a time, whole passes,
two loops over images.
"""
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.contributions import settled
from benchmarks.difference import Pair
from nblib.data import load
from nblib.hooks import capture, edit
from nblib.methods.neural_pathways import pairwise_iou, relu_layers, unit_scores

ITERATIONS = 20
STEPS = 10


def side_by_side(scores: dict[str, Tensor]) -> Tensor:
    """Return all units of each image, (N, n)."""
    return torch.cat([values.flatten(1) for values in scores.values()], 1).detach()


def gates_one_by_one(name: str, count: int, classes: int = 9) -> Callable[[], Pair]:
    """Return a maker of a pair: DGR's gates of all images in one batch, or of one image after the other."""

    def make() -> Pair:
        model, images = settled(name, 32, classes), load("shapes", split="test", size=32, limit=count).images
        layers = relu_layers(model, images[:2])
        options = {"method": "dgr", "iterations": ITERATIONS, "rate": 0.08}
        return {"ours": lambda: side_by_side(unit_scores(model, images, layers, **options)),
                "theirs": lambda: torch.cat([side_by_side(unit_scores(model, image[None], layers, **options))
                                             for image in images])}

    return make


def whole_passes(name: str, count: int, *, backward: bool) -> Callable[[], Pair]:
    """Return a maker of a pair: integrated gradients of each layer by the rest of the network, or by all of it.

    With `backward` their passes are whole in both directions, as in P0's baselines, whose code calls `backward()` and so
    fills all weights' gradients too; but in batches, where that code takes one image at a time. Without, theirs stops
    at the layer, which is the least that a pass through the whole network can do.
    """

    def make() -> Pair:
        model, images = settled(name, 32), load("shapes", split="test", size=32, limit=count).images
        layers = relu_layers(model, images[:2])
        with torch.no_grad(), capture(model, layers) as whole:
            labels = model(images).argmax(1)

        def slope(layer: str, point: float) -> Tensor:
            with edit(model, {layer: lambda t: point * t}), capture(model, [layer]) as seen:
                logits = model(images.clone())
            value = logits.gather(1, labels[:, None]).sum()
            if not backward:
                return torch.autograd.grad(value, seen[layer])[0]
            seen[layer].retain_grad()
            model.zero_grad()
            value.backward()
            return seen[layer].grad

        def theirs() -> Tensor:
            return side_by_side({layer: whole[layer] * sum(slope(layer, (step + 0.5) / STEPS) for step in range(STEPS))
                                 / STEPS for layer in layers})

        return {"ours": lambda: side_by_side(unit_scores(model, images, layers, method="integrated_gradients")),
                "theirs": theirs}

    return make


def double_loop(count: int, units: int) -> Callable[[], Pair]:
    """Return a maker of a pair: how alike all pathways are, by a matrix product or by two loops over images."""

    def make() -> Pair:
        masks = torch.rand(count, units, generator=torch.Generator().manual_seed(0)) < 0.05

        def theirs() -> Tensor:
            found = torch.eye(count, dtype=torch.float64)
            for i in range(count):
                for j in range(i):
                    found[i, j] = found[j, i] = (masks[i] & masks[j]).sum() / (masks[i] | masks[j]).sum()
            return found

        return {"ours": lambda: pairwise_iou({"layer": masks}), "theirs": theirs}

    return make


PAIRS: dict[str, Callable[[], Pair]] = {
    "DGR, thin VGG-11, 64 images": gates_one_by_one("small_vgg", 64),
    "DGR, AlexNet-CIFAR, 64 images": gates_one_by_one("alexnet_cifar", 64),
    "NeuronIntGrad, thin VGG-11, whole passes": whole_passes("small_vgg", 64, backward=True),
    "NeuronIntGrad, AlexNet-CIFAR, whole passes": whole_passes("alexnet_cifar", 64, backward=True),
    "the same, thin VGG-11, back to the layer": whole_passes("small_vgg", 64, backward=False),
    "the same, AlexNet-CIFAR, to the layer": whole_passes("alexnet_cifar", 64, backward=False),
    "acIOU, 1,000 pathways of 10,752 units": double_loop(1000, 10752),
}
