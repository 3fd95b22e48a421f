"""Checks of the exercises in the chapter on importance."""
from collections.abc import Callable

import torch

from nblib.exercises.verdict import Verdict, judge, self_check

FACTORS = [number / 10 for number in range(11)]


def check_own_share(answer: Callable) -> Verdict:
    """Check `answer(maps (N, g, g)) -> float`: the share of the maps' variance that the mean map does not have."""
    first, second = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    same, other, both = torch.stack([first, first]), torch.stack([first, second]), torch.stack([first, 1 - first])
    mostly = torch.stack([first, first, first, second])
    return judge(answer, [
        ("the same map for every image", (same,), torch.tensor(0.0)),
        ("a map and its opposite, whose mean is even", (both,), torch.tensor(1.0)),
        ("two images, two places", (other,), torch.tensor(2 / 3)),
        ("three images alike, one not", (mostly,), torch.tensor(0.5)),
    ], "what is not in the mean map is what the network says of this image", mistakes={
        "takes the mean of each image in place of the mean map":
            lambda a: (a - a.mean((1, 2), keepdim=True)).square().mean() / (a - a.mean()).square().mean(),
        "gives the mean map's share": lambda a: (a.mean(0) - a.mean()).square().mean() / (a - a.mean()).square().mean(),
        "divides by the mean square, not by the variance":
            lambda a: (a - a.mean(0)).square().mean() / a.square().mean(),
        "takes the root": lambda a: ((a - a.mean(0)).square().mean() / (a - a.mean()).square().mean()).sqrt(),
    }, hints=[
        "Which part of the maps is the same in all images? Take it away.",
        "maps - maps.mean(0) is what is left. How large is its mean square, beside that of maps - maps.mean()?",
        "(maps - maps.mean(0)).square().mean() / (maps - maps.mean()).square().mean().",
    ])


def check_brightness(answer: Callable) -> Verdict:
    """Check `answer(maps (N, g, g), cover (N, g, g), factors) -> float`: the factor whose d, over all images, is least."""
    cover = torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.5], [0.0, 0.0]]])
    dim, wrong = torch.tensor([[[1.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [0.0, 0.0]]]), cover.flip(1)
    even = torch.full_like(cover, 0.9)
    return judge(answer, [
        ("the truth itself", (cover, cover, FACTORS), torch.tensor(1.0)),
        ("a map on the wrong patches", (wrong, cover, FACTORS), torch.tensor(0.0)),
        ("an even map", (even, cover, FACTORS), torch.tensor(0.0)),
        ("one patch too many, three factors", (0.5 * dim, cover, [0.4, 1.0, 3.0]), torch.tensor(1.0)),
    ], "a map that is wrong is nearest when it is dark, and an even one too: d asks how bright a map is", mistakes={
        "takes the largest d": lambda a, c, f: f[int(torch.stack([(x * a - c).abs().mean() for x in f]).argmax())],
        "takes squares": lambda a, c, f: f[int(torch.stack([(x * a - c).square().mean() for x in f]).argmin())],
        "forgets the magnitude": lambda a, c, f: f[int(torch.stack([(x * a - c).mean() for x in f]).argmin())],
        "gives d, not the factor": lambda a, c, f: torch.stack([(x * a - c).abs().mean() for x in f]).min(),
    }, hints=[
        "What is d of a map times one factor? Begin with that.",
        "(factor * maps - cover).abs().mean() for each factor; which is least?",
        "min(factors, key=lambda factor: (factor * maps - cover).abs().mean().item()).",
    ])


def check_built_in(answer: str) -> Verdict:
    """Look at an answer in words: what to ask of a network that is built to say what matters."""
    return self_check(answer, [
        "how much of it is in one map for all images, the mean map or a bright middle; d and a threshold also move with "
        "brightness, so take a measure that does not, such as AUROC",
        "does the answer need the map: replace it by the mean map, shuffle it, give it to another image, and compare with "
        "patches taken at random",
        "plant a shortcut of which you know the place, and see whether the map goes there; a map on the object is no "
        "evidence that the network reads the object",
    ])
