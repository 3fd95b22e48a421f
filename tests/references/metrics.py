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


def overlap_of_largest(first: list, second: list, count: int) -> float:
    """Intersection over union of the places of the largest values, of equal ones the first, place by place."""
    tops = []
    for values in (first, second):
        left, top = list(range(len(values))), set()
        for _ in range(count):
            best = left[0]
            for place in left:
                if values[place] > values[best]:
                    best = place
            top.add(best)
            left.remove(best)
        tops.append(top)
    return len(tops[0] & tops[1]) / len(tops[0] | tops[1])
