"""What the metrics share: ranks, and the type in which numbers come back."""
import torch
from torch import Tensor


def ranks(values: Tensor) -> Tensor:
    """Return each value's rank in its row, 1 to d, ties sharing their mean rank; (N, d)."""
    ordered = values.sort(1).values.contiguous()
    values = values.contiguous()
    below = torch.searchsorted(ordered, values)
    return (below + torch.searchsorted(ordered, values, right=True) + 1).double() / 2


def as_given(scores: Tensor, maps: Tensor) -> Tensor:
    """Return scores in the floating type of the maps that they are about; the default type for whole numbers."""
    return scores.to(maps.dtype if maps.is_floating_point() else torch.get_default_dtype())
