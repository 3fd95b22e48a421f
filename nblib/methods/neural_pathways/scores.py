r"""How important each unit is, by seven methods, of many images at a time."""
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nblib.checks import expect_int, expect_kind, expect_number, expect_one_of
from nblib.engine import (
    ACTIVATIONS,
    Room,
    channel_axis_of,
    check_inputs,
    chunks,
    expect_layers,
    explained,
    logits_after,
    logits_of,
    options_of,
    precise,
    quadrature_rule,
    rows_at_once,
    seeded,
)
from nblib.hooks import capture, edit
from nblib.methods.neural_pathways.gates import expect_schedule, gates
from nblib.methods.neural_pathways.greedy import order_of_removal
from nblib.methods.neural_pathways.pathways import Scores, expect_share
from nblib.models.gencnp import Generator
from nblib.targets import Target

QUADRATURES = ("midpoint", "gausslegendre", "left", "right", "trapezoid", "published")


class Batch(NamedTuple):
    """What a method is given: all images, checked."""

    model: nn.Module
    images: Tensor  # (N, C, H, W)
    layers: list[str]
    value: Callable[[Tensor, Tensor], Tensor]  # of logits (R, K) and the images' numbers (R,)
    seed: int
    chunk_size: int | None


def unit_scores(model: nn.Module, images: Tensor, layers: Sequence[str], *, method: str, target: Target | None = None,
                seed: int = 0, chunk_size: int | None = None, **options: object) -> Scores:
    r"""How important each unit is for the answer, signed.

    With a a layer's units and f the target, a name in `METHODS`:

    - "activation": a.
    - "taylor" (NeuronMCT): :math:`a\,\partial f/\partial a`, what removing the unit takes away, to first order.
    - "integrated_gradients" (NeuronIntGrad): :math:`a\int_0^1\partial f(\alpha a)/\partial a\,d\alpha`, each layer alone
      being scaled. They sum to what f loses when the whole layer is removed. Options: steps (10); quadrature,
      "midpoint", another rule of `nblib.engine`, or "published", the points 0, .1, .3, .6, 1, 1.5 ... 5.5 of the
      authors' code, most of which lie beyond the image.
    - "greedy": when a unit goes, in [0, 1], if the lowest magnitudes of "taylor" are dropped round by round and are
      computed anew on what is left. Options: sparsity (in [0, 1), where it stops), round_share (0.02 of all units).
    - "dgr": gates :math:`\lambda\ge0` on all units, from 1, that keep the network's softmax and are to be few. Options:
      iterations (1000), rate (0.01), penalty (γ, 0.01), momentum (0.9).
    - "dgr_random": the same from uniform gates in (0, 1).
    - "random": uniform numbers.
    - "generator": x, before it is rounded. Option: generator, made for this network.

    Args:
        method: one of these.
        seed: of "random" and "dgr_random", whose numbers are drawn for each image in its order.
        options: of the method.

    Other arguments: as in `nblib.methods.neural_pathways`.

    Returns:
        By layer, of the shape of its output. P0 ranks by the `magnitude`.

    Source: P0, section 4; Khakzar et al. (2021), with sums that are integrals, and with dropped units that stay dropped.
    """
    function = METHODS[expect_one_of("method", method, METHODS)]
    given = options_of(method, function, options)
    check_inputs(model, images)
    layers = expect_layers(model, layers, images[:1])
    expect_int("seed", seed, 0, 2**63 - 1)
    batch = Batch(model, images.detach(), layers, explained(model, images, target, chunk_size), seed, chunk_size)
    with torch.inference_mode(False), torch.enable_grad():
        found = function(batch, **given)
    return {layer: found[layer].to(images.dtype) for layer in layers}


def _by_chunks(batch: Batch, work: Callable[[Tensor], Scores]) -> Scores:
    """Return `work(numbers of images)` of all images, put together."""
    parts = [work(index) for _, index in chunks(batch.images, 1, batch.chunk_size)]
    return {layer: torch.cat([part[layer] for part in parts]) for layer in batch.layers}


@torch.no_grad()
def activations(batch: Batch, index: Tensor) -> Scores:
    """Return what the layers put out for some images."""
    with capture(batch.model, batch.layers) as seen:
        logits_of(batch.model, batch.images[index])
    return {layer: seen[layer] for layer in batch.layers}


def _activation(batch: Batch) -> Scores:
    """Return the units' activations."""
    return _by_chunks(batch, lambda index: activations(batch, index))


def _taylor(batch: Batch) -> Scores:
    """Return activation times gradient."""

    def work(index: Tensor) -> Scores:
        with capture(batch.model, batch.layers) as seen:
            values = batch.value(logits_of(batch.model, batch.images[index].requires_grad_()), index)
        outputs = [seen[layer] for layer in batch.layers]
        slopes = slopes_of(values, outputs, batch.layers)
        return {layer: precise(output.detach()) * precise(slope)
                for layer, output, slope in zip(batch.layers, outputs, slopes)}

    return _by_chunks(batch, work)


def slopes_of(values: Tensor, outputs: list[Tensor], layers: Sequence[str]) -> list[Tensor]:
    """Return the slopes of scalars (R,) with respect to layers' outputs."""
    slopes = [None] * len(outputs)
    if values.requires_grad and all(output.requires_grad for output in outputs):
        slopes = torch.autograd.grad(values.sum(), outputs, allow_unused=True)
    for layer, slope in zip(layers, slopes):
        if slope is None:
            raise ValueError(f"the target does not depend on layer {layer!r}: nothing that leads to it uses the layer, "
                             "or the network computes without a graph")
    return list(slopes)


def _integrated_gradients(batch: Batch, *, steps: int = 10, quadrature: str = "midpoint") -> Scores:
    """Return activation times the mean gradient on the way of one layer from zero."""
    points, weights = _rule(steps, quadrature)
    whole = _activation(batch)
    return {layer: _scaled(batch, layer, whole[layer], points, weights) for layer in batch.layers}


def _rule(steps: int, quadrature: str) -> tuple[Tensor, Tensor]:
    """Return the points and weights of an integral from 0 to 1, or those of the authors' code, which leave it."""
    if expect_one_of("quadrature", quadrature, QUADRATURES) != "published":
        return quadrature_rule(quadrature, steps)
    points = torch.arange(expect_int("steps", steps, 1) + 1, dtype=torch.float64).cumsum(0) / steps
    return points, torch.full_like(points, 1 / len(points))


def _scaled(batch: Batch, layer: str, whole: Tensor, points: Tensor, weights: Tensor) -> Tensor:
    """Return the scores of a layer whose outputs (N, ...) are scaled; what comes before it runs as little as it can."""
    logits = _after(batch, layer, whole)
    total = torch.zeros_like(precise(whole))
    size = rows_at_once(whole[0].numel(), whole.device, batch.chunk_size, Room(ACTIVATIONS.on_cpu // 16,
                                                                              ACTIVATIONS.on_accelerators // 16))
    rows = torch.arange(len(points) * len(whole), device=whole.device)
    for piece in rows.split(size):
        step, image = piece // len(whole), piece % len(whole)
        shape = (-1, *[1] * (whole.ndim - 1))
        held = (points.to(whole)[step].view(shape) * whole[image]).requires_grad_()
        slope = slopes_of(batch.value(logits(held, image), image), [held], [layer])[0]
        total.index_add_(0, image, precise(slope) * weights.to(total)[step].view(shape))
    return precise(whole) * total


def _after(batch: Batch, layer: str, whole: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the logits (R, K) as a function of a layer's outputs (R, ...) and the images' numbers.

    Where the layer cuts the network only the rest runs; where something flows around it, the whole network does.
    """
    try:
        rest, _, _ = logits_after(batch.model, layer, batch.images[:2], chunk_size=2**31)
        first = whole.ndim != 4 or channel_axis_of(batch.model, layer, batch.images[:1]) == 1
    except ValueError:
        first = False
    if not first:
        def rest_of(held: Tensor, image: Tensor) -> Tensor:
            with edit(batch.model, {layer: lambda _: held.clone()}):
                return logits_of(batch.model, batch.images[image])

        return rest_of
    return lambda held, image: rest(held)


def _random(batch: Batch) -> Scores:
    """Return uniform numbers for each unit, image by image."""
    shapes = {layer: values.shape[1:] for layer, values in activations(batch, torch.tensor([0])).items()}
    return uniform(shapes, len(batch.images), batch.seed, batch.images)


def uniform(shapes: dict[str, torch.Size], count: int, seed: int, like: Tensor) -> Scores:
    """Return uniform numbers in [0, 1) by layer for each of `count` images, one image after the other."""
    generator = seeded(seed)
    rows = [{layer: torch.rand(shape, generator=generator) for layer, shape in shapes.items()} for _ in range(count)]
    return {layer: torch.stack([row[layer] for row in rows]).to(like) for layer in shapes}


def _greedy(batch: Batch, *, sparsity: float | None = None, round_share: float = 0.02) -> Scores:
    """Return when units go, if the least important go first and are found anew each round."""
    if sparsity is None:
        raise ValueError("sparsity was not given to 'greedy', expected the share of units at which it stops, in [0, 1)")
    expect_number("round_share", round_share, 1e-6, 1)
    expect_share("sparsity", sparsity)

    def work(index: Tensor) -> Scores:
        whole = activations(batch, index)

        def run(masks: Scores) -> tuple[Tensor, list[Tensor]]:
            edits = {layer: lambda t, layer=layer: t * masks[layer] for layer in batch.layers}
            with edit(batch.model, edits), capture(batch.model, batch.layers) as seen:
                values = batch.value(logits_of(batch.model, batch.images[index].requires_grad_()), index)
            outputs = [seen[layer] for layer in batch.layers]
            slopes = slopes_of(values, outputs, batch.layers)
            return [(output.detach() * slope).abs() for output, slope in zip(outputs, slopes)]

        return order_of_removal(whole, run, sparsity, round_share)

    return _by_chunks(batch, work)


def _dgr(batch: Batch, *, iterations: int = 1000, rate: float = 0.01, penalty: float = 0.01,
         momentum: float = 0.9) -> Scores:
    """Return gates that began at 1."""
    schedule = expect_schedule(iterations, rate, penalty, momentum)
    return _by_chunks(batch, lambda index: gates(
        batch.model, batch.images[index], {k: torch.ones_like(v) for k, v in activations(batch, index).items()},
        schedule, index))


def _dgr_random(batch: Batch, *, iterations: int = 1000, rate: float = 0.01, penalty: float = 0.01,
                momentum: float = 0.9) -> Scores:
    """Return gates that began at random."""
    schedule, start = expect_schedule(iterations, rate, penalty, momentum), _random(batch)
    return _by_chunks(batch, lambda index: gates(
        batch.model, batch.images[index], {layer: values[index] for layer, values in start.items()}, schedule, index))


def _generator(batch: Batch, *, generator: Generator | None = None) -> Scores:
    """Return the order of a generator, if it is this network's."""
    expect_kind("a generator", generator, Generator)
    mine, theirs = batch.model.state_dict(), generator.network.state_dict()
    same = mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
    if not same or generator.layers != batch.layers:
        raise ValueError(f"a generator of another network was given, or of other layers than {batch.layers}: it is made "
                         f"for a {type(generator.network).__name__} and {generator.layers}; train_generator() makes one")
    return _by_chunks(batch, lambda index: generator.scores(batch.images[index]))


METHODS: dict[str, Callable[..., Scores]] = {
    "activation": _activation, "taylor": _taylor, "integrated_gradients": _integrated_gradients, "greedy": _greedy,
    "dgr": _dgr, "dgr_random": _dgr_random, "random": _random, "generator": _generator,
}
