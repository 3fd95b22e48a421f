"""How much each concept matters to a logit: total Sobol indices, estimated for any head, exact for an affine one."""
import math
from collections.abc import Callable

import torch
from torch import Tensor

from nblib.checks import expect_callable, expect_int, expect_one_of, expect_tensor
from nblib.engine import ACTIVATIONS, Head, chunks, exactly, rows_at_once, seeded

ALMOST_NOTHING = 64  # roundings of the largest value: a spread below that is no spread


def _halton(samples: int, columns: int, seed: int) -> Tensor:
    """Return the first points of Halton's sequence; the same for every seed."""
    from scipy.stats import qmc

    return torch.from_numpy(qmc.Halton(columns, scramble=False).random(samples))


def _sobol(samples: int, columns: int, seed: int) -> Tensor:
    """Return scrambled points of Sobol's sequence, whose balance holds for powers of two."""
    from scipy.stats import qmc

    if samples < 32 or samples & (samples - 1):
        near = 2 ** max(5, round(math.log2(samples)))
        raise ValueError(f"samples={samples} was given, expected a power of two from 32 up; nearest: {near}")
    return torch.from_numpy(qmc.Sobol(columns, scramble=True, seed=seed).random(samples))


def _random(samples: int, columns: int, seed: int) -> Tensor:
    """Return independent uniform points."""
    return torch.rand(samples, columns, generator=seeded(seed), dtype=torch.float64)


DESIGNS = {"halton": _halton, "sobol": _sobol, "random": _random}


def total_indices(
    function: Callable[[Tensor], Tensor], dimensions: int, *, design: str = "sobol", samples: int = 512, seed: int = 0
) -> Tensor:
    r"""The share of a function's variance that remains while all inputs but one are known: Jansen's estimate.

    .. math:: \hat S^T_i=\frac{\sum_{j=1}^n\big(f(A_j)-f(C_{ij})\big)^2}{2n\,\widehat{\mathrm{Var}}(f(A))},\qquad
        C_i=A\text{ with column }i\text{ from }B

    A and B are the two halves of n points in 2d dimensions; the variance has n − 1 below.

    Args:
        function: from (R, d) float64, each input uniform in [0, 1], to (R,) or (R, ...): several functions at once.
        dimensions: d, from 1 up.
        design: "sobol" (scrambled), "random", or "halton" (not scrambled: its later columns are far from uniform while
            n is below the primes they are built on, which makes the indices too small, by a factor that depends on i).
        samples: n; the function is asked for n (d + 1) points. From 2 up; for "sobol" a power of two from 32 up.
        seed: fixes the points; "halton" has none to fix.

    Returns:
        (d,) or (d, ...), float64, from 0 up; NaN where the function does not vary.

    Raises:
        ValueError: an unknown design, samples or dimensions that do not fit, a function that returns another shape.

    Source: Jansen (1999); P2's code, whose design is "halton" with 32 samples.
    """
    expect_one_of("design", design, DESIGNS)
    expect_int("dimensions", dimensions, 1)
    expect_callable("function", function)
    points = DESIGNS[design](expect_int("samples", samples, 2), 2 * dimensions, expect_int("seed", seed, 0))
    first, second = points.split(dimensions, 1)
    mixed = first.repeat(dimensions, 1, 1)  # C: (d, n, d)
    for number in range(dimensions):
        mixed[number, :, number] = second[:, number]
    values = function(torch.cat([first, mixed.flatten(0, 1)]))
    if not isinstance(values, Tensor) or not values.ndim or len(values) != samples * (dimensions + 1):
        given = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(f"the function returned {given}, expected a tensor ({samples * (dimensions + 1)}, ...)")
    if not values.is_floating_point():
        raise ValueError(f"the function returned {values.dtype}, expected floating point")
    values = values.detach()
    rounding = ALMOST_NOTHING * torch.finfo(values.dtype).eps * values.abs().amax(0).double()
    values = values.double().unflatten(0, (dimensions + 1, samples))  # (1 + d, n, ...)
    variance = values[0].var(0)
    varies = variance.sqrt() > rounding
    return torch.where(varies, (values[:1] - values[1:]).square().mean(1) / (2 * variance), torch.nan)


def exact_indices(contributions: Tensor) -> Tensor:
    r"""The total indices of :math:`f(m)=b+\sum_r m_rs_r` for independent uniform :math:`m_r`, without sampling.

    .. math:: S^T_r=\frac{s_r^2}{\sum_q s_q^2}

    Args:
        contributions: s, (N, r), signed.

    Returns:
        (N, r) in [0, 1], each row of sum 1; NaN where all of a row's contributions are zero.
    """
    if expect_tensor("contributions", contributions).ndim != 2:
        raise ValueError(f"contributions of shape {tuple(contributions.shape)} were given, expected (N, r)")
    largest = contributions.abs().amax(1, keepdim=True)  # 0 / 0 where nothing contributes; squares cannot overflow
    squares = (contributions / largest).square()
    return squares / squares.sum(1, keepdim=True)


@torch.no_grad()
def varied_activations(activations: Tensor, coefficients: Tensor, bank: Tensor) -> Tensor:
    r"""Activations that differ in all that matters, on which to find out what kind of head a network has.

    Arguments: as in `nblib.methods.concepts`, of a few images.

    Returns:
        (4N + r + 1, C, h, w): those given; noise of their size, dense, and with one value in ten; concepts weighted
        at random; each concept alone, for one image; zero.
    """
    generator = seeded(0)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64).to(activations)

    largest = activations.amax((0, 2, 3))
    largest = torch.where(largest > 0, largest, largest.max())  # channels that these few images leave dark count too
    noise = 2 * largest[:, None, None] * uniform(*activations.shape)
    sparse = noise * (uniform(*noise.shape) < 0.1)
    masked = masked_activations(coefficients, uniform(*coefficients.shape[:2]), bank)
    alone = torch.eye(len(bank), dtype=bank.dtype, device=bank.device)
    each = masked_activations(coefficients[:1].expand(len(bank), -1, -1, -1), alone, bank)
    return torch.cat([activations, noise, sparse, masked, each, torch.zeros_like(activations[:1])])


def masked_activations(coefficients: Tensor, masks: Tensor, bank: Tensor) -> Tensor:
    r"""The activations that concepts make up, each concept turned down by its mask, :math:`(u\odot m)W`.

    Arguments: as in `nblib.methods.concepts`, one row of masks for each of coefficients. Returns (R, C, h, w).
    """
    weighted = coefficients * masks[:, :, None, None]
    with exactly(bank):
        return (weighted.movedim(1, 3) @ bank).movedim(3, 1)


@torch.no_grad()
def mask_response(
    head: Head, coefficients: Tensor, bank: Tensor, masks: Tensor, *, chunk_size: int | None = None
) -> Tensor:
    r"""The logit of every image under every mask, :math:`f\big((u_n\odot m)W\big)`, many of both in one pass.

    Arguments: as in `nblib.methods.concepts`; where the head `pools_first`, the coefficients may be their means over
    places, h = w = 1.

    Returns:
        (M, N), in logits.
    """
    masks = masks.to(coefficients)
    rows = rows_at_once(bank.shape[1] * coefficients[0, 0].numel(), bank.device, chunk_size, ACTIVATIONS)
    pieces = chunks(coefficients, len(masks), rows)
    values = [head(masked_activations(coefficients[image], masks[mask], bank)) for mask, image in pieces]
    return torch.cat(values).view(len(masks), len(coefficients))
