"""What modes have to do with classes, and which channels a mode stands for."""
import torch
from torch import Tensor

from nblib.checks import expect_int, expect_number
from nblib.engine import expect_finite, precise
from nblib.targets import expect_labels


def class_correlation(loadings: Tensor, labels: Tensor, *, classes: int | None = None) -> Tensor:
    r"""Pearson correlation of each mode with "the image is of class c".

    .. math:: r_{kc}=\frac{\bar z_{k|c}-\bar z_k}{\sigma_k}\sqrt{\frac{q_c}{1-q_c}}

    :math:`q_c` is the share of images of the class, :math:`\bar z_{k|c}` the mean loading on them, :math:`\sigma_k` the
    standard deviation over all images. The sums of each class suffice, (M, K) instead of (N, K) numbers a mode.

    Args:
        loadings: z, (N, M), finite; or any other values of images, such as channel sums.
        labels: (N,) whole numbers from 0 up: classes, or anything else that images can be sorted by.
        classes: K; None is one more than the largest label.

    Returns:
        (M, K) in [−1, 1], in single precision or better. What does not vary on these images, a mode or a class, has 0:
        it says nothing about the other.

    Raises:
        ValueError: loadings that are not (N, M) or not finite, or labels that do not fit them.

    Source: P3, equation 3, with indicators for masks.
    """
    if loadings.ndim != 2 or not loadings.numel():
        raise ValueError(f"loadings {tuple(loadings.shape)} were given, expected (N, M), not empty")
    expect_finite("loadings", loadings)
    count = len(loadings)
    labels = torch.as_tensor(labels, device=loadings.device)
    if labels.shape != (count,):
        raise ValueError(f"labels {tuple(labels.shape)} were given, expected ({count},), one an image")
    classes = int(labels.max()) + 1 if classes is None else expect_int("classes", classes, 1)
    labels = expect_labels(labels, count, classes, loadings.device)
    centred = loadings.double() - loadings.double().mean(0)
    spread = centred.square().mean(0).sqrt()
    size = torch.bincount(labels, minlength=classes).double()
    share = size / count
    sums = torch.zeros(classes, loadings.shape[1], dtype=torch.float64, device=loadings.device)
    sums.index_add_(0, labels, centred)
    below = (share * (1 - share)).sqrt()[:, None] * spread
    varies = (below > 0) & (spread > 1e-9 * loadings.double().abs().amax(0))  # less is rounding
    r = torch.where(varies, sums / count / torch.where(varies, below, 1.0), 0.0)
    return r.T.clamp(-1, 1).to(precise(loadings).dtype)


def mode_channels(mode: Tensor, share: float) -> Tensor:
    """Return the channels of a mode (C,) with the largest values, round(share · C) of them, ties by index.

    Args:
        mode: (C,), or any other ranking of channels.
        share: in [0, 1].

    Raises:
        ValueError: a mode that is not (C,) or not finite, or a share out of range.
    """
    if mode.ndim != 1 or not mode.numel():
        raise ValueError(f"a mode {tuple(mode.shape)} was given, expected (C,), not empty")
    expect_finite("channels", mode[:, None])
    return mode.argsort(descending=True, stable=True)[: round(expect_number("share", share, 0, 1) * len(mode))]
