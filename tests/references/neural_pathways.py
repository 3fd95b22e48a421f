"""Slow references for neural pathways, written from the formulas: one image, one pair, one unit at a time."""
import itertools
import math

import torch
from torch import Tensor, nn

from nblib.hooks import capture, edit


def soft_round(values: Tensor, temperature: float, sigma: float) -> Tensor:
    """DAQ's soft assignment to 0 or 1, step by step, with a graph."""
    whole = values.detach().floor()
    x = values - whole
    closeness = []
    for grid in (0.0, 1.0):
        distance = x - grid
        size = torch.where(distance < 0, -distance, distance)  # the slope at 0 is +1
        closeness.append(torch.exp(-size))
    nearest = (closeness[1] > closeness[0]).double().detach()
    scores = [m * torch.exp(-(grid - nearest) ** 2 / sigma**2) for grid, m in zip((0.0, 1.0), closeness)]
    heat = (temperature / (scores[0] - scores[1]).abs()).detach()
    shares = torch.stack([heat * score for score in scores]).softmax(0)
    stretch = 1 / (math.exp(temperature) - 1)
    return whole + shares[0] * -stretch + shares[1] * (1 + stretch)


def outputs(model: nn.Module, layers: list[str], image: Tensor) -> dict[str, Tensor]:
    """Layers' outputs for one image, (1, ...)."""
    with torch.no_grad(), capture(model, layers) as seen:
        model(image[None])
    return {layer: seen[layer] for layer in layers}


def label_of(model: nn.Module, image: Tensor) -> int:
    """The class predicted."""
    with torch.no_grad():
        return int(model(image[None]).argmax())


def taylor(model: nn.Module, layers: list[str], image: Tensor, masks: dict[str, Tensor] | None = None,
           label: int | None = None) -> dict[str, Tensor]:
    """Activation times slope, of a network behind masks, layer after layer by a pass of its own."""
    label = label_of(model, image) if label is None else label
    found = {}
    edits = {} if masks is None else {layer: lambda t, layer=layer: t * masks[layer] for layer in masks}
    for layer in layers:
        with edit(model, edits), capture(model, layers) as seen:
            logit = model(image[None])[0, label]
        found[layer] = seen[layer].detach() * torch.autograd.grad(logit, seen[layer])[0]
    return found


def layer_integral(model: nn.Module, layer: str, image: Tensor, points, weights) -> Tensor:
    """Activation times the mean slope where the layer alone is scaled."""
    whole, label = outputs(model, [layer], image)[layer], label_of(model, image)
    total = torch.zeros_like(whole)
    for point, weight in zip(points, weights):
        held = (point * whole).requires_grad_()
        with edit(model, {layer: lambda _: held.clone()}):
            logit = model(image[None])[0, label]
        total += weight * torch.autograd.grad(logit, held)[0]
    return whole * total


def gates(model: nn.Module, layers: list[str], image: Tensor, start: dict[str, Tensor], iterations: int, rate: float,
          penalty: float, momentum: float) -> dict[str, Tensor]:
    """Distillation guided routing of one image, by PyTorch's own optimiser."""
    now = {layer: start[layer].clone().requires_grad_() for layer in layers}
    optimizer = torch.optim.SGD(now.values(), lr=rate, momentum=momentum)
    with torch.no_grad():
        share = model(image[None]).softmax(1)
    best, least = None, math.inf
    for _ in range(iterations):
        with edit(model, {layer: lambda t, layer=layer: t * now[layer] for layer in layers}):
            logits = model(image[None])
        loss = -(share * logits.log_softmax(1)).sum() + penalty * sum(gate.abs().sum() for gate in now.values())
        if logits.argmax() == share.argmax() and loss.item() < least:
            best, least = {layer: gate.detach().clone() for layer, gate in now.items()}, loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for gate in now.values():
                gate.clamp_(0, 100)
    return best


def greedy(model: nn.Module, layers: list[str], image: Tensor, sparsity: float, share: float) -> dict[str, Tensor]:
    """What is left, (1, ...) bool, after the smallest magnitudes of "taylor" went round by round; zeros went first."""
    whole, label = outputs(model, layers, image), label_of(model, image)
    left = {layer: values != 0 for layer, values in whole.items()}
    total = sum(values.numel() for values in whole.values())
    goal = round(sparsity * total)
    while (gone := total - sum(int(mask.sum()) for mask in left.values())) < goal:
        sizes = taylor(model, layers, image, {layer: mask.double() for layer, mask in left.items()}, label)
        places = [(abs(sizes[layer].flatten()[unit].item()), layer, unit) for layer in layers
                  for unit in left[layer].flatten().nonzero().flatten().tolist()]
        for _, layer, unit in sorted(places, key=lambda place: place[0])[: min(max(1, round(share * total)), goal - gone)]:
            left[layer].view(-1)[unit] = False
    return left


def chosen(scores: list[float], sparsity: float) -> list[bool]:
    """The highest of a list, of equal ones the first."""
    count = len(scores) - round(sparsity * len(scores))
    order = sorted(range(len(scores)), key=lambda unit: (-scores[unit], unit))[:count]
    return [unit in order for unit in range(len(scores))]


def iou(first: Tensor, second: Tensor) -> float:
    """Intersection over union of two vectors of truth values."""
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 1.0


def class_iou(rows: Tensor, labels: list[int]) -> float:
    """The mean over classes of the mean over pairs, by a double loop over rows (N, n)."""
    means = []
    for label in sorted(set(labels)):
        mine = [row for row, own in zip(rows, labels) if own == label]
        pairs = [iou(a, b) for a, b in itertools.combinations(mine, 2)]
        if pairs:
            means.append(sum(pairs) / len(pairs))
    return sum(means) / len(means)


def confidence(whole: Tensor, edited: Tensor, labels: list[int]) -> tuple[float, ...]:
    """The paper's measures, image by image; its two means over those images that count."""
    ups, downs, right, same = [], [], 0, 0
    for before, after, label in zip(whole.tolist(), edited.tolist(), labels):
        c, now = before.index(max(before)), after.index(max(after))
        right += now == label
        same += now == c
        if now == c and after[c] > before[c]:
            ups.append(after[c] - before[c])
        if now == c and after[c] < before[c]:
            downs.append(before[c] - after[c])
    n = len(labels)
    mean = lambda values: sum(values) / len(values) if values else 0.0  # noqa: E731
    return len(ups) / n, mean(ups), mean(downs), sum(ups) / n, sum(downs) / n, right / n, same / n


def recursion(x: Tensor, kernel: Tensor, norms: list[nn.BatchNorm2d], grow: bool, padding: int) -> Tensor:
    """One kernel again and again in evaluation mode, each place and channel by itself."""
    for number, norm in enumerate(norms, 1):
        side = kernel.shape[-1]
        if grow:  # each value is spread out over the kernel
            _, c, h, w = x.shape
            y = torch.zeros(1, c, h + side - 1, w + side - 1, dtype=x.dtype)
            for out, come, row, column in itertools.product(range(c), range(c), range(h), range(w)):
                y[0, out, row:row + side, column:column + side] += x[0, come, row, column] * kernel[come, out]
            y = y[:, :, padding:y.shape[2] - padding, padding:y.shape[3] - padding]
        else:
            x = nn.functional.pad(x, [padding] * 4)
            _, c, h, w = x.shape
            y = torch.zeros(1, c, h - side + 1, w - side + 1, dtype=x.dtype)
            for out, row, column in itertools.product(range(c), range(y.shape[2]), range(y.shape[3])):
                y[0, out, row, column] = (x[0, :, row:row + side, column:column + side] * kernel[out]).sum()
        scaled = (y - norm.running_mean.view(-1, 1, 1)) / (norm.running_var.view(-1, 1, 1) + norm.eps).sqrt()
        x = scaled * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)
        if not grow or number < len(norms):
            x = x.clamp(min=0)
    return x.detach()
