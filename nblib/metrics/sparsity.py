"""How unevenly a map is spread: the Gini index."""
import torch
from torch import Tensor

from nblib.engine import as_given, magnitudes


def gini(maps: Tensor) -> Tensor:
    r"""The Gini index of a map's magnitudes: 0 if all are equal, near 1 if a few pixels have everything.

    .. math:: G=\frac{\sum_{k=1}^d(2k-d-1)\,\phi_{(k)}}{d\sum_k\phi_{(k)}},\qquad\phi=|S|\text{ in ascending order}

    Args: as in `nblib.metrics`; maps (N, ...).

    Returns:
        (N,) from 0 (constant) to 1 − 1/d (one pixel). An all-zero map gives NaN. Scaling a map changes nothing, nor
        does putting copies of it side by side.

    Source: P2, appendix B; Hurley and Rickard (2009). Without the 1e-7 that Quantus adds to every value.
    """
    ordered = magnitudes(maps).sort(1).values
    d = ordered.shape[1]
    weights = 2 * torch.arange(1, d + 1, device=maps.device, dtype=torch.float64) - d - 1
    index = (weights * ordered).sum(1) / (d * ordered.sum(1))
    return as_given(index.clamp(min=0), maps)  # rounding can put a constant map a hair below
