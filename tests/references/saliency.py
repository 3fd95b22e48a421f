"""Slow references, written from the formulas: one image, one pixel, one window at a time."""
import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class SmallNet(nn.Module):
    """Two convolutions with batch norm, pooling, a linear layer; ReLUs are modules, in place, or functional."""

    def __init__(self, classes: int = 4, relu: str = "module"):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(6)
        self.relu1 = functional.relu if relu == "functional" else nn.ReLU(inplace=relu == "inplace")
        self.conv2 = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.bn2 = nn.BatchNorm2d(8)
        self.relu2 = functional.relu if relu == "functional" else nn.ReLU(inplace=relu == "inplace")
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.bn2(self.conv2(x)))
        return self.head(self.pool(x).flatten(1))


class LinearNet(nn.Module):
    """Logits that are linear in the pixels, with a bias."""

    def __init__(self, size: int = 8, classes: int = 3):
        super().__init__()
        self.head = nn.Linear(3 * size * size, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.flatten(1))


def settled(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give a network random weights, biases and norm statistics (fresh ones hide mistakes), float64, eval mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (*model.parameters(), *(b for b in model.buffers() if b.is_floating_point())):
            fan_in = tensor[0].numel() if tensor.ndim > 1 else 4
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * (2 / fan_in) ** 0.5)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_var.abs_().add_(0.5)
                module.weight.abs_().add_(0.5)
            elif hasattr(module, "running_square"):
                module.running_square.abs_().add_(0.5)
    return model.double().eval()


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
    for before, norm, conv, into in ((before2, model.bn2, model.conv2, before1), (before1, model.bn1, model.conv1, image[None])):
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
