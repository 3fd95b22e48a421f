"""What a network says along a pathway beside what it says of the whole image, and without the pathway's units."""
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nblib.checks import expect_tensor
from nblib.methods.neural_pathways.pathways import Scores, edited_probabilities, select
from nblib.targets import expect_labels


class Confidence(NamedTuple):
    """Shares in [0, 1]; c is the class that the network predicts on the whole image, y its probability."""

    increase_rate: float  # ICr: c is predicted, with a higher y, over all images
    mean_increase: float  # mIC: how much higher, the mean over the images that have it; 0 if none
    mean_decrease: float  # mDC: how much lower, the mean over the images where c is predicted with a lower y
    gain: float  # as mIC, over all images
    loss: float  # as mDC, over all images
    accuracy: float  # the label is predicted
    agreement: float  # c is predicted


def confidence(whole: Tensor, edited: Tensor, labels: Tensor) -> Confidence:
    r"""How a network's confidence changes along a pathway.

    .. math:: ICr=\frac{|I|}n,\quad mIC=\frac1{|I|}\sum_{i\in I}(\hat y_i-y_i),\quad
        I=\{i:\hat y_i>y_i,\ \hat c_i=c_i\},\qquad gain=ICr\cdot mIC

    Args:
        whole: the softmax (N, K) of the whole image.
        edited: the softmax along the pathway; its y is that of the class c as well.
        labels: (N,), the true ones, for the accuracy.

    Returns:
        A `Confidence`. gain − loss is the mean change over all images, where those of another class count as 0.

    Source: P0, section 4. It prints mIC and mDC as sums over n, which its tables cannot be: they are means over the
    images that count.
    """
    for name, share in (("probabilities", whole), ("edited probabilities", edited)):
        if expect_tensor(name, share).ndim != 2 or not share.numel() or share.shape != whole.shape:
            raise ValueError(f"{name} of shape {tuple(share.shape)} were given, expected (N, K), one shape for both")
    rows = expect_labels(labels, *whole.shape, whole.device)
    before, label = whole.double().max(1)
    change = edited.double().gather(1, label[:, None])[:, 0] - before
    same = edited.argmax(1) == label
    up, down = same & (change > 0), same & (change < 0)
    gain, loss = (change[which].abs().sum().item() for which in (up, down))
    count = len(whole)
    return Confidence(up.sum().item() / count, gain / max(1, int(up.sum())), loss / max(1, int(down.sum())),
                      gain / count, loss / count, (edited.argmax(1) == rows).double().mean().item(),
                      same.double().mean().item())


def removal_accuracy(model: nn.Module, images: Tensor, labels: Tensor, scores: Scores, *,
                     sparsities: Sequence[float], chunk_size: int | None = None) -> Tensor:
    """Remove and predict (ROAP): the accuracy (S,) without the units that a pathway of each sparsity keeps.

    Args:
        labels: (N,), the true ones.
        scores: by layer, as `select` ranks them.
        sparsities: S shares in [0, 1).

    Other arguments: as in `nblib.methods.neural_pathways`.

    Source: P0, section 4. A lower accuracy says that the units were needed.
    """
    found = []
    for sparsity in sparsities:
        share = edited_probabilities(model, images, select(scores, sparsity), intervention="remove",
                                     chunk_size=chunk_size)
        rows = expect_labels(labels, *share.shape, share.device)
        found.append((share.argmax(1) == rows).double().mean())
    if not found:
        raise ValueError("no sparsities were given, expected one or more")
    return torch.stack(found).float()
