"""What neural pathways need: images to train a generator on, and ReLU modules whose maps its kernel can shrink."""
from collections.abc import Mapping

import torch
from torch import nn

from nblib.data import Images
from nblib.hooks import capture
from nblib.methods.neural_pathways import relu_layers
from nblib.models.gencnp import Generator


def expect(values: Mapping[str, object], images: Images, model: nn.Module) -> None:
    """Refuse images that nothing may be trained on, and networks for which no generator can be made."""
    if images.not_for_training:
        raise ValueError(f"dataset {values['dataset']!r} is not for training: this chapter has to train a generator")
    try:
        layers = relu_layers(model, images.images)
        with torch.no_grad(), capture(model, layers) as seen:
            model(images.images)
        Generator(model, {layer: tuple(seen[layer].shape[1:]) for layer in layers}, hidden=1)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"model: {error.args[0]}") from error
