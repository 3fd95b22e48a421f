"""Trainings that are done once: kept by a key, read by whoever asks again, gone on with after an interruption."""
import inspect
import sys
import time
import warnings
from pathlib import Path

from torch import nn

from nblib import store
from nblib.checks import expect_one_of
from nblib.data import Images
from nblib.models import build
from nblib.models import weights as files
from nblib.training.circumstances import conditions, note_network
from nblib.training.fitting import fit, load, save


def trained(name: str, data: Images, *, classes: int | None = None, size: int | None = None,
            weights: str | Path | None = None, seed: int = 0, **fit_options: object) -> nn.Module:
    """Return the network that `build` and `fit` give, which is trained once and then kept.

    What was kept is found by the name, the data, the seed, the options and the source of models and training, a
    reader's own file included; it lies in the folder "models" of the store. Whoever asks for it while another process
    trains it, waits. An interrupted training goes on where it was.

    Args:
        name: as in `build`.
        data: the training images; their `key` has to change with them.
        classes: K; by default as many as the data have.
        size: H and W; by default those of the data.
        weights: where the training starts, as in `build`; None is at random.
        seed: of the random weights and of the training.
        fit_options: of `fit`, but for checkpoint, loss and after_step, which a key cannot tell apart.

    Raises:
        ValueError, RuntimeError: as `build` and `fit`; options that cannot be kept apart; data without a key.
    """
    known = inspect.signature(fit).parameters.keys() - {"model", "data", "checkpoint", "loss", "after_step"}
    for option in fit_options:
        expect_one_of("option of trained()", option, sorted(known))
    if not data.key:
        raise ValueError("the data have no key, so what is trained on them cannot be kept: use build() and fit()")
    shape = dict(classes=classes or len(data.classes), size=size or data[:1].images.shape[-1])
    model = build(name, weights=weights, seed=seed, **shape)
    start = Path(weights) if weights not in (None, "default") else weights
    key = store.key(name, data.key, len(data), shape, start, seed, {k: v for k, v in fit_options.items() if k != "progress"},
                    *sources_of(name, model))
    path = store.folder("models") / f"{name.replace(':', '-').replace('/', '-')}-{key}.safetensors"
    with store.lock(path):
        if not usable(path):
            checkpoint = path.with_suffix(".training.safetensors")
            begun, resumed = time.monotonic(), usable(checkpoint)
            losses = fit(model, data, seed=seed, checkpoint=checkpoint, **fit_options)
            training = conditions(fit_options.get("device", "auto")) | {
                "seconds": round(time.monotonic() - begun, 1), "resumed": resumed}
            save(model, path, name=name, seed=seed, losses=losses, training=training, **shape)
            checkpoint.unlink()
        note_network(path, load(model, path))
    return model


def usable(path: Path) -> bool:
    """Say whether weights lie at `path`; what lies there and cannot be read is removed, with a warning."""
    if not path.exists():
        return False
    try:
        files.read(path)
    except ValueError as error:
        warnings.warn(f"{error}; it is removed, and the training is done again", stacklevel=3)
        path.unlink()
        return False
    return True


def sources_of(name: str, model: nn.Module) -> list[Path]:
    """Return the files that decide what training gives: the loop, the network's classes, and a reader's own function."""
    modules = {type(module).__module__ for module in model.modules()} | {name.partition(":")[0]}
    files = {Path(sys.modules[module].__file__) for module in modules if getattr(sys.modules.get(module), "__file__", None)}
    own = sorted(path for path in files if not {"torch", "torchvision", "timm"} & set(path.parts))
    return [*own, *store.sources("models/normalisation.py", "training/optimizers.py", "training/loop.py", "training/fitting.py")]
