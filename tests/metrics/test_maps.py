"""The named steps between a raw map and a number."""
import pytest
import torch

from nblib import metrics
from tests.fixtures.maps import random_maps, square_masks


def test_each_normalisation_does_what_its_name_says():
    maps = torch.tensor([[[-2.0, 4.0], [1.0, 0.0]], [[0, 0], [0, 0]], [[-1, -2], [-3, -4]]])
    assert torch.equal(metrics.absolute(maps), maps.abs()) and torch.equal(metrics.positive(maps), maps.clamp(min=0))
    scaled = metrics.normalize_max(maps)
    torch.testing.assert_close(scaled[0], maps[0] / 4)
    assert (scaled[1] == 0).all() and scaled[2].isnan().all()
    stretched = metrics.normalize_min_max(maps)
    torch.testing.assert_close(stretched[0], (maps[0] + 2) / 6)
    assert (stretched[1] == 0).all() and stretched[2].min() == 0 and stretched[2].max() == 1


def test_patches_are_means_over_squares():
    maps = random_maps(2, 6, 9)
    patches = metrics.to_patches(maps, 3)
    assert patches.shape == (2, 2, 3)
    torch.testing.assert_close(patches[1, 1, 2], maps[1, 3:6, 6:9].mean())
    assert metrics.to_patches(square_masks(1, 8, 6), 2).dtype == torch.float32
    for patch in (0, 4):
        with pytest.raises(ValueError, match=f"patch={patch}"):
            metrics.to_patches(maps, patch)
