"""Neural pathways (P0): which units of a network are enough for its answer on an image, or are said to be.

A map of the room:

- `pathways`: `relu_layers`, the places; `select` makes a pathway from scores, `magnitude` takes their signs away;
  `keep`, `remove` and `scale` make edits of it, `edited_probabilities` says what the network then says;
  `firing_sparsity` and `empty_layers` count.
- `scores`: `unit_scores`, seven methods, and the order of a generator. `gates` and `greedy` do the work of two of them.
- `training`: `train_generator`, the paper's own method; `nblib.models.gencnp` is the network that is trained.
- `confidence`: `confidence` along a pathway beside the whole network, and `removal_accuracy` without its units.
- `classes`: `firing_rates`, `class_pathway`; `class_iou`, how alike a class's pathways are, `pairwise_iou`,
  `related_iou` of classes that share a part, `part_shares` of what firing rates tell, `between_share` of a number.
- `transfer`: `transfer` of a class's pathway to other images, and what it does to other classes; `donors` and
  `forced_share`, pathways on images that are not theirs; `pair_accuracy` along the union of two.
- `reading`: what a mask alone gives away (`mask_probe`), `class_table`, one mask a class; `class_variances` of an
  embedding, and `plane`, t-SNE.
- `maps`: `pathway_gradient` and `strongest_channel`, `pathway_grad_cam`.

Scores, pathways and rates are dictionaries from a layer's name to a tensor of its output's shape, (N, ...).

Arguments that functions of this room share:

Args:
    model: a network in evaluation mode, (N, C, H, W) → logits (N, K), any number of colours C.
    images: (N, C, H, W), finite, at least one, of the model's type and on its device.
    layers: names of layers whose output is one tensor (N, ...), in their order; a list, or one name.
    target: what is explained: a function of logits (N, K) → (N,), from `nblib.targets`. None explains the logit of the
        class predicted on the whole image.
    pathway: bool, (N, ...) by layer, a row for each image, or a single one for all.
    seed: 0 or more.
    chunk_size: images in one pass through the network, 1 or more; None goes by their size. Results do not depend on it.

Raises:
    ValueError: a model in training mode; images that are empty, not finite, or of another type; a target, layer,
        pathway, option or shape that does not fit.
    KeyError: a layer that is not there, with the nearest names.
    RuntimeError: a layer that does not run.

P0 is *On Model Explanations with Transferable Neural Pathways*, whose method is called GEN-CNP (arXiv 2309.09887); its
authors' code is not public. Khakzar et al. (2021), from whom its baselines are, have the repository
CAMP-eXplain-AI/PathwayGrad.
"""
from nblib.methods.neural_pathways.classes import (
    ClassIoU,
    ClassPathway,
    between_share,
    class_iou,
    class_pathway,
    firing_rates,
    pairwise_iou,
    part_shares,
    related_iou,
)
from nblib.methods.neural_pathways.confidence import Confidence, confidence, removal_accuracy
from nblib.methods.neural_pathways.maps import pathway_grad_cam, pathway_gradient, strongest_channel
from nblib.methods.neural_pathways.pathways import (
    edited_probabilities,
    empty_layers,
    firing_sparsity,
    keep,
    magnitude,
    relu_layers,
    remove,
    scale,
    select,
)
from nblib.methods.neural_pathways.reading import class_table, class_variances, mask_probe, plane
from nblib.methods.neural_pathways.scores import METHODS, unit_scores
from nblib.methods.neural_pathways.training import train_generator
from nblib.methods.neural_pathways.transfer import Transfer, donors, forced_share, pair_accuracy, transfer

__all__ = [
    "between_share", "class_iou", "class_pathway", "class_table", "class_variances", "ClassIoU", "ClassPathway",
    "Confidence", "confidence", "donors", "edited_probabilities", "empty_layers", "firing_rates", "firing_sparsity",
    "forced_share", "keep", "magnitude", "mask_probe", "METHODS", "pair_accuracy", "pairwise_iou", "part_shares",
    "pathway_grad_cam", "pathway_gradient", "plane", "related_iou", "relu_layers", "remove", "removal_accuracy",
    "scale", "select", "strongest_channel", "train_generator", "Transfer", "transfer", "unit_scores",
]
