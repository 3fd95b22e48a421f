"""Whether a class's pathway explains other images of the class, and what it does to those of other classes."""
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nblib.methods.neural_pathways.classes import class_pathway
from nblib.methods.neural_pathways.confidence import Confidence, confidence
from nblib.methods.neural_pathways.pathways import Pathway, edited_probabilities, firing_sparsity, rows_of
from nblib.targets import expect_labels


class Transfer(NamedTuple):
    """What class pathways do, the mean over classes, in [0, 1]."""

    own: float  # images of the class that made no pathway, predicted as the class
    others: float  # images of other classes, predicted as the class: what the pathway does by itself
    density: float  # of the class's pathway
    confidence: Confidence  # on the images that made no pathway


def transfer(model: nn.Module, images: Tensor, labels: Tensor, pathway: Pathway, *, left_out: float = 0.8,
             threshold: float = 0.5, seed: int = 0, chunk_size: int | None = None) -> Transfer:
    r"""Put a class's pathway on images that it was not made from, of the class and of the others.

    Args:
        labels: (N,), the true ones.
        pathway: of the images, (N, ...) by layer.
        left_out: :math:`\epsilon_{ss}`, above 0, the share of a class's images that makes no pathway; classes of which
            none would be left are left out of the mean.
        threshold: :math:`\epsilon_{cn}`, as in `class_pathway`.

    Other arguments: as in `nblib.methods.neural_pathways`.

    Raises: also a ValueError where no class has an image that is left.

    Source: P0, section 4 and table 6, which has no images of other classes.
    """
    whole = edited_probabilities(model, images, None, chunk_size=chunk_size)
    rows = expect_labels(labels, *whole.shape, whole.device)
    found = []
    for label in rows.unique().tolist():
        made = class_pathway(pathway, rows, label, threshold=threshold, left_out=left_out, seed=seed)
        unused = torch.ones_like(rows, dtype=torch.bool)
        unused[made.made_from] = False
        mine, others = unused & (rows == label), rows != label
        if not mine.any() or not others.any():
            continue
        edited = edited_probabilities(model, images, made.pathway, chunk_size=chunk_size)
        hit = edited.argmax(1) == label
        found.append((hit[mine].double().mean().item(), hit[others].double().mean().item(),
                      1 - firing_sparsity(made.pathway).item(),
                      confidence(whole[mine], edited[mine], rows[mine])))
    if not found:
        raise ValueError(f"left_out={left_out!r} leaves no image of any class, or there is one class: expected more")
    *parts, measures = zip(*found)
    means = [sum(part) / len(part) for part in parts]
    return Transfer(*means, Confidence(*(sum(values) / len(values) for values in zip(*measures))))


def forced_share(model: nn.Module, images: Tensor, pathway: Pathway, given: Tensor, *,
                 chunk_size: int | None = None) -> float:
    """Return the share of images that are predicted as the class that their pathway was made for.

    Args:
        images: others than those of the pathways: grey ones, noise, or images of another class.
        pathway: (N, ...) by layer.
        given: (N,), the class predicted on each pathway's own image.

    Other arguments: as in `nblib.methods.neural_pathways`.
    """
    edited = edited_probabilities(model, images, pathway, chunk_size=chunk_size)
    return (edited.argmax(1) == expect_labels(given, *edited.shape, edited.device)).double().mean().item()


def donors(labels: Tensor, *, seed: int = 0) -> Tensor:
    """Return for each image the number of one of another class, drawn evenly, (N,).

    Raises:
        ValueError: images of one class alone.
    """
    rows = expect_labels(labels, len(labels), 2**31)
    if len(rows.unique()) < 2:
        raise ValueError("labels of one class were given, expected two or more: nobody can be another's donor")
    others = (rows[:, None] != rows[None]).double().cpu()
    generator = torch.Generator().manual_seed(seed)
    return torch.multinomial(others, 1, generator=generator)[:, 0].to(rows.device)


def pair_accuracy(model: nn.Module, images: Tensor, labels: Tensor, pathways: dict[int, Pathway], *,
                  chunk_size: int | None = None) -> tuple[float, float]:
    """Return what is left to tell two classes apart along the union of both their pathways.

    Args:
        labels: (N,), the true ones.
        pathways: by class, (1, ...) by layer, as from `class_pathway`; two classes or more.

    Other arguments: as in `nblib.methods.neural_pathways`.

    Returns:
        The mean over pairs of classes and their images of the share that is predicted right, and of the share that is
        predicted as one of the two.
    """
    if len(pathways) < 2:
        raise ValueError(f"pathways of {len(pathways)} class were given, expected two or more")
    right, either = [], []
    known = list(pathways)
    for number, first in enumerate(known):
        for second in known[number + 1:]:
            rows = ((labels == first) | (labels == second)).nonzero().flatten()
            if not len(rows):
                continue
            union = {layer: mask | pathways[second][layer] for layer, mask in pathways[first].items()}
            answer = edited_probabilities(model, images[rows], rows_of(union, rows), chunk_size=chunk_size).argmax(1)
            right.append((answer == labels[rows]).double().mean().item())
            either.append(((answer == first) | (answer == second)).double().mean().item())
    if not right:
        raise ValueError(f"no image has a label among {known}, expected some")
    return sum(right) / len(right), sum(either) / len(either)
