"""How unevenly a vector is spread, which measures of methods and of maps both ask: Hoyer's sparseness."""
import torch
from torch import Tensor

from nblib.checks import expect_rows

from nblib.engine.precision import as_given


def magnitudes(values: Tensor) -> Tensor:
    """Return the magnitudes of values as float64 (N, d), each row divided by its largest; an all-zero or non-finite row is all NaN."""
    flat = expect_rows("maps or vectors", values).detach().double().flatten(1).abs()
    top = flat.amax(1, keepdim=True)
    usable = flat.isfinite().all(1, keepdim=True) & (top > 0)
    return torch.where(usable, flat / top, torch.nan)


def hoyer(vectors: Tensor) -> Tensor:
    r"""Hoyer's sparseness, from the ratio of two norms: 0 if all magnitudes are equal, 1 if only one is not zero.

    .. math:: \frac{\sqrt d-\|v\|_1/\|v\|_2}{\sqrt d-1}

    Args:
        vectors: (N, ...), one vector of d ≥ 2 a row, any range.

    Returns:
        (N,) in [0, 1]. An all-zero vector, or one that is not finite, gives NaN.

    Source: Hoyer (2004).
    """
    values = magnitudes(vectors)
    d = values.shape[1]
    if d < 2:
        raise ValueError(f"vectors of {d} component were given, expected at least 2")
    ratio = values.sum(1) / values.square().sum(1).sqrt()
    return as_given(((d**0.5 - ratio) / (d**0.5 - 1)).clamp(0, 1), vectors)
