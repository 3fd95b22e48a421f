"""Which pixels act on the target through some channels of a layer."""
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nblib import engine
from nblib.checks import expect_int, expect_one_of
from nblib.engine import as_given, precise, quadrature_rule
from nblib.methods.contributions.algorithms import contributions
from nblib.methods.contributions.measures import channels_last
from nblib.methods.contributions.pieces import Piece, by_pieces, slopes_of
from nblib.targets import Target

MAP_METHODS = ("input_gradient", "integrated_gradients", "activation_gradient")
SIGNS = ("both", "positive", "negative")
ROUNDING = 1e-5  # of an image's largest contribution: below it, a sum along a way has the sign of its rounding


def contribution_map(
    model: nn.Module,
    images: Tensor,
    layer: str,
    channels: Sequence[int] | Tensor | None,
    *,
    target: Target | None = None,
    method: str = "input_gradient",
    sign: str = "both",
    steps: int = 10,
    baseline: float | str | Tensor = 0.0,
    channel_axis: int | None = None,
    chunk_size: int | None = None,
) -> Tensor:
    r"""Which pixels act through some channels: their contributions, shared out among the pixels.

    .. math:: D_j=(x_j-x_{0,j})\sum_{i}w_{c(i)}\,g_i\,\frac{\partial h_i}{\partial x_j},\qquad
        \sum_jD_j=\sum_iw_{c(i)}\,C_i

    The sum over units i, channels and places together, is one backward pass whose cotangent is g times the weights.

    Args:
        layer: where the channels are.
        channels: whole numbers, the channels that count; or weights w (C,), floating point, such as a mode's; None
            counts every channel.
        method: where the two factors are taken. "input_gradient": both at x. "integrated_gradients": both all along
            the way from :math:`x_0`. "activation_gradient": g at x, :math:`\partial h/\partial x` all along the way.
        sign: "positive" or "negative" keeps the units whose contribution, by the same method, has that sign; "both" all
            of them. A unit that is back where it began at the end of the way contributes nothing by
            "integrated_gradients" and has no sign: what is left there is rounding.
        steps: intervals of the way, by the trapezoid rule.
        channel_axis: here, None lets the operations that made an output of rank 4 tell which axis has its channels.

    Other arguments: as in `nblib.methods.contributions`.

    Returns:
        (N, C, H, W), signed, in target units. Each image's map sums to the contributions of its units, as
        `contributions` gives them: exactly for "input_gradient", as the steps grow for the others.

    Raises: also a ValueError for channels that the layer has not got, or weights that do not fit it.

    Source: P3, equations 4, 13 and 22 to 26, and section 3.3.
    """
    expect_one_of("method", method, MAP_METHODS)
    expect_one_of("sign", sign, SIGNS)
    expect_int("steps", steps, 1)
    if not isinstance(layer, str):
        raise ValueError(f"layer {layer!r} was given, expected one name")
    kept = None
    if sign != "both":
        found = contributions(model, images, layer, target=target, method=method, steps=steps, baseline=baseline,
                              chunk_size=chunk_size)[layer]
        least = 0.0
        if method == "integrated_gradients":
            least = ROUNDING * found.abs().flatten(1).amax(1).view(-1, *[1] * (found.ndim - 1))
        kept = found > least if sign == "positive" else found < -least

    def work(piece: Piece) -> Tensor:
        return _map(piece, None if kept is None else kept[piece.image], channels, channel_axis, method, steps)

    maps = by_pieces(work, model, images, layer, target=target, baseline=baseline, chunk_size=chunk_size)
    return as_given(torch.cat(maps).contiguous(), images)


def _map(piece: Piece, mask: Tensor | None, channels: object, channel_axis: int | None, method: str,
         steps: int) -> Tensor:
    """Return the map of a piece, (R, C, H, W); mask (R, ...) over the units, or None for all."""
    if method == "input_gradient":
        points, shares = [1.0], [1.0]
    else:
        points, shares = (t.tolist() for t in quadrature_rule("trapezoid", steps + 1))
    slope = piece.outputs_and_slopes(piece.images)[1][0] if method == "activation_gradient" else None
    total = torch.zeros_like(precise(piece.images))
    for point, share in zip(points, shares):
        rows, (output,), values = piece.traced(piece.at(point))
        g = slopes_of(values, [output], piece.layers, again=True)[0] if slope is None else slope
        if channel_axis is None and output.ndim == 4:
            channel_axis = engine.channel_axis(piece.layers[0], output)
        cotangent = g * _weights(channels, g, channel_axis)
        cotangent = cotangent if mask is None else cotangent * mask
        total.add_(torch.autograd.grad(output, rows, cotangent.to(output.dtype))[0], alpha=share)
    return total * (piece.images - piece.start)


def _weights(channels: object, slope: Tensor, channel_axis: int | None) -> Tensor:
    """Return the weight of each channel, of a shape that multiplies slopes (R, ...)."""
    places = channels_last(slope, channel_axis)
    count = places.shape[-1]
    if channels is None:
        weights = places.new_ones(count)
    else:
        given = torch.as_tensor(channels)
        if given.is_floating_point() and (given.numel() or isinstance(channels, Tensor)):  # [] are no channels
            if given.shape != (count,) or not given.isfinite().all():
                raise ValueError(f"weights of shape {tuple(given.shape)} were given, expected ({count},), finite, or "
                                 "whole numbers of channels")
            weights = given.to(places)
        else:
            weights = _ones_at(given if given.numel() else given.long(), places.new_zeros(count))
    axis = channel_axis % slope.ndim if channel_axis is not None else (2 if slope.ndim == 3 else 1)
    return weights.view(*[-1 if dim == axis else 1 for dim in range(slope.ndim)])


def _ones_at(channels: Tensor, weights: Tensor) -> Tensor:
    """Return the weights (C,) with 1 for each of the channels, which are whole numbers."""
    if channels.dtype == torch.bool or channels.ndim != 1:
        raise ValueError(f"channels of {channels.dtype} {tuple(channels.shape)} were given, expected a row of whole "
                         f"numbers, or weights ({len(weights)},)")
    for channel in channels.tolist():
        expect_int("channel", channel, 0, len(weights) - 1)
    weights[channels.to(weights.device)] = 1.0
    return weights
