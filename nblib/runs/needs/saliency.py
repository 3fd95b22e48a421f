"""What saliency needs: a layer with places, where one is named."""
from collections.abc import Mapping

import torch
from torch import nn

from nblib.data import Images
from nblib.hooks import capture


def expect(values: Mapping[str, object], images: Images, model: nn.Module) -> None:
    """Refuse a layer without places for class activation maps; left empty, the methods choose it, or are left out."""
    layer = values.get("layer")
    if not layer:
        return
    with torch.no_grad(), capture(model, [layer]) as seen:
        model(images.images.clone())
    shape = tuple(seen[layer].shape)
    if len(shape) != 4:
        raise ValueError(f"layer: {layer!r} was given, whose output has shape {shape}; class activation maps need "
                         "channels with places, (N, C, h, w): leave it empty for the last such layer")
