"""What happens when the neurons of paths are edited, or all but them: removal, enhancement, mean ablation, pruning.

Here nothing is clamped: the layers behind an edit see it and react. Neurons are given as (N, L), one a layer; as
(N, L, k), k a layer, such as the first k columns of `rank_neurons`; or as (1, L, k), the same for all images, such as a
class's own on images that had no part in finding them.
"""
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from nblib.checks import expect_int, expect_number, expect_one_of, unknown
from nblib.engine import logits_of, precise
from nblib.hooks import edit
from nblib.methods.neuron_paths.batches import Batch, by_batches, drawn, expect_layers, expect_neurons, refuse_outside

FACTORS = {"remove": 0.0, "enhance": 2.0}
INTERVENTIONS = (*FACTORS, "mean")


def edited_probabilities(model: nn.Module, images: Tensor, layers: Sequence[str], neurons: Tensor, *,
                         intervention: str = "remove", tokens: str = "cls", means: Mapping[str, Tensor] | None = None,
                         chunk_size: int | None = None) -> Tensor:
    r"""The class probabilities with some neurons of all layers edited at once, :math:`p(\cdot\mid x,\tilde w)`.

    Args:
        neurons: (N, L), (N, L, k) or (1, L, k) whole numbers; one that is named twice is edited once.
        intervention: "remove" (× 0), "enhance" (× 2), or "mean" (their mean over images, where 0 may be unusual).
        tokens: an edit of many tokens weighs more than one of a single token, so that effects of different `tokens` do
            not compare.
        means: for "mean", from layer to (n,), by `mean_activations`.

    Other arguments, and errors: as in `nblib.methods.neuron_paths`.

    Returns:
        (N, K), softmax probabilities; `path_effect` sums up how they differ from the clean ones.

    Raises:
        ValueError: an unknown intervention; means where none are used, or none or others where they are.

    Source: P1, section 4.2 and appendix C.4.
    """
    expect_one_of("intervention", intervention, INTERVENTIONS)
    if (means is not None) != (intervention == "mean"):
        given = "no means" if means is None else "means"
        raise ValueError(f"intervention={intervention!r} was given with {given}; 'mean' takes means, the others none")

    def change(batch: Batch, number: int, chosen: Tensor, hidden: Tensor) -> Tensor:
        if means is None:
            return torch.where(chosen, hidden * FACTORS[intervention], hidden)
        return torch.where(chosen, _expect_mean(means, batch.layers[number], hidden), hidden)

    def edited(batch: Batch, sets: Tensor, _: Tensor) -> Tensor:
        return _probabilities(batch, _members(batch, sets), change)

    return _for_sets(edited, model, images, layers, neurons, tokens, chunk_size)


def pruned_probabilities(model: nn.Module, images: Tensor, layers: Sequence[str], retained: Tensor, *, sparsity: float,
                         tokens: str = "cls", seed: int = 0, chunk_size: int | None = None) -> Tensor:
    """The class probabilities with a random share of the neurons set to 0, but for those that are retained.

    Each image and layer has a draw of its own, independent for each neuron; a neuron that is pruned is 0 in all tokens
    that are looked at. The draw depends on the seed and the image's place alone: with the same seed a larger set of
    retained neurons, or a smaller sparsity, prunes a subset, so that differences are not due to the draw.

    Args:
        layers: in which neurons are pruned; the other layers stay whole.
        retained: as the neurons of `edited_probabilities`; (1, L, 0) retains none.
        sparsity: with which probability a neuron that is not retained is pruned, 0 to 1.
        tokens: "cls" prunes the class token's neurons only, one row of the layer, as the authors' code does; "patches";
            "all" is what a smaller network would compute.
        seed: of the draw.

    Other arguments, and errors: as in `nblib.methods.neuron_paths`.

    Returns:
        (N, K), softmax probabilities. The paper's "mean accuracy" is their mean at the true class.

    Source: P1, section 4.4.
    """
    share = expect_number("sparsity", sparsity, 0, 1)
    expect_int("seed", seed, 0)

    def pruned(batch: Batch, sets: Tensor, numbers: Tensor) -> Tensor:
        draws = drawn("pruning", seed, numbers, batch.clean)
        gone = [(draw < share) & ~kept for draw, kept in zip(draws, _members(batch, sets))]
        return _probabilities(batch, gone, lambda _, __, chosen, hidden: torch.where(chosen, 0, hidden))

    return _for_sets(pruned, model, images, layers, retained, tokens, chunk_size)


def mean_activations(model: nn.Module, images: Tensor, layers: Sequence[str], *, tokens: str = "cls",
                     chunk_size: int | None = None) -> dict[str, Tensor]:
    """Return each neuron's mean over images and over the tokens that are looked at, from layer to (n,).

    Arguments and errors: as in `nblib.methods.neuron_paths`.
    """
    sums = by_batches(lambda batch: [precise(clean).mean(1).sum(0) for clean in batch.clean], model, images, 0, layers,
                      tokens=tokens, chunk_size=chunk_size)
    return {layer: sum(parts) / len(images) for layer, parts in zip(expect_layers(layers), zip(*sums))}


def common_neurons(ranked: Tensor, *, keep: int) -> Tensor:
    """Return the neurons that stand highest among the best of a class's images, for use on others of its images.

    Args:
        ranked: (N, L, t), each image's best neurons of each layer, by `rank_neurons`.
        keep: how many, from 1 up to the number of neurons that occur in every layer.

    Returns:
        (1, L, keep), by the mean rank over all images, where a neuron that is not among an image's best has rank t
        there; of equal ones the smaller number first. With t = 1 that is the neuron of most images. The first columns
        are themselves the answer for a smaller `keep`, so the sets are nested.

    Raises:
        ValueError: ranks of another shape, or more neurons than occur.

    Source: P1, section 4.4. The authors' code takes for each rank the neuron that most images have there, so that one
    neuron can come twice.
    """
    if not isinstance(ranked, Tensor) or ranked.is_floating_point() or ranked.ndim != 3 or not ranked.numel():
        given = f"{ranked.dtype} {tuple(ranked.shape)}" if isinstance(ranked, Tensor) else type(ranked).__name__
        raise ValueError(f"ranked neurons of {given} were given, expected whole numbers (N, L, t)")
    images, _, best = ranked.shape
    gained = best - torch.arange(best, device=ranked.device).expand(images, -1).flatten()  # t less the rank
    chosen = []
    for layer in ranked.long().unbind(1):
        present, place = layer.flatten().unique(return_inverse=True)
        expect_int("keep", keep, 1, len(present))
        totals = torch.zeros_like(present).index_add(0, place, gained)
        chosen.append(present[totals.sort(descending=True, stable=True).indices[:keep]])
    return torch.stack(chosen)[None]


def _for_sets(function: Callable, model: nn.Module, images: Tensor, layers: Sequence[str], neurons: Tensor,
              tokens: str, chunk_size: int | None) -> Tensor:
    """Return `function(batch, neurons (N, L, k), images' numbers (N,))` for all images, as one tensor."""
    return torch.cat(by_batches(function, model, images, 0, layers,
                                lambda: [expect_neurons(images, neurons, shared=True), torch.arange(len(images))],
                                tokens=tokens, chunk_size=chunk_size))


def _members(batch: Batch, sets: Tensor) -> list[Tensor]:
    """Return which neurons of each layer are in the sets (N, L, k), (N, n) a layer."""
    refuse_outside(batch, sets)
    members = []
    for clean, chosen in zip(batch.clean, sets.unbind(1)):
        none = torch.zeros(len(clean), clean.shape[2], dtype=torch.bool, device=clean.device)
        members.append(none.scatter(1, chosen, True))
    return members


def _expect_mean(means: Mapping[str, Tensor], layer: str, hidden: Tensor) -> Tensor:
    """Return the means of a layer whose neurons are `hidden`, (R, τ, n), if they are there and fit."""
    if layer not in means:
        raise ValueError(unknown("layer", layer, list(means)) + " of the means")
    mean = means[layer]
    if not isinstance(mean, Tensor) or mean.shape != hidden.shape[2:]:
        given = tuple(mean.shape) if isinstance(mean, Tensor) else mean
        raise ValueError(f"means of {layer!r} are {given}, expected a tensor ({hidden.shape[2]},)")
    return mean.to(hidden)


def _probabilities(batch: Batch, chosen: list[Tensor], change: Callable) -> Tensor:
    """Return the probabilities (N, K) with `change(batch, number, chosen, hidden)` in each layer.

    chosen (R, 1, n), hidden (R, τ, n); `number` is that of the layer.
    """

    def put(number: int, rows: Tensor) -> Callable[[Tensor], Tensor]:
        def edited(hidden: Tensor) -> Tensor:
            hidden[:, batch.tokens] = change(batch, number, chosen[number][rows][:, None], hidden[:, batch.tokens])
            return hidden

        return edited

    found = []
    with torch.no_grad():
        for rows, _ in batch.pieces(len(batch.images)):  # one step only
            with edit(batch.model, {layer: put(number, rows) for number, layer in enumerate(batch.layers)}):
                found.append(precise(logits_of(batch.model, batch.images[rows])).softmax(1))
    return torch.cat(found)
