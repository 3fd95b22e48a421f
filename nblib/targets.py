"""The scalar that is explained: each factory returns a function from logits (N, K) to one number an image, (N,)."""
from collections.abc import Callable

import torch
from torch import Tensor

from nblib.checks import expect_int, expect_tensor

Target = Callable[[Tensor], Tensor]


def expect_labels(labels: Tensor | int, count: int, classes: int, device: torch.device | None = None) -> Tensor:
    """Return the labels of `count` images, given as (N,) or as one for all, as (N,) long on the device, or their own.

    Raises:
        ValueError: labels of another shape, that are not whole numbers, or not one of the model's classes.
    """
    try:
        labels = torch.as_tensor(labels, device=device)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"labels {labels!r} were given, expected one whole number, or a tensor ({count},)") from None
    if labels.dtype not in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
        raise ValueError(f"labels of type {labels.dtype} were given, expected whole numbers")
    if labels.ndim > 1 or (labels.ndim == 1 and len(labels) != count):
        raise ValueError(f"labels of shape {tuple(labels.shape)} were given, expected one label or ({count},)")
    if labels.numel() and (int(labels.min()) < 0 or int(labels.max()) >= classes):
        wrong = labels.flatten()[((labels < 0) | (labels >= classes)).flatten()][0]
        raise ValueError(f"label {int(wrong)} was given, the model has {classes} classes: 0 to {classes - 1}")
    return labels.long().expand(count)


def _expect_logits(logits: Tensor) -> Tensor:
    """Return logits, if they are (N, K)."""
    if expect_tensor("logits", logits).ndim != 2:
        raise ValueError(f"logits of shape {tuple(logits.shape)} were given, expected (N, K)")
    return logits


def expect_classes(logits: Tensor) -> Tensor:
    """Return logits (N, K) of at least two classes; a single one, as a sigmoid's, is refused with advice."""
    if _expect_logits(logits).shape[1] < 2:
        raise ValueError("one logit was given where classes are compared, expected two or more: wrap the network so "
                         "that it gives (0, z) for a sigmoid's z, or explain z itself by target=class_logit(0)")
    return logits


def _of_class(values: Tensor, labels: Tensor | int) -> Tensor:
    """Return the value of each row's class, (N,), of values (N, K)."""
    _expect_logits(values)
    return values.gather(1, expect_labels(labels, *values.shape, values.device).unsqueeze(1)).squeeze(1)


def class_logit(labels: Tensor | int) -> Target:
    r"""Explain the logit of a class, :math:`z_{y}`. `labels`: (N,) whole numbers, or one for all images."""
    return lambda logits: _of_class(logits, labels)


def class_probability(labels: Tensor | int) -> Target:
    r"""Explain the softmax probability of a class, :math:`p_y=e^{z_y}/\sum_k e^{z_k}`. `labels` as in `class_logit`."""
    return lambda logits: _of_class(expect_classes(logits).softmax(1), labels)


def max_logit() -> Target:
    r"""Explain the largest logit, :math:`\max_k z_k`; the class may change along an integration path."""
    return lambda logits: _expect_logits(logits).max(1).values


def top_k_sum(k: int) -> Target:
    r"""Explain the sum of the `k` largest logits, :math:`\sum_{i\le k} z_{(i)}`; 1 ≤ k ≤ K."""

    def target(logits: Tensor) -> Tensor:
        expect_int("k", k, 1, _expect_logits(logits).shape[1])
        return logits.topk(k, dim=1).values.sum(1)

    return target


def entropy() -> Target:
    r"""Explain the entropy of the softmax, :math:`-\sum_k p_k\log p_k`, in nats, 0 to :math:`\log K`."""
    return lambda logits: -(expect_classes(logits).softmax(1) * logits.log_softmax(1)).sum(1)


def contrast(first: Tensor | int | None = None, second: Tensor | int | None = None) -> Target:
    r"""Explain the lead of one class over another, :math:`z_{first}-z_{second}`.

    Without arguments: the largest logit minus the second largest, :math:`z_{(1)}-z_{(2)}`. With labels, (N,) or one
    number each: the lead of those classes, which asks what tells the two apart.
    """
    if (first is None) != (second is None):
        raise ValueError("contrast takes no class or two, one was given")

    def target(logits: Tensor) -> Tensor:
        if first is None:
            top = expect_classes(logits).topk(2, dim=1).values
            return top[:, 0] - top[:, 1]
        return class_logit(first)(logits) - class_logit(second)(logits)

    return target


def surprisal(mean: Tensor, covariance: Tensor) -> Target:
    r"""Explain how unusual a response is under a Gaussian model, :math:`\tfrac12(r-\mu)^\top\Sigma^{-1}(r-\mu)`.

    Args:
        mean: (K,), the mean response.
        covariance: (K, K), symmetric and positive definite.

    Raises:
        ValueError: shapes that do not fit, or a covariance that is not positive definite.
    """
    expect_tensor("mean", mean), expect_tensor("covariance", covariance)
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        given = f"mean {tuple(mean.shape)} and covariance {tuple(covariance.shape)}"
        raise ValueError(f"{given} were given, expected (K,) and (K, K)")
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if failed:
        raise ValueError("the covariance is not positive definite; add a small multiple of the identity")

    def target(responses: Tensor) -> Tensor:
        if responses.shape[1] != len(mean):
            raise ValueError(f"responses of {responses.shape[1]} units were given, the mean has {len(mean)}")
        centred = (responses - mean.to(responses)).T
        whitened = torch.linalg.solve_triangular(factor.to(responses), centred, upper=False)
        return whitened.square().sum(0) / 2

    return target


def _called(target: Target, logits: Tensor) -> object:
    """Return what a target gives, and say what it was called with where it cannot go on."""
    try:
        return target(logits)
    except (TypeError, IndexError, AttributeError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise ValueError(f"the target fails on logits {tuple(logits.shape)}, with which it is called: "
                         f"{type(error).__name__}: {error}") from error


def evaluate(target: Target, logits: Tensor, index: Tensor, count: int) -> Tensor:
    """Apply `target`, made for a whole batch of `count` images, to rows that are any of its images, any number of
    times.

    This is what lets methods cut a batch into chunks, or put many steps of a path into one forward pass, while a target
    still holds one label for each image.

    Args:
        target: (count, K) -> (count,), each image for itself.
        logits: (R, K), one row for each copy of an image.
        index: (R,) the image of each row, 0 to count − 1.
        count: N, the number of images that the target was made for.

    Returns:
        (R,): the target of each row.

    Raises:
        ValueError: a target that returns something else, or values that are not finite.
    """
    rows = torch.arange(len(index), device=index.device)
    order = index.argsort(stable=True)
    starts = torch.searchsorted(index[order], index[order])
    copy = torch.empty_like(index)
    copy[order] = rows - starts  # the how-manieth copy of its image a row is
    copies = int(copy.max()) + 1 if len(index) else 0
    values = logits.new_zeros(len(index))
    for number in range(copies):
        mine = (copy == number).nonzero().squeeze(1)
        whole = logits.new_zeros(count, logits.shape[1]).index_copy(0, index[mine], logits[mine])
        scalars = _called(target, whole)
        if not isinstance(scalars, Tensor) or scalars.shape != (count,):
            given = f"shape {tuple(scalars.shape)}" if isinstance(scalars, Tensor) else type(scalars).__name__
            raise ValueError(f"the target returned {given}, expected a tensor ({count},): one number an image")
        if not scalars.is_floating_point():
            raise ValueError(f"the target returned {scalars.dtype}, expected a floating type: numbers with a slope")
        values = values.to(scalars.dtype)
        values = values.index_copy(0, mine, scalars[index[mine]])
    if not values.isfinite().all():
        wrong = index[~values.isfinite()].unique().tolist()
        raise ValueError(f"the target is not finite (NaN or infinite) for images {wrong[:5]}, or on the way to them")
    return values
