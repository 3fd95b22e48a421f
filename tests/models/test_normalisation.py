"""Where a network meets its images: [0, 1] outside, what it was trained on inside."""
import copy

import pytest
import torch
from torch import nn

from nblib.models import IMAGENET, build, normalised


def test_normalising_happens_inside_and_is_copied_pickled_and_moved_with_the_model():
    import pickle

    inner = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    images = torch.rand(4, 3, 2, 2)
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in IMAGENET)
    expected = inner((images - mean) / std)
    model = normalised(inner, *IMAGENET)
    others = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    torch.testing.assert_close(model(images), expected)
    model[1].weight.data.zero_()  # the copies keep their own weights, so their forward is not that of the first
    for other in others:
        torch.testing.assert_close(other(images), expected)
    assert others[0].double()(images.double()).dtype == torch.float64
    assert list(model.state_dict()) == ["1.weight", "1.bias"]


def test_timm_and_torchvision_normalise_as_their_weights_say():
    vit = build("timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k", classes=4, size=32)  # trained with mean and std 0.5
    assert vit.input_mean.flatten().tolist() == [0.5] * 3 and vit.input_std.flatten().tolist() == [0.5] * 3
    assert vit(torch.rand(1, 3, 32, 32)).shape == (1, 4)
    other = build("torchvision:resnet18", classes=4, size=32)
    assert other.input_mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
