"""Checks of what was given; each refusal says what that was, what was expected, and the nearest choice."""
import difflib
import math
import numbers
from collections.abc import Collection, Iterable


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


def _span(low: float, high: float) -> str:
    """Return a range in words, nothing for one that is open at both ends."""
    if high < math.inf:
        return f" from {low} to {high}"
    return f" from {low} up" if low > -math.inf else ""
