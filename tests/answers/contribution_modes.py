"""Answers to the exercises on contribution modes: right ones in other words than the page's, and typical wrong ones."""
import numpy as np
import torch

from nblib.exercises.contribution_modes import check_correlation, check_echo


def by_numpy(loadings, labels, classes):
    """Use numpy's own correlation, column by column."""
    with np.errstate(invalid="ignore", divide="ignore"):
        rows = [[np.corrcoef(column, labels == label)[0, 1] if column.std() > 1e-6 and (labels == label).any() else 0.0
                 for label in range(classes)] for column in loadings.double().T.numpy()]
    return np.array(rows)


def class_mean(loadings, labels, label):
    inside = labels == label
    return loadings[inside].mean(0) if inside.any() else loadings.mean(0)


def leads(loadings, labels, classes):
    return torch.stack([class_mean(loadings, labels, label) - loadings.mean(0) for label in range(classes)], 1)


def factors(labels, classes):
    shares = torch.bincount(labels, minlength=classes) / len(labels)
    return (shares / (1 - shares)).sqrt()


def spread_of(loadings):
    return loadings.std(0, correction=0)[:, None]


RIGHT = [
    (check_correlation, "with numpy", by_numpy),
    (check_echo, "with einsum", lambda a, w, cards: torch.einsum("nc,nc->nc", a, w[cards])),
    (check_echo, "image by image", lambda a, w, cards: [row * w[int(card)] for row, card in zip(a, cards)]),
]

WRONG = [
    (check_correlation, "leaves out the share", lambda z, y, k: torch.where(
        spread_of(z) > 1e-6, leads(z, y, k) / spread_of(z), 0.0)),
    (check_correlation, "divides by the root mean square", lambda z, y, k: torch.nan_to_num(
        leads(z, y, k) / z.square().mean(0).sqrt()[:, None] * factors(y, k))),
    (check_correlation, "leaves nothing over nothing", lambda z, y, k: leads(z, y, k) / spread_of(z) * factors(y, k)),
    (check_correlation, "is turned round", lambda z, y, k: torch.from_numpy(by_numpy(z, y, k)).T),
    (check_correlation, "one number", lambda z, y, k: torch.zeros(())),
    (check_echo, "forgets the activations", lambda a, w, cards: w[cards]),
    (check_echo, "takes the prediction", lambda a, w, cards: a * w[(a @ w.T).argmax(1)]),
    (check_echo, "sums over channels", lambda a, w, cards: (a * w[cards]).sum(1)),
    (check_echo, "sums over classes", lambda a, w, cards: a * w.sum(0)),
]
