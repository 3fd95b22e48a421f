"""The call by a method's name: reductions, costs, and options that are refused."""
import math

import pytest
import torch
from torch import nn

from nblib import targets
from nblib.methods.saliency import completeness_gap, passes, saliency
from tests.fixtures.networks import SmallNet, settled
from tests.fixtures.saliency import QUICK, every_method, raw, some_images


def test_reductions_over_colour(model):
    images = some_images()
    maps = raw(model, images, "gradient")
    assert maps.shape == images.shape
    for reduce, expected in [("sum", maps.sum(1)), ("sum_abs", maps.abs().sum(1)), ("max_abs", maps.abs().amax(1))]:
        assert torch.equal(saliency(model, images, method="gradient", reduce=reduce), expected)


@every_method
def test_the_number_of_passes_is_what_is_stated(model, method):
    rows = []
    handle = model.conv1.register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    saliency(model, some_images(1), method="gradient")  # the first call tries the network itself
    rows.clear()
    layer = {"layer": "relu2"} if method.startswith("grad_cam") else {}  # finding the layer costs a pass
    raw(model, some_images(1), method, target=targets.class_logit(0), **layer)
    handle.remove()
    assert passes(method, 12, **QUICK[method])[0] == sum(rows)


def test_passes_by_default():
    assert passes("integrated_gradients", 32) == (50, 50)
    assert passes("gradient", 32) == passes("grad_cam", 32) == (1, 1)
    assert passes("occlusion", 224, window=16) == (197, 0)
    assert passes("occlusion", (32, 16)) == (9, 0)
    assert passes("rise", 32) == (6000, 0)
    with pytest.raises(ValueError, match="nearest: 'masks'"):
        passes("rise", 32, mask=3)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"method": "grad_cm"}, "nearest: 'grad_cam'"),
        ({"method": "gradient", "steps": 4}, "option 'steps' was given, expected one of 'chunk_size'"),
        ({"method": "integrated_gradients", "step": 4}, "nearest: 'steps'"),
        ({"method": "integrated_gradients", "steps": 0}, "steps=0"),
        ({"method": "integrated_gradients", "steps": 2.5}, "steps=2.5"),
        ({"method": "integrated_gradients", "steps": 1, "quadrature": "trapezoid"}, "from 2 up"),
        ({"method": "integrated_gradients", "quadrature": "gauss"}, "nearest: 'gausslegendre'"),
        ({"method": "integrated_gradients", "baseline": "median"}, "expected one of 'mean'"),
        ({"method": "integrated_gradients", "baseline": torch.zeros(5, 1, 1)}, "a baseline of shape \\(5, 1, 1\\)"),
        ({"method": "integrated_gradients", "baseline": math.nan}, "baseline=nan"),
        ({"method": "gradient", "reduce": "max"}, "nearest: 'max_abs'"),
        ({"method": "gradient", "chunk_size": 0}, "chunk_size=0"),
        ({"method": "gradient", "target": 3}, "class_logit\\(3\\)"),
        ({"method": "gradient", "target": targets.class_logit(9)}, "the model has 4 classes"),
        ({"method": "smooth_gradient", "noise": -0.1}, "noise=-0.1"),
        ({"method": "smooth_gradient", "samples": 0}, "samples=0"),
        ({"method": "smooth_gradient", "seed": -1}, "seed=-1"),
        ({"method": "gradient_shap", "baselines": ()}, "at least one baseline"),
        ({"method": "occlusion", "window": 13}, "at most the image's side, 12"),
        ({"method": "occlusion", "window": 3, "stride": 4}, "it misses pixels"),
        ({"method": "rise", "p": 0}, "p=0"),
        ({"method": "rise", "p": 1.5}, "p=1.5"),
        ({"method": "rise", "cells": 0}, "cells=0"),
        ({"method": "grad_cam", "layer": "head"}, "expected \\(N, channels, h, w\\)"),
    ],
)
def test_wrong_options_are_refused(model, options, message):
    with pytest.raises(ValueError, match=message):
        saliency(model, some_images(), **options)


def test_a_model_without_logits_is_refused():
    model = nn.Conv2d(3, 2, 3).double().eval()
    with pytest.raises(ValueError, match="expected logits \\(2, K\\)"):
        saliency(model, some_images(), method="gradient")
    with pytest.raises(ValueError, match="maps of"):
        completeness_gap(torch.zeros(2, 4, 4), settled(SmallNet()), some_images())
