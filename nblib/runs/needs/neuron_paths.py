"""What neuron paths need: a vision transformer that can be taken apart, and no more neurons than its layers have."""
from collections.abc import Mapping

import torch
from torch import nn

from nblib.data import Images
from nblib.hooks import capture
from nblib.models.vit import neuron_layers


def expect(values: Mapping[str, object], images: Images, model: nn.Module) -> None:
    """Refuse a network that is no vision transformer, and numbers of neurons above a layer's width."""
    layers = neuron_layers(model)
    with torch.no_grad(), capture(model, layers) as seen:
        model(images.images.clone())
    width = min(neurons.shape[2] for neurons in seen.values())
    for name in ("rerank", "retained"):
        if max(values.get(name, [0])) > width:  # the lesson has neither
            raise ValueError(f"{name}: {max(values[name])} was given; the layers have {width} neurons, expected at most "
                             "as many")
