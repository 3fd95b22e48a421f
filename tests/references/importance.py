"""Slow references for importance inside the network, from the formulas: one patch, one threshold at a time."""
import torch
from torch import Tensor, nn


def patch(image: Tensor, row: int, column: int, side: int) -> Tensor:
    """One patch of an image (C, H, W)."""
    return image[:, row * side : (row + 1) * side, column * side : (column + 1) * side]


def embeddings(ia: nn.Module, image: Tensor) -> list[list[Tensor]]:
    """The embedding (k,) of each patch, by rows; each goes through the network alone."""
    net, grid = ia.components, image.shape[1] // ia.patch
    rows = []
    for i in range(grid):
        rows.append([])
        for j in range(grid):
            one = (patch(image, i, j, ia.patch)[None] - net.input_mean) / net.input_std
            rows[-1].append(net.linear(net.blocks(net.stem(one)).mean((2, 3)))[0])
    return rows


def importance_logits(ia: nn.Module, image: Tensor, importance: Tensor) -> Tensor:
    """W₂ ReLU(W₁ Σ aᵢ eᵢ + b₁) + b₂ for one image, (K,)."""
    total = sum(importance[i, j] * e for i, row in enumerate(embeddings(ia, image)) for j, e in enumerate(row))
    hidden = (ia.hidden.weight @ total + ia.hidden.bias).clamp(min=0)
    return ia.linear.weight @ hidden + ia.linear.bias


def zeroed_accuracy(model: nn.Module, images: Tensor, labels: Tensor, dropped) -> tuple[float, float]:
    """Accuracy and share of zeroed patches, where `dropped(a)` says whether a patch of that importance is zeroed."""
    right = gone = 0
    for image, label in zip(images, labels):
        e, a = model.components(image[None]).clone(), model.scores(image[None])[0]
        for i in range(a.shape[0]):
            for j in range(a.shape[1]):
                if dropped(a[i, j].item()):
                    e[0, :, i, j] = 0
                    gone += 1
        right += int(model.answer(e, a[None]).argmax() == label)
    return right / len(images), gone / (len(images) * a.numel())


def masked(image: Tensor, importance: Tensor, side: int, threshold: float, order: str, fill: float) -> Tensor:
    """An image as PA sees it, pixel by pixel."""
    seen = image.clone()
    for y in range(image.shape[1]):
        for x in range(image.shape[2]):
            a = importance[y // side, x // side]
            if a < threshold if order == "insertion" else a > threshold:
                seen[:, y, x] = fill
    return seen
