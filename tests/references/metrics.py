"""Slow references of metrics, term by term and cell by cell."""
import math

import numpy


def gini(values) -> float:
    """The definition, 1 − 2 Σ φ_(k)/|φ| (d − k + ½)/d, term by term."""
    ordered = sorted(abs(float(v)) for v in values)
    d, total = len(ordered), math.fsum(ordered)
    return 1 - 2 * math.fsum(v / total * (d - k + 0.5) / d for k, v in enumerate(ordered, start=1))


def macro_iou(chosen: numpy.ndarray, truth: numpy.ndarray) -> float:
    """The mean IoU of foreground and background, cell by cell; 1 for a class in neither."""
    scores = []
    for wanted in (True, False):
        both = either = 0
        for a, m in zip(chosen.flatten(), truth.flatten()):
            both += bool(a) is wanted and bool(m) is wanted
            either += bool(a) is wanted or bool(m) is wanted
        scores.append(both / either if either else 1.0)
    return sum(scores) / 2
