r"""Noisy linear imputation, the filling of ROAD: each removed pixel becomes the weighted mean of its neighbours.

Usual code builds a sparse matrix for every image and factorises it. Here the matrix is never formed, and all images and
colours are solved at once, by conjugate gradients. Their plain form takes as many steps as a hole is wide: 6 where
single pixels are missing, 500 where most of a photograph of 224 pixels is. So each step also looks at the residual on a
pyramid of grids, each half as fine (Bramble, Pasciak and Xu 1990), and 5 to 35 steps are enough. A first guess from
such a pyramid is no substitute: plain conjugate gradients take as many steps after it as before.
"""
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from nblib.checks import expect_number, expect_tensor
from nblib.engine import PIXELS, chunks, expect_finite, seeded

MOST_STEPS = 1000
SAFETY = 2  # how many times smaller than the tolerance the estimated error has to be
ROOM = PIXELS._replace(on_cpu=2**17, fewest=1)  # two photographs of 224 x 224: four left the caches, a quarter slower
SINGLE_PRECISION = 1e-4  # a finer tolerance is beyond float32 where a hole is large


def impute(
    images: Tensor,
    keep: Tensor,
    *,
    noise: float = 0.01,
    seed: int = 0,
    tolerance: float = 1e-3,
    chunk_size: int | None = None,
) -> Tensor:
    r"""Fill removed pixels in from their neighbours, all at once, so that nothing of what was there can be seen.

    .. math:: W_iv_i-\sum_{j\ \text{removed}}w_{ij}v_j=\sum_{j\ \text{kept}}w_{ij}x_j,\qquad W_i=\sum_jw_{ij},\qquad
        v_i\leftarrow v_i+\text{noise}\cdot\epsilon_i,\quad\epsilon_i\sim\mathcal N(0,1)

    The weights w of a pixel's 8 neighbours are 1/6 along the edges and 1/12 on the diagonals; neighbours outside the
    image count neither on the left nor in W.

    Args:
        images: (N, C, H, W), finite, in any range.
        keep: (N, H, W) bool, False where a pixel is removed, all its colours together.
        noise: the SD of what is added to removed pixels, in the images' own units: 0.01 is a hundredth of [0, 1].
        seed: fixes the noise, one field (C, H, W) for all images, so that an image does not depend on its batch.
        tolerance: how far a value may be from the exact solution, as a share of the range (largest − smallest kept
            value) of its image, from 1e-10 to 1. Images in [0, 1] are therefore exact to `tolerance`.
        chunk_size: images solved together; None goes by their size. Results do not depend on it.

    Returns:
        (N, C, H, W). Kept pixels as they were. Without noise every value is between the smallest and the largest kept
        one, up to the tolerance; with it, values are *not* cut to the range of the images.

    Raises:
        ValueError: shapes or types that do not fit; images that are not finite; an image all of whose pixels are
            removed, which leaves nothing to fill in from; noise below zero; a tolerance out of range.
        RuntimeError: a system that is not solved to the tolerance after 1000 steps.

    Source: Rong et al. (2022), section 4.2; the weights are those of their code. When to stop is told by an estimate of
    the error e. Let r be the residual and Br what the D grids of the pyramid that see the hole make of it. Were B the
    inverse of A, the inequality of Cauchy and Schwarz would give
    :math:`e_i^2\le(A^{-1})_{ii}\,e^\top Ae=B_{ii}\,r^\top Br\le D\,r^\top Br`. The root of that is multiplied
    by the root of the ratio of the image's sides, since influence reaches farther in a strip, and divided by the
    smallest W of the hole, which is below 1 at the border, where B does not know of it. Twice the product has to be
    below the tolerance. That is an estimate and no proof; the tests try it on holes of every kind. Solved in float32,
    or in float64 if the images are or the tolerance is below 1e-4.
    """
    _check(images, keep)
    expect_number("noise", noise, 0)
    expect_number("tolerance", tolerance, 1e-10, 1)
    return fill_in(images, keep, noise, noise_field(images, seed), tolerance, chunk_size)


def noise_field(images: Tensor, seed: int) -> Tensor:
    """Return the normal noise of SD 1 that every image gets, (C, H, W)."""
    return torch.randn(images.shape[1:], generator=seeded(seed)).to(images)


def fill_in(images: Tensor, keep: Tensor, noise: float, field: Tensor, tolerance: float = 1e-3,
            chunk_size: int | None = None) -> Tensor:
    """Do what `impute` does, with checked input and the noise `field` (C, H, W) at hand."""
    double = images.dtype == torch.float64 or tolerance < SINGLE_PRECISION
    precision = torch.float64 if double else torch.float32
    by_size = keep.flatten(1).sum(1).argsort(descending=True)  # similar holes need a similar number of steps
    filled = images.detach().clone()
    for _, place in chunks(images, 1, chunk_size, ROOM):
        rows = by_size[place]
        filled[rows] = _fill(images[rows].detach().to(precision), keep[rows], tolerance).to(images.dtype)
    return torch.where(keep.unsqueeze(1), images.detach(), filled.add_(field, alpha=noise))


def _check(images: Tensor, keep: Tensor) -> None:
    """Refuse images that are not a finite (N, C, H, W), and masks that do not fit them or keep nothing of one."""
    expect_tensor("images", images), expect_tensor("keep", keep)
    if images.ndim != 4 or not images.is_floating_point() or not images.numel():
        given = f"images {tuple(images.shape)} of type {images.dtype}"
        raise ValueError(f"{given} were given, expected floating point (N, C, H, W), not empty")
    if keep.dtype != torch.bool or keep.shape != (len(images), *images.shape[2:]):
        expected = (len(images), *images.shape[2:])
        raise ValueError(f"keep {tuple(keep.shape)} of type {keep.dtype} was given, expected torch.bool {expected}")
    if keep.device != images.device:
        raise ValueError(f"keep is on {keep.device}, the images on {images.device}: bring one to the other")
    expect_finite("images", images)
    empty = ~keep.flatten(1).any(1)
    if empty.any():
        rows = empty.nonzero().flatten().tolist()[:5]
        raise ValueError(f"all pixels of images {rows} are removed, expected at least one to fill in from")


def _fill(images: Tensor, keep: Tensor, tolerance: float) -> Tensor:
    """Return the images with removed pixels filled in, without noise."""
    known = keep.unsqueeze(1).to(images)
    mean = (images * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)
    values = (images - mean).mul_(known)  # removed pixels start from the mean
    highest = (mean + values.amax((2, 3), keepdim=True)).amax(1, keepdim=True)
    lowest = (mean + values.amin((2, 3), keepdim=True)).amin(1, keepdim=True)
    span = torch.where(highest > lowest, highest - lowest, 1)
    return _solve(values.div_(span), 1 - known, tolerance).mul_(span).add_(mean)


class _Grid:
    """A batch on one grid of the pyramid: where it may be corrected, and room to work in."""

    def __init__(self, free: Tensor, colours: int):
        """Take the free nodes, (N, 1, h, w), 1 or 0. The next coarser grid has a node on every second one, 0, 2, ..."""
        count, _, height, width = free.shape
        down, across = height // 2 + 1, width // 2 + 1  # nodes of the coarser grid; the last ones may lie outside
        self.free, self.quarter = free, free / 4
        self.bordered = free.new_zeros(count, colours, 2 * down + 1, 2 * across + 1)
        self.values = self.bordered[:, :, 1 : height + 1, 1 : width + 1]
        self.low = free.new_empty(count, colours, down, 2 * across + 1)
        self.wide = free.new_empty(count, colours, down, 2 * across - 1)

    def coarser(self) -> Tensor:
        """Return the free nodes of the next coarser grid: around them at most one corner of 3 × 3 is not free."""
        height, width = self.free.shape[2:]
        below, right = self.bordered.shape[2] - height - 1, self.bordered.shape[3] - width - 1
        weights = _sums(functional.pad(self.free, (1, right, 1, below), mode="replicate"), 2)  # of 16
        return (weights >= 15).to(self.free)


def _pyramid(free: Tensor, colours: int) -> list[_Grid]:
    """Return the grids from that of the pixels to one of 2 × 2 nodes, or as far as any node is free."""
    grids = [_Grid(free, colours)]
    while max(free.shape[2:]) > 2:
        free = grids[-1].coarser()
        if not free.any():
            break
        grids.append(_Grid(free, colours))
    return grids


def _sums(values: Tensor, stride: int, half: Tensor | None = None, out: Tensor | None = None) -> Tensor:
    """Return the sums of 3 × 3 values by the weights [1, 2, 1]ᵀ[1, 2, 1], around every one or every second."""
    half = torch.add(values[..., :-2:stride, :], values[..., 2::stride, :], out=half)
    half.add_(values[..., 1:-1:stride, :], alpha=2)
    out = torch.add(half[..., :-2:stride], half[..., 2::stride], out=out)
    return out.add_(half[..., 1:-1:stride], alpha=2)


def _add_coarser(fine: _Grid, coarse: _Grid, out: Tensor) -> Tensor:
    """Write to `out` the values on a grid plus those on the next coarser one, linear between its nodes."""
    nodes, wide = coarse.values, fine.wide
    wide[..., ::2] = nodes
    torch.add(nodes[..., 1:], nodes[..., :-1], out=wide[..., 1::2]).mul_(0.5)
    height, width = out.shape[2:]
    wide, odd = wide[..., :width], height // 2
    torch.add(fine.values[:, :, ::2], wide[:, :, : height - odd], out=out[:, :, ::2])
    torch.add(fine.values[:, :, 1::2], wide[:, :, :odd], alpha=0.5, out=out[:, :, 1::2])
    out[:, :, 1::2].add_(wide[:, :, 1 : odd + 1], alpha=0.5)
    return out


def _correct(grids: list[_Grid], out: Tensor) -> None:
    """Write to `out`, (N, C, H, W), the sum B r of what all grids make of the residual r on the finest one."""
    for fine, coarse in pairwise(grids):
        _sums(fine.bordered, 2, fine.low, coarse.values).mul_(coarse.quarter)
    for fine, coarse in reversed(list(pairwise(grids[1:]))):
        _add_coarser(fine, coarse, fine.values).mul_(fine.free)
    if len(grids) > 1:
        _add_coarser(grids[0], grids[1], out)
    else:
        out.copy_(grids[0].values)


def _dot(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """Return the inner products, (N, C, 1, 1), summed row by row, so that they do not depend on the batch."""
    return torch.mul(a, b, out=out).sum(3, keepdim=True).sum(2, keepdim=True)


def _solve(values: Tensor, removed: Tensor, tolerance: float) -> Tensor:
    r"""Solve for the pixels of `values`, (N, C, H, W), that are removed, (N, 1, H, W), in place; conjugate gradients.

    With :math:`S=[1,2,1]^\top[1,2,1]` the weights are :math:`w=(S-4)/12`, and :math:`Ap=(W+\tfrac13)p-\tfrac1{12}Sp`.
    Each image and colour has its own steps, and an image that is exact enough stands still, whatever its batch needs.
    """
    count, colours, height, width = values.shape
    grids = _pyramid(removed, colours)
    depth = sum(grid.free.amax((1, 2, 3), keepdim=True) for grid in grids)
    minus_twelfth, residual = removed / -12, grids[0].values
    diagonal = _sums(functional.pad(values.new_ones(1, 1, height, width), (1, 1, 1, 1)), 1) / 12
    lightest = torch.where(removed > 0, diagonal - 1 / 3, 1).amin((1, 2, 3), True)  # W of the hole, (N, 1, 1, 1)
    reach = SAFETY * (depth * max(height, width) / min(height, width)).sqrt() / lightest
    bordered = functional.pad(values, (1, 1, 1, 1))
    direction, low = bordered[:, :, 1:-1, 1:-1], values.new_empty(count, colours, height, width + 2)
    product, spare = torch.empty_like(values), torch.empty_like(values)
    _sums(bordered, 1, low, product).mul_(minus_twelfth).addcmul_(values, diagonal * removed)
    torch.neg(product, out=residual)
    direction.zero_()
    before = torch.inf
    for _ in range(MOST_STEPS):
        _correct(grids, spare)
        energy = _dot(residual, spare, product)
        exact = reach * energy.amax(1, keepdim=True).sqrt() <= tolerance  # (N, 1, 1, 1); False for NaN
        if exact.all():
            return values
        direction.mul_(torch.where(energy > 0, energy / before, 0)).addcmul_(spare, removed)
        before = energy
        _sums(bordered, 1, low, product).mul_(minus_twelfth).addcmul_(direction, diagonal)
        curvature = _dot(direction, product, spare)
        step = torch.where((curvature > 0) & ~exact, energy / curvature, 0)
        values.addcmul_(direction, step)
        residual.addcmul_(product, step, value=-1)
    wanting = int((~exact).sum())
    raise RuntimeError(f"{wanting} of {count} images were not filled in to tolerance={tolerance} in {MOST_STEPS} steps")
