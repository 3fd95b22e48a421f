"""Capturing and editing layers: what is read, what goes on, what is left behind, what is refused."""
import math

import pytest
import torch
from torch import nn

from nblib.hooks import INPUT, capture, edit, find, output_shapes, relu_gradient
from tests.fixtures.networks import SmallNet, settled
from tests.references.saliency import guided_backprop


def some_images(count=2):
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def hooks_on(model):
    names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    return sum(len(getattr(module, name)) for module in model.modules() for name in names)


@pytest.fixture(params=["module", "inplace"])
def model(request):
    return settled(SmallNet(relu=request.param))


class Odd(nn.Module):
    """Modules that are called oddly: twice, with keywords, without arguments, with several outputs, or never."""

    class Constant(nn.Module):
        def forward(self):
            return torch.ones(1)

    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    def __init__(self):
        super().__init__()
        self.twice, self.named, self.unused = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)
        self.constant, self.pair = self.Constant(), self.Pair()

    def forward(self, x):
        x = self.twice(self.twice(x))
        return self.named(input=x) + self.constant() + self.pair(x)[0]


def test_captured_tensors_are_what_the_layers_computed(model):
    images = some_images()
    with capture(model, ["conv1", "bn1", "relu1", "conv2" + INPUT]) as tensors:
        model(images)
    first = model.conv1(images)
    torch.testing.assert_close(tensors["conv1"], first)
    torch.testing.assert_close(tensors["bn1"], model.bn1(first))
    assert (tensors["bn1"] < 0).any(), "an in-place ReLU behind a layer must not change what was captured"
    torch.testing.assert_close(tensors["relu1"], model.bn1(first).relu())
    torch.testing.assert_close(tensors["conv2:input"], tensors["relu1"])
    assert set(tensors) == {"conv1", "bn1", "relu1", "conv2:input"}


def test_capturing_changes_nothing_and_keeps_the_graph(model):
    images = some_images()
    expected = model(images)
    with capture(model, ["bn1", "bn2"]) as tensors:
        logits = model(images)
    assert torch.equal(logits, expected)
    slopes = torch.autograd.grad(logits[:, 1].sum(), [tensors["bn1"], tensors["bn2"]])
    moved = tensors["bn2"].detach() + 1e-6 * slopes[1]
    change = (model.head(moved.relu().mean((2, 3))) - expected)[:, 1].sum().item()
    assert change == pytest.approx(1e-6 * slopes[1].square().sum().item(), rel=1e-3)
    assert slopes[0].abs().sum() > 0


def test_each_forward_pass_fills_the_tensors_anew():
    model = settled(SmallNet())
    with capture(model, "conv1") as tensors:
        with pytest.raises(RuntimeError, match="'conv1' has not run"):
            tensors["conv1"]
        model(some_images(2))
        model(some_images(3))
    assert len(tensors["conv1"]) == 3
    with pytest.raises(KeyError, match="'conv2' is not captured; captured are 'conv1'"):
        tensors["conv2"]


def test_a_module_called_twice_gives_its_last_call_and_keywords_count_as_inputs():
    model, x = Odd(), torch.rand(2, 3)
    with capture(model, ["twice", "named" + INPUT, ""]) as tensors:
        result = model(x)
    torch.testing.assert_close(tensors["twice"], model.twice(model.twice(x)))
    assert torch.equal(tensors["named:input"], tensors["twice"])
    assert torch.equal(tensors[""], result)
    with edit(model, {"named" + INPUT: torch.zeros_like}):
        torch.testing.assert_close(model(x), model.named.bias + 1 + model.twice(model.twice(x)))


@pytest.mark.parametrize(
    "context", [lambda model, layer: capture(model, [layer]), lambda model, layer: edit(model, {layer: torch.clone})]
)
def test_layers_that_cannot_be_read_are_refused_and_nothing_is_left(context):
    model, x = Odd(), torch.rand(2, 3)
    for layer, error, message in [
        ("twise", KeyError, "no layer 'twise' in Odd; nearest: 'twice'"),
        ("pair", ValueError, "'pair' has a tuple"),
        ("constant:input", ValueError, "called without arguments"),
        ("unused", RuntimeError, "never ran in a forward pass: layer 'unused'"),
    ]:
        with pytest.raises(error, match=message), context(model, layer):
            model(x)
        assert hooks_on(model) == 0


def test_hooks_are_gone_after_any_exception_and_it_is_the_one_that_flies():
    model = settled(SmallNet())
    for context in (capture(model, ["conv1", "head"]), edit(model, {"conv1": lambda t: 1 / 0}),
                    relu_gradient(model, torch.relu)):
        with pytest.raises(ZeroDivisionError), context:
            model(some_images())
            raise ZeroDivisionError
        assert hooks_on(model) == 0


def test_training_mode_is_accepted():
    model = settled(SmallNet()).train()
    with capture(model, ["bn1"]) as tensors, edit(model, {"relu1": lambda t: t * 2}):
        model(some_images())
    assert tensors["bn1"].shape == (2, 6, 8, 8) and model.training


def test_an_edit_replaces_the_tensor_and_may_work_in_place(model):
    images = some_images()
    with edit(model, {"relu2": torch.zeros_like}):
        torch.testing.assert_close(model(images), model.head.bias.expand(2, 4))
    seen = []
    with edit(model, {"conv1": lambda t: seen.append(t.clone()) or t.mul_(0)}), capture(model, ["conv1"]) as after:
        model(images)
    torch.testing.assert_close(seen[0], model.conv1(images))
    assert (after["conv1"] == 0).all()
    with capture(model, ["conv1"]) as before, edit(model, {"conv1": lambda t: t.mul_(0)}):
        model(images)
    torch.testing.assert_close(before["conv1"], seen[0])


def test_two_edits_act_in_the_order_they_were_entered():
    model = settled(SmallNet())
    first, second = edit(model, {"head": lambda t: t + 1}), edit(model, {"head": lambda t: t * 10})
    with first, second, capture(model, ["head"]) as seen:
        result = model(some_images())
    torch.testing.assert_close(result, (model(some_images()) + 1) * 10)
    assert torch.equal(seen["head"], result)


def test_an_edit_that_returns_no_tensor_is_refused():
    model = settled(SmallNet())
    with pytest.raises(ValueError, match="function for layer 'head' returned NoneType"):
        with edit(model, {"head": lambda t: None}):
            model(some_images())


def test_output_shapes_come_in_the_order_in_which_layers_finish(model):
    shapes = output_shapes(model, some_images())
    assert list(shapes) == ["conv1", "bn1", "relu1", "conv2", "bn2", "relu2", "pool", "head", ""]
    assert shapes["conv2"] == (2, 8, 4, 4) and shapes[""] == (2, 4)
    assert hooks_on(model) == 0
    assert list(output_shapes(Odd(), torch.rand(2, 3))) == ["twice", "named", "constant", ""]
    with pytest.raises(RuntimeError):
        output_shapes(model, torch.rand(2, 5, 8, 8).double())
    assert hooks_on(model) == 0


def test_relu_gradient_rules_each_relu_and_leaves_the_forward_pass(model):
    images = some_images().requires_grad_()
    expected = model(images)
    rules = []
    with relu_gradient(model, lambda gradient: rules.append(gradient) or gradient * 3):
        logits = model(images)
        ruled = torch.autograd.grad(logits.sum(), images)[0]
    plain = torch.autograd.grad(expected.sum(), images)[0]
    assert torch.equal(logits, expected) and len(rules) == 2
    torch.testing.assert_close(ruled, 9 * plain)
    assert hooks_on(model) == 0


def test_relu_gradient_refuses_functional_relus_all_or_some():
    with pytest.raises(ValueError, match="SmallNet has no nn.ReLU module"):
        with relu_gradient(SmallNet(relu="functional"), torch.relu):
            pass
    mixed = SmallNet()
    del mixed.relu2
    mixed.relu2 = nn.functional.relu
    with pytest.raises(ValueError, match="has a ReLU that is not an nn.ReLU module"):
        with relu_gradient(mixed, torch.relu):
            mixed(torch.rand(1, 3, 8, 8))
    assert hooks_on(mixed) == 0


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("relu, top", [(nn.ReLU, math.inf), (nn.ReLU6, 6.0)])
def test_relu_gradient_is_guided_backpropagation_through_relus_and_clipped_ones(relu, top, inplace):
    model = settled(SmallNet())
    model.relu1, model.relu2 = relu(inplace=inplace), relu(inplace=inplace)
    images = (some_images() * 40).requires_grad_()  # so that there are clipped units and zero ones in both layers
    with capture(model, ["bn1", "bn2"]) as tensors, relu_gradient(model, torch.relu):
        guided = torch.autograd.grad(model(images)[:, 1].sum(), images)[0]
    for before in tensors.values():
        assert (before > 6).any() and (before < 0).any() and ((before > 0) & (before < 6)).any()
    for image, found in zip(images, guided):
        torch.testing.assert_close(found, guided_backprop(model, image, 1, top))
    assert guided.any()


@pytest.mark.parametrize("call", [nn.functional.relu6, lambda x: nn.functional.hardtanh(x, 0, 6), nn.Hardtanh(0, 4)])
def test_relu_gradient_refuses_clipped_relus_of_another_kind(call):
    mixed = SmallNet()
    del mixed.relu2
    mixed.relu2 = call
    with pytest.raises(ValueError, match="has a ReLU that is not an nn.ReLU module"):
        with relu_gradient(mixed, torch.relu):
            mixed(torch.rand(1, 3, 8, 8))


def test_relu_gradient_lets_a_hard_tanh_be(model):
    model.relu2 = nn.Hardtanh(-1, 1)  # bounded on both sides of zero: no ReLU
    with relu_gradient(model, torch.relu):
        model(some_images())


def test_find_names_the_nearest_layers():
    model = SmallNet()
    assert find(model, "conv2" + INPUT) is model.conv2 and find(model, "") is model
    with pytest.raises(KeyError, match="nearest: 'conv2', 'conv1'"):
        find(model, "conv3")


def test_captures_live_on_the_device(device):
    model = settled(SmallNet()).to(device)
    with capture(model, ["conv1"]) as tensors:
        model(some_images().to(device))
    assert tensors["conv1"].device.type == device.type
