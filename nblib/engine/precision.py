"""In which type numbers are added up and given back, and weights that need no gradients."""
import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


def precise(tensor: Tensor) -> Tensor:
    """Return a tensor in single precision, or in double where it already is."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def as_given(scores: Tensor, maps: Tensor) -> Tensor:
    """Return scores in the floating type of the maps that they are about; the default type for whole numbers."""
    return scores.to(maps.dtype if maps.is_floating_point() else torch.get_default_dtype())


def exactly(tensor: Tensor) -> contextlib.AbstractContextManager:
    """Let no autocast of the caller's shorten our own arithmetic with such tensors, in the block."""
    return torch.autocast(tensor.device.type, enabled=False)


@contextlib.contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Compute no gradients of weights in the block, which saves their memory; afterwards all is as it was.

    Raises:
        ValueError: weights that were made in inference mode, of which gradients can never pass.
    """
    if any(parameter.is_inference() for parameter in model.parameters()):
        raise ValueError("a model was given whose weights were made in torch.inference_mode(), expected ordinary ones: "
                         "build or load it outside of that mode")
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in learning:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
