"""Images in batches that fit into memory, with what every score of neuron paths needs: checked input, clean neurons."""
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nblib import store
from nblib.checks import expect_int, expect_one_of, quoted
from nblib.engine import PIXELS, check_inputs, frozen, logits_of, precise, quadrature_rule, rows_at_once
from nblib.hooks import capture, edit
from nblib.models.vit import has_vit_parts, vit_parts
from nblib.targets import class_probability, expect_classes, expect_labels

ROOM = PIXELS._replace(on_cpu=2**18)  # products of fewer rows at a time repeat the weights' way through the caches
TOKENS = ("cls", "patches", "all")
MEAN_POOLED = "tokens='cls' was given, but {} does not read its logits from a class token: expected 'patches' or 'all'"


@dataclass(frozen=True)
class Batch:
    """Images, and what scores of paths through them need; τ tokens are looked at, n neurons are in a layer.

    Attributes:
        model: in evaluation mode, its weights frozen.
        images: (N, C, H, W).
        labels: (N,).
        layers: the layers of a path, in the order in which they run.
        clean: the neurons of each layer on the unedited images, (N, τ, n).
        tokens: which tokens are looked at.
        points: where on the way from 0 to 1 the slopes are taken, (m,).
        weights: of these points, (m,).
        rows: how many rows go through the network in one pass.
    """

    model: nn.Module
    images: Tensor
    labels: Tensor
    layers: tuple[str, ...]
    clean: tuple[Tensor, ...]
    tokens: slice
    points: Tensor
    weights: Tensor
    rows: int

    def pieces(self, paths: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the path and the step of each row, (R,) each, for all steps of so many paths, in even pieces."""
        steps = len(self.points)
        passes = -(-paths * steps // self.rows)  # rounded up
        for piece in torch.arange(paths * steps, device=self.images.device).tensor_split(passes):
            yield piece // steps, piece % steps

    def zeros(self, *shape: int) -> Tensor:
        """Return zeros in which sums are formed: single precision at least, also where the model computes in half."""
        return torch.zeros(shape, device=self.images.device, dtype=precise(self.images).dtype)

    def probability(self, logits: Tensor, image: Tensor) -> Tensor:
        """Return the probability of the label of each row's image, (R,)."""
        return class_probability(self.labels[image])(precise(logits))

    @property
    def everyone(self) -> Tensor:
        """The numbers of the images, (N,): the image of each path, where there is one path an image."""
        return torch.arange(len(self.images), device=self.images.device)

    def only(self, number: int) -> "Batch":
        """Return the batch with only one of its layers."""
        return dataclasses.replace(self, layers=(self.layers[number],), clean=(self.clean[number],))


def by_batches(
    function: Callable[..., object],
    model: nn.Module,
    images: Tensor,
    labels: Tensor | int,
    layers: Sequence[str],
    besides: Callable[[], Sequence[Tensor]] = tuple,
    *,
    steps: int = 1,
    quadrature: str = "left",
    tokens: str,
    chunk_size: int | None,
    paths: int = 1,
) -> list:
    """Check the input; return `function(batch, *besides of its images)` for batches of images that fit into memory.

    `besides()` is called once the images are checked, and gives tensors (N, ...) that go with them. All steps of
    `paths` paths an image are to fit into one pass of `chunk_size` rows, as far as they do for one image.
    """
    check_inputs(model, images)
    besides = besides()
    layers = expect_layers(layers)
    points, weights = (t.to(precise(images[:0])) for t in quadrature_rule(quadrature, steps))
    rows = rows_at_once(images[0, 0].numel(), images.device, chunk_size, ROOM)
    images, results = images.detach(), []
    with torch.inference_mode(False), torch.enable_grad(), frozen(model):
        where = _expect_tokens(model, tokens)
        for first in range(0, len(images), per_batch := max(1, rows // (steps * paths))):
            part = slice(first, first + per_batch)
            some = images[part].clone()
            clean, classes = _read_clean(model, some, layers, where, rows)
            if first == 0:
                labels = expect_labels(labels, len(images), classes, images.device)
                _refuse_unread(model, some[:1], layers, tokens)
            batch = Batch(model, some, labels[part], layers, clean, where, points, weights, rows)
            results.append(function(batch, *(tensor[part] for tensor in besides)))
    return results


def expect_neurons(images: Tensor, neurons: Tensor, *, shared: bool = False) -> Tensor:
    """Return neurons given as (N, L), (N, L, k) or, where `shared`, (1, L, k), as (N, L, k) on the images' device."""
    fits = isinstance(neurons, Tensor) and not neurons.is_floating_point() and neurons.dtype != torch.bool
    fits = fits and neurons.ndim in (2, 3) and (shared or neurons.numel()) and (
        len(neurons) == len(images) or (shared and neurons.ndim == 3 and len(neurons) == 1))
    if not fits:
        given = f"{neurons.dtype} {tuple(neurons.shape)}" if isinstance(neurons, Tensor) else type(neurons).__name__
        raise ValueError(f"neurons of {given} were given, expected whole numbers ({len(images)}, L) or "
                         f"({len(images)}, L, k)" + (", or (1, L, k) for all images" if shared else ""))
    sets = neurons if neurons.ndim == 3 else neurons[:, :, None]
    return sets.expand(len(images), -1, -1).to(images.device, torch.long)


def refuse_outside(batch: Batch, sets: Tensor) -> None:
    """Refuse neurons (N, L, k) that are not in the layers."""
    if sets.shape[1] != len(batch.layers):
        raise ValueError(f"neurons of {sets.shape[1]} layers were given for {len(batch.layers)} layers")
    for layer, clean, chosen in zip(batch.layers, batch.clean, sets.unbind(1)):
        for value in chosen.aminmax() if chosen.numel() else ():
            expect_int(f"neuron of {layer!r}", int(value), 0, clean.shape[2] - 1)


def expect_layers(layers: Sequence[str]) -> tuple[str, ...]:
    """Return the layers as a tuple, if they are one or more, each of them once."""
    if not isinstance(layers, Iterable):
        raise ValueError(f"layers={layers!r} was given, expected the names of layers in a list")
    for layer in [layers] if isinstance(layers, str) else layers:
        if not isinstance(layer, str):
            raise ValueError(f"layer {layer!r} was given, expected the name of a layer, as in model.named_modules()")
    layers = (layers,) if isinstance(layers, str) else tuple(layers)
    if not layers or len(set(layers)) < len(layers):
        raise ValueError(f"layers {list(layers)} were given, expected one or more, each of them once")
    return layers


def _expect_tokens(model: nn.Module, tokens: str) -> slice:
    """Return which tokens are meant, and refuse class tokens from which no logit is read."""
    expect_one_of("tokens", tokens, TOKENS)
    parts = vit_parts(model) if has_vit_parts(model) else None
    prefix = parts.prefix if parts is not None else getattr(model, "num_prefix_tokens", 1)
    if tokens == "cls" and not (parts.reads_class_token if parts is not None else prefix):
        raise ValueError(MEAN_POOLED.format(type(model).__name__))
    return {"cls": slice(0, 1), "patches": slice(prefix, None), "all": slice(None)}[tokens]


def _read_clean(model: nn.Module, images: Tensor, layers: tuple[str, ...], tokens: slice,
                rows: int) -> tuple[tuple[Tensor, ...], int]:
    """Return the neurons (N, τ, n) of each layer in the tokens that are looked at, unedited, and the number of classes.

    Refuses layers that are no neurons of tokens, and those that do not run once each, in the order given.
    """
    found: list[dict[str, Tensor]] = []

    def note(layer: str, neurons: Tensor) -> Tensor:
        if neurons.ndim != 3 or len(neurons) != len(some) or not neurons[:, tokens].numel():
            raise ValueError(f"layer {layer!r} gives {tuple(neurons.shape)} for {len(some)} images, expected "
                             "(images, tokens, neurons) with some of the tokens that are looked at")
        if layer in found[-1]:
            raise ValueError(f"layer {layer!r} runs more than once in a forward pass, expected one that runs once")
        found[-1][layer] = neurons[:, tokens].clone()
        return neurons

    with torch.no_grad(), edit(model, {layer: lambda t, layer=layer: note(layer, t) for layer in layers}):
        for some in images.split(rows):
            found.append({})
            logits = expect_classes(logits_of(model, some))
    if tuple(found[0]) != layers and len(found[0]) == len(layers):
        raise ValueError(f"layers {quoted(layers)} were given, they run in another order: {quoted(found[0])}")
    return tuple(torch.cat([piece[layer] for piece in found]) for layer in layers), logits.shape[1]


def drawn(purpose: str, seed: int, numbers: Tensor, clean: Sequence[Tensor]) -> list[Tensor]:
    """Return uniform random values (N, n) a layer, for images by their numbers, so that batches do not matter.

    Draws for different purposes have nothing to do with each other.
    """
    rows = []
    for number in numbers.tolist():
        generator = torch.Generator().manual_seed(store.seed(purpose, seed, number))
        rows.append([torch.rand(layer.shape[2], generator=generator) for layer in clean])
    return [torch.stack(layer).to(clean[0].device) for layer in zip(*rows)]


def _refuse_unread(model: nn.Module, image: Tensor, layers: tuple[str, ...], tokens: str) -> None:
    """Refuse class tokens of an unknown model if only the other tokens of the last layer reach the logits."""
    if tokens != "cls" or has_vit_parts(model):
        return
    with capture(model, layers[-1:]) as tensors:
        logits = logits_of(model, image.clone().requires_grad_())
    reach = torch.autograd.grad(precise(logits).square().sum(), tensors[layers[-1]], materialize_grads=True)[0][0]
    if reach.any() and not reach[0].any():
        raise ValueError(MEAN_POOLED.format(type(model).__name__))
