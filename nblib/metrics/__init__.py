"""Numbers about any explanation: where it lies, how sparse and how stable it is, what the network loses with it.

A map of the room; it asks nothing of where a map came from:

- `maps`: what is done to raw maps first, each step a function with a name.
- `localization`: does a map lie on the object? With it `trivial_maps`, which every such number has to beat.
- `sparsity` and `stability`: how unevenly a map is spread, also by `hoyer` of `nblib.engine`; whether it stays the
  same between seeds and networks, and agrees with another (`top_overlap`).
- `faithfulness`: what becomes of the network's answer when pixels go in the order of a map (`road`), which
  `imputation` fills in from their neighbours.
- `randomization`: copies of a network that forget, layer by layer, what it has learnt, and norms settled for them.
- `ranks` serves `localization` and `stability`.

Most functions take and give:

maps
    (N, H, W), one map an image, raw and signed unless it is said otherwise; where only values count and not places,
    (N, ...).
masks
    (N, H, W) bool, True on what should be found.
seed
    fixes what is drawn, 0 or more. All images get the same draws, so that none depends on its batch.

What comes back is one number an image, (N,), computed in double precision and given back in the maps' type. A map that
is not finite gives NaN, and so does a question without an answer, such as where an empty mask lies. Shapes and types
that do not fit are a ValueError.
"""
from nblib.engine import hoyer
from nblib.metrics.faithfulness import aopc, kept_pixels, removal_ranks, road
from nblib.metrics.imputation import impute
from nblib.metrics.localization import (
    auroc,
    average_precision,
    energy_gain,
    energy_inside,
    patch_iou,
    pointing_game,
    segmentation_difference,
    trivial_maps,
)
from nblib.metrics.maps import absolute, normalize_max, normalize_min_max, positive, to_patches
from nblib.metrics.randomization import randomize_layers, randomized_stages, settle_norms
from nblib.metrics.sparsity import gini
from nblib.metrics.stability import (
    chance_overlap,
    importance_sparsity,
    rank_correlation,
    reproducibility,
    top_overlap,
)

__all__ = [
    "absolute", "aopc", "auroc", "average_precision", "chance_overlap", "energy_gain", "energy_inside", "gini", "hoyer",
    "importance_sparsity", "impute", "kept_pixels", "normalize_max", "normalize_min_max", "patch_iou",
    "pointing_game", "positive", "randomize_layers", "randomized_stages", "rank_correlation", "removal_ranks",
    "reproducibility", "road", "segmentation_difference", "settle_norms", "to_patches", "top_overlap", "trivial_maps",
]
