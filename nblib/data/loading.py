"""`load`: one call for every set of images."""
import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from nblib import store
from nblib.checks import expect_int, expect_number, expect_one_of, unknown
from nblib.data.drawn import shapes as drawing
from nblib.data.drawn.geometry import BODIES, MARKINGS
from nblib.data.files import real
from nblib.data.files.folders import Listing, gather
from nblib.data.files.photographs import photographs
from nblib.data.images import Images
from nblib.data.request import Request, data_root

SHAPES_SOURCES = store.sources("data/drawn/shapes.py", "data/drawn/geometry.py")  # what is drawn changes with them


def shapes(request: Request, *, bodies: int = 3, markings: int = 3, difficulty: float = 0.5,
           shortcut: float = 0.0) -> Images:
    """Drawn images whose class is a body with a marking; splits train, val and test."""
    request = request.on(tuple(drawing.LENGTHS))
    bodies = expect_int("bodies", bodies, 2, len(BODIES))
    markings = expect_int("markings", markings, 2, len(MARKINGS))
    request = _sized(request, smallest=drawing.SMALLEST)
    images, labels, parts = drawing.render(
        split=request.split, size=request.size, limit=request.limit, seed=request.seed, bodies=bodies,
        markings=markings, difficulty=expect_number("difficulty", difficulty, 0, 1),
        shortcut=expect_number("shortcut", shortcut, 0, 1))
    masks = (parts == drawing.BODY) | (parts == drawing.MARKING)
    return Images(images, labels, drawing.names(bodies, markings), masks=masks, parts=parts,
                  key=request.key(*SHAPES_SOURCES))


def digits(request: Request) -> Images:
    """scikit-learn's 1,797 handwritten digits, each pixel of the 8 x 8 shown as a block; splits train, val and test."""
    from sklearn.datasets import load_digits

    request = request.on(("train", "val", "test"))
    request = _sized(request, smallest=8)
    images, labels = (torch.from_numpy(values) for values in load_digits(return_X_y=True))
    rank = torch.empty_like(labels)
    for digit in range(10):
        mine = labels == digit
        rank[mine] = torch.arange(int(mine.sum()))
    place = rank % 5  # of every five images of a digit three are for training
    rows = {"train": place < 3, "val": place == 3, "test": place == 4}[request.split].nonzero().squeeze(1)
    rows = rows[request.subset(labels[rows])]
    small = images[rows].float().reshape(-1, 1, 8, 8) / 16
    grey = F.interpolate(small, size=(request.size, request.size), mode="nearest-exact")
    classes = [str(digit) for digit in range(10)]
    return Images(grey.repeat(1, 3, 1, 1), labels[rows].long(), classes, key=request.key())


def _sized(request: Request, *, smallest: int) -> Request:
    """Return the request with 32 pixels where no size was given, so that the default has one key."""
    return dataclasses.replace(request, size=expect_int("size", 32 if request.size is None else request.size, smallest))


SETS: dict[str, Callable[..., Images | Listing]] = {
    "shapes": shapes, "digits": digits, "photographs": photographs, "cifar10": real.cifar10,
    "imagenette": real.imagenette, "oxford_pets": real.oxford_pets, "stanford_cars": real.stanford_cars,
    "cub200": real.cub200, "imagenet": real.imagenet,
}


def load(name: str, *, split: str = "train", size: int | None = None, limit: int | None = None, seed: int = 0,
         data_dir: Path | str | None = None, **options: object) -> Images:
    """Load labelled images: drawn ones, digits, a few photographs, a published set, or a folder of one's own.

    Args:
        name: ``"shapes"``, ``"digits"``, ``"photographs"``, ``"cifar10"``, ``"imagenette"``, ``"oxford_pets"``,
            ``"stanford_cars"``, ``"cub200"``, ``"imagenet"``, or ``"folder:PATH"`` with pictures in
            ``PATH/[split/]class/``.
        split: ``"train"``, ``"val"`` or ``"test"``; a set has only those that its authors made (shapes and digits
            have all three, imagenette and imagenet train and val, the others train and test). Or ``"fit"`` and
            ``"held_out"``, which every set has: train, and test or else val; where a folder of one's own has no such
            split, four and one of every five images of a class, drawn by the seed. The photographs are eight to look
            at, not split: each split gives all of them, and training on them is refused.
        size: side of the images in pixels. Files are squashed to it, bilinear and averaging; the photographs are the
            middle square of their files, bicubic and averaging. None: the images' own size, which must be one; 32 for
            shapes (16 or more) and digits (8 or more), 224 for the photographs.
        limit: at most so many images, 1 or more; of shapes exactly so many. As many of each class as there are; a
            smaller limit gives the beginning of a larger one. None: all; of shapes 8,000, 2,000 and 2,000.
        seed: of the drawing, and of the choice under a limit; 0 or more.
        data_dir: the folder of the real sets; None: the variable ``NBLIB_DATA``, else ``data`` in the checkout.
        **options: of the set. shapes: ``bodies`` and ``markings``, how many of each, 2 to 6 (3), ``difficulty`` in
            [0, 1] (0.5), ``shortcut``, the probability in [0, 1] that the tile at the border tells the class (0.0).
            imagenette: ``resolution``, ``"160px"`` (default), ``"320px"`` or ``"full"``. oxford_pets: ``border``,
            whether the outline of the trimap counts as the animal (True).

    Returns:
        The `Images`. Shapes have masks and parts; oxford_pets, and cub200 where its segmentations lie too, have masks.
        See `nblib.data.drawn.shapes.render` for what the parts cover.

    Raises:
        ValueError: an unknown name, split or option, a value out of range, or mixed image sizes without `size`.
        RuntimeError: files or packages that are missing or cannot be read, named.
    """
    if not isinstance(name, str) or not (name in SETS or name.startswith("folder:")):
        raise ValueError(unknown("data set", name, [*SETS, "folder:PATH"]))
    make = SETS.get(name, real.folder)
    defaults = {option: parameter.default for option, parameter in inspect.signature(make).parameters.items()
                if parameter.kind is parameter.KEYWORD_ONLY}
    for option in options:
        expect_one_of(f"option of {name}", option, defaults)
    size = None if size is None else expect_int("size", size, 1)
    limit = None if limit is None else expect_int("limit", limit, 1)
    seed = expect_int("seed", seed, 0)
    options = defaults | options
    request = Request(name, split, size, limit, seed, data_root(data_dir), options)
    found = make(request, **options)
    return gather(found, request) if isinstance(found, Listing) else found
