"""Occlusion and RISE against brute force, pixel by pixel and mask by mask."""
import pytest
import torch

from nblib import targets
from nblib.methods.saliency import saliency
from nblib.metrics import to_patches
from tests.fixtures.saliency import raw, some_images
from tests.references import saliency as reference


@pytest.mark.parametrize("window, stride", [(4, 4), (5, 3), (12, 12), (3, 1)])
def test_occlusion_equals_brute_force(model, window, stride):
    images, labels = some_images(2), [3, 1]
    maps = raw(model, images, "occlusion", window=window, stride=stride, baseline=0.4,
               target=targets.class_probability(torch.tensor(labels)))
    for number, label in enumerate(labels):
        expected = reference.occlusion(model, images[number], label, window, stride, 0.4)
        torch.testing.assert_close(maps[number, 0], expected)


def test_occlusion_takes_shares_of_the_side_too(model):
    images = some_images(1)
    shares = raw(model, images, "occlusion", window=0.5, stride=0.25)
    assert torch.equal(shares, raw(model, images, "occlusion", window=6, stride=3))
    assert torch.equal(raw(model, images, "occlusion", window=4, stride=None),
                       raw(model, images, "occlusion", window=4, stride=4))


def test_rise_equals_the_sum_over_masks_drawn_pixel_by_pixel(model):
    images, labels = some_images(2)[..., :10], torch.tensor([1, 3])  # 12 x 10: cells of 3 x 3 pixels
    count, cells, p = 12, 4, 0.4
    generator = torch.Generator().manual_seed(8)
    grids = (torch.rand(count, 1, cells, cells, generator=generator) < p).double()
    shifts = (torch.rand(count, 2, generator=generator) * 3).long().tolist()
    expected = torch.zeros(2, 12, 10, dtype=torch.float64)
    for grid, shift in zip(grids, shifts):
        mask = reference.rise_mask(grid[0], 12, 10, shift)
        scores = model(images * mask).softmax(1)[torch.arange(2), labels]
        expected += scores.detach()[:, None, None] * mask / (count * p)
    maps = saliency(model, images, method="rise", masks=count, cells=cells, p=p, seed=8,
                    target=targets.class_probability(labels))
    torch.testing.assert_close(maps, expected, rtol=1e-6, atol=1e-6)


def test_rise_with_every_cell_on_gives_the_probability_everywhere(model):
    images = some_images()
    maps = saliency(model, images, method="rise", masks=7, cells=5, p=1.0)
    expected = model(images).softmax(1).max(1).values
    torch.testing.assert_close(maps, expected.detach()[:, None, None].expand_as(maps))


def test_patch_means_of_a_rise_map_come_from_patch_means_of_its_masks(model):
    image, count, cells, p = some_images(1), 9, 4, 0.5
    ask = {"method": "rise", "masks": count, "cells": cells, "p": p, "seed": 2}
    generator = torch.Generator().manual_seed(2)
    grids = (torch.rand(count, 1, cells, cells, generator=generator) < p).double()
    shifts = (torch.rand(count, 2, generator=generator) * 3).long().tolist()
    masks = torch.stack([reference.rise_mask(grid[0], 12, 12, shift) for grid, shift in zip(grids, shifts)])
    scores = model(image * masks.unsqueeze(1)).softmax(1)[:, model(image).argmax(1)].detach()
    expected = scores.T @ to_patches(masks, 4).flatten(1) / (count * p)
    for patches in (to_patches(saliency(model, image, **ask), 4), saliency(model, image, **ask, patch=4)):
        torch.testing.assert_close(patches.flatten(1), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("patch", [1, 2, 3, 6])
def test_pooled_masks_give_the_patches_of_the_full_map(model, patch, double):
    kind = torch.float64 if double else torch.float32
    net, images = model.to(kind), some_images(2)[..., :6].to(kind)
    ask = {"method": "rise", "masks": 50, "cells": 3, "seed": 4, "chunk_size": 7}
    full, pooled = to_patches(saliency(net, images, **ask), patch), saliency(net, images, **ask, patch=patch)
    assert pooled.shape == (2, 12 // patch, 6 // patch) and pooled.dtype == kind
    assert (pooled - full).abs().max() <= (1e-12 if double else 1e-6) * full.abs().max()
