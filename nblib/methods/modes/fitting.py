"""Fitting the autoencoder, and what comes of it: loadings, modes, which of them live, and how much they explain."""
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nblib import store
from nblib.checks import expect_int, expect_number, expect_one_of
from nblib.engine import drawing_from, expect_finite, precise
from nblib.methods.modes.autoencoder import SparseAutoencoder
from nblib.models import weights as files

RESAMPLED = 0.75  # share of the steps after which no dead mode is pointed elsewhere any more
KEPT_EVERY = 500  # steps from one state of an unfinished fit to the next, about
AGAINST = ("channel_means", "published")


@dataclass(frozen=True)
class Modes:
    """Modes that were fitted; those that never fire on the rows of the fit are left out.

    `loadings` (N, M) are ≥ 0, `dictionary` (M, C) is in units of contributions, so that loadings times dictionary is
    the reconstruction. `alive` (n_modes,) says which of those asked for are the M. `r2` is the share of variance
    explained on the rows of the fit, against channel means.
    """

    loadings: Tensor
    dictionary: Tensor
    alive: Tensor
    r2: float
    autoencoder: SparseAutoencoder
    scale: float  # what contributions are divided by

    def load(self, contributions: Tensor) -> Tensor:
        """Return the loadings (N, M) of other contributions (N, C) on these modes."""
        expect_rows(contributions, self.dictionary.shape[1])
        with torch.no_grad():
            return self.autoencoder.encode(precise(contributions) / self.scale)[:, self.alive]

    def explained(self, contributions: Tensor, *, against: str = "channel_means") -> float:
        """Return the share of variance that the modes explain of other contributions (N, C); as in `r_squared`."""
        return r_squared(contributions, self.load(contributions) @ self.dictionary, against=against)


def r_squared(values: Tensor, reconstruction: Tensor, *, against: str = "channel_means") -> float:
    r"""Return the share of variance explained, :math:`R^2=1-\|x-\hat x\|^2/\|x-m\|^2`, at most 1.

    Args:
        values: x, (N, C), not constant.
        reconstruction: (N, C).
        against: what m is: "channel_means", each channel's own mean; or "published", one mean of all values, which the
            channel means alone already beat.

    Raises:
        ValueError: shapes that differ, values that do not vary, or another `against`.
    """
    expect_one_of("against", against, AGAINST)
    if values.shape != reconstruction.shape:
        raise ValueError(f"a reconstruction {tuple(reconstruction.shape)} of {tuple(values.shape)} was given, expected "
                         "one shape for both")
    values, reconstruction = values.double(), reconstruction.double()
    mean = values.mean(0) if against == "channel_means" else values.mean()
    spread = (values - mean).square().sum()
    if not (values != values[:1]).any():
        raise ValueError("values were given that do not vary, expected some to explain")
    return 1 - ((values - reconstruction).square().sum() / spread).item()


def fit_modes(contributions: Tensor, *, n_modes: int, codes: str = "threshold", threshold: float = 0.9,
              nonnegative: bool = True, seed: int = 0, active: int = 5, hidden: int | None = None,
              firing_rate: float | None = 0.05, steps: int = 1500, batch_size: int = 128, lr: float = 1e-3,
              dictionary_l1: float = 5e-5, resample_every: int = 100, checkpoint: str | Path | None = None) -> Modes:
    r"""Find modes: rows of a dictionary, a few of which add up to the contributions of each image.

    .. math:: \min_{z(\cdot),D}\ \text{mean}\,(x-zD)^2+\lambda\,\text{mean}\,|D|

    x are the contributions over their standard deviation. Adam, in batches; `seed` alone decides the result.

    Args:
        contributions: (N, C), usually positive channel sums; finite, not constant.
        n_modes: M, 1 or more; P3 takes 3 C.
        codes, threshold, nonnegative, active, hidden: as in `SparseAutoencoder`.
        seed: of first weights, order and dropout.
        firing_rate: of "threshold" codes: the share of images on which each mode fires at first, in (0, 1). None is as
            published: then few modes ever fire, or none.
        steps: of training, 1 or more. Many steps let modes die again.
        batch_size: rows a step, 1 or more.
        lr: of Adam, above 0.
        dictionary_l1: λ, 0 or more.
        resample_every: of "topk" codes: after so many steps, modes that did not fire since are pointed at what is
            explained worst; 0 is never. None are in the last quarter of the steps.
        checkpoint: a safetensors file, written every few hundred steps; where it exists, the fit goes on from it.

    Returns:
        The modes that live, with the loadings of the rows given, in single precision or better, on their device.

    Raises:
        ValueError: contributions that are empty, constant or not finite; an option out of range; before any work.
        RuntimeError: no mode ever fires, with what to change.

    Source: P3, section 4. Its settings: firing_rate None, lr 5e-5, 300 epochs, no resampling.
    """
    rows, scale = expect_contributions(contributions)
    options = dict(steps=expect_int("steps", steps, 1), batch_size=expect_int("batch_size", batch_size, 1),
                   lr=expect_number("lr", lr, 1e-12), l1=expect_number("dictionary_l1", dictionary_l1, 0),
                   every=expect_int("resample_every", resample_every, 0) if codes == "topk" else 0,
                   seed=expect_int("seed", seed, 0))
    if firing_rate is not None:
        expect_number("firing_rate", firing_rate, 1e-6, 1 - 1e-6)
    with drawing_from(seed):
        model = SparseAutoencoder(rows.shape[1], n_modes, codes=codes, threshold=threshold, active=active,
                                  hidden=hidden, nonnegative=nonnegative).to(rows)
    model.eval()
    if firing_rate is not None:
        model.begin_firing(rows, firing_rate)
    _train(model, rows, options, Path(checkpoint) if checkpoint else None)
    return modes_of(model, contributions, scale)


def modes_of(model: SparseAutoencoder, contributions: Tensor, scale: float) -> Modes:
    """Return what an autoencoder that was fitted on contributions (N, C) makes of them.

    Raises:
        RuntimeError: no mode ever fires.
    """
    rows = precise(contributions)
    with torch.no_grad():
        loadings = model.eval().encode(rows / scale)
    alive = (loadings > 0).any(0)
    if not alive.any():
        raise RuntimeError(f"none of {len(alive)} modes fires on any of {len(rows)} rows: a mode that is silent from "
                           f"the first step never learns. Set firing_rate=0.05, a threshold below {model.threshold:g}, "
                           'or codes="topk"')
    dictionary = model.dictionary.detach()[alive] * scale
    loadings = loadings[:, alive]
    return Modes(loadings, dictionary, alive, r_squared(rows, loadings @ dictionary), model, scale)


def expect_rows(contributions: Tensor, channels: int | None = None) -> None:
    """Refuse contributions that are not (N, C), finite and not empty, or of another number of channels."""
    if contributions.ndim != 2 or not contributions.numel() or channels not in (None, contributions.shape[-1]):
        expected = "(N, C)" if channels is None else f"(N, {channels})"
        raise ValueError(f"contributions {tuple(contributions.shape)} were given, expected {expected}, not empty; "
                         "units (N, C, H, W) are summed over places first")
    expect_finite("contributions", contributions)


def expect_contributions(contributions: Tensor) -> tuple[Tensor, float]:
    """Return contributions (N, C) over their standard deviation, and that; refuse those that cannot be decomposed."""
    expect_rows(contributions)
    rows = precise(contributions.detach())
    scale = rows.std(correction=0).item()
    if not (rows != rows[:1]).any():
        raise ValueError(f"contributions {tuple(rows.shape)} were given that are the same for all images, expected "
                         "some that vary: there is nothing to decompose")
    return rows / scale, scale


def _train(model: SparseAutoencoder, rows: Tensor, options: dict, checkpoint: Path | None) -> None:
    """Take the steps that the checkpoint does not have yet, epoch by epoch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=options["lr"])
    run = {"rows": store.key(rows), "codes": model.codes, "threshold": model.threshold, **options}
    per_epoch = -(-len(rows) // options["batch_size"])
    epochs = -(-options["steps"] // per_epoch)
    fired = torch.zeros(len(model.dictionary), dtype=torch.bool, device=rows.device)  # since modes were last revived
    done = _resume(checkpoint, model, optimizer, fired, run) if checkpoint and checkpoint.exists() else 0
    model.train()
    for epoch in range(done, epochs):
        generator = torch.Generator().manual_seed(store.seed(options["seed"], epoch))
        order = torch.randperm(len(rows), generator=generator).to(rows.device)
        with drawing_from(store.seed(options["seed"], "dropout", epoch), rows.device):
            for number, batch in enumerate(order.tensor_split(per_epoch), epoch * per_epoch + 1):
                if number > options["steps"]:
                    break
                fired |= _step(model, optimizer, rows[batch], options["l1"])
                if options["every"] and number % options["every"] == 0:
                    if number <= RESAMPLED * options["steps"]:
                        _revive(model, optimizer, rows, ~fired, generator)
                    fired.zero_()
        if checkpoint and (epoch + 1) % max(1, KEPT_EVERY // per_epoch) == 0:
            _keep(checkpoint, model, optimizer, fired, run, epoch + 1)
    if not all(parameter.isfinite().all() for parameter in model.parameters()):
        raise RuntimeError(f"the fit diverged with lr {options['lr']:g}: try a lower one")
    model.eval()


def _step(model: SparseAutoencoder, optimizer: torch.optim.Optimizer, batch: Tensor, l1: float) -> Tensor:
    """Take one step and return which modes fired in it, (M,)."""
    reconstruction, loadings = model(batch)
    loss = (reconstruction - batch).square().mean() + l1 * model.dictionary.abs().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    model.project()
    return (loadings > 0).any(0)


@torch.no_grad()
def _revive(model: SparseAutoencoder, optimizer: torch.optim.Optimizer, rows: Tensor, dead: Tensor,
            generator: torch.Generator) -> None:
    """Point dead modes at what is left of the rows that are explained worst, drawn by their squared error."""
    left = rows - model(rows)[0]
    error = left.square().sum(1)
    if not dead.any() or not error.any():
        return
    which = dead.nonzero().squeeze(1)
    drawn = torch.multinomial(error.cpu().double(), len(which), replacement=True, generator=generator)
    model.point_at(which, left[drawn.to(rows.device)])
    for parameter in (model.dictionary, model.last.weight, model.last.bias):
        for moment in ("exp_avg", "exp_avg_sq"):
            optimizer.state[parameter][moment][which] = 0.0


def _keep(path: Path, model: SparseAutoencoder, optimizer: torch.optim.Optimizer, fired: Tensor, run: dict,
          epochs: int) -> None:
    """Write the state of a fit, whole or not at all."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
    files.write(path, tensors | {"fired": fired}, run=run, epochs=epochs)


def _resume(path: Path, model: SparseAutoencoder, optimizer: torch.optim.Optimizer, fired: Tensor,
            run: dict) -> int:
    """Load the state of a fit and return how many epochs it has; refuse that of another."""
    tensors, meta = files.read(path)
    if meta.get("run") != run:
        raise ValueError(f"{path} is the state of another fit: name another file, or delete it")
    files.put(model, {name.removeprefix("model."): value for name, value in tensors.items()
                      if name.startswith("model.")}, path)
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, number, moment = name.split(".")
            states.setdefault(int(number), {})[moment] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": states})
    fired.copy_(tensors["fired"])
    return meta["epochs"]
