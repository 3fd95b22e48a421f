"""The real sets: where each lies, laid out for torchvision's classes or as folders of classes under its name."""
from collections.abc import Callable
from pathlib import Path

import numpy as np
from torchvision import datasets

from nblib.checks import expect_one_of
from nblib.data.files.folders import Listing, from_folder, splits_in
from nblib.data.request import Request


def _as_folder(request: Request, looked: str) -> Listing:
    """List the copy of a set that lies as root/name/split/class/picture; RuntimeError where nothing lies at all."""
    folder = request.root / request.name
    if not splits_in(folder):
        raise RuntimeError(
            f"{request.name} was not found under {request.root} (looked for {looked} and {request.name}/"
            f"{{train,val,test}}/<class>/*.jpg). Fetch it with `python3 -m nblib data fetch {request.name}`, or put it "
            "there by hand, or name its folder with data_dir= or the variable NBLIB_DATA")
    return from_folder(folder, request)


def _torchvision(make: Callable[[], object], request: Request) -> object:
    """Return torchvision's data set, its refusal put in our words."""
    try:
        return make()
    except (RuntimeError, OSError, ValueError) as error:
        raise RuntimeError(f"{request.name} under {request.root} is incomplete or damaged: {error} "
                           f"`python3 -m nblib data verify {request.name}` says more") from error


def _listed(dataset: object, classes: list[str]) -> Listing:
    """List a torchvision data set that was made with `loader=Path`, so that its items are paths."""
    items = [dataset[number] for number in range(len(dataset))]
    return Listing([path for path, _ in items], [label for _, label in items], classes)


def cifar10(request: Request) -> Listing:
    """CIFAR-10: 50,000 + 10,000 images of 32 x 32; splits train and test."""
    if not (request.root / datasets.CIFAR10.base_folder).is_dir():
        return _as_folder(request, datasets.CIFAR10.base_folder)
    request = request.on(("train", "test"))
    found = _torchvision(lambda: datasets.CIFAR10(request.root, train=request.split == "train"), request)
    return Listing(found.data, found.targets, found.classes)


def imagenette(request: Request, *, resolution: str = "160px") -> Listing:
    """Imagenette: ten classes of ImageNet; splits train and val."""
    folders = {"160px": "imagenette2-160", "320px": "imagenette2-320", "full": "imagenette2"}
    expect_one_of("resolution", resolution, folders)
    if not (request.root / folders[resolution]).is_dir():
        return _as_folder(request, folders[resolution])
    request = request.on(("train", "val"))
    found = _torchvision(
        lambda: datasets.Imagenette(request.root, split=request.split, size=resolution, loader=Path), request)
    return _listed(found, [names[0] for names in found.classes])


def oxford_pets(request: Request, *, border: bool = True) -> Listing:
    """Oxford-IIIT Pets with the trimaps as masks; splits train (what its authors call trainval) and test."""
    if not isinstance(border, bool):
        raise ValueError(f"border={border!r} was given, expected True or False")
    if not (request.root / "oxford-iiit-pet").is_dir():
        return _as_folder(request, "oxford-iiit-pet")
    request = request.on(("train", "test"))
    both = {split: _torchvision(lambda: datasets.OxfordIIITPet(request.root, split=official), request)
            for split, official in (("train", "trainval"), ("test", "test"))}
    # a partial copy may lack a breed in one of the lists, so the names come from both
    names = {label: path.stem.rsplit("_", 1)[0].replace("_", " ").title()
             for found in both.values() for path, label in zip(found._images, found._labels)}
    classes = [names.get(label, f"breed {label + 1}") for label in range(max(names) + 1)]
    found = both[request.split]
    object_values = (1, 3) if border else (1,)  # 1 the animal, 2 around it, 3 its outline
    return Listing(found._images, found._labels, classes, masks=found._segs,
                   inside=lambda trimap: np.isin(trimap, object_values))


def stanford_cars(request: Request) -> Listing:
    """Stanford Cars: 196 models of cars; splits train and test."""
    if not (request.root / "stanford_cars" / "devkit").is_dir():
        return _as_folder(request, "stanford_cars/devkit")
    request = request.on(("train", "test"))
    found = _torchvision(lambda: datasets.StanfordCars(request.root, split=request.split, loader=Path), request)
    return _listed(found, found.classes)


def cub200(request: Request) -> Listing:
    """CUB-200-2011: 200 species of birds, masks where most of the five annotators agree; splits train and test."""
    folder = request.root / "CUB_200_2011"
    if not folder.is_dir():
        return _as_folder(request, folder.name)
    request = request.on(("train", "test"))
    try:
        names, labels, train, classes = (
            [line.split(maxsplit=1)[1].strip() for line in (folder / f"{table}.txt").read_text().splitlines() if line]
            for table in ("images", "image_class_labels", "train_test_split", "classes"))
    except (OSError, IndexError) as error:
        raise RuntimeError(f"cub200 under {folder} is incomplete or damaged: {error}") from error
    if not len(names) == len(labels) == len(train):
        raise RuntimeError(f"cub200 under {folder} is damaged: {len(names)} images, {len(labels)} labels and "
                           f"{len(train)} splits are listed")
    mine = [number for number, flag in enumerate(train) if (flag == "1") == (request.split == "train")]
    places = (folder / "segmentations", request.root / "segmentations")
    outlines = next((place for place in places if place.is_dir()), None)
    return Listing(
        [folder / "images" / names[number] for number in mine], [int(labels[number]) - 1 for number in mine],
        [name.split(".", 1)[-1].replace("_", " ") for name in classes],
        masks=outlines and [outlines / Path(names[number]).with_suffix(".png") for number in mine],
        inside=lambda votes: votes >= 128)


def imagenet(request: Request) -> Listing:
    """ImageNet 2012: a thousand classes; splits train and val."""
    folder = request.root / "imagenet"
    if not (folder / "meta.bin").is_file() or not splits_in(folder):
        return _as_folder(request, "imagenet/meta.bin")
    request = request.on(splits_in(folder))
    found = _torchvision(lambda: datasets.ImageNet(folder, split=request.split, loader=Path), request)
    return _listed(found, [names[0] for names in found.classes])


def folder(request: Request) -> Listing:
    """Somebody's own images: PATH/[split/]class/picture, or pictures alone."""
    if request.name == "folder:":
        raise ValueError("data set 'folder:' was given; after `folder:` comes the path of a folder of images")
    place = Path(request.name.removeprefix("folder:")).expanduser()
    if not place.is_dir():
        raise RuntimeError(f"no folder {place.absolute()}; after `folder:` comes the path of a folder of images")
    return from_folder(place, request)
