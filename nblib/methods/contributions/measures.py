"""Numbers about contributions that were found, by whatever algorithm, or about activations."""
import torch
from torch import Tensor, nn

from nblib.checks import expect_int, expect_number, expect_tensor
from nblib.engine import (
    as_given,
    baseline_for,
    check_inputs,
    expect_finite,
    hoyer,
    precise,
    target_change,
)
from nblib.targets import Target


def channels_last(values: Tensor, channel_axis: int | None = None) -> Tensor:
    """Return values (N, ...) as (N, places, C); see `nblib.methods.contributions` for `channel_axis`."""
    if not isinstance(values, Tensor) or values.ndim < 2 or not values.numel() or not values.is_floating_point():
        given = f"{values.dtype} {tuple(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(f"values of {given} were given, expected floating point (N, C), (N, C, H, W) or (N, T, D)")
    axis = channel_axis
    if axis is None:
        axis = 2 if values.ndim == 3 else 1
    else:
        axis = expect_int("channel_axis", axis, -values.ndim, values.ndim - 1) % values.ndim
        expect_int("channel_axis", axis, 1, values.ndim - 1)  # 0 are the images
    moved = values.movedim(axis, -1)
    return moved.reshape(len(values), -1, moved.shape[-1])


def excitation_inhibition(contribution: Tensor, *, channel_axis: int | None = None) -> tuple[Tensor, Tensor]:
    r"""How much each channel pushes the target up, and how much down: the signs are split before places are summed.

    .. math:: E_c=\sum_p\max(C_{c,p},0),\qquad I_c=\sum_p\min(C_{c,p},0)

    Args:
        contribution: (N, ...), signed.

    Other arguments: as in `nblib.methods.contributions`.

    Returns:
        Excitation, ≥ 0, and inhibition, ≤ 0, (N, C) each; their sum is the channel's net contribution.

    Source: P3, equations 1 and 2.
    """
    values = precise(channels_last(contribution, channel_axis))
    return tuple(as_given(part.sum(1), contribution) for part in (values.clamp(min=0), values.clamp(max=0)))


def channel_sparsity(values: Tensor, *, channel_axis: int | None = None) -> Tensor:
    r"""How few channels carry an image: Hoyer's index of the channels' sums, 0 if all are equal, 1 for one alone.

    .. math:: \frac{\sqrt C-\|v\|_1/\|v\|_2}{\sqrt C-1},\qquad v_c=\sum_pC_{c,p}

    Args:
        values: contributions or activations, of units (N, ...), or (N, C) if they are summed already.

    Other arguments: as in `nblib.methods.contributions`.

    Returns:
        (N,) in [0, 1]; NaN where all sums are 0 or one is not finite.

    Source: P3, figure 3B; Hoyer (2004). The paper adds 1e-6 to the second norm.
    """
    return as_given(hoyer(channels_last(values, channel_axis).double().sum(1)), values)


def excitation_inhibition_correlation(contribution: Tensor, *, channel_axis: int | None = None) -> Tensor:
    r"""How alike the two signs of an image's channels are: Pearson's r between :math:`E_c` and :math:`|I_c|`.

    1: the channels that push up most also pull down most. It is −r of the signed sums, which the paper plots.

    Args: as in `excitation_inhibition`.

    Returns:
        (N,) in [−1, 1]; NaN where one of the two is the same for all channels.

    Source: P3, figure 3C and 3D.
    """
    excitation, inhibition = excitation_inhibition(contribution.double(), channel_axis=channel_axis)
    first, second = (part - part.mean(1, keepdim=True) for part in (excitation, -inhibition))
    lengths = first.norm(dim=1) * second.norm(dim=1)
    correlation = (first * second).sum(1) / torch.where(lengths > 0, lengths, torch.nan)
    return as_given(correlation.clamp(-1, 1), contribution)


def dimensionality(values: Tensor, share: float = 0.95) -> int:
    r"""How many principal components hold a share of the variance of channel values over images, or class means.

    Args:
        values: (N, C), N ≥ 2, finite. They are centred, not scaled.
        share: of the variance, from 0 to 1.

    Returns:
        The smallest number d with :math:`\sum_{i\le d}\lambda_i\ge\mathrm{share}\sum_i\lambda_i`, at most
        min(N − 1, C); 0 where all rows are equal.

    Source: P3, figures 3E and 3F, over 1,000 class means.
    """
    expect_number("share", share, 0, 1)
    if not isinstance(values, Tensor) or values.ndim != 2 or len(values) < 2 or not values.numel():
        given = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(f"values of {given} were given, expected (N, C) of at least two rows")
    expect_finite("rows", values)
    centred = values.double() - values.double().mean(0)
    variances = torch.linalg.svdvals(centred).square()[: len(values) - 1]
    if variances[0] <= (torch.finfo(torch.float64).eps * values.abs().max().double()) ** 2 * values.numel():
        return 0
    held = variances.cumsum(0) / variances.sum()
    return int((held < share - 1e-12).sum()) + 1


def completeness_gap(
    contribution: Tensor,
    model: nn.Module,
    images: Tensor,
    *,
    target: Target | None = None,
    baseline: float | str | Tensor = 0.0,
    chunk_size: int | None = None,
) -> Tensor:
    r"""How far a layer's contributions are from what they should share out, :math:`\sum_iC_i-\big(f(x)-f(x_0)\big)`.

    Args:
        contribution: (N, ...), signed, of the target and from the baseline that are given.

    Other arguments: as in `nblib.methods.contributions`.

    Returns:
        (N,), in target units. For integrated gradients it nears 0 as the steps grow, on a layer that cuts the network.
    """
    check_inputs(model, images)
    expect_tensor("contributions", contribution)
    if len(contribution) != len(images):
        raise ValueError(f"contributions of {len(contribution)} images were given with {len(images)} images")
    shared = target_change(model, images, baseline_for(images, baseline), target, chunk_size)
    return as_given(contribution.double().flatten(1).sum(1) - shared.double(), images)
