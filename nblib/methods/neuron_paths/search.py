"""The search for neuron paths, greedy or with a beam, by any criterion, and the ranking that it makes on its way."""
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nblib.checks import expect_int, expect_one_of
from nblib.engine import baseline_for, options_of
from nblib.methods.neuron_paths.batches import Batch, by_batches, expect_layers
from nblib.methods.neuron_paths.criteria import CRITERIA, Criterion, Options
from nblib.methods.neuron_paths.scores import joint

CANDIDATES = ("layer_scaled", "layer_clean")


class NeuronPaths(NamedTuple):
    """What `find_paths` found: the L layers; neurons (N, L, width), whole numbers, one path a column, the best first;
    and the score (N,), the joint attribution of the first column, whatever criterion found it.
    """

    layers: list[str]
    neurons: Tensor
    score: Tensor


def find_paths(model: nn.Module, images: Tensor, labels: Tensor | int, layers: Sequence[str], *,
               criterion: str = "joint_attribution", candidates: str = "layer_scaled", rerank: int = 0, width: int = 1,
               steps: int = 20, quadrature: str = "left", tokens: str = "cls", seed: int = 0,
               chunk_size: int | None = None, baseline: float | str | Tensor = 0.0) -> NeuronPaths:
    r"""Find for each image the path, one neuron a layer, that a criterion prefers: greedily, layer by layer.

    .. math:: i_l=\arg\max_i\;\Big(\sum_{j<l}\hat w^j_{i_j}+\hat w^l_i\Big)\Big(\sum_{j<l}G_j+G_i\Big),\qquad
        G=\int_0^1\frac{\partial F}{\partial w}\,d\alpha

    for "joint_attribution", the score of the path so far with neuron i added. With the class token of a ViT that
    `vit_parts` knows and that has no hooks, the states in front of each layer and their tangents are carried along, and
    nothing is computed twice; so it is for the influence pattern, in all tokens. Other cases take the slower way
    through hooks, with the same results.

    Args:
        criterion: "joint_attribution"; "activation" (largest value); "mean_gradient" (largest mean slope on the way
            from a baseline image: the "influence pattern" of the authors' code); "influence_pattern" (the paper's
            equation 9, in forward mode); "integrated_gradients" (largest `knowledge_attribution`); "random".
        candidates: how joint attribution takes the slopes of all neurons of a layer at once: "layer_scaled" scales the
            whole layer along with the path, as the authors' code does; "layer_clean" leaves it at its clean values, the
            first order of adding one neuron.
        rerank: how many of a layer's candidates then get their exact joint attribution, 0 to n; with all n, and the
            rule "right", this is the paper's algorithm 1, but that it always selects.
        width: partial paths that a beam keeps, 1 to n, and no more than `rerank` where that is not 0; 1 is the greedy
            search. A wider beam may find a better path, and gives its `width` best ones.
        steps: also the points on the way from the baseline image.
        tokens: joint attribution is formed in each token and summed; other criteria are summed over tokens themselves.
        seed: of "random".
        chunk_size: besides these rows, `width` × `steps` states of an image are held.
        baseline: of "mean_gradient" and "influence_pattern": a number, "mean" (each image's own mean colour), or a
            tensor that fits the images. The authors' is 0 in normalised images, the mean colour of all images.

    Other arguments: as in `nblib.methods.neuron_paths`.

    Returns:
        `NeuronPaths`. Its score is the joint attribution of the best path, by `joint_attribution` with the same
        options; columns are in the order of their criterion, which for "joint_attribution" is that score.

    Raises:
        ValueError: an unknown criterion or option; `rerank` or `width` larger than a layer; candidates or rerank for a
            criterion that has none.
        RuntimeError: scores that are not numbers.

    Other errors: as in `nblib.methods.neuron_paths`.

    Source: P1, section 3.3 and algorithms 1 and 2. We always select a neuron, as the authors' code does; algorithm 1 as
    printed would select none where no score is positive. Each image goes by its own label; their code gives the first
    one's to all of a batch.
    """
    def take(batch: Batch, found: Criterion) -> tuple[Tensor, Tensor]:
        neurons, totals = _beam(batch, found, width)
        return neurons, totals[:, 0] if criterion == "joint_attribution" else joint(batch, neurons[:, :, 0])

    results = _search(take, model, images, labels, layers, size="width", criterion=criterion, candidates=candidates,
                      rerank=rerank, width=width, steps=steps, quadrature=quadrature, tokens=tokens, seed=seed,
                      chunk_size=chunk_size, baseline=baseline)
    neurons, score = (torch.cat(tensors) for tensors in zip(*results))
    if score.isnan().any():
        raise RuntimeError(f"the joint attribution of {int(score.isnan().sum())} of {len(score)} paths is not a "
                           "number: compute in a higher precision, and see whether the model's weights are finite")
    return NeuronPaths(list(expect_layers(layers)), neurons, score)


def rank_neurons(model: nn.Module, images: Tensor, labels: Tensor | int, layers: Sequence[str], *, keep: int,
                 **options: object) -> Tensor:
    """Rank the neurons of each layer as the greedy search does on its way, so that one search gives nested sets.

    The first column is the path of `find_paths`; the others are the runners-up that it met in each layer, with the
    layers before at the path's own neurons. The best t of each layer are the first t columns.

    Args:
        keep: how many neurons of each layer, 1 to n, and no more than `rerank` where that is not 0.
        options: those of `find_paths`, but for `width`.

    Other arguments, and errors: as in `find_paths`.

    Returns:
        (N, L, keep) whole numbers, the best first.

    Source: for the pruning of P1, section 4.4. Its code makes a new search for each number of neurons, in which all
    the selected ones are scaled but only the weakest of each layer is scored.
    """
    if "width" in options:
        raise ValueError(f"width={options['width']!r} was given, rank_neurons has keep in its place")

    def take(batch: Batch, found: Criterion) -> Tensor:
        ranked = []
        for _ in batch.layers:
            ranked.append(_best(batch, found.scores(), keep))
            found.extend(batch.everyone, ranked[-1][:, 0])
        return torch.stack(ranked, 1)

    given = options_of("rank_neurons()", find_paths, options | {"width": keep})
    return torch.cat(_search(take, model, images, labels, layers, size="keep", **given))


def _search(take: Callable[[Batch, Criterion], object], model: nn.Module, images: Tensor, labels: Tensor | int,
            layers: Sequence[str], *, size: str, criterion: str, candidates: str, rerank: int, width: int, seed: int,
            baseline: float | str | Tensor, **rule: object) -> list:
    """Check the options; return `take(batch, criterion)` for batches of images; `size` is its word for width."""
    expect_one_of("criterion", criterion, CRITERIA)
    expect_one_of("candidates", candidates, CANDIDATES)
    expect_int("rerank", rerank, 0)
    if criterion != "joint_attribution" and (rerank or candidates != CANDIDATES[0]):
        raise ValueError(f"rerank={rerank} and candidates={candidates!r} were given, but they are options of "
                         f"criterion 'joint_attribution', not of {criterion!r}")
    expect_int("seed", seed, 0)
    expect_int(size, width, 1)
    if 0 < rerank < width:
        raise ValueError(f"rerank={rerank} was given with {size}={width}, expected 0 or at least as many")

    def search(batch: Batch, start: Tensor, numbers: Tensor) -> object:
        _refuse_too_many(batch, rerank=rerank, **{size: width})
        return take(batch, CRITERIA[criterion](batch, Options(candidates, rerank, start, seed, numbers)))

    return by_batches(search, model, images, labels, layers,
                      lambda: [baseline_for(images, baseline), torch.arange(len(images))],
                      paths=width if size == "width" else 1, **rule)


def _refuse_too_many(batch: Batch, **sizes: int) -> None:
    """Refuse sizes that are larger than a layer."""
    for layer, clean in zip(batch.layers, batch.clean):
        for name, size in sizes.items():
            if size > clean.shape[2]:
                raise ValueError(f"{name}={size} was given, layer {layer!r} has {clean.shape[2]} neurons")


def _best(batch: Batch, scores: Tensor, count: int) -> Tensor:
    """Return where the largest scores of each row of (N, ...) are, the largest first; of equal ones the first."""
    if scores.isnan().any():
        raise RuntimeError(f"some scores of {batch.layers[0]!r} and the layers behind it are not numbers: "
                           "compute in a higher precision")
    return scores.sort(dim=1, descending=True, stable=True).indices[:, :count]


def _beam(batch: Batch, criterion: Criterion, width: int) -> tuple[Tensor, Tensor]:
    """Return the paths (N, L, width) that a beam finds, the best first, and their criterion's values (N, width)."""
    count = len(batch.images)
    neurons = torch.arange(count, device=batch.images.device).new_zeros(count, 0)
    for number in range(len(batch.layers)):
        scores = criterion.scores()  # (P, n), P paths, the same number for each image
        best = _best(batch, scores.reshape(count, -1), width)  # (N, width), numbers of path and neuron in one
        size, paths = scores.shape[1], len(scores) // count
        first = torch.arange(count, device=best.device)[:, None] * paths
        parents, chosen = (first + best // size).flatten(), (best % size).flatten()
        neurons = torch.cat([neurons[parents], chosen[:, None]], 1)
        if number == len(batch.layers) - 1:
            totals = criterion.final(parents, chosen).view(count, width)
        criterion.extend(parents, chosen)
    order = totals.sort(dim=1, descending=True, stable=True).indices
    neurons = neurons.view(count, width, -1).gather(1, order[:, :, None].expand(-1, -1, len(batch.layers)))
    return neurons.transpose(1, 2), totals.gather(1, order)
