"""The photographs: what is shown, that they are one set, cropped and not squashed, and never trained on."""
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nblib import store
from nblib.data import PHOTOGRAPHS, describe, fetch, load, verify
from nblib.models import build
from nblib.training import fit, trained

LABELS = ["espresso", "moped", "military uniform", "Egyptian cat", "palace", "daisy", "missile", "space shuttle"]


def inside(package: str) -> Path:
    return Path(importlib.util.find_spec(package).submodule_search_locations[0])


def test_eight_photographs_with_classes_of_imagenet():
    data = load("photographs")
    assert data.images.shape == (8, 3, 224, 224) and data.images.dtype == torch.float32
    assert data.images.min() >= 0 and data.images.max() <= 1
    assert len(data.classes) == 1000 and data.classes[0] == "tench" and data.classes[999] == "toilet tissue"
    assert [data.classes[label] for label in data.labels.tolist()] == LABELS and data.labels.dtype == torch.long
    assert data.masks is None and data.parts is None


def test_every_split_is_the_whole_set_under_one_key():
    whole = load("photographs")
    for split in ("val", "test", "fit", "held_out"):
        other = load("photographs", split=split)
        assert torch.equal(other.images, whole.images) and other.key == whole.key
    with pytest.raises(ValueError, match="'tests' was given"):
        load("photographs", split="tests")


def test_a_limit_takes_some_and_a_smaller_one_the_first_of_them():
    few, more, other = load("photographs", limit=3), load("photographs", limit=5), load("photographs", limit=5, seed=1)
    assert len(few) == 3 and torch.equal(few.images, more.images[:3]) and torch.equal(few.labels, more.labels[:3])
    assert not torch.equal(more.labels, other.labels) and len({few.key, more.key, other.key}) == 3
    assert len(load("photographs", limit=100)) == 8


def test_a_photograph_is_the_middle_square_of_its_file():
    side = 300  # the cat's picture is 451 x 300, so nothing is resized
    data = load("photographs", size=side)
    cat = data.images[LABELS.index("Egyptian cat")]
    with Image.open(inside("skimage") / "data/chelsea.png") as opened:
        pixels = torch.from_numpy(np.array(opened.convert("RGB")))
    assert torch.equal(cat, pixels[:, 75:375].permute(2, 0, 1).float() / 255)
    astronaut = load("photographs", size=256).images[-1]  # 512 x 512: four pixels become one, with no ringing far off
    with Image.open(inside("skimage") / "data/astronaut.png") as opened:
        full = torch.from_numpy(np.array(opened)).permute(2, 0, 1).float() / 255
    assert (astronaut - torch.nn.functional.avg_pool2d(full, 2)).abs().mean() < 0.01


def test_training_on_photographs_is_refused_in_words():
    data = load("photographs", size=32)
    model = build("small_resnet", classes=1000, size=32)
    for part in (data, data[:4], data.to("cpu"), data[[1, 2]]):
        with pytest.raises(ValueError, match="not for training: the photographs are 8 pictures to look at"):
            fit(model, part, epochs=1)
    with pytest.raises(ValueError, match="not for training"):
        trained("small_resnet", data, epochs=1)
    assert load("shapes", limit=9).not_for_training == ""


def test_a_package_that_is_not_there_is_named(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "skimage" else found(name))
    with pytest.raises(RuntimeError, match="scikit-image, which is not installed.*pip install scikit-image"):
        load("photographs")
    problem, = verify("photographs")
    assert "scikit-image, which is not installed" in problem


def test_a_picture_that_the_package_lacks_is_named(tmp_path, monkeypatch):
    (tmp_path / "hollow").mkdir()
    (tmp_path / "hollow/__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match=r"hollow/data/cat\.png is missing: install hollow-package again"):
        store.packaged("hollow", "data/cat.png", distribution="hollow-package")


def test_the_photographs_are_listed_as_made_here():
    row = next(row for row in describe() if row[0] == "photographs")
    assert row[2:] == ("8", "made here", True)
    assert fetch("photographs") is None and verify("photographs") == []


@pytest.mark.parametrize("file", ["book/photographs.md", "LICENSE-TEXT"])
def test_each_photograph_is_credited_with_its_file_author_and_licence(file):
    rows = " ".join((store.ROOT / file).read_text().split())
    for photograph in PHOTOGRAPHS:
        place = rows.index(f"{Path(photograph.file).name}")
        credit = rows[place:place + 400]
        author = photograph.author.split(",")[0].removeprefix("D. ").removesuffix(" and others")
        assert author in credit and photograph.distribution in rows[place - 40:place], photograph.name
        licence = photograph.licence.lower().replace("may be used and published", "permit use and publication")
        assert licence in credit.lower()


def test_the_picture_of_the_page_shows_the_set():
    with Image.open(store.ROOT / "book/images/photographs.png") as opened:
        shown = torch.from_numpy(np.array(opened.convert("RGB"))).permute(2, 0, 1).float() / 255
    assert shown.shape == (3, 2 * 224 + 8, 4 * 224 + 3 * 8)
    for number, image in enumerate(load("photographs").images):
        top, left = number // 4 * 232, number % 4 * 232
        assert (shown[:, top:top + 224, left:left + 224] - image).abs().mean() < 0.04, number  # it has 256 colours
