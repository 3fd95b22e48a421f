"""Checks of the exercises in the chapter on saliency."""
from collections.abc import Callable

import torch
from torch import nn

from nblib.exercises.verdict import Verdict, judge
from nblib.methods.saliency import saliency


def check_gap(answer: Callable) -> Verdict:
    """Check `answer(maps (N, H, W), at_image (N,), at_baseline (N,)) -> (N,)`: the completeness gap."""
    maps = torch.tensor([[[1.0, 2.0], [0.0, -1.0]], [[0.5, 0.5], [0.5, 0.5]]])
    at_image, at_baseline = torch.tensor([5.0, 3.0]), torch.tensor([3.0, 1.0])
    return judge(answer, [
        ("a complete map", (maps, at_image, at_baseline), torch.zeros(2)),
        ("a map that shares out too little", (maps / 2, at_image, at_baseline), torch.tensor([-1.0, -1.0])),
        ("a baseline that the network does not score zero", (maps, at_image, torch.zeros(2)), torch.tensor([-3.0, -1.0])),
    ], "the gap is the map's sum minus what it had to share out")


def check_hits(answer: Callable) -> Verdict:
    """Check `answer(maps (N, H, W), masks (N, H, W)) -> (N,)`: 1 where the largest value lies on the mask, else 0."""
    maps = torch.tensor([[[0.0, 3.0], [1.0, 2.0]], [[-9.0, 1.0], [0.0, 0.5]]])
    on_first = torch.tensor([[True, False], [False, False]])
    on_second = torch.tensor([[False, True], [False, False]])
    return judge(answer, [
        ("the largest value on the mask", (maps, torch.stack([on_second, on_second])), torch.ones(2)),
        ("a large negative value on the mask is no hit", (maps, torch.stack([on_first, on_first])), torch.zeros(2)),
        ("one hit and one miss", (maps, torch.stack([on_second, on_first])), torch.tensor([1.0, 0.0])),
    ], "a hit is where the maximum, not the largest magnitude, lies on the mask")


def check_gain(answer: Callable) -> Verdict:
    """Check `answer(maps (N, H, W), masks (N, H, W)) -> (N,)`: the share of positive energy inside over the share of area."""
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[:, :2, :2] = True  # a quarter of the image
    inside, mixed = mask.float(), mask.float()
    mixed[:, 3, 3] = 4.0
    signed = mixed.clone()
    signed[:, 3, 3] = -4.0
    return judge(answer, [
        ("an even map gains nothing", (torch.ones(1, 4, 4), mask), torch.ones(1)),
        ("all energy on a quarter of the image", (inside, mask), torch.full((1,), 4.0)),
        ("half of the energy on a quarter of the image", (mixed, mask), torch.full((1,), 2.0)),
        ("negative values are no energy", (signed, mask), torch.full((1,), 4.0)),
    ], "the gain is the share of the energy inside over the share of the area")


def check_blind(answer: Callable) -> Verdict:
    """Check `answer(images (N, C, H, W), baseline) -> (N, H, W) bool`: pixels where integrated gradients must be zero."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 3, (4, 3, 6, 6), generator=generator) / 2  # 0, 1/2 and 1
    images[:, :, 0] = 0.0
    images[:, :, 1] = 1.0
    cases = []
    for baseline in (0.0, 1.0):
        truth = (images == baseline).all(1)
        cases.append((f"baseline {baseline:g}", (images, baseline), truth.float()))
    verdict = judge(lambda *arguments: _as_float(answer(*arguments)), cases,
                    "no network can make integrated gradients see a pixel that equals its baseline")
    return verdict if not verdict.passed else _agrees_with_a_network(answer, images, verdict)


def _as_float(mask: object) -> object:
    """Return a mask as numbers, anything else as it is."""
    return mask.float() if isinstance(mask, torch.Tensor) else mask


def _agrees_with_a_network(answer: Callable, images: torch.Tensor, verdict: Verdict) -> Verdict:
    """Run integrated gradients on a random network: the pixels named must be exactly zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(288, 2)).eval()
    maps = saliency(network, images, method="integrated_gradients", steps=8, baseline=1.0)
    if maps[answer(images, 1.0)].abs().max() == 0:
        return verdict
    return Verdict(False, "a random network gives some of your pixels an importance that is not zero")
