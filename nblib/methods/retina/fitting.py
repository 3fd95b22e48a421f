"""Fitting the network to a recording, and what it predicts."""
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from nblib import store
from nblib.checks import expect_int, expect_number
from nblib.data import Recording
from nblib.engine import drawing_from, expect_finite, seeded
from nblib.models import weights as files
from nblib.models.retina import RetinaCNN
from nblib.training import choose_device, once

SOURCES = store.sources("models/retina", "methods/retina/fitting.py")
PREDICTED_AT_ONCE = 512  # windows in one pass


def fit_retina(model: nn.Module, recording: Recording, *, epochs: int = 6, batch_size: int = 250, lr: float = 1e-2,
               weight_decay: float = 1e-3, seed: int = 0, device: str = "auto") -> list[float]:
    r"""Fit a network to the train part of a recording, in place; it ends in evaluation mode, on its own device.

    The loss is the Poisson likelihood of the spikes, :math:`\frac1{N\,cells}\sum\hat r-n\log\hat r`. The optimiser is AdamW,
    whose rate goes up for a quarter of the steps and then down a cosine.

    Args:
        model: windows (N, T, H, W) -> rates (N, cells), with a number `frames`, T, as `RetinaCNN`.
        recording: as from `load_recording` or `SimulatedRetina.record`.
        epochs: passes over the train part, 1 or more.
        batch_size: windows a step, 2 or more.
        lr: the highest learning rate, 0 or more; at 0 only the statistics of batch norms are learned, which is the
            untrained network that a trained one is to be compared with.
        weight_decay: 0 or more.
        seed: of order, noise and dropout.
        device: as in `nblib.training.choose_device`.

    Returns:
        The mean loss of each epoch.

    Raises:
        ValueError: a train part shorter than a window; spikes that are not finite; a number of cells that is not the
            network's; a number out of range; before any work.
        RuntimeError: a loss that is not finite, with the epoch.

    Source: P3, figure 8A; the training recipe of the repository baccuslab/torch-deep-retina, with fewer, faster steps.
    """
    expect_int("epochs", epochs, 1)
    expect_int("batch_size", batch_size, 2)
    expect_number("lr", lr, 0)
    expect_number("weight_decay", weight_decay, 0)
    chosen, generator = choose_device(device), seeded(seed)
    seen, spikes = recording.part("train", model.frames)
    expect_finite("spikes of windows", spikes)
    _expect_cells(model, seen, spikes)
    home = next(model.parameters()).device
    movie, spikes = recording.stimulus[:recording.train_frames].to(chosen), spikes.to(chosen)
    seen = movie.unfold(0, model.frames, 1).movedim(-1, 1)  # a view of the movie where it lies
    steps = math.ceil(len(seen) / batch_size)
    model.to(chosen).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _share(step, epochs * steps))
    losses = []
    try:
        with drawing_from(store.seed("retina", seed), chosen):
            for epoch in range(epochs):
                order = torch.randperm(len(seen), generator=generator).to(chosen)
                total = torch.zeros((), device=chosen)
                for rows in order.tensor_split(steps):
                    loss = nn.functional.poisson_nll_loss(model(seen[rows]), spikes[rows], log_input=False)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    schedule.step()
                    total += loss.detach() * len(rows)
                losses.append(total.item() / len(seen))
                if not math.isfinite(losses[-1]):
                    raise RuntimeError(f"the loss of epoch {epoch + 1} is {losses[-1]}: try a lower lr than {lr:g}")
    finally:
        model.to(home).eval()
    return losses


def kept_retina(recording: Recording, places: Tensor, *, network: dict[str, object] | None = None, seed: int = 0,
                device: str = "auto", **fit_options: object) -> RetinaCNN:
    """Return the `RetinaCNN` that `fit_retina` gives, with collapsed convolutions, fitted once and kept in the store.

    Whoever asks for it while another process fits it, waits.

    Args:
        places: (cells, 2), as in `RetinaCNN`.
        network: further options of `RetinaCNN`.
        seed: of first weights and training.
        fit_options: of `fit_retina`.

    Other arguments: as in `fit_retina`.

    Raises: as `RetinaCNN` and `fit_retina`.
    """
    options = network or {}
    model = RetinaCNN(places, seed=seed, **options)
    key = store.key(recording.key, torch.as_tensor(places).tolist(), options, seed, fit_options, *SOURCES)

    def train(_: Callable) -> tuple[dict[str, Tensor], dict]:
        losses = fit_retina(model, recording, seed=seed, device=device, **fit_options)
        return model.state_dict(), {"name": "retina", "seed": seed, "losses": losses}

    path = store.folder("models") / f"retina-{key}.safetensors"
    tensors, _ = once(path, train, device=device)
    files.put(model, tensors, path)
    return model.collapse()


def predicted_rates(model: nn.Module, windows: Tensor) -> Tensor:
    """Return the rates (N, cells) that a model in evaluation mode gives for windows (N, T, H, W), a view or not.

    Raises:
        ValueError: a model in training mode.
    """
    if model.training:
        raise ValueError("a model in training mode was given, expected evaluation mode: call model.eval() first")
    with torch.no_grad():
        return torch.cat([model(piece) for piece in windows.split(PREDICTED_AT_ONCE)])


def correlation(first: Tensor, second: Tensor) -> Tensor:
    r"""Return Pearson's r over rows of each column of (N, C) with the same of another (N, C), (C,) in [−1, 1].

    A column that does not vary has NaN.
    """
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(f"values {tuple(first.shape)} and {tuple(second.shape)} were given, expected one shape (N, C)")
    a, b = (values.double() - values.double().mean(0) for values in (first, second))
    lengths = a.norm(dim=0) * b.norm(dim=0)
    return ((a * b).sum(0) / torch.where(lengths > 0, lengths, torch.nan)).clamp(-1, 1).to(first.dtype)


def _share(step: int, steps: int) -> float:
    """Return the learning rate of a step as a share of the highest."""
    rising = max(1, steps // 4)
    if step < rising:
        return (step + 1) / rising
    return (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising))) / 2


def _expect_cells(model: nn.Module, windows: Tensor, spikes: Tensor) -> None:
    """Refuse spikes of another number of cells than the network gives, or that a cell never fires."""
    with torch.no_grad():
        cells = model.eval()(windows[:1].to(next(model.parameters()).device)).shape[1]
    if spikes.shape[1] != cells:
        raise ValueError(f"spikes of {spikes.shape[1]} cells were given, the network has {cells}")
    silent = (spikes == 0).all(0).nonzero().flatten().tolist()
    if silent:
        raise ValueError(f"cells {silent} never fire while the network is fitted: leave them out")
