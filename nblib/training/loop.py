"""The training loop itself: epochs, steps, and the state from which an interrupted run goes on."""
import functools
import logging
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from nblib import store
from nblib.data import Images
from nblib.engine import drawing_from, expect_logits
from nblib.models import together, weights
from nblib.training.optimizers import Ranger

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Loss = Callable[[Tensor, Tensor], Tensor]
ON_DEVICE = 2**30  # bytes of images up to which a set is kept on the device as one tensor


def _flip(images: Tensor, chance: Tensor) -> Tensor:
    """Mirror each image of (N, 3, H, W) with probability one half; chance (N, 3) is uniform in [0, 1)."""
    return torch.where((chance[:, 0] < 0.5)[:, None, None, None], images.flip(3), images)


def _crop_flip(images: Tensor, chance: Tensor) -> Tensor:
    """Move each image by up to an eighth of its side, with black where it left, and mirror half of them."""
    count, _, height, width = images.shape
    reach = height // 8
    moves = (chance[:, 1:] * (2 * reach + 1)).long()  # (N, 2), 0 to 2 reach
    rows = moves[:, :1] + torch.arange(height, device=images.device)
    columns = moves[:, 1:] + torch.arange(width, device=images.device)
    padded = F.pad(images, (reach, reach, reach, reach)).movedim(1, 3)  # (N, H + 2 reach, W + 2 reach, 3)
    which = torch.arange(count, device=images.device)[:, None, None]
    return _flip(padded[which, rows[:, :, None], columns[:, None, :]].movedim(3, 1), chance)


AUGMENT: dict[str | None, Callable[[Tensor, Tensor], Tensor]] = {
    None: lambda images, chance: images, "flip": _flip, "crop_flip": _crop_flip,
}
SCHEDULE: dict[str, Callable[[float], float]] = {  # share of the steps done -> share of the learning rate
    "one_cycle": lambda done: done / 0.25 if done < 0.25 else (1 + math.cos(math.pi * (done - 0.25) / 0.75)) / 2,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
    "constant": lambda done: 1.0,
}
OPTIMIZER: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW, "sgd": functools.partial(torch.optim.SGD, momentum=0.9), "ranger": Ranger,
}


def train(*, model: nn.Module, data: Images, options: dict, loss: Loss, after_step: Callable | None, precision: str,
           progress: bool, device: torch.device, devices: int, checkpoint: Path | None) -> list[float]:
    """Run the epochs that the checkpoint does not have yet, as the only process or as one of several."""
    on = [device.index or 0] if devices == 1 and device.type == "cuda" else devices
    from lightning_fabric import Fabric  # here, since its import takes seconds that a finished training does not need
    from lightning_fabric.plugins.environments import LightningEnvironment

    fabric = Fabric(accelerator=device.type, devices=on, precision=precision, plugins=[LightningEnvironment()],
                    strategy="ddp" if devices > 1 else "auto")
    if devices > 1:
        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        fabric.launch()
        together(model)
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    rest = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": options["weight_decay"]}, {"params": rest, "weight_decay": 0.0}]
    optimizer = OPTIMIZER[options["optimizer"]](groups, lr=options["lr"])
    wrapped, optimizer = fabric.setup(model, optimizer)
    run = run_of(data, options)
    losses = resume(checkpoint, model, optimizer, run) if checkpoint and Path(checkpoint).exists() else []
    read = _reader(data, fabric.device)
    shown = progress and fabric.global_rank == 0 and sys.stderr.isatty()
    bar = tqdm(range(len(losses), options["epochs"]), desc="training", unit="epoch", ascii=True, disable=not shown)
    for epoch in bar:
        with drawing_from(store.seed(options["seed"], epoch), fabric.device):  # of dropout
            losses.append(_epoch(fabric, wrapped, optimizer, read, data.labels, epoch, options, loss, after_step))
        bar.set_postfix(loss=f"{losses[-1]:.3f}")
        if checkpoint and fabric.global_rank == 0:
            _keep(checkpoint, model, optimizer, run, losses)
    optimizer.zero_grad()
    return losses


def _epoch(fabric: "Fabric", model: nn.Module, optimizer: torch.optim.Optimizer, read: Callable[[Tensor], Tensor],
           labels: Tensor, epoch: int, options: dict, loss: Loss, after_step: Callable | None) -> float:
    """Go through the data once, each process through its part of every batch, and return the mean loss."""
    count, rank, world = len(labels), fabric.global_rank, fabric.world_size
    steps = min(math.ceil(count / options["batch_size"]), count // world)
    generator = torch.Generator().manual_seed(store.seed(options["seed"], epoch))
    order = torch.randperm(count, generator=generator)
    chances = torch.rand(count, 3, generator=generator)  # for augmentation: whether to mirror, moves in y and x
    total = torch.zeros((), device=fabric.device)
    model.train()
    single = steps * options["epochs"] == 1  # has the highest rate: one_cycle's first is 0, and would train nothing
    for step, rows in enumerate(order.tensor_split(steps)):
        share = 1.0 if single else SCHEDULE[options["schedule"]]((epoch + step / steps) / options["epochs"])
        for group in optimizer.param_groups:
            group["lr"] = options["lr"] * share
        mine = rows.tensor_split(world)[rank]
        images = AUGMENT[options["augment"]](read(mine), chances[mine].to(fabric.device))
        value = loss(expect_logits(model.module, model(images), len(mine)), labels[mine].to(fabric.device))
        if not torch.isfinite(value):
            raise RuntimeError(
                f"the loss became {value.item()} in epoch {epoch + 1}, step {step + 1} of {steps}: try a lower lr than "
                f"{options['lr']:g}, and full precision where it is mixed"
            )
        optimizer.zero_grad()
        fabric.backward(value * (len(mine) * world / len(rows)))  # the mean over processes is the mean over the batch
        optimizer.step()
        if after_step is not None:
            with torch.no_grad():
                after_step(model.module)
        total += value.detach() * len(mine)
    return float(fabric.all_reduce(total, reduce_op="sum")) / count


def _reader(data: Images, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Return a function from row numbers to images on the device."""
    one = data[:1].images
    if len(data) * one.numel() * one.element_size() <= ON_DEVICE:
        images = data.images.to(device)
        return lambda rows: images[rows.to(device)]
    return lambda rows: data[rows].images.to(device)


def run_of(data: Images, options: dict) -> dict:
    """Return what two trainings have to share for one to go on from the other's state."""
    return {"data": data.key or store.key(data.labels), "images": len(data), **options}


def _keep(path: Path | str, model: nn.Module, optimizer: torch.optim.Optimizer, run: dict, losses: list[float]) -> None:
    """Write the state of a training, whole or not at all."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items() if isinstance(value, Tensor)}
    weights.write(path, tensors, run=run, losses=losses)


def resume(path: Path | str, model: nn.Module, optimizer: torch.optim.Optimizer | None, run: dict) -> list[float]:
    """Load the state of a training into model and optimizer, and return the losses of its epochs.

    Raises:
        ValueError: a file that is truncated, another run's, or another model's.
    """
    tensors, meta = weights.read(path)
    if meta.get("run") != run:
        theirs = meta.get("run", {})
        differing = [f"{name} is {value!r} here and {theirs.get(name)!r} there" for name, value in run.items()
                     if theirs.get(name) != value]
        raise ValueError(f"{path} is the state of another training: {'; '.join(differing)}. Name another, or delete it")
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, field = name.split(".", 2)
            states.setdefault(int(number), {})[field] = tensor
    network = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
    weights.put(model, network, path)
    if optimizer is not None:
        optimizer.load_state_dict(optimizer.state_dict() | {"state": states})
    return meta["losses"]
