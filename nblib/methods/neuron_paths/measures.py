"""Numbers about neuron paths: what editing them does, which neurons a class uses, how alike classes are in that."""
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from nblib.checks import expect_int, expect_tensor
from nblib.engine import seeded


class Effect(NamedTuple):
    """What an intervention does: deviations (N,) of the images, their mean, median, spread; accuracy in points."""

    deviations: Tensor
    mean: float
    median: float
    spread: float
    accuracy: float


class Concentration(NamedTuple):
    """How few neurons a class uses in a layer, (K, L) each; see `concentration`."""

    top_share: Tensor
    entropy: Tensor
    distinct: Tensor


def path_effect(clean: Tensor, edited: Tensor, labels: Tensor) -> Effect:
    r"""How an intervention changes the probability of the true class, and how often that class comes first.

    .. math:: \frac{\tilde P_i-P_i}{P_i},\qquad 100\,\big(\widetilde{\mathrm{Acc}}-\mathrm{Acc}\big)

    Args:
        clean: (N, K), class probabilities of the model as it is.
        edited: (N, K), those with the intervention, by `edited_probabilities` or `pruned_probabilities`.
        labels: (N,) whole numbers, the true classes.

    Returns:
        deviations: (N,), from −1 up; 0.5 is half as much again.
        mean, median: of the deviations. The mean is ruled by images whose probability was small.
        spread: the standard deviation of the deviations, 0 for one image.
        accuracy: the difference in accuracy, in percentage points, −100 to 100.

    Raises:
        ValueError: shapes that do not fit; values that are no probabilities; labels out of range; a true class of
            probability 0, of which nothing is a share.

    Source: P1, equations 12 to 19. The paper's figure 3 shows means for each class; its median is computed nowhere in
    the authors' code.
    """
    expect_tensor("probabilities", clean), expect_tensor("probabilities", edited), expect_tensor("labels", labels)
    if clean.ndim != 2 or clean.shape != edited.shape or not clean.numel() or labels.shape != clean.shape[:1]:
        given = f"{tuple(clean.shape)}, {tuple(edited.shape)} and labels {tuple(labels.shape)}"
        raise ValueError(f"probabilities of {given} were given, expected (N, K) twice and (N,), not empty")
    for values in (clean, edited):
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"probabilities from {values.min():.3g} to {values.max():.3g} were given, expected 0 to 1")
    labels = _expect_numbers("labels", labels, clean.shape[1])
    before, after = (values.double().gather(1, labels[:, None]).squeeze(1) for values in (clean, edited))
    if (before == 0).any():
        raise ValueError(f"images {(before == 0).nonzero().flatten().tolist()[:5]} give their true class probability 0")
    deviations = after / before - 1
    middle = deviations.quantile(0.5)  # of an even number, the mean of the two in the middle
    right = [(values.argmax(1) == labels).double().mean() for values in (clean, edited)]
    return Effect(deviations, deviations.mean().item(), middle.item(), deviations.std(correction=0).item(),
                  100 * (right[1] - right[0]).item())


def utilisation(neurons: Tensor, labels: Tensor, *, size: int, classes: int) -> Tensor:
    r"""How often each neuron is in the paths of a class, :math:`M_c\in[0,1]^{L\times n}`, each row of sum 1.

    Args:
        neurons: (N, L) or (N, L, width) whole numbers, one path or several an image.
        labels: (N,) whole numbers, the class of each image.
        size: n, the number of neurons in a layer; the largest, if layers differ.
        classes: K.

    Returns:
        (K, L, n), float64. A class without images gives NaN.

    Raises:
        ValueError: shapes that do not fit; neurons or labels out of range.

    Source: P1, equation 20.
    """
    neurons, labels = _expect_paths(neurons, labels, size, classes)
    counts = torch.zeros(classes, neurons.shape[1], size, dtype=torch.float64, device=neurons.device)
    of_class = labels[:, None, None].expand_as(neurons)
    of_layer = torch.arange(neurons.shape[1], device=neurons.device)[None, :, None].expand_as(neurons)
    ones = torch.ones(neurons.shape, dtype=counts.dtype, device=counts.device)
    counts.index_put_((of_class, of_layer, neurons), ones, accumulate=True)
    return counts / counts.sum(2, keepdim=True)


def class_similarity(used: Tensor) -> Tensor:
    r"""The cosine of two classes' utilisation matrices,
    :math:`s_{ij}=\langle M_i,M_j\rangle/(\lVert M_i\rVert\,\lVert M_j\rVert)`.

    Args:
        used: (K, L, n), by `utilisation`.

    Returns:
        (K, K) in [0, 1], 1 on the diagonal; NaN for a class that has no images.

    Raises:
        ValueError: another shape, or negative values.

    Source: P1, equation 21.
    """
    flat = _expect_utilisation(used).double().flatten(1)
    unit = flat / flat.norm(dim=1, keepdim=True)
    return (unit @ unit.T).clamp(0, 1)


def concentration(used: Tensor) -> Concentration:
    """Say for each class and layer how few neurons its paths go through.

    Args:
        used: (K, L, n), by `utilisation`.

    Returns:
        top_share: (K, L), the share of the neuron that is used most, 1/n to 1.
        entropy: (K, L), in nats, 0 (one neuron) to log n.
        distinct: (K, L), how many neurons are used at all.

        A class without images gives NaN. All three depend on the number of images: compare with
        `shuffled_concentration`.

    Raises:
        ValueError: another shape, or negative values.

    Source: ours, in place of P1's densities over the neurons' numbers (figure 4), which stand in no order.
    """
    used = _expect_utilisation(used).double()
    entropy = torch.special.entr(used).sum(2)
    distinct = torch.where(used.isnan().any(2), torch.nan, (used > 0).double().sum(2))
    return Concentration(used.amax(2), entropy, distinct)


def shuffled_concentration(
    neurons: Tensor, labels: Tensor, *, size: int, classes: int, draws: int = 100, seed: int = 0
) -> Concentration:
    """Return the concentration where the classes' labels are dealt anew to the images: what it would be by chance.

    Args:
        draws: how many times, from 1 up.
        seed: of the draws.

    Other arguments: as in `utilisation`.

    Returns:
        top_share, entropy, distinct: (draws, K, L) each, of as many images a class as there are.

    Raises:
        ValueError: as `utilisation`, or no draws.
    """
    dealt = [concentration(utilisation(neurons, labels[order], size=size, classes=classes))
             for order in _shuffled(len(labels), draws, seed, labels.device)]
    return Concentration(*(torch.stack(values) for values in zip(*dealt)))


class Agreement(NamedTuple):
    """How much more alike related classes are: the difference of means, and the share of deals that reach it, p."""

    difference: float
    p: float


def relation_agreement(similarity: Tensor, related: Tensor, *, draws: int = 1000, seed: int = 0) -> Agreement:
    r"""How much more alike classes are that are known to be related, such as those that share a part.

    Args:
        similarity: (K, K), by `class_similarity`.
        related: (K, K) bool, symmetric; the diagonal does not matter.
        draws: how many times the classes are renamed at random for p, from 1 up.
        seed: of the draws.

    Returns:
        difference: mean similarity of related pairs minus that of the others.
        p: :math:`(1+\#\{\text{draws that reach the difference}\})/(1+\text{draws})`, one-sided. Rows and columns are
        renamed together, since the pairs of one class are not independent.

    Raises:
        ValueError: shapes that do not fit; similarity that is not finite; relations that are not symmetric, or hold
            for all pairs or for none.

    Source: the test is Mantel's (1967).
    """
    expect_tensor("similarity", similarity), expect_tensor("related", related)
    square = similarity.ndim == 2 and similarity.shape[0] == similarity.shape[1] == len(related)
    if not square or related.shape != similarity.shape or related.dtype != torch.bool:
        given = f"similarity {tuple(similarity.shape)} and relations {tuple(related.shape)} of {related.dtype}"
        raise ValueError(f"{given} were given, expected (K, K) twice, the second bool")
    if not similarity.isfinite().all() or not torch.equal(related, related.T):
        raise ValueError("similarity has to be finite, for which each class needs images, and relations symmetric")
    first, second = torch.triu_indices(*similarity.shape, offset=1, device=similarity.device)
    kept = related[first, second]
    if kept.all() or not kept.any():
        raise ValueError("all pairs of classes are related, or none is: there is nothing to compare")

    def difference(order: Tensor) -> float:
        pairs = similarity[order[first], order[second]].double()
        return (pairs[kept].mean() - pairs[~kept].mean()).item()

    found = difference(torch.arange(len(similarity), device=similarity.device))
    reached = sum(difference(order) >= found - 1e-12
                  for order in _shuffled(len(similarity), draws, seed, similarity.device))
    return Agreement(found, (1 + reached) / (1 + draws))


def _shuffled(count: int, draws: int, seed: int, device: torch.device) -> Iterator[Tensor]:
    """Yield random orders of so many things."""
    generator = seeded(seed)
    for _ in range(expect_int("draws", draws, 1)):
        yield torch.randperm(count, generator=generator).to(device)


def _expect_numbers(name: str, values: Tensor, count: int) -> Tensor:
    """Return whole numbers from 0 to count − 1 as int64, or say what else was given."""
    if values.is_floating_point() or values.dtype == torch.bool or not values.numel():
        raise ValueError(f"{name} of {values.dtype} {tuple(values.shape)} were given, expected whole numbers")
    for value in values.aminmax():
        expect_int(name, int(value), 0, count - 1)
    return values.long()


def _expect_paths(neurons: Tensor, labels: Tensor, size: int, classes: int) -> tuple[Tensor, Tensor]:
    """Return paths as (N, L, width) and their labels (N,), if they fit."""
    expect_int("size", size, 1), expect_int("classes", classes, 1)
    expect_tensor("neurons", neurons), expect_tensor("labels", labels)
    if neurons.ndim not in (2, 3) or labels.shape != neurons.shape[:1]:
        given = f"{tuple(neurons.shape)} and labels {tuple(labels.shape)}"
        raise ValueError(f"neurons of {given} were given, expected (N, L) or (N, L, width), and (N,)")
    neurons = _expect_numbers("neurons", neurons if neurons.ndim == 3 else neurons[:, :, None], size)
    return neurons, _expect_numbers("labels", labels, classes).to(neurons.device)


def _expect_utilisation(used: Tensor) -> Tensor:
    """Return utilisation matrices (K, L, n), if they are that."""
    if expect_tensor("utilisation", used).ndim != 3 or not used.numel() or (used < 0).any():
        raise ValueError(f"utilisation of {tuple(used.shape)} was given, expected (K, L, n), none below zero")
    return used
