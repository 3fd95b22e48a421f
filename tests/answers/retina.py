"""Answers to the exercises on the retina: right ones in other words than the page's, and typical wrong ones."""
import numpy as np
import torch

from nblib.exercises.retina import check_border, check_field


def by_autograd(frames, weights, threshold):
    frames = frames.clone().requires_grad_()
    drive = frames @ weights
    return torch.autograd.grad(((drive - threshold).relu() + (-drive - threshold).relu()).sum(), frames)[0]


def frame_by_frame(frames, weights, threshold):
    rows = []
    for frame in frames:
        drive = float(frame @ weights)
        rows.append(weights if drive > threshold else -weights if drive < -threshold else 0 * weights)
    return rows


def on_off(frames, weights, threshold):
    drive = frames @ weights
    return (drive > threshold).float()[:, None], (drive < -threshold).float()[:, None]


def inner(cells, edge):
    return cells[:, edge:cells.shape[1] - edge]


RIGHT = [
    (check_field, "with autograd", by_autograd),
    (check_field, "frame by frame", frame_by_frame),
    (check_border, "with numpy", lambda cells, edge: np.corrcoef(cells.sum(1), inner(cells, edge).sum(1))[0, 1]),
    (check_border, "means for sums", lambda cells, edge: torch.corrcoef(
        torch.stack([cells.mean(1), inner(cells, edge).mean(1)]))[1, 0]),
]

WRONG = [
    (check_field, "one field for all", lambda x, w, t: w.repeat(len(x), 1)),
    (check_field, "both parts alike", lambda x, w, t: sum(on_off(x, w, t)) * w),
    (check_field, "ON alone", lambda x, w, t: on_off(x, w, t)[0] * w),
    (check_field, "no threshold", lambda x, w, t: (x @ w).sign()[:, None] * w),
    (check_field, "times the frame", lambda x, w, t: x * (on_off(x, w, t)[0] - on_off(x, w, t)[1]) * w),
    (check_field, "one number a frame", lambda x, w, t: (x @ w).sign()),
    (check_border, "one end", lambda x, e: torch.corrcoef(torch.stack([x.sum(1), x[:, e:].sum(1)]))[0, 1]),
    (check_border, "a slice that may be empty", lambda x, e: torch.corrcoef(
        torch.stack([x.sum(1), x[:, e:-e].sum(1)]))[0, 1]),
    (check_border, "with the means left in", lambda x, e: torch.nn.functional.cosine_similarity(
        x.sum(1), inner(x, e).sum(1), dim=0)),
    (check_border, "the matrix", lambda x, e: torch.corrcoef(torch.stack([x.sum(1), inner(x, e).sum(1)]))),
]
