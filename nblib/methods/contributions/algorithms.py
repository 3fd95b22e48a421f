r"""Six ways to share the target's change out among the units of a layer.

With h a layer's output, :math:`g=\partial f/\partial h`, and :math:`x(\alpha)=x_0+\alpha(x-x_0)`, they are the steps of
a ladder: one slope at x for everything, slopes for each stretch of the way of the layer, or of the image.
"""
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nblib.checks import expect_int, expect_number, expect_one_of
from nblib.engine import logits_of, quadrature_rule, seeded
from nblib.hooks import edit
from nblib.methods.contributions.pieces import Outputs, Piece, by_pieces, slopes_of
from nblib.targets import Target

QUADRATURES = ("trapezoid", "left", "right", "midpoint", "gausslegendre")
SMALLEST = 1e-8  # norm of a slope, below which it is not divided by


class Settings(NamedTuple):
    """What only some of the algorithms need."""

    steps: int
    quadrature: str
    from_zero: bool  # activations are compared with 0 and not with the baseline's
    noise: Tensor  # (steps, C, H, W)


def contributions(
    model: nn.Module,
    images: Tensor,
    layers: Sequence[str],
    *,
    target: Target | None = None,
    method: str = "integrated_gradients",
    steps: int = 10,
    baseline: float | str | Tensor | None = 0.0,
    quadrature: str = "trapezoid",
    noise: float = 0.05,
    seed: int = 0,
    chunk_size: int | None = None,
) -> dict[str, Tensor]:
    r"""How much of the target passes through each unit of some layers, signed.

    .. math:: C_i=\int_0^1 g_i\big(x(\alpha)\big)\,\frac{dh_i(x(\alpha))}{d\alpha}\,d\alpha
        \approx\sum_{k=1}^K\tfrac12\big(g_i(x_k)+g_i(x_{k-1})\big)\big(h_i(x_k)-h_i(x_{k-1})\big),
        \qquad x_k=x\big(\tfrac kK\big)

    That is "integrated_gradients". On a layer that cuts the network, such as a block's output, it is complete:
    :math:`\sum_iC_i=f(x)-f(x_0)` as K grows. All layers come from one forward and one backward pass a step, of which
    only the last outputs and slopes are kept.

    Args:
        method: "integrated_gradients"; or, a name in `METHODS`,
            "activation_gradient": :math:`(h-h(x_0))\,g(x)`; with `baseline=None` :math:`h\,g`, activation × gradient;
            "normalized_gradient": :math:`h\,g/\|g\|_2`, the norm over all units of an image's layer, no baseline;
            "input_gradient": :math:`g(x)\,J_h(x)\,(x-x_0)`, of all units by one pass in forward mode;
            "layer_integrated_gradients": :math:`(h-h(x_0))\int_0^1 g\big(h(x_0)+\alpha(h-h(x_0))\big)\,d\alpha`, along
            a line in the layer's own space, a run for each layer;
            "smooth_gradient": the mean of :math:`h\,g` over `steps` noisy copies of x, no baseline.
        steps: K. "trapezoid" cuts the way into K intervals and looks at their K + 1 ends, as the paper counts; the
            other rules have K slopes.
        quadrature: for the two integrals. "trapezoid"; "right", the paper's equation 21, and "left", one end's slope;
            "midpoint" and "gausslegendre", slopes inside of intervals. In every rule of "integrated_gradients" a slope
            meets the change of h over its interval, which integrates the kinks of ReLUs exactly.
        noise: the standard deviation of "smooth_gradient", in the images' own units; the authors' 0.2 of normalised
            values is about 0.05 of [0, 1].
        seed: fixes the noise, 0 or more, which is the same for all images.

    Other arguments: as in `nblib.methods.contributions`.

    Returns:
        The contribution of each unit by layer, of the shape of the layer's output, in target units
        ("normalized_gradient": in units of h), on the images' device and in their type. Sums are formed in single
        precision or better.

    Raises: also a ValueError for a layer that the images do not reach, or from which the target cannot be reached.

    Source: P3, equations 5 to 12 and 21; steps and trapezoid as in the authors' code. Equal to captum's
    `LayerConductance` and `LayerIntegratedGradients` as K grows; those take a layer a call, and the former a one-sided
    sum.
    """
    algorithm = METHODS[expect_one_of("method", method, METHODS)]
    expect_one_of("quadrature", quadrature, QUADRATURES)
    expect_int("steps", steps, 1)
    if baseline is None and method != "activation_gradient":
        raise ValueError(f"baseline=None was given to {method!r}, expected a number, 'mean' or a tensor")
    fields = _fields(images, steps if method == "smooth_gradient" else 0, noise, seed)
    settings = Settings(steps, quadrature, baseline is None, fields)
    results: dict[str, Tensor] = {}

    def put(piece: Piece) -> None:
        for layer, found in zip(piece.layers, algorithm(piece, settings)):
            if layer not in results:
                results[layer] = images.new_empty(len(images), *found.shape[1:])
            results[layer][piece.image] = found.to(images.dtype)

    by_pieces(put, model, images, layers, target=target, baseline=0.0 if baseline is None else baseline,
              chunk_size=chunk_size)
    return results


def _fields(images: Tensor, count: int, noise: float, seed: int) -> Tensor:
    """Return normal noise fields, (count, C, H, W); none where images are not what they should be."""
    expect_number("noise", noise, 0)
    generator, shape = seeded(seed), images.shape[1:] if isinstance(images, Tensor) else ()
    return noise * torch.randn(count, *shape, generator=generator)


def _activation_gradient(piece: Piece, settings: Settings) -> Outputs:
    """Return the change of the layer from the baseline, times the slope at the image."""
    outputs, slopes = piece.outputs_and_slopes(piece.images)
    if settings.from_zero:
        return [h * g for h, g in zip(outputs, slopes)]
    return [(h - before) * g for h, before, g in zip(outputs, piece.outputs(piece.start), slopes)]


def _normalized_gradient(piece: Piece, settings: Settings) -> Outputs:
    """Return activation times a slope that has length 1 for each image."""
    outputs, slopes = piece.outputs_and_slopes(piece.images)
    lengths = [g.flatten(1).norm(dim=1).clamp(min=SMALLEST) for g in slopes]
    return [h * g / length.view(-1, *[1] * (g.ndim - 1)) for h, g, length in zip(outputs, slopes, lengths)]


def _input_gradient(piece: Piece, settings: Settings) -> Outputs:
    """Return the first-order change of the layer on the way from the baseline, times the slope at the image."""
    _, slopes = piece.outputs_and_slopes(piece.images)
    return [g * moved for g, moved in zip(slopes, piece.movements())]


def _smooth_gradient(piece: Piece, settings: Settings) -> Outputs:
    """Return the mean of activation × gradient over noisy copies."""
    total = [0.0] * len(piece.layers)
    for outputs, slopes in piece.each(piece.images + field for field in settings.noise.to(piece.images)):
        total = [before + h * g / settings.steps for before, h, g in zip(total, outputs, slopes)]
    return total


def _integrated_gradients(piece: Piece, settings: Settings) -> Outputs:
    """Return the slopes along the way of the image, each times the change of the layer over its interval."""
    before = slopes = total = None  # the outputs at the last bound, the last slopes
    for stop, outputs, found in _looks(piece, _stops(settings.quadrature, settings.steps)):
        earlier, slopes = slopes, found or slopes
        if not stop.is_bound:
            continue
        if total is None:
            total = [torch.zeros_like(h) for h in outputs]
        else:
            used, share = _over_interval(settings.quadrature, earlier, slopes)
            for sums, g, h, h_before in zip(total, used, outputs, before):
                sums.addcmul_(g, h - h_before, value=share)
        before = outputs
    return total


class Stop(NamedTuple):
    """A point of the way where a rule looks at the network."""

    share: float  # of the way
    takes_slope: bool
    is_bound: bool  # an interval ends there


def _stops(quadrature: str, steps: int) -> list[Stop]:
    """Return where a rule stops on the way.

    The intervals of the Gauss-Legendre rule are as long as its weights; each holds its point.
    """
    if quadrature in ("trapezoid", "left", "right"):
        ends = {"trapezoid": range(steps + 1), "left": range(steps), "right": range(1, steps + 1)}[quadrature]
        return [Stop(number / steps, number in ends, True) for number in range(steps + 1)]
    points, weights = quadrature_rule(quadrature, steps)
    bounds = weights.cumsum(0)
    bounds[-1] = 1.0  # rounding aside
    stops = [Stop(0.0, False, True)]
    for point, bound in zip(points.tolist(), bounds.tolist()):
        stops += [Stop(point, True, False), Stop(bound, False, True)]
    return stops


def _looks(piece: Piece, stops: list[Stop]) -> Iterator[tuple[Stop, Outputs, Outputs]]:
    """Yield each stop with the outputs there, and the slopes where it takes them; of one kind, several in a pass."""
    for takes_slope, alike in groupby(stops, lambda stop: stop.takes_slope):
        alike = list(alike)
        found = piece.each((piece.at(stop.share) for stop in alike), slopes=takes_slope)
        yield from ((stop, *both) for stop, both in zip(alike, found))


def _over_interval(quadrature: str, earlier: Outputs, slopes: Outputs) -> tuple[Iterable[Tensor], float]:
    """Return the slopes that a rule takes for an interval, of those at its beginning and the latest, and their share."""
    if quadrature == "trapezoid":
        return (first + last for first, last in zip(earlier, slopes)), 0.5  # a half is exact, also at the end
    return (earlier if quadrature == "left" else slopes), 1.0


def _layer_integrated_gradients(piece: Piece, settings: Settings) -> Outputs:
    """Return the change of each layer from the baseline, times the mean slope on the straight way of that layer."""
    points, weights = quadrature_rule(
        settings.quadrature, settings.steps + 1 if settings.quadrature == "trapezoid" else settings.steps)
    results = []
    for layer, after, before in zip(piece.layers, piece.outputs(piece.images), piece.outputs(piece.start)):
        total = torch.zeros_like(after)
        for point, weight in zip(points.tolist(), weights.tolist()):
            total.add_(_slope_where(piece, layer, before + point * (after - before)), alpha=weight)
        results.append((after - before) * total)
    return results


def _slope_where(piece: Piece, layer: str, output: Tensor) -> Tensor:
    """Return the slope with respect to a layer (R, ...) that is held at an output; all before it sees the images."""
    held = output.to(piece.images.dtype).requires_grad_()
    with edit(piece.model, {layer: lambda _: held.clone()}):
        values = piece.value(logits_of(piece.model, piece.images))
    return slopes_of(values, [held], [layer])[0]


METHODS: dict[str, Callable[[Piece, Settings], Outputs]] = {
    "integrated_gradients": _integrated_gradients,
    "activation_gradient": _activation_gradient,
    "normalized_gradient": _normalized_gradient,
    "input_gradient": _input_gradient,
    "layer_integrated_gradients": _layer_integrated_gradients,
    "smooth_gradient": _smooth_gradient,
}
