"""A few images at a time: their layers' outputs, the target's slopes there, and the refusal of layers that won't do."""
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import torch
import torch.autograd.forward_ad as forward
from torch import Tensor, nn

from nblib.engine import (
    Room,
    baseline_for,
    check_inputs,
    chunks,
    expect_layers,
    explained,
    forward_mode,
    logits_of,
    precise,
    rows_at_once,
    unpacked,
)
from nblib.hooks import capture
from nblib.targets import Target

Outputs = list[Tensor]  # one (R, ...) a layer, in the order of the layers
LARGE = 2**14  # pixels; a CPU's convolutions are a tenth faster where the channels of such images lie side by side
ROOM = Room(2**16, 2**21, fewest=8)  # as for slopes at pixels; a ResNet-50 is a sixth faster with 8 rows than with 2


class Piece(NamedTuple):
    """Rows of one pass: R of the images, each with its baseline, and the scalar that is explained of them."""

    model: nn.Module
    layers: list[str]
    image: Tensor  # (R,), their numbers
    images: Tensor  # (R, C, H, W)
    start: Tensor  # (R, C, H, W)
    value: Callable[[Tensor], Tensor]  # from logits (S R, K), all R rows of a point before the next, to (S R,)
    points: int  # S, how many points of the rows' ways one pass takes

    def at(self, share: float) -> Tensor:
        """Return the rows that lie at a share of the way from the baselines, 0, to the images, 1."""
        if share in (0.0, 1.0):
            return self.images if share else self.start
        return self.start + share * (self.images - self.start)

    def traced(self, rows: Tensor) -> tuple[Tensor, Outputs, Tensor]:
        """Return rows that gradients reach, the layers' outputs for them, and their scalars (R,), all in one graph."""
        rows = rows.detach().requires_grad_()
        with capture(self.model, self.layers) as captured:
            values = self.value(logits_of(self.model, rows))
        return rows, [captured[layer] for layer in self.layers], values

    def outputs_and_slopes(self, rows: Tensor) -> tuple[Outputs, Outputs]:
        """Return the layers' outputs for the rows, and the slopes of the scalars with respect to them."""
        _, outputs, values = self.traced(rows)
        slopes = slopes_of(values, outputs, self.layers)
        return [precise(output.detach()) for output in outputs], slopes

    def each(self, points: Iterable[Tensor], *, slopes: bool = True) -> Iterator[tuple[Outputs, Outputs]]:
        """Yield outputs and slopes, if they are wanted, for the rows of each point in turn; a pass takes several."""
        points = iter(points)
        while group := list(islice(points, self.points)):
            rows = torch.cat(group)
            found = self.outputs_and_slopes(rows) if slopes else (self.outputs(rows), [])
            for point in range(len(group)):
                yield tuple([layer.chunk(len(group))[point] for layer in layers] for layers in found)

    @torch.no_grad()
    def outputs(self, rows: Tensor) -> Outputs:
        """Return the layers' outputs for the rows."""
        with capture(self.model, self.layers) as captured:
            logits_of(self.model, rows)
        return [precise(captured[layer]) for layer in self.layers]

    def movements(self) -> Outputs:
        """Return how the outputs at the images move along the way from the baselines, to first order: a JVP."""
        with forward_mode(), capture(self.model, self.layers) as captured:
            logits_of(self.model, forward.make_dual(self.images, self.images - self.start))
            return [precise(unpacked(captured[layer])[1]) for layer in self.layers]


def slopes_of(values: Tensor, outputs: Outputs, layers: list[str], *, again: bool = False) -> Outputs:
    """Return the slopes of scalars (R,) with respect to the outputs of layers; `again`: the graph is still needed."""
    for layer, output in zip(layers, outputs):
        if not output.requires_grad:
            raise ValueError(f"layer {layer!r} does not depend on the images, so nothing passes through it")
    if values.requires_grad:
        slopes = torch.autograd.grad(values.sum(), outputs, retain_graph=again, allow_unused=True)
    else:  # with frozen weights, nothing that leads to the target has a graph
        slopes = [None] * len(outputs)
    for layer, slope in zip(layers, slopes):
        if slope is None:
            raise ValueError(f"the target does not depend on layer {layer!r}: nothing that leads to the logits uses it")
    return [precise(slope) for slope in slopes]


def by_pieces(
    work: Callable[[Piece], object],
    model: nn.Module,
    images: Tensor,
    layers: Sequence[str],
    *,
    target: Target | None,
    baseline: float | str | Tensor,
    chunk_size: int | None,
) -> list:
    """Check what was given; return `work(piece)` for all images in pieces that fit into memory, with graphs on."""
    check_inputs(model, images)
    start = baseline_for(images, baseline)
    layers, layout = _checked(model, layers, images)
    value, results = explained(model, images, target, chunk_size), []
    size = rows_at_once(images[0, 0].numel(), images.device, chunk_size, ROOM)
    with torch.inference_mode(False), torch.enable_grad():
        for _, image in chunks(images, 1, size):
            rows, begins = (of[image].detach().contiguous(memory_format=layout) for of in (images, start))
            piece = Piece(model, layers, image, rows, begins,
                          lambda logits, image=image: value(logits, image.repeat(len(logits) // len(image))),
                          max(1, size // len(image)))
            results.append(work(piece))
    return results


def _checked(model: nn.Module, layers: Sequence[str], images: Tensor) -> tuple[list[str], torch.memory_format]:
    """Return the layers, if they will do, and how the images are to lie in memory."""
    if images.device.type == "cpu" and images[0, 0].numel() >= LARGE:
        try:
            side_by_side = images[:1].contiguous(memory_format=torch.channels_last)
            return expect_layers(model, layers, side_by_side), torch.channels_last
        except RuntimeError:  # as from `view`, by which some networks flatten their maps
            pass
    return expect_layers(model, layers, images[:1]), torch.contiguous_format
