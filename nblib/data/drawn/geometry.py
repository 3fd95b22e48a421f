r"""The outlines and patterns of the generated shapes, each a function that is negative inside and positive outside.

Points are in the unit of the object, so that 1 is its nominal radius; every function takes `x` and `y` of equal shape
and returns a distance to the outline, exact near straight edges, which is what anti-aliasing needs.
"""
import math
from collections.abc import Callable

import torch
from torch import Tensor

Outline = Callable[[Tensor, Tensor], Tensor]
REACH = 1.42  # no body reaches further from its centre
MARKING_RADIUS = 0.64  # the disc that every body contains, in which the marking is drawn


def _box(x: Tensor, y: Tensor, width: float, height: float) -> Tensor:
    """Distance to a rectangle of half-sides `width` and `height`."""
    return torch.maximum(x.abs() - width, y.abs() - height)


def _ring(x: Tensor, y: Tensor, radius: float, half: float) -> Tensor:
    """Distance to a circular line of half-width `half`."""
    return (torch.hypot(x, y) - radius).abs() - half


def disc(x: Tensor, y: Tensor) -> Tensor:
    """A filled circle."""
    return torch.hypot(x, y) - 0.98


def square(x: Tensor, y: Tensor) -> Tensor:
    """A square with its corners at 1.23."""
    return _box(x, y, 0.87, 0.87)


def triangle(x: Tensor, y: Tensor) -> Tensor:
    """An equilateral triangle with its corners at 1.42."""
    half = math.sqrt(3) / 2
    return torch.maximum(-y, half * x.abs() + y / 2) - 0.71


def cross(x: Tensor, y: Tensor) -> Tensor:
    """A plus sign with arms of width 0.98."""
    return torch.minimum(_box(x, y, 1.15, 0.49), _box(x, y, 0.49, 1.15))


def star(x: Tensor, y: Tensor) -> Tensor:
    """A five-pointed star, tips at 1.42, notches at 0.68."""
    fifth = 2 * math.pi / 5
    angle = torch.atan2(y, x)
    folded = (angle - fifth * torch.round(angle / fifth)).abs()  # one half of one point stands for all ten
    radius = torch.hypot(x, y)
    along, across = radius * torch.cos(folded), radius * torch.sin(folded)
    notch = (0.68 * math.cos(fifth / 2), 0.68 * math.sin(fifth / 2))
    edge = math.hypot(REACH - notch[0], notch[1])
    return ((along - REACH) * notch[1] + across * (REACH - notch[0])) / edge


def capsule(x: Tensor, y: Tensor) -> Tensor:
    """A bar with round ends, 1.36 wide and 2.6 long."""
    return torch.hypot((x.abs() - 0.62).clamp(min=0), y) - 0.68


def stripes(x: Tensor, y: Tensor) -> Tensor:
    """Three parallel bars."""
    return (x - (2 / 3) * torch.round(x * 1.5).clamp(-1, 1)).abs() - 0.17


def ring(x: Tensor, y: Tensor) -> Tensor:
    """One circular line."""
    return _ring(x, y, 0.66, 0.2)


def dots(x: Tensor, y: Tensor) -> Tensor:
    """Four discs."""
    return torch.hypot(x.abs() - 0.46, y.abs() - 0.46) - 0.29


def half(x: Tensor, y: Tensor) -> Tensor:
    """One half of the disc."""
    return x


def bars(x: Tensor, y: Tensor) -> Tensor:
    """Two bars that cross."""
    return torch.minimum(x.abs(), y.abs()) - 0.2


def checker(x: Tensor, y: Tensor) -> Tensor:
    """Two opposite quarters of the disc."""
    return torch.where(x * y > 0, -1.0, 1.0) * torch.minimum(x.abs(), y.abs())


BODIES: dict[str, Outline] = {
    "disc": disc, "triangle": triangle, "cross": cross, "star": star, "square": square, "capsule": capsule,
}
MARKINGS: dict[str, Outline] = {
    "stripes": stripes, "ring": ring, "dots": dots, "half": half, "bars": bars, "checker": checker,
}
