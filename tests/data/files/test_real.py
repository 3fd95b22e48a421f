"""The published sets in their layouts, made up and, where they are here, real."""
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from nblib.data import count_images, load, verify
from tests.fixtures.pictures import class_folders, pets, picture


@pytest.mark.parametrize("name", ["cifar10", "imagenette", "oxford_pets", "stanford_cars", "cub200", "imagenet"])
def test_class_folders_under_the_name_of_a_set(tmp_path, name):
    with pytest.raises(RuntimeError, match=f"(?s){name} was not found under .*nblib data fetch {name}.*by hand"):
        load(name, data_dir=tmp_path)
    class_folders(tmp_path / name, {"train": 1, "test": 1})
    assert load(name, data_dir=tmp_path, split="test").classes == ("blue", "red")


def test_the_root_comes_from_the_environment(tmp_path, monkeypatch):
    class_folders(tmp_path / "cifar10", {"train": 1})
    monkeypatch.setenv("NBLIB_DATA", str(tmp_path))
    assert len(load("cifar10")) == 2
    with pytest.raises(RuntimeError, match="elsewhere"):
        load("cifar10", data_dir=tmp_path / "elsewhere")


def md5_of(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_cifar10_in_torchvisions_layout(tmp_path, monkeypatch):
    import pickle  # the published files are pickles, read by torchvision after their MD5

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3072), np.uint8)
    for name, content in {"data_batch_1": {"data": pixels, "labels": [0, 1, 1, 0]},
                          "test_batch": {"data": pixels[:2], "labels": [1, 0]},
                          "batches.meta": {"label_names": ["cat", "dog"]}}.items():
        (folder / name).write_bytes(pickle.dumps(content))
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [("data_batch_1", md5_of(folder / "data_batch_1"))])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [("test_batch", md5_of(folder / "test_batch"))])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": md5_of(folder / "batches.meta")}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    data = load("cifar10", data_dir=tmp_path)
    assert data.classes == ("cat", "dog") and data.labels.tolist() == [0, 1, 1, 0]
    assert torch.equal(data.images.mul(255).round().byte().flatten(1), torch.from_numpy(pixels))
    assert load("cifar10", data_dir=tmp_path, size=64, limit=2).images.shape == (2, 3, 64, 64)
    assert verify("cifar10", tmp_path) == []
    (folder / "test_batch").write_bytes(b"")
    assert [Path(problem.split(":")[0]).name for problem in verify("cifar10", tmp_path)] == ["test_batch"]
    with pytest.raises(RuntimeError, match="nblib data verify cifar10"):
        load("cifar10", data_dir=tmp_path)


def test_imagenette_in_torchvisions_layout(tmp_path):
    for split in ("train", "val"):
        for wnid in ("n01440764", "n02102040"):
            picture(tmp_path / "imagenette2-160" / split / wnid / "1.JPEG")
    data = load("imagenette", split="val", data_dir=tmp_path)
    assert data.classes == ("tench", "English springer") and data.labels.tolist() == [0, 1]
    with pytest.raises(ValueError, match="'train', 'val'"):
        load("imagenette", split="test", data_dir=tmp_path)
    with pytest.raises(ValueError, match="resolution '160' was given, .*nearest: '160px'"):
        load("imagenette", data_dir=tmp_path, resolution="160")


def test_a_set_without_an_image_is_not_complete(tmp_path):
    for split in ("train", "val"):
        (tmp_path / "imagenette2-160" / split / "n01440764").mkdir(parents=True)
    problems = verify("imagenette", tmp_path)
    assert [problem.split(":")[0] for problem in problems] == ["train", "val"] and "n01440764" in problems[0]
    for split in ("train", "val"):
        picture(tmp_path / "imagenette2-160" / split / "n01440764/1.JPEG")
    assert verify("imagenette", tmp_path) == [] and count_images("digits") == {}
    assert count_images("imagenette", tmp_path) == {"train": 1, "val": 1}
    base = tmp_path / "CUB_200_2011"
    base.mkdir()
    for table in ("images", "image_class_labels", "train_test_split", "classes"):
        (base / f"{table}.txt").write_text("")
    problems = verify("cub200", tmp_path)
    assert len(problems) == 2 and all("no image in this split" in problem for problem in problems)


def test_pets_have_masks_with_and_without_the_outline(tmp_path):
    pets(tmp_path)
    data = load("oxford_pets", data_dir=tmp_path)
    assert data.classes == ("Bengal", "Great Pyrenees") and data.labels.tolist() == [0]
    assert data.masks.dtype == torch.bool and data.masks[0, 0].tolist() == [True] * 7 + [False] * 5
    bare = load("oxford_pets", data_dir=tmp_path, border=False, split="test")
    assert bare.masks.shape == (2, 8, 12) and bare.masks[1, 0].tolist() == [True] * 6 + [False] * 6
    small = load("oxford_pets", data_dir=tmp_path, size=4, border=False)
    assert small.masks[0, 0].tolist() == [True, True, False, False]
    with pytest.raises(ValueError, match="border='no'"):
        load("oxford_pets", data_dir=tmp_path, border="no")
    trimap = tmp_path / "oxford-iiit-pet/annotations/trimaps/Bengal_1.png"
    trimap.write_bytes(b"no picture")
    with pytest.raises(RuntimeError, match="Bengal_1.png cannot be read"):
        load("oxford_pets", data_dir=tmp_path)
    assert len(problems := verify("oxford_pets", tmp_path)) == 1 and "Bengal_1.png" in problems[0]
    trimap.unlink()
    with pytest.raises(RuntimeError, match="Bengal_1.png is listed and cannot be read"):
        load("oxford_pets", data_dir=tmp_path)


def test_stanford_cars_in_torchvisions_layout(tmp_path):
    from scipy.io import savemat

    base = tmp_path / "stanford_cars"
    (base / "devkit").mkdir(parents=True)
    for split, names in {"train": ["1.jpg", "2.jpg"], "test": ["1.jpg", "2.jpg"]}.items():
        for name in names:
            picture(base / f"cars_{split}" / name)
        fields = [("fname", "O"), ("class", "O")]
        table = np.array([(name, number + 1) for number, name in enumerate(names)], dtype=fields)
        place = base / ("devkit/cars_train_annos.mat" if split == "train" else "cars_test_annos_withlabels.mat")
        savemat(place, {"annotations": table})
    savemat(base / "devkit/cars_meta.mat", {"class_names": np.array(["Audi", "Fiat"], dtype="O")})
    data = load("stanford_cars", split="test", data_dir=tmp_path)
    assert data.classes == ("Audi", "Fiat") and data.labels.tolist() == [0, 1]


@pytest.mark.parametrize("place", ["CUB_200_2011/segmentations", "segmentations", None])
def test_cub200_in_its_layout(tmp_path, place):
    base = tmp_path / "CUB_200_2011"
    names = ["001.Laysan_Albatross/a.jpg", "002.Crow/b.jpg", "002.Crow/c.jpg"]
    for number, name in enumerate(names):
        picture(base / "images" / name)
        if place:
            votes = np.zeros((8, 12), np.uint8)
            votes[:, :3], votes[:, 3:5] = 204, 102
            (mask := (tmp_path / place / name).with_suffix(".png")).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(votes).save(mask)
    for table, values in {"images": names, "image_class_labels": [1, 2, 2], "train_test_split": [1, 0, 1]}.items():
        (base / f"{table}.txt").write_text("".join(f"{i + 1} {value}\n" for i, value in enumerate(values)))
    (base / "classes.txt").write_text("1 001.Laysan_Albatross\n2 002.Crow\n")
    data = load("cub200", data_dir=tmp_path)
    assert data.classes == ("Laysan Albatross", "Crow") and data.labels.tolist() == [0, 1]
    assert len(load("cub200", split="test", data_dir=tmp_path)) == 1
    assert data.masks is None if place is None else data.masks[0, 0].tolist() == [True] * 3 + [False] * 9
    (base / "classes.txt").unlink()
    with pytest.raises(RuntimeError, match="classes.txt"):
        load("cub200", data_dir=tmp_path)


def test_imagenet_in_torchvisions_layout(tmp_path):
    base = tmp_path / "imagenet"
    for wnid in ("n01440764", "n02102040"):
        picture(base / "val" / wnid / "1.JPEG")
    torch.save(({"n01440764": ("tench", "fish"), "n02102040": ("springer",)}, []), base / "meta.bin")
    data = load("imagenet", split="val", data_dir=tmp_path)
    assert data.classes == ("tench", "springer") and data.labels.tolist() == [0, 1]
    with pytest.raises(ValueError, match="'train' was given, expected one of 'val'"):
        load("imagenet", split="train", data_dir=tmp_path)


def lies_in(real: Path, folder: str) -> None:
    if not (real / folder).is_dir():
        pytest.skip(f"{folder} is not among the real images here")


def test_real_pets(real):
    lies_in(real, "oxford-iiit-pet")
    train, test = (load("oxford_pets", split=split, size=64, data_dir=real) for split in ("train", "test"))
    assert train.classes == test.classes and "Abyssinian" in train.classes
    assert 0.2 < train.masks.float().mean() < 0.7
    assert 0.3 < train.images.mean() < 0.6
    bare = load("oxford_pets", size=64, data_dir=real, border=False)
    assert (bare.masks <= train.masks).float().mean() > 0.999 and bare.masks.sum() < train.masks.sum()


def test_real_imagenette(real):
    lies_in(real, "imagenette2-160")
    data = load("imagenette", split="val", size=64, limit=100, data_dir=real)
    assert len(data.classes) == 10 and data.labels.bincount().tolist() == [10] * 10
    assert 0.3 < data.images.mean() < 0.6


def test_real_cifar10(real):
    lies_in(real, "cifar10-5k")
    data = load(f"folder:{real / 'cifar10-5k'}", split="test")
    assert data.images.shape == (1000, 3, 32, 32)
    assert data.classes == ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    assert 0.4 < data.images.mean() < 0.55
