"""Which concepts a layer forms, how much each matters, and how pure and how stable they are."""
from nblib.methods.concepts.craft import Craft, above_percentile, switch_off
from nblib.methods.concepts.crops import Crop, cut
from nblib.methods.concepts.importance import exact_indices, mask_response, total_indices, varied_activations
from nblib.methods.concepts.measures import Matching, Purity, concept_purity, match_concepts
from nblib.methods.concepts.nonnegative import factorize, nonnegative_coefficients

__all__ = [
    "above_percentile", "concept_purity", "Craft", "Crop", "cut", "exact_indices", "factorize", "mask_response",
    "match_concepts", "Matching", "nonnegative_coefficients", "Purity", "switch_off", "total_indices",
    "varied_activations",
]
