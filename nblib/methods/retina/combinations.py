"""Modes that work at the same time: which sets of them, and at which frames."""
from collections import Counter

import torch
from torch import Tensor

from nblib.checks import expect_int, expect_number


def mode_sets(loadings: Tensor, *, threshold: float = 0.01, most: int = 4,
              count: int = 20) -> list[tuple[tuple[int, ...], Tensor]]:
    """The sets of modes that are most often active at once, each with its frames.

    Args:
        loadings: (N, M), ≥ 0.
        threshold: a mode is active above it, 0 or more.
        most: sets of more modes are left out, 1 or more.
        count: how many sets at most, 1 or more.

    Returns:
        Pairs of a set, its modes in order, and the frames (n,) at which these modes and no others are active; the most
        frequent first, of equal ones the set with the lower numbers.

    Source: P3, figure 8D, with the settings of the authors' code.
    """
    active = _active(loadings, threshold)
    expect_int("most", most, 1)
    sets = [tuple(row.nonzero().flatten().tolist()) for row in active.cpu()]
    numbers = Counter(found for found in sets if 1 <= len(found) <= most)
    chosen = sorted(numbers, key=lambda found: (-numbers[found], found))[:expect_int("count", count, 1)]
    frames: dict[tuple[int, ...], list[int]] = {found: [] for found in chosen}
    for frame, found in enumerate(sets):
        if found in frames:
            frames[found].append(frame)
    return [(found, torch.tensor(at, device=loadings.device)) for found, at in frames.items()]


def spread_frames(frames: Tensor, strength: Tensor, *, count: int = 6) -> Tensor:
    """Of some frames, choose a few that are strong and lie far apart in time.

    The strongest comes first; then, again and again, the one farthest from all that were chosen.

    Args:
        frames: (n,) whole numbers, one or more.
        strength: (n,) of each of these frames, such as the sum of its loadings.
        count: how many at most, 1 or more.

    Returns:
        Up to `count` of the frames, in the order in which they were chosen.

    Raises:
        ValueError: no frames, or another number of strengths.

    Source: P3's code for figure 8D.
    """
    if frames.ndim != 1 or frames.shape != strength.shape or not len(frames):
        raise ValueError(f"frames {tuple(frames.shape)} and strengths {tuple(strength.shape)} were given, expected one "
                         "row of both, not empty")
    chosen = [int(strength.argmax())]
    while len(chosen) < min(expect_int("count", count, 1), len(frames)):
        away = (frames.unsqueeze(1) - frames[chosen]).abs().amin(1)
        away[chosen] = -1
        chosen.append(int(away.argmax()))
    return frames[chosen]


def active_at_one_only(loadings: Tensor, first: int, second: int, *, threshold: float = 0.1,
                       within: int = 5) -> tuple[Tensor, Tensor]:
    """The modes that are active around one of two frames and not around the other, the numbers of each.

    Args:
        loadings: (N, M), ≥ 0.
        first, second: frames, from 0 to N − 1.
        threshold: a mode is active above it, 0 or more.
        within: frames on each side that count, 0 or more.

    Source: P3, figure 8B, with the settings of the authors' code.
    """
    active = _active(loadings, threshold)
    expect_int("within", within, 0)
    around = []
    for name, frame in (("first", first), ("second", second)):
        expect_int(name, frame, 0, len(loadings) - 1)
        around.append(active[max(0, frame - within):frame + within + 1].any(0))
    return tuple((here & ~there).nonzero().flatten() for here, there in (around, around[::-1]))


def _active(loadings: Tensor, threshold: float) -> Tensor:
    """Return which loadings are above a threshold; refuse loadings that are not (N, M) ≥ 0."""
    expect_number("threshold", threshold, 0)
    if loadings.ndim != 2 or not loadings.numel() or not (loadings >= 0).all():
        raise ValueError(f"loadings {tuple(loadings.shape)} were given, expected (N, M), not empty, none below 0")
    return loadings > threshold
