"""Checks of what was given; each refusal says what that was, what was expected, and the nearest choice."""
import difflib
import math
import numbers
import os
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def quoted(names: Iterable[object]) -> str:
    """Return the names in quotes, with commas between."""
    return ", ".join(map(repr, names))


def nearest(given: object, known: Iterable[object]) -> str:
    """Return "; nearest: ..." with up to three of the names known, the nearest first, or "" if none is near."""
    names = [name for name in known if isinstance(name, str)]
    near = difflib.get_close_matches(str(given), names, n=3, cutoff=0.5)
    return f"; nearest: {quoted(near)}" if near else ""


def unknown(kind: str, given: object, known: Collection[object]) -> str:
    """Say that `given` is not among the choices known, and which of them is nearest."""
    choices = f"one of {quoted(known)}" if known else "none"
    return f"{kind} {given!r} was given, expected {choices}{nearest(given, known)}"


def expect_one_of(kind: str, given: str | None, known: Collection[str | None]) -> str | None:
    """Return `given`, a name or None, if it is among the choices known; otherwise raise a ValueError."""
    if (given is None or isinstance(given, str)) and given in known:
        return given
    raise ValueError(unknown(kind, given, known))


def expect_int(name: str, value: object, low: int, high: float = math.inf) -> int:
    """Return `value` if it is a whole number, numpy's included, from `low` to `high`; otherwise raise a ValueError."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not low <= value <= high:
        raise ValueError(f"{name}={value!r} was given, expected a whole number{_span(low, high)}")
    return int(value)


def expect_number(name: str, value: object, low: float = -math.inf, high: float = math.inf) -> float:
    """Return `value` if it is a finite number from `low` to `high`, both included; otherwise raise a ValueError."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{name}={value!r} was given, expected a finite number{_span(low, high)}")
    return float(value)


def expect_path(name: str, value: object) -> str | os.PathLike:
    """Return `value` if it is the path of a file; otherwise raise a ValueError."""
    if isinstance(value, (str, os.PathLike)):
        return value
    raise ValueError(f"{name}={value!r} was given, expected the path of a file")


def expect_callable(name: str, value: object) -> None:
    """Raise a ValueError for what is no function."""
    if not callable(value):
        raise ValueError(f"{name}={value!r} was given, expected a function")


def expect_kind(what: str, value: object, kind: type) -> None:
    """Raise a ValueError for what is not of a class, such as `Images`."""
    if not isinstance(value, kind):
        raise ValueError(f"{what} of {type(value).__name__} was given, expected {kind.__name__}")


def expect_tensor(what: str, value: object, expected: str = "a tensor") -> "Tensor":
    """Return `value` if it is a tensor of real numbers or truth values; otherwise raise a ValueError."""
    from torch import Tensor  # here, since importing it takes seconds that some who check names have not got

    if not isinstance(value, Tensor):
        advice = ": torch.as_tensor(...) makes one" if hasattr(value, "__len__") and not isinstance(value, str) else ""
        raise ValueError(f"{what} of {type(value).__name__} were given, expected {expected}{advice}")
    if value.is_complex():
        raise ValueError(f"{what} of type {value.dtype} were given, expected real numbers")
    return value


def expect_rows(what: str, value: object) -> "Tensor":
    """Return `value` if it is a tensor (N, ...) that is not empty; otherwise raise a ValueError."""
    if expect_tensor(what, value, "a tensor (N, ...)").ndim < 2 or not value.numel():
        raise ValueError(f"{what} of shape {tuple(value.shape)} were given, expected (N, ...), not empty")
    return value


def expect_model(model: object) -> None:
    """Raise a ValueError for what is no network."""
    from torch import nn

    if not isinstance(model, nn.Module):
        raise ValueError(f"a model of type {type(model).__name__} was given, expected an nn.Module")


def expect_room(said: str, values: int) -> None:
    """Raise a ValueError where so many numbers, in double precision, are more than this machine's memory holds."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 2**40
    if 8 * values > pages:
        raise ValueError(f"{said} was given, which takes {8 * values / 2**30:.3g} GiB of memory; this machine has "
                         f"{pages / 2**30:.3g}: expected less")


def _span(low: float, high: float) -> str:
    """Return a range in words, nothing for one that is open at both ends."""
    if high < math.inf:
        return f" from {low} to {high}"
    return f" from {low} up" if low > -math.inf else ""
