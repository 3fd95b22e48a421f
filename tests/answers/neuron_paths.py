"""Answers to the exercises on neuron paths: right ones in other words than the page's, and typical wrong ones."""
import torch

from nblib.exercises.neuron_paths import check_candidates, check_deviation, check_rivals


def of_label(values, labels):
    return values[range(len(labels)), labels]


RIGHT = [
    (check_candidates, "multiplied out", lambda w, g, s, t: s * t + s * g + w * t + w * g),
    (check_deviation, "as a ratio less one", lambda p, q, y: of_label(q, y) / of_label(p, y) - 1),
    (check_rivals, "layer by layer", lambda a: torch.stack([layer.argmax(1) for layer in a.unbind(1)], 1)),
]

WRONG = [
    (check_candidates, "scores the candidate alone", lambda w, g, s, t: w * g),
    (check_candidates, "adds two scores", lambda w, g, s, t: s * t + w * g),
    (check_candidates, "forgets the candidate's slope", lambda w, g, s, t: (s + w) * (t + 0 * g)),
    (check_candidates, "forgets the candidate's value", lambda w, g, s, t: s * (t + g)),
    (check_deviation, "gives points, not shares", lambda p, q, y: of_label(q, y) - of_label(p, y)),
    (check_deviation, "divides by the new value", lambda p, q, y: (of_label(q, y) - of_label(p, y)) / of_label(q, y)),
    (check_deviation, "takes the predicted class", lambda p, q, y: of_label(q, p.argmax(1)) / of_label(p, p.argmax(1)) - 1),
    (check_deviation, "returns the ratio", lambda p, q, y: of_label(q, y) / of_label(p, y)),
    (check_rivals, "takes magnitudes", lambda a: a.abs().argmax(2)),
    (check_rivals, "returns attributions", lambda a: a.amax(2)),
    (check_rivals, "takes the same neurons for all images", lambda a: a.mean(0).argmax(1).expand(len(a), -1)),
    (check_rivals, "takes the best layer", lambda a: a.argmax(1)),
]
