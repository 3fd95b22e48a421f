"""Of what a reader's own network is made: the key of a training or a page changes with each file of it."""
import sys

import pytest
import torch
from safetensors.torch import save_file

from nblib import store
from nblib.models import build, made_of, published

SOURCE = """
import sys
sys.path.insert(0, {elsewhere!r})
import json
import torch
from own_parts import blocks
from own_layers import width
SHAPE = json.load(open({folder!r} + "/shape.json"))

def network(*, classes, size):
    from safetensors.torch import load_file
    model = blocks.make(classes, size, width())
    model.load_state_dict(torch.load({folder!r} + "/w.pt", weights_only=True) | load_file({folder!r} + "/bias.safetensors"))
    return model
"""
BLOCKS = """
from torch import nn
from . import names

def make(classes, size, width):
    import own_late
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, width), nn.Linear(width, classes))
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A reader's network in a package, a module elsewhere, one that is imported late, and four files that are read."""
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "own_parts").mkdir()
    elsewhere.mkdir()
    for name, text in {
        "own_net.py": SOURCE.format(elsewhere=str(elsewhere), folder=str(tmp_path)), "own_parts/__init__.py": "",
        "own_parts/blocks.py": BLOCKS, "own_parts/names.py": "", "own_late.py": "", "unused.py": "",
        "elsewhere/own_layers.py": "def width():\n    return 2\n", "shape.json": "{}",
    }.items():
        (tmp_path / name).write_text(text)
    weights = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2), torch.nn.Linear(2, 2)).state_dict()
    torch.save({name: tensor for name, tensor in weights.items() if "weight" in name}, tmp_path / "w.pt")
    save_file({name: tensor for name, tensor in weights.items() if "bias" in name}, tmp_path / "bias.safetensors")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]


def key() -> str:
    """Return the key of the reader's network as a fresh process finds it."""
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]
    return store.key(*made_of("own_net:network", build("own_net:network", classes=2, size=2)))


@pytest.mark.parametrize("name", ["own_net.py", "own_parts/__init__.py", "own_parts/blocks.py", "own_parts/names.py",
                                  "own_late.py", "elsewhere/own_layers.py", "shape.json"])
def test_the_key_follows_each_file_that_is_imported_or_read(own, name):
    before = key()
    assert key() == before
    (own / "unused.py").write_text("# changed\n")
    assert key() == before
    with open(own / name, "a") as file:
        file.write("\n")
    assert key() != before


def test_a_package_that_is_installed_elsewhere_is_not_the_readers(own, monkeypatch):
    installed = own / "lib/site-packages"
    installed.mkdir(parents=True)
    (installed / "own_library.py").write_text("import own_inside\n")
    (installed / "own_inside.py").write_text("raise RuntimeError('it was imported to look into it')\n")
    (own / "own_late.py").write_text("import sys\nif 0:\n    import own_library\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(installed)])
    before = key()
    (installed / "own_library.py").write_text("import own_inside  # another version\n")
    assert key() == before
    (own / "own_late.py").write_text("# changed\n")
    assert key() != before


def test_the_key_follows_weights_however_they_are_read(own):
    found = [key()]
    torch.save({"1.weight": torch.ones(2, 12), "2.weight": torch.ones(2, 2)}, own / "w.pt")
    found.append(key())
    save_file({"1.bias": torch.ones(2), "2.bias": torch.ones(2)}, own / "bias.safetensors")
    found.append(key())
    assert len(set(found)) == 3


def test_what_was_read_at_the_import_counts_at_later_calls(own):
    key()
    again = made_of("own_net:network", build("own_net:network", classes=2, size=2))
    assert {"shape.json", "w.pt", "own_net.py", "own_layers.py"} <= {getattr(part, "name", "") for part in again}


def test_networks_of_libraries_are_made_of_nothing_else():
    for name in ("small_resnet", "torchvision:resnet18"):
        assert made_of(name, build(name, classes=2, size=32)) == []


def test_published_weights_below_the_folder_of_data_are_found(tmp_path, monkeypatch):
    monkeypatch.setenv("NBLIB_DATA", str(tmp_path))
    assert published("resnet20") == [] == published("timm:resnet50")
    for place in ("cifar10_resnet/resnet20-1.th", "timm/resnet50.safetensors"):
        (tmp_path / place).parent.mkdir()
        (tmp_path / place).write_bytes(b"")
        assert published("resnet20" if "20" in place else "timm:resnet50") == [tmp_path / place]
