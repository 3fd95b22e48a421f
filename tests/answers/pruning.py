"""Answers to the exercises on pruning: typical wrong ones."""
import torch

from nblib.exercises.pruning import check_area, check_fill, check_gini, check_mask, check_rewind

WRONG = [
    (check_mask, "ranks without magnitudes",
     lambda weights, share: weights.argsort(stable=True).argsort() >= round(share * len(weights))),
    (check_mask, "cuts at a threshold, ties and all", lambda weights, share: weights.abs() > weights.abs().quantile(share)),
    (check_mask, "keeps the small ones",
     lambda weights, share: weights.abs().argsort(stable=True).argsort() < round(share * len(weights))),
    (check_rewind, "goes on from the trained weights", lambda trained, first, mask: trained * mask),
    (check_rewind, "forgets the mask", lambda trained, first, mask: first.clone()),
    (check_gini, "keeps the signs",
     lambda values: 1 - 2 * (values.sort().values.cumsum(0) / values.sum()).mean() + 1 / len(values)),
    (check_gini, "does not sort", lambda values: ((2 * torch.arange(1, len(values) + 1) - len(values) - 1)
                                                  * values.abs()).sum() / (len(values) * values.abs().sum())),
    (check_fill, "weighs all neighbours alike", lambda image, row, column: image[
        max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].mean()),
    (check_fill, "paints it black", lambda image, row, column: torch.tensor(0.0)),
    (check_area, "leaves the first value out of the count", lambda curve: (curve[0] - curve[1:]).mean()),
    (check_area, "takes one for the untouched accuracy", lambda curve: (1 - curve).mean()),
    (check_area, "is the area under the curve", lambda curve: curve.mean()),
]
