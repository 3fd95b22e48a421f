"""What every chapter needs of a network: finite single-precision weights, logits from one image, something to train."""
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from nblib.data import Images
from nblib.models import place_of


def expect(values: Mapping[str, object], images: Images, model: nn.Module, *, has_to_train: bool = False) -> None:
    """Refuse a network that cannot be run or trained, or images that are not to be trained on.

    Args:
        values: the chapter's parameters.
        images: one of the data set's.
        model: the network as the chapter builds it, in evaluation mode.
        has_to_train: whether the chapter cannot do without training.
    """
    name = values["model"]
    for which, tensor in model.named_parameters():
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise ValueError(f"model {name!r}: {which} is {tensor.dtype}, expected torch.float32: call .float()")
        if not tensor.isfinite().all():
            raise ValueError(f"model {name!r}: {which} has values that are not finite (NaN or infinite)")
    for which, tensor in model.named_buffers():  # which may be infinite, as a mask of attention is
        if tensor.isnan().any():
            raise ValueError(f"model {name!r}: {which} has values that are NaN")
    if values.get("epochs"):
        may_train_nothing = "weights" in values and not has_to_train
        otherwise = "-p epochs 0 explains a network as it is" if may_train_nothing else "this chapter has to train"
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise ValueError(f"model {name!r} has no weight that requires a gradient, so none can be trained: {otherwise}")
        if images.not_for_training:
            raise ValueError(f"dataset {values['dataset']!r} is not for training: {otherwise}")
    expect_logits(name, one_pass(name, model, images), len(images.classes))


def one_pass(name: str, model: nn.Module, images: Images) -> object:
    """Return what a network makes of one image, or say which line of whose file it fails in."""
    try:
        with torch.no_grad():
            return model(images.images.clone())
    except Exception as error:  # whatever the reader's network raises
        size = tuple(images.images.shape)
        raise ValueError(f"model {name!r} fails on images of shape {size}{place_of(error)}") from error


def expect_logits(name: str, logits: object, classes: int) -> None:
    """Refuse what is not finite logits (1, K) with a K for every class."""
    if not isinstance(logits, Tensor):
        raise ValueError(f"model {name!r} returns a {type(logits).__name__}, expected a tensor of logits (N, {classes})")
    if logits.ndim != 2 or len(logits) != 1 or logits.shape[1] < classes:
        raise ValueError(f"model {name!r} returns shape {tuple(logits.shape)} for one image, expected logits "
                         f"(1, {classes}): the data set has {classes} classes")
    if not logits.isfinite().all():
        raise ValueError(f"model {name!r} returns logits that are not finite for an image of the data set")
