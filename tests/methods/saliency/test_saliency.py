"""Saliency methods against slow references, captum and identities; what they leave on the model; wrong input."""
import copy
import math
import warnings

import captum.attr
import numpy
import pytest
import torch
from torch import nn

from nblib import engine as common
from nblib import targets
from nblib.methods.saliency import METHODS, b_cos, b_cos_alpha, completeness_gap, last_spatial_layer, passes, saliency
from nblib.metrics import randomize_layers, rank_correlation, to_patches
from nblib.models.b_cos import small_b_cos
from tests.references import saliency as reference
from tests.references.saliency import LinearNet, SmallNet, settled

QUICK = {
    "gradient": {},
    "integrated_gradients": {"steps": 6},
    "smooth_gradient": {"samples": 5},
    "input_gradient": {},
    "guided_backprop": {},
    "grad_cam": {},
    "grad_cam_plus_plus": {},
    "occlusion": {"window": 5, "stride": 3},
    "rise": {"masks": 30, "cells": 4, "p": 0.5},
    "gradient_shap": {"samples": 5},
}
COLOURLESS = ["grad_cam", "grad_cam_plus_plus", "occlusion", "rise"]
every_method = pytest.mark.parametrize("method", QUICK)


def some_images(count=3, size=12, seed=5):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def model():
    return settled(SmallNet())


def raw(model, images, method, **options):
    """The maps with their colours, by the quick options where none are given."""
    return saliency(model, images, method=method, reduce=None, **(QUICK[method] | options))


def test_every_method_has_quick_options_here():
    assert set(METHODS) == set(QUICK) | {"b_cos"}


# against slow references


def test_gradient_is_the_derivative(model):
    image = some_images(1)
    maps = raw(model, image, "gradient", target=targets.class_logit(2))[0]
    for place in [(0, 0, 0), (1, 5, 7), (2, 11, 11)]:
        expected = reference.finite_difference(lambda x: reference.logit(model, x, 2), image[0], place)
        assert maps[place].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("quadrature", common.QUADRATURES)
def test_integrated_gradients_equal_the_formula_point_by_point(model, quadrature):
    images, labels = some_images(), torch.tensor([3, 0, 2])
    points, weights = common.quadrature_rule(quadrature, 7)
    maps = raw(model, images, "integrated_gradients", steps=7, quadrature=quadrature, baseline=0.2,
               target=targets.class_logit(labels))
    for number, label in enumerate(labels.tolist()):
        start = torch.full_like(images[0], 0.2)
        expected = reference.integrated_gradients(model, images[number], label, start, points, weights)
        torch.testing.assert_close(maps[number], expected)


@pytest.mark.parametrize("method", ["grad_cam", "grad_cam_plus_plus"])
@pytest.mark.parametrize("relu", [True, False])
def test_class_activation_maps_equal_the_formula(model, method, relu):
    images, labels = some_images(), torch.tensor([3, 0, 2])
    maps = raw(model, images, method, layer="relu2", relu=relu, target=targets.class_logit(labels))
    for number, label in enumerate(labels.tolist()):
        inner = model.relu1(model.bn1(model.conv1(images[number : number + 1])))
        activation = model.relu2(model.bn2(model.conv2(inner)))
        score = model.head(model.pool(activation).flatten(1))[0, label]
        gradient = torch.autograd.grad(score, activation)[0]
        low = reference.grad_cam(activation[0].detach(), gradient[0], plus=method == "grad_cam_plus_plus")
        low = low.clamp(min=0) if relu else low
        for row, column in [(0, 0), (3, 8), (11, 11)]:  # 12 pixels from 6 cells
            expected = reference.bilinear(low, (row + 0.5) / 2, (column + 0.5) / 2)
            assert maps[number, 0, row, column].item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


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
    patches = to_patches(saliency(model, image, method="rise", masks=count, cells=cells, p=p, seed=2), 4)
    generator = torch.Generator().manual_seed(2)
    grids = (torch.rand(count, 1, cells, cells, generator=generator) < p).double()
    shifts = (torch.rand(count, 2, generator=generator) * 3).long().tolist()
    masks = torch.stack([reference.rise_mask(grid[0], 12, 12, shift) for grid, shift in zip(grids, shifts)])
    scores = model(image * masks.unsqueeze(1)).softmax(1)[:, model(image).argmax(1)].detach()
    expected = scores.T @ to_patches(masks, 4).flatten(1) / (count * p)
    torch.testing.assert_close(patches.flatten(1), expected, rtol=1e-6, atol=1e-6)


# identities


@pytest.mark.parametrize("quadrature", ["gausslegendre", "left", "right", "midpoint", "trapezoid"])
def test_integrated_gradients_are_complete_and_more_steps_bring_them_nearer(model, quadrature):
    images = some_images()
    gaps = []
    for steps in (10, 40, 400):
        maps = saliency(model, images, method="integrated_gradients", steps=steps, quadrature=quadrature)
        gaps.append(completeness_gap(maps, model, images).abs().max().item())
    change = (model(images).max(1).values - model(torch.zeros_like(images))[range(3), model(images).argmax(1)]).abs()
    assert gaps[2] < 0.01 * change.max() and gaps[2] < gaps[1] < gaps[0]


@pytest.mark.parametrize("quadrature", common.QUADRATURES)
def test_weights_of_a_quadrature_sum_to_one_but_for_captums_trapezoid(quadrature):
    for steps in (2, 10, 51):
        points, weights = common.quadrature_rule(quadrature, steps)
        expected = (steps - 1) / steps if quadrature == "captum_trapezoid" else 1.0
        assert weights.sum().item() == pytest.approx(expected)
        assert 0 <= points.min() and points.max() <= 1 and (points.diff() > 0).all()


@pytest.mark.parametrize("quadrature, degree", [("left", 0), ("right", 0), ("midpoint", 1), ("trapezoid", 1),
                                                ("gausslegendre", 9)])
def test_a_quadrature_is_exact_up_to_its_degree(quadrature, degree):
    points, weights = common.quadrature_rule(quadrature, 5)
    for power in range(degree + 1):
        assert (weights * points**power).sum().item() == pytest.approx(1 / (power + 1))
    assert abs((weights * points ** (degree + 1)).sum().item() - 1 / (degree + 2)) > 1e-9


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


def test_grad_cam_on_pooling_and_a_linear_layer_is_cam(model):
    images, labels = some_images(), torch.tensor([3, 0, 2])
    activation = model.relu2(model.bn2(model.conv2(model.relu1(model.bn1(model.conv1(images))))))
    cam = torch.einsum("nk,nkhw->nhw", model.head.weight[labels], activation).unsqueeze(1) / 36  # of 6 x 6 places
    expected = nn.functional.interpolate(cam.detach(), size=(12, 12), mode="bilinear")
    maps = raw(model, images, "grad_cam", relu=False, target=targets.class_logit(labels))
    torch.testing.assert_close(maps, expected)


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


def test_noise_of_zero_and_one_sample_are_the_plain_methods(model):
    images = some_images()
    torch.testing.assert_close(raw(model, images, "smooth_gradient", noise=0), raw(model, images, "gradient"))
    path = raw(model, images, "gradient_shap", samples=400, baselines=(0.0,))
    exact = raw(model, images, "integrated_gradients", steps=200)
    assert (path - exact).norm() < 0.1 * exact.norm()


# against captum


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


# batches, chunks, precision, seeds


@every_method
def test_a_map_does_not_depend_on_its_batch_or_its_chunks(model, method):
    images = some_images(4)
    target = targets.class_logit(torch.tensor([3, 0, 2, 1]))
    whole = raw(model, images, method, target=target)
    for chunk_size in (1, 3, 1000):
        torch.testing.assert_close(raw(model, images, method, target=target, chunk_size=chunk_size), whole)
    for number in range(4):
        alone = raw(model, images[number : number + 1], method, target=targets.class_logit([3, 0, 2, 1][number]))
        torch.testing.assert_close(alone[0], whole[number])


@every_method
def test_chunks_bound_the_rows_of_a_pass(model, method):
    rows = []
    handle = model.conv1.register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    raw(model, some_images(4), method, chunk_size=3)
    handle.remove()
    assert max(rows) <= 3


@every_method
def test_single_precision_agrees_with_double(model, method):
    images = some_images()
    exact = raw(model, images, method)
    single = raw(model.float(), images.float(), method)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=1e-3, atol=1e-5 * exact.abs().max().item())
    chunked = raw(model, images.float(), method, chunk_size=2)
    torch.testing.assert_close(chunked, single, rtol=1e-5, atol=1e-5 * exact.abs().max().item())


@pytest.mark.parametrize("method", ["smooth_gradient", "gradient_shap", "rise"])
def test_a_seed_fixes_the_map_and_the_global_state_is_left_alone(model, method):
    images = some_images()
    state = torch.get_rng_state()
    first = raw(model, images, method, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    assert torch.equal(raw(model, images, method, seed=1), first)
    assert not torch.equal(raw(model, images, method, seed=2), first)


@every_method
def test_every_device_gives_the_same_map(model, method, device):
    images = some_images()
    expected = raw(model, images, method)
    maps = raw(model.to(device), images.to(device), method)
    assert maps.device.type == device.type
    torch.testing.assert_close(maps.cpu(), expected, rtol=1e-6, atol=1e-8)


# what is explained


@every_method
def test_no_target_means_the_class_predicted_at_the_image(model, method):
    images = some_images()
    labels = model(images).argmax(1)
    make = targets.class_probability if method in ("occlusion", "rise") else targets.class_logit
    torch.testing.assert_close(raw(model, images, method), raw(model, images, method, target=make(labels)))


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


def test_reductions_over_colour(model):
    images = some_images()
    maps = raw(model, images, "gradient")
    assert maps.shape == images.shape
    for reduce, expected in [("sum", maps.sum(1)), ("sum_abs", maps.abs().sum(1)), ("max_abs", maps.abs().amax(1))]:
        assert torch.equal(saliency(model, images, method="gradient", reduce=reduce), expected)


@every_method
def test_shapes_and_any_finite_range(model, method):
    images = 40 * some_images() - 20
    assert raw(model, images, method).shape == (3, 1 if method in COLOURLESS else 3, 12, 12)
    maps = saliency(model, images, method=method, **QUICK[method])
    assert maps.shape == (3, 12, 12) and maps.isfinite().all() and not maps.requires_grad


def test_baselines_by_number_name_and_tensor(model):
    images = some_images()
    mean = images.mean((2, 3), keepdim=True)
    by_name = raw(model, images, "integrated_gradients", baseline="mean")
    torch.testing.assert_close(by_name, raw(model, images, "integrated_gradients", baseline=mean))
    colour = torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1)
    maps = raw(model, images, "integrated_gradients", baseline=colour, steps=60)
    gap = completeness_gap(maps, model, images, baseline=colour)
    torch.testing.assert_close(gap, torch.zeros_like(gap), atol=0.02, rtol=0)


# layers of the class activation maps


def test_the_default_layer_is_the_last_one_with_places(model):
    import timm
    import torchvision

    images = torch.rand(1, 3, 64, 64)
    assert last_spatial_layer(model, some_images()) == "relu2"
    expected_layers = {"resnet18": "layer4", "squeezenet1_1": "classifier.2", "mobilenet_v3_small": "features"}
    for name, expected in expected_layers.items():
        network = torchvision.models.get_model(name, weights=None, num_classes=5).eval()
        assert last_spatial_layer(network, images) == expected
    network = timm.create_model("test_vit", num_classes=5, img_size=64).eval()
    with pytest.raises(ValueError, match="tokens"):
        last_spatial_layer(network, images)
    with pytest.raises(ValueError, match="no layer"):
        last_spatial_layer(settled(LinearNet(8)), some_images(size=8))


# nothing is left behind


def state_of(model):
    """Everything about a model that a method could leave a trace on."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {
        "hooks": [len(getattr(module, name)) for module in model.modules() for name in hooks],
        "modes": [module.training for module in model.modules()],
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "grads": [None if p.grad is None else p.grad.tolist() for p in model.parameters()],
        "tensors": {name: tensor.tolist() for name, tensor in model.state_dict().items()},
    }


@every_method
def test_nothing_is_left_on_the_model_or_the_images(model, method):
    images = some_images()
    model.conv1.weight.requires_grad_(False)
    model.head.weight.grad = torch.ones_like(model.head.weight)
    before, pixels = state_of(model), images.clone()
    raw(model, images, method)
    assert state_of(model) == before
    assert torch.equal(images, pixels) and not images.requires_grad and images.grad is None


@every_method
def test_nothing_is_left_on_the_model_when_an_exception_flies(model, method):
    before, calls = state_of(model), []

    def failing(logits):
        calls.append(1)
        raise OSError("interrupted")

    with pytest.raises(OSError, match="interrupted"):
        raw(model, some_images(), method, target=failing)
    assert calls and state_of(model) == before


@every_method
@pytest.mark.parametrize("relu", ["inplace", "functional"])
def test_relu_in_place_or_functional_changes_nothing(model, method, relu):
    images, other = some_images(), SmallNet(relu=relu)
    other.load_state_dict(model.state_dict())
    other.double().eval()
    options = {"layer": "bn2"} if method.startswith("grad_cam") else {}  # an in-place ReLU comes right behind
    if method == "guided_backprop" and relu == "functional":
        with pytest.raises(ValueError, match="functional relu"):
            raw(other, images, method)
    else:
        torch.testing.assert_close(raw(other, images, method, **options), raw(model, images, method, **options))


@every_method
def test_a_network_may_begin_with_an_operation_in_place(model, method):
    images, options = some_images(), {"layer": "1.relu2"} if method.startswith("grad_cam") else {}
    first = nn.Sequential(nn.ReLU(inplace=True), model).eval()
    expected = raw(nn.Sequential(nn.ReLU(), model).eval(), images, method, **options)
    torch.testing.assert_close(raw(first, images, method, **options), expected)


def test_guided_backprop_refuses_a_network_of_which_one_relu_is_functional(model):
    del model.relu1
    model.relu1 = nn.functional.relu
    with pytest.raises(ValueError, match="not an nn.ReLU module"):
        raw(model, some_images(), "guided_backprop")
    assert not any(module._forward_hooks for module in model.modules())


@every_method
def test_frozen_weights_no_grad_and_inference_mode_change_nothing(model, method):
    images = some_images()
    expected = raw(model, images, method)
    with torch.no_grad():
        torch.testing.assert_close(raw(model, images, method), expected)
    model.requires_grad_(False)
    torch.testing.assert_close(raw(model, images, method), expected)
    with torch.inference_mode():
        torch.testing.assert_close(raw(model, images * 1, method), expected)


# what a method costs


@every_method
def test_the_number_of_passes_is_what_is_stated(model, method):
    rows = []
    handle = model.conv1.register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
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


# wrong input


@every_method
@pytest.mark.parametrize(
    "images, message",
    [
        (torch.rand(0, 3, 12, 12).double(), "at least one image"),
        (torch.rand(3, 12, 12).double(), "expected a tensor \\(N, C, H, W\\)"),
        (torch.randint(255, (2, 3, 12, 12)), "expected floating point"),
        (torch.rand(2, 3, 12, 12), "torch.float32 on cpu, the model is torch.float64"),
        (numpy.zeros((2, 3, 12, 12)), "images of ndarray"),
        (torch.full((2, 3, 12, 12), math.nan).double(), "not finite"),
        (torch.full((2, 3, 12, 12), math.inf).double(), "not finite"),
    ],
)
def test_images_that_cannot_be_explained_are_refused(model, method, images, message):
    with pytest.raises(ValueError, match=message):
        raw(model, images, method)


@every_method
def test_a_model_in_training_mode_is_refused(model, method):
    model.bn2.train()
    before = state_of(model)
    with pytest.raises(ValueError, match="'bn2' is in training mode"):
        raw(model, some_images(), method)
    assert state_of(model) == before


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


def test_an_unknown_layer_is_named_with_its_neighbours(model):
    with pytest.raises(KeyError, match="relu2"):
        saliency(model, some_images(), method="grad_cam", layer="rellu2")


def test_a_model_without_logits_is_refused():
    model = nn.Conv2d(3, 2, 3).double().eval()
    with pytest.raises(ValueError, match="expected logits \\(3, K\\)"):
        saliency(model, some_images(), method="gradient")
    with pytest.raises(ValueError, match="maps of"):
        completeness_gap(torch.zeros(2, 4, 4), settled(SmallNet()), some_images())


# B-cos networks


@pytest.fixture
def b_cos_model():
    return settled(small_b_cos(classes=4, size=12))


def test_b_cos_maps_share_out_the_logit_exactly(b_cos_model):
    images, labels = some_images(), torch.tensor([3, 0, 2])
    maps = saliency(b_cos_model, images, method="b_cos", reduce=None, target=targets.class_logit(labels))
    logits = b_cos_model(images)[range(3), labels] - b_cos_model.logit_bias
    assert maps.shape == images.shape
    torch.testing.assert_close(maps.sum((1, 2, 3)), logits.detach())


def test_b_cos_maps_are_the_encoding_times_the_slope_with_cosines_held(b_cos_model):
    image, label = some_images(1), 2
    maps = b_cos(b_cos_model, image, target=targets.class_logit(label))
    encoded = torch.cat([image, 1 - image], 1)
    frozen = reference.frozen_b_cos(b_cos_model, encoded, label)
    for channel, row, column in [(0, 0, 0), (1, 5, 7), (2, 11, 3)]:
        expected = sum(
            encoded[0, c, row, column].item() * reference.finite_difference(frozen, encoded, (0, c, row, column))
            for c in (channel, channel + 3)
        )
        assert maps[0, channel, row, column].item() == pytest.approx(expected, rel=1e-6, abs=1e-10)


def test_b_cos_maps_do_not_depend_on_batch_or_chunks_and_leave_nothing(b_cos_model):
    images = some_images(4)
    before = state_of(b_cos_model)
    for function in (b_cos, b_cos_alpha):
        whole = function(b_cos_model, images)
        torch.testing.assert_close(function(b_cos_model, images, chunk_size=3), whole)
        torch.testing.assert_close(function(b_cos_model, images[2:3])[0], whole[2])
        single = function(copy.deepcopy(b_cos_model).float(), images.float())
        torch.testing.assert_close(single.double(), whole, rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="class_logit"):
        b_cos(b_cos_model, images, target=3)
    assert state_of(b_cos_model) == before
    assert not any(getattr(module, "linear", False) for module in b_cos_model.modules())
    assert not b_cos(b_cos_model, images).requires_grad


def test_b_cos_alpha_is_zero_against_the_class_and_one_at_its_top(b_cos_model):
    images = some_images()
    plain = b_cos_alpha(b_cos_model, images, smooth=1)
    against = saliency(b_cos_model, images, method="b_cos") < 0
    assert against.any() and (plain[against] == 0).all() and (plain[~against] > 0).all()
    assert (plain.amax((1, 2)) == 1).all()
    assert torch.equal(b_cos_alpha(b_cos_model, images), plain)  # 15/224 of 12 pixels is one pixel
    smooth = b_cos_alpha(b_cos_model, images, smooth=3)
    assert smooth.min() >= 0 and smooth.max() == 1 and not torch.equal(smooth, plain)
    for wrong in (2, 13):
        with pytest.raises(ValueError, match=f"smooth={wrong}"):
            b_cos_alpha(b_cos_model, images, smooth=wrong)


def test_only_a_b_cos_network_can_be_explained_by_itself(model, b_cos_model):
    with pytest.raises(ValueError, match="no B-cos layer"):
        saliency(model, some_images(), method="b_cos")
    with pytest.raises(ValueError, match="training mode"):
        saliency(b_cos_model.train(), some_images(), method="b_cos")


# weight randomisation


def test_layers_are_randomised_from_the_output_down_and_the_model_is_left_alone(model):
    before, state = state_of(model), torch.get_rng_state()
    steps = list(randomize_layers(model, seed=3))
    assert [name for name, _ in steps] == ["head", "bn2", "conv2", "bn1", "conv1"]
    assert state_of(model) == before and torch.equal(torch.get_rng_state(), state)
    for number, (_, copied) in enumerate(steps):
        for later, (name, _) in enumerate(steps):
            same = torch.equal(copied.get_submodule(name).weight, model.get_submodule(name).weight)
            assert same is (later > number)
    assert torch.equal(steps[-1][1].conv2.weight, steps[2][1].conv2.weight)


def test_one_layer_alone_gets_the_weights_it_gets_in_the_cascade(model):
    cascade = dict(randomize_layers(model, seed=3))
    for name, copied in randomize_layers(model, seed=3, cascading=False):
        assert torch.equal(copied.get_submodule(name).weight, cascade[name].get_submodule(name).weight)
        changed = [n for n in cascade if not torch.equal(copied.get_submodule(n).weight, model.get_submodule(n).weight)]
        assert changed == [name]
    again = dict(randomize_layers(model, seed=4))
    assert not torch.equal(again["conv1"].conv1.weight, cascade["conv1"].conv1.weight)


def test_a_yielded_copy_may_be_changed_and_parameters_outside_layers_are_drawn_from_their_own_spread():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(5 + 2 * torch.randn(4000))
            self.head = nn.Linear(3, 2)

    model, names = Scaled().eval(), []
    for name, copied in randomize_layers(model, seed=0):
        names.append(name)
        copied.head.weight.data.fill_(7)
    assert names == ["head", ""] and (copied.head.weight == 7).all()
    assert not torch.equal(copied.scale, model.scale)
    assert copied.scale.mean().item() == pytest.approx(5, abs=0.2)
    assert copied.scale.std().item() == pytest.approx(2, abs=0.2)


def test_a_gradient_map_forgets_when_the_network_does(model):
    images = some_images()
    target = targets.class_logit(torch.tensor([3, 0, 2]))
    whole = saliency(model, images, method="gradient", target=target)
    last = list(randomize_layers(model, seed=0))[-1][1]
    assert rank_correlation(whole, saliency(last, images, method="gradient", target=target)).mean() < 0.5
