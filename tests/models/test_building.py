"""Networks by name: logits, evaluation mode, seeds, and names that are refused."""
import copy

import pytest
import torch

from nblib.models import OURS, build

NAMES = [*OURS, "torchvision:resnet18", "timm:resnet10t"]


@pytest.mark.parametrize("name", NAMES)
def test_a_model_has_logits_evaluation_mode_and_names_without_a_prefix(name):
    model = build(name, classes=7, size=32)
    assert not any(module.training for module in model.modules())
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 7)
    assert all(not layer.startswith(("0", "1", "model")) for layer, _ in model.named_modules())
    assert all(torch.equal(a, b) for a, b in zip(copy.deepcopy(model).parameters(), model.parameters()))


@pytest.mark.parametrize("name", ["small_resnet", "small_b_cos", "resnet20"])
@pytest.mark.parametrize("size", [17, 64])
def test_our_small_networks_take_other_sizes(name, size):
    assert build(name, classes=3, size=size)(torch.rand(2, 3, size, size)).shape == (2, 3)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_decides_the_weights_and_leaves_the_callers_generator_alone(name):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (build(name, classes=3, size=32, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters())]
    different = [not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters())]
    assert all(same) and any(different)


@pytest.mark.parametrize("name, says", [
    ("small_resnt", "small_resnet"),
    ("torchvision:resnet81", "torchvision:resnet18"),
    ("torchvision:deeplabv3_resnet50", "torchvision:"),
    ("timm:vit_tiny_patch16_225", "vit_tiny_patch16_224"),
    ("timm:vit_tiny_patch16_224.nope", "augreg_in21k"),
    ("nowhere.at_all:make", "can't be imported"),
    ("torch.nn:Linearr", "torch.nn:Linear"),
    ("torch.nn:Linear", "classes=..., size=..."),
    ("builtins:dict", "torch.nn.Module"),
    ("timm:", "small_resnet"),
])
def test_an_unknown_name_is_refused_with_the_nearest(name, says):
    with pytest.raises(ValueError, match=says.replace(".", r"\.")):
        build(name, classes=3, size=32)


@pytest.mark.parametrize("wrong", [
    dict(classes=1), dict(classes=2.5), dict(classes=True), dict(size=0), dict(size="3"),
])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        build("small_resnet", **(dict(classes=3, size=32) | wrong))
