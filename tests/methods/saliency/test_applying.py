"""Which methods apply to a network, and the maps without a sign that pictures and scores take."""
import pytest
import torch
from torch import nn
from torch.nn import functional

from nblib.methods.saliency import METHODS, SHORT_NAMES, applicable, saliency, unsigned_maps
from nblib.models.b_cos import small_b_cos
from tests.fixtures.networks import Faulty, SmallNet, settled


class FunctionalReLU(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution, self.linear = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, images):
        return self.linear(functional.relu(self.convolution(images)).mean((2, 3)))


class Flat(nn.Module):
    """No layer has places: the pixels go into a linear layer at once."""

    def __init__(self):
        super().__init__()
        self.first, self.act, self.last = nn.Linear(3 * 12 * 12, 8), nn.ReLU(), nn.Linear(8, 3)

    def forward(self, images):
        return self.last(self.act(self.first(images.flatten(1))))


@pytest.fixture
def images():
    return torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(3))


def test_all_methods_but_b_cos_apply_to_a_plain_network(images):
    methods, reasons = applicable(settled(SmallNet()).float(), images)
    assert methods == [name for name in METHODS if name != "b_cos"]
    assert list(reasons) == ["b_cos"] and "B-cos" in reasons["b_cos"]


@pytest.mark.parametrize("network, missing, word", [
    (FunctionalReLU, {"guided_backprop", "b_cos"}, "ReLU"),
    (Flat, {"grad_cam", "grad_cam_plus_plus", "b_cos"}, "place"),
])
def test_what_does_not_apply_is_named_with_the_reason(images, network, missing, word):
    methods, reasons = applicable(network().eval(), images)
    assert set(reasons) == missing and set(methods) == METHODS.keys() - missing
    assert word in next(reasons[name] for name in sorted(missing, reverse=True))


def test_b_cos_applies_to_a_network_of_its_own():
    assert applicable(small_b_cos(classes=3, size=32).eval(), torch.rand(1, 3, 32, 32), ["b_cos"]) == (["b_cos"], {})


def test_the_trial_uses_the_options_and_looks_at_one_image_only(images):
    model, rows = settled(SmallNet()).float(), []
    model.register_forward_pre_hook(lambda _, given: rows.append(len(given[0])))
    saliency(model, images, method="gradient")  # the first call tries the network itself
    rows.clear()
    options = {"rise": {"masks": 100_000}, "occlusion": {"window": 13}, "grad_cam": {"layer": "nowhere"}}
    methods, reasons = applicable(model, images, ["rise", "occlusion", "grad_cam"], options=options)
    assert methods == ["rise"] and "window=13" in reasons["occlusion"] and "nowhere" in reasons["grad_cam"]
    assert sum(rows) <= 5 and options["rise"]["masks"] == 100_000


def test_maps_that_are_not_finite_do_not_apply(images):
    class Broken(FunctionalReLU):
        def forward(self, images):
            logits = super().forward(images)
            return logits + (logits.detach().sum() - logits.sum()).sqrt()  # 0, whose slope is infinite

    methods, reasons = applicable(Broken().eval(), images, ["gradient", "rise"])
    assert methods == ["rise"] and "not finite" in reasons["gradient"]


@pytest.mark.parametrize("kind", [torch.OutOfMemoryError, torch.AcceleratorError, RuntimeError])
def test_a_failure_is_called_one_and_what_is_no_word_about_the_method_comes_up(images, kind):
    net = settled(Faulty(kind("no slope"))).to(images.dtype)
    if kind is RuntimeError:
        assert applicable(net, images, ["gradient", "rise"]) == (["rise"], {"gradient": "it failed: no slope"})
    else:
        with pytest.raises(kind, match="no slope"):
            applicable(net, images, ["gradient", "rise"])


def test_a_network_on_which_nothing_applies_is_refused(images):
    with pytest.raises(ValueError, match="no method applies to FunctionalReLU: .*training mode"):
        applicable(FunctionalReLU().train(), images)
    with pytest.raises(ValueError, match="nearest: 'gradient'"):
        applicable(FunctionalReLU().eval(), images, ["gradiant"])


@pytest.mark.parametrize("method", [name for name in METHODS if name != "b_cos"])
def test_unsigned_maps_are_the_usual_ones_of_each_method(images, method):
    model = settled(SmallNet()).float()
    options = {"masks": 5} if method == "rise" else {"window": 4} if method == "occlusion" else {}
    raw = saliency(model, images, method=method, reduce=None, **options)
    usual = {"gradient": raw.abs().sum(1), "smooth_gradient": raw.abs().sum(1), "guided_backprop": raw.abs().sum(1),
             "input_gradient": raw.sum(1).abs(), "integrated_gradients": raw.sum(1).abs(),
             "gradient_shap": raw.sum(1).abs()}
    expected = usual.get(method, raw.sum(1).clamp(min=0))
    assert torch.equal(unsigned_maps(model, images, method=method, **options), expected)


def test_short_names_are_of_methods_and_differ():
    names = [SHORT_NAMES.get(name, name) for name in METHODS]
    assert SHORT_NAMES.keys() <= METHODS.keys() and len(set(names)) == len(METHODS)
