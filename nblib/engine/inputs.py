"""What a method is given: the model, the images, its options and its baseline, each checked before work."""
import contextlib
import inspect
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from nblib.checks import expect_int, expect_model, expect_number, expect_one_of
from nblib.engine.trial import refuse_untrue


def options_of(method: str, function: Callable, given: dict[str, object]) -> dict[str, object]:
    """Return the keyword-only options of a method, its defaults replaced by what was given; refuse unknown ones."""
    parameters = inspect.signature(function).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "target"}
    for name in given:
        expect_one_of(f"{method}: option", name, defaults)
    return defaults | given


def seeded(seed: int) -> torch.Generator:
    """Return a source of random numbers on the CPU, so that a seed means the same on every device."""
    return torch.Generator().manual_seed(expect_int("seed", seed, 0, 2**63 - 1))


@contextlib.contextmanager
def drawing_from(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Let PyTorch draw from `seed` in the block, on the CPU and a device; afterwards all generators are as before."""
    gpus = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach the other GPUs' generators too
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield


def expect_finite(what: str, values: Tensor) -> None:
    """Refuse values (N, ...) that are not finite, with the numbers of the first rows that have some."""
    if not values.isfinite().all():
        bad = (~values.isfinite().flatten(1).all(1)).nonzero().flatten().tolist()
        raise ValueError(f"{what} {bad[:5]} have values that are not finite (NaN or infinite), expected finite ones")


def expect_images(images: Tensor) -> None:
    """Refuse what is not a tensor (N, C, H, W) of floating point with at least one image and pixel."""
    if not isinstance(images, Tensor) or images.ndim != 4:
        given = f"shape {tuple(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(f"images of {given} were given, expected a tensor (N, C, H, W)")
    if not images.numel():
        raise ValueError(f"images of shape {tuple(images.shape)} were given, expected at least one image and pixel")
    if not images.is_floating_point():
        raise ValueError(f"images of type {images.dtype} were given, expected floating point: images.float() / 255")


def check_inputs(model: nn.Module, images: Tensor) -> None:
    """Refuse images that are not a finite, non-empty (N, C, H, W) fit for the model, a model in training mode, and one
    whose logits cannot be trusted, which is tried once (`nblib.engine.trial`).
    """
    expect_model(model)
    expect_images(images)
    training = next((name for name, module in model.named_modules() if module.training), None)
    if training is not None:
        where = f"its layer {training!r}" if training else type(model).__name__
        raise ValueError(f"{where} is in training mode, expected evaluation mode: call model.eval() first")
    weight = next((p for p in model.parameters() if p.is_floating_point()), images)
    if (weight.dtype, weight.device) != (images.dtype, images.device):
        raise ValueError(
            f"images are {images.dtype} on {images.device}, the model is {weight.dtype} on {weight.device}: "
            "bring one to the other with .to(...)"
        )
    expect_finite("images", images)
    refuse_untrue(model, images)


def baseline_for(images: Tensor, baseline: float | str | Tensor) -> Tensor:
    """Return the baseline of each image, (N, C, H, W).

    `baseline` is a number (0.0 is black), "mean" (each image's own mean colour), or a tensor (C, 1, 1), (C, H, W) or
    (N, C, H, W).
    """
    if isinstance(baseline, str):
        expect_one_of("baseline", baseline, ("mean",))
        return images.mean((2, 3), keepdim=True).expand_as(images)
    if not isinstance(baseline, Tensor):
        expect_number("baseline", baseline)
    baseline = torch.as_tensor(baseline, dtype=images.dtype, device=images.device).detach()
    fits = baseline.ndim in (0, 3, 4) and all(
        have in (1, want) for have, want in zip(reversed(baseline.shape), reversed(images.shape))
    )
    if not fits or not baseline.isfinite().all():
        raise ValueError(
            f"a baseline of shape {tuple(baseline.shape)} was given, expected finite values that fit images of "
            f"{tuple(images.shape)}: a number, 'mean', (C, 1, 1), (C, H, W) or (N, C, H, W)"
        )
    return baseline.expand_as(images)
