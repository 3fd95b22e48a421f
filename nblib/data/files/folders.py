"""Images that lie in folders: finding them, reading them as they are asked for, and their keys."""
import dataclasses
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nblib.checks import quoted
from nblib.data.files import pictures
from nblib.data.files.contents import digests
from nblib.data.images import Images, Rows
from nblib.data.request import Request

MEMORY = 2**30  # bytes of images up to which a set is held as one tensor
SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}


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
    images = Rows(lambda number: pictures.pixels(listing.pictures[number], request.size), rows)
    masks = None
    if listing.masks is not None:
        masks = Rows(lambda number: _mask(listing, number, (height, width)), rows)
    data = Images(images, labels[rows], listing.classes, masks=masks, key=request.key(*_content(listing, rows)))
    return data.to("cpu") if len(rows) * 3 * height * width * 4 <= MEMORY else data


def _mask(listing: Listing, number: int, shape: tuple[int, int]) -> Tensor:
    """Return (H, W) bool: where at least half of the pixel's area lies on the object."""
    inside = listing.inside(pictures.mask(listing.masks[number], listing.pictures[number]))
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
        shape = pictures.stored_shape(picture)
        first = first or shape
        if shape != first:
            raise ValueError(f"the images of {name} differ in size, {first[1]}x{first[0]} and {shape[1]}x{shape[0]} "
                             "among them; give size= to bring all to one")
    return first


def _content(listing: Listing, rows: Tensor) -> list:
    """Return what tells these images from others: pixels, labels, masks, and the names of the classes."""
    said = [listing.classes, [listing.labels[number] for number in rows.tolist()]]
    if isinstance(listing.pictures, np.ndarray):
        return [*said, listing.pictures.shape, np.ascontiguousarray(listing.pictures[rows.numpy()]).tobytes()]
    found = [listing.pictures[number] for number in rows.tolist()]
    found += [listing.masks[number] for number in rows.tolist()] if listing.masks else []
    return [*said, digests(found)]


def splits_in(folder: Path) -> dict[str, Path]:
    """Return the folder of each split that `folder` has, by "train", "val" and "test"; it may be written in any case.

    A folder that only happens to be called so is no split: one with pictures right in it, beside other classes.

    Raises:
        RuntimeError: two folders for one split.
    """
    found: dict[str, Path] = {}
    others = []
    for path in _subfolders(folder) if folder.is_dir() else ():
        split = next((split for split, names in SPLITS.items() if path.name.lower() in names), None)
        if split is None:
            others.append(path)
        elif split in found:
            both = quoted([found[split].name, path.name])
            raise RuntimeError(f"{folder} has two folders for {split}, {both}: take one out")
        else:
            found[split] = path
    classes = [path for path in others if _pictures(path)]
    if classes and any(_pictures(path) for path in found.values()):
        return {}
    if found and classes:
        splits, beside = (quoted([path.name for path in paths]) for paths in (found.values(), classes))
        warnings.warn(f"{folder}: beside the splits {splits}, {beside} is left out", stacklevel=2)
    return {split: found[split] for split in SPLITS if split in found}


def from_folder(folder: Path, request: Request) -> Listing:
    """List `folder`/[split/]class/picture; without class folders all pictures are one class, named by the folder.

    Classes are those of all splits together, so that a label means the same in each; empty ones are left out.
    """
    splits = splits_in(folder)
    uncut = list(splits) in ([], ["train"])
    request = request.on(list(splits) or ["train"])
    here = splits[request.split] if splits else folder
    found = {place: {path.name: _pictures(path, deep=True) for path in _subfolders(place)}
             for place in splits.values() or [here]}
    classes = sorted({name for names in found.values() for name, pictured in names.items() if pictured})
    empty = sorted({name for names in found.values() for name in names} - set(classes))
    _say_what_is_left_out(here, empty, classes)
    if not classes:
        pictured = _pictures(here)
        if not pictured:
            raise RuntimeError(f"no images under {here}; expected files, or folders of them, that end in .png, .jpg or "
                               "whatever else Pillow opens")
        return Listing(pictured, [0] * len(pictured), [folder.name], uncut=uncut)
    lists = [found[here].get(name, []) for name in classes]
    return Listing([path for some in lists for path in some],
                   [number for number, some in enumerate(lists) for _ in some], classes, uncut=uncut)


def _say_what_is_left_out(folder: Path, empty: list[str], classes: list[str]) -> None:
    """Warn of classes without a picture, of pictures beside the classes, and of files that are no pictures."""
    said = [f"folders without a picture: {quoted(empty)}"] if empty and classes else []
    if classes and (loose := _pictures(folder)):
        said.append(f"{len(loose)} pictures that lie in no class, such as {loose[0].name!r}")
    known = pictures.endings()
    others = [name for name, _ in files_in(folder, deep=bool(classes)) if Path(name).suffix.lower() not in known]
    if others:
        said.append(f"{len(others)} files that are no pictures, such as {others[0]!r}")
    if said:
        warnings.warn(f"{folder}: left out are {'; '.join(said)}", stacklevel=2)


def _subfolders(folder: Path) -> list[Path]:
    """Return the folders in `folder` by name, hidden ones aside."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _pictures(folder: Path, *, deep: bool = False) -> list[Path]:
    """Return the pictures right in a folder, or with `deep` at any depth of it, by their paths."""
    known = pictures.endings()
    return sorted(path for name, path in files_in(folder, deep=deep) if Path(name).suffix.lower() in known)


def files_in(folder: Path, *, deep: bool) -> Iterator[tuple[str, Path]]:
    """Yield name and path of each file that is not hidden, nor in a hidden folder; follows links, but no loops."""
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX") if deep else []
        for name in names:
            if not name.startswith("."):
                yield name, Path(place, name)
