"""Which axis of a layer's output has its channels, as those operations tell that made it: (N, C, h, w) or (N, h, w, C).

Swin transformers and others keep their channels last. Nothing in a shape tells that, so the graph of the output is
followed back, axis by axis, to an operation that has channels.
"""
import math
from collections import deque

import torch
from torch import Tensor, nn

from nblib.hooks import capture

FIRST = ("Convolution", "BatchNorm", "GroupNorm", "Pool2D", "Pool2d", "Upsample", "GridSampler", "PixelShuffle")
LAST = ("AddmmBackward", "MmBackward", "LinearBackward", "MkldnnLinear")
MIXED = ("BmmBackward", "BaddbmmBackward", "ScaledDotProduct")  # as in attention: no axis goes through
Axes = tuple[int | None, ...]  # for each axis of a tensor the output's axis that it becomes


def channel_axis(layer: str, output: Tensor) -> int:
    """Return the channel axis of a layer's output of rank 4 that has a graph: 1 or 3.

    Raises:
        ValueError: an output of another rank or without a graph, or one whose channels nobody can tell.
    """
    shape = tuple(output.shape)
    if output.ndim != 4:
        tokens = "; tokens (N, T, D) have no places" if output.ndim == 3 else ""
        raise ValueError(f"layer {layer!r} has an output of shape {shape}, expected (N, channels, h, w) or "
                         f"(N, h, w, channels){tokens}")
    if output.grad_fn is None:
        raise ValueError(f"layer {layer!r} passes no gradient back: what it computes is cut off from the image")
    waiting = deque([(output.grad_fn, output.output_nr, (0, 1, 2, 3))])
    seen = set()
    while waiting:
        node, number, axes = waiting.popleft()
        if (node, number) in seen:
            continue
        seen.add((node, number))
        made = node._input_metadata[number].shape if hasattr(node, "_input_metadata") else None
        told = _told_by(node, axes)
        if told in (1, 3):
            return told
        if told is None and not node.name().startswith(MIXED):
            waiting += [(before, place, _through(node, axes, made, before._input_metadata[place].shape))
                        for before, place in node.next_functions if before is not None]
    raise ValueError(f"layer {layer!r} has an output of shape {shape}, and no convolution, norm or linear layer "
                     "before it tells whether axis 1 or axis 3 has the channels: name such a layer")


def channel_axis_of(model: nn.Module, layer: str, image: Tensor) -> int:
    """Return the channel axis of a layer, 1 or 3, by a pass over one image (1, C, H, W); raises as `channel_axis`."""
    with torch.inference_mode(False), torch.enable_grad(), capture(model, [layer]) as captured:
        model(image.detach().clone().requires_grad_())
    return channel_axis(layer, captured[layer])


def _told_by(node: object, axes: Axes) -> int | None:
    """Return the output's axis that has the channels of an operation; −1 where its channels are lost on the way."""
    name = node.name()
    if any(kind in name for kind in FIRST) and len(axes) > 1:
        found = axes[1]
    elif name.startswith(LAST) or (name.startswith(MIXED[0]) and _is_weight(node.next_functions[1][0])):
        found = axes[-1]
    elif name == "NativeLayerNormBackward0" and len(node._saved_normalized_shape) == 1:
        found = axes[-1]
    elif hasattr(node, "variable"):  # the images have channels, a weight has none here
        found = axes[1] if not isinstance(node.variable, nn.Parameter) and len(axes) == 4 else None
    else:
        return None
    return -1 if found is None else found


def _is_weight(node: object) -> bool:
    """Say whether a factor of a product is a weight, frozen or not, perhaps turned or expanded."""
    while node is not None and not hasattr(node, "variable"):
        if len(node.next_functions) != 1:
            return False
        node = node.next_functions[0][0]
    return node is None or isinstance(node.variable, nn.Parameter)


def _through(node: object, axes: Axes, made: list[int], before: list[int]) -> Axes:
    """Return, for each axis of what an operation took, the output's axis that it becomes; sizes before and after."""
    name, rank = node.name(), len(before)
    if name == "PermuteBackward0":
        order = [_signed(dim) % rank for dim in node._saved_dims]
        return tuple(axes[order.index(axis)] for axis in range(rank))
    if name == "TransposeBackward0":
        first, second = _signed(node._saved_dim0) % rank, _signed(node._saved_dim1) % rank
        moved = list(axes)
        moved[first], moved[second] = axes[second], axes[first]
        return tuple(moved)
    if len(made) == rank and not any(kind in name for kind in ("View", "Reshape")):
        return axes
    places = {(size, math.prod(made[axis + 1:])): axes[axis] for axis, size in enumerate(made)}
    return tuple(places.get((size, math.prod(before[axis + 1:]))) for axis, size in enumerate(before))


def _signed(dim: int) -> int:
    """Return an axis that may count from the end, which the graph has as an unsigned number."""
    return dim - 2**64 if dim >= 2**63 else dim
