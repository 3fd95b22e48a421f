"""A pair for importance: accuracies at 22 thresholds from one pass of the embeddings, beside a full pass for each."""
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.difference import Pair
from nblib.data import load
from nblib.methods.importance import THRESHOLDS, insertion_deletion, train_importance
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


PAIRS: dict[str, Callable[[], Pair]] = {
    "insertion and deletion, full passes": zeroing,
}
