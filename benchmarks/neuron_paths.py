"""Pairs for neuron paths: the search that carries states and tangents along, beside the authors' procedure as it is.

Their side recomputes everything at each layer: the clean pass, the pass with the path scaled, and one backward call for
each layer of the path; in the end it scores the path and that of the largest activations, and so does ours. For
equation 9, which the authors' code lacks, their side is the plain way: a full pass in forward mode for each layer.
"""
from collections.abc import Callable

import torch
import torch.autograd.forward_ad as forward
from torch import Tensor, nn

from benchmarks.difference import Pair
from nblib.data import load
from nblib.engine import forward_mode
from nblib.hooks import capture, edit
from nblib.methods.neuron_paths import find_paths, rank_neurons
from nblib.models import build
from nblib.models.vit import neuron_layers


def on_class_token(values: Tensor) -> Callable[[Tensor], Tensor]:
    """Return an edit that puts values (R, n) into the first token."""

    def put(neurons: Tensor) -> Tensor:
        neurons[:, 0] = values
        return neurons

    return put


def slopes(model: nn.Module, images: Tensor, labels: Tensor, values: dict[str, Tensor],
           leaves: list[Tensor]) -> list[Tensor]:
    """Return the gradient of the labels' probability for each leaf, by a backward call of its own."""
    with edit(model, {layer: on_class_token(value) for layer, value in values.items()}):
        probability = model(images).softmax(1).gather(1, labels[:, None]).sum()
    return [torch.autograd.grad(probability, leaf, retain_graph=True)[0] for leaf in leaves]


def scaled(clean: Tensor, chosen: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Return class tokens (N m, n) with the chosen neuron scaled to each point, and that neuron (N m, 1), a leaf."""
    steps = len(points)
    rows, index = clean.repeat_interleave(steps, 0), chosen.repeat_interleave(steps)[:, None]
    leaf = (rows.gather(1, index) * points.repeat(len(clean))[:, None]).requires_grad_()
    return rows.scatter(1, index, leaf), leaf


def joint(model: nn.Module, images: Tensor, labels: Tensor, cleans: dict[str, Tensor], path: dict[str, Tensor],
          points: Tensor) -> Tensor:
    """Return the joint attribution (N,) of one path an image, from layer to chosen neuron (N,)."""
    steps, values, leaves = len(points), {}, []
    for layer, chosen in path.items():
        values[layer], leaf = scaled(cleans[layer], chosen, points)
        leaves.append(leaf)
    gradients = slopes(model, images.repeat_interleave(steps, 0), labels.repeat_interleave(steps), values, leaves)
    activation = sum(cleans[layer].gather(1, chosen[:, None]) for layer, chosen in path.items()).squeeze(1)
    return activation * sum(gradient.view(-1, steps).mean(1) for gradient in gradients)


def as_published(model: nn.Module, images: Tensor, labels: Tensor, layers: list[str], steps: int) -> Tensor:
    """Return the scores (2, N) of the path that the authors' procedure finds, and of the largest activations."""
    points = torch.arange(steps, device=images.device) / steps
    many, wanted = images.repeat_interleave(steps, 0), labels.repeat_interleave(steps)
    path: dict[str, Tensor] = {}
    loudest: dict[str, Tensor] = {}
    cleans: dict[str, Tensor] = {}
    for layer in layers:
        with torch.no_grad(), capture(model, [layer]) as tensors:
            model(images)
        clean = cleans[layer] = tensors[layer][:, 0].clone()
        loudest[layer] = clean.argmax(1)
        values, leaves, activation = {}, [], clean
        for before, chosen in path.items():
            values[before], leaf = scaled(cleans[before], chosen, points)
            leaves.append(leaf)
            activation = activation + cleans[before].gather(1, chosen[:, None])
        whole = (clean[:, None] * points[:, None]).flatten(0, 1).requires_grad_()  # (N m, n)
        values[layer] = whole
        gradient, *others = slopes(model, many, wanted, values, [whole, *leaves])
        path[layer] = (sum(others, gradient).unflatten(0, (-1, steps)).mean(1) * activation).argmax(1)
    return torch.stack([joint(model, images, labels, cleans, found, points) for found in (path, loudest)])


def pattern(model: nn.Module, images: Tensor, layers: list[str], steps: int) -> Tensor:
    """Return the paths (N, L) of P1's equation 9, from black images, by a full pass in forward mode for each layer."""
    points = torch.arange(steps, device=images.device) / steps
    many = images.repeat_interleave(steps, 0)
    x, products, found = many * points.repeat(len(images))[:, None, None, None], 1.0, []
    for number, layer in enumerate(layers):
        with forward_mode():
            edits, moving = {}, forward.make_dual(x, many)
            if found:
                moving, one = x, found[-1].repeat_interleave(steps)
                edits = {layers[number - 1]: lambda neurons, one=one: with_speed(neurons, one)}
            with edit(model, edits), capture(model, [layer]) as tensors:
                model(moving)
            slopes = forward.unpack_dual(tensors[layer]).tangent[:, 0].unflatten(0, (-1, steps))
        found.append((products * slopes).mean(1).argmax(1))
        products = products * slopes.gather(2, found[-1][:, None, None].expand(-1, steps, 1))
    return torch.stack(found, 1)


def with_speed(neurons: Tensor, chosen: Tensor) -> Tensor:
    """Let one neuron of the class token of each row move at unit speed."""
    speed = torch.zeros_like(neurons)
    speed[torch.arange(len(chosen)), 0, chosen] = 1
    return forward.make_dual(neurons, speed)


def untrained(name: str, size: int, count: int) -> tuple[nn.Module, Tensor, list[str]]:
    """Return a ViT with random weights, so many images of `size` pixels, and the layers of its neurons."""
    model = build(name, classes=9, size=size, seed=0)
    with torch.no_grad():
        for parameter in model.parameters():  # untrained, its logits are all alike, and rounding would decide
            parameter.mul_(2)
    return model, load("shapes", split="test", size=size, limit=count).images, neuron_layers(model)


def searching(name: str, size: int, count: int, steps: int) -> Callable[[], Pair]:
    """Return a maker of a pair: both sides find the paths of `count` images of `size` pixels with `steps` points."""

    def make() -> Pair:
        model, images, layers = untrained(name, size, count)
        labels = model(images).argmax(1).detach()

        def ours() -> Tensor:
            found = (find_paths(model, images, labels, layers, criterion=criterion, steps=steps)
                     for criterion in ("joint_attribution", "activation"))
            return torch.stack([paths.score for paths in found])

        return {"ours": ours, "theirs": lambda: as_published(model, images, labels, layers, steps)}

    return make


def patterns(name: str, size: int, count: int, steps: int) -> Callable[[], Pair]:
    """Return a maker of a pair: both sides find the influence pattern of each image, equation 9."""

    def make() -> Pair:
        model, images, layers = untrained(name, size, count)

        def ours() -> Tensor:
            found = rank_neurons(model, images, 0, layers, criterion="influence_pattern", keep=1, steps=steps)
            return found[:, :, 0].double()

        return {"ours": ours, "theirs": lambda: pattern(model, images, layers, steps).double()}

    return make


PAIRS: dict[str, Callable[[], Pair]] = {
    "neuron paths, ViT-B, 64 px, as published": searching("timm:vit_base_patch16_224", 64, 1, 5),
    "influence pattern, ViT-B, 64 px, full passes": patterns("timm:vit_base_patch16_224", 64, 1, 20),
    "neuron paths, ViT-L, 32 px, as published": searching("timm:vit_large_patch16_224", 32, 1, 2),
}
