"""Importances that know nothing, or of the wrong place: each takes the place of an ImportanceNet.

As that, they are networks, images (N, 3, H, W) → (N, g, g), and an image's map depends on that image alone.
"""
import torch
from torch import Tensor, nn

from nblib.checks import expect_int, expect_tensor
from nblib.engine import seeded

LEVELS = 1009  # how many values a random importance can take; a prime


class FixedMap(nn.Module):
    """One map for all images, such as the mean of an IA's maps.

    Args:
        importance: (g, g).
    """

    def __init__(self, importance: Tensor):
        super().__init__()
        if expect_tensor("an importance", importance).ndim != 2:
            raise ValueError(f"an importance of shape {tuple(importance.shape)} was given, expected (g, g)")
        self.register_buffer("importance", importance.detach().clone())

    def forward(self, images: Tensor) -> Tensor:
        return self.importance.expand(len(images), -1, -1)


class RandomMap(nn.Module):
    """A map that is uniform in [0, 1) and drawn by the image's own pixels, so that the same image has the same map.

    Args:
        grid: g.
        seed: gives other maps.
    """

    def __init__(self, grid: int, *, seed: int = 0):
        super().__init__()
        self.grid, self.seed = expect_int("grid", grid, 1), expect_int("seed", seed, 0)
        generator = seeded(seed)
        self.register_buffer("factors", torch.randint(1, LEVELS, (grid**2, LEVELS), generator=generator))

    def forward(self, images: Tensor) -> Tensor:
        levels = (images * 255).round().long().flatten(1).cpu()  # no rounding decides a map; GPUs multiply no whole ones
        place = torch.arange(levels.shape[1]) % LEVELS
        drawn = levels @ self.factors.cpu()[:, place].T  # (N, g²)
        return ((drawn % LEVELS).to(images) / LEVELS).view(-1, self.grid, self.grid)


class PermutedMap(nn.Module):
    """An importance whose places are exchanged, in the same way for all images.

    Args:
        scores: the importance, images (N, 3, H, W) → (N, g, g), such as `ia.scores`.
        seed: of the exchange, after which each value lies in another place than before, as far as g² > 1.
    """

    def __init__(self, scores: nn.Module, grid: int, *, seed: int = 0):
        super().__init__()
        self.scores = scores
        order = torch.rand(expect_int("grid", grid, 1) ** 2, generator=seeded(seed)).argsort()
        places = torch.empty_like(order)
        places[order] = order.roll(1)  # one cycle through all places
        self.register_buffer("places", places)

    def forward(self, images: Tensor) -> Tensor:
        importance = self.scores(images)
        return importance.flatten(1)[:, self.places].view_as(importance)
