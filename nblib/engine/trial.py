"""A trial of a network, remembered: does it give logits, and are a row's logits a function of that row alone?"""
import weakref

import torch
from torch import Tensor, nn

from nblib.engine.rows import expect_logits
from nblib.hooks import is_edited

TOLERANCE = 1e-5  # of the span of a row's logits, by which two passes of one row may differ
ROUNDINGS = 16  # of the largest logit, in the coarsest type: kernels may treat the first row and the last differently
PLAIN = (bool, int, float, str)

_passed: "weakref.WeakKeyDictionary[nn.Module, int]" = weakref.WeakKeyDictionary()  # model → the state that passed


@torch.no_grad()
def refuse_untrue(model: nn.Module, images: Tensor) -> None:
    """Refuse a model whose logits for an image depend on the other images of its batch, on its place in it, or on
    chance.

    The first image goes through the network beside another one, and beside itself: two passes of two rows. A model that
    passed is not tried again until its modules, their settings, its weights, or the kind of images change. While a
    reader's own `edit` is in force, which may hold a value for each row, there is no trial.

    Raises:
        ValueError: a model that cannot run on two such images, that gives no logits (2, K), or whose rows are not
            independent.
        RuntimeError: logits that are not numbers.
    """
    state = _state_of(model, images)
    if _passed.get(model) == state or is_edited(model):
        return
    image = images[:1].detach()
    other = torch.linspace(0, 1, image.numel(), dtype=image.dtype, device=image.device).view(image.shape)
    with torch.random.fork_rng(devices=[image.device] if image.device.type == "cuda" else []):
        beside_other = first_logits(model, torch.cat([image, other]))[0]
        beside_itself = first_logits(model, torch.cat([image, image]))[1]
        if beside_other.isnan().any():
            raise RuntimeError(f"the logits of {type(model).__name__} are not numbers (NaN) for the first image: see "
                               "whether its weights are finite, or compute in a higher precision")
        if not _same(beside_other, beside_itself, image.dtype):
            by_chance = not _same(beside_itself, first_logits(model, torch.cat([image, image]))[1], image.dtype)
            raise ValueError(_said(model, by_chance))
    _passed[model] = state


def first_logits(model: nn.Module, rows: Tensor) -> Tensor:
    """Return the logits of a network's first rows, in its own type; what it says of them goes on in words."""
    try:
        output = model(rows.clone())
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # networks' errors share no ancestor
        raise ValueError(f"{type(model).__name__} does not run on {len(rows)} images {tuple(rows.shape[1:])} of "
                         f"{rows.dtype}, as it has to for any number of them: {type(error).__name__}: "
                         f"{error}") from error
    return expect_logits(model, output, len(rows))


def why_not(error: ValueError | KeyError | RuntimeError) -> str:
    """Return why a method is left out, from what it raised when it was tried on a network.

    Guards say in words why a method does not apply. Of anything else it is said that the method failed; memory that ran
    out and an accelerator's faults are nothing about the method, and are raised again.
    """
    if isinstance(error, torch.OutOfMemoryError | torch.AcceleratorError):
        raise error
    if isinstance(error, RuntimeError):
        return f"it failed: {error}"
    return str(error.args[0] if error.args else error)


def _same(first: Tensor, second: Tensor, given: torch.dtype) -> bool:
    """Say whether the logits of a row, (K,) each, are equal up to rounding."""
    if torch.equal(first, second):
        return True
    coarsest = max(torch.finfo(first.dtype).eps, torch.finfo(given).eps)
    first, second = (logits.double().nan_to_num() for logits in (first, second))
    tolerance = TOLERANCE * (first.max() - first.min()) + ROUNDINGS * coarsest * first.abs().max()
    return bool((first - second).abs().max() <= tolerance)


def _said(model: nn.Module, by_chance: bool) -> str:
    """Say what is wrong with a model, and what may be the cause."""
    if by_chance:
        return (f"{type(model).__name__} gives one image other logits each time, in evaluation mode: it draws at "
                "random, perhaps in a functional dropout; write that as an nn.Dropout module")
    norms = [name for name, module in model.named_modules() if getattr(module, "running_mean", 0) is None]
    cause = f": {norms[0]!r} is a norm without running statistics" if norms else ""
    return (f"{type(model).__name__} gives an image other logits beside another image{cause}; expected a network whose "
            "rows are independent, since an explanation of one image would depend on its batch")


def _state_of(model: nn.Module, images: Tensor) -> int:
    """Return a number that changes with whatever may decide how a model's rows depend on each other."""
    kind = images.device.type
    parts: list[object] = [images.shape[1:], images.dtype, images.device, torch.is_autocast_enabled(kind)]
    for module in model.modules():
        parts.append(id(module))
        parts += [value for value in vars(module).values() if type(value) in PLAIN]
        parts.append(len(module._forward_hooks) + len(module._forward_pre_hooks))
    for tensor in (*model.parameters(), *model.buffers()):
        parts.append((id(tensor), 0 if tensor.is_inference() else tensor._version))
    return hash(tuple(parts))
