"""Labelled images behind one face, whether they lie in memory or are read from disk as they are sliced."""
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import torch
from torch import Tensor

from nblib import store

Index = int | slice | Sequence[int] | Tensor


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows of a tensor, made when they are asked for: `make(number)` gives one, `numbers` are those it holds."""

    make: Callable[[int], Tensor]
    numbers: Tensor

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: slice | Tensor) -> "Rows":
        return Rows(self.make, self.numbers[index])

    def read(self) -> Tensor:
        """Make all rows, several at a time, since decoding an image leaves Python to other threads."""
        numbers = self.numbers.tolist()
        first = self.make(numbers[0] if numbers else 0)
        rows = first.new_empty(len(numbers), *first.shape)
        rows[:1] = first

        def fill(place: int) -> None:
            rows[place] = self.make(numbers[place])

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            list(pool.map(fill, range(1, len(numbers))))
        return rows


class Images:
    """Labelled images with what is known about them; slicing gives another `Images`.

    A small set is held as one tensor. A large one reads from disk: `data[i:j].images` reads those rows only, while
    `data.images` reads all. Index by a slice, a whole number (one image, the batch axis stays), or a list or tensor of
    whole numbers or of truth values, one an image.

    Args:
        images: (N, 3, H, W) float32 in [0, 1], or `Rows` of it.
        labels: (N,) long.
        classes: the name of each class, in the order of the labels.
        masks: (N, H, W) bool, True on the object; `Rows` of it, or None where nobody marked the object.
        parts: (N, H, W) int, the numbers in `nblib.data.PARTS`; None for photographs.
        key: changes whenever the content does, so that what was computed from it can be kept.
        not_for_training: why nothing may be trained on these images; "" where it may.

    Raises:
        ValueError: fields of unequal length, or an index that does not fit.
        IndexError: a whole number outside the set.
    """

    def __init__(self, images: Tensor | Rows, labels: Tensor, classes: Sequence[str], *,
                 masks: Tensor | Rows | None = None, parts: Tensor | None = None, key: str = "",
                 not_for_training: str = ""):
        lengths = {len(field) for field in (images, labels, masks, parts) if field is not None}
        if len(lengths) > 1:
            raise ValueError(f"fields of lengths {sorted(lengths)} were given, expected one length for all")
        self._images, self._masks, self._parts = images, masks, parts
        self.labels, self.classes, self.key = labels, tuple(classes), key
        self.not_for_training = not_for_training

    @cached_property
    def images(self) -> Tensor:
        """(N, 3, H, W) float32 in [0, 1]; read at the first access."""
        return self._images.read() if isinstance(self._images, Rows) else self._images

    @cached_property
    def masks(self) -> Tensor | None:
        """(N, H, W) bool, True on the object, or None; read at the first access."""
        return self._masks.read() if isinstance(self._masks, Rows) else self._masks

    @property
    def parts(self) -> Tensor | None:
        """(N, H, W) int, numbers as in `nblib.data.PARTS`, or None."""
        return self._parts

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        where = "read as they are sliced" if isinstance(self._images, Rows) else f"in memory on {self.images.device}"
        return f"<{len(self)} images of {len(self.classes)} classes, {where}>"

    def __getitem__(self, index: Index) -> "Images":
        rows = _rows(index, len(self))
        picked = [None if field is None else field[_near(rows, field)] for field in
                  (self._images, self.labels, self._masks, self._parts)]
        name = [rows.start, rows.stop, rows.step] if isinstance(rows, slice) else rows
        return Images(picked[0], picked[1], self.classes, masks=picked[2], parts=picked[3],
                      key=store.key(self.key, name), not_for_training=self.not_for_training)

    def to(self, device: torch.device | str) -> "Images":
        """Return the set as tensors on `device`, reading what was not read yet."""
        moved = [None if field is None else field.to(device) for field in
                 (self.images, self.labels, self.masks, self.parts)]
        return Images(moved[0], moved[1], self.classes, masks=moved[2], parts=moved[3], key=self.key,
                      not_for_training=self.not_for_training)

    def batches(self, n: int) -> Iterator["Images"]:
        """Yield the set in order, `n` images at a time (the last time what is left), each batch in memory.

        Raises:
            ValueError: n below 1.
        """
        if n < 1:
            raise ValueError(f"batches of {n} images were asked for, expected 1 or more")
        for start in range(0, len(self), n):
            yield self[start:start + n].to(self.labels.device)


def _near(rows: slice | Tensor, field: Tensor | Rows) -> slice | Tensor:
    """Return the index on the device of what it picks from."""
    return rows.to(field.device) if isinstance(rows, Tensor) and isinstance(field, Tensor) else rows


def _rows(index: Index, count: int) -> slice | Tensor:
    """Return a slice with known ends, or a (R,) long tensor of rows from 0 to count - 1."""
    if isinstance(index, slice):
        start, stop, step = index.indices(count)
        return slice(start, stop, step) if step > 0 else torch.tensor(range(count)[index], dtype=torch.long)
    rows = torch.as_tensor(index).cpu()
    if rows.numel() == 0 and rows.dtype != torch.bool:
        return rows.long().flatten()
    if rows.dtype == torch.bool:
        if rows.shape != (count,):
            raise ValueError(f"truth values of shape {tuple(rows.shape)} were given, expected ({count},): one an image")
        return rows.nonzero().squeeze(1)
    if rows.is_floating_point() or rows.ndim > 1:
        raise ValueError(f"an index of type {rows.dtype} and shape {tuple(rows.shape)} was given, expected one row of "
                         "whole numbers or truth values")
    rows = rows.long().reshape(-1)
    if int(rows.min()) < -count or int(rows.max()) >= count:
        raise IndexError(f"image {rows.tolist()[:5]} was asked for, the set has {count}")
    return rows % count
