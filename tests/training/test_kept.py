"""Trainings that are done once: by their key, behind a lock, gone on with after an interruption."""
import importlib
import sys

import pytest
import torch

from nblib import training
from nblib.data import Images
from nblib.models import build
from tests.fixtures.training import bright, equal, run


def test_a_model_is_trained_once_for_its_key(steps, tmp_path):
    ask = dict(epochs=1, batch_size=16, device="cpu")
    first = training.trained("small_resnet", bright(32), **ask)
    assert steps.since() == 2
    again = training.trained("small_resnet", bright(32), progress=False, **ask)
    assert steps.since() == 0 and equal(first, again) and not again.training
    for change in (dict(seed=1), dict(epochs=2), dict(lr=0.1), dict(data=bright(34))):
        options = ask | change
        training.trained("small_resnet", options.pop("data", bright(32)), **options)
        assert steps.since() > 0
    files = [path for path in (tmp_path / "models").iterdir() if path.suffix == ".safetensors"]
    assert len(files) == 5 and not any("training" in path.name for path in files)
    for path in files:
        path.write_bytes(path.read_bytes()[:200])
    with pytest.warns(UserWarning, match="truncated"):
        assert equal(training.trained("small_resnet", bright(32), **ask), first)
    assert steps.since() == 2


def test_an_interrupted_trained_goes_on_and_a_readers_file_is_part_of_the_key(steps, tmp_path, monkeypatch):
    source = "from tests.fixtures.training import Tiny\n\n\ndef make(classes, size):\n    return Tiny(classes)\n"
    (tmp_path / "own_net.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    ask = dict(epochs=3, batch_size=16, device="cpu")
    steps.last = 10  # in the third epoch of four steps each
    with pytest.raises(KeyboardInterrupt):
        training.trained("own_net:make", bright(), **ask)
    steps.last = None
    steps.since()
    model = training.trained("own_net:make", bright(), **ask)
    assert steps.since() == 4  # the third epoch alone
    whole = build("own_net:make", classes=2, size=8)
    run(whole)
    assert equal(model, whole) and steps.since() == 12
    training.trained("own_net:make", bright(), **ask)
    assert steps.since() == 0
    (tmp_path / "own_net.py").write_text(source + "# changed\n")
    training.trained("own_net:make", bright(), **ask)
    assert steps.since() == 12


def test_a_file_that_a_readers_network_reads_is_part_of_the_key(steps, tmp_path, monkeypatch):
    source = "import torch\nfrom tests.fixtures.training import Tiny\n\n\ndef make(classes, size):\n" \
             f"    model = Tiny(classes)\n    model.scale = torch.load({str(tmp_path / 'w.pt')!r}, weights_only=True)\n" \
             "    return model\n"
    (tmp_path / "own_reader.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    ask = dict(epochs=1, batch_size=16, device="cpu")
    for scale, made in [(1.0, 4), (1.0, 0), (2.0, 4), (1.0, 0)]:
        torch.save(torch.tensor(scale), tmp_path / "w.pt")
        training.trained("own_reader:make", bright(), **ask)
        assert steps.since() == made


def test_published_weights_are_part_of_the_key(steps, tmp_path, monkeypatch):
    monkeypatch.setenv("NBLIB_DATA", str(tmp_path))
    ask = dict(epochs=1, batch_size=16, device="cpu", weights="default", classes=10, size=8)
    for seed in (0, 1):
        (tmp_path / "cifar10_resnet").mkdir(exist_ok=True)
        training.save(build("resnet20", classes=10, size=8, seed=seed), tmp_path / "cifar10_resnet/resnet20.safetensors")
        training.trained("resnet20", bright(), **ask)
        assert steps.since() == 4


def test_what_cannot_be_kept_is_refused():
    with pytest.raises(ValueError, match="after_step"):
        training.trained("small_resnet", bright(), epochs=1, after_step=print)
    with pytest.raises(ValueError, match="'epoch' was given, expected .*nearest: 'epochs'"):
        training.trained("small_resnet", bright(), epoch=1)
    with pytest.raises(ValueError, match="no key"):
        training.trained("small_resnet", Images(torch.rand(2, 3, 8, 8), torch.tensor([0, 1]), "ab"), epochs=1)


def test_a_reader_s_folder_may_be_called_like_a_library(tmp_path, monkeypatch):
    """What lies in it decides what is kept, whatever the folder is called."""
    folder, paths = tmp_path / "timm" / "torch", []
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(folder)
    for width in (2, 3):
        (folder / "odd_place.py").write_text(f"from torch import nn\n\n\nclass Net(nn.Linear):\n    width = {width}\n")
        importlib.invalidate_caches()
        module = importlib.import_module("odd_place")
        paths.append(training.kept_at("odd_place:make", module.Net(2, 2), bright(), 1))
        monkeypatch.delitem(sys.modules, "odd_place")
    assert paths[0] != paths[1]
