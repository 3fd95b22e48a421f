"""Pairs for ROAD: the imputation of nine percentages of one image beside a sparse solve for each of them."""
from collections.abc import Callable

import numpy
import torch
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve
from torch import Tensor

from benchmarks.difference import Pair
from nblib.data import load
from nblib.methods.saliency import saliency
from nblib.metrics import impute, kept_pixels
from nblib.models import build

PERCENTAGES = range(10, 100, 10)
NEIGHBOURS = {(down, across): 1 / 12 if down and across else 1 / 6
              for down in (-1, 0, 1) for across in (-1, 0, 1) if down or across}


def solved(image: Tensor, keep: Tensor) -> Tensor:
    """The usual way: the matrix of one image (C, H, W) is filled in neighbour by neighbour, then solved directly."""
    pixels, kept = image.double().numpy(), keep.numpy()
    height, width = kept.shape
    row, column = numpy.nonzero(~kept)
    number = numpy.full(kept.shape, -1)
    number[row, column] = numpy.arange(len(row))
    matrix, weights = lil_matrix((len(row), len(row))), numpy.zeros(len(row))
    right = numpy.zeros((len(row), len(pixels)))
    for (down, across), weight in NEIGHBOURS.items():
        y, x = row + down, column + across
        inside = numpy.flatnonzero((y >= 0) & (y < height) & (x >= 0) & (x < width))
        weights[inside] += weight
        y, x = y[inside], x[inside]
        also_removed = number[y, x] >= 0
        matrix[inside[also_removed], number[y, x][also_removed]] = -weight
        right[inside[~also_removed]] += weight * pixels[:, y[~also_removed], x[~also_removed]].T
    matrix.setdiag(weights)
    filled = pixels.copy()
    filled[:, row, column] = spsolve(matrix.tocsc(), right).reshape(len(row), -1).T
    return torch.from_numpy(filled).to(image)


def imputation(method: str, **options) -> Callable[[], Pair]:
    """Return a function that makes a pair for the maps of one method: one image of 224 × 224, nine percentages."""

    def make() -> Pair:
        model = build("torchvision:resnet18", classes=9, size=224, seed=0)
        image = load("shapes", split="test", size=224, limit=1).images
        keep = kept_pixels(saliency(model, image, method=method, **options), PERCENTAGES)[0]
        images = image.expand(len(keep), -1, -1, -1)
        return {
            "ours": lambda: impute(images, keep, noise=0.0),
            "theirs": lambda: torch.stack([solved(image[0], mask) for mask in keep]),
        }

    return make


PAIRS: dict[str, Callable[[], Pair]] = {
    "ROAD of gradient, 224 px, spsolve": imputation("gradient"),
    "ROAD of integrated_gradients, 224 px, spsolve": imputation("integrated_gradients", steps=10),
    "ROAD of grad_cam, 224 px, spsolve": imputation("grad_cam", layer="layer4"),
}
