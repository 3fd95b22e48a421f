"""What contribution modes need: layers with places that cut the network, and shares that make a curve."""
from collections.abc import Mapping

import torch
from torch import nn

from nblib.data import Images
from nblib.engine import cut_layers, logits_after


def expect(values: Mapping[str, object], images: Images, model: nn.Module) -> None:
    """Refuse layers that do not cut the network, a network without such layers, and shares that do not ascend."""
    shares = values.get("shares")
    if shares is not None and (len(shares) < 2 or sorted(set(shares)) != shares):
        raise ValueError(f"shares: {shares} was given, expected two or more, ascending, such as [0.1, 0.25, 0.5]")
    picture = images.images
    noise = torch.rand(2, *picture.shape[1:], generator=torch.Generator().manual_seed(0))
    pictures = torch.cat([picture, noise])
    named = [layer for layer in values["layers"].replace(" ", "").split(",") if layer]
    for layer in named:
        output = logits_after(model, layer, pictures)[1]
        if output.ndim != 4:
            raise ValueError(f"layers: {layer!r} has shape {tuple(output.shape)}, expected (N, C, h, w)")
    if not named and not any(min(shape[1:]) > 1 for shape in cut_layers(model, pictures).values()):
        raise ValueError(f"model: {values['model']!r} has no layer with channels and places (N, C, h, w) that all of "
                         "the answer passes through; modes are made of sums over places, and ablation needs a cut")
