r"""Importance inside the network (P4): networks that weight patches, trained in two stages, and tests of the weights.

A map of the room, in the order in which a page uses it:

- `training`: `train_importance`, then with its importance frozen `train_embedding` and `train_pixel`. Each is trained
  once and then read from the store; an interrupted training goes on.
- `maps`: `importance_map`, what the network says; `answer_with`, what it answers with another importance;
  `parts_of`, embeddings and importance, computed once for many questions.
- `causality`: `insertion_deletion` zeroes patches by thresholds, as the paper does, `zeroing_curves` by shares, with a
  random order beside it.
- `controls`: importances that know nothing: `FixedMap`, `RandomMap`, `PermutedMap`.

The networks themselves are in `nblib.models.importance`. Arguments that functions of this room share:

ia
    an `ImportanceModel`, IA(p, k).
model
    an `ImportanceModel` or an `EmbeddingModel`, in evaluation mode.
images
    x, (N, 3, H, W), finite, at least one, of the model's size and type and on its device.
labels
    (N,) whole numbers, or one for all images.
chunk_size
    rows in one pass, 1 or more; None goes by their size. Results do not depend on it.

An importance a is (N, g, g) in (0, 1), g = H / p. Rows of a batch do not depend on each other.

P4 is "What is important? Internal interpretability of models processing data with inherent structure", an anonymous
submission of 2025 (OpenReview qr8leFAPrd). Its code could not be had: widths, strides, the schedule of the training and
what masked pixels become are ours, since the text is silent.
"""
from nblib.methods.importance.causality import THRESHOLDS, Causality, insertion_deletion, zeroing_curves
from nblib.methods.importance.controls import FixedMap, PermutedMap, RandomMap
from nblib.methods.importance.maps import answer_with, importance_map, parts_of
from nblib.methods.importance.training import COLLAPSED, train_embedding, train_importance, train_pixel

__all__ = [
    "train_importance", "train_embedding", "train_pixel", "COLLAPSED", "importance_map", "answer_with", "parts_of",
    "insertion_deletion", "zeroing_curves", "Causality", "THRESHOLDS", "FixedMap", "RandomMap", "PermutedMap",
]
