"""What the network can still do without channels, or with them alone."""
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nblib.checks import expect_int, expect_number
from nblib.engine import check_inputs, expect_finite, logits_after
from nblib.methods.modes.relations import mode_channels
from nblib.targets import expect_classes, expect_labels


class Ablation(NamedTuple):
    """Accuracy after over accuracy before, by group and share: of the group itself, and of all others together."""

    target: Tensor  # (G, P), NaN where nothing was right before
    others: Tensor  # (G, P)


def ablation_curves(model: nn.Module, images: Tensor, labels: Tensor, layer: str, rankings: Mapping[str, Tensor], *,
                    shares: Sequence[float], keep: bool = False, groups: Tensor | None = None,
                    chunk_size: int | None = None) -> dict[str, Ablation]:
    r"""Switch off the channels that a ranking puts first for a class, and see what that class and the others lose.

    .. math:: \text{ratio}_g(p)=\frac{\text{acc}_g(\text{the first }p\text{ of the channels of }g\text{ at zero})}
        {\text{acc}_g}

    All conditions see the same images. A layer's output is computed once, and only the rest of the network runs again;
    a set of channels that several classes or rankings share is evaluated once.

    Args:
        model, images, chunk_size: as in `nblib.methods.modes`.
        labels: (N,), the true classes.
        layer: with channels, which cuts the network, such as a residual block.
        rankings: name -> (G, C), a number for each channel and group; the largest come first.
        shares: P shares of the channels, each in [0, 1].
        keep: leave those channels alone and switch off all the others.
        groups: (N,) whole numbers below G, the group of each image; None is its class.

    Returns:
        For each ranking its ratios, (G, P).

    Raises:
        ValueError: rankings that do not fit the layer or the groups, a share out of range, a layer that does not cut
            the network; model and images as at the door.

    Source: P3, section 5; there the other class is one that is drawn, and each share has a draw of its own.
    """
    check_inputs(model, images)
    shares = [expect_number("shares", share, 0, 1) for share in shares]
    if not shares or not rankings:
        raise ValueError(f"{len(rankings)} rankings and {len(shares)} shares were given, expected one or more of each")
    rest, output, logits = logits_after(model, layer, images, chunk_size=chunk_size)
    if output.ndim != 4:
        raise ValueError(f"layer {layer!r} has shape {tuple(output.shape)}, expected (N, C, h, w)")
    labels = expect_labels(labels, len(images), logits.shape[1], images.device)
    groups = labels if groups is None else torch.as_tensor(groups, device=images.device)
    count = _expect_fit(rankings, groups, output.shape[1], len(images))
    member = torch.nn.functional.one_hot(groups, count).T.double()  # (G, N)
    before = (expect_classes(logits).argmax(1) == labels).double()
    right: dict[bytes, Tensor] = {}  # by the channels that stay: which images are right, (N,)

    def ratios(ranking: Tensor, group: int, share: float) -> tuple[Tensor, Tensor]:
        chosen = torch.zeros(output.shape[1], dtype=torch.bool, device=output.device)
        chosen[mode_channels(ranking[group], share).to(output.device)] = True
        stays = chosen if keep else ~chosen
        name = stays.cpu().numpy().tobytes()
        if name not in right:
            with torch.no_grad():
                masked = output * stays[:, None, None]
                right[name] = (rest(masked).argmax(1) == labels).double()
        inside, outside = member[group], 1 - member[group]
        return tuple((right[name] @ part) / (before @ part) if before @ part > 0 else before.new_tensor(torch.nan)
                     for part in (inside, outside))

    def curves(ranking: Tensor) -> Ablation:
        pairs = [ratios(ranking, group, share) for group in range(count) for share in shares]
        return Ablation(*(torch.stack(values).view(count, len(shares)) for values in zip(*pairs)))

    return {name: curves(ranking) for name, ranking in rankings.items()}


def _expect_fit(rankings: Mapping[str, Tensor], groups: Tensor, channels: int, images: int) -> int:
    """Return G, the number of groups, of rankings that fit the layer's channels and each other."""
    for name, ranking in rankings.items():
        if ranking.ndim != 2 or ranking.shape[1] != channels or not len(ranking):
            raise ValueError(f"ranking {name!r} has shape {tuple(ranking.shape)}, expected (G, {channels}): a number "
                             "for each group and channel of the layer")
        expect_finite(f"ranking {name!r}: groups", ranking)
    sizes = {len(ranking) for ranking in rankings.values()}
    if len(sizes) > 1:
        raise ValueError(f"rankings of {sorted(sizes)} groups were given, expected one number for all")
    count = sizes.pop()
    if groups.shape != (images,) or groups.is_floating_point():
        raise ValueError(f"groups of shape {tuple(groups.shape)} and type {groups.dtype} were given, expected "
                         f"({images},) whole numbers")
    expect_int("the largest group", int(groups.max()), 0, count - 1)
    expect_int("the smallest group", int(groups.min()), 0)
    return count


def area_difference(curves: Ablation, shares: Sequence[float]) -> Tensor:
    r"""How much a ranking is about its own class, :math:`\int(\text{target}-\text{others})\,dp` over the shares' span.

    Negative where removing hits the class more than the others; positive where keeping serves it more. The paper's own
    measure divides by the others' area, which has no bound where that is small.

    Args:
        curves: of `ablation_curves`.
        shares: P ≥ 2, ascending, at which they were taken.

    Returns:
        (G,), in units of the ratio: trapezoids, over the last share minus the first. NaN as in the curves.

    Raises:
        ValueError: shares that do not fit or do not ascend.
    """
    at = torch.as_tensor(list(shares), dtype=torch.float64, device=curves.target.device)
    if len(at) < 2 or at.shape != curves.target.shape[1:] or not (at.diff() > 0).all():
        raise ValueError(f"shares {list(shares)} were given for {curves.target.shape[1]} points, expected as many, two "
                         "or more, ascending")
    return torch.trapezoid(curves.target - curves.others, at) / (at[-1] - at[0])
