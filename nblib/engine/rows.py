"""Rows that fit in memory, and the loop over them that all gradient methods share."""
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nblib.checks import expect_int
from nblib.engine.precision import precise
from nblib.targets import Target, class_logit, evaluate, expect_classes


class Room(NamedTuple):
    """How many values one pass of a computation takes, which was measured for each kind of computation."""

    on_cpu: int
    on_accelerators: int
    fewest: int = 1  # rows, however many values they have


PIXELS = Room(
    2**16,  # 64 rows of 32 x 32: more rows leave the caches and are slower
    2**21,  # 41 rows of 224 x 224: a ResNet-50 with its graph stays under 8 GB
    fewest=4,  # one row of 224 x 224 at a time was a third slower
)


def rows_at_once(values: int, device: torch.device, chunk_size: int | None, room: Room = PIXELS) -> int:
    """Return how many rows one pass takes: `chunk_size`, or for None as many rows of so many values as have room."""
    if chunk_size is not None:
        return expect_int("chunk_size", chunk_size, 1)
    return max(room.fewest, (room.on_cpu if device.type == "cpu" else room.on_accelerators) // values)


def chunks(
    images: Tensor, steps: int, chunk_size: int | None, room: Room = PIXELS
) -> Iterator[tuple[Tensor, Tensor]]:
    """Cut the `steps` × N rows of a computation into pieces; yield the step and the image of each row, (R,) each.

    All images of one step come before the next step. A piece has `chunk_size` rows; None takes as many as have room.
    """
    size = rows_at_once(images[0, 0].numel(), images.device, chunk_size, room)
    for first in range(0, steps * len(images), size):
        piece = torch.arange(first, min(first + size, steps * len(images)), device=images.device)
        yield piece // len(images), piece % len(images)


def expect_logits(model: nn.Module, output: object, count: int) -> Tensor:
    """Return what a model gave for `count` rows if it is logits (count, K); otherwise raise a ValueError."""
    if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != count or not output.numel():
        given = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(f"{type(model).__name__} returned {given}, expected logits ({count}, K): wrap it in a module "
                         "whose forward gives them")
    if not output.is_floating_point():
        raise ValueError(f"{type(model).__name__} returned {output.dtype}, expected logits of a floating type")
    return output


def logits_of(model: nn.Module, rows: Tensor) -> Tensor:
    """Return the model's logits (R, K) for rows (R, C, H, W), in single precision at least.

    Raises:
        ValueError: a model that gives something else.
    """
    output = model(rows.clone())  # a copy: the network may begin with an operation in place
    return precise(expect_logits(model, output, len(rows)))


def predicted(model: nn.Module, images: Tensor, *, chunk_size: int | None = None) -> Tensor:
    """Return the class that the model predicts for each image, (N,) whole numbers."""
    with torch.no_grad():
        return torch.cat([
            expect_classes(logits_of(model, images[i])).argmax(1) for _, i in chunks(images, 1, chunk_size)])


def explained(
    model: nn.Module,
    images: Tensor,
    target: Target | None,
    chunk_size: int | None,
    default: Callable[[Tensor], Target] = class_logit,
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the scalar that is explained, as a function of logits (R, K) and the images' numbers (R,).

    Where `target` is None, it is `default` of the class predicted at x, which stays the same at every other point.
    """
    if target is None:
        labels = predicted(model, images, chunk_size=chunk_size)
        return lambda logits, index: default(labels[index])(logits)
    if not callable(target):
        raise ValueError(f"target {target!r} was given, expected a function of logits, such as class_logit({target!r})")
    return lambda logits, index: evaluate(target, logits, index, len(images))


@torch.no_grad()
def target_change(
    model: nn.Module, images: Tensor, start: Tensor, target: Target | None, chunk_size: int | None
) -> Tensor:
    r"""Return what there is to share out, :math:`f(x)-f(x')`, (N,), for images x and where their paths begin, x′."""
    value = explained(model, images, target, chunk_size)
    return torch.cat([value(logits_of(model, images[i]), i) - value(logits_of(model, start[i]), i)
                      for _, i in chunks(images, 1, chunk_size)])


def slope_of(scalars: Tensor, layer: Tensor, name: str = "the image") -> Tensor:
    """Return the gradient of the scalars' sum with respect to a tensor that they were computed from.

    Raises:
        ValueError: a target, or a network, through which no gradient passes back to it.
    """
    slope = None
    if scalars.requires_grad and layer.requires_grad:
        try:
            slope = torch.autograd.grad(scalars.sum(), layer, allow_unused=True)[0]
        except RuntimeError as error:
            if "use_reentrant" not in str(error):
                raise
            raise ValueError("parts of the network run within torch.utils.checkpoint(..., use_reentrant=True), where "
                             "no gradient can be asked for: switch checkpointing off, or use_reentrant") from error
    if slope is None:
        raise ValueError(f"the target has no gradient with respect to {name}: either it does not depend on it, or the "
                         "target or the network computes without a graph (no_grad, detach, argmax, numbers)")
    return slope


def weighted_gradient(
    model: nn.Module,
    images: Tensor,
    points: Callable[[Tensor, Tensor], tuple[Tensor, Tensor | float]],
    steps: int,
    *,
    target: Target | None,
    chunk_size: int | None,
) -> Tensor:
    r"""Return :math:`\sum_s w_s\odot\nabla f(x_s)` for each image, (N, C, H, W): the engine of all gradient methods.

    `points(step, image)` gives, for (R,) steps and (R,) images' numbers, the rows :math:`x_s`, (R, C, H, W), and their
    weights, broadcastable to them. Only the gradient with respect to the rows is computed. The sum is in single
    precision at least. Model and images are those that `check_inputs` has let pass.
    """
    value = explained(model, images, target, chunk_size)
    with torch.inference_mode(False), torch.enable_grad():
        total = torch.zeros_like(precise(images[:0])).new_zeros(images.shape)
        for step, image in chunks(images, steps, chunk_size):
            rows, weights = points(step, image)
            rows = rows.detach().to(images.dtype).requires_grad_()
            scalars = value(logits_of(model, rows), image)
            total.index_add_(0, image, (weights * precise(slope_of(scalars, rows))).detach())
    return total
