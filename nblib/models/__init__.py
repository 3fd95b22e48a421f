"""The networks that are explained: each of them by name, from `build`."""
from nblib.models.batch_norm import together
from nblib.models.building import OURS, build
from nblib.models.normalisation import IMAGENET, normalised

__all__ = [
    "build", "IMAGENET", "normalised", "OURS", "together",
]
