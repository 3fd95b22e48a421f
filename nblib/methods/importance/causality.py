"""Does the answer hang on the patches that are called important? Embeddings are zeroed, and the rest answers."""
from collections.abc import Iterable
from typing import NamedTuple

import numpy
import torch
from torch import Tensor

from nblib.checks import expect_int, expect_number
from nblib.engine import seeded
from nblib.methods.importance.maps import Weighted, answers, parts_of
from nblib.targets import expect_labels

THRESHOLDS = tuple(number / 10 for number in range(11))


class Causality(NamedTuple):
    """What is left after zeroing: accuracies and the shares of patches that were zeroed, (T,) each, in [0, 1]."""

    thresholds: Tensor
    insertion: Tensor  # accuracy where patches with a < t are zeroed
    deletion: Tensor  # accuracy where patches with a > t are zeroed
    insertion_zeroed: Tensor
    deletion_zeroed: Tensor


def insertion_deletion(
    model: Weighted,
    images: Tensor,
    labels: Tensor,
    *,
    thresholds: Iterable[float] = THRESHOLDS,
    chunk_size: int | None = None,
) -> Causality:
    r"""The accuracy while patches are zeroed by their importance, from one pass of the embeddings.

    .. math:: e_i'=a_ie_i\,[a_i\ge t]\ \text{(insertion)},\qquad e_i'=a_ie_i\,[a_i\le t]\ \text{(deletion)}

    Args:
        thresholds: T numbers t in [0, 1].

    Other arguments: as in `nblib.methods.importance`.

    Returns:
        `Causality`. The two shares add to 1 at every t that no importance equals. Equal thresholds zero very unequal
        shares, and another share on another network: plot against the share.

    Raises:
        ValueError: also a threshold outside [0, 1]; labels that do not fit.

    Source: P4, appendix F.
    """
    levels = torch.tensor(_numbers("thresholds", thresholds))
    embeddings, importance = parts_of(model, images, chunk_size=chunk_size)
    levels = levels.to(importance).view(-1, 1, 1, 1)
    kept = torch.cat([importance >= levels, importance <= levels])  # (2 T, N, g, g)
    accuracy = _accuracies(model, embeddings, importance, kept, labels, chunk_size)
    zeroed = 1 - kept.double().mean((1, 2, 3))
    count = len(levels)
    return Causality(levels.flatten().double(), accuracy[:count], accuracy[count:], zeroed[:count], zeroed[count:])


def zeroing_curves(
    model: Weighted,
    images: Tensor,
    labels: Tensor,
    *,
    shares: Iterable[float],
    draws: int = 8,
    seed: int = 0,
    chunk_size: int | None = None,
) -> dict[str, Tensor]:
    """The accuracy while a share of each image's patches is zeroed, in three orders.

    Args:
        shares: S numbers in [0, 1]; of g² patches, share · g² are zeroed, rounded.
        draws: how many random orders are averaged. Each is the same for all images, so that none depends on its batch.
        seed: of the random orders.

    Other arguments: as in `nblib.methods.importance`.

    Returns:
        "insertion" (the least important first), "deletion" (the most important first) and "random", (S,) each in
        [0, 1]. Of patches of equal importance the first in the image's rows goes first.

    Raises:
        ValueError: also a share outside [0, 1].

    Source: ours, for what P4's tables lack: a common axis, and an order that knows nothing.
    """
    shares = _numbers("shares", shares)
    expect_int("draws", draws, 1)
    generator = seeded(seed)
    embeddings, importance = parts_of(model, images, chunk_size=chunk_size)
    flat = importance.flatten(1)
    counts = torch.tensor([round(share * flat.shape[1]) for share in shares], device=flat.device)
    orders = {"insertion": flat.argsort(dim=1, stable=True),
              "deletion": flat.argsort(dim=1, descending=True, stable=True)}
    for draw in range(draws):
        order = torch.rand(flat.shape[1], generator=generator).argsort().to(flat.device)
        orders[f"random {draw}"] = order.expand(flat.shape)
    found = {}
    for name, order in orders.items():
        rank = order.argsort(1).view_as(importance)  # when a patch goes
        kept = rank >= counts.view(-1, 1, 1, 1)
        found[name] = _accuracies(model, embeddings, importance, kept, labels, chunk_size)
    drawn = [found.pop(f"random {draw}") for draw in range(draws)]
    return found | {"random": torch.stack(drawn).mean(0)}


def _numbers(name: str, given: Iterable[float]) -> list[float]:
    """Return numbers in [0, 1], at least one."""
    values = given.tolist() if hasattr(given, "tolist") else given
    values = list(values) if isinstance(values, Iterable) and not isinstance(values, str) else []
    if not values:
        raise ValueError(f"{name}={given!r} was given, expected one number or more in a list")
    return [expect_number(name, value, 0, 1) for value in values]


def _accuracies(model: Weighted, embeddings: Tensor, importance: Tensor, kept: Tensor, labels: Tensor,
                chunk_size: int | None) -> Tensor:
    """Return the accuracy (M,) where only what is kept, (M, N, g, g) bool, is left of the weighted embeddings."""
    labels = expect_labels(labels, len(embeddings), model.classes, embeddings.device)
    rows, of_row = _distinct(kept)
    image = rows % len(embeddings)
    logits = answers(model, embeddings, importance[image] * kept.flatten(0, 1)[rows], chunk_size, image)
    return (logits.argmax(1)[of_row].view(len(kept), -1) == labels).double().mean(1)


def _distinct(kept: Tensor) -> tuple[Tensor, Tensor]:
    """Return which of the M · N rows to answer, and which of those stands for each row.

    The same patches of the same image are left at several thresholds, and of no patch all images make the same.
    """
    bits = numpy.packbits(kept.flatten(2).cpu().numpy(), axis=2)  # (M, N, bytes)
    image = numpy.where(bits.any(2), numpy.arange(1, bits.shape[1] + 1), 0).astype(numpy.uint32)
    names = numpy.concatenate([bits, image[..., None].view(numpy.uint8)], axis=2).reshape(-1, bits.shape[2] + 4)
    _, rows, of_row = numpy.unique(names.view(f"V{names.shape[1]}").ravel(), return_index=True, return_inverse=True)
    return torch.from_numpy(rows).to(kept.device), torch.from_numpy(of_row).to(kept.device)
