"""Slow references for CRAFT and its metrics, from the formulas: one crop, one row, one mask, one pixel at a time."""
import itertools

import numpy
import torch
from scipy.optimize import nnls
from torch import Tensor, nn
from torch.nn import functional


def crops(image: Tensor, side: int, step: int) -> list[tuple[Tensor, tuple[int, int, int, int]]]:
    """Every crop of one image (C, H, W), row by row, enlarged to the image, and its box."""
    found = []
    for top in range(0, image.shape[1] - side + 1, step):
        for left in range(0, image.shape[2] - side + 1, step):
            crop = image[None, :, top : top + side, left : left + side]
            large = functional.interpolate(crop, size=image.shape[1:], mode="bilinear", align_corners=False)[0]
            found.append((large, (top, left, top + side, left + side)))
    return found


def coefficients(activation: Tensor, bank: Tensor) -> Tensor:
    """Non-negative least squares at each place of one activation (C, h, w): scipy's, (r, h, w)."""
    result = torch.zeros(len(bank), *activation.shape[1:], dtype=torch.float64)
    for y, x in itertools.product(range(activation.shape[1]), range(activation.shape[2])):
        target = activation[:, y, x].double().numpy()
        result[:, y, x] = torch.from_numpy(nnls(bank.double().numpy().T, target)[0])
    return result


def halton(samples: int, dimensions: int) -> numpy.ndarray:
    """Halton's sequence from its definition: the digits of j to the d-th prime, mirrored at the point."""
    primes = [p for p in range(2, 200) if all(p % q for q in range(2, p))][:dimensions]
    points = numpy.zeros((samples, dimensions))
    for j, (d, prime) in itertools.product(range(samples), enumerate(primes)):
        rest, weight = j, 1 / prime
        while rest:
            points[j, d] += (rest % prime) * weight
            rest, weight = rest // prime, weight / prime
    return points


def jansen(function, points: numpy.ndarray) -> list[float]:
    """The total index of each input, one evaluation at a time; `points` holds A and B side by side."""
    samples, dimensions = points.shape[0], points.shape[1] // 2
    a, b = points[:, :dimensions], points[:, dimensions:]
    at_a = [function(row) for row in a]
    mean = sum(at_a) / samples
    variance = sum((value - mean) ** 2 for value in at_a) / (samples - 1)
    indices = []
    for i in range(dimensions):
        total = 0.0
        for j in range(samples):
            row = a[j].copy()
            row[i] = b[j, i]
            total += (at_a[j] - function(row)) ** 2
        indices.append(total / (2 * samples * variance))
    return indices


def ishigami(x: Tensor, a: float = 7.0, b: float = 0.1) -> Tensor:
    """Ishigami's function of (R, 3) inputs that are uniform in [0, 1]."""
    x = (2 * x - 1) * torch.pi
    return x[:, 0].sin() + a * x[:, 1].sin() ** 2 + b * x[:, 2] ** 4 * x[:, 0].sin()


def ishigami_total(a: float = 7.0, b: float = 0.1) -> list[float]:
    """Its total indices, from its variance's parts."""
    pi = numpy.pi
    first = 0.5 * (1 + b * pi**4 / 5) ** 2
    second = a**2 / 8
    both = b**2 * pi**8 * (1 / 18 - 1 / 50)
    whole = first + second + both
    return [(first + both) / whole, second / whole, both / whole]


def masked_logit(head: nn.Module, coefficient: Tensor, bank: Tensor, mask, label: int) -> float:
    """One logit of one image (r, h, w) whose concepts are turned down by a mask, place by place."""
    channels, (height, width) = bank.shape[1], coefficient.shape[1:]
    activation = torch.zeros(channels, height, width, dtype=bank.dtype)
    for y, x in itertools.product(range(height), range(width)):
        for r in range(len(bank)):
            activation[:, y, x] += coefficient[r, y, x] * float(mask[r]) * bank[r]
    return head(activation[None])[0, label].item()


def purity(maps: Tensor, parts: Tensor) -> list[tuple[float, int]]:
    """The largest (q − a) / (1 − a) of each concept and its part, pixel by pixel."""
    area: dict[int, float] = {}
    for part in parts.flatten().tolist():
        area[part] = area.get(part, 0.0) + 1 / parts.numel()
    found = []
    for r in range(maps.shape[1]):
        on: dict[int, float] = dict.fromkeys(area, 0.0)
        for value, part in zip(maps[:, r].flatten().tolist(), parts.flatten().tolist(), strict=True):
            on[part] += value
        total = sum(on.values())
        found.append(max(((on[p] / total - area[p]) / (1 - area[p]), p) for p in area))
    return found


def best_matching(first: Tensor, second: Tensor) -> tuple[int, ...]:
    """The permutation with the largest sum of cosines, of all of them."""
    cosine = functional.normalize(first.T) @ functional.normalize(second.T).T
    ways = itertools.permutations(range(second.shape[1]), first.shape[1])
    return max(ways, key=lambda way: sum(cosine[r, q].item() for r, q in enumerate(way)))
