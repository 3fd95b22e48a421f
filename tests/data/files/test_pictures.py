"""Pictures as viewers show them, folders as people have them, and keys that follow what files hold."""
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nblib.data import load


def plain(path: Path, colour=(255, 0, 0), size=(16, 16), **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)


def folders(root: Path, *names: str, count: int = 5) -> Path:
    for name in names:
        for number in range(count):
            plain(root / name / f"{number}.png", (number, 0, 0))
    return root


# pixels

@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_sixteen_bits_are_scaled_and_not_cut(tmp_path, ending):
    ramp = np.linspace(0, 65535, 4096).reshape(64, 64).astype(np.uint16)
    (tmp_path / "a").mkdir()
    Image.fromarray(ramp).save(tmp_path / f"a/1.{ending}")
    image = load(f"folder:{tmp_path}").images[0]
    assert torch.allclose(image, torch.from_numpy(ramp / 65535).float().expand(3, -1, -1), atol=1e-6)
    half = load(f"folder:{tmp_path}", size=32).images[0]
    assert half.shape == (3, 32, 32) and abs(half.mean().item() - 0.5) < 1e-3


def test_pixels_of_no_known_range_are_refused_by_name(tmp_path):
    (tmp_path / "a").mkdir()
    Image.fromarray(np.ones((8, 8), np.float32)).save(tmp_path / "a/scan.tiff")
    with pytest.raises(ValueError, match="scan.tiff has pixels of kind 'F'.*8 or 16 bits"):
        load(f"folder:{tmp_path}")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_as_viewers_show_it(tmp_path, orientation):
    shown = np.zeros((24, 32, 3), np.uint8)
    shown[:12, :16] = 255  # white at the upper left
    stored = Image.fromarray(shown)
    undo = {2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}  # Pillow's transpositions, written out by hand
    for step in undo.get(orientation, []):
        stored = stored.transpose(step)
    tag = Image.Exif()
    tag[0x0112] = orientation
    (tmp_path / "a").mkdir()
    stored.save(tmp_path / "a/1.jpg", exif=tag, quality=100)
    image = load(f"folder:{tmp_path}").images[0]
    assert image.shape == (3, 24, 32)
    assert (image[0] - torch.from_numpy(shown[..., 0] / 255)).abs().max() < 0.1


def test_what_is_transparent_lies_on_white(tmp_path):
    clear = np.zeros((16, 16, 4), np.uint8)
    clear[..., 1] = 255  # hidden green
    clear[:8, :, 3] = 255
    (tmp_path / "a").mkdir()
    Image.fromarray(clear).save(tmp_path / "a/1.png")
    image = load(f"folder:{tmp_path}").images[0]
    assert image[:, 0, 0].tolist() == [0, 1, 0] and image[:, 12, 0].tolist() == [1, 1, 1]
    index = Image.fromarray(np.zeros((16, 16), np.uint8), "P")
    index.putpalette([0, 255, 0] * 256)
    index.save(tmp_path / "a/1.png", transparency=0)
    assert (load(f"folder:{tmp_path}").images == 1).all()


def test_a_bomb_of_pixels_is_named(tmp_path, monkeypatch):
    plain(tmp_path / "a/bomb.png", size=(64, 64))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for size in (None, 8):
        with pytest.raises(RuntimeError, match="bomb.png cannot be read"):
            load(f"folder:{tmp_path}", size=size)


# folders

def test_splits_are_found_in_any_case(tmp_path):
    folders(tmp_path, "Training/a", "Training/b", "TESTING/a", "TESTING/b")
    data = load(f"folder:{tmp_path}", split="fit")
    assert data.classes == ("a", "b") and len(data) == 10
    assert len(load(f"folder:{tmp_path}", split="test")) == 10
    folders(tmp_path, "train/a")
    with pytest.raises(RuntimeError, match="two folders for train, 'Training', 'train'"):
        load(f"folder:{tmp_path}")


def test_a_class_may_be_called_train(tmp_path):
    data = load(f"folder:{folders(tmp_path, 'bus', 'car', 'train')}")
    assert data.classes == ("bus", "car", "train") and len(data) == 15


def test_hidden_files_and_editors_leftovers_do_not_count(tmp_path):
    folders(tmp_path, "cat", "dog", "cat/.ipynb_checkpoints", ".trash/cat", "cat/__MACOSX")
    plain(tmp_path / "cat/._0.png")
    assert load(f"folder:{tmp_path}").labels.bincount().tolist() == [5, 5]


def test_every_ending_that_pillow_opens_is_read(tmp_path):
    folders(tmp_path, "cat")
    for ending in ("webp", "gif", "BMP", "tif", "ppm", "tga"):
        plain(tmp_path / f"cat/more.{ending}")
    plain(tmp_path / "cat/more.jfif", format="JPEG")
    assert len(load(f"folder:{tmp_path}")) == 12


def test_links_are_followed_and_loops_are_not(tmp_path):
    folders(tmp_path / "elsewhere", "cat")
    folders(tmp_path / "photos", "dog")
    (tmp_path / "photos/cat").symlink_to(tmp_path / "elsewhere/cat")
    (tmp_path / "photos/dog/again").symlink_to(tmp_path / "photos/dog")
    assert load(f"folder:{tmp_path / 'photos'}").labels.bincount().tolist() == [5, 5]
    (tmp_path / "photos/dog/broken.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(RuntimeError, match="broken.png"):
        load(f"folder:{tmp_path / 'photos'}")


def test_what_is_left_out_is_said(tmp_path):
    folders(tmp_path, "cat", "dog")
    (tmp_path / "empty").mkdir()
    (tmp_path / "cat/notes.txt").write_text("hello")
    plain(tmp_path / "loose.png")
    with pytest.warns(UserWarning, match="without a picture: 'empty'.*1 pictures.*'loose.png'.*1 files.*'notes.txt'"):
        data = load(f"folder:{tmp_path}")
    assert data.classes == ("cat", "dog") and len(data) == 10
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(f"folder:{folders(tmp_path / 'clean', 'cat', 'dog')}")


# keys

def test_other_pixels_of_equal_length_are_other_data(tmp_path):
    def shoot(colour):
        for number in range(3):
            plain(tmp_path / f"a/{number}.bmp", (colour, number, number))
        return load(f"folder:{tmp_path}").key

    first = shoot(250)
    assert shoot(10) != first and shoot(250) == first


def test_a_key_does_not_depend_on_where_the_files_lie(tmp_path):
    first = load(f"folder:{folders(tmp_path / 'x', 'a', 'b')}")
    shutil.copytree(tmp_path / "x", tmp_path / "deeper/x")
    os.utime(tmp_path / "deeper/x/a/0.png", (0, 0))
    place = os.getcwd()
    os.chdir(tmp_path / "deeper")
    try:
        again = load("folder:x")
    finally:
        os.chdir(place)
    assert torch.equal(first.images, again.images) and first.key == again.key


def test_remembered_digests_follow_the_files(tmp_path, monkeypatch):
    monkeypatch.setenv("NBLIB_STORE", str(tmp_path / "store"))
    monkeypatch.setattr("nblib.data.files.contents.AT_ONCE", 10)  # as if the set were large
    folders(tmp_path / "x", "a")
    first = load(f"folder:{tmp_path / 'x'}").key
    remembered, = (tmp_path / "store/digests").iterdir()
    assert load(f"folder:{tmp_path / 'x'}").key == first
    plain(tmp_path / "x/a/0.png", (9, 9, 9))
    assert load(f"folder:{tmp_path / 'x'}").key != first
    remembered.write_text("{")  # a broken memory is no memory
    assert load(f"folder:{tmp_path / 'x'}").key != first
