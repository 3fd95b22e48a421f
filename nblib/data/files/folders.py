"""Images that lie in files: finding them, reading them, and refusing what cannot be read."""
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

from nblib.checks import quoted
from nblib.data.images import Images, Rows
from nblib.data.request import Request

MEMORY = 2**30  # bytes of images up to which a set is held as one tensor
SPLITS = ("train", "val", "test")


@dataclasses.dataclass(frozen=True)
class Listing:
    """The images of one split before they are read: `pictures[i]` is a file or a (H, W, 3) array of bytes."""

    pictures: list[Path] | np.ndarray
    labels: list[int]
    classes: list[str]
    masks: list[Path] | None = None
    inside: Callable[[np.ndarray], np.ndarray] | None = None  # from a mask file's (H, W) numbers to truth values
    uncut: bool = False  # there is no other split, so that what is held out has to be cut from this one


def gather(listing: Listing, request: Request) -> Images:
    """Return the images that were asked for, as one tensor if they are few, else read as they are sliced."""
    labels = torch.tensor(listing.labels, dtype=torch.long)
    if not len(labels):
        raise RuntimeError(f"{request.name} has no images in split {request.split!r} under {request.root}")
    rows = request.subset(labels, cut=listing.uncut)
    height, width = (request.size,) * 2 if request.size else _common_size(listing, rows, request.name)
    images = Rows(lambda number: _pixels(listing.pictures[number], request.size), rows)
    masks = None
    if listing.masks is not None:
        masks = Rows(lambda number: _mask(listing, number, (height, width)), rows)
    data = Images(images, labels[rows], listing.classes, masks=masks, key=request.key(_content(listing, rows)))
    return data.to("cpu") if len(rows) * 3 * height * width * 4 <= MEMORY else data


def read(path: Path) -> Image.Image:
    """Return the decoded picture; RuntimeError naming the file where that fails."""
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RuntimeError(f"image file {path} cannot be read ({error}); replace it, or take it out") from error


def _picture(picture: Path | np.ndarray) -> Image.Image:
    """Return the RGB picture that a listing names."""
    return Image.fromarray(picture) if isinstance(picture, np.ndarray) else read(picture).convert("RGB")


def _pixels(picture: Path | np.ndarray, size: int | None) -> Tensor:
    """Return (3, H, W) in [0, 1], squashed to `size` x `size` if that is given."""
    opened = _picture(picture)
    if size is not None and opened.size != (size, size):
        opened = opened.resize((size, size), Image.Resampling.BILINEAR)  # Pillow averages when it shrinks
    return torch.from_numpy(np.array(opened)).permute(2, 0, 1).float().div_(255)


def _mask(listing: Listing, number: int, shape: tuple[int, int]) -> Tensor:
    """Return (H, W) bool: where at least half of the pixel's area lies on the object."""
    inside = listing.inside(np.array(read(listing.masks[number]).convert("L")))
    area = Image.fromarray(inside.astype(np.uint8) * 255)
    if inside.shape != shape:
        area = area.resize(shape[::-1], Image.Resampling.BOX)
    return torch.from_numpy(np.array(area) >= 128)


def _common_size(listing: Listing, rows: Tensor, name: str) -> tuple[int, int]:
    """Return (H, W) of the images if it is one; only the files' heads are read."""
    first = None
    for number in rows.tolist():
        picture = listing.pictures[number]
        if isinstance(picture, np.ndarray):
            return picture.shape[:2]
        try:
            with Image.open(picture) as opened:
                shape = opened.size[::-1]
        except OSError as error:
            raise RuntimeError(f"image file {picture} cannot be read ({error})") from error
        first = first or shape
        if shape != first:
            raise ValueError(f"the images of {name} differ in size, {first[1]}x{first[0]} and {shape[1]}x{shape[0]} "
                             "among them; give size= to bring all to one")
    return first


def _content(listing: Listing, rows: Tensor) -> list:
    """Return what tells these images from others: each file's place and length, or the pixels themselves."""
    if isinstance(listing.pictures, np.ndarray):
        return [int(listing.pictures.sum(dtype=np.int64)), listing.pictures.shape]
    found = [listing.pictures[number] for number in rows.tolist()]
    found += [listing.masks[number] for number in rows.tolist()] if listing.masks else []
    try:
        return [["/".join(path.parts[-3:]), path.stat().st_size] for path in found]
    except OSError as error:
        raise RuntimeError(f"image file {error.filename} is listed and cannot be found: {error.strerror}") from error


def splits_in(folder: Path) -> list[str]:
    """Return which of train, val and test `folder` has."""
    return [split for split in SPLITS if (folder / split).is_dir()]


def from_folder(folder: Path, request: Request) -> Listing:
    """List `folder`/[split/]class/picture; without class folders all pictures are one class, named by the folder.

    Classes are those of all splits together, so that a label means the same in each.
    """
    splits = splits_in(folder)
    uncut = splits in ([], ["train"])
    request = request.on(splits or ["train"])
    here = folder / request.split if splits else folder
    classes = sorted({name for split in splits for name in _subfolders(folder / split)} or set(_subfolders(here)))
    if classes:
        numbers = {name: number for number, name in enumerate(classes)}
        found = make_dataset(here, numbers, IMG_EXTENSIONS, allow_empty=True)
        return Listing([Path(path) for path, _ in found], [label for _, label in found], classes, uncut=uncut)
    pictures = sorted(path for path in here.iterdir() if path.suffix.lower() in IMG_EXTENSIONS)
    if not pictures:
        raise RuntimeError(f"no images under {here}; expected files, or folders of them, that end in "
                           f"{quoted(IMG_EXTENSIONS)}")
    return Listing(pictures, [0] * len(pictures), [folder.name], uncut=uncut)


def _subfolders(folder: Path) -> list[str]:
    """Return the names of the folders in `folder`, hidden ones aside."""
    return [path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
