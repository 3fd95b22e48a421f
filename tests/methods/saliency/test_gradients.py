"""The methods by gradient against slow references and identities."""
import pytest
import torch
from torch import nn

from nblib import targets
from nblib.engine import QUADRATURES, quadrature_rule
from nblib.methods.saliency import completeness_gap, saliency
from tests.fixtures.networks import LinearNet, SmallNet, settled
from tests.fixtures.saliency import raw, some_images
from tests.references import saliency as reference


def test_gradient_is_the_derivative(model):
    image = some_images(1)
    maps = raw(model, image, "gradient", target=targets.class_logit(2))[0]
    for place in [(0, 0, 0), (1, 5, 7), (2, 11, 11)]:
        expected = reference.finite_difference(lambda x: reference.logit(model, x, 2), image[0], place)
        assert maps[place].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("quadrature", QUADRATURES)
def test_integrated_gradients_equal_the_formula_point_by_point(model, quadrature):
    images, labels = some_images(), torch.tensor([3, 0, 2])
    points, weights = quadrature_rule(quadrature, 7)
    maps = raw(model, images, "integrated_gradients", steps=7, quadrature=quadrature, baseline=0.2,
               target=targets.class_logit(labels))
    for number, label in enumerate(labels.tolist()):
        start = torch.full_like(images[0], 0.2)
        expected = reference.integrated_gradients(model, images[number], label, start, points, weights)
        torch.testing.assert_close(maps[number], expected)


@pytest.mark.parametrize("quadrature", ["gausslegendre", "left", "right", "midpoint", "trapezoid"])
def test_integrated_gradients_are_complete_and_more_steps_bring_them_nearer(model, quadrature):
    images = some_images()
    gaps = []
    for steps in (10, 40, 400):
        maps = saliency(model, images, method="integrated_gradients", steps=steps, quadrature=quadrature)
        gaps.append(completeness_gap(maps, model, images).abs().max().item())
    change = (model(images).max(1).values - model(torch.zeros_like(images))[range(3), model(images).argmax(1)]).abs()
    assert gaps[2] < 0.01 * change.max() and gaps[2] < gaps[1] < gaps[0]


def test_all_methods_that_multiply_by_the_input_agree_on_a_linear_network():
    model, images = settled(LinearNet(8)), some_images(size=8)
    target = targets.class_logit(torch.tensor([0, 2, 1]))
    expected = images * model.head.weight[[0, 2, 1]].detach().view_as(images)
    for method, options in [
        ("input_gradient", {}),
        ("integrated_gradients", {"steps": 1}),
        ("integrated_gradients", {"steps": 4, "quadrature": "trapezoid"}),
        ("gradient_shap", {"samples": 3, "baselines": (0.0,)}),
    ]:
        torch.testing.assert_close(raw(model, images, method, target=target, **options), expected)
    drops = saliency(model, images, method="occlusion", window=1, target=target)
    torch.testing.assert_close(drops, expected.sum(1))
    for method in ("gradient", "smooth_gradient"):
        torch.testing.assert_close(images * raw(model, images, method, target=target), expected)


def test_guided_backprop_of_positive_weights_is_the_gradient_and_never_negative():
    model, images = settled(SmallNet()), some_images()
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 2)).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    guided = raw(model, images, "guided_backprop")
    torch.testing.assert_close(guided, raw(model, images, "gradient"))
    with torch.no_grad():
        model[3].weight.neg_()
    assert (raw(model, images, "guided_backprop") == 0).all() and (raw(model, images, "gradient") < 0).any()


def test_guided_backprop_refuses_a_network_of_which_one_relu_is_functional(model):
    del model.relu1
    model.relu1 = nn.functional.relu
    with pytest.raises(ValueError, match="not an nn.ReLU module"):
        raw(model, some_images(), "guided_backprop")
    assert not any(module._forward_hooks for module in model.modules())


def test_noise_of_zero_and_one_sample_are_the_plain_methods(model):
    images = some_images()
    torch.testing.assert_close(raw(model, images, "smooth_gradient", noise=0), raw(model, images, "gradient"))
    path = raw(model, images, "gradient_shap", samples=400, baselines=(0.0,))
    exact = raw(model, images, "integrated_gradients", steps=200)
    assert (path - exact).norm() < 0.1 * exact.norm()


def test_the_class_does_not_drift_along_the_path():
    model, images = settled(LinearNet(4)), torch.full((1, 3, 4, 4), 1.0, dtype=torch.float64)
    with torch.no_grad():
        model.head.weight[:] = torch.tensor([1.0, -1.0, 0.0]).view(3, 1)
        model.head.bias[:] = torch.tensor([0.0, 40.0, 0.0])  # class 1 is predicted for the dark half of the path
    maps = raw(model, images, "integrated_gradients", steps=20)
    torch.testing.assert_close(maps, torch.full_like(maps, 1.0))


@pytest.mark.parametrize("make", [targets.max_logit, targets.entropy, lambda: targets.top_k_sum(2), targets.contrast])
def test_any_target_can_be_explained(model, make):
    image = some_images(2)
    maps = raw(model, image, "gradient", target=make(), chunk_size=1)
    for place in [(0, 1, 1), (2, 6, 6)]:
        expected = reference.finite_difference(lambda x: make()(model(x[None]))[0], image[1], place)
        assert maps[1][place].item() == pytest.approx(expected, rel=1e-4, abs=1e-8)


def test_baselines_by_number_name_and_tensor(model):
    images = some_images()
    mean = images.mean((2, 3), keepdim=True)
    by_name = raw(model, images, "integrated_gradients", baseline="mean")
    torch.testing.assert_close(by_name, raw(model, images, "integrated_gradients", baseline=mean))
    colour = torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1)
    maps = raw(model, images, "integrated_gradients", baseline=colour, steps=60)
    gap = completeness_gap(maps, model, images, baseline=colour)
    torch.testing.assert_close(gap, torch.zeros_like(gap), atol=0.02, rtol=0)
