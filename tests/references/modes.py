"""Contribution modes again, slowly and from the formulas."""
import math

import numpy as np
import torch
from torch import Tensor, nn

from nblib.hooks import edit


def codes_of(state: dict[str, Tensor], row: Tensor, threshold: float) -> list[float]:
    """The published codes of one row (C,), number by number, in evaluation mode."""
    values = [float(value) for value in row]
    for block in (0, 4):  # linear, dropout, ReLU, layer norm
        weight, bias = state[f"body.{block}.weight"].tolist(), state[f"body.{block}.bias"].tolist()
        values = [max(0.0, sum(w * v for w, v in zip(line, values)) + b) for line, b in zip(weight, bias)]
        mean = sum(values) / len(values)
        variance = sum((value - mean) ** 2 for value in values) / len(values)
        scale, shift = state[f"body.{block + 3}.weight"].tolist(), state[f"body.{block + 3}.bias"].tolist()
        values = [(value - mean) / math.sqrt(variance + 1e-5) * g + s for value, g, s in zip(values, scale, shift)]
    codes = []
    for line, b in zip(state["last.weight"].tolist(), state["last.bias"].tolist()):
        share = 1 / (1 + math.exp(-sum(w * v for w, v in zip(line, values)) - b))
        codes.append(share if share >= threshold else 0.0)
    return codes


def top_codes(state: dict[str, Tensor], row: Tensor, active: int) -> list[float]:
    """The TopK codes of one row (C,)."""
    lines = zip(state["last.weight"], state["last.bias"])
    before = [max(0.0, float(torch.dot(line, row)) + float(b)) for line, b in lines]
    first = sorted(range(len(before)), key=lambda k: -before[k])[:active]
    return [value if k in first else 0.0 for k, value in enumerate(before)]


def correlations(loadings: Tensor, labels: Tensor) -> np.ndarray:
    """Pearson correlation of every column with every indicator, by numpy's own function."""
    classes = int(labels.max()) + 1
    return np.array([[np.corrcoef(column, (labels == c).numpy())[0, 1] for c in range(classes)]
                     for column in loadings.T.numpy()])


def ratio(model: nn.Module, images: Tensor, labels: Tensor, layer: str, removed: list[int], inside: Tensor) -> float:
    """Accuracy after over before on the images `inside`, by whole passes."""
    def zero(tensor: Tensor) -> Tensor:
        tensor[:, removed] = 0
        return tensor

    with torch.no_grad():
        before = model(images).argmax(1) == labels
        with edit(model, {layer: zero}):
            after = model(images).argmax(1) == labels
    return float(after[inside].double().mean() / before[inside].double().mean())
