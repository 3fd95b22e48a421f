"""What somebody asked `load` for, and the refusals that name the nearest thing there is."""
import dataclasses
import difflib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from nblib import store


@dataclasses.dataclass(frozen=True)
class Request:
    """The checked arguments of `load`; `options` are complete, with the defaults of the set filled in."""

    name: str
    split: str
    size: int | None
    limit: int | None
    seed: int
    root: Path
    options: dict[str, object]

    def key(self, *content: object) -> str:
        """Return a string that changes with what was asked for and with `content`."""
        return store.key(self.name, self.split, self.size, self.limit, self.seed, self.options, *content)

    def on(self, splits: Sequence[str]) -> "Request":
        """Return the request for one of the set's own `splits`, which "fit" and "held_out" stand for; refuse any other."""
        if self.split in ("fit", "held_out"):
            held_out = [split for split in ("test", "val") if split in splits and self.split == "held_out"]
            return dataclasses.replace(self, split=held_out[0] if held_out else "train")
        if self.split not in splits:
            raise ValueError(f"{self.name} has no split {self.split!r}; it has {quoted(splits)}, and always 'fit' and 'held_out'")
        return self

    def subset(self, labels: Tensor, *, cut: bool = False) -> Tensor:
        """Return the rows to take: all in their order, or `limit` of them, as many of each class as there are.

        With `cut`, which is for a set that has nothing to hold out, "fit" takes four and "held_out" one of every five.

        The order under a limit is drawn from the seed and deals the classes in turn, so that a smaller limit gives
        the beginning of a larger one.
        """
        cut = cut and self.split in ("fit", "held_out")
        if self.limit is None and not cut:
            return torch.arange(len(labels))
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(self.seed))
        by_class = order[labels[order].argsort(stable=True)]
        counts = labels.bincount()
        starts = counts.cumsum(0) - counts
        rank = torch.empty_like(order)
        rank[by_class] = torch.arange(len(labels)) - starts[labels[by_class]]
        dealt = order[rank[order].argsort(stable=True)]
        if cut:
            dealt = dealt[(rank[dealt] % 5 == 4) == (self.split == "held_out")]
        return dealt[:self.limit]


def data_root(data_dir: Path | str | None) -> Path:
    """Return where real images lie: `data_dir`, else `NBLIB_DATA`, else `data` in the checkout."""
    return Path(data_dir or os.environ.get("NBLIB_DATA") or store.ROOT / "data").expanduser()


def quoted(names: Iterable[str]) -> str:
    """Return the names in quotes, with commas between."""
    return ", ".join(repr(name) for name in names)


def unknown(kind: str, given: object, known: Iterable[str]) -> str:
    """Say that `given` is not among `known`, with the nearest of them."""
    known = list(known)
    near = difflib.get_close_matches(str(given), known, n=2, cutoff=0.5)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ";"
    return f"unknown {kind} {given!r}{hint} there are {quoted(known) or 'none'}"


def whole(name: str, value: object, low: int, high: int | None = None) -> int:
    """Return `value` if it is a whole number from `low` to `high`; refuse it otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
        span = f"{low} or more" if high is None else f"{low} to {high}"
        raise ValueError(f"{name}={value!r} was given, expected a whole number, {span}")
    return value


def share(name: str, value: object) -> float:
    """Return `value` if it is a number in [0, 1]; refuse it otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"{name}={value!r} was given, expected a number from 0 to 1")
    return float(value)
