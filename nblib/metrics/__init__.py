"""Numbers about any explanation: where it lies, how sparse and how stable it is, what the network loses with it."""
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
from nblib.metrics.randomization import randomize_layers, randomized_stages
from nblib.metrics.sparsity import gini, hoyer
from nblib.metrics.stability import importance_sparsity, rank_correlation, reproducibility

__all__ = [
    "absolute", "aopc", "auroc", "average_precision", "energy_gain", "energy_inside", "gini", "hoyer",
    "importance_sparsity", "impute", "kept_pixels", "normalize_max", "normalize_min_max", "patch_iou",
    "pointing_game", "positive", "randomize_layers", "randomized_stages", "rank_correlation", "removal_ranks",
    "reproducibility", "road", "segmentation_difference", "to_patches", "trivial_maps",
]
