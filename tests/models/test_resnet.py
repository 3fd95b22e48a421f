"""Residual networks: their blocks, the names of their layers, the published CIFAR ResNets."""
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from nblib import store
from nblib.models import build, resnet

SHARED = store.ROOT.parent / "shared" / "data"


def test_small_resnet_is_small_and_its_activations_are_modules():
    model = build("small_resnet", classes=9, size=32)
    assert 1e5 < sum(parameter.numel() for parameter in model.parameters()) < 3e5
    assert sum(isinstance(module, nn.ReLU) for module in model.modules()) == 7


def test_the_shortcut_of_a_block_keeps_every_second_pixel_and_adds_channels_of_zeros():
    block = resnet.Block(2, 5, stride=2)
    x = torch.arange(1.0, 19).reshape(1, 2, 3, 3)
    expected = torch.zeros(1, 5, 2, 2)
    expected[0, 1:3] = torch.tensor([[[1, 3], [7, 9]], [[10, 12], [16, 18]]])
    assert torch.equal(block.shortcut(x), expected)


def test_the_layers_of_a_cifar_resnet_are_those_of_the_published_files():
    names = list(build("resnet20", classes=10, size=32).state_dict())
    assert names[0] == "conv1.weight" and names[-1] == "linear.bias" and "layer3.2.bn2.running_var" in names
    assert not any("input" in name for name in names)


def test_published_weights_of_cifar_resnets_say_where_they_are_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("NBLIB_DATA", str(tmp_path))
    with pytest.raises(RuntimeError, match="cifar10_resnet"):
        build("resnet20", classes=10, size=32, weights="default")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    if not (SHARED / "unpack.py").exists():
        pytest.skip("../shared/data is not here: the published CIFAR ResNets were not measured")
    root = tmp_path_factory.mktemp("data")
    for pack in ("resnets", "cifar10-5k"):
        subprocess.run([sys.executable, SHARED / "unpack.py", pack, root], check=True)
    return root


def test_the_published_cifar_resnets_have_the_accuracy_stated(unpacked, monkeypatch):
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import ToTensor

    folder = ImageFolder(unpacked / "cifar10-5k" / "test", ToTensor())
    images, labels = torch.stack([image for image, _ in folder]), torch.tensor(folder.targets)
    monkeypatch.setenv("NBLIB_DATA", str(unpacked))
    for name, stated in (("resnet20", 915), ("resnet32", 928), ("resnet44", 933), ("resnet56", 926)):
        model = build(name, classes=10, size=32, weights="default")
        with torch.no_grad():
            right = sum((model(x).argmax(1) == y).sum().item() for x, y in zip(images.split(250), labels.split(250)))
        assert right == stated and len(labels) == 1000
