"""Our methods against captum's, where it has them."""
import copy
import warnings

import captum.attr
import numpy
import pytest
import torch

from nblib import targets
from tests.fixtures.saliency import raw, some_images


def captums(model, images, labels):
    """captum's maps for the methods that it has, with their colours."""
    numpy.random.seed(0), torch.manual_seed(0)
    attr = captum.attr
    cam = attr.LayerGradCam(model, model.relu2).attribute(images, target=labels, relu_attributions=True)
    window = {"sliding_window_shapes": (3, 5, 5), "strides": (3, 3, 3), "baselines": 0.0}
    gauss = attr.IntegratedGradients(model)
    return {
        "gradient": attr.Saliency(model).attribute(images, target=labels, abs=False),
        "input_gradient": attr.InputXGradient(model).attribute(images, target=labels),
        "integrated_gradients": gauss.attribute(images, target=labels, n_steps=6),
        "guided_backprop": attr.GuidedBackprop(model).attribute(images, target=labels),
        "grad_cam": attr.LayerAttribution.interpolate(cam, images.shape[2:], interpolate_mode="bilinear"),
        "occlusion": attr.Occlusion(model).attribute(images, target=labels, **window)[:, :1],
    }


@pytest.mark.parametrize(
    "method", ["gradient", "input_gradient", "integrated_gradients", "guided_backprop", "grad_cam", "occlusion"]
)
def test_the_method_equals_captums(model, method):
    images, labels = some_images(), torch.tensor([3, 0, 2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = captums(copy.deepcopy(model), images.clone(), labels)[method]
    maps = raw(model, images, method, target=targets.class_logit(labels))
    torch.testing.assert_close(maps.to(expected.dtype), expected.detach())  # captum's occlusion is always float32


@pytest.mark.parametrize("ours, theirs", [("left", "riemann_left"), ("right", "riemann_right"),
                                          ("midpoint", "riemann_middle"), ("captum_trapezoid", "riemann_trapezoid")])
def test_each_quadrature_equals_captums(model, ours, theirs):
    images = some_images()
    labels = model(images).argmax(1)
    expected = captum.attr.IntegratedGradients(model).attribute(images, target=labels, n_steps=10, method=theirs)
    torch.testing.assert_close(raw(model, images, "integrated_gradients", steps=10, quadrature=ours), expected)


def test_smooth_gradient_equals_captums_with_the_same_noise(model, monkeypatch):
    images, labels = some_images(1), torch.tensor([2])
    fields = 0.1 * torch.randn(5, 3, 12, 12, generator=torch.Generator().manual_seed(4)).double()
    monkeypatch.setattr(torch, "normal", lambda mean, std: fields)
    tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(model))
    expected = tunnel.attribute(images, target=labels, nt_samples=5, stdevs=0.1, abs=False)
    maps = raw(model, images, "smooth_gradient", samples=5, seed=4, target=targets.class_logit(labels))
    torch.testing.assert_close(maps, expected)


def test_gradient_shap_has_the_expectation_of_captums(model):
    images, labels = some_images(2), torch.tensor([2, 0])
    torch.manual_seed(0), numpy.random.seed(0)
    baselines = torch.stack([torch.zeros(3, 12, 12), torch.ones(3, 12, 12)]).double()
    expected = captum.attr.GradientShap(model).attribute(images, baselines, target=labels, n_samples=1500)
    maps = raw(model, images, "gradient_shap", samples=1500, baselines=(0.0, 1.0), target=targets.class_logit(labels))
    assert (maps - expected).norm() < 0.12 * expected.norm()
