r"""Contribution modes (P3): a few recipes of channels for all images, what they say of classes, and what they control.

A map of the room, in the order in which a page uses it:

- `autoencoder`: `SparseAutoencoder`, contributions in, a few loadings in between, contributions out.
- `fitting`: `fit_modes` trains it and returns `Modes`; `r_squared` says how much a reconstruction explains.
- `keeping`: `kept_modes`, the same, fitted once and then read from the store.
- `relations`: `class_correlation` of loadings, or of any values of images; `mode_channels`, which a mode stands for.
- `ablation`: `ablation_curves`, what is left of the network without these channels or with them alone, and
  `area_difference` for the class and for the others.

What goes in are channel sums of contributions, (N, C); which ones, and towards which target, decides what modes can
mean. Arguments that several functions share:

model
    a network in evaluation mode, (N, C, H, W) → logits (N, K).
images
    (N, C, H, W), finite, at least one, of the model's type and on its device.
chunk_size
    rows in one pass, 1 or more; None goes by their size. Results do not depend on it.

Totals are kept in single precision or better. Nothing is left on the model.
"""
from nblib.methods.modes.ablation import Ablation, ablation_curves, area_difference
from nblib.methods.modes.autoencoder import CODES, SparseAutoencoder
from nblib.methods.modes.fitting import Modes, fit_modes, r_squared
from nblib.methods.modes.keeping import kept_modes
from nblib.methods.modes.relations import class_correlation, mode_channels

__all__ = [
    "CODES", "SparseAutoencoder", "Modes", "fit_modes", "kept_modes", "r_squared", "class_correlation", "mode_channels",
    "Ablation", "ablation_curves", "area_difference",
]
