r"""How much of the answer passes through each unit inside a network: contributions, their sums and their maps.

The room:

- `algorithms`: `contributions`, six ways to share the target's change out among the units of a layer.
- `pieces`: checks the layers, and gives all algorithms what some rows of images compute and how steep the target is.
- `maps`: `contribution_map`, which pixels act through some channels.
- `measures`: numbers about contributions that were found: their two signs, how sparse, how many-sided, how complete.

`algorithms` and `maps` begin in `pieces`; `measures` needs nothing of them but the completeness of a sum.

Arguments that functions of this room share:

Args:
    model: a network in evaluation mode, (N, C, H, W) → logits (N, K), any number of colours or frames C.
    images: x, (N, C, H, W), finite, at least one, of the model's type and on its device.
    layers: names of layers whose output is one tensor (N, ...); with ":input" at the end, a layer's first input. A
        list, or one name.
    target: what is explained: a function of logits (N, K) → (N,), from `nblib.targets`. None explains the logit of the
        class predicted at x, which stays the same all along the path. `max_logit()` follows the largest logit, which
        may be another class's at other points, as the paper's code does.
    steps: K, from 1 up: see `contributions`.
    baseline: :math:`x_0`, where a path begins: a number (0.0 is black), "mean" (each image's own mean colour), or a
        tensor (C, 1, 1), (C, H, W) or (N, C, H, W), finite. The paper's is the data's mean colour.
    channel_axis: which axis of (N, ...) holds the channels; None means 1 of (N, C) and (N, C, H, W), and the last of
        tokens (N, T, D). Channels-last maps (N, H, W, C) need it: 3.
    chunk_size: rows in one pass through the network, 1 or more: images, and of few images several points of their
        paths; None goes by their size. Results do not depend on it, to rounding.

Raises:
    ValueError: a model in training mode; images that are empty, not finite, or of another type; a target, layer, option
        or shape that does not fit.
    KeyError: a layer that is not there, with the nearest names.
    RuntimeError: a layer that does not run.

P3 is Melander et al. (2026), whose method is called CODEC; its authors' code is the repository
baccuslab/CODEC_ICLR_2026, which works by the repository baccuslab/bscope.
"""
from nblib.methods.contributions.algorithms import METHODS, QUADRATURES, contributions
from nblib.methods.contributions.maps import contribution_map
from nblib.methods.contributions.measures import (
    channel_sparsity,
    completeness_gap,
    dimensionality,
    excitation_inhibition,
    excitation_inhibition_correlation,
)

__all__ = [
    "METHODS", "QUADRATURES", "contributions", "contribution_map", "channel_sparsity", "completeness_gap",
    "dimensionality", "excitation_inhibition", "excitation_inhibition_correlation",
]
