"""Pairs for importance: accuracies at 22 thresholds from one pass of the embeddings, beside a full pass for each; RISE in
patches from the masks' means, beside full masks and a full map, for scores that are given and as a whole."""
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.difference import Pair
from nblib.comparison import patch_maps
from nblib.data import load
from nblib.methods.importance import THRESHOLDS, insertion_deletion, train_importance
from nblib.methods.saliency import unsigned_maps
from nblib.methods.saliency.perturbation import cells_of, soft_masks
from nblib.metrics import normalize_max, to_patches
from nblib.models import build
from nblib.models.importance import EmbeddingModel


def trained() -> tuple[EmbeddingModel, Tensor, Tensor]:
    """Return an EA on an IA of a short training, which is kept, 256 images, and their labels."""
    data, test = load("shapes", split="train", limit=2000), load("shapes", split="test", limit=256)
    ia = train_importance(data, epochs=4, device="cpu", progress=False)
    return EmbeddingModel(ia), test.images, test.labels


@torch.no_grad()
def full_passes(ea: EmbeddingModel, images: Tensor, labels: Tensor) -> Tensor:
    """The accuracies at all thresholds in both orders, each from the images anew, 64 at a time."""
    found = []
    for order in (torch.ge, torch.le):
        for t in THRESHOLDS:
            right = 0
            for rows, wanted in zip(images.split(64), labels.split(64)):
                importance = ea.scores(rows)
                logits = ea.answer(ea.components(rows), importance * order(importance, t))
                right += int((logits.argmax(1) == wanted).sum())
            found.append(right / len(images))
    return torch.tensor(found, dtype=torch.float64)


def zeroing() -> Pair:
    """Return a pair of 22 accuracies."""
    ea, images, labels = trained()

    def ours() -> Tensor:
        found = insertion_deletion(ea, images, labels)
        return torch.cat([found.insertion, found.deletion])

    return {"ours": ours, "theirs": lambda: full_passes(ea, images, labels)}


def cut_masks(on: Tensor, shift: Tensor, side: int) -> Tensor:
    """RISE's masks as its authors make them, each enlarged whole and cut out."""
    cell = -(-side // on.shape[1])
    large = functional.interpolate(on.unsqueeze(1), size=[(on.shape[1] + 1) * cell] * 2, mode="bilinear").squeeze(1)
    return torch.stack([mask[y : y + side, x : x + side] for mask, (y, x) in zip(large, shift.tolist())])


def pooled(side: int, patch: int, images: int = 16, masks: int = 1000, cells: int = 8) -> Callable[[], Pair]:
    """Return a function that makes a pair of patches (images, g · g), from scores of masks that are given."""

    def make() -> Pair:
        generator = torch.Generator().manual_seed(0)
        on = (torch.rand(masks, cells, cells, generator=generator) < 0.5).float()
        shift = (torch.rand(masks, 2, generator=generator) * -(-side // cells)).long()
        scores = torch.rand(images, masks, generator=generator)

        def ours() -> Tensor:
            parts = cells_of(side, cells, patch).float()
            return scores @ soft_masks(on, shift, parts, parts).flatten(1)

        def theirs() -> Tensor:
            maps = scores @ cut_masks(on, shift, side).flatten(1)
            return to_patches(maps.view(-1, side, side), patch).flatten(1)

        return {"ours": ours, "theirs": theirs}

    return make


def whole_rise() -> Pair:
    """Return a pair of RISE's patches on a network, whose forward passes are the same on both sides."""
    model = build("small_resnet", classes=9, size=32, seed=0)
    images = load("shapes", split="test", limit=16).images
    options = {"masks": 500, "p": 0.5}
    return {
        "ours": lambda: patch_maps(model, images, patch=8, methods=["rise"], options={"rise": options})["rise"],
        "theirs": lambda: normalize_max(to_patches(unsigned_maps(model, images, method="rise", **options), 8)),
    }


PAIRS: dict[str, Callable[[], Pair]] = {
    "insertion and deletion, full passes": zeroing,
    "RISE in patches, 32 px, full maps": pooled(32, 8),
    "RISE in patches, 64 px, full maps": pooled(64, 8),
    "RISE in patches, 224 px, full maps": pooled(224, 16),
    "the same with the network, 32 px": whole_rise,
}
