"""What a check says of an answer."""
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Verdict:
    """Whether an answer passed, and what to look at if it did not."""

    passed: bool
    message: str

    def __repr__(self) -> str:
        return f"passed: {self.message}" if self.passed else f"not yet: {self.message}"


Case = tuple[str, tuple, Tensor]  # what the case is, the arguments, the right result


def judge(answer: Callable, cases: Sequence[Case], right: str) -> Verdict:
    """Call `answer` on each case and compare what comes back.

    Args:
        answer: the reader's function.
        cases: (what the case is, its arguments, the right result).
        right: what is said of an answer that passes all of them.

    Returns:
        The verdict on the first case that fails, or on all. An exception in the answer is part of the verdict.
    """
    for what, arguments, expected in cases:
        try:
            got = answer(*arguments)
        except Exception as error:  # whatever a reader's code raises is told, not thrown
            return Verdict(False, f"{what}: your function raised {type(error).__name__}: {error}")
        if got is None:
            return Verdict(False, f"{what}: your function returns nothing")
        if not isinstance(got, Tensor):
            return Verdict(False, f"{what}: your function returns {type(got).__name__}, expected a tensor")
        if got.shape != expected.shape:
            return Verdict(False, f"{what}: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}")
        if not torch.allclose(got.to(expected.dtype), expected, atol=1e-5, equal_nan=True):
            return Verdict(False, f"{what}: expected {_short(expected)}, got {_short(got)}")
    return Verdict(True, right)


def _short(values: Tensor) -> str:
    """Return the first few values as text."""
    shown = ", ".join(f"{float(value):.3g}" for value in values.flatten()[:4])
    return f"{shown}, ..." if values.numel() > 4 else shown
