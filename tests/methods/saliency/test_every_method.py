"""What holds for every method: whatever the batch, chunks and precision; nothing left behind; bad images refused."""
import math

import numpy
import pytest
import torch
from torch import nn

from nblib import targets
from nblib.methods.saliency import METHODS, saliency
from tests.fixtures.networks import SmallNet
from tests.fixtures.saliency import COLOURLESS, QUICK, every_method, raw, some_images, state_of


def test_every_method_has_quick_options_here():
    assert set(METHODS) == set(QUICK) | {"b_cos"}


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


@every_method
def test_no_target_means_the_class_predicted_at_the_image(model, method):
    images = some_images()
    labels = model(images).argmax(1)
    make = targets.class_probability if method in ("occlusion", "rise") else targets.class_logit
    torch.testing.assert_close(raw(model, images, method), raw(model, images, method, target=make(labels)))


@every_method
def test_shapes_and_any_finite_range(model, method):
    images = 40 * some_images() - 20
    assert raw(model, images, method).shape == (3, 1 if method in COLOURLESS else 3, 12, 12)
    maps = saliency(model, images, method=method, **QUICK[method])
    assert maps.shape == (3, 12, 12) and maps.isfinite().all() and not maps.requires_grad


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
def test_images_are_looked_through_once_before_any_work(model, method):
    images, looked, passes = some_images(), [], []

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            if function is torch.Tensor.isfinite and args[0] is images:
                looked.append(len(passes))
            return function(*args, **(kwargs or {}))

    handle = model.register_forward_pre_hook(lambda *_: passes.append(1))
    with Watch():
        raw(model, images, method)
    handle.remove()
    assert looked == [0] and passes


@every_method
def test_a_model_in_training_mode_is_refused(model, method):
    model.bn2.train()
    before = state_of(model)
    with pytest.raises(ValueError, match="'bn2' is in training mode"):
        raw(model, some_images(), method)
    assert state_of(model) == before
