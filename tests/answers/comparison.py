"""Answers to the exercises of the comparison: right ones in other words than the page's, and typical wrong ones."""
import numpy as np

from nblib.exercises.comparison import check_beyond, check_overlap


def by_order(first, second, count):
    tops = [np.argsort(-np.asarray(values))[:count] for values in (first, second)]
    return len(np.intersect1d(*tops)) / len(np.union1d(*tops))


def by_masks(first, second, count):
    a, b = (values >= values.sort(descending=True).values[count - 1] for values in (first, second))
    return (a & b).sum() / (a | b).sum()


def shared(first, second, count):
    return len(set(first.topk(count).indices.tolist()) & set(second.topk(count).indices.tolist()))


RIGHT = [
    (check_overlap, "by sorting", by_order),
    (check_overlap, "by masks", by_masks),
    (check_beyond, "by sums", lambda rho: rho.trace() / len(rho) - (rho.sum() - rho.trace()) / (len(rho) * (len(rho) - 1))),
    (check_beyond, "pair by pair", lambda rho: np.mean([rho[n, n].item() for n in range(len(rho))]) - np.mean(
        [rho[n, m].item() for n in range(len(rho)) for m in range(len(rho)) if n != m])),
]

WRONG = [
    (check_overlap, "over the count", lambda a, b, count: shared(a, b, count) / count),
    (check_overlap, "over both counts", lambda a, b, count: shared(a, b, count) / (2 * count)),
    (check_overlap, "the smallest", lambda a, b, count: by_order(-a, -b, count)),
    (check_overlap, "a threshold", lambda a, b, count: ((a > 0.5) & (b > 0.5)).sum() / max(
        1, int(((a > 0.5) | (b > 0.5)).sum()))),
    (check_beyond, "the same pictures alone", lambda rho: rho.diagonal().mean()),
    (check_beyond, "minus all pairs", lambda rho: rho.diagonal().mean() - rho.mean()),
    (check_beyond, "one neighbour", lambda rho: (rho.diagonal() - rho.diagonal(1).mean()).mean()),
    (check_beyond, "the other way round", lambda rho: (rho.sum() - rho.trace()) / (rho.numel() - len(rho)) - rho.diagonal().mean()),
]
