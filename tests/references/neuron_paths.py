"""Slow references for neuron paths, from the definitions: one image at a time, with hooks of their own, in plain loops.

A clamped layer is a pair: the tokens that are held, and their values (m, τ, n) at m points. `search` is the authors'
procedure with everything recomputed at each layer and one backward call for each layer of the path.
"""
import contextlib
import math

import torch
from torch import Tensor, nn

TOKENS = {"cls": slice(0, 1), "patches": slice(1, None), "all": slice(None)}


class MeanPooled(nn.Module):
    """Patches of 4 x 4 pixels behind a class token, two blocks, read from the patches' mean or the first token."""

    def __init__(self, classes: int = 4, width: int = 8, neurons: int = 12, read: str = "mean", size: int = 8):
        super().__init__()
        self.patch = nn.Conv2d(3, width, 4, 4)
        self.first = nn.Parameter(torch.zeros(1, 1, width))
        self.place = nn.Parameter(torch.zeros(1, (size // 4) ** 2 + 1, width))
        self.blocks = nn.ModuleList(OtherBlock(width, neurons) for _ in range(2))
        self.head = nn.Linear(width, classes)
        self.read = read

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patch(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(len(patches), -1, -1), patches], 1) + self.place
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0] if self.read == "first" else x[:, 1:].mean(1))


class OtherBlock(nn.Module):
    """A block that `vit_parts` does not know: torch's attention, a tanh between two linear maps, no norms."""

    def __init__(self, width: int, neurons: int):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.into, self.bend, self.out = nn.Linear(width, neurons), nn.Tanh(), nn.Linear(neurons, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return x + self.out(self.bend(self.into(x)))


@contextlib.contextmanager
def replaced(model: nn.Module, held: dict[str, tuple[slice, Tensor]]):
    """Put values into tokens of layers."""
    modules = dict(model.named_modules())

    def hook(tokens: slice, values: Tensor):
        def put(_, __, output: Tensor) -> Tensor:
            output = output.clone()
            output[:, tokens] = values
            return output

        return put

    handles = [modules[layer].register_forward_hook(hook(*pair)) for layer, pair in held.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def neurons_of(model: nn.Module, image: Tensor, layer: str, tokens: str) -> Tensor:
    """The clean values (τ, n) of a layer, from a forward pass of its own."""
    found = []
    handle = dict(model.named_modules())[layer].register_forward_hook(lambda _, __, output: found.append(output))
    with torch.no_grad():
        model(image[None])
    handle.remove()
    return found[0][0, TOKENS[tokens]].clone()


def probability(model: nn.Module, image: Tensor, label: int, held: dict[str, Tensor], tokens: str) -> Tensor:
    """The probability of the label at each of m points, (m,), with layers held at values (m, τ, n)."""
    count = len(next(iter(held.values()))) if held else 1
    with replaced(model, {layer: (TOKENS[tokens], values) for layer, values in held.items()}):
        return model(image.expand(count, -1, -1, -1)).softmax(1)[:, label]


def scaled(clean: Tensor, neuron: int, points: Tensor) -> tuple[Tensor, Tensor]:
    """The layer (m, τ, n) with one neuron scaled to each point, and that neuron's values, (m, τ), a leaf."""
    leaf = (points[:, None] * clean[None, :, neuron]).requires_grad_()
    values = clean.expand(len(points), -1, -1).clone()
    values[:, :, neuron] = leaf
    return values, leaf


def path_terms(model, image, label, layers, path, points, weights, tokens) -> tuple[Tensor, Tensor]:
    """The clean values and the mean slopes of a path's neurons, (l, τ) each, by one backward call a layer."""
    held, leaves, activations = {}, [], []
    for layer, neuron in zip(layers, path):
        clean = neurons_of(model, image, layer, tokens)
        held[layer], leaf = scaled(clean, neuron, points)
        leaves.append(leaf)
        activations.append(clean[:, neuron])
    total = probability(model, image, label, held, tokens).sum()
    slopes = [torch.autograd.grad(total, leaf, retain_graph=True, materialize_grads=True)[0] for leaf in leaves]
    return torch.stack(activations), torch.stack([(weights[:, None] * slope).sum(0) for slope in slopes])


def joint_attribution(*arguments) -> float:
    """Definition 1, the product of sums in each token, summed over tokens; arguments as of `path_terms`."""
    activations, slopes = path_terms(*arguments)
    total = 0.0
    for token in range(activations.shape[1]):
        for activation in activations[:, token].tolist():  # with all cross terms
            for slope in slopes[:, token].tolist():
                total += activation * slope
    return total


def path_integral(*arguments) -> float:
    """The same without cross terms."""
    activations, slopes = path_terms(*arguments)
    return math.fsum((activations * slopes).flatten().tolist())


def search(model, image, label, layers, points, weights, tokens="cls",
           candidates="layer_scaled") -> tuple[list[int], float]:
    """The published search: the path, and its joint attribution, scored anew when it is complete."""
    path: list[int] = []
    for layer in layers:
        clean = neurons_of(model, image, layer, tokens)
        shares = points if candidates == "layer_scaled" else torch.ones_like(points)
        whole = (shares[:, None, None] * clean).requires_grad_()
        held, leaves, activation = {layer: whole}, [], clean.clone()
        for before, neuron in zip(layers, path):
            values = neurons_of(model, image, before, tokens)
            held[before], leaf = scaled(values, neuron, points)
            leaves.append(leaf)
            activation += values[:, neuron, None]
        total = probability(model, image, label, held, tokens).sum()
        gradient = torch.autograd.grad(total, whole, retain_graph=True, materialize_grads=True)[0]  # (m, τ, n)
        for leaf in leaves:
            gradient = gradient + torch.autograd.grad(
                total, leaf, retain_graph=True, materialize_grads=True)[0][:, :, None]
        score = ((weights[:, None, None] * gradient).sum(0) * activation).sum(0)  # (n,)
        path.append(int(score.argmax()))
    return path, joint_attribution(model, image, label, layers, path, points, weights, tokens)


def algorithm_1(model, image, label, layers, points, weights, tokens="cls", best: int | None = None,
                width: int = 1) -> list[tuple[float, list[int]]]:
    """The paper's algorithm, each candidate by its own joint attribution, with a beam; scores and paths, best first.

    `best` keeps only the candidates that are screened best, by `layer_scaled` slopes.
    """
    beam: list[tuple[float, list[int]]] = [(0.0, [])]
    for number, layer in enumerate(layers):
        longer = []
        for _, path in beam:
            count = neurons_of(model, image, layer, tokens).shape[1]
            tried = range(count) if best is None else _screened(
                model, image, label, layers[: number + 1], path, points, weights, tokens)[:best]
            for neuron in tried:
                new = [*path, neuron]
                score = joint_attribution(model, image, label, layers[: number + 1], new, points, weights, tokens)
                longer.append((score, new))
        beam = sorted(longer, key=lambda pair: -pair[0])[:width]
    return beam


def _screened(model, image, label, layers, path, points, weights, tokens) -> list[int]:
    """The neurons of the last of `layers`, the most promising first, with the whole layer scaled."""
    clean = neurons_of(model, image, layers[-1], tokens)
    whole = (points[:, None, None] * clean).requires_grad_()
    held, leaves, activation = {layers[-1]: whole}, [], clean.clone()
    for before, neuron in zip(layers, path):
        values = neurons_of(model, image, before, tokens)
        held[before], leaf = scaled(values, neuron, points)
        leaves.append(leaf)
        activation += values[:, neuron, None]
    gradient, *others = torch.autograd.grad(
        probability(model, image, label, held, tokens).sum(), [whole, *leaves], materialize_grads=True)
    for other in others:
        gradient = gradient + other[:, :, None]
    score = ((weights[:, None, None] * gradient).sum(0) * activation).sum(0)
    return score.argsort(descending=True).tolist()


def knowledge(model, image, label, layer, points, weights, tokens) -> Tensor:
    """The knowledge attribution (n,) of a layer's neurons, the whole layer scaled."""
    clean = neurons_of(model, image, layer, tokens)
    whole = (points[:, None, None] * clean).requires_grad_()
    total = probability(model, image, label, {layer: whole}, tokens).sum()
    slope = torch.autograd.grad(total, whole, materialize_grads=True)[0]
    return (clean * (weights[:, None, None] * slope).sum(0)).sum(0)


def mean_gradient(model, image, label, layer, start, points, weights, tokens) -> Tensor:
    """The mean slope (n,) of a layer's neurons on the way from `start` to the image, point by point."""
    total = 0
    for point, weight in zip(points, weights):
        x = start + point * (image - start)
        clean = neurons_of(model, x, layer, tokens).requires_grad_()
        value = probability(model, x, label, {layer: clean[None]}, tokens).sum()
        total = total + weight * torch.autograd.grad(value, clean, materialize_grads=True)[0].sum(0)
    return total


def pattern_slopes(model, x, way, layers, number, before, tokens, step=1e-5) -> Tensor:
    """The slopes (n,) of a layer's neurons along the image's way, or with respect to the neuron before: differences."""
    if number == 0:
        up, down = (neurons_of(model, x + sign * step * way, layers[0], tokens) for sign in (1, -1))
    else:
        clean = neurons_of(model, x, layers[number - 1], tokens)
        sides = []
        for sign in (1, -1):
            moved = clean.clone()
            moved[:, before] += sign * step
            with replaced(model, {layers[number - 1]: (TOKENS[tokens], moved)}):
                sides.append(neurons_of(model, x, layers[number], tokens))
        up, down = sides
    return ((up - down) / (2 * step)).sum(0)


def influence_pattern(model, image, layers, start, points, weights, tokens="cls") -> tuple[list[int], list[float]]:
    """Equation 9, greedily: the path, and the pattern's influence behind each layer."""
    way, path, reached = image - start, [], []
    products = torch.ones(len(points), dtype=image.dtype)
    for number in range(len(layers)):
        before = path[-1] if path else None
        slopes = torch.stack([
            pattern_slopes(model, start + point * way, way, layers, number, before, tokens) for point in points])
        scores = ((weights * products)[:, None] * slopes).sum(0)
        path.append(int(scores.argmax()))
        reached.append(float(scores.max()))
        products = products * slopes[:, path[-1]]
    return path, reached
