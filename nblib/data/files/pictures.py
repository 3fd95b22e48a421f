"""Pictures as viewers show them: upright, composed on white, deep pixels scaled and not cut; damage named."""
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

ORIENTATION = 0x0112  # the Exif tag that says how a camera was held
TURNED = (5, 6, 7, 8)  # orientations that exchange width and height
DEEP = ("I;16", "I;16L", "I;16B", "I;16N")  # sixteen bits a pixel, one channel
TRANSPARENT = ("RGBA", "LA", "PA", "RGBa", "La")
SHALLOW = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV", *TRANSPARENT)
STUBS = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}  # formats that Pillow names and cannot draw by itself


def endings() -> frozenset[str]:
    """Return the endings, such as ".png", of the files that Pillow opens."""
    known = Image.registered_extensions()
    return frozenset(ending for ending, kind in known.items() if kind in Image.OPEN and kind not in STUBS)


def read(path: Path) -> Image.Image:
    """Return the decoded picture as it is stored; RuntimeError naming the file where that fails."""
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RuntimeError(f"image file {path} cannot be read ({error}); replace it, or take it out") from error


def stored_shape(path: Path) -> tuple[int, int]:
    """Return (H, W) of a picture as it is shown; only the head of the file is read."""
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            turned = picture.getexif().get(ORIENTATION) in TURNED
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RuntimeError(f"image file {path} cannot be read ({error}); replace it, or take it out") from error
    return (width, height) if turned else (height, width)


def pixels(picture: Path | np.ndarray, size: int | None) -> Tensor:
    """Return (3, H, W) in [0, 1], squashed to `size` x `size` if that is given.

    Raises:
        RuntimeError: a file that cannot be read.
        ValueError: a kind of pixels that has no known range, by the file's name.
    """
    stored = Image.fromarray(picture) if isinstance(picture, np.ndarray) else read(picture)
    deep = stored.mode in DEEP or (stored.mode == "I" and stored.format == "PNG")  # PNG goes no deeper than sixteen
    if isinstance(picture, Path):
        stored = ImageOps.exif_transpose(stored)
    if deep:
        grey = Image.fromarray(np.array(stored).astype(np.float32) / 65535)
        return torch.from_numpy(np.array(_squashed(grey, size))).clamp_(0, 1).expand(3, -1, -1).clone()
    if stored.mode not in SHALLOW:
        raise ValueError(f"image file {picture} has pixels of kind {stored.mode!r}, of unknown black and white: "
                         "save it with 8 or 16 bits a channel")
    shown = _squashed(_on_white(stored), size)
    return torch.from_numpy(np.array(shown)).permute(2, 0, 1).float().div_(255)


def mask(path: Path, picture: Path | np.ndarray) -> np.ndarray:
    """Return the (H, W) numbers of a mask file, turned as its picture is shown."""
    stored = ImageOps.exif_transpose(read(path))
    if isinstance(picture, Path):
        with Image.open(picture) as opened:
            orientation, size = opened.getexif().get(ORIENTATION, 1), opened.size
        if orientation != 1 and stored.size == size:
            stored.getexif()[ORIENTATION] = orientation
            stored = ImageOps.exif_transpose(stored)
    return np.array(stored.convert("L"))


def _on_white(picture: Image.Image) -> Image.Image:
    """Return the RGB picture; what is transparent lies on white."""
    if picture.mode in TRANSPARENT or "transparency" in picture.info:
        clear = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    return picture.convert("RGB")


def _squashed(picture: Image.Image, size: int | None) -> Image.Image:
    """Return the picture at `size` x `size`; Pillow averages when it shrinks."""
    if size is None or picture.size == (size, size):
        return picture
    return picture.resize((size, size), Image.Resampling.BILINEAR)
