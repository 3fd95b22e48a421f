"""What a chapter needs is tried on one image, and refused in words, before a kernel starts."""
import re
import sys

import pytest
import torch
from PIL import Image

from nblib.models import build
from nblib.runs import parameters
from nblib.runs.parameters import Refused

OWN = '''from torch import nn


def network(classes, size):
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes))


class Wrapped(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.inner = network(classes, 1)

    def forward(self, images):
        return {"logits": self.inner(images)}


def dictionary(classes, size):
    return Wrapped(classes)


def half(classes, size):
    return network(classes, size).half()


def holey(classes, size):
    made = network(classes, size)
    made[0].bias.data[0] = float("nan")
    return made


def frozen(classes, size):
    return network(classes, size).requires_grad_(False)


def few(classes, size):
    return network(2, size)


def inside(classes, size):
    return network(classes, len(size))


def lacking(classes, size):
    return {"a": 1}["the name"]


def other(count):
    return network(count, 1)


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 5)

    def forward(self, images):
        return self.linear(images.flatten(1))


def narrow(classes, size):
    return Linear()
'''


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with a reader's networks, and pictures of two classes."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "own_networks.py").write_text(OWN)
    (folder / "broken_networks.py").write_text("import math\n\nmath.nothing\n")
    (folder / "slipped_networks.py").write_text("def network(:\n")
    for name, colour in (("dark", 40), ("light", 200)):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(5):
            Image.new("RGB", (24, 24), (colour, number, 0)).save(folder / "photos" / name / f"{number}.png")
    return folder


@pytest.fixture(autouse=True)
def importable(here, monkeypatch):
    monkeypatch.syspath_prepend(here)


@pytest.mark.parametrize("chapter", parameters.chapters())
def test_the_defaults_of_each_chapter_do(chapter):
    parameters.check(chapter, {})


REFUSED = [
    ("saliency", {"weights": "default"}, "no weights are published for 'small_resnet'"),
    ("saliency", {"weights": "default", "model": "own_networks:network"}, "no weights are published for 'own_networks:network'"),
    ("saliency_lab", {"layer": "linear"}, "layer: 'linear' was given, whose output has shape (1, 9)"),
    ("saliency_lab", {"dataset": "photographs"}, "is not for training: -p epochs 0"),
    ("pruning", {"dataset": "photographs"}, "is not for training: this chapter has to train"),
    ("pruning_lab", {"dataset": "photographs", "weights": "default", "model": "efficientnet_lite0"}, "this chapter has to train"),
    ("concepts", {"concept_classes": ["cat"]}, "'cat' was given in the list"),
    ("concepts", {"concept_classes": [[1]]}, "was given in the list, a list"),
    ("concepts", {"concept_classes": []}, "an empty list"),
    ("concepts", {"concept_classes": [4, 9]}, "concept_classes: 9 was given; shapes has 9 classes, expected some of 0 to 8"),
    ("concepts", {"concept_classes": [4, 4]}, "expected each class once"),
    ("concepts", {"n_concepts": 97}, "n_concepts: 97 was given; layer 'layer3' has 96 channels"),
    ("concepts", {"layer": "linear"}, "shape (1, 9)"),
    ("concepts", {"layer": "conv1"}, "none below zero: name a layer after a ReLU"),
    ("concepts", {"layer": "layer1"}, "contributions and estimator 'exact' do not apply"),
    ("concepts", {"model": "small_vit"}, "goes on with tokens"),
    ("contributions", {"layer": "linear"}, "layer: 'linear' has shape (1, 9), expected channels with places"),
    ("contributions_lab", {"layers": "layer1.0, layer9"}, "layers: no layer 'layer9'"),
    ("contribution_modes", {"layers": "linear"}, "layers: 'linear' has shape (3, 9), expected (N, C, h, w)"),
    ("contribution_modes_lab", {"layers": "layer1, layer2.0.conv1"}, "layer 'layer2.0.conv1' does not cut"),
    ("contribution_modes_lab", {"shares": [0.5]}, "shares: [0.5] was given, expected two or more, ascending"),
    ("contribution_modes_lab", {"shares": [0.5, 0.1]}, "expected two or more, ascending"),
    ("importance", {"patch": 5}, "patch: patch=5 was given, which does not divide images of 32 pixels: expected 4 or 8"),
    ("importance", {"dataset": "photographs", "epochs": 0}, "this chapter has to train an IA"),
    ("comparison", {"grid": 7}, "grid: 7 was given, expected a number that divides image_size, 32"),
    ("comparison_lab", {"patch": 5}, "patch: patch=5 was given, which does not divide images of 32 pixels: expected 4 or 8"),
    ("importance_lab", {"patch": 5}, "patch: patch=5 was given, which does not divide images of 32 pixels: expected 4 or 8"),
    ("importance_lab", {"small_patch": 3}, "small_patch: patch=3 was given"),
    ("importance_lab", {"dataset": "photographs", "epochs": 0, "weights": "default", "model": "efficientnet_lite0"},
     "this chapter has to train an IA"),
    ("retina", {"dataset": "digits"}, "dataset 'digits' was given, expected one of 'white_noise'"),
    ("retina", {"test_images": 8}, "expected more than 12, the number of cells"),
    ("neural_pathways", {"dataset": "photographs", "epochs": 0}, "is not for training: this chapter has to train a generator"),
    ("neural_pathways_lab", {"model": "torchvision:resnet18", "image_size": 64}, "runs 2 times in a pass"),
    ("retina_lab", {"dataset": "shapes"}, "dataset 'shapes' was given, expected one of 'white_noise'"),
    ("retina_lab", {"dataset": "natrual"}, "nearest: 'natural'"),
    ("retina_lab", {"model": "small_resnet"}, "expected one of 'retina_cnn', 'retina_cnn_published'"),
    ("retina_lab", {"model": "retina_cnn_published", "image_size": 24}, "need frames of 35 pixels or more"),
    ("retina_lab", {"model": "retina_cnn_published", "image_size": 36}, "lie outside of what can be read"),
    ("retina_lab", {"test_images": 12}, "test_images: 12 was given, expected more than 12, the number of cells"),
    ("retina_lab", {"weights": "none.safetensors"}, "there is no file 'none.safetensors'"),
    ("retina_lab", {"device": "cuda:77"}, "-p device cpu computes here"),
    ("neuron_paths_lab", {"retained": []}, "an empty list"),
    ("neuron_paths_lab", {"retained": [1, 193]}, "retained: 193 was given; the layers have 192 neurons"),
    ("neuron_paths_lab", {"rerank": [193]}, "rerank: 193 was given; the layers have 192 neurons"),
    ("neuron_paths_lab", {"model": "small_resnet"}, "expected timm's or torchvision's VisionTransformer"),
    ("saliency", {"model": "own_networks:dictionary"}, "returns a dict, expected a tensor of logits (N, 9)"),
    ("saliency", {"model": "own_networks:half"}, "0.weight is torch.float16, expected torch.float32: call .float()"),
    ("saliency", {"model": "own_networks:holey"}, "0.bias has values that are not finite"),
    ("saliency", {"model": "own_networks:frozen"}, "no weight that requires a gradient, so none can be trained: -p epochs 0"),
    ("saliency", {"model": "own_networks:few"}, "returns shape (1, 2) for one image, expected logits (1, 9)"),
    ("saliency", {"model": "own_networks:inside"}, "fails in own_networks.py, line 40: TypeError: object of type 'int'"),
    ("saliency", {"model": "own_networks:lacking"}, "fails in own_networks.py, line 44: KeyError: 'the name'"),
    ("saliency", {"model": "own_networks:other"}, "is called as other(classes=..., size=...): missing a required argument"),
    ("saliency", {"model": "own_networks:narrow"}, "(1, 3, 32, 32) in own_networks.py, line 57: RuntimeError"),
    ("saliency", {"model": "broken_networks:network"}, "can't be imported in broken_networks.py, line 3: AttributeError"),
    ("saliency", {"model": "slipped_networks:network"}, "can't be imported in slipped_networks.py, line 1: SyntaxError"),
    ("saliency", {"device": "cuda:77"}, "-p device cpu computes here"),
]


@pytest.mark.parametrize("chapter, values, said", REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_what_does_not_do_is_refused_in_words(chapter, values, said):
    with pytest.raises(Refused) as refused:
        parameters.check(chapter, values)
    assert said in str(refused.value)


def test_a_folder_whose_classes_the_defaults_do_not_fit_is_told(here):
    folder = f"folder:{here / 'photos'}"
    with pytest.raises(Refused, match=r"4 was given.* has 2 classes, expected some of 0 to 1, such as -p concept_classes"):
        parameters.check("concepts", {"dataset": folder})
    parameters.check("concepts", {"dataset": folder, "concept_classes": [1]})
    with pytest.raises(Refused, match="has one class, 'dark'; expected two or more"):
        parameters.check("saliency", {"dataset": f"{folder}/dark"})


def test_what_is_only_explained_need_not_be_trainable():
    parameters.check("saliency", {"model": "own_networks:frozen", "epochs": 0})
    parameters.check("neuron_paths_lab", {"rerank": [192], "retained": [192]})
    parameters.check("concepts", {"layer": "layer1", "estimator": "sobol"})


def test_the_pages_own_network_is_explained_as_it_was_trained(tmp_path, monkeypatch):
    """The two pieces of mine.py on the page about running: a network, and the same with weights that were trained."""
    page = (parameters.BOOK / "running.md").read_text()
    pieces = re.findall(r"```python\n(# (?:added to )?mine\.py.*?)```", page, re.S)
    (tmp_path / "mine.py").write_text("\n".join(pieces))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    first = build("mine:network", classes=9, size=32, seed=5)
    torch.save(first.state_dict(), tmp_path / "mine.pt")
    assert torch.equal(build("mine:trained", classes=9, size=32)[0].weight, first[0].weight)
    parameters.check("saliency", {"model": "mine:trained", "epochs": 0})
    assert len(pieces) == 2 and "-p model mine:trained -p epochs 0" in page
    monkeypatch.delitem(sys.modules, "mine")
