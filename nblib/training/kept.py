"""Trainings that are done once: kept by a key, read by whoever asks again, gone on with after an interruption."""
import inspect
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

from nblib import store
from nblib.checks import expect_kind, expect_one_of
from nblib.data import Images
from nblib.models import build, made_of, published
from nblib.models import weights as files
from nblib.training.circumstances import conditions, note_network
from nblib.training.fitting import fit

Kept = tuple[dict[str, Tensor], dict]  # tensors by name, and a description that JSON can hold
LIBRARIES = {"torch", "torchvision", "timm"}  # whose versions are pinned; a reader's folder may be called so
APART = {"model", "data", "seed", "checkpoint", "loss", "after_step"}  # arguments of `fit` that are no options of a key


def trained(name: str, data: Images, *, classes: int | None = None, size: int | None = None,
            weights: str | Path | None = None, seed: int = 0, **fit_options: object) -> nn.Module:
    """Return the network that `build` and `fit` give, which is trained once and then kept.

    What was kept is found by the name, the data, the seed, the options and the source of models and training, with
    whatever a reader's own function imports and reads; it lies in the folder "models" of the store. Whoever asks for it while another process
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
    expect_kind("data", data, Images)
    options = expect_keepable("trained()", data, fit_options)
    shape = dict(classes=classes or len(data.classes), size=size or data[:1].images.shape[-1])
    model = build(name, weights=weights, seed=seed, **shape)
    start = Path(weights) if weights not in (None, "default") else weights
    path = kept_at(name, model, data, shape, start, seed, options, *(published(name) if start == "default" else []))

    def train(checkpoint: Callable[[], Path]) -> Kept:
        losses = fit(model, data, seed=seed, checkpoint=checkpoint(), **fit_options)
        return model.state_dict(), dict(name=name, seed=seed, losses=losses, **shape)

    tensors, _ = once(path, train, device=fit_options.get("device", "auto"))
    files.put(model, tensors, path)
    return model


def once(path: Path, train: Callable[[Callable[[], Path]], Kept], *, device: str = "auto") -> Kept:
    """Return what lies at `path`, or else what `train` gives, which is then kept there with the training's conditions.

    Whoever asks for it while another process trains it, waits.

    Args:
        path: as from `kept_at`.
        train: does the work. It is given a function that names the checkpoint of its next `fit`: a first, a second ...
            Called again after an interruption, it runs through those that it had.
        device: as in `choose_device`, for the conditions.
    """
    with store.lock(path, f"another process trains {path.stem}"):
        found = _readable(path)
        if found is None:
            begun, states, went_on = time.monotonic(), [], []

            def checkpoint() -> Path:
                states.append(path.with_suffix(f".{len(states)}.training.safetensors"))
                went_on.append(_readable(states[-1]) is not None)
                return states[-1]

            tensors, meta = train(checkpoint)
            took = {"seconds": round(time.monotonic() - begun, 1), "resumed": any(went_on)}
            files.write(path, tensors, **meta, training=conditions(device) | took)
            for state in states:
                state.unlink(missing_ok=True)
            found = files.read(path)
    note_network(path, found[1])
    return found


def _readable(path: Path) -> Kept | None:
    """Return what lies at `path`; what lies there and cannot be read is removed, with a warning."""
    if not path.exists():
        return None
    try:
        return files.read(path)
    except ValueError as error:
        warnings.warn(f"{error}; it is removed, and the training is done again", stacklevel=4)
        path.unlink()
        return None


def expect_keepable(caller: str, data: Images, fit_options: dict[str, object]) -> dict[str, object]:
    """Return those options of `fit` that decide what is trained; refuse others, and data that have no key."""
    known = sorted(inspect.signature(fit).parameters.keys() - APART)
    for option in fit_options:
        expect_one_of(f"option of {caller}", option, known)
    if not data.key:
        raise ValueError("the data have no key, so what is trained on them cannot be kept: train without keeping it, "
                         "by fit() or lottery_ticket()")
    return {name: value for name, value in fit_options.items() if name != "progress"}


def kept_at(name: str, model: nn.Module, data: Images, *said: object, kind: str = "") -> Path:
    """Return where a training is kept: the file's name changes with everything that decides what comes out.

    Args:
        name: of the network, as in `build`, and `model`, the network.
        data: the training images.
        said: whatever else decides it, as in `nblib.store.key`: options, seeds, files of source.
        kind: a word for the file's name.
    """
    key = store.key(name, data.key, len(data), *said, *_sources_of(name, model), *made_of(name, model))
    words = [name.replace(":", "-").replace("/", "-"), *([kind] if kind else []), key]
    return store.folder("models") / f"{'-'.join(words)}.safetensors"


def _sources_of(name: str, model: nn.Module) -> list[Path]:
    """Return the files that decide what training gives: the loop, the network's classes, a reader's own function."""
    modules = {type(module).__module__ for module in model.modules()} | {name.partition(":")[0]}
    own = {module for module in modules if module.partition(".")[0] not in LIBRARIES}
    paths = sorted({Path(path) for module in own if (path := getattr(sys.modules.get(module), "__file__", None))})
    return [*paths, *store.sources("models/normalisation.py", "training/optimizers.py", "training/loop.py",
                                 "training/fitting.py")]
