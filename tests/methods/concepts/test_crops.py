"""Crops of images on their grid."""
import pytest
import torch

from nblib.methods.concepts import cut
from tests.fixtures.concepts import some_images
from tests.references import concepts as reference


def test_crops_of_the_published_size_lie_as_published():
    crops, boxes = cut(torch.zeros(2, 3, 224, 224), 0.29)
    assert crops.shape == (2, 3, 4, 4, 64, 64)
    assert boxes[:2].tolist() == [[0, 0, 64, 64], [0, 51, 64, 115]] and boxes[-1].tolist() == [153, 153, 217, 217]


@pytest.mark.parametrize("shape, share, side, step", [
    ((32, 32), 0.29, 9, 7), ((12, 12), 0.5, 6, 4), ((10, 10), 1.0, 10, 8), ((100, 100), 0.29, 29, 23),
    ((3, 3), 0.4, 1, 1),
])
def test_crops_equal_those_cut_one_at_a_time(shape, share, side, step):
    images = some_images(2)[..., :1, :1] + torch.arange(shape[0] * shape[1], dtype=torch.float64).view(1, 1, *shape)
    crops, boxes = cut(images, share)
    expected = reference.crops(images[1], side, step)
    found = crops[1].flatten(1, 2).transpose(0, 1)
    assert [tuple(box) for box in boxes.tolist()] == [box for _, box in expected]
    for crop, (_, (top, left, bottom, right)) in zip(found, expected, strict=True):
        assert torch.equal(crop, images[1, :, top:bottom, left:right])


def test_crops_of_oblong_images_are_oblong():
    crops, boxes = cut(torch.zeros(1, 3, 20, 40), 0.5)
    assert crops.shape[4:] == (10, 20) and boxes[-1].tolist() == [8, 16, 18, 36]
