"""Which concepts a layer forms, how much each matters, and how pure and how stable they are.

The room:

- `craft`: `Craft` finds a layer's concepts, where they are, and what they do to a logit; `switch_off` takes them out.
- `crops`: the pieces of images in which concepts are looked for.
- `nonnegative`: a matrix as a product of concepts and coefficients, and the exact coefficients of given rows.
- `importance`: total Sobol indices, estimated for any head and exact for an affine one; masks of concepts.
- `measures`: how pure concepts are and which of two models' are the same; needs nothing of the others.

`Craft.fit` calls `crops` and `nonnegative`, `Craft.image_importance` calls `importance`. What follows a layer, as a
function, is `nblib.engine.logit_after`.

Arguments that functions of this room share:

Args:
    images: (N, C, H, W), finite.
    label: the class c, from 0 to K − 1.
    head: what follows the layer, from its output (R, C, h, w) to one logit (R,).
    activations: the layer's output, (N, C, h, w), ≥ 0.
    coefficients: u, (N, r, h, w), ≥ 0: how much of each concept is at each place.
    bank: W, (r, C), ≥ 0: the concepts.
    masks: m, (M, r), in [0, 1]: how far each concept is turned down, the same at all places.
    chunk_size: rows in one pass through the network, or through what follows the layer; None goes by their size.
        Results do not depend on it.

P2 is Suwal et al. (2025); its authors' code is code/craft/craft.ipynb of the repository sanishsuwal7/Neurips-CogInterp,
on top of the repository deel-ai/Craft.
"""
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
