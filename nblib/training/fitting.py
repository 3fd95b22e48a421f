"""Training, measuring, saving and loading a classifier: what is checked before the loop begins."""
import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nblib import store
from nblib.checks import (
    expect_callable,
    expect_int,
    expect_kind,
    expect_model,
    expect_number,
    expect_one_of,
    expect_path,
    quoted,
)
from nblib.data import Images
from nblib.engine import check_inputs, expect_images, first_logits, logits_of
from nblib.models import weights as files
from nblib.models.b_cos import is_b_cos, uniform_off_label_loss
from nblib.targets import expect_classes, expect_labels
from nblib.training import loop, processes

PRECISION = ("32-true", "bf16-mixed", "16-mixed")


def choose_device(name: str) -> torch.device:
    """Return the device of that name: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1", "mps".

    Raises:
        ValueError: a device that does not exist here, with those that do.
    """
    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    there = ["cpu", *(["cuda"] if gpus else []), *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]
    if name == "auto":
        return torch.device("cuda" if gpus else there[-1])
    if name not in there:
        raise ValueError(f"device {name!r} was given, this machine has {quoted(['auto', *there])}")
    return torch.device(name)


def fit(model: nn.Module, data: Images, *, epochs: int, batch_size: int = 64, lr: float = 5e-3,
        weight_decay: float = 0.05, schedule: str = "one_cycle", optimizer: str = "adamw",
        loss: loop.Loss | None = None, augment: str | None = None, seed: int = 0, device: str = "auto",
        devices: int = 1, precision: str = "32-true",
        after_step: Callable[[nn.Module], object] | None = None, checkpoint: str | Path | None = None,
        progress: bool = True) -> list[float]:
    """Train `model` in place; it ends in evaluation mode, on the device on which it was.

    On a CPU the same seed gives the same weights to the last bit where the processor's features (AVX2, AVX-512), the
    number of threads and the versions are the same (`circumstances.conditions`), also if the training was interrupted
    and went on from its checkpoint; elsewhere rounding differs, and each step may enlarge the difference. With several devices each batch is split, gradients and the statistics of batch norms are averaged over
    all parts, and the result is that of one device up to rounding; only dropout differs. They run in processes of
    their own, in scripts and notebooks alike, so that your functions and classes have to be importable.

    Args:
        model: images (N, 3, H, W) -> logits (N, K).
        data: the training images; up to one GB is held on the device, more is read as it is needed.
        epochs: passes over the data, 1 or more.
        batch_size: images a step over all devices, at most; an epoch's steps are of equal size, give or take one.
        lr: the highest learning rate.
        weight_decay: as in AdamW; not on biases and norms.
        schedule: "one_cycle" (up for a quarter of the steps, then down a cosine), "cosine", or "constant"; a
            training of a single step has the highest rate.
        optimizer: "adamw", "sgd" with momentum 0.9, or "ranger" (`nblib.training.optimizers.Ranger`).
        loss: logits (N, K), labels (N,) -> the mean over the batch; cross entropy by default, for B-cos networks the
            binary one with uniform off-label targets.
        augment: None, "flip" (mirrors half of the images), or "crop_flip" (also moves them by up to an eighth).
        seed: decides order, augmentation and dropout; the caller's random generator is left alone.
        device: as in `choose_device`.
        devices: how many CPU processes or GPUs.
        precision: "32-true", "bf16-mixed" or "16-mixed".
        after_step: called with the model after each optimiser step, such as pruning's, which sets weights to zero.
        checkpoint: a safetensors file, written after each epoch; where it exists, training goes on from it.
        progress: show a bar where the output is a terminal.

    Returns:
        The mean loss of each epoch.

    Raises:
        ValueError: an empty data set, or one that is only to look at; a model without logits (N, K), K ≥ 2, or without
            weights that can learn; labels that the model lacks, an option out of range, or a checkpoint that is
            truncated or another run's; before any work.
        RuntimeError: a loss that is not finite, with the epoch and step.
    """
    _check_learns(model)
    expect_kind("data", data, Images)
    chosen = choose_device(device)
    options = dict(
        epochs=expect_int("epochs", epochs, 1), batch_size=expect_int("batch_size", batch_size, 1),
        lr=expect_number("lr", lr, 0), weight_decay=expect_number("weight_decay", weight_decay, 0),
        schedule=expect_one_of("schedule", schedule, loop.SCHEDULE),
        optimizer=expect_one_of("optimizer", optimizer, loop.OPTIMIZER),
        augment=expect_one_of("augment", augment, loop.AUGMENT), seed=expect_int("seed", seed, 0))
    expect_one_of("precision", precision, PRECISION)
    _check_parts(data, options["batch_size"], expect_int("devices", devices, 1), chosen)
    for name, function in (("loss", loss), ("after_step", after_step)):
        if function is not None:
            expect_callable(name, function)
    if checkpoint is not None:
        expect_path("checkpoint", checkpoint)
    loss = loss or (uniform_off_label_loss if is_b_cos(model) else F.cross_entropy)
    work = dict(model=model, data=data, options=options, loss=loss, after_step=after_step, precision=precision,
                progress=progress, device=chosen, devices=devices)
    home = _device_of(model)
    with _evaluating(model), torch.no_grad():
        logits = first_logits(model, data[:1].images.to(home))
    expect_labels(data.labels, len(data), expect_classes(logits).shape[1])
    try:
        if devices == 1:
            return loop.train(checkpoint=checkpoint, **work)
        with store.scratch() as folder:
            path = checkpoint or folder / "state.safetensors"
            processes.run(loop.train, devices, checkpoint=path, **work)
            return loop.resume(path, model, None, loop.run_of(data, options))
    finally:
        model.to(home).eval()


def _check_learns(model: nn.Module) -> None:
    """Refuse what is no network, and a network that cannot learn."""
    expect_model(model)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"{type(model).__name__} has no weights that can learn: all are frozen, or there are none; "
                         "call model.requires_grad_(True), or for one part of it alone")


@contextlib.contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode for the block; afterwards each module is in the mode in which it was."""
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _check_parts(data: Images, batch_size: int, devices: int, device: torch.device) -> None:
    """Refuse data that are only to look at or have nothing for each device, and devices that are not there."""
    if data.not_for_training:
        raise ValueError(f"these images are not for training: {data.not_for_training}")
    if not len(data):
        raise ValueError("no images were given, expected 1 or more")
    if len(data) < devices or batch_size < devices:
        raise ValueError(f"{len(data)} images in batches of {batch_size} were given to {devices} device(s): "
                         "expected one image a device or more")
    there = torch.cuda.device_count() if device.type == "cuda" else math.inf if device.type == "cpu" else 1
    if devices > there or (devices > 1 and device.index is not None):
        there = there if device.index is None else 1
        raise ValueError(f"devices={devices} on {str(device)!r} was given, expected at most {there}")


def _device_of(model: nn.Module) -> torch.device:
    """Return where the model's weights lie."""
    return next((tensor.device for tensor in model.parameters()), torch.device("cpu"))


def predict(model: nn.Module, images: Tensor, *, batch_size: int = 256) -> Tensor:
    """Return the logits (N, K) of images (N, 3, H, W), in evaluation mode, without gradients, on the images' device.

    They are in single precision at least.

    Raises:
        ValueError: what the methods refuse: no images, images of another shape or type, a model without logits (N, K),
            or whose rows depend on each other; or batch_size below 1.
    """
    expect_model(model)
    expect_images(images)
    expect_int("batch_size", batch_size, 1)
    device, logits = _device_of(model), []
    with _evaluating(model), torch.no_grad():
        for batch in images.split(batch_size):
            rows = batch.to(device)
            check_inputs(model, rows)
            logits.append(logits_of(model, rows).to(images.device))
    return torch.cat(logits)


def evaluate(model: nn.Module, data: Images, *, batch_size: int = 256) -> float:
    """Return the share of images, in [0, 1], whose highest logit is that of their label.

    Raises:
        ValueError: as `predict`; a model of one logit; labels that the model lacks.
    """
    expect_kind("data", data, Images)
    if not len(data):
        raise ValueError("no images were given, expected 1 or more")
    right = 0
    for batch in data.batches(expect_int("batch_size", batch_size, 1)):
        logits = expect_classes(predict(model, batch.images, batch_size=batch_size))
        right += int((logits.argmax(1) == expect_labels(batch.labels, *logits.shape)).sum())
    return right / len(data)


def save(model: nn.Module, path: str | Path, /, **meta: object) -> None:
    """Write the weights of `model` to a safetensors file, whole or not at all, with what JSON can hold."""
    expect_model(model)
    files.write(expect_path("path", path), model.state_dict(), **meta)


def load(model: nn.Module, path: str | Path) -> dict:
    """Read weights that `save` wrote into `model`, and return their description.

    Raises:
        ValueError: a file that is absent, truncated, or another model's; the model is then as it was.
    """
    expect_model(model)
    tensors, meta = files.read(expect_path("path", path))
    files.put(model, tensors, path)
    return meta
