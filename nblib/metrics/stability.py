"""Does an explanation stay the same between seeds and networks, agree with another, and how much is important to it?"""
import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from nblib.checks import expect_int, expect_number, expect_rows, expect_tensor
from nblib.engine import as_given
from nblib.metrics.ranks import ranks


def rank_correlation(a: Tensor, b: Tensor, *, signed: bool = False) -> Tensor:
    r"""Spearman's correlation of two maps of the same image,
    :math:`\rho=\mathrm{corr}(\mathrm{rank}\,|a|,\mathrm{rank}\,|b|)`.

    Args:
        a, b: (N, ...), one map a row, any range.
        signed: compare the maps themselves; otherwise their magnitudes, as sanity checks do.

    Returns:
        (N,) in [−1, 1]; ties share their mean rank. A constant map gives NaN.

    Source: Adebayo et al. (2018), with and without the magnitude.
    """
    expect_tensor("maps", a), expect_tensor("maps", b)
    if a.shape != b.shape or a.ndim < 2 or not a.numel():
        raise ValueError(f"maps of {tuple(a.shape)} and {tuple(b.shape)} were given, expected the same (N, ...)")
    ranked = []
    finite = torch.ones(len(a), dtype=torch.bool, device=a.device)
    for maps in (a, b):
        values = maps.detach().double().flatten(1)
        finite &= values.isfinite().all(1)
        ranked.append(ranks(values if signed else values.abs()))
    first, second = (rank - rank.mean(1, keepdim=True) for rank in ranked)
    norms = first.norm(dim=1) * second.norm(dim=1)  # 0 for a constant map, and 0 / 0 is NaN
    correlation = ((first * second).sum(1) / norms).clamp(-1, 1)
    return as_given(torch.where(finite, correlation, torch.nan), a)


def top_overlap(a: Tensor, b: Tensor, *, share: float = 0.25) -> Tensor:
    r"""How much two maps of the same image agree on its most important cells, :math:`|T_a\cap T_b|/|T_a\cup T_b|`.

    Args:
        a, b: (N, ...), one map a row.
        share: of the cells, in (0, 1]: T are the round(share · n) largest, of equal ones the first.

    Returns:
        (N,) in [0, 1]; NaN where a map is constant or not finite. `chance_overlap` is what two random maps get.

    Raises:
        ValueError: also a share that leaves no cell.
    """
    expect_tensor("maps", a), expect_tensor("maps", b)
    if a.shape != b.shape or a.ndim < 2 or not a.numel():
        raise ValueError(f"maps of {tuple(a.shape)} and {tuple(b.shape)} were given, expected the same (N, ...)")
    tops, known = [], torch.ones(len(a), dtype=torch.bool, device=a.device)
    for maps in (a, b):
        flat = maps.detach().flatten(1)
        known &= flat.isfinite().all(1) & (flat != flat[:, :1]).any(1)
        best = flat.argsort(dim=1, descending=True, stable=True)[:, : _count(flat.shape[1], share)]
        tops.append(torch.zeros_like(flat, dtype=torch.bool).scatter(1, best, True))
    both, either = (tops[0] & tops[1]).sum(1), (tops[0] | tops[1]).sum(1)
    return as_given(torch.where(known, both.double() / either, torch.nan), a)


def chance_overlap(cells: int, *, share: float = 0.25) -> float:
    r"""Return the `top_overlap` that two maps of so many cells, drawn at random, have on average.

    .. math:: \sum_i\frac{\binom ki\binom{n-k}{k-i}}{\binom nk}\,\frac i{2k-i}
    """
    top = _count(expect_int("cells", cells, 1), share)
    ways = [math.comb(top, i) * math.comb(cells - top, top - i) * i / (2 * top - i) for i in range(top + 1)]
    return sum(ways) / math.comb(cells, top)


def _count(cells: int, share: float) -> int:
    """Return how many of the cells are the most important ones."""
    count = round(expect_number("share", share, 0, 1) * cells)
    if not count:
        raise ValueError(f"share={share!r} was given, which leaves none of {cells} cells, expected a larger one")
    return count


def importance_sparsity(maps: Tensor) -> Tensor:
    r"""The mean importance, :math:`s=\frac1N\sum_ia_i` over a map's N cells: lower is more selective.

    Args: as in `nblib.metrics`; maps (N, ...), P4's are in [0, 1].

    Returns:
        (N,), in the range of the maps; its mean over images is P4's s.

    Source: P4, appendix D. The name is P4's: this is not the share removed, which "sparsity" means elsewhere.
    """
    mean = expect_rows("maps", maps).detach().double().flatten(1).mean(1)
    return as_given(torch.where(mean.isfinite(), mean, torch.nan), maps)


def reproducibility(maps_by_seed: Tensor | Sequence[Tensor]) -> Tensor:
    r"""How far maps of the same image differ between networks trained from different seeds: the mean SD of a cell.

    .. math:: r=\frac1N\sum_i\mathrm{SD}_{\text{seeds}}(a_i)

    Args:
        maps_by_seed: (S, N, ...), or S maps (N, ...), from at least 2 seeds, better 3; P4's are in [0, 1].

    Returns:
        (N,), 0 for identical runs and about 0.29 for independent uniform maps of many seeds; its mean over images is
        P4's r.

    Raises:
        ValueError: also fewer than two seeds.

    Source: P4, appendix E; the SD has S − 1 below, which the paper does not say.
    """
    if not isinstance(maps_by_seed, Tensor):
        if not isinstance(maps_by_seed, Iterable) or not all(isinstance(maps, Tensor) for maps in maps_by_seed):
            given = type(maps_by_seed).__name__
            raise ValueError(f"maps_by_seed of {given} was given, expected (S, N, ...), or S tensors (N, ...)")
        shapes = {tuple(maps.shape) for maps in maps_by_seed}
        if len(shapes) != 1:
            raise ValueError(f"maps of shapes {sorted(shapes)} were given, expected one shape (N, ...) for all seeds")
        maps_by_seed = torch.stack(list(maps_by_seed))
    if maps_by_seed.ndim < 3 or len(maps_by_seed) < 2 or not maps_by_seed.numel():
        raise ValueError(f"maps_by_seed {tuple(maps_by_seed.shape)} was given, expected (S, N, ...), S from 2 up")
    spread = maps_by_seed.detach().double().std(0, correction=1).flatten(1).mean(1)
    return as_given(spread, maps_by_seed)
