r"""Noisy linear imputation, the filling of ROAD: each removed pixel becomes the weighted mean of its neighbours.

Usual code builds a sparse matrix for every image and factorises it. Here the matrix is never formed, and all images and
colours are solved at once, by conjugate gradients. Their plain form needs as many steps as a hole is wide: 10 where
single pixels are missing, 500 where most of a photograph of 224 pixels is. So each step also looks at the residual on a
pyramid of grids, each half as fine (Bramble, Pasciak and Xu 1990), and then 5 to 35 steps are enough. A good first
guess from the same pyramid would not do: it saves plain conjugate gradients no step, since the border of a hole remains.
"""
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from nblib.checks import number
from nblib.methods.common import chunks, seeded

MOST_STEPS = 1000
SAFETY = 3  # how much smaller than the tolerance the estimated error has to be
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

    Source: Rong et al. (2022), section 4.2; the weights are those of their code. The error e is estimated from the
    residual r and the pyramid's answer to it, Br: by Cauchy and Schwarz
    :math:`|e_i|\le\sqrt{(A^{-1})_{ii}}\,\|e\|_A`, and :math:`\|e\|_A^2\approx r^\top Br`. On holes of every kind the
    largest error was 0.2 to 2 times :math:`\sqrt{r^\top Br}`; three times that has to be below the tolerance.
    Solved in float32, or in float64 if the images are or the tolerance is below 1e-4.
    """
    _check(images, keep)
    number("noise", noise, 0)
    number("tolerance", tolerance, 1e-10, 1)
    double = images.dtype == torch.float64 or tolerance < SINGLE_PRECISION
    precision = torch.float64 if double else torch.float32
    by_size = keep.flatten(1).sum(1).argsort(descending=True)  # similar holes need a similar number of steps
    filled = images.detach().clone()
    for _, place in chunks(images, 1, chunk_size):
        rows = by_size[place]
        filled[rows] = _fill(images[rows].detach().to(precision), keep[rows], tolerance).to(images.dtype)
    field = torch.randn(images.shape[1:], generator=seeded(seed)).to(images)
    return torch.where(keep.unsqueeze(1), images.detach(), filled.add_(field, alpha=noise))


def _check(images: Tensor, keep: Tensor) -> None:
    """Refuse images that are not a finite (N, C, H, W), and masks that do not fit them or keep nothing of one."""
    if images.ndim != 4 or not images.is_floating_point() or not images.numel():
        given = f"images {tuple(images.shape)} of type {images.dtype}"
        raise ValueError(f"{given} were given, expected floating point (N, C, H, W), not empty")
    if keep.dtype != torch.bool or keep.shape != (len(images), *images.shape[2:]):
        expected = (len(images), *images.shape[2:])
        raise ValueError(f"keep {tuple(keep.shape)} of type {keep.dtype} was given, expected torch.bool {expected}")
    if keep.device != images.device:
        raise ValueError(f"keep is on {keep.device}, the images on {images.device}: bring one to the other")
    if not images.isfinite().all():
        bad = (~images.isfinite().flatten(1).all(1)).nonzero().flatten().tolist()
        raise ValueError(f"images {bad[:5]} have values that are not finite (NaN or infinite), expected finite ones")
    empty = ~keep.flatten(1).any(1)
    if empty.any():
        rows = empty.nonzero().flatten().tolist()[:5]
        raise ValueError(f"all pixels of images {rows} are removed, expected at least one to fill in from")


def _fill(images: Tensor, keep: Tensor, tolerance: float) -> Tensor:
    """Return the images with removed pixels filled in, without noise; all are solved for in [−1, 1]."""
    known = keep.unsqueeze(1).to(images)
    mean = (images * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)
    values = (images - mean).mul_(known)  # removed pixels start from the mean
    span = (mean + values.amax((2, 3), keepdim=True)).amax(1, True) - (mean + values.amin((2, 3), keepdim=True)).amin(1, True)
    values.div_(torch.where(span > 0, span, 1))
    return _solve(values, 1 - known, tolerance).mul_(span).add_(mean)


class _Grid:
    """A batch on a grid: which of its nodes are free to be corrected, and room to work in."""

    def __init__(self, free: Tensor, colours: int):
        """Take `free`, (N, 1, h, w), 1 or 0; the next coarser grid has a node on every second pixel, 0, 2, ..."""
        count, _, height, width = free.shape
        down, across = height // 2 + 1, width // 2 + 1  # nodes of the coarser grid, the last one perhaps outside
        self.free, self.quarter = free, free / 4
        self.bordered = free.new_zeros(count, colours, 2 * down + 1, 2 * across + 1)
        self.values = self.bordered[:, :, 1 : height + 1, 1 : width + 1]
        self.low = free.new_empty(count, colours, down, 2 * across + 1)
        self.wide = free.new_empty(count, colours, down, 2 * across - 1)

    def coarser(self) -> Tensor:
        """Return the free nodes of the next coarser grid: at most a corner of its 3 × 3 pixels is not free."""
        height, width = self.free.shape[2:]
        right, below = (bordered - pixels - 1 for bordered, pixels in zip(self.bordered.shape[:1:-1], (width, height)))
        return (_sums(functional.pad(self.free, (1, right, 1, below), value=1), 2) >= 15).to(self.free)


def _sums(values: Tensor, stride: int, half: Tensor | None = None, out: Tensor | None = None) -> Tensor:
    """Return the sums of 3 × 3 pixels by the weights [1, 2, 1]ᵀ[1, 2, 1], around every pixel or every second one."""
    half = torch.add(values[..., :-2:stride, :], values[..., 2::stride, :], out=half)
    half.add_(values[..., 1:-1:stride, :], alpha=2)
    out = torch.add(half[..., :-2:stride], half[..., 2::stride], out=out)
    return out.add_(half[..., 1:-1:stride], alpha=2)


def _pyramid(free: Tensor, colours: int) -> list[_Grid]:
    """Return the grids from the pixels up to 2 × 2 nodes, or as far as any node is free."""
    grids = [_Grid(free, colours)]
    while max(grids[-1].free.shape[2:]) > 2:
        free = grids[-1].coarser()
        if not free.any():
            break
        grids.append(_Grid(free, colours))
    return grids


def _add_coarse(fine: _Grid, coarse: _Grid, out: Tensor) -> Tensor:
    """Write the values on a grid plus those of the next coarser one, linear between its nodes, to `out`."""
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
    """Write to `out`, at removed pixels, the sum B r of the finest grid's residual r as all grids see it."""
    for fine, coarse in pairwise(grids):
        _sums(fine.bordered, 2, fine.low, coarse.values).mul_(coarse.quarter)
    for fine, coarse in reversed(list(pairwise(grids[1:]))):
        _add_coarse(fine, coarse, fine.values).mul_(fine.free)
    if len(grids) > 1:
        _add_coarse(grids[0], grids[1], out)
    else:
        out.copy_(grids[0].values)


def _solve(values: Tensor, removed: Tensor, tolerance: float) -> Tensor:
    r"""Return `values`, (N, C, H, W), with those removed, (N, 1, H, W), solved for; conjugate gradients.

    With S the sums under [1, 2, 1]ᵀ[1, 2, 1], :math:`w=(S-4)/12`, so that :math:`Ap=(W+\tfrac13)p-\tfrac1{12}Sp`. Each
    image and colour has its own step sizes, and an image that is exact enough stands still.
    """
    count, colours, height, width = values.shape
    grids = _pyramid(removed, colours)
    residual, twelfth = grids[0].values, removed / -12
    outside = functional.pad(values, (1, 1, 1, 1))
    direction, half = outside[:, :, 1:-1, 1:-1], values.new_empty(count, colours, height, width + 2)
    image = functional.pad(values.new_ones(1, 1, height, width), (1, 1, 1, 1))
    diagonal = _sums(image, 1) / 12
    product, corrected = torch.empty_like(values), torch.empty_like(values)

    def dot(a: Tensor, b: Tensor) -> Tensor:  # row by row, so that it does not depend on the batch
        return torch.mul(a, b, out=product).sum(3, keepdim=True).sum(2, keepdim=True)

    residual.copy_(_sums(outside, 1, half, product).mul_(twelfth).addcmul_(values, diagonal * removed).neg_())
    direction.zero_()
    before = torch.inf
    for _ in range(MOST_STEPS):
        _correct(grids, corrected)
        energy = dot(residual, corrected)
        exact = SAFETY * energy.amax(1, keepdim=True).sqrt() <= tolerance  # (N, 1, 1, 1); False for NaN
        if exact.all():
            return values
        direction.mul_(torch.where(energy > 0, energy / before, 0)).addcmul_(corrected, removed)
        before = energy
        _sums(outside, 1, half, product).mul_(twelfth).addcmul_(direction, diagonal)
        along = torch.mul(direction, product, out=corrected).sum(3, keepdim=True).sum(2, keepdim=True)
        step = torch.where((along > 0) & ~exact, energy / along, 0)
        values.addcmul_(direction, step)
        residual.addcmul_(product, step, value=-1)
    raise RuntimeError(
        f"{int((~exact).sum())} of {count} images were not imputed to tolerance={tolerance / 2} in {MOST_STEPS} steps"
    )
