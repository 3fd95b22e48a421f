"""Images in folders: splits, classes, sizes, damage, limits, keys."""
import os

import numpy as np
import pytest
import torch
from PIL import Image

from nblib.data import load
from nblib.runs import parameters
from tests.fixtures.pictures import class_folders, picture


def test_a_folder_with_splits(tmp_path):
    class_folders(tmp_path, {"train": 3, "test": 2})
    data = load(f"folder:{tmp_path}")
    assert data.classes == ("blue", "red") and data.labels.tolist() == [0] * 3 + [1] * 3
    assert data.images.shape == (6, 3, 8, 12) and data.masks is None and data.parts is None
    assert (data.images[data.labels == 1][:, 0] == 1).all() and (data.images[data.labels == 1][:, 1:] == 0).all()
    assert len(load(f"folder:{tmp_path}", split="test")) == 4
    with pytest.raises(ValueError, match="'val' was given, expected one of 'train', 'test'"):
        load(f"folder:{tmp_path}", split="val")


def test_a_folder_that_only_has_images_to_hold_out_serves_a_chapter(tmp_path):
    class_folders(tmp_path, {"val": 2}, size=(32, 32))
    asked = {"dataset": f"folder:{tmp_path}", "epochs": 0}
    assert parameters.check("neuron_paths_lab", asked)["dataset"] == f"folder:{tmp_path}"


def test_a_class_that_one_split_lacks_keeps_the_labels_of_the_others(tmp_path):
    class_folders(tmp_path, {"train": 2})
    picture(tmp_path / "test/red/0.png")
    data = load(f"folder:{tmp_path}", split="test")
    assert data.classes == ("blue", "red") and data.labels.tolist() == [1]


def test_a_folder_without_splits_and_one_without_classes(tmp_path):
    class_folders(tmp_path / "a", {".": 2})
    assert len(load(f"folder:{tmp_path / 'a'}")) == 4
    with pytest.raises(ValueError, match="'test' was given, expected one of 'train'"):
        load(f"folder:{tmp_path / 'a'}", split="test")
    picture(tmp_path / "holiday/1.png")
    data = load(f"folder:{tmp_path / 'holiday'}")
    assert data.classes == ("holiday",) and data.labels.tolist() == [0]


def test_empty_and_absent_folders_are_refused(tmp_path):
    with pytest.raises(RuntimeError, match="no images under"):
        load(f"folder:{tmp_path}")
    with pytest.raises(RuntimeError, match="no folder"):
        load(f"folder:{tmp_path / 'nowhere'}")


def test_mixed_sizes_need_a_size(tmp_path):
    picture(tmp_path / "a/1.png", size=(10, 10))
    picture(tmp_path / "a/2.png", size=(20, 10))
    with pytest.raises(ValueError, match="10x10 and 20x10.*give size="):
        load(f"folder:{tmp_path}")
    assert load(f"folder:{tmp_path}", size=16).images.shape == (2, 3, 16, 16)
    assert load(f"folder:{tmp_path}", limit=1).images.shape[0] == 1


@pytest.mark.parametrize("damage", ["truncated", "not an image", "empty"])
def test_a_damaged_file_is_named(tmp_path, damage):
    picture(tmp_path / "a/1.png", size=(64, 64))
    broken = tmp_path / "a/2.png"
    picture(broken, size=(64, 64))
    content = broken.read_bytes()
    broken.write_bytes({"truncated": content[:-40], "not an image": b"hello" * 9, "empty": b""}[damage])
    for size in (None, 32):
        with pytest.raises(RuntimeError, match="2.png cannot be read"):
            load(f"folder:{tmp_path}", size=size)


def test_a_limit_takes_as_many_of_each_class(tmp_path):
    class_folders(tmp_path, {"train": 6})
    few, many = (load(f"folder:{tmp_path}", limit=limit) for limit in (4, 7))
    assert few.labels.bincount().tolist() == [2, 2] and torch.equal(few.labels, many.labels[:4])
    assert few.key != many.key
    assert len(load(f"folder:{tmp_path}", limit=99)) == 12
    orders = {tuple(load(f"folder:{tmp_path}", limit=8, seed=seed).labels.tolist()) for seed in range(9)}
    assert len(orders) > 1


def test_the_key_follows_the_files(tmp_path):
    class_folders(tmp_path, {"train": 2})
    before = load(f"folder:{tmp_path}").key
    assert load(f"folder:{tmp_path}").key == before
    with open(tmp_path / "train/red/0.png", "ab") as handle:
        handle.write(b"0")
    assert load(f"folder:{tmp_path}").key != before


def test_a_large_set_is_read_as_it_is_sliced(tmp_path):
    class_folders(tmp_path / "few", {"train": 4})
    held = load(f"folder:{tmp_path / 'few'}", size=512)
    class_folders(tmp_path / "many", {"train": 4})
    for number in range(4, 200):  # with the others more than a GB
        for first in ("red/0.png", "blue/0.jpg"):
            first = tmp_path / "many/train" / first
            os.link(first, first.with_stem(str(number)))
    streamed = load(f"folder:{tmp_path / 'many'}", size=512)
    (tmp_path / "many/train/red/199.png").unlink()  # found out when it is read, and not before
    assert torch.equal(streamed[:3].images, held.images[:3]) and "as they are sliced" in repr(streamed)
    with pytest.raises(RuntimeError, match="199.png"):
        streamed[streamed.labels == 1].images


def test_shrinking_averages(tmp_path):
    (tmp_path / "a").mkdir()
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "a/1.png")
    inner = load(f"folder:{tmp_path}", size=8).images[:, :, :, 1:-1]
    assert (inner - 0.5).abs().max() < 0.05
