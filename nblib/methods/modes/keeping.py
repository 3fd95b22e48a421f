"""Modes that are fitted once and then kept, so that pages share them and an interrupted fit goes on."""
from collections.abc import Callable

from torch import Tensor

from nblib import store
from nblib.methods.modes.autoencoder import SparseAutoencoder
from nblib.methods.modes.fitting import Modes, expect_contributions, fit_modes, modes_of
from nblib.models import weights as files
from nblib.training import once

SOURCES = store.sources("methods/modes/autoencoder.py", "methods/modes/fitting.py")
OF_THE_NETWORK = ("codes", "threshold", "active", "hidden", "nonnegative")  # options of `SparseAutoencoder`


def kept_modes(contributions: Tensor, *, n_modes: int, **options: object) -> Modes:
    """Return the modes that `fit_modes` finds, fitted once and then kept in the store.

    They are found again by the contributions, the options and the source of this room. Whoever asks for them while
    another process fits them, waits. An interrupted fit goes on where it was.

    Args:
        contributions, n_modes, options: as in `fit_modes`, but for checkpoint.

    Raises:
        ValueError, RuntimeError: as in `fit_modes`.
    """
    if "checkpoint" in options:
        raise ValueError("a checkpoint was given, expected none: kept_modes() names its own")
    rows, scale = expect_contributions(contributions)
    path = store.folder("models") / f"modes-{store.key(rows, scale, n_modes, options, *SOURCES)}.safetensors"

    def train(checkpoint: Callable) -> tuple[dict[str, Tensor], dict]:
        fitted = fit_modes(contributions, n_modes=n_modes, checkpoint=checkpoint(), **options)
        told = {"name": "modes", "alive": int(fitted.alive.sum()), "seed": options.get("seed", 0), "losses": []}
        return fitted.autoencoder.state_dict(), told

    tensors, _ = once(path, train, device=str(rows.device))
    network = {name: value for name, value in options.items() if name in OF_THE_NETWORK}
    model = SparseAutoencoder(rows.shape[1], n_modes, **network).to(rows)
    files.put(model, tensors, path)
    return modes_of(model, contributions, scale)
