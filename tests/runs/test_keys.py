"""What an executed page depends on is in its key."""
import os

import pytest

from nblib.data import STIMULI
from nblib.runs import chapters, parameters
from tests.fixtures.pictures import class_folders

OWN = "from torch import nn\n\ndef network(*, classes, size):\n" \
      "    return nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, classes))\n"


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder with images, weights and a network of a reader's, and the parameters that name them."""
    class_folders(tmp_path / "photos", {"train": 3, "test": 3})
    (tmp_path / "w.safetensors").write_bytes(b"weights")
    (tmp_path / "page_net.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    defaults = {item.name: item.default for item in parameters.declared(parameters.source("saliency_lab")).values()}
    return tmp_path, defaults | {"dataset": f"folder:{tmp_path / 'photos'}", "image_size": 16}


def key(values) -> str:
    return chapters.page_key("saliency_lab", values)


def test_a_page_follows_the_content_of_its_data(mine):
    folder, values = mine
    first = key(values)
    picture = sorted((folder / "photos").rglob("*.png"))[0]
    os.utime(picture, (1, 1))
    assert key(values) == first, "the time of a file is no content"
    content = picture.read_bytes()
    picture.write_bytes(next((folder / "photos").rglob("*.jpg")).read_bytes())
    assert key(values) != first
    picture.write_bytes(content)
    assert key(values) == first
    picture.rename(picture.with_name("another.png"))
    assert key(values) != first


def test_a_page_of_movies_follows_their_kind():
    defaults = {item.name: item.default for item in parameters.declared(parameters.source("retina_lab")).values()}
    keys = {kind: chapters.page_key("retina_lab", defaults | {"dataset": kind}) for kind in STIMULI}
    assert len(set(keys.values())) == len(STIMULI) == 3


def test_a_page_follows_its_weights(mine):
    folder, values = mine
    first = key(values | {"weights": str(folder / "w.safetensors")})
    (folder / "w.safetensors").write_bytes(b"others!")
    assert key(values | {"weights": str(folder / "w.safetensors")}) != first


def test_a_page_follows_a_readers_own_network(mine):
    folder, values = mine
    first = key(values | {"model": "page_net:network"})
    assert key(values | {"model": "page_net:network"}) == first != key(values)
    (folder / "page_net.py").write_text(OWN + "# changed\n")
    assert key(values | {"model": "page_net:network"}) != first


def test_a_page_follows_published_weights_that_lie_with_the_data(mine, monkeypatch):
    folder, values = mine
    monkeypatch.setenv("NBLIB_DATA", str(folder))
    values |= {"model": "resnet20", "weights": "default"}
    first = key(values)
    (folder / "cifar10_resnet").mkdir()
    (folder / "cifar10_resnet/resnet20.safetensors").write_bytes(b"weights")
    assert key(values) != first
