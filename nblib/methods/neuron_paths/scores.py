"""Scores of given neuron paths and of single neurons, and the differences that complete ones add up to.

A path is one neuron a layer. Its score looks at the probability F of the image's label while the path's neurons go from
0 to their clean values together. The other neurons of its layers stay at their clean values in the tokens that are
looked at; everything else reacts.
"""
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nblib.engine import logits_of, precise
from nblib.hooks import edit
from nblib.methods.neuron_paths.batches import Batch, by_batches, neuron_sets, refuse_outside
from nblib.methods.neuron_paths.slopes import clamp, of_neuron, path_edits, path_slopes, slopes_for


def joint_attribution(
    model: nn.Module,
    images: Tensor,
    labels: Tensor | int,
    layers: Sequence[str],
    neurons: Tensor,
    *,
    steps: int = 20,
    quadrature: str = "left",
    tokens: str = "cls",
    chunk_size: int | None = None,
) -> Tensor:
    r"""The joint attribution score of a path: sum of activations times mean sum of slopes, cross terms included.

    .. math::
        \mathrm{JAS}=\sum_\tau\Big(\sum_{j}\hat w^j_\tau\Big)\int_0^1\sum_{l}
        \frac{\partial F(\alpha\hat w^1,\dots,\alpha\hat w^L)}{\partial w^l_\tau}\,d\alpha

    with :math:`\hat w^l_\tau` the clean value of the path's neuron of layer l in token τ, and F the softmax
    probability of the image's label. It is not complete: it grows with the length of the path, and can exceed 1. A path
    of one neuron has its knowledge attribution.

    Args:
        model: in evaluation mode, (N, C, H, W) → logits (N, K).
        images: (N, C, H, W), finite.
        labels: (N,) whole numbers, the class of each image, or one for all.
        layers: L layers in the order in which they run, whose output is (N, T, n): `neuron_layers(model)`, or some of
            them.
        neurons: (N, L) whole numbers, the neuron of each layer; or (N, L, width) from `find_paths`, of which the first
            column, the best path, is scored.
        steps: m, points on the way from 0 to the clean values, from 1 up.
        quadrature: the rule for the integral, see `nblib.engine.quadrature_rule`; "left" is what the authors' code
            does, "right" is the paper's equation 6.
        tokens: "cls" looks at the class token, "patches" at those of the patches, "all" at both: the product is formed
            in each token and summed, as in the authors' code for mean-pooled models. They divide what they report for
            these by the number of patches; we do not. Of a model that `vit_parts` does not know, the patches follow
            `model.num_prefix_tokens` other tokens, or one where it has no such attribute.
        chunk_size: rows in one forward and backward pass; None goes by the images' size. Results do not depend on it.

    Returns:
        (N,), in units of probability, at least in single precision.

    Raises:
        ValueError: a model in training mode; images that are empty or not finite; labels, neurons, steps or names out
            of range; layers twice, out of order, or of another shape; class tokens of a model that is known not to
            read them.
        KeyError: a layer that is not there.
        RuntimeError: a layer that does not run.

    Source: P1, equations 1 to 3 (definition 1); the cross terms are in all three places of the authors' code.
    """
    paths = neuron_sets(model, images, neurons)[:, :, 0]
    return torch.cat(by_batches(
        joint, model, images, labels, layers, paths, steps=steps, quadrature=quadrature,
        tokens=tokens, chunk_size=chunk_size))


def joint(batch: Batch, paths: Tensor) -> Tensor:
    """Return the joint attribution (N,) of paths (N, L), one an image."""
    refuse_outside(batch, paths[:, :, None])
    everyone = torch.arange(len(paths), device=paths.device)
    slopes = slopes_for(batch)
    for chosen in paths[:, :-1].unbind(1):
        slopes.extend(everyone, chosen)
    return (_values(batch, paths).sum(2) * slopes.joint_slopes(everyone, paths[:, -1])).sum(1)


def path_integral(
    model: nn.Module,
    images: Tensor,
    labels: Tensor | int,
    layers: Sequence[str],
    neurons: Tensor,
    *,
    steps: int = 20,
    quadrature: str = "left",
    tokens: str = "cls",
    chunk_size: int | None = None,
) -> Tensor:
    r"""The complete attribution of a path: each neuron's activation times its own mean slope.

    .. math:: \sum_\tau\sum_{l}\hat w^l_\tau\int_0^1\frac{\partial F(\alpha\hat w)}{\partial w^l_\tau}\,d\alpha
        =F(\hat w)-F(0)

    Args:
        model: as in `joint_attribution`.
        images: as in `joint_attribution`.
        labels: as in `joint_attribution`.
        layers: as in `joint_attribution`.
        neurons: as in `joint_attribution`.
        steps: as in `joint_attribution`.
        quadrature: as in `joint_attribution`.
        tokens: as in `joint_attribution`.
        chunk_size: as in `joint_attribution`.

    Returns:
        (N,), in units of probability; `path_change` is what it adds up to with enough steps.

    Raises:
        ValueError, KeyError, RuntimeError: as `joint_attribution`.

    Source: Sundararajan, Taly and Yan (2017), for the neurons of a path; P1 without its cross terms.
    """
    def score(batch: Batch, paths: Tensor) -> Tensor:
        refuse_outside(batch, paths[:, :, None])
        everyone = torch.arange(len(paths), device=paths.device)
        return (_values(batch, paths) * path_slopes(batch, everyone, paths)).sum((1, 2))

    paths = neuron_sets(model, images, neurons)[:, :, 0]
    return torch.cat(by_batches(
        score, model, images, labels, layers, paths, steps=steps, quadrature=quadrature,
        tokens=tokens, chunk_size=chunk_size))


def knowledge_attribution(
    model: nn.Module,
    images: Tensor,
    labels: Tensor | int,
    layers: Sequence[str],
    *,
    steps: int = 20,
    quadrature: str = "left",
    tokens: str = "cls",
    chunk_size: int | None = None,
) -> dict[str, Tensor]:
    r"""What each neuron of a layer adds, while the whole layer goes from 0 to its clean values.

    .. math:: \sum_\tau\hat w^l_{i\tau}\int_0^1\frac{\partial F(\alpha\hat w^l)}{\partial w^l_{i\tau}}\,d\alpha

    Each layer is taken by itself; layers before it are clean, layers behind it react. With enough steps a layer's
    values add up to its `layer_change`. For one neuron that goes from 0 to its clean value alone, as in the paper's
    equation 5, use `path_integral` with a path of one layer.

    Args:
        model: as in `joint_attribution`.
        images: as in `joint_attribution`.
        labels: as in `joint_attribution`.
        layers: as in `joint_attribution`.
        steps: as in `joint_attribution`.
        quadrature: as in `joint_attribution`.
        tokens: as in `joint_attribution`; the sum is over the tokens that are looked at.
        chunk_size: as in `joint_attribution`.

    Returns:
        From layer to (N, n), in units of probability.

    Raises:
        ValueError, KeyError, RuntimeError: as `joint_attribution`.

    Source: P1, equations 5 and 6; whole layers are scaled as in the helper of the authors' code.
    """
    names = [layers] if isinstance(layers, str) else list(layers)
    results = by_batches(knowledge, model, images, labels, names, steps=steps, quadrature=quadrature, tokens=tokens,
                         chunk_size=chunk_size)
    return dict(zip(names, map(torch.cat, zip(*results))))


def knowledge(batch: Batch) -> list[Tensor]:
    """Return the knowledge attribution of each layer's neurons, (N, n) a layer."""
    slopes = (slopes_for(batch.only(number)).slopes("layer_scaled")[0] for number in range(len(batch.layers)))
    return [(precise(clean) * slope).sum(1) for clean, slope in zip(batch.clean, slopes)]


def path_change(
    model: nn.Module,
    images: Tensor,
    labels: Tensor | int,
    layers: Sequence[str],
    neurons: Tensor,
    *,
    tokens: str = "cls",
    chunk_size: int | None = None,
) -> Tensor:
    r"""By how much the probability of the label falls where a path's neurons are set to 0, :math:`F(\hat w)-F(0)`.

    The other neurons of its layers are held at their clean values, as in the scores: this is what `path_integral` adds
    up to, and the difference is its completeness gap. Where they may react, see `edited_probabilities`.

    Args:
        model: as in `joint_attribution`.
        images: as in `joint_attribution`.
        labels: as in `joint_attribution`.
        layers: as in `joint_attribution`.
        neurons: as in `joint_attribution`.
        tokens: as in `joint_attribution`.
        chunk_size: as in `joint_attribution`.

    Returns:
        (N,), in units of probability, −1 to 1.

    Raises:
        ValueError, KeyError, RuntimeError: as `joint_attribution`.
    """
    def change(batch: Batch, paths: Tensor) -> Tensor:
        refuse_outside(batch, paths[:, :, None])
        return _fall(batch, lambda image: path_edits(batch, image, paths[image], batch.zeros(len(image)))[0])

    paths = neuron_sets(model, images, neurons)[:, :, 0]
    return torch.cat(by_batches(
        change, model, images, labels, layers, paths, steps=1, quadrature="left", tokens=tokens,
        chunk_size=chunk_size))


def layer_change(
    model: nn.Module,
    images: Tensor,
    labels: Tensor | int,
    layers: Sequence[str],
    *,
    tokens: str = "cls",
    chunk_size: int | None = None,
) -> dict[str, Tensor]:
    r"""By how much the probability of the label falls where all neurons of a layer are set to 0.

    It is what the `knowledge_attribution` of the layer adds up to. Arguments and errors as there.

    Returns:
        From layer to (N,), in units of probability, −1 to 1.
    """
    names = [layers] if isinstance(layers, str) else list(layers)

    def change(batch: Batch) -> list[Tensor]:
        return [_fall(batch, lambda image, layer=layer, clean=clean: {
            layer: clamp(batch.tokens, torch.zeros_like(clean[image]))
        }) for layer, clean in zip(batch.layers, batch.clean)]

    results = by_batches(change, model, images, labels, names, steps=1, quadrature="left", tokens=tokens,
                         chunk_size=chunk_size)
    return dict(zip(names, map(torch.cat, zip(*results))))


def _fall(batch: Batch, edits) -> Tensor:
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
