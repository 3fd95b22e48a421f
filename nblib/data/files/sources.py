"""Where the sets come from: what there is, what lies here, fetching it whole or not at all, and checking it."""
import dataclasses
import os
import shutil
import tarfile
from pathlib import Path

from torchvision import datasets

from nblib import store
from nblib.checks import expect_one_of
from nblib.data.files.contents import digests
from nblib.data.files.download import download, md5_of
from nblib.data.files.folders import SPLITS, Listing, files_in, splits_in
from nblib.data.files.pictures import read
from nblib.data.loading import SETS
from nblib.data.request import Request, data_root


@dataclasses.dataclass(frozen=True)
class Source:
    """One set: what it is, how many images its authors published, and where its files come from and go."""

    what: str
    images: str
    folder: str = ""  # under the root, as torchvision lays it out
    archives: tuple[tuple[str, str], ...] = ()  # (address, MD5), as torchvision's class has them
    inside: str = "."  # what of the unpacked archives becomes the folder
    by_hand: str = ""  # for sets that cannot be fetched: what to put there


SOURCES = {
    "shapes": Source("drawn shapes with known parts", "any number"),
    "digits": Source("handwritten digits, part of scikit-learn", "1,797"),
    "photographs": Source("photographs that installed packages carry", "8"),
    "cifar10": Source("small photographs of ten things", "50,000 + 10,000", datasets.CIFAR10.base_folder,
                      ((datasets.CIFAR10.url, datasets.CIFAR10.tgz_md5),), datasets.CIFAR10.base_folder),
    "imagenette": Source("ten classes of ImageNet at 160 pixels", "9,469 + 3,925", "imagenette2-160",
                         (datasets.Imagenette._ARCHIVES["160px"],), "imagenette2-160"),
    "oxford_pets": Source("cats and dogs of 37 breeds, with trimaps", "3,680 + 3,669", "oxford-iiit-pet",
                          datasets.OxfordIIITPet._RESOURCES),
    "stanford_cars": Source(
        "cars of 196 models", "8,144 + 8,041", "stanford_cars",
        by_hand="cars_train/, cars_test/, devkit/ and cars_test_annos_withlabels.mat; its authors' address is gone"),
    "cub200": Source(
        "birds of 200 species, with segmentations", "5,994 + 5,794", "CUB_200_2011",
        by_hand="the unpacked CUB_200_2011.tgz, and in it or beside it the unpacked segmentations.tgz"),
    "imagenet": Source(
        "ImageNet 2012, a thousand classes", "1,281,167 + 50,000", "imagenet",
        by_hand="train/<wnid>/*.JPEG and val/<wnid>/*.JPEG, and for readable class names the meta.bin that "
                "torchvision makes of the devkit; its authors ask for a log-in"),
}


def _source(name: str) -> Source:
    """Return the source of a set; ValueError with near matches for any other name."""
    return SOURCES[expect_one_of("data set", name, SOURCES)]


def _places(name: str, root: Path) -> list[Path]:
    """Return the folders under `root` in which a set lies: torchvision's, or one of class folders under its name."""
    official = root / SOURCES[name].folder
    usual = [official] if official.is_dir() and name not in ("stanford_cars", "imagenet") else []
    usual += [official] if name == "stanford_cars" and (official / "devkit").is_dir() else []
    return usual + ([root / name] if splits_in(root / name) else [])


def describe(data_dir: Path | str | None = None) -> list[tuple[str, str, str, str, bool]]:
    """List the sets.

    Args:
        data_dir: the folder of the real sets; None as in `nblib.data.load`.

    Returns:
        For each set: its name, what it shows, how many images its authors published (train + test or val), where it
        lies or would lie here, and whether it does.
    """
    root = data_root(data_dir)
    rows = []
    for name, source in SOURCES.items():
        places = _places(name, root) if source.folder else []
        where = str(places[0] if places else root / source.folder) if source.folder else "made here"
        rows.append((name, source.what, source.images, where, bool(places) or not source.folder))
    return rows


def files_key(name: str, data_dir: Path | str | None = None) -> str:
    """Return a key that changes with any file of a set, or of the folder in "folder:PATH".

    It is "" for a set that is made here or comes with a library, and the same for all sets that are not there.
    """
    if name.startswith("folder:"):
        places = [Path(name.removeprefix("folder:")).expanduser()]
    else:
        root = data_root(data_dir)
        places = _places(name, root) if _source(name).folder else []
        places += [root / "segmentations"] if places and name == "cub200" else []
    found = [(place, path) for place in places for path in sorted(path for _, path in files_in(place, deep=True))
             if path.is_file()]
    if not found:
        return ""
    return store.key([str(path.relative_to(place)) for place, path in found], digests([path for _, path in found]))


def fetch(name: str, data_dir: Path | str | None = None) -> Path | None:
    """Download and unpack a set, going on where an earlier try stopped.

    Args:
        name: one of the sets of `describe`.
        data_dir: the folder of the real sets; None as in `nblib.data.load`.

    Returns:
        The folder of the set, None for one that needs no files. It appears when it is complete, never before; a set
        that lies there already is left as it is.

    Raises:
        ValueError: an unknown name.
        RuntimeError: a set that has to be put there by hand; a download that failed, broke off, or is not the
            published file; a full disk. Each says which file, from where, and where to put it by hand.
    """
    source = _source(name)
    root = data_root(data_dir)
    if not source.folder:
        return None
    if places := _places(name, root):
        return places[0]
    target = root / source.folder
    if not source.archives:
        raise RuntimeError(f"{name} cannot be fetched; put into {target}: {source.by_hand}")
    with store.lock(root / f".{name}", f"another process fetches {name}"):
        if not target.is_dir():
            waiting = root / ".downloads"
            files = [waiting / Path(address).name for address, _ in source.archives]
            for path, (address, md5) in zip(files, source.archives):
                download(address, path, md5, by_hand=f"by hand: put it at {path} and fetch {name} again")
            _unpack(files, target, source.inside)
            for path in files:
                path.unlink()
    return target


def _unpack(archives: list[Path], target: Path, inside: str) -> None:
    """Unpack beside `target`, then let the whole folder take its place."""
    work = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(work, ignore_errors=True)  # of a try that was killed
    try:
        for archive in archives:
            with tarfile.open(archive) as pack:
                pack.extractall(work, filter="data")
        os.replace(work / inside, target)
    except (OSError, tarfile.TarError, EOFError) as error:
        raise RuntimeError(f"{', '.join(map(str, archives))} could not be unpacked into {target}: {error}; nothing was "
                           "left there") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def verify(name: str, data_dir: Path | str | None = None) -> list[str]:
    """Check the files of a set: CIFAR-10's against their MD5, of the others that every image and mask can be read.

    Each split of a set has to hold an image. A copy may hold fewer than its authors published: `count_images` tells.

    Args:
        name: one of the sets of `describe`.
        data_dir: the folder of the real sets; None as in `nblib.data.load`.

    Returns:
        The problems found, each naming its file; an empty list if there are none.

    Raises:
        ValueError: an unknown name.
        RuntimeError: the set is not there.
    """
    source = _source(name)
    root = data_root(data_dir)
    if not source.folder:
        return _unreadable_photographs(root) if name == "photographs" else []
    official = root / source.folder
    if name == "cifar10" and official.is_dir():
        published = [*datasets.CIFAR10.train_list, *datasets.CIFAR10.test_list,
                     (datasets.CIFAR10.meta["filename"], datasets.CIFAR10.meta["md5"])]
        return [f"{official / file}: missing, or not the published file" for file, md5 in published
                if not (official / file).is_file() or md5_of(official / file) != md5]
    problems = []
    for split in SPLITS:
        try:
            listing = _listing(name, split, root)
        except RuntimeError as error:
            if not _places(name, root):
                raise
            problems.append(f"{split}: {str(error).partition(' `python3')[0]}")  # which would name this very command
            continue
        if listing and not listing.labels:
            problems.append(f"{split}: {name} under {root} has no image in this split")
        for path in [*listing.pictures, *(listing.masks or [])] if listing else ():
            try:
                read(path)
            except RuntimeError as error:
                problems.append(str(error))
    return problems


def count_images(name: str, data_dir: Path | str | None = None) -> dict[str, int]:
    """Return how many images of each split of a set lie here; nothing for a set that needs no files.

    Arguments and errors: as in `verify`.
    """
    if not _source(name).folder:
        return {}
    found = {split: _listing(name, split, data_root(data_dir)) for split in SPLITS}
    return {split: len(listing.labels) for split, listing in found.items() if listing}


def _listing(name: str, split: str, root: Path) -> Listing | None:
    """Return the images of a split before they are read, None where the set has no such split."""
    try:
        return SETS[name](Request(name, split, None, None, 0, root, {}))
    except ValueError:
        return None


def _unreadable_photographs(root: Path) -> list[str]:
    """Return what keeps the photographs of installed packages from being read; nothing if all can be."""
    try:
        SETS["photographs"](Request("photographs", "train", None, None, 0, root, {}))
    except RuntimeError as error:
        return [str(error)]
    return []
