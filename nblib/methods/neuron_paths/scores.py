"""Scores of given neuron paths and of single neurons, and the differences that complete ones add up to.

A path is one neuron a layer. Its score looks at the probability F of the image's label while the path's neurons go from
0 to their clean values together.
"""
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nblib.engine import logits_of, precise
from nblib.hooks import edit
from nblib.methods.neuron_paths.batches import Batch, by_batches, expect_layers, expect_neurons, refuse_outside
from nblib.methods.neuron_paths.slopes import clamp, of_neuron, path_edits, path_slopes, slopes_for


def joint_attribution(model: nn.Module, images: Tensor, labels: Tensor | int, layers: Sequence[str], neurons: Tensor, *,
                      steps: int = 20, quadrature: str = "left", tokens: str = "cls",
                      chunk_size: int | None = None) -> Tensor:
    r"""The joint attribution score of a path: sum of activations times mean sum of slopes, cross terms included.

    .. math::
        \mathrm{JAS}=\sum_\tau\Big(\sum_{j}\hat w^j_\tau\Big)\int_0^1\sum_{l}
        \frac{\partial F(\alpha\hat w^1,\dots,\alpha\hat w^L)}{\partial w^l_\tau}\,d\alpha

    with :math:`\hat w^l_\tau` the clean value of the path's neuron of layer l in token τ, and F the softmax
    probability of the image's label. The other neurons of the path's layers stay at their clean values in the tokens
    that are looked at; everything else reacts. It is not complete: it grows with the length of the path, and can exceed
    1. A path of one neuron has its knowledge attribution.

    Args:
        neurons: (N, L) whole numbers, the neuron of each layer; or (N, L, width) from `find_paths`, of which the first
            column, the best path, is scored.
        tokens: the product is formed in each token that is looked at and summed, as in the authors' code for
            mean-pooled models. They divide what they report for these by the number of patches; we do not.

    Other arguments, and errors: as in `nblib.methods.neuron_paths`.

    Returns:
        (N,), in units of probability, at least in single precision.

    Source: P1, equations 1 to 3 (definition 1); the cross terms are in all three places of the authors' code.
    """
    return _of_paths(joint, model, images, labels, layers, neurons, steps=steps, quadrature=quadrature, tokens=tokens,
                     chunk_size=chunk_size)


def joint(batch: Batch, paths: Tensor) -> Tensor:
    """Return the joint attribution (N,) of paths (N, L), one an image."""
    slopes = slopes_for(batch)
    for chosen in paths[:, :-1].unbind(1):
        slopes.extend(batch.everyone, chosen)
    return (_values(batch, paths).sum(2) * slopes.joint_slopes(batch.everyone, paths[:, -1])).sum(1)


def path_integral(model: nn.Module, images: Tensor, labels: Tensor | int, layers: Sequence[str], neurons: Tensor, *,
                  steps: int = 20, quadrature: str = "left", tokens: str = "cls",
                  chunk_size: int | None = None) -> Tensor:
    r"""The complete attribution of a path: each neuron's activation times its own mean slope.

    .. math:: \sum_\tau\sum_{l}\hat w^l_\tau\int_0^1\frac{\partial F(\alpha\hat w)}{\partial w^l_\tau}\,d\alpha
        =F(\hat w)-F(0)

    Arguments and errors: as in `joint_attribution`.

    Returns:
        (N,), in units of probability; `path_change` is what it adds up to with enough steps.

    Source: Sundararajan, Taly and Yan (2017), for the neurons of a path; P1 without its cross terms.
    """
    def complete(batch: Batch, paths: Tensor) -> Tensor:
        return (_values(batch, paths) * path_slopes(batch, batch.everyone, paths)).sum((1, 2))

    return _of_paths(complete, model, images, labels, layers, neurons, steps=steps, quadrature=quadrature,
                     tokens=tokens, chunk_size=chunk_size)


def knowledge_attribution(model: nn.Module, images: Tensor, labels: Tensor | int, layers: Sequence[str], *,
                          steps: int = 20, quadrature: str = "left", tokens: str = "cls",
                          chunk_size: int | None = None) -> dict[str, Tensor]:
    r"""What each neuron of a layer adds, while the whole layer goes from 0 to its clean values.

    .. math:: \sum_\tau\hat w^l_{i\tau}\int_0^1\frac{\partial F(\alpha\hat w^l)}{\partial w^l_{i\tau}}\,d\alpha

    Each layer is taken by itself; layers before it are clean, layers behind it react. With enough steps a layer's
    values add up to its `layer_change`. For one neuron that goes from 0 to its clean value alone, as in the paper's
    equation 5, use `path_integral` with a path of one layer.

    Arguments and errors: as in `nblib.methods.neuron_paths`.

    Returns:
        From layer to (N, n), in units of probability.

    Source: P1, equations 5 and 6; whole layers are scaled as in the helper of the authors' code.
    """
    return _by_layer(knowledge, model, images, labels, layers, steps=steps, quadrature=quadrature, tokens=tokens,
                     chunk_size=chunk_size)


def knowledge(batch: Batch) -> list[Tensor]:
    """Return the knowledge attribution of each layer's neurons, (N, n) a layer."""
    slopes = (slopes_for(batch.only(number)).slopes("layer_scaled")[0] for number in range(len(batch.layers)))
    return [(precise(clean) * slope).sum(1) for clean, slope in zip(batch.clean, slopes)]


def path_change(model: nn.Module, images: Tensor, labels: Tensor | int, layers: Sequence[str], neurons: Tensor, *,
                tokens: str = "cls", chunk_size: int | None = None) -> Tensor:
    r"""By how much the probability of the label falls where a path's neurons are set to 0, :math:`F(\hat w)-F(0)`.

    The other neurons of its layers are held at their clean values, as in the scores: this is what `path_integral` adds
    up to, and the difference is its completeness gap. Where they may react, see `edited_probabilities`.

    Arguments and errors: as in `joint_attribution`.

    Returns:
        (N,), in units of probability, −1 to 1.
    """
    def change(batch: Batch, paths: Tensor) -> Tensor:
        return _fall(batch, lambda image: path_edits(batch, image, paths[image], batch.zeros(len(image)))[0])

    return _of_paths(change, model, images, labels, layers, neurons, tokens=tokens, chunk_size=chunk_size)


def layer_change(model: nn.Module, images: Tensor, labels: Tensor | int, layers: Sequence[str], *,
                 tokens: str = "cls", chunk_size: int | None = None) -> dict[str, Tensor]:
    r"""By how much the probability of the label falls where all neurons of a layer are set to 0.

    It is what the `knowledge_attribution` of the layer adds up to. Arguments and errors as there.

    Returns:
        From layer to (N,), in units of probability, −1 to 1.
    """
    def change(batch: Batch) -> list[Tensor]:
        return [_fall(batch, lambda image, layer=layer, clean=clean: {
            layer: clamp(batch.tokens, torch.zeros_like(clean[image]))
        }) for layer, clean in zip(batch.layers, batch.clean)]

    return _by_layer(change, model, images, labels, layers, tokens=tokens, chunk_size=chunk_size)


def _of_paths(score: Callable[[Batch, Tensor], Tensor], model: nn.Module, images: Tensor, labels: Tensor | int,
              layers: Sequence[str], neurons: Tensor, **options: object) -> Tensor:
    """Return `score(batch, paths)` for all images, (N,); of neurons (N, L, width) the first column is the path."""
    def checked(batch: Batch, sets: Tensor) -> Tensor:
        refuse_outside(batch, sets)
        return score(batch, sets[:, :, 0])

    return torch.cat(by_batches(checked, model, images, labels, layers,
                                lambda: [expect_neurons(images, neurons)[:, :, :1]], **options))


def _by_layer(function: Callable[[Batch], list[Tensor]], model: nn.Module, images: Tensor, labels: Tensor | int,
              layers: Sequence[str], **options: object) -> dict[str, Tensor]:
    """Return `function(batch)`, a tensor a layer, for all images, from layer to tensor."""
    results = by_batches(function, model, images, labels, layers, **options)
    return dict(zip(expect_layers(layers), map(torch.cat, zip(*results))))


def _fall(batch: Batch, edits: Callable[[Tensor], dict]) -> Tensor:
    """Return by how much the label's probability falls under the edits of rows, `edits(image)`; (N,)."""
    falls = []
    with torch.no_grad():
        for image, _ in batch.pieces(len(batch.images)):  # one step only
            images = batch.images[image]
            before = batch.probability(logits_of(batch.model, images), image)
            with edit(batch.model, edits(image)):
                falls.append(before - batch.probability(logits_of(batch.model, images), image))
    return torch.cat(falls)


def _values(batch: Batch, paths: Tensor) -> Tensor:
    """Return the clean values of the neurons of paths (N, L), (N, τ, L)."""
    picked = [of_neuron(clean, chosen) for clean, chosen in zip(batch.clean, paths.unbind(1))]
    return precise(torch.cat(picked, 2))
