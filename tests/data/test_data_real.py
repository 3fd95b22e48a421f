"""Images in files: layouts, masks, sizes, damage, and downloads from a server on this machine."""
import functools
import hashlib
import http.server
import io
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from nblib.data import load
from nblib.data.files import download, folders, sources
from nblib.runs import parameters


def picture(path: Path, colour: tuple = (255, 0, 0), size: tuple = (12, 8)) -> None:
    """Write one plain image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def class_folders(root: Path, splits: dict[str, int], size: tuple = (12, 8)) -> None:
    """Write so many images of a red and of a blue class into each split."""
    for split, count in splits.items():
        for number in range(count):
            picture(root / split / "red" / f"{number}.png", (255, 0, 0), size)
            picture(root / split / "blue" / f"{number}.jpg", (0, 0, 255), size)


# folders

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
    assert parameters.check("neuron_paths", asked)["dataset"] == f"folder:{tmp_path}"


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


def test_a_large_set_is_read_as_it_is_sliced(tmp_path, monkeypatch):
    class_folders(tmp_path, {"train": 4})
    held = load(f"folder:{tmp_path}")
    monkeypatch.setattr(folders, "MEMORY", 100)
    streamed = load(f"folder:{tmp_path}")
    (tmp_path / "train/blue/3.jpg").unlink()  # found out when it is read, and not before
    assert torch.equal(streamed[:3].images, held.images[:3]) and streamed.key == held.key
    with pytest.raises(RuntimeError, match="3.jpg"):
        streamed[3:5].images


def test_shrinking_averages(tmp_path):
    (tmp_path / "a").mkdir()
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "a/1.png")
    inner = load(f"folder:{tmp_path}", size=8).images[:, :, :, 1:-1]
    assert (inner - 0.5).abs().max() < 0.05


# the published layouts, in miniature

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


def test_cifar10_in_torchvisions_layout(tmp_path, monkeypatch):
    import pickle  # the published files are pickles, read by torchvision after their MD5

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3072), np.uint8)
    for name, content in {"data_batch_1": {"data": pixels, "labels": [0, 1, 1, 0]},
                          "test_batch": {"data": pixels[:2], "labels": [1, 0]},
                          "batches.meta": {"label_names": ["cat", "dog"]}}.items():
        (folder / name).write_bytes(pickle.dumps(content))
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [("data_batch_1", download.md5_of(folder / "data_batch_1"))])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [("test_batch", download.md5_of(folder / "test_batch"))])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": download.md5_of(folder / "batches.meta")}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    data = load("cifar10", data_dir=tmp_path)
    assert data.classes == ("cat", "dog") and data.labels.tolist() == [0, 1, 1, 0]
    assert torch.equal(data.images.mul(255).round().byte().flatten(1), torch.from_numpy(pixels))
    assert load("cifar10", data_dir=tmp_path, size=64, limit=2).images.shape == (2, 3, 64, 64)
    assert sources.verify("cifar10", tmp_path) == []
    (folder / "test_batch").write_bytes(b"")
    assert [Path(problem.split(":")[0]).name for problem in sources.verify("cifar10", tmp_path)] == ["test_batch"]
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


def pets(root: Path) -> None:
    """Write two breeds, one of which only the test list has; left half animal, one column of outline."""
    base = root / "oxford-iiit-pet"
    trimap = np.full((8, 12), 2, np.uint8)
    trimap[:, :6], trimap[:, 6] = 1, 3
    (base / "annotations/trimaps").mkdir(parents=True)
    for name in ("Bengal_1", "Bengal_2", "great_pyrenees_1"):
        picture(base / f"images/{name}.jpg")
        Image.fromarray(trimap).save(base / f"annotations/trimaps/{name}.png")
    (base / "annotations/trainval.txt").write_text("Bengal_1 1 1 1\n")
    (base / "annotations/test.txt").write_text("Bengal_2 1 1 1\ngreat_pyrenees_1 2 2 1\n")


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
    assert len(problems := sources.verify("oxford_pets", tmp_path)) == 1 and "Bengal_1.png" in problems[0]
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


# fetching

class Server(http.server.BaseHTTPRequestHandler):
    """Serves one file, with ranges, and notes what was asked for; `cut` is after how many bytes it hangs up."""

    def do_GET(self):
        state = self.server.state
        asked = self.headers.get("Range")
        state["asked"].append(asked)
        start = int(asked[6:-1]) if asked and state["ranges"] else 0
        if asked and state["ranges"] and start >= len(state["content"]):
            return self.send_error(416)
        self.send_response(206 if start else 200) if self.path == "/set.tar.gz" else self.send_error(404)
        body = state["content"][start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:state["cut"]])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as pack:
        for name in ("set/train/a/1.png", "set/val/a/1.png"):
            picture(tmp_path / "made" / name)
            pack.add(tmp_path / "made" / name, name)
    served = http.server.HTTPServer(("127.0.0.1", 0), Server)
    served.state = {"content": buffer.getvalue(), "cut": None, "ranges": True, "asked": []}
    served.address = f"http://127.0.0.1:{served.server_port}/set.tar.gz"
    served.handle_error = lambda *_: None  # a client that hangs up is part of the tests
    thread = threading.Thread(target=functools.partial(served.serve_forever, 0.01))
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


@pytest.fixture
def source(server, monkeypatch):
    md5 = hashlib.md5(server.state["content"]).hexdigest()
    made = sources.Source("two pictures", "1 + 1", "pictures", ((server.address, md5),), "set")
    monkeypatch.setitem(sources.SOURCES, "imagenette", made)
    return made


def nothing_half_done(root: Path) -> bool:
    return not (root / "pictures").exists() and not list(root.glob(".*unpacking"))


def test_fetch_downloads_verifies_and_unpacks(tmp_path, server, source):
    assert sources.fetch("imagenette", tmp_path / "root") == tmp_path / "root/pictures"
    assert (tmp_path / "root/pictures/val/a/1.png").is_file()
    assert not list((tmp_path / "root/.downloads").iterdir())
    sources.fetch("imagenette", tmp_path / "root")  # there already: nothing is asked for
    assert server.state["asked"] == [None]


@pytest.mark.parametrize("ranges", [True, False], ids=["resumes", "begins again"])
def test_a_download_that_broke_off_goes_on(tmp_path, server, source, ranges):
    server.state.update(cut=100, ranges=ranges)
    with pytest.raises(RuntimeError, match=r"set.tar.gz could not be downloaded from http.*by hand: put it at"):
        sources.fetch("imagenette", tmp_path)
    assert (tmp_path / ".downloads/set.tar.gz.part").stat().st_size == 100 and nothing_half_done(tmp_path)
    server.state.update(cut=None)
    assert sources.fetch("imagenette", tmp_path).is_dir()
    assert server.state["asked"] == [None, "bytes=100-"]


def test_a_finished_part_and_a_file_put_there_by_hand_are_taken(tmp_path, server, source):
    waiting = tmp_path / ".downloads"
    waiting.mkdir()
    (waiting / "set.tar.gz.part").write_bytes(server.state["content"])
    assert sources.fetch("imagenette", tmp_path).is_dir()
    other = tmp_path / "other/.downloads"
    other.mkdir(parents=True)
    (other / "set.tar.gz").write_bytes(server.state["content"])
    before = len(server.state["asked"])
    assert sources.fetch("imagenette", tmp_path / "other").is_dir() and len(server.state["asked"]) == before


def test_another_content_than_published_is_refused_and_removed(tmp_path, server, source):
    server.state["content"] = b"x" * 500
    with pytest.raises(RuntimeError, match="not the published file: its MD5 is"):
        sources.fetch("imagenette", tmp_path)
    assert not list((tmp_path / ".downloads").iterdir()) and nothing_half_done(tmp_path)


def test_no_server_and_no_such_file(tmp_path, server, source, monkeypatch):
    for address in (server.address + ".old", "http://127.0.0.1:9/set.tar.gz"):
        monkeypatch.setitem(sources.SOURCES, "imagenette", sources.Source("", "", "pictures", ((address, "0" * 32),)))
        with pytest.raises(RuntimeError, match="could not be downloaded"):
            sources.fetch("imagenette", tmp_path)
        assert nothing_half_done(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, server, source):
    (tmp_path / ".downloads").mkdir()
    (tmp_path / ".downloads/set.tar.gz.part").symlink_to("/dev/full")
    with pytest.raises(RuntimeError, match="the disk is full. Make room and try again"):
        sources.fetch("imagenette", tmp_path)
    assert nothing_half_done(tmp_path)


def test_an_archive_that_does_not_unpack_leaves_nothing(tmp_path, server, source, monkeypatch):
    server.state["content"] = server.state["content"][:-30]
    md5 = hashlib.md5(server.state["content"]).hexdigest()
    monkeypatch.setitem(sources.SOURCES, "imagenette",
                        sources.Source("", "", "pictures", ((server.address, md5),), "set"))
    with pytest.raises(RuntimeError, match="could not be unpacked"):
        sources.fetch("imagenette", tmp_path)
    assert nothing_half_done(tmp_path)


def test_sets_that_need_no_files_or_a_hand(tmp_path):
    assert sources.fetch("shapes", tmp_path) is None and sources.verify("digits", tmp_path) == []
    for name in ("stanford_cars", "cub200", "imagenet"):
        with pytest.raises(RuntimeError, match=f"{name} cannot be fetched; put into"):
            sources.fetch(name, tmp_path)
    with pytest.raises(ValueError, match="nearest: 'cifar10'"):
        sources.fetch("cifar", tmp_path)
    with pytest.raises(RuntimeError, match="was not found under"):
        sources.verify("cub200", tmp_path)


def test_describe_says_what_is_there(tmp_path):
    class_folders(tmp_path / "cub200", {"train": 1})
    pets(tmp_path)
    present = {name: there for name, _, _, _, there in sources.describe(tmp_path)}
    assert {name for name, there in present.items() if there} == {
        "shapes", "digits", "photographs", "cub200", "oxford_pets"}


# the real images, where they are

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
