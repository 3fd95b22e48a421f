"""What somebody asked `load` for."""
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from nblib import store
from nblib.checks import expect_one_of


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
        name = self.name.partition(":")[0]  # a folder's place does not matter, what lies in it does
        return store.key(name, self.split, self.size, self.limit, self.seed, self.options, *content)

    def on(self, splits: Sequence[str]) -> "Request":
        """Return the request for one of the set's own `splits`, "fit" and "held_out" among them; refuse any other."""
        if expect_one_of(f"split of {self.name}", self.split, (*splits, "fit", "held_out")) in splits:
            return self
        held_out = [split for split in ("test", "val") if split in splits and self.split == "held_out"]
        return dataclasses.replace(self, split=held_out[0] if held_out else "train")

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
    """Return where real images lie: `data_dir`, else `NBLIB_DATA`, else `data` in the checkout or user's cache."""
    usual = store.ROOT / "data" if store.IN_CHECKOUT else store.cache() / "data"
    return Path(data_dir or os.environ.get("NBLIB_DATA") or usual).expanduser()
