"""Photographs that installed packages carry: real pictures for looking at, with no download."""
import dataclasses

import numpy as np
import torch
from PIL import Image

from nblib import store
from nblib.checks import expect_int
from nblib.data.files.pictures import read
from nblib.data.images import Images
from nblib.data.request import Request

SIZE = 224  # pixels, what networks that were trained on ImageNet are usually shown
SPLITS = ("train", "val", "test")


@dataclasses.dataclass(frozen=True)
class Photograph:
    """One picture: the file `file` of the package `package`, and the class of ImageNet that fits it best."""

    name: str
    label: str
    distribution: str
    package: str
    file: str
    author: str
    licence: str


# The order is from what a network of ImageNet is sure of to what it does not know. No class is called motorcycle,
# rocket, dahlia or astronaut: the nearest is the label, of the astronaut's picture the shuttle that stands behind her.
# The cat could be a tabby, a tiger cat or an Egyptian cat, all of them classes.
PHOTOGRAPHS = (
    Photograph("coffee", "espresso", "scikit-image", "skimage", "data/coffee.png", "Rachel Michetti", "CC0"),
    Photograph("motorcycle", "moped", "scikit-image", "skimage", "data/motorcycle_left.png",
               "D. Scharstein and others, Middlebury College", "may be used and published"),
    Photograph("portrait", "military uniform", "matplotlib", "matplotlib", "mpl-data/sample_data/grace_hopper.jpg",
               "James S. Davis, United States Navy", "public domain"),
    Photograph("cat", "Egyptian cat", "scikit-image", "skimage", "data/chelsea.png", "Stefan van der Walt", "CC0"),
    Photograph("palace", "palace", "scikit-learn", "sklearn", "datasets/images/china.jpg", "danielbuechele",
               "CC BY 2.0"),
    Photograph("flower", "daisy", "scikit-learn", "sklearn", "datasets/images/flower.jpg", "vultilion", "CC BY 2.0"),
    Photograph("rocket", "missile", "scikit-image", "skimage", "data/rocket.jpg", "SpaceX", "public domain"),
    Photograph("astronaut", "space shuttle", "scikit-image", "skimage", "data/astronaut.png", "NASA", "public domain"),
)


def photographs(request: Request) -> Images:
    """Eight photographs, labelled with classes of ImageNet; one set, which every split gives whole."""
    from torchvision.models import ResNet18_Weights

    request.on(SPLITS)
    size = expect_int("size", SIZE if request.size is None else request.size, 1)
    classes = ResNet18_Weights.DEFAULT.meta["categories"]
    labels = torch.tensor([classes.index(photograph.label) for photograph in PHOTOGRAPHS])
    rows = request.subset(labels)
    images = torch.stack([_pixels(PHOTOGRAPHS[row], size) for row in rows.tolist()])
    return Images(images, labels[rows], classes, key=store.key(request.name, images, labels[rows]), not_for_training=(
        f"the photographs are {len(PHOTOGRAPHS)} pictures to look at; train on another set, such as 'shapes', or "
        "explain a network with published weights, such as 'efficientnet_lite0' with weights='default'"))


def _pixels(photograph: Photograph, size: int) -> torch.Tensor:
    """Return the middle square of a photograph as (3, size, size) in [0, 1], averaged where it shrinks."""
    picture = read(store.packaged(photograph.package, photograph.file, distribution=photograph.distribution))
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    square = picture.convert("RGB").crop((left, top, left + side, top + side))
    resized = square.resize((size, size), Image.Resampling.BICUBIC)  # Pillow averages when it shrinks
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1).float().div_(255)
