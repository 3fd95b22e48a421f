"""Pathways themselves: chosen from scores, applied to a network, and counted."""
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from nblib.checks import expect_number, expect_one_of, expect_tensor
from nblib.engine import check_inputs, chunks, expect_layers, logits_of
from nblib.hooks import edit
from nblib.targets import expect_classes

Scores = dict[str, Tensor]  # by layer, (N, ...)
Pathway = dict[str, Tensor]  # by layer, (N, ...) bool; N = 1 also for one that holds for all images
INTERVENTIONS = ("keep", "remove", "scale")
SCOPES = ("global", "layer")


def relu_layers(model: nn.Module, images: Tensor) -> list[str]:
    """Return the layers through whose units pathways go: the ReLU modules (ReLU6 too), in the order of their names.

    Raises:
        ValueError: a network without any, or one that uses a module of them twice in a pass.
        RuntimeError: a ReLU module that does not run.
    """
    check_inputs(model, images)
    layers = [name for name, module in model.named_modules() if isinstance(module, (nn.ReLU, nn.ReLU6))]
    if not layers:
        raise ValueError(f"{type(model).__name__} has no nn.ReLU module, through whose units pathways go: name other "
                         "layers, or write functional ReLUs as modules")
    return expect_layers(model, layers, images[:1])


def magnitude(scores: Scores) -> Scores:
    """Return scores without their signs, as P0 and its authors' baselines rank units."""
    return {layer: values.abs() for layer, values in expect_by_layer("scores", scores).items()}


def select(scores: Scores, sparsity: float, *, scope: str = "global") -> Pathway:
    r"""Keep the units with the highest scores: of each image exactly n − round(sparsity · n).

    Args:
        scores: by layer, (N, ...), none NaN; signed ones in the order of their signs (see `magnitude`).
        sparsity: the share removed, in [0, 1).
        scope: "global", n are all units of an image; or "layer", each layer for itself.

    Returns:
        The pathway. Of equal scores the first units, layer by layer and in the order of memory, are kept.

    Source: P0, section 4; a percentile, as in other code, removes more than asked where many scores are equal.
    """
    expect_by_layer("scores", scores)
    expect_share("sparsity", sparsity)
    if expect_one_of("scope", scope, SCOPES) == "layer":
        return {layer: _highest(values.flatten(1), sparsity).view_as(values) for layer, values in scores.items()}
    kept = _highest(flat(scores), sparsity).split([values[0].numel() for values in scores.values()], 1)
    return {layer: part.reshape(values.shape) for part, (layer, values) in zip(kept, scores.items())}


def _highest(rows: Tensor, sparsity: float) -> Tensor:
    """Return which values of each row (N, n) are kept; of equal ones the first."""
    if rows.isnan().any():
        raise ValueError("scores were given that are not numbers (NaN), expected ones that have an order")
    count = rows.shape[1]
    kept = count - round(sparsity * count)
    if not kept:
        raise ValueError(f"sparsity={sparsity!r} leaves none of {count} units, expected a lower one")
    least = rows.kthvalue(count - kept + 1, dim=1, keepdim=True).values
    above, equal = rows > least, rows == least
    return above | (equal & (equal.cumsum(1) <= kept - above.sum(1, keepdim=True)))


def keep(pathway: Pathway) -> dict[str, Callable[[Tensor], Tensor]]:
    """Return edits, for `nblib.hooks.edit`, that set all other units to zero, one layer after the other."""
    return {layer: _factor(layer, mask, 0.0, 1.0) for layer, mask in expect_pathway(pathway).items()}


def remove(pathway: Pathway) -> dict[str, Callable[[Tensor], Tensor]]:
    """Return edits that set the pathway's units to zero."""
    return {layer: _factor(layer, mask, 1.0, 0.0) for layer, mask in expect_pathway(pathway).items()}


def scale(pathway: Pathway, factor: float) -> dict[str, Callable[[Tensor], Tensor]]:
    """Return edits that multiply the pathway's units by a finite factor."""
    expect_number("factor", factor)
    return {layer: _factor(layer, mask, 1.0, factor) for layer, mask in expect_pathway(pathway).items()}


def _factor(layer: str, mask: Tensor, elsewhere: float, here: float) -> Callable[[Tensor], Tensor]:
    """Return a function that multiplies a layer's units by one of two factors."""

    def change(output: Tensor) -> Tensor:
        if mask.shape[1:] != output.shape[1:] or len(mask) not in (1, len(output)):
            raise ValueError(f"a pathway of shape {tuple(mask.shape)} was given for layer {layer!r} of shape "
                             f"{tuple(output.shape)}, expected that, or one row for all")
        return output * torch.where(mask.to(output.device), here, elsewhere).to(output.dtype)

    return change


def edited_probabilities(model: nn.Module, images: Tensor, pathway: Pathway | None, *, intervention: str = "keep",
                         factor: float = 2.0, chunk_size: int | None = None) -> Tensor:
    """Return the softmax (N, K) of a network whose units are edited along the pathway of each image.

    Args:
        pathway: (N, ...) by layer, or one for all; None edits nothing.
        intervention: "keep", "remove" or "scale".
        factor: of "scale".

    Other arguments: as in `nblib.methods.neural_pathways`.

    Raises: also a ValueError for a pathway whose shapes are not those of the layers.
    """
    check_inputs(model, images)
    if expect_one_of("intervention", intervention, INTERVENTIONS) == "scale":
        expect_number("factor", factor)
    edits = {"keep": keep, "remove": remove, "scale": lambda rows: scale(rows, factor)}[intervention]
    if pathway is not None:
        expect_for(images, pathway)
    found = []
    with torch.no_grad():
        for _, index in chunks(images, 1, chunk_size):
            with edit(model, {} if pathway is None else edits(rows_of(pathway, index))):
                found.append(expect_classes(logits_of(model, images[index])).softmax(1))
    return torch.cat(found)


def rows_of(pathway: Pathway, index: Tensor) -> Pathway:
    """Return the pathways of some images by their numbers; one that holds for all stays."""
    return {layer: mask if len(mask) == 1 else mask[index.to(mask.device)] for layer, mask in pathway.items()}


def firing_sparsity(pathway: Pathway) -> Tensor:
    r"""Return the share of all units that each pathway leaves out, :math:`1-\sum_i\|P_i\|_0/\sum_in_i`, (N,)."""
    return 1 - flat(expect_pathway(pathway)).double().mean(1).float()


def empty_layers(pathway: Pathway) -> dict[str, Tensor]:
    """Return by layer which pathways have no unit there, (N,) bool: an image cannot reach the answer through them."""
    return {layer: ~mask.flatten(1).any(1) for layer, mask in expect_pathway(pathway).items()}


def flat(by_layer: Mapping[str, Tensor]) -> Tensor:
    """Return all units of each image side by side, (N, n)."""
    return torch.cat([values.flatten(1) for values in by_layer.values()], 1)


def count_of(by_layer: Mapping[str, Tensor]) -> int:
    """Return N of tensors (N, ...)."""
    return len(next(iter(by_layer.values())))


def expect_by_layer(what: str, given: object) -> Mapping[str, Tensor]:
    """Return tensors (N, ...) by layer if they are one or more, of as many images; otherwise raise a ValueError."""
    if not isinstance(given, Mapping) or not given:
        raise ValueError(f"{what} of {type(given).__name__} were given, expected a dictionary from a layer's name to a "
                         "tensor (N, ...), not empty")
    for layer, values in given.items():
        if expect_tensor(f"{what} of layer {layer!r}", values).ndim < 2 or not values.numel():
            raise ValueError(f"{what} of layer {layer!r} have shape {tuple(values.shape)}, expected (N, ...), not empty")
    if len({len(values) for values in given.values()}) > 1:
        counts = {layer: len(values) for layer, values in given.items()}
        raise ValueError(f"{what} of {counts} images were given, expected as many in each layer")
    return given


def expect_pathway(given: object) -> Pathway:
    """Return a pathway if it is truth values (N, ...) by layer; otherwise raise a ValueError."""
    for layer, mask in expect_by_layer("a pathway's masks", given).items():
        if mask.dtype != torch.bool:
            raise ValueError(f"a pathway's mask of layer {layer!r} is {mask.dtype}, expected truth values: "
                             "select(scores, sparsity) makes them, and so does mask > 0.5")
    return given


def expect_for(images: Tensor, pathway: Pathway) -> None:
    """Raise a ValueError unless there is a pathway for each image, or one for all."""
    if count_of(expect_pathway(pathway)) not in (1, len(images)):
        raise ValueError(f"pathways of {count_of(pathway)} images were given with {len(images)} images, expected one "
                         "for each, or one for all")


def expect_share(name: str, value: object) -> None:
    """Raise a ValueError for what is no share from 0 to below 1."""
    if expect_number(name, value, 0) >= 1:
        raise ValueError(f"{name}={value!r} was given, expected a share below 1: something has to be kept")
