"""What contributions need: layers with channels and places, or tokens, that run once."""
from collections.abc import Mapping

from torch import nn

from nblib.data import Images
from nblib.methods.contributions import contributions


def expect(values: Mapping[str, object], images: Images, model: nn.Module) -> None:
    """Refuse layers that have no contributions to show; left empty, the page finds those that cut the network."""
    for name in ("layer", "layers"):
        layers = [layer.strip() for layer in str(values.get(name) or "").split(",") if layer.strip()]
        try:
            found = contributions(model, images.images, layers, steps=1) if layers else {}
        except (KeyError, ValueError, RuntimeError) as error:
            raise ValueError(f"{name}: {error.args[0]}") from error
        for layer, part in found.items():
            if part.ndim not in (3, 4):
                raise ValueError(f"{name}: {layer!r} has shape {tuple(part.shape)}, expected channels with places, "
                                 "(N, C, h, w), or tokens, (N, T, D)")
