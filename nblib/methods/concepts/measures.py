"""Numbers about concepts: does each lie on one part of the picture, and which are the same in two models?"""
from typing import NamedTuple

import torch
from torch import Tensor

from nblib.checks import expect_tensor
from nblib.engine import as_given, expect_finite


class Purity(NamedTuple):
    """How far concepts lie on single parts: purity and part (r,); shares (r, parts); areas (parts,), the chance."""

    purity: Tensor
    part: Tensor
    shares: Tensor
    areas: Tensor


def concept_purity(maps: Tensor, parts: Tensor) -> Purity:
    r"""How much more of a concept lies on its best part than chance would put there, of all that could.

    .. math:: \text{purity}_r=\max_p\frac{q_{rp}-a_p}{1-a_p},\qquad
        q_{rp}=\frac{\sum_{n}\sum_{i\in p}M_{nri}}{\sum_{n,i}M_{nri}},\qquad a_p=\text{share of all pixels on part }p

    Args:
        maps: (N, r, H, W), ≥ 0: `Craft.maps`, or what `above_percentile` leaves of them.
        parts: (N, H, W), whole numbers from 0 up: what each pixel shows, as `Images.parts` of `shapes`.

    Returns:
        purity: (r,) in [0, 1], 1 if a concept lies on one part only, and 0 for a map that is the same everywhere. Noise
        is a little above 0, since the best of several parts is taken: `maps[shuffled]` beside the same `parts` says how
        much, and keeps what each concept owes to its usual place in the picture.
        part: (r,) the number of that part.
        shares: q, (r, parts), of sum 1.
        areas: a, (parts,), of sum 1.

        A concept that is nowhere has purity and shares NaN and part −1. Maps enlarged from a coarse layer cannot reach
        1 on a part that is smaller than the layer's cells.

    Raises:
        ValueError: shapes that do not fit; maps with negative values; parts that are not whole numbers from 0 up, or
            all one part, beside which nothing can be told.

    Source: ours; the correction for chance is that of Cohen's kappa (1960).
    """
    expect_tensor("maps", maps), expect_tensor("parts", parts)
    if maps.ndim != 4 or maps.shape[:1] + maps.shape[2:] != parts.shape or not maps.numel():
        given = f"maps {tuple(maps.shape)} and parts {tuple(parts.shape)}"
        raise ValueError(f"{given} were given, expected (N, r, H, W) and (N, H, W), not empty")
    if parts.is_floating_point() or parts.dtype == torch.bool or int(parts.min()) < 0:
        raise ValueError(f"parts of type {parts.dtype} were given, expected whole numbers from 0 up: masks.long(), say")
    expect_finite("maps of images", maps)
    if not (maps >= 0).all():
        span = f"{maps.min().item():.3g} to {maps.max().item():.3g}"
        raise ValueError(f"maps from {span} were given, expected none below zero")
    numbers = parts.to(maps.device).long().flatten()
    areas = numbers.bincount().double() / len(numbers)
    if (areas == 1).any():
        raise ValueError(f"all pixels show part {int(numbers[0])}, expected at least two parts")
    weights = maps.detach().double().transpose(0, 1).flatten(1)  # (r, N · H · W)
    on_part = torch.stack([weights[:, numbers == part].sum(1) for part in range(len(areas))], 1)
    shares = on_part / weights.sum(1, keepdim=True)  # 0 / 0 for a concept that is nowhere
    purity, part = ((shares - areas) / (1 - areas)).max(1)
    part = torch.where(purity.isnan(), -1, part)
    return Purity(as_given(purity, maps), part, as_given(shares, maps), as_given(areas, maps))


class Matching(NamedTuple):
    """Which concept of the second model each of the first is, (r,), and how similar the two are, (r,)."""

    partner: Tensor
    similarity: Tensor


def match_concepts(first: Tensor, second: Tensor) -> Matching:
    r"""Pair the concepts of two models by where they occur, so that the sum of similarities is the largest possible.

    .. math:: \max_\pi\sum_r\cos\big(U_{:r},V_{:\pi(r)}\big)

    Args:
        first: U, (N, r, ...), coefficients on crops (`Craft.crop_coefficients`), or on images and places.
        second: V, (N, q, ...) with q ≥ r, on the same crops or images and places.

    Returns:
        partner: π, (r,), no number twice; `second[:, partner]` stands in the order of `first`.
        similarity: (r,), the cosines; in [0, 1] for coefficients ≥ 0, and 0 for a concept that is nowhere. Unrelated
        coefficients are well above 0, since none is negative: shuffle the rows of one side to see how far.

    Raises:
        ValueError: shapes that do not fit, or values that are not finite.

    Source: Kuhn (1955), the Hungarian method.
    """
    expect_tensor("coefficients", first), expect_tensor("coefficients", second)
    fits = first.ndim >= 2 and first.ndim == second.ndim and first.shape[:1] + first.shape[2:] == (
        second.shape[:1] + second.shape[2:])
    if not fits or not first.numel() or first.shape[1] > second.shape[1]:
        given = f"coefficients {tuple(first.shape)} and {tuple(second.shape)}"
        raise ValueError(f"{given} were given, expected (N, r, ...) and (N, q, ...) on the same rows, with q ≥ r ≥ 1")
    for coefficients in (first, second):
        expect_finite("coefficients of rows", coefficients)
    from scipy.optimize import linear_sum_assignment

    ours, theirs = (_directions(values) for values in (first, second.to(first.device)))
    cosines = ours @ theirs.T  # (r, q)
    partner = torch.from_numpy(linear_sum_assignment(cosines.cpu().numpy(), maximize=True)[1]).to(first.device)
    return Matching(partner, as_given(cosines.gather(1, partner[:, None]).squeeze(1), first))


def _directions(coefficients: Tensor) -> Tensor:
    """Return each concept's coefficients as one row of length 1, or 0 where it is nowhere, float64."""
    rows = coefficients.detach().double().transpose(0, 1).flatten(1)
    rows = rows / rows.abs().amax(1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    return torch.nn.functional.normalize(rows)
