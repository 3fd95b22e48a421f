"""Weights that are not parameters: those that a network makes anew in each pass, from others."""
from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn.utils import parametrize


def refuse_reparametrised(model: nn.Module, why: str) -> None:
    """Refuse a model in which a weight is made from others, as by spectral_norm, weight_norm and torch.nn.utils.prune.

    What is done to a tensor that is made anew in each pass is lost, and what is done to those that it is made from does
    something else.

    Raises:
        ValueError: such a model, with the first such tensor and how it becomes a parameter.
    """
    found = next(((name, module, tensor) for name, module in model.named_modules() for tensor in _made(module)), None)
    if found is not None:
        name, module, tensor = found
        path = f"{name}.{tensor}".lstrip(".")
        raise ValueError(f"{path!r} of {type(model).__name__} is made anew in each pass, from other weights"
                         f"{_how(module, tensor)}, so {why}: make it a plain parameter first, by "
                         f"{_advice(module, tensor)}")


def _made(module: nn.Module) -> Iterable[str]:
    """Return the names of a module's tensors that are made from its parameters."""
    if parametrize.is_parametrized(module):
        yield from module.parametrizations
    for name, value in vars(module).items():
        old = name + "_orig" in module._parameters or name + "_g" in module._parameters
        if old and isinstance(value, Tensor):
            yield name


def _how(module: nn.Module, tensor: str) -> str:
    """Return who makes a tensor, in brackets."""
    if parametrize.is_parametrized(module, tensor):
        return f" (by {', '.join(type(part).__name__ for part in module.parametrizations[tensor])})"
    return ""


def _advice(module: nn.Module, tensor: str) -> str:
    """Return the call that makes a tensor a plain parameter."""
    if parametrize.is_parametrized(module, tensor):
        return f"torch.nn.utils.parametrize.remove_parametrizations(module, {tensor!r})"
    if f"{tensor}_g" in module._parameters:
        return "torch.nn.utils.remove_weight_norm(module)"
    if f"{tensor}_mask" in module._buffers:
        return f"torch.nn.utils.prune.remove(module, {tensor!r})"
    return "torch.nn.utils.remove_spectral_norm(module)"
