"""How unevenly a map is spread: the Gini index and Hoyer's measure."""
import torch
from torch import Tensor

from nblib.engine import as_given


def _magnitudes(values: Tensor) -> Tensor:
    """Return |values| as float64 (N, d), each row divided by its largest; an all-zero or non-finite row is all NaN."""
    if values.ndim < 2 or not values.numel():
        raise ValueError(f"a tensor {tuple(values.shape)} was given, expected (N, ...), one map a row, not empty")
    flat = values.detach().double().flatten(1).abs()
    top = flat.amax(1, keepdim=True)
    usable = flat.isfinite().all(1, keepdim=True) & (top > 0)
    return torch.where(usable, flat / top, torch.nan)


def gini(maps: Tensor) -> Tensor:
    r"""The Gini index of a map's magnitudes: 0 if all are equal, near 1 if a few pixels have everything.

    .. math:: G=\frac{\sum_{k=1}^d(2k-d-1)\,\phi_{(k)}}{d\sum_k\phi_{(k)}},\qquad\phi=|S|\text{ in ascending order}

    Args: as in `nblib.metrics`; maps (N, ...).

    Returns:
        (N,) from 0 (constant) to 1 − 1/d (one pixel). An all-zero map gives NaN. Scaling a map changes nothing, nor
        does putting copies of it side by side.

    Source: P2, appendix B; Hurley and Rickard (2009). Without the 1e-7 that Quantus adds to every value.
    """
    ordered = _magnitudes(maps).sort(1).values
    d = ordered.shape[1]
    weights = 2 * torch.arange(1, d + 1, device=maps.device, dtype=torch.float64) - d - 1
    index = (weights * ordered).sum(1) / (d * ordered.sum(1))
    return as_given(index.clamp(min=0), maps)  # rounding can put a constant map a hair below


def hoyer(vectors: Tensor) -> Tensor:
    r"""Hoyer's sparseness, from the ratio of two norms: 0 if all magnitudes are equal, 1 if only one is not zero.

    .. math:: \frac{\sqrt d-\|v\|_1/\|v\|_2}{\sqrt d-1}

    Args:
        vectors: (N, ...), one vector of d ≥ 2 a row, any range.

    Returns:
        (N,) in [0, 1]. An all-zero vector, or one that is not finite, gives NaN.

    Source: Hoyer (2004).
    """
    values = _magnitudes(vectors)
    d = values.shape[1]
    if d < 2:
        raise ValueError(f"vectors of {d} component were given, expected at least 2")
    ratio = values.sum(1) / values.square().sum(1).sqrt()
    return as_given(((d**0.5 - ratio) / (d**0.5 - 1)).clamp(0, 1), vectors)
