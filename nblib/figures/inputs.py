"""What the figures accept: tensors and arrays, checked, in the shape that matplotlib wants."""
from collections.abc import Sequence

import numpy as np


def as_array(values) -> np.ndarray:
    """Return a tensor, on whatever device, or an array as a numpy array."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)


def as_pictures(images) -> np.ndarray:
    """Return (N, 3, H, W) or (N, 1, H, W) in [0, 1] as (N, H, W, 3)."""
    images = as_array(images)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise ValueError(f"images of shape {images.shape} were given, expected (N, 3, H, W) with N at least 1")
    if not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(f"images between {images.min():.3g} and {images.max():.3g} were given, expected [0, 1]")
    return np.repeat(images, 3 // images.shape[1], axis=1).transpose(0, 2, 3, 1)


def as_maps(name: str, values, pictures: np.ndarray) -> np.ndarray:
    """Return the maps of one name, (N, H, W), or say what is wrong with them."""
    values = as_array(values)
    if values.shape != pictures.shape[:3]:
        expected = f"{pictures.shape[:3]}, one for each image"
        raise ValueError(f"{name!r} of shape {values.shape} was given, expected {expected}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name!r} has values that are not finite")
    return values


def expect_count(what: str, names: Sequence[str] | None, count: int) -> None:
    """Refuse labels of another number than the things they name."""
    if names is not None and len(names) != count:
        raise ValueError(f"{len(names)} {what} were given, expected {count}")
