"""What holds for every algorithm and for maps: batch, chunks, precision, devices, traces, refusals."""
import math

import pytest
import torch
from torch import nn

from nblib import targets
from nblib.methods.contributions import METHODS, contribution_map, contributions
from tests.fixtures.contributions import some_images, vit
from tests.fixtures.networks import SmallNet, settled
from tests.fixtures.saliency import state_of

LAYERS = ["relu1", "bn2"]
ALL_OF_IT = {
    **{name: lambda m, x, name=name, **o: torch.cat(
        [values.flatten(1) for values in contributions(
            m, x, o.pop("layers", LAYERS), method=name, **({"steps": 3} | o)).values()], 1) for name in METHODS},
    **{f"map by {name}": lambda m, x, name=name, **o: contribution_map(
        m, x, o.pop("layers", LAYERS)[0], [0, 2], method=name, sign="positive", **({"steps": 3} | o)).flatten(1)
       for name in ("input_gradient", "integrated_gradients", "activation_gradient")},
}
everything = pytest.mark.parametrize("function", ALL_OF_IT.values(), ids=ALL_OF_IT)


@everything
def test_results_do_not_depend_on_batch_or_chunks(model, function):
    images, labels = some_images(4), torch.tensor([3, 0, 2, 1])
    whole = function(model, images, target=targets.class_logit(labels))
    for chunk_size in (1, 3, 1000):
        torch.testing.assert_close(function(model, images, target=targets.class_logit(labels), chunk_size=chunk_size),
                                   whole)
    alone = function(model, images[2:3], target=targets.class_logit(2))
    torch.testing.assert_close(alone[0], whole[2])


@everything
def test_chunks_bound_the_rows_of_a_pass(model, function):
    rows = []
    handle = model.conv1.register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    function(model, some_images(4), chunk_size=3)
    handle.remove()
    assert max(rows) <= 3


@pytest.mark.parametrize("method", ["integrated_gradients", "smooth_gradient"])
def test_few_images_take_several_points_of_their_ways_in_a_pass(model, method):
    rows = []
    handle = model.conv1.register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    few = contributions(model, some_images(3), LAYERS, method=method, steps=5, chunk_size=9)
    handle.remove()
    assert max(rows) == 9
    one = contributions(model, some_images(3), LAYERS, method=method, steps=5, chunk_size=3)
    for layer in LAYERS:
        torch.testing.assert_close(few[layer], one[layer])


class Flattening(nn.Module):
    """A network that asks for maps whose places lie side by side in memory, by `view`."""

    def __init__(self, flatten):
        super().__init__()
        self.conv1, self.relu1, self.linear = nn.Conv2d(3, 4, 9, 8), nn.ReLU(), nn.Linear(4 * 16 * 16, 3)
        self.flatten = flatten

    def forward(self, x):
        return self.linear(self.flatten(self.relu1(self.conv1(x))))


@pytest.mark.parametrize("method", METHODS)
def test_large_images_may_lie_in_memory_as_is_fastest(method):
    torch.manual_seed(0)
    viewing = Flattening(lambda maps: maps.view(len(maps), -1)).double().eval()
    free = Flattening(lambda maps: maps.flatten(1)).double().eval()
    free.load_state_dict(viewing.state_dict())
    images, layouts = torch.rand(2, 3, 132, 132).double(), []
    handle = free.conv1.register_forward_hook(
        lambda _, args, __: layouts.append(args[0].is_contiguous(memory_format=torch.channels_last)))
    found = contributions(free, images, "relu1", method=method, steps=3)["relu1"]
    handle.remove()
    assert all(layouts[-1:]) and found.is_contiguous()
    torch.testing.assert_close(found, contributions(viewing, images, "relu1", method=method, steps=3)["relu1"])


@everything
def test_single_precision_agrees_with_double(model, function):
    images = some_images()
    exact = function(model, images)
    single = function(model.float(), images.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=1e-3, atol=1e-4 * exact.abs().max().item())


def test_half_precision_is_added_up_in_single(model):
    images = some_images().bfloat16()
    half = contributions(model.bfloat16(), images, ["relu1"], steps=200)["relu1"]
    full = contributions(model.float(), images.float(), ["relu1"], steps=200)["relu1"]
    assert half.dtype == torch.bfloat16
    assert (half.float() - full).norm() < 0.15 * full.norm()


@everything
def test_every_device_gives_the_same(model, function, device):
    images = some_images()
    expected = function(model, images)
    found = function(model.to(device), images.to(device))
    assert found.device.type == device.type
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-6, atol=1e-8)


@everything
def test_nothing_is_left_on_the_model_or_the_images(model, function):
    images = some_images()
    model.conv1.weight.requires_grad_(False)
    before, pixels = state_of(model), images.clone()
    function(model, images)
    assert state_of(model) == before and torch.equal(images, pixels) and not images.requires_grad


@everything
def test_nothing_is_left_when_an_exception_flies(model, function):
    before, calls = state_of(model), []

    def failing(logits):
        calls.append(1)
        raise OSError("interrupted")

    with torch.no_grad(), pytest.raises(OSError, match="interrupted"):
        function(model, some_images(), target=failing)
    assert calls and state_of(model) == before and torch.is_grad_enabled()


@everything
def test_frozen_weights_no_grad_and_inference_mode_change_nothing(model, function):
    images = some_images()
    expected = function(model, images)
    with torch.no_grad():
        torch.testing.assert_close(function(model, images), expected)
    model.requires_grad_(False)
    torch.testing.assert_close(function(model, images), expected)
    with torch.inference_mode():
        torch.testing.assert_close(function(model, images * 1), expected)


@everything
def test_a_network_may_begin_with_an_operation_in_place(model, function):
    images, layers = some_images(), ["1.relu1", "1.bn2"]
    expected = function(nn.Sequential(nn.ReLU(), model).eval(), images, layers=layers)
    torch.testing.assert_close(function(nn.Sequential(nn.ReLU(inplace=True), model).eval(), images, layers=layers),
                               expected)


@everything
@pytest.mark.parametrize("options, message", [
    ({"steps": 0}, "steps=0 was given, expected a whole number from 1"),
    ({"steps": 2.0}, "steps=2.0"),
    ({"baseline": torch.zeros(4, 1, 1)}, "a baseline of shape"),
    ({"target": lambda logits: logits}, "one number an image"),
    ({"target": 3}, "expected a function of logits"),
    ({"target": targets.class_logit(torch.tensor([0, 1]))}, "expected one label or"),
    ({"chunk_size": 0}, "chunk_size=0"),
    ({"layers": []}, "one or more|one name|no layer|list index"),
])
def test_what_does_not_fit_is_refused(model, function, options, message):
    if options == {"layers": []} and "contribution_map" in repr(function.__code__.co_names):
        pytest.skip("a map has one layer")
    with pytest.raises(ValueError, match=message):
        function(model, some_images(), **options)


@everything
@pytest.mark.parametrize("images, message", [
    (torch.rand(0, 3, 12, 12).double(), "at least one image"),
    (torch.rand(3, 12, 12).double(), "expected a tensor \\(N, C, H, W\\)"),
    (torch.rand(2, 3, 12, 12), "torch.float32 on cpu, the model is torch.float64"),
    (torch.full((2, 3, 12, 12), math.nan).double(), "not finite"),
])
def test_images_that_cannot_be_explained_are_refused(model, function, images, message):
    with pytest.raises(ValueError, match=message):
        function(model, images)


@everything
def test_a_model_in_training_mode_is_refused(model, function):
    model.bn2.train()
    with pytest.raises(ValueError, match="'bn2' is in training mode"):
        function(model, some_images())


@everything
def test_layers_that_will_not_do_are_refused_before_work(model, function):
    with pytest.raises(KeyError, match="no layer 'relu3'.*nearest: 'relu"):
        function(model, some_images(), layers=["relu3"])
    model.spare = nn.ReLU().eval()
    with pytest.raises(RuntimeError, match="never ran"):
        function(model, some_images(), layers=["spare"])


class Sided(SmallNet):
    """A network with an output that nobody uses, a layer that no pixel reaches, and one that runs twice."""

    def __init__(self):
        super().__init__()
        self.unused, self.constant, self.twice = nn.Linear(8, 2), nn.Linear(2, 4, bias=False), nn.Identity()

    def forward(self, x):
        x = self.twice(self.relu1(self.bn1(self.conv1(x))))
        x = self.twice(self.pool(self.relu2(self.bn2(self.conv2(x)))).flatten(1))
        self.unused(x)
        return self.head(x) + self.constant(torch.ones(len(x), 2, dtype=x.dtype))


@everything
@pytest.mark.parametrize("frozen", [False, True])
def test_layers_off_the_path_are_refused_in_words(function, frozen):
    model = settled(Sided()).requires_grad_(not frozen)
    with pytest.raises(ValueError, match="the target does not depend on layer 'unused'"):
        function(model, some_images(), layers=["unused"])
    with pytest.raises(ValueError, match="layer 'twice' runs 2 times in a pass"):
        function(model, some_images(), layers=["twice"])


def test_names_that_are_not_there_are_refused_with_the_nearest(model):
    for options, message in [
        ({"method": "integrated_gradient"}, "nearest: 'integrated_gradients'"),
        ({"quadrature": "captum_trapezoid"}, "expected one of 'trapezoid', 'left'"),
        ({"baseline": "median"}, "'mean'"),
        ({"baseline": None}, "baseline=None was given to 'integrated_gradients'"),
        ({"noise": -1.0}, "noise=-1.0"),
        ({"seed": -1}, "seed=-1"),
    ]:
        with pytest.raises(ValueError, match=message):
            contributions(model, some_images(), LAYERS, **options)
    with pytest.raises(ValueError, match="each of them once"):
        contributions(model, some_images(), ["relu1", "relu1"])
    with pytest.raises(ValueError, match="the images come first"):
        contributions(settled(Sequences()), some_images(), ["turn"])


class Sequences(nn.Module):
    """A layer whose first axis is not that of the images."""

    def __init__(self):
        super().__init__()
        self.turn, self.head = nn.Unflatten(0, (-1, 1)), nn.Linear(3, 2)

    def forward(self, x):
        return self.head(self.turn(x.mean((2, 3)).repeat_interleave(2, 0)).flatten(0, 1)[::2])


def test_a_vit_runs_forward_mode_on_any_backend():
    model, images = vit().float(), some_images(2, size=8).float()
    found = contributions(model, images, ["blocks.0", "blocks.1"], method="input_gradient")
    torch.testing.assert_close(found["blocks.0"].sum((1, 2)), found["blocks.1"].sum((1, 2)), rtol=1e-4, atol=1e-5)
