"""`load`: one call for every set of images."""
import difflib
import inspect
import numbers

import torch

from nblib import store
from nblib.data import shapes as drawing
from nblib.data.images import Images


def shapes(*, split: str, size: int | None, limit: int | None, seed: int, data_dir: object, bodies: int = 3,
           markings: int = 3, difficulty: float = 0.5, shortcut: float = 0.0) -> Images:
    size = 32 if size is None else size
    drawn = dict(bodies=bodies, markings=markings, difficulty=difficulty, shortcut=shortcut)
    images, labels, parts = drawing.render(split=split, size=size, limit=limit, seed=seed, **drawn)
    masks = (parts == drawing.BODY) | (parts == drawing.MARKING)
    key = store.key("shapes", split, size, limit, seed, drawn)
    return Images(images, labels, drawing.names(bodies, markings), masks=masks, parts=parts, key=key)


SETS = {"shapes": shapes}


def load(name, *, split="train", size=None, limit=None, seed=0, data_dir=None, **options) -> Images:
    return SETS[name](split=split, size=size, limit=limit, seed=seed, data_dir=data_dir, **options)
