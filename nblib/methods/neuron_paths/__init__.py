"""Which neurons of a vision transformer, one a layer, carry a decision: searches, scores, interventions, measures."""
from nblib.methods.neuron_paths.criteria import CRITERIA
from nblib.methods.neuron_paths.interventions import (
    common_neurons,
    edited_probabilities,
    mean_activations,
    pruned_probabilities,
)
from nblib.methods.neuron_paths.measures import (
    class_similarity,
    concentration,
    path_effect,
    relation_agreement,
    shuffled_concentration,
    utilisation,
)
from nblib.methods.neuron_paths.search import (
    find_paths,
    joint_attribution,
    knowledge_attribution,
    layer_change,
    path_change,
    path_integral,
    rank_neurons,
)
from nblib.methods.neuron_paths.slopes import forward_mode

__all__ = [
    "class_similarity", "common_neurons", "concentration", "CRITERIA", "edited_probabilities", "find_paths",
    "forward_mode", "joint_attribution", "knowledge_attribution", "layer_change", "mean_activations", "path_change",
    "path_effect", "path_integral", "pruned_probabilities", "rank_neurons", "relation_agreement",
    "shuffled_concentration", "utilisation",
]
