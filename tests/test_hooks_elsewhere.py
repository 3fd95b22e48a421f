"""Where hooks do not run by themselves: compiled and scripted networks, checkpoints. The same values, or a refusal."""
import warnings

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from nblib.hooks import capture, edit, find, output_shapes
from nblib.methods.neuron_paths import find_paths, path_integral
from nblib.methods.saliency import saliency
from nblib.models.vit import neuron_layers
from tests.fixtures.channels_last import timm_swin, wide_images
from tests.fixtures.networks import SmallNet, settled
from tests.fixtures.saliency import QUICK, raw, some_images
from tests.fixtures.transformers import LABELS, Stranger, everything, timm_vit
from tests.models.test_vit import some_images as tokens_images

HOOKED = ["grad_cam", "grad_cam_plus_plus", "guided_backprop"]


class Checkpointed(SmallNet):
    """A network whose first half is run again in the backward pass."""

    def __init__(self, reentrant: bool):
        super().__init__()
        self.reentrant = reentrant

    def forward(self, x):
        x = checkpoint(lambda x: self.relu1(self.bn1(self.conv1(x))), x, use_reentrant=self.reentrant)
        return self.head(self.pool(self.relu2(self.bn2(self.conv2(x)))).flatten(1))


@pytest.fixture
def model():
    return settled(SmallNet())


@pytest.fixture(params=[True, False])
def checkpointed(request):
    return settled(Checkpointed(request.param))


@everything
@pytest.mark.parametrize("kind", [None, Stranger])
def test_checkpointing_of_timm_changes_no_score_and_stays_switched_on(function, kind):
    model = timm_vit() if kind is None else timm_vit(kind)
    given = model, tokens_images(), LABELS, neuron_layers(timm_vit())
    right = function(*given)
    model.set_grad_checkpointing(True)
    torch.testing.assert_close(function(*given), right)
    assert model.grad_checkpointing


@pytest.mark.parametrize("method", sorted(set(QUICK) - {"guided_backprop"}))
def test_checkpointing_of_a_swin_changes_no_map(method):
    model, images = timm_swin(), wide_images(1)
    options = {"layer": "layers.0.blocks.1"} if method in HOOKED else {}
    right = raw(model, images, method, **options)
    model.set_grad_checkpointing(True)
    torch.testing.assert_close(raw(model, images, method, **options), right)


@pytest.mark.parametrize("method", sorted(set(QUICK) - {"guided_backprop"}))
def test_checkpoints_around_other_layers_change_no_map(checkpointed, model, method):
    model.load_state_dict(checkpointed.state_dict())
    if checkpointed.reentrant and method not in ("occlusion", "rise", *HOOKED):  # PyTorch does not allow it
        with pytest.raises(ValueError, match="use_reentrant=True.*switch checkpointing off"):
            raw(checkpointed, some_images(), method)
        return
    torch.testing.assert_close(raw(checkpointed, some_images(), method), raw(model, some_images(), method))


def test_layers_within_a_checkpoint_are_refused_where_there_is_a_graph(checkpointed):
    for call in (lambda: raw(checkpointed, some_images(), "grad_cam", layer="relu1"),
                 lambda: raw(checkpointed, some_images(), "guided_backprop")):
        with pytest.raises(ValueError, match="within torch.utils.checkpoint.*switch gradient checkpointing off"):
            call()
    with pytest.raises(ValueError, match="'bn1' runs within torch.utils.checkpoint"), edit(
            checkpointed, {"bn1": torch.zeros_like}):
        checkpointed(some_images().requires_grad_())


def test_layers_within_a_checkpoint_can_be_edited_without_a_graph(checkpointed, model):
    model.load_state_dict(checkpointed.state_dict())
    with torch.no_grad(), edit(checkpointed, {"bn1": torch.abs}), edit(model, {"bn1": torch.abs}):
        torch.testing.assert_close(checkpointed(some_images()), model(some_images()))


@pytest.fixture(params=["wrapped", "in place", "a part"])
def compiled(request, model):
    """SmallNet, compiled (to run as it is, which hides its layers as real compilation does), and called once."""
    torch._dynamo.reset()
    if request.param == "in place":
        model.compile(backend="eager")
    if request.param == "a part":
        model.bn2 = torch.compile(model.bn2, backend="eager")
    result = torch.compile(model, backend="eager") if request.param == "wrapped" else model
    result(some_images())
    return result


def test_compiled_networks_give_what_the_network_gives(compiled, model):
    plain = settled(SmallNet())
    for method in QUICK:
        torch.testing.assert_close(raw(compiled, some_images(), method), raw(plain, some_images(), method))
    with capture(compiled, ["bn2", "relu2"]) as ours, capture(plain, ["bn2", "relu2"]) as theirs:
        compiled(some_images()), plain(some_images())
    torch.testing.assert_close(dict(ours), dict(theirs))
    with edit(compiled, {"bn2": torch.abs}), edit(plain, {"bn2": torch.abs}):
        torch.testing.assert_close(compiled(some_images()), plain(some_images()))
    torch.testing.assert_close(compiled(some_images()), plain(some_images()))
    shapes = output_shapes(compiled, some_images())
    assert shapes["bn2"] == (3, 8, 6, 6) and "head" in shapes and not any("_orig_mod" in name for name in shapes)
    assert find(compiled, "conv1") is model.conv1


def test_scripted_and_traced_networks_are_refused_where_hooks_are_needed(model):
    images = some_images()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's, that these are old
        traced, scripted = torch.jit.trace(model, images), torch.jit.script(model)
    expected = saliency(model, images, method="gradient")
    for network in (traced, scripted, nn.Sequential(nn.Identity(), scripted).eval()):
        torch.testing.assert_close(saliency(network, images, method="gradient"), expected)
        layer = "1.relu2" if isinstance(network, nn.Sequential) else "relu2"
        for call in (lambda: raw(network, images, "grad_cam", layer=layer), lambda: raw(network, images, "grad_cam"),
                     lambda: output_shapes(network, images)):
            with pytest.raises(ValueError, match="scripted or traced.*give the network that it was made from"):
                call()
        with pytest.raises(ValueError, match="no nn.ReLU module"):
            raw(network, images, "guided_backprop")


def test_known_vits_with_checkpointing_still_take_the_quick_way():
    model, images, layers = timm_vit(), tokens_images(), neuron_layers(timm_vit())
    found = find_paths(model, images, LABELS, layers, steps=4)
    integral = path_integral(model, images, LABELS, layers, found.neurons, steps=4)
    model.set_grad_checkpointing(True)
    again = find_paths(model, images, LABELS, layers, steps=4)
    assert torch.equal(again.neurons, found.neurons)
    torch.testing.assert_close(path_integral(model, images, LABELS, layers, again.neurons, steps=4), integral)
