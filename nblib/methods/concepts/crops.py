"""Crops of images on a regular grid: the pieces in which CRAFT looks for concepts."""
import math
from typing import NamedTuple

import torch
from torch import Tensor

from nblib.checks import expect_number
from nblib.engine import expect_images


class Crop(NamedTuple):
    """A crop: the number of its image, (top, left, bottom, right) in pixels, and its coefficient of a concept."""

    image: int
    box: tuple[int, int, int, int]
    coefficient: float


def cut(images: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Cut images into crops whose side is a share of the image's, four fifths of their side apart.

    Args:
        images: (N, C, H, W).
        share: in (0, 1]; sides are rounded down to pixels, and the last pixels before the border may be in no crop.

    Returns:
        The crops, a view (N, C, down, across, h, w), and the box of each place, (down · across, 4): top, left, bottom
        and right in pixels.

    Raises:
        ValueError: a share of less than a pixel.
    """
    expect_images(images)
    share = expect_number("crop", share, 0, 1)
    sides = [math.floor(share * side + 1e-9) for side in images.shape[2:]]
    if min(sides) < 1:
        raise ValueError(f"crop={share!r} was given, expected at least one pixel of {tuple(images.shape[2:])}")
    steps = [max(1, 4 * side // 5) for side in sides]
    crops = images.unfold(2, sides[0], steps[0]).unfold(3, sides[1], steps[1])
    corners = torch.cartesian_prod(*(torch.arange(n) * step for n, step in zip(crops.shape[2:4], steps, strict=True)))
    return crops, torch.cat([corners, corners + torch.tensor(sides)], 1)
