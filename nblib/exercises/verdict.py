"""What a check says of an answer: what went in, what came out, what was expected, and hints for who asks."""
import copy
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nblib.checks import expect_int

SHOWN = 24  # values that are written out; of more, the shape and the first few


class Hint(str):
    """A text that a notebook shows without quotes."""

    __repr__ = str.__str__


@dataclass(frozen=True)
class Verdict:
    """Whether an answer passed, and what to look at if it did not; `hint(1)`, `hint(2)`, ... tell more, step by step."""

    passed: bool
    message: str
    hints: tuple[str, ...] = ()

    def __repr__(self) -> str:
        if self.passed:
            return f"passed: {self.message}"
        more = f"\nstuck? Add .hint(1) to the check's call; it has {len(self.hints)} hint(s)" if self.hints else ""
        return f"not yet: {self.message}{more}"

    def hint(self, number: int) -> Hint:
        """Return one of the hints, counted from 1; each says more than the one before.

        Raises:
            ValueError: a number that no hint has, or an exercise without hints.
        """
        if not self.hints:
            raise ValueError("this exercise has no hints")
        return Hint(f"hint {number}: {self.hints[expect_int('hint', number, 1, len(self.hints)) - 1]}")


Case = tuple[str, tuple, Tensor]  # what the case is, the arguments, the right result


def judge(answer: Callable, cases: Sequence[Case], right: str, *, mistakes: Mapping[str, Callable] | None = None,
          hints: Sequence[str] = ()) -> Verdict:
    """Call `answer` on copies of each case's arguments and compare what comes back.

    Args:
        answer: the reader's function; it may return a tensor, an array, a number, or a list of these.
        cases: (what the case is, its arguments, the right result).
        right: what is said of an answer that passes all of them.
        mistakes: what somebody did -> the function that does it. If a wrong answer gives what such a function gives on
            every case, the verdict says so.
        hints: each telling more than the one before.

    Returns:
        The verdict on the first case that fails, or on all. An exception in the answer is part of the verdict.
    """
    results = [_result(answer, arguments) for _, arguments, _ in cases]
    for (what, arguments, expected), got in zip(cases, results):
        wrong = [got] if isinstance(got, str) else _differences(got, expected)
        if wrong:
            lines = [what, *_inputs(answer, arguments), *wrong, *_mistake(results, cases, mistakes or {})]
            return Verdict(False, "\n  ".join(lines), tuple(hints))
    return Verdict(True, right, tuple(hints))


def self_check(answer: object, points: Sequence[str], *, fewest: int = 12) -> Verdict:
    """Look at an answer in words: once there is one, say what a good answer has, for the reader to compare.

    Args:
        answer: the reader's text.
        points: what a good answer says.
        fewest: words below which nothing is compared.

    Returns:
        Not passed below `fewest` words, else passed with the points; whether they are met, the reader decides.
    """
    words = len(answer.split()) if isinstance(answer, str) else 0
    if words < fewest:
        return Verdict(False, f"write your answer as text first, {fewest} words or more; {words} were given")
    listed = "".join(f"\n  [ ] {point}" for point in points)
    return Verdict(True, f"compare yourself; a good answer says{listed}")


def _result(answer: Callable, arguments: tuple) -> Tensor | str:
    """Return what a function gives for copies of the arguments, as a tensor, or what is wrong with it in words."""
    try:
        with warnings.catch_warnings(action="ignore"):  # nbgrader takes what a cell warns of for a failure
            got = answer(*copy.deepcopy(arguments))
    except Exception as error:  # whatever a reader's code raises is told, not thrown
        return f"your function raised {type(error).__name__}: {error}"
    if got is None:
        return "your function returns nothing"
    try:
        return _tensor(got)
    except (TypeError, ValueError, RuntimeError):
        return f"your function returns {type(got).__name__}, expected numbers: a tensor, an array, or a float"


def _tensor(values: object) -> Tensor:
    """Return numbers of any kind as a tensor on the CPU, cut from its graph."""
    if isinstance(values, Tensor):
        return values.detach().cpu()
    if isinstance(values, (list, tuple)) and any(isinstance(value, Tensor) for value in values):
        return torch.stack([_tensor(value) for value in values])
    return torch.as_tensor(np.asarray(values))


def _same(got: Tensor | str, expected: Tensor | str) -> bool:
    """Say whether two results are the same numbers in the same shape; truth values count as 0 and 1."""
    if isinstance(got, str) or isinstance(expected, str) or got.shape != expected.shape:
        return False
    return torch.allclose(got.double(), expected.double(), atol=1e-5, equal_nan=True)


def _differences(got: Tensor, expected: Tensor) -> list[str]:
    """Return lines that say how a result differs from the right one; none if it does not."""
    if _same(got, expected):
        return []
    lines = [f"your answer: {_text(got)}", f"expected: {_text(expected)}"]
    if got.shape != expected.shape:
        return [*lines, f"the shapes differ: {tuple(got.shape)} was returned, expected {tuple(expected.shape)}"]
    if expected.numel() > SHOWN:
        close = torch.isclose(got.double(), expected.double(), atol=1e-5, equal_nan=True)
        place = (~close).nonzero()[0].tolist()
        lines.append(f"first at {place}: {_text(got[tuple(place)])} was returned, expected {_text(expected[tuple(place)])}")
    return lines


def _inputs(answer: Callable, arguments: tuple) -> list[str]:
    """Return a line for each argument, under the name that the reader's function gives it."""
    try:
        names = [name for name, _ in zip(inspect.signature(answer).parameters, arguments, strict=True)]
    except (TypeError, ValueError):  # another number of parameters, or a builtin that does not tell
        names = [f"input {number}" for number in range(1, len(arguments) + 1)]
    return [f"{name}: {_text(value)}" for name, value in zip(names, arguments)]


def _mistake(results: Sequence[Tensor | str], cases: Sequence[Case], mistakes: Mapping[str, Callable]) -> list[str]:
    """Return a line that names the known mistake which gives these results on every case, if there is one."""
    for what, function in mistakes.items():
        if all(_same(got, _result(function, arguments)) for got, (_, arguments, _) in zip(results, cases)):
            return [f"this is what comes out if one {what}"]
    return []


def _text(value: object) -> str:
    """Return a value as short text: numbers with three digits, large tensors by shape and first values."""
    if not isinstance(value, Tensor):
        return f"{value:.3g}" if isinstance(value, float) else repr(value)
    if value.numel() > SHOWN:
        first = ", ".join(_text(item) for item in value.flatten()[:4])
        return f"a tensor {tuple(value.shape)} that begins {first}"
    if value.ndim:
        return f"[{', '.join(_text(item) for item in value)}]"
    return str(value.item()) if value.dtype == torch.bool else f"{float(value):.3g}"
