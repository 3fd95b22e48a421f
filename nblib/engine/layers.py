"""A network in two halves: up to a layer, and from that layer's output to a logit."""
import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from nblib.checks import expect_int
from nblib.engine.places import channel_axis_of
from nblib.engine.precision import precise
from nblib.engine.rows import Room, chunks, logits_of, rows_at_once, slope_of
from nblib.hooks import capture, edit, output_shapes

ACTIVATIONS = Room(2**22, 2**26)  # in one pass of the second half: 16 MB in single precision on a CPU
TOLERANCE = 1e-4  # relative: what two ways of computing a logit may differ by and still count as equal
ROUNDINGS = 32  # of the largest logit: differences that a sum in another order makes

Head = Callable[[Tensor], Tensor]  # from a layer's output (R, C, h, w) to one class's logit (R,), or to all (R, K)


class _Reached(Exception):
    """Ends a forward pass at the layer; carries the layer's output."""


def refuse_repeated(model: nn.Module, layer: str, image: Tensor) -> None:
    """Refuse a layer that runs several times in a pass over one image (1, C, H, W): it does not make two halves."""
    calls = []
    with torch.no_grad(), edit(model, {layer: lambda tensor: calls.append(tensor) or tensor}):
        model(image.clone())
    if len(calls) > 1:
        raise ValueError(f"layer {layer!r} runs {len(calls)} times in a pass, expected once: name the block around it")


def expect_layers(model: nn.Module, layers: Sequence[str], image: Tensor) -> list[str]:
    """Return layers as a list if they are one or more, each once, and each runs once with an output (N, ...)."""
    if not isinstance(layers, Iterable):
        raise ValueError(f"layers={layers!r} was given, expected the name of a layer, or several in a list")
    layers = [layers] if isinstance(layers, str) else list(layers)
    if not layers or len(set(layers)) < len(layers):
        raise ValueError(f"layers {layers} were given, expected one or more, each of them once")
    calls: Counter = Counter()

    def count(layer: str, tensor: Tensor) -> Tensor:
        calls[layer] += 1
        if tensor.ndim < 2 or len(tensor) != 1 or not tensor.is_floating_point():
            raise ValueError(f"layer {layer!r} has {tensor.dtype} of shape {tuple(tensor.shape)} for one image, "
                             "expected floating point (1, ...): the images come first")
        return tensor

    with torch.no_grad(), edit(model, {layer: lambda t, layer=layer: count(layer, t) for layer in layers}):
        logits_of(model, image)
    for layer in layers:
        if calls[layer] > 1:
            raise ValueError(f"layer {layer!r} runs {calls[layer]} times in a pass, expected once: "
                             "name the block around it")
    return layers


@torch.no_grad()
def nonnegative_output(model: nn.Module, layer: str, rows: Tensor, axis: int) -> Tensor:
    """Return a layer's output (R, C, h, w) for rows of pixels (R, ...); what comes after the layer does not run.

    `axis` is the layer's channel axis, by `channel_axis_of`.

    Raises:
        ValueError: a layer with values that are negative or not finite.
    """

    def stop(output: Tensor) -> Tensor:
        raise _Reached(output)

    try:
        with edit(model, {layer: stop}):
            model(rows.clone())
    except _Reached as reached:
        output = reached.args[0]
    if not (output >= 0).all() or not output.isfinite().all():
        raise ValueError(
            f"layer {layer!r} has values from {output.min().item():.3g} to {output.max().item():.3g}, expected finite "
            "ones, none below zero: name a layer after a ReLU"
        )
    return output.movedim(axis, 1)


def logits_after(
    model: nn.Module, layer: str, images: Tensor, *, chunk_size: int | None = None
) -> tuple[Head, Tensor, Tensor]:
    r"""The rest of a network: its logits as a function of what a layer puts out, :math:`h(A)`.

    What lies before the layer still runs in each pass, but on one small black image, and its result is thrown away: an
    eighth of each side, or the whole size where the network wants that.

    Args:
        model: in evaluation mode.
        layer: the layer, which must cut the network: all that comes after depends on its output alone.
        images: (N, C, H, W), on which that is tried.
        chunk_size: rows in one pass; None goes by the activations' size.

    Returns:
        The function, from (R, C, h, w) to (R, K); the layer's output for the images, (N, C, h, w); their logits (N, K).
        Of a layer whose channels are last, they are moved to the first place here.

    Raises:
        ValueError: a layer that does not cut the network, or of whose axes nobody can tell which has the channels.
    """
    outputs, expected = [], []
    with torch.no_grad():
        for _, index in chunks(images, 1, chunk_size):
            with capture(model, layer) as seen:
                expected.append(logits_of(model, images[index]))
            outputs.append(seen[layer])
        output, logits = torch.cat(outputs), torch.cat(expected)
        axis = channel_axis_of(model, layer, images[:1]) if output.ndim == 4 else 1
        output = output.movedim(axis, 1)
        black = torch.zeros_like(images[:1]) if images.any() else torch.ones_like(images[:1])  # another image
        rests = [_rest(model, layer, axis, before, chunk_size) for before in (black[:, :, ::8, ::8], black)]
        rest = next((rest for rest in rests if _same(functools.partial(rest, output), logits)), None)
    if rest is None:
        raise ValueError(
            f"layer {layer!r} does not cut {type(model).__name__} in two: with another image before it, the same "
            "output gives other logits, or none; name a layer around which nothing flows, such as a whole block"
        )
    return rest, output, logits


def cut_layers(model: nn.Module, images: Tensor) -> dict[str, torch.Size]:
    """Return the layers with places, (N, C, h, w), that cut a network in two, in their order, with the shape (C, h, w).

    Each is tried on the images, of which two are enough. A block and the last layer in it are both named.

    Args:
        model: in evaluation mode.
        images: (N, C, H, W), varied.
    """
    found = {}
    for layer, shape in output_shapes(model, images).items():
        if layer and len(shape) == 4 and shape[0] == len(images):
            with contextlib.suppress(ValueError, RuntimeError):
                found[layer] = logits_after(model, layer, images)[1].shape[1:]
    return found


def logit_after(
    model: nn.Module, layer: str, images: Tensor, label: int, *, chunk_size: int | None = None
) -> tuple[Head, Tensor]:
    r"""The rest of a network to one logit, :math:`f(A)=h(A)_c`; otherwise as `logits_after`.

    Args:
        label: c, from 0 to K − 1.

    Returns:
        The function, from (R, C, h, w) to (R,), and the layer's output for the images, (N, C, h, w).

    Raises:
        ValueError: as `logits_after`, or no such class.
    """
    rest, output, logits = logits_after(model, layer, images, chunk_size=chunk_size)
    label = label.item() if isinstance(label, Tensor) and label.numel() == 1 else label
    expect_int("label", label, 0, logits.shape[1] - 1)
    return lambda rows: rest(rows)[:, label], output


def _rest(
    model: nn.Module, layer: str, axis: int, black: Tensor, chunk_size: int | None
) -> Callable[[Tensor], Tensor]:
    """Return the network after a layer, from (R, C, h, w) to logits (R, K); before it goes a black image."""

    def piece(rows: Tensor) -> Tensor:
        # a copy: the network may go on with an operation in place
        with edit(model, {layer: lambda _: rows.movedim(1, axis).clone()}):
            return precise(model(black.clone()))

    def rest(rows: Tensor) -> Tensor:
        size = rows_at_once(rows[0].numel(), rows.device, chunk_size, ACTIVATIONS)
        return torch.cat([piece(part) for part in rows.split(size)])

    return rest


def _same(compute: Callable[[], Tensor], expected: Tensor) -> bool:
    """Say whether what is computed equals what is expected, up to rounding; no, where the network cannot run so."""
    try:
        got = compute()
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, AssertionError):  # what networks raise on a size that they do not take
        return False
    if got.shape != expected.shape:
        return False
    rounding = ROUNDINGS * torch.finfo(expected.dtype).eps * expected.abs().max()
    return bool((got - expected).abs().max() <= TOLERANCE * (expected.max() - expected.min()) + rounding)


@torch.no_grad()
def pools_first(head: Head, activations: Tensor) -> bool:
    """Say whether a head begins by averaging over all places, so that it can be given their means, (R, C, 1, 1).

    Tried on the activations (R, C, h, w), which should be varied.
    """
    means = activations.mean((2, 3), keepdim=True)
    return _same(functools.partial(head, means), head(activations))


def slope_if_affine(head: Head, activations: Tensor) -> Tensor | None:
    r"""The slope of an affine head, as average pooling with a linear layer is, :math:`f(A)=b+\langle g,A\rangle`.

    Args:
        head: from (R, C, h, w) to (R,).
        activations: (R, C, h, w), where it is tried; they should be varied.

    Returns:
        g, (C, h, w), the gradient at the first activation, if that predicts all of them; None if not.
    """
    with torch.inference_mode(False), torch.enable_grad():
        at = activations[:1].clone().requires_grad_()
        value = head(at)
        slope = slope_of(value, at, "the layer")[0]
    with torch.no_grad():
        predicted = value.detach() + ((activations - at) * slope).sum((1, 2, 3))
        return slope if _same(lambda: predicted, head(activations)) else None
