"""Which neurons of a vision transformer, one a layer, carry a decision: searches, scores, interventions, measures.

The room:

- `search`: `find_paths` and `rank_neurons`, a beam that goes from layer to layer and asks a criterion.
- `criteria`: what a path is chosen by; each says how good every neuron of the next layer would be.
- `scores`: `joint_attribution` and the complete scores of given paths, and the differences that those add up to.
- `slopes`: the mean slopes that scores and criteria are made of, by clamped passes or carried through a known ViT.
- `batches`: checks the input, and gives all of them images that fit in memory, with their clean neurons.
- `interventions`: neurons removed, doubled, set to their means, or all but them pruned.
- `measures`: numbers about paths and edits that were found; needs nothing of the others.

`search` calls `criteria`, `criteria` calls `scores` and `slopes`, and whatever runs the model begins in `batches`.
`joint_attribution` is read in `scores`, `slopes`, `batches`, and `nblib.engine.quadrature` for the rules.

Arguments that functions of this room share:

Args:
    model: in evaluation mode, (N, C, H, W) → logits (N, K).
    images: (N, C, H, W), finite.
    labels: (N,) whole numbers, the class of each image, or one for all.
    layers: L layers in the order in which they run, whose output is (N, T, n): `nblib.models.vit.neuron_layers(model)`,
        or some of them.
    neurons: (N, L) whole numbers, the neuron of each layer; or (N, L, width) from `find_paths`.
    steps: m, points on the way from 0 to the clean values, from 1 up.
    quadrature: the rule for the integral, see `nblib.engine.quadrature_rule`; "left" is what the authors' code does,
        "right" is the paper's equation 6.
    tokens: "cls" looks at the class token, "patches" at those of the patches, "all" at both. Of a model that
        `vit_parts` does not know, the patches follow `model.num_prefix_tokens` other tokens, or one where it has no
        such attribute.
    chunk_size: rows in one forward and backward pass; None goes by the images' size. Results do not depend on it.

Raises:
    ValueError: a model in training mode; images that are empty or not finite; labels, neurons, steps or names out of
        range; layers twice, out of order, or of another shape; class tokens of a model that does not read them.
    KeyError: a layer that is not there.
    RuntimeError: a layer that does not run.

P1 is Wang et al. (2025); the authors' code is the repository foundation-model-research/NeuronPath.
"""
from nblib.methods.neuron_paths.criteria import CRITERIA
from nblib.methods.neuron_paths.interventions import (
    common_neurons,
    edited_probabilities,
    mean_activations,
    pruned_probabilities,
)
from nblib.methods.neuron_paths.measures import (
    Agreement,
    Concentration,
    Effect,
    class_similarity,
    concentration,
    path_effect,
    relation_agreement,
    shuffled_concentration,
    utilisation,
)
from nblib.methods.neuron_paths.scores import (
    joint_attribution,
    knowledge_attribution,
    layer_change,
    path_change,
    path_integral,
)
from nblib.methods.neuron_paths.search import NeuronPaths, find_paths, rank_neurons

__all__ = [
    "Agreement", "class_similarity", "common_neurons", "Concentration", "concentration", "CRITERIA",
    "edited_probabilities", "Effect", "find_paths", "joint_attribution", "knowledge_attribution",
    "layer_change", "mean_activations", "NeuronPaths", "path_change", "path_effect", "path_integral",
    "pruned_probabilities", "rank_neurons", "relation_agreement", "shuffled_concentration", "utilisation",
]
