"""Slow references, written from the formulas: one image, one pixel, one window at a time."""
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.fixtures.networks import SmallNet


def logit(model: nn.Module, image: Tensor, label: int) -> Tensor:
    """One logit of one image (C, H, W)."""
    return model(image.unsqueeze(0))[0, label]


def slope(model: nn.Module, image: Tensor, label: int) -> Tensor:
    """The gradient of one logit with respect to one image."""
    image = image.detach().clone().requires_grad_()
    return torch.autograd.grad(logit(model, image, label), image)[0]


def integrated_gradients(model: nn.Module, image: Tensor, label: int, start: Tensor, points, weights) -> Tensor:
    """Equation 1 of Sundararajan et al. 2017, one point at a time."""
    total = torch.zeros_like(image)
    for alpha, weight in zip(points, weights):
        total += weight * slope(model, start + alpha * (image - start), label)
    return (image - start) * total


def finite_difference(function, image: Tensor, place: tuple[int, ...], step: float = 1e-5) -> float:
    """The derivative of `function(image)` with respect to one pixel, from two evaluations."""
    up, down = image.clone(), image.clone()
    up[place] += step
    down[place] -= step
    with torch.no_grad():
        return float((function(up) - function(down)) / (2 * step))


def guided_backprop(model: SmallNet, image: Tensor, label: int, top: float = math.inf) -> Tensor:
    """Layer by layer from the logit down: each ReLU, flat above `top`, passes what is positive where it is active."""
    before1 = model.bn1(model.conv1(image[None]))
    before2 = model.bn2(model.conv2(before1.clamp(0, top)))
    down = (model.head.weight[label] / before2[0, 0].numel())[None, :, None, None].expand_as(before2)
    halves = (before2, model.bn2, model.conv2, before1), (before1, model.bn1, model.conv1, image[None])
    for before, norm, conv, into in halves:
        down = down.clamp(min=0) * ((before > 0) & (before < top))
        down = down * (norm.weight / (norm.running_var + norm.eps).sqrt())[:, None, None]
        down = torch.nn.grad.conv2d_input(into.shape, conv.weight, down, conv.stride, conv.padding)
    return down[0].detach()


def grad_cam(activation: Tensor, gradient: Tensor, plus: bool = False) -> Tensor:
    """The map (h, w) of one image before ReLU and enlarging, from activation and gradient (k, h, w)."""
    result = torch.zeros_like(activation[0])
    for a, g in zip(activation, gradient):
        if plus:
            weight = 0.0
            for value in g.flatten().tolist():
                if value:
                    weight += value**2 / (2 * value**2 + float(a.sum()) * value**3 + 1e-6) * max(value, 0.0)
        else:
            weight = float(g.mean())
        result += weight * a
    return result


def occlusion(model: nn.Module, image: Tensor, label: int, window: int, stride: int, paint: float) -> Tensor:
    """The mean drop in probability over the windows that cover each pixel, (H, W)."""
    height, width = image.shape[1:]
    total, count = torch.zeros_like(image[0]), torch.zeros_like(image[0])
    before = model(image[None]).softmax(1)[0, label]
    for top in range(0, height - window + stride, stride):
        for left in range(0, width - window + stride, stride):
            painted = image.clone()
            painted[:, top : top + window, left : left + window] = paint
            drop = before - model(painted[None]).softmax(1)[0, label]
            total[top : top + window, left : left + window] += drop
            count[top : top + window, left : left + window] += 1
    return (total / count).detach()


def bilinear(grid: Tensor, y: float, x: float) -> float:
    """The value of a grid of cells at a place in cells, whose middles are at ½, 1½, ...; constant beyond the border."""
    height, width = grid.shape
    y, x = min(max(y - 0.5, 0), height - 1), min(max(x - 0.5, 0), width - 1)
    y0, x0 = int(y), int(x)
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    v, u = y - y0, x - x0
    upper = (1 - u) * grid[y0, x0] + u * grid[y0, x1]
    return float((1 - v) * upper + v * ((1 - u) * grid[y1, x0] + u * grid[y1, x1]))


def rise_mask(grid: Tensor, height: int, width: int, shift: tuple[int, int]) -> Tensor:
    """One mask of RISE, pixel by pixel: the grid stretched over one cell more than the image, cut out at `shift`."""
    cells = len(grid)
    large = ((cells + 1) * math.ceil(height / cells), (cells + 1) * math.ceil(width / cells))
    mask = torch.zeros(height, width, dtype=torch.float64)
    for i in range(height):
        for j in range(width):
            y = (i + shift[0] + 0.5) * cells / large[0]
            x = (j + shift[1] + 0.5) * cells / large[1]
            mask[i, j] = bilinear(grid, y, x)
    return mask


def frozen_b_cos(model: nn.Module, encoded: Tensor, label: int):
    """A B-cos network's logit, without its bias, as a function of its encoding (1, 6, H, W), cosines held."""

    def layer(conv: nn.Module, x: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
        unit = conv.weight / conv.weight.square().sum((1, 2, 3), keepdim=True).sqrt()
        kernel = unit.shape[2]
        fixed = functional.conv2d(at, unit, stride=conv.stride, padding=conv.padding)
        patches = functional.unfold(at, kernel, padding=conv.padding, stride=conv.stride)
        norm = (patches.square().sum(1) + conv.eps).sqrt().view(1, 1, *fixed.shape[2:])
        cosine = fixed.abs() / norm
        return functional.conv2d(x, unit, stride=conv.stride, padding=conv.padding) * cosine, fixed * cosine

    def logit_at(x: Tensor) -> Tensor:
        at = encoded
        for block in (module for module in model.modules() if hasattr(module, "residual")):
            factor = (block.norm.weight / (block.norm.running_square + block.norm.eps).sqrt()).view(1, -1, 1, 1)
            new, new_at = (t * factor for t in layer(block.conv, x, at))
            x, at = (new + x, new_at + at) if block.residual else (new, new_at)
        return model.scale * layer(model.classify, x, at)[0].mean((2, 3))[0, label]

    return logit_at
