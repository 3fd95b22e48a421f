"""What is done to raw maps before they are shown or measured: each step a function with a name."""
import torch
from torch import Tensor
from torch.nn import functional

from nblib.checks import expect_int, expect_rows, expect_tensor
from nblib.engine import as_given, exactly, precise


def absolute(maps: Tensor) -> Tensor:
    r"""The magnitude, :math:`|S|`: how much a pixel matters, for the target or against it. Any shape."""
    return expect_tensor("maps", maps).abs()


def positive(maps: Tensor) -> Tensor:
    r"""What speaks for the target, :math:`\max(0,S)` (ReLU). Any shape."""
    return expect_tensor("maps", maps).relu()


def normalize_max(maps: Tensor) -> Tensor:
    r"""Divide each map by its largest value, :math:`S/\max S`, as P4 does before its metrics.

    Args:
        maps: (N, ...), one map a row.

    Returns:
        The same shape, at most 1; in [0, 1] for a map without negative values. An all-zero map stays zero; a map whose
        largest value is negative, or zero beside negative ones, has nothing to be divided by and becomes NaN.
    """
    flat = expect_rows("maps", maps).flatten(1)
    top = flat.amax(1, keepdim=True)
    zero = (flat == 0).all(1, keepdim=True)
    scaled = flat / torch.where(top > 0, top, float("nan"))
    return torch.where(zero, 0.0, scaled).view_as(maps)


def normalize_min_max(maps: Tensor) -> Tensor:
    r"""Stretch each map to [0, 1], :math:`(S-\min S)/(\max S-\min S)`; a constant map becomes zero.

    Args:
        maps: (N, ...), one map a row.

    Returns:
        The same shape, in [0, 1]. Zero no longer means "no evidence": use it for maps with an arbitrary offset, as
        RISE's.
    """
    flat = expect_rows("maps", maps).flatten(1)
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    return torch.where(high > low, (flat - low) / (high - low), torch.where(low.isfinite(), 0.0, low)).view_as(maps)


def to_patches(maps: Tensor, patch: int) -> Tensor:
    r"""The mean over each patch of p × p pixels, :math:`a_{ij}=p^{-2}\sum_{u,v\in\text{patch}}S_{uv}`.

    Args:
        maps: (N, H, W); a mask of booleans gives the share of each patch that it covers.
        patch: p, which divides H and W.

    Returns:
        (N, H/p, W/p).

    Raises:
        ValueError: maps of another shape, or a patch that does not divide them.
    """
    expect_int("patch", patch, 1)
    if expect_tensor("maps", maps).ndim != 3 or patch < 1 or maps.shape[1] % patch or maps.shape[2] % patch:
        given = f"maps of shape {tuple(maps.shape)} and patch={patch}"
        raise ValueError(f"{given} were given, expected (N, H, W) and a whole number that divides H and W")
    with exactly(maps):
        return as_given(functional.avg_pool2d(precise(maps).unsqueeze(1), patch).squeeze(1), maps)
