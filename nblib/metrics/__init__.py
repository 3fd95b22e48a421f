"""Numbers about an explanation: where it lies, how sparse it is, how stable."""
from nblib.metrics.concepts import Matching, Purity, concept_purity, match_concepts
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
from nblib.metrics.sparsity import gini, hoyer
from nblib.metrics.stability import importance_sparsity, rank_correlation, reproducibility

__all__ = [
    "Matching",
    "Purity",
    "aopc",
    "auroc",
    "average_precision",
    "concept_purity",
    "energy_gain",
    "energy_inside",
    "gini",
    "hoyer",
    "importance_sparsity",
    "impute",
    "kept_pixels",
    "match_concepts",
    "patch_iou",
    "pointing_game",
    "rank_correlation",
    "removal_ranks",
    "reproducibility",
    "road",
    "segmentation_difference",
    "trivial_maps",
]
