"""Ranks, which several metrics compare."""
import torch
from torch import Tensor


def ranks(values: Tensor) -> Tensor:
    """Return each value's rank in its row, 1 to d, ties sharing their mean rank; (N, d)."""
    ordered = values.sort(1).values.contiguous()
    values = values.contiguous()
    below = torch.searchsorted(ordered, values)
    return (below + torch.searchsorted(ordered, values, right=True) + 1).double() / 2
