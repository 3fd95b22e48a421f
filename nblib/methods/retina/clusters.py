"""Which cells are driven alike: their correlations with modes or features, and the clusters these fall into."""
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nblib.checks import expect_int
from nblib.engine import expect_finite


class Clusters(NamedTuple):
    """Clusters of cells: the number (cells,) of each cell's; silhouette by number of clusters, in [−1, 1]."""

    labels: Tensor
    silhouettes: dict[int, float]

    @property
    def count(self) -> int:
        """The number of clusters that was chosen."""
        return int(self.labels.max()) + 1


def drive_profiles(values: Tensor, rates: Tensor) -> Tensor:
    r"""How each cell's rate goes along with each mode, :math:`r(\text{rate}_c,\text{loading}_m)`, (cells, M).

    Args:
        values: (N, M), loadings of modes, or any other features of frames.
        rates: (N, cells), N from 2 up.

    Returns:
        Pearson's r, in [−1, 1]; 0 where one of the two does not vary.

    Raises:
        ValueError: unequal lengths.

    Source: P3, figure 8C.
    """
    if values.ndim != 2 or rates.ndim != 2 or len(values) != len(rates) or len(rates) < 2:
        raise ValueError(f"values {tuple(values.shape)} and rates {tuple(rates.shape)} were given, expected (N, M) and "
                         "(N, cells) of the same two or more frames")
    ours, theirs = (_unit_columns(part) for part in (rates, values))
    return (ours.T @ theirs).clamp(-1, 1).to(rates.dtype)


def cluster_cells(profiles: Tensor, *, counts: Sequence[int] = range(2, 9), seed: int = 42) -> Clusters:
    """Cluster cells by their profiles: columns standardised, k-means, the number by the highest mean silhouette.

    Args:
        profiles: (cells, M), as from `drive_profiles`, finite, three cells or more.
        counts: numbers of clusters to try, from 2 up; those of as many clusters as cells or more are left out.
        seed: of k-means, which starts ten times.

    Returns:
        The clusters, numbered in the order in which their first cells come.

    Raises:
        ValueError: profiles of another shape, not finite, or all alike; no number of clusters that fits.

    Source: P3, figure 8C, with the settings of the authors' code.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    if profiles.ndim != 2 or len(profiles) < 3 or not profiles.numel():
        raise ValueError(f"profiles {tuple(profiles.shape)} were given, expected (cells, M) of three cells or more")
    expect_finite("profiles of cells", profiles)
    tried = [expect_int("count of clusters", count, 2) for count in counts]
    fitting = [count for count in tried if count < len(profiles)]
    if not fitting:
        raise ValueError(f"{tried} clusters of {len(profiles)} cells were asked for, expected fewer clusters than cells")
    values = profiles.detach().double().cpu()
    spread = values.std(0, correction=0)
    if not (spread > 0).any():
        raise ValueError("all cells have the same profile: there is nothing to cluster")
    rows = ((values - values.mean(0)) / torch.where(spread > 0, spread, 1.0)).numpy()
    found = {}
    for count in fitting:
        labels = KMeans(count, n_init=10, random_state=expect_int("seed", seed, 0)).fit_predict(rows)
        if len(set(labels)) > 1:
            found[count] = (float(silhouette_score(rows, labels)), labels)
    best = max(found, key=lambda count: found[count][0])
    names: dict[int, int] = {}
    labels = torch.tensor([names.setdefault(int(label), len(names)) for label in found[best][1]])
    return Clusters(labels, {count: score for count, (score, _) in found.items()})


def cluster_agreement(first: Tensor | Sequence, second: Tensor | Sequence) -> float:
    """Return the adjusted Rand index of two clusterings of the same cells: 1 for the same, 0 in the mean by chance.

    Raises:
        ValueError: clusterings of unequal length.
    """
    from sklearn.metrics import adjusted_rand_score

    first, second = ([str(label) for label in (part.tolist() if isinstance(part, Tensor) else part)]
                     for part in (first, second))
    if len(first) != len(second):
        raise ValueError(f"clusterings of {len(first)} and {len(second)} cells were given, expected one number of both")
    return float(adjusted_rand_score(first, second))


def kept_share(first: Tensor, second: Tensor) -> float:
    """Return the share of cells that are in the same cluster of two clusterings, clusters paired as well as they can be.

    Even clusterings by chance share much where clusters are few; `cluster_agreement` is corrected for that.

    Args:
        first, second: (cells,) whole numbers from 0 up.

    Raises:
        ValueError: clusterings of unequal length, or empty.

    Source: P3, figure 8C, says which cells change their cluster between layers.
    """
    from scipy.optimize import linear_sum_assignment

    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"clusterings {tuple(first.shape)} and {tuple(second.shape)} were given, expected (cells,) both")
    together = torch.zeros(int(first.max()) + 1, int(second.max()) + 1)
    together.index_put_((first.cpu(), second.cpu()), torch.ones(len(first)), accumulate=True)
    rows, columns = linear_sum_assignment(together.numpy(), maximize=True)
    return together[rows, columns].sum().item() / len(first)


def _unit_columns(values: Tensor) -> Tensor:
    """Return columns of mean 0 and length 1, or 0 where one does not vary."""
    expect_finite("rows", values)
    centred = values.double() - values.double().mean(0)
    length = centred.norm(dim=0)
    still = length <= 1e-12 * values.double().norm(dim=0)
    return torch.where(still, 0.0, centred / torch.where(still, 1.0, length))
