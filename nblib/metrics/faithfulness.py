r"""ROAD, remove and debias: what becomes of the network's answer when pixels go in the order of a map."""
import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nblib.checks import expect_number, expect_one_of, expect_tensor
from nblib.engine import as_given, check_inputs, chunks, expect_finite, logits_of, precise, seeded
from nblib.metrics.imputation import fill_in, noise_field
from nblib.targets import class_logit, class_probability, expect_classes, expect_labels

ORDERS = {"morf": 1, "lerf": -1, "random": 0}  # the factor by which a map is ranked
VALUES = {
    "correct": lambda logits, labels: (expect_classes(logits).argmax(1) == labels).to(logits),
    "probability": lambda logits, labels: class_probability(labels)(logits),
    "logit": lambda logits, labels: class_logit(labels)(logits),
}
REFERENCES = ("untouched", "published")


def removal_ranks(maps: Tensor, *, order: str = "morf", seed: int = 0) -> Tensor:
    """When each pixel is removed: 0 for the first of its map, d − 1 for the last.

    Args:
        maps: (N, H, W), finite: what a pixel says *against* the class is ranked below zero. Pass `absolute(maps)` to
            rank by magnitude.
        order: "morf" (most relevant first, the highest values), "lerf" (least relevant first), or "random".
        seed: fixes the order of equal values, as ReLU'd maps and maps of blocks have many, and that of "random". It is
            the same in every map, so that none depends on its batch.

    Returns:
        (N, H, W), whole numbers, each of 0 to d − 1 once a map. "lerf" is "morf" of the negated map.

    Raises:
        ValueError: maps of another shape, or not finite; an unknown order.

    Source: Rong et al. (2022), section 4; the order of equal values is ours: a sort of the values that keeps
    a random permutation where they are equal, instead of a little noise on every map.
    """
    sign = ORDERS[expect_one_of("order", order, ORDERS)]
    if expect_tensor("maps", maps).ndim != 3 or not maps.numel():
        raise ValueError(f"maps of shape {tuple(maps.shape)} were given, expected (N, H, W), not empty")
    expect_finite("maps", maps)
    values = maps.detach() if maps.is_floating_point() else maps.double()
    shuffled = torch.randperm(maps[0].numel(), generator=seeded(seed)).to(maps.device)
    values = (sign * values.flatten(1) + 0.0)[:, shuffled]  # + 0.0, so that a zero has no sign
    first_to_last = shuffled[values.argsort(dim=1, descending=True, stable=True)]
    ranks = torch.arange(len(shuffled), device=maps.device).expand_as(first_to_last)
    return torch.empty_like(first_to_last).scatter_(1, first_to_last, ranks).view(maps.shape)


def kept_pixels(maps: Tensor, percentages: Iterable[float], *, order: str = "morf", seed: int = 0) -> Tensor:
    """Which pixels are left after each percentage was removed.

    Args:
        maps: (N, H, W), finite, signed.
        percentages: P numbers from 0 to below 100; p removes ⌊d p / 100⌋ of a map's d pixels.
        order, seed: as in `removal_ranks`.

    Returns:
        (N, P, H, W) bool, True where a pixel is left.

    Raises:
        ValueError: as in `removal_ranks`; percentages out of range, or one that leaves no pixel.
    """
    ranks = removal_ranks(maps, order=order, seed=seed)
    counts = torch.tensor(_counts(percentages, maps[0].numel()), device=maps.device)
    return ranks.unsqueeze(1) >= counts.view(-1, 1, 1)


def _counts(percentages: Iterable[float], pixels: int) -> list[int]:
    """Return how many of a map's pixels each percentage removes."""
    given = percentages.tolist() if hasattr(percentages, "tolist") else percentages
    given = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else []
    if not given:
        raise ValueError(f"percentages={percentages!r} was given, expected one number or more in a list")
    counts = [math.floor(pixels * expect_number("percentages", p, 0, 100) / 100 + 1e-9) for p in given]
    if pixels in counts:
        p = given[counts.index(pixels)]
        raise ValueError(f"percentages: {p} was given, expected less: all {pixels} pixels would go, and none be left "
                         "to fill from")
    return counts


def road(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    maps: Tensor,
    *,
    percentages: Iterable[float],
    order: str = "morf",
    value: str = "correct",
    noise: float = 0.01,
    seed: int = 0,
    chunk_size: int | None = None,
) -> Tensor:
    r"""The network's answer while pixels are removed in the order of a map and filled in from their neighbours.

    .. math:: a_{nk}=
        \mathrm{value}\big(\mathrm{impute}(x_n,\ \text{the }\lfloor d\,p_k/100\rfloor\text{ first pixels})\big)

    Args:
        model: in evaluation mode, images (N, C, H, W) → logits (N, K).
        images: x, (N, C, H, W), finite, of the model's type and on its device.
        labels: (N,) whole numbers, the class whose answer is followed, or one for all images.
        maps: (N, H, W), finite, signed, as `removal_ranks` takes them.
        percentages: P numbers, 0 to below 100: how much is removed, each time from the untouched image.
        order: "morf", "lerf" or "random"; see `removal_ranks`.
        value: "correct" (1 where the label has the highest logit, else 0: the mean over images is the accuracy),
            "probability" (softmax, of the label) or "logit".
        noise: of `impute`, in units of the images.
        seed: of the noise and of the order of equal values.
        chunk_size: rows imputed and sent forward at once; None goes by the images' size. Results do not depend on it.

    Returns:
        (N, P + 1), in single precision at least: the untouched images first, then each percentage.

    Raises:
        ValueError: an unknown order or value; a model in training mode; images, labels or maps that do not fit each
            other or are not finite; labels outside of the classes; percentages out of range.

    Source: Rong et al. (2022); P2, section 3.2 and appendix B. In the code of P2's authors value is "correct", the
    order "morf" and the percentages are 1, 11, ..., 91. Both remove all colours of a pixel together.
    """
    check_inputs(model, images)
    expect_number("noise", noise, 0)
    answer = VALUES[expect_one_of("value", value, VALUES)]
    if expect_tensor("maps", maps).shape != (len(images), *images.shape[2:]):
        raise ValueError(f"maps {tuple(maps.shape)} were given, expected {(len(images), *images.shape[2:])}")
    ranks = removal_ranks(maps.to(images.device), order=order, seed=seed).int()
    counts = torch.tensor([0, *_counts(percentages, maps[0].numel())], device=images.device)
    curve, field = precise(images[:0]).new_empty(len(images), len(counts)), noise_field(images, seed)
    with torch.no_grad():
        labels = expect_labels(labels, len(images), logits_of(model, images[:1]).shape[1], images.device)
        for step, image in chunks(images, len(counts), chunk_size):
            keep = ranks[image] >= counts[step].view(-1, 1, 1)
            rows = fill_in(images[image], keep, noise, field)
            curve[image, step] = answer(logits_of(model, rows), labels[image]).to(curve)
    return curve


def aopc(curve: Tensor, *, reference: str = "untouched") -> Tensor:
    r"""The area over a perturbation curve: by how much the answer falls, on average over the removals.

    .. math:: \frac1{P+1}\sum_{k=1}^{P}(a_0-a_k)\quad\text{("untouched")},\qquad
              \frac1{P+1}\sum_{k=1}^{P}(a_1-a_k)\quad\text{("published")}

    Args:
        curve: (..., P + 1), as `road` returns it: the untouched answer first, then P ≥ 1 removals.
        reference: "untouched", or "published", where the fall is counted from the first removal on, at 1 % in P2: what
            that removal does is left out.

    Returns:
        (...), in units of the curve.

    Raises:
        ValueError: a curve without a removal; an unknown reference.

    Source: Samek et al. (2017), equation 12, for the first; for the second the code of P2's authors,
    `compute_aopc_morf` of sanishsuwal7/Neurips-CogInterp.
    """
    expect_one_of("reference", reference, REFERENCES)
    if expect_tensor("a curve", curve).ndim < 1 or curve.shape[-1] < 2:
        raise ValueError(f"a curve {tuple(curve.shape)} was given, expected (..., P + 1) with at least one removal")
    values = precise(curve)
    first = values[..., 0 if reference == "untouched" else 1, None]
    return as_given((first - values[..., 1:]).sum(-1) / curve.shape[-1], curve)
