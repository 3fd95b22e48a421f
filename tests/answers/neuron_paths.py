"""Answers to the exercises on neuron paths: right ones in other words than the page's, and typical wrong ones."""
import torch

from nblib.exercises.neuron_paths import (
    check_candidates,
    check_complete,
    check_deviation,
    check_joint,
    check_similarity,
)


def of_label(values, labels):
    return values[range(len(labels)), labels]


def cosine(flat):
    unit = flat / flat.norm(dim=1, keepdim=True)
    return unit @ unit.T


RIGHT = [
    (check_joint, "cross term by cross term",
     lambda w, g: sum(w[j] * g[:, l].mean() for j in range(len(w)) for l in range(len(w)))),
    (check_complete, "neuron by neuron", lambda w, g: sum(w[j] * g[:, j].mean() for j in range(len(w)))),
    (check_candidates, "multiplied out", lambda w, g, s, t: s * t + s * g + w * t + w * g),
    (check_deviation, "as a ratio less one", lambda p, q, y: of_label(q, y) / of_label(p, y) - 1),
    (check_similarity, "layer by layer, then together", lambda c: cosine((c / c.sum(2, True)).flatten(1))),
]

WRONG = [
    (check_joint, "leaves the cross terms out", lambda w, g: (w * g.mean(0)).sum()),
    (check_joint, "sums over the points", lambda w, g: w.sum() * g.sum()),
    (check_joint, "takes magnitudes", lambda w, g: w.abs().sum() * g.mean(0).sum()),
    (check_joint, "takes the last point alone", lambda w, g: w.sum() * g[-1].sum()),
    (check_complete, "keeps the cross terms", lambda w, g: w.sum() * g.mean(0).sum()),
    (check_complete, "sums over the points", lambda w, g: (w * g.sum(0)).sum()),
    (check_complete, "drops the sign", lambda w, g: (w * g.mean(0)).abs().sum()),
    (check_candidates, "scores the candidate alone", lambda w, g, s, t: w * g),
    (check_candidates, "adds two scores", lambda w, g, s, t: s * t + w * g),
    (check_candidates, "forgets the candidate's slope", lambda w, g, s, t: (s + w) * (t + 0 * g)),
    (check_deviation, "gives points, not shares", lambda p, q, y: of_label(q, y) - of_label(p, y)),
    (check_deviation, "divides by the new value", lambda p, q, y: (of_label(q, y) - of_label(p, y)) / of_label(q, y)),
    (check_deviation, "takes the predicted class", lambda p, q, y: of_label(q, p.argmax(1)) / of_label(p, p.argmax(1)) - 1),
    (check_deviation, "returns the ratio", lambda p, q, y: of_label(q, y) / of_label(p, y)),
    (check_similarity, "compares the counts themselves", lambda c: cosine(c.flatten(1))),
    (check_similarity, "forgets to divide", lambda c: c.flatten(1) @ c.flatten(1).T),
    (check_similarity, "takes the mean over layers",
     lambda c: torch.stack([cosine(c[:, l]) for l in range(c.shape[1])]).mean(0)),
    (check_similarity, "takes counts for used or not", lambda c: cosine((c > 0).float().flatten(1))),
]
