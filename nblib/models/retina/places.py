"""Where cells lie in the frame."""
from collections.abc import Sequence

import torch
from torch import Tensor


def expect_places(places: Sequence[tuple[int, int]] | Tensor, low: int, high: int) -> Tensor:
    """Return places as (cells, 2) long; refuse those that are not rows and columns from `low` to `high`."""
    found = torch.as_tensor(places)
    if found.ndim != 2 or found.shape[1] != 2 or not len(found) or found.is_floating_point():
        raise ValueError(f"places of {found.dtype} {tuple(found.shape)} were given, expected whole numbers (cells, 2)")
    outside = ((found < low) | (found > high)).any(1).nonzero().flatten().tolist()
    if outside:
        raise ValueError(f"cells {outside} at {found[outside].tolist()} lie outside of what can be read, rows and "
                         f"columns {low} to {high}: crop the movie around the cells, or leave them out")
    return found.long()
