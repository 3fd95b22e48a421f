"""Answers to the exercises on pruning: typical wrong ones."""
import torch

from nblib.exercises.pruning import check_area, check_mask

WRONG = [
    (check_mask, "ranks without magnitudes",
     lambda weights, share: weights.argsort(stable=True).argsort() >= round(share * len(weights))),
    (check_mask, "cuts at a threshold, ties and all", lambda weights, share: weights.abs() > weights.abs().quantile(share)),
    (check_mask, "keeps the small ones",
     lambda weights, share: weights.abs().argsort(stable=True).argsort() < round(share * len(weights))),
    (check_area, "leaves the first value out of the count", lambda curve: (curve[0] - curve[1:]).mean()),
    (check_area, "takes one for the untouched accuracy", lambda curve: (1 - curve).mean()),
    (check_area, "counts from the second value", lambda curve: (curve[1] - curve[1:]).sum() / len(curve)),
    (check_area, "is the area under the curve", lambda curve: curve.mean()),
]
