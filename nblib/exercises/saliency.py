"""Checks of the exercises in the chapter on saliency."""
import math
from collections.abc import Callable

import torch

from nblib.checks import expect_int, expect_number, expect_one_of
from nblib.exercises.verdict import Verdict, judge, self_check

CONCLUSIONS = ("uses the tag", "does not use the tag", "cannot tell")
SMALL = 0.05  # a drop in accuracy that would not matter


def check_gap(answer: Callable) -> Verdict:
    """Check `answer(maps (N, H, W), at_image (N,), at_baseline (N,)) -> (N,)`: the completeness gap."""
    maps = torch.tensor([[[1.0, 2.0], [0.0, -1.0]], [[0.5, 0.5], [0.5, 0.5]]])
    at_image, at_baseline = torch.tensor([5.0, 3.0]), torch.tensor([3.0, 1.0])
    return judge(answer, [
        ("a complete map", (maps, at_image, at_baseline), torch.zeros(2)),
        ("a map that shares out too little", (maps / 2, at_image, at_baseline), torch.tensor([-1.0, -1.0])),
        ("a baseline that the network does not score zero", (maps, at_image, torch.zeros(2)), torch.tensor([-3.0, -1.0])),
    ], "the gap is the map's sum minus what it had to share out", mistakes={
        "leaves out what the network says of the baseline": lambda maps, at, base: maps.sum((1, 2)) - at,
        "sums magnitudes instead of signed values": lambda maps, at, base: maps.abs().sum((1, 2)) - (at - base),
        "takes the difference the other way round": lambda maps, at, base: (at - base) - maps.sum((1, 2)),
        "sums over all images": lambda maps, at, base: maps.sum() - (at - base).sum(),
    }, hints=[
        "A complete map shares out one number. Which number, for an image and a baseline?",
        "It shares out f(x) − f(x'). Sum each map over its pixels, not over the images, and keep the signs.",
        "maps.flatten(1).sum(1) has one number an image. Take away what there was to share out.",
    ])


def check_hits(answer: Callable) -> Verdict:
    """Check `answer(maps (N, H, W), masks (N, H, W)) -> (N,)`: 1 where the largest value lies on the mask, else 0."""
    maps = torch.tensor([[[0.0, 3.0], [1.0, 2.0]], [[-9.0, 1.0], [0.0, 0.5]]])
    on_first = torch.tensor([[True, False], [False, False]])
    on_second = torch.tensor([[False, True], [False, False]])
    return judge(answer, [
        ("the largest value on the mask", (maps, torch.stack([on_second, on_second])), torch.ones(2)),
        ("a large negative value on the mask is no hit", (maps, torch.stack([on_first, on_first])), torch.zeros(2)),
        ("one hit and one miss", (maps, torch.stack([on_second, on_first])), torch.tensor([1.0, 0.0])),
    ], "a hit is where the maximum, not the largest magnitude, lies on the mask", mistakes={
        "takes the largest magnitude": lambda maps, masks: _at(masks, maps.abs()),
        "asks whether there is a mask at all": lambda maps, masks: masks.flatten(1).any(1),
        "returns the mean over the images": lambda maps, masks: _at(masks, maps).double().mean(),
    }, hints=[
        "Only one pixel of a map counts: the one with the largest value. Where is it?",
        "maps.flatten(1).argmax(1) gives its number in each image. What does the mask say there?",
        "masks.flatten(1).gather(1, place[:, None]) reads the mask at that pixel of each image.",
    ])


def check_gain(answer: Callable) -> Verdict:
    """Check `answer(maps (N, H, W), masks (N, H, W)) -> (N,)`: the share of positive energy inside over the share of area."""
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[:, :2, :2] = True  # a quarter of the image
    inside, mixed = mask.float(), mask.float()
    mixed[:, 3, 3] = 4.0
    signed = mixed.clone()
    signed[:, 3, 3] = -1.0
    return judge(answer, [
        ("an even map gains one", (torch.ones(1, 4, 4), mask), torch.ones(1)),
        ("all energy on a quarter of the image", (inside, mask), torch.full((1,), 4.0)),
        ("half of the energy on a quarter of the image", (mixed, mask), torch.full((1,), 2.0)),
        ("negative values are no energy", (signed, mask), torch.full((1,), 4.0)),
        ("two images, each by itself", (torch.cat([inside, 9 * mixed]), torch.cat([mask, mask])), torch.tensor([4.0, 2.0])),
    ], "the gain is the share of the energy inside over the share of the area", mistakes={
        "returns the share of the energy and forgets the area": lambda maps, masks: _inside(maps.relu(), masks),
        "counts negative values as energy": lambda maps, masks: _inside(maps, masks) / _area(masks),
        "counts magnitudes as energy": lambda maps, masks: _inside(maps.abs(), masks) / _area(masks),
    }, hints=[
        "Energy is what is positive. How much of it lies inside, as a share of all of it?",
        "An even map has a share inside too: the share of the area. The gain says how many times more it is.",
        "Divide the share of the energy by masks.flatten(1).float().mean(1).",
    ])


def check_blind(answer: Callable) -> Verdict:
    """Check `answer(images (N, C, H, W), baseline) -> (N, H, W) bool`: pixels where integrated gradients must be zero."""
    colours = torch.tensor([[0.0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 0, 0], [0, 0.5, 1]])  # black, white, grey, ...
    images = colours.T.reshape(1, 3, 1, 5)
    return judge(answer, [
        (f"five pixels, {name} as the baseline", (images, baseline), (colours == baseline).all(1).reshape(1, 1, 5))
        for name, baseline in (("black", 0.0), ("white", 1.0), ("grey", 0.5))
    ], "no network can make integrated gradients see a pixel that equals its baseline", mistakes={
        "takes one equal colour for all three": lambda images, baseline: (images == baseline).any(1),
        "always takes black": lambda images, baseline: (images == 0).all(1),
        "compares the mean of the colours": lambda images, baseline: images.mean(1) == baseline,
        "returns what can be seen": lambda images, baseline: (images != baseline).any(1),
    }, hints=[
        "Integrated gradients multiply by x − x'. When is that zero for a whole pixel?",
        "A pixel has three colours. It is unseen where none of them differs from the baseline's.",
        "(images == baseline) says it of each colour; .all(1) puts the colours together.",
    ])


def check_intervention(planted: float, changed: float, conclusion: str, *, images: int) -> Verdict:
    """Check how an experiment was read: does a network use the tag that was planted in its images?

    The drop from one accuracy to the other is compared with what chance alone gives, 1.96 standard errors of the
    difference of two shares; each gets one right and one wrong answer added (Agresti and Caffo 2000).

    Args:
        planted: accuracy in [0, 1] on images that carry the tag of their class.
        changed: accuracy in [0, 1] on the same images with the tag of another class.
        conclusion: one of `CONCLUSIONS`.
        images: how many images each accuracy was measured on, 1 or more.

    Returns:
        Passed where the conclusion follows from the numbers: the network uses the tag if the drop is larger than
        chance; it does not if even a drop of 5 points would have been seen; otherwise nobody can tell.
    """
    try:
        shares = [expect_number(name, value, 0, 1) for name, value in (("planted", planted), ("changed", changed))]
        expect_int("images", images, 1)
        expect_one_of("conclusion", conclusion, CONCLUSIONS)
    except ValueError as error:
        return Verdict(False, f"{error}; an accuracy is a share, so 93 % is 0.93")
    p, q = ((share * images + 1) / (images + 2) for share in shares)
    chance = 1.96 * math.sqrt((p * (1 - p) + q * (1 - q)) / (images + 2))
    drop = p - q
    said = f"accuracy changed by {shares[1] - shares[0]:+.3f}, and chance alone moves it by up to {chance:.3f}"
    hints = (
        "First the size of the drop. Then ask how large a drop could be by chance with so few images.",
        "If the drop is larger than chance, the network uses the tag. If it is not, ask what a drop of 0.05 would have looked like.",
    )
    if drop < -chance:
        return Verdict(False, "accuracy rose when the tag was changed: are the two numbers in the right order?", hints)
    follows = "uses the tag" if drop > chance else "does not use the tag" if drop + chance < SMALL else "cannot tell"
    if conclusion == follows:
        return Verdict(True, f"{said}: one {follows}" if follows == "cannot tell" else f"{said}: the network {follows}", hints)
    return Verdict(False, f"{said}; does “{conclusion}” follow from that?", hints)


def check_paradox(answer: str) -> Verdict:
    """Look at an answer in words: how can a method find the tag best and not know the class?"""
    return self_check(answer, [
        "guided backpropagation shows what the layers near the image respond to; which class is asked hardly enters, and "
        "its map stays when the last layer is drawn anew",
        "the cheating network's early layers have learnt to respond to the tag, the honest network's have not; so the maps "
        "of the two differ",
        "so the map shows what a network has learnt to see; whether a decision uses it, only an intervention tells: change "
        "the tag, or take the ruler away, and count the answers that change",
    ])


def _at(masks: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return the mask at the largest of the values of each image, (N,)."""
    return masks.flatten(1).gather(1, values.flatten(1).argmax(1, keepdim=True)).squeeze(1)


def _area(masks: torch.Tensor) -> torch.Tensor:
    """Return the share of the pixels on each mask, (N,)."""
    return masks.flatten(1).double().mean(1)


def _inside(energy: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return the share of each map's sum that lies on its mask, (N,)."""
    return (energy * masks).flatten(1).sum(1) / energy.flatten(1).sum(1)
