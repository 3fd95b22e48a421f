"""Which channel of a fitted network is which interneuron of the retina."""
from typing import NamedTuple

import torch
from torch import Tensor

from nblib.methods.retina.clusters import drive_profiles


class TypeMatching(NamedTuple):
    """For each interneuron (K,): the channel it was paired with, no channel twice, and their r, signed."""

    channel: Tensor
    correlation: Tensor

    @property
    def mean(self) -> float:
        """The mean size of r over interneurons, in [0, 1]."""
        return self.correlation.abs().mean().item()


def match_interneurons(features: Tensor, truth: Tensor) -> TypeMatching:
    r"""Pair known interneurons with channels so that the sum of the sizes of r is the largest possible.

    .. math:: \max_\pi\sum_k\big|r(\text{truth}_k,\text{feature}_{\pi(k)})\big|

    Args:
        features: (N, C): each channel's activity, or contribution, in each frame.
        truth: (N, K) of the same frames, K ≤ C: the same of each true interneuron.

    Returns:
        The pairs. Even unrelated channels have an r well away from 0, since all follow one stimulus and the best pairs are
        taken: match an untrained network too.

    Raises:
        ValueError: shapes that do not fit.

    Source: ours; Kuhn (1955), the Hungarian method. Maheswaranathan et al. (2023) take the best channel for each.
    """
    from scipy.optimize import linear_sum_assignment

    if features.ndim != 2 or truth.ndim != 2 or features.shape[1] < truth.shape[1]:
        raise ValueError(f"features {tuple(features.shape)} and truth {tuple(truth.shape)} were given, expected (N, C) "
                         "and (N, K) of the same frames, with as many channels as interneurons or more")
    similarity = drive_profiles(features, truth)  # (K, C)
    channel = torch.from_numpy(linear_sum_assignment(similarity.detach().abs().cpu().numpy(), maximize=True)[1])
    channel = channel.to(features.device)
    return TypeMatching(channel, similarity.gather(1, channel.unsqueeze(1)).squeeze(1))
