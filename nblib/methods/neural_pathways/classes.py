"""Pathways of a class: how often units fire, the class's own pathway, and how alike pathways are within it."""
from typing import NamedTuple

import torch
from torch import Tensor

from nblib.checks import expect_int
from nblib.engine import seeded
from nblib.methods.neural_pathways.pathways import Pathway, Scores, count_of, expect_pathway, expect_share
from nblib.targets import expect_labels

AT_ONCE = 2**25  # values of a layer that are held in single precision for one product
ROWS = 192  # of a product: small beside the number of images, large enough for a product to be fast


class ClassIoU(NamedTuple):
    """How alike the pathways of a class are: intersection over union of pairs of images, in [0, 1]."""

    mean: float  # over classes
    by_class: Tensor  # (K,), NaN for a class of fewer than two images
    by_layer: dict[str, float]  # the mean over classes of one layer's units alone
    expected: float  # of random pathways as dense as these on average, rho / (2 - rho)
    all_at_once: float  # units on all pathways of a class over units on any, mean over classes
    empty: int  # pathways without any unit


def firing_rates(pathway: Pathway, labels: Tensor, classes: int) -> Scores:
    """Return how often each unit is on the pathways of each class, (K, ...) by layer in [0, 1].

    Raises:
        ValueError: a class without an image.
    """
    rows = expect_labels(labels, count_of(expect_pathway(pathway)), expect_int("classes", classes, 1))
    counts = rows.bincount(minlength=classes)
    if not counts.all():
        raise ValueError(f"class {int((counts == 0).nonzero()[0])} has no image, expected one of each class or more")
    return {layer: torch.stack([mask[rows.to(mask.device) == label].float().mean(0) for label in range(classes)])
            for layer, mask in pathway.items()}


class ClassPathway(NamedTuple):
    """A class's pathway, (1, ...) bool by layer, and the numbers of the images that it was made from, (R,)."""

    pathway: Pathway
    made_from: Tensor


def class_pathway(pathway: Pathway, labels: Tensor, label: int, *, threshold: float = 0.5, left_out: float = 0.0,
                  seed: int = 0) -> ClassPathway:
    r"""The units that are on more than a share of some of the class's pathways, :math:`P_c=[B>\epsilon_{cn}]`.

    Args:
        pathway: (N, ...) by layer.
        labels: (N,) whole numbers.
        label: the class.
        threshold: :math:`\epsilon_{cn}`, in [0, 1).
        left_out: :math:`\epsilon_{ss}`, the share of the class's images that is not used, in [0, 1); at least one is.
        seed: of the choice. A larger share leaves out what a smaller one does, and more.

    Source: P0, section 4, equation of transferability.
    """
    rows = expect_labels(labels, count_of(expect_pathway(pathway)), 2**31)
    mine = (rows == label).nonzero().flatten()
    if not len(mine):
        raise ValueError(f"label={label!r} was given, a class without an image; expected one of "
                         f"{rows.unique().tolist()[:10]}")
    for name, value in (("threshold", threshold), ("left_out", left_out)):
        expect_share(name, value)
    order = torch.randperm(len(mine), generator=seeded(seed))
    used = mine[order[: max(1, round((1 - left_out) * len(mine)))].to(mine.device)]
    return ClassPathway({layer: mask[used.to(mask.device)].float().mean(0, keepdim=True) > threshold
                         for layer, mask in pathway.items()}, used)


def pairwise_iou(pathway: Pathway) -> Tensor:
    r"""Return the intersection over union of the pathways of each two images, (N, N) in [0, 1].

    Two empty pathways count as equal, 1; an empty one with another as 0.
    """
    expect_pathway(pathway)
    return _iou(sum(_common(mask) for mask in pathway.values()))


def class_iou(pathway: Pathway, labels: Tensor) -> ClassIoU:
    r"""How alike the pathways of a class are.

    .. math:: \mathrm{acIOU}=\frac1K\sum_c\frac{2}{n_c(n_c-1)}\sum_{i<j\in c}\frac{|P_i\cap P_j|}{|P_i\cup P_j|}

    Args:
        pathway: (N, ...) by layer.
        labels: (N,), true or predicted.

    Returns:
        A `ClassIoU`. Of a layer in which both pathways are empty, the pair counts as 1.

    Raises:
        ValueError: no class with two images or more.

    Source: P0, section 4. As printed, the sum is divided by 2n, which gives no mean; neither that nor the intersection
    over all images of a class, which is returned too, gives the paper's table.
    """
    rows = expect_labels(labels, count_of(expect_pathway(pathway)), 2**31).cpu()
    counts = rows.bincount()
    if not (counts > 1).any():
        raise ValueError(f"labels of {len(counts)} classes with at most one image each were given, expected a class "
                         "with two or more")
    common = {layer: _common(mask) for layer, mask in pathway.items()}
    by_class = _within(_iou(sum(common.values())), rows)
    units = sum(mask[0].numel() for mask in pathway.values())
    sizes = sum(values.diagonal() for values in common.values())
    density = sizes.mean().item() / units
    return ClassIoU(by_class.nanmean().item(), by_class,
                    {layer: _within(_iou(values), rows).nanmean().item() for layer, values in common.items()},
                    density / (2 - density), _all_at_once(pathway, rows), int((sizes == 0).sum()))


def related_iou(likeness: Tensor, first: Tensor, second: Tensor) -> dict[str, float]:
    """Return the mean likeness of pairs of images that share both parts, the first alone, the second alone, or none.

    Args:
        likeness: (N, N), such as from `pairwise_iou`.
        first, second: (N,) which of each part an image has, such as its body and its marking.

    Returns:
        "both", "first", "second", "neither"; NaN where there is no such pair.
    """
    same = [expect_labels(part, len(likeness), 2**31, likeness.device) for part in (first, second)]
    one, two = (part[:, None] == part[None] for part in same)
    pairs = torch.ones_like(one).triu(1)
    kinds = {"both": one & two, "first": one & ~two, "second": ~one & two, "neither": ~one & ~two}
    return {name: likeness[kind & pairs].mean().item() for name, kind in kinds.items()}


def part_shares(rates: Scores, first: int, second: int) -> tuple[float, float, float]:
    r"""Split the variance of classes' firing rates into two parts' and that of the whole class alone.

    .. math:: b_{rs}-\bar b=(b_{r\cdot}-\bar b)+(b_{\cdot s}-\bar b)+(b_{rs}-b_{r\cdot}-b_{\cdot s}+\bar b)

    Args:
        rates: (first · second, ...) by layer, as from `firing_rates`, classes that share a first part side by side.
        first, second: how many there are of each part, 2 or more.

    Returns:
        The shares of the first part, of the second, and of their interaction, which sum to 1; NaN where nothing
        varies. Without structure they are as their degrees of freedom: (first − 1), (second − 1) and their product over
        first · second − 1.
    """
    expect_int("first", first, 2), expect_int("second", second, 2)
    table = torch.cat([values.flatten(1) for values in rates.values()], 1).double()
    if len(table) != first * second:
        raise ValueError(f"rates of {len(table)} classes were given, expected {first} × {second}")
    centred = table.view(first, second, -1) - table.mean(0)
    one, two = centred.mean(1, keepdim=True), centred.mean(0, keepdim=True)
    sums = [part.expand_as(centred).square().sum() for part in (one, two, centred - one - two)]
    total = sum(sums)
    return tuple((part / total).item() for part in sums)


def between_share(values: Tensor, labels: Tensor) -> float:
    r"""Return the share of a number's variance over images, (N,), that lies between classes; NaN if it does not vary."""
    rows = expect_labels(labels, len(values), 2**31, values.device)
    centred = values.double() - values.double().mean()
    means = torch.stack([centred[rows == label].mean() for label in rows.unique()])
    counts = torch.stack([(rows == label).sum() for label in rows.unique()])
    return ((counts * means.square()).sum() / centred.square().sum()).item()


def _common(mask: Tensor) -> Tensor:
    """Return how many units the pathways of each two images share in a layer, (N, N) whole numbers in float64."""
    rows = mask.flatten(1)
    total = torch.zeros(len(rows), len(rows), dtype=torch.float64, device=mask.device)
    for part in rows.split(max(1, AT_ONCE // len(rows)), 1):
        part = part.float()
        for first in range(0, len(rows), ROWS):  # of two images one order is enough
            last = first + ROWS
            total[first:last, :last] += part[first:last] @ part[:last].T  # below 2**24 units a product, so exact
    total.tril_()
    return total.add_(total.tril(-1).T).cpu()


def _iou(common: Tensor) -> Tensor:
    """Return intersection over union, (N, N), from what is common; the diagonal has the sizes."""
    sizes = common.diagonal()
    union = sizes[:, None] + sizes[None] - common
    return torch.where(union > 0, common / union.clamp(min=1), 1.0)


def _within(likeness: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of each class's pairs, (K,), NaN where there is none."""
    means = torch.full((int(labels.max()) + 1,), torch.nan, dtype=torch.float64)
    for label in labels.unique().tolist():
        mine = (labels == label).nonzero().flatten()
        block, count = likeness[mine][:, mine], len(mine)
        if count > 1:
            means[label] = (block.sum() - block.diagonal().sum()) / (count * (count - 1))
    return means


def _all_at_once(pathway: Pathway, labels: Tensor) -> float:
    """Return the units on all pathways of a class over those on any, the mean over classes of two images or more."""
    shares = []
    for label in labels.unique().tolist():
        mine = labels == label
        if mine.sum() > 1:
            inside, around = (sum(getattr(mask[mine.to(mask.device)], which)(0).sum().item() for mask in pathway.values())
                              for which in ("all", "any"))
            shares.append(inside / around if around else 1.0)
    return sum(shares) / len(shares)
