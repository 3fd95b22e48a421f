"""Rows that depend on each other, on their place or on chance are refused, once, before any work; others are not."""
import contextlib

import pytest
import torch
from torch import nn
from torch.nn import functional

from nblib.engine import check_inputs
from nblib.hooks import edit
from nblib.methods.neuron_paths import edited_probabilities
from nblib.methods.saliency import saliency
from nblib.metrics import road
from nblib.models.vit import neuron_layers
from nblib.training import evaluate, fit, predict
from tests.fixtures.networks import SmallNet, settled
from tests.fixtures.saliency import every_method, raw, some_images
from tests.fixtures.training import bright
from tests.fixtures.transformers import timm_vit
from tests.models.test_vit import some_images as tokens_images


class Wrong(nn.Module):
    """A network whose pooled features are passed through something that a network must not do."""

    def __init__(self, kind: str, classes: int = 4):
        super().__init__()
        self.conv, self.head, self.kind = nn.Conv2d(3, 8, 3), nn.Linear(8, classes), kind
        self.norm = nn.BatchNorm2d(8, track_running_stats=False) if kind == "norm" else nn.Identity()

    def forward(self, x):
        x = self.norm(self.conv(x)).relu().mean((2, 3))
        if self.kind == "dropout":
            x = functional.dropout(x)
        if self.kind == "noise":
            x = x + 0.01 * torch.randn_like(x)
        if self.kind == "mean":
            x = x - x.mean(0)
        if self.kind == "place":
            x = x * torch.arange(1, len(x) + 1).to(x)[:, None]
        return self.head(x)


SAID = {
    "norm": "other logits beside another image: 'norm' is a norm without running statistics",
    "mean": "other logits beside another image; expected a network whose rows are independent",
    "place": "other logits beside another image",
    "dropout": "other logits each time.*draws at random",
    "noise": "other logits each time",
}


@pytest.mark.parametrize("kind", SAID)
@pytest.mark.parametrize("count", [1, 3])
def test_rows_that_depend_on_something_else_are_refused(kind, count):
    images, model = some_images(count).float(), Wrong(kind).eval()
    state = torch.get_rng_state()
    for method in ("gradient", "rise", "grad_cam"):
        with pytest.raises(ValueError, match=SAID[kind]):
            saliency(model, images, method=method)
    with pytest.raises(ValueError, match=SAID[kind]):
        road(model, images, 0, images[:, 0], percentages=[50])
    with pytest.raises(ValueError, match=SAID[kind]):
        predict(model, images)
    assert torch.equal(torch.get_rng_state(), state)


def test_measuring_refuses_what_training_may_do():
    model = Wrong("norm", classes=2)
    fit(model, bright(), epochs=1, device="cpu", progress=False)
    with pytest.raises(ValueError, match="norm without running statistics"):
        evaluate(model, bright())


@every_method
@pytest.mark.parametrize("type_", [torch.float64, torch.float32, torch.bfloat16])
def test_good_networks_pass_in_every_type(model, method, type_):
    assert raw(model.to(type_), some_images().to(type_), method).isfinite().all()


def count_passes(model):
    calls = []
    model.register_forward_pre_hook(lambda _, args: calls.append(len(args[0])))
    return calls


def test_a_network_is_tried_once_until_something_about_it_changes(model):
    images, calls = some_images(), count_passes(model)

    def tried(x=images):
        calls.clear()
        check_inputs(model, x)
        return calls == [2, 2]

    assert tried() and not tried() and not tried(some_images(1, seed=9))
    assert tried(some_images(size=10)) and tried()  # of the last kind of images only
    with torch.no_grad():
        model.head.weight.mul_(2)
    assert tried() and not tried()
    model.switch = True
    assert tried() and not tried()
    model.load_state_dict(settled(SmallNet(), 1).state_dict())
    assert tried() and not tried()
    model.extra = nn.Identity().eval()
    assert tried() and not tried()
    with torch.autocast("cpu") if torch.amp.is_autocast_available("cpu") else contextlib.nullcontext():
        assert tried()


def test_a_switch_that_makes_rows_depend_is_noticed():
    model = Wrong("nothing").eval()
    saliency(model, some_images().float(), method="gradient")
    model.kind = "dropout"
    with pytest.raises(ValueError, match="draws at random"):
        saliency(model, some_images().float(), method="gradient")


def test_an_edit_may_hold_a_value_for_each_row(model):
    images = some_images(3)
    shares = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)[:, None, None, None]
    with edit(model, {"relu1": lambda hidden: hidden * shares}):
        logits = predict(model, images)
        expected = model(images)
    assert torch.equal(logits, expected.detach())


def test_weights_that_are_no_numbers_are_told(model):
    nn.init.constant_(model.conv2.weight, torch.nan)
    with pytest.raises(RuntimeError, match="logits of SmallNet are not numbers.*weights are finite"):
        saliency(model, some_images(), method="gradient")


@pytest.mark.parametrize("images, said", [
    (torch.rand(2, 5, 12, 12), r"SmallNet does not run on 2 images \(5, 12, 12\).*RuntimeError"),
    (torch.rand(2, 3, 12, 12).half(), "torch.float16"),
])
def test_images_on_which_a_network_does_not_run(model, images, said):
    with pytest.raises(ValueError, match=said):
        saliency(model.float(), images, method="gradient")


def test_a_network_of_one_size_says_so():
    model, images = timm_vit(), tokens_images()[..., :-4, :]
    with pytest.raises(ValueError, match="VisionTransformer does not run on 2 images"):
        edited_probabilities(model, images, neuron_layers(model), torch.zeros(1, 3, 1, dtype=torch.long))


@pytest.mark.parametrize("wrap, said", [
    (lambda z: z[:, :, None, None], r"shape \(2, 4, 1, 1\), expected logits \(2, K\)"),
    (lambda z: (z,), "tuple, expected logits"),
    (lambda z: {"logits": z}, "dict, expected logits"),
    (lambda z: z.argmax(1, keepdim=True), "torch.int64, expected logits of a floating type"),
    (lambda z: z[:, :0], r"shape \(2, 0\)"),
    (lambda z: z[:, 0], r"shape \(2,\)"),
    (lambda z: None, "NoneType"),
])
def test_outputs_that_are_no_logits_are_refused_everywhere(wrap, said):
    class Wrapped(SmallNet):
        def forward(self, x):
            return wrap(super().forward(x))

    images, model, data = some_images(), settled(Wrapped()), bright()
    for call in (lambda: saliency(model, images, method="gradient"),
                 lambda: road(model, images, 0, images[:, 0], percentages=[50]),
                 lambda: predict(model, images), lambda: evaluate(model.float(), data)):
        with pytest.raises(ValueError, match=said):
            call()
    with pytest.raises(ValueError, match=said.replace("(2", "(1").replace("\\(2", "\\(1")):
        fit(model, data, epochs=1, device="cpu", progress=False)


def test_outputs_that_are_no_logits_in_training_mode_only_are_refused():
    class Auxiliary(SmallNet):
        def forward(self, x):
            return (super().forward(x),) * 2 if self.training else super().forward(x)

    with pytest.raises(ValueError, match="Auxiliary returned tuple, expected logits"):
        fit(Auxiliary(classes=2), bright(), epochs=1, device="cpu", progress=False)
