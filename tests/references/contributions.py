"""Slow references for contributions, written from the formulas: one image, one unit, one step at a time."""
import torch
from torch import Tensor, nn

from nblib.hooks import capture, edit


def output(model: nn.Module, layer: str, image: Tensor) -> Tensor:
    """A layer's output for one image (C, H, W)."""
    with torch.no_grad(), capture(model, [layer]) as seen:
        model(image[None])
    return seen[layer][0]


def slope_at(model: nn.Module, layer: str, image: Tensor, label: int, value: Tensor | None = None) -> Tensor:
    """The gradient of one logit with respect to a layer, at an image, or where the layer is held at a value."""
    held = (output(model, layer, image) if value is None else value).clone().requires_grad_()
    with edit(model, {layer: lambda _: held[None]}):
        return torch.autograd.grad(model(image[None])[0, label], held)[0]


def trapezoid(model: nn.Module, layer: str, image: Tensor, label: int, start: Tensor, steps: int) -> Tensor:
    """The authors' sum: mean slopes of neighbours times the differences of the layer."""
    points = [start + number / steps * (image - start) for number in range(steps + 1)]
    h = [output(model, layer, point) for point in points]
    g = [slope_at(model, layer, point, label) for point in points]
    return sum((g[k] + g[k - 1]) / 2 * (h[k] - h[k - 1]) for k in range(1, steps + 1))


def right(model: nn.Module, layer: str, image: Tensor, label: int, start: Tensor, steps: int) -> Tensor:
    """Equation 21 of the paper."""
    points = [start + number / steps * (image - start) for number in range(steps + 1)]
    h = [output(model, layer, point) for point in points]
    return sum(slope_at(model, layer, points[k], label) * (h[k] - h[k - 1]) for k in range(1, steps + 1))


def layer_line(model: nn.Module, layer: str, image: Tensor, label: int, start: Tensor, points, weights) -> Tensor:
    """Equation 12: a line in the layer's own space."""
    after, before = output(model, layer, image), output(model, layer, start)
    mean = sum(weight * slope_at(model, layer, image, label, before + point * (after - before))
               for point, weight in zip(points, weights))
    return (after - before) * mean


def unit_maps(model: nn.Module, layer: str, image: Tensor) -> Tensor:
    """The derivatives of all units of a layer with respect to all pixels, (units, C, H, W), one backward pass each."""
    rows = image[None].clone().requires_grad_()
    with capture(model, [layer]) as seen:
        model(rows)
    units = seen[layer].flatten()
    return torch.stack([torch.autograd.grad(unit, rows, retain_graph=True)[0][0] for unit in units])


def correlation(first: list[float], second: list[float]) -> float:
    """Pearson's r, term by term."""
    a, b = sum(first) / len(first), sum(second) / len(second)
    top = sum((x - a) * (y - b) for x, y in zip(first, second))
    return top / (sum((x - a) ** 2 for x in first) * sum((y - b) ** 2 for y in second)) ** 0.5
