"""What a pair is: two functions without arguments that give the same numbers, ours and theirs."""
from collections.abc import Callable

from torch import Tensor

Pair = dict[str, Callable[[], Tensor]]


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest difference, relative to the largest value of theirs."""
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()
