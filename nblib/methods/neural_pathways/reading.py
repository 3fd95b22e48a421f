"""What a pathway alone gives away, and what a table with one pathway a class would do."""
import torch
from torch import Tensor

from nblib.checks import expect_int, expect_rows
from nblib.engine import seeded
from nblib.methods.neural_pathways.classes import firing_rates
from nblib.methods.neural_pathways.pathways import Pathway, count_of, expect_pathway, flat, select
from nblib.targets import expect_labels


def mask_probe(pathway: Pathway, labels: Tensor) -> float:
    """Return the share of pathways whose class the nearest of the classes' means tells.

    The means are of every second image of a class, and are tried on the others; then the other way round.

    Args:
        pathway: (N, ...) by layer.
        labels: (N,), such as the predicted classes; classes of one image are left out.
    """
    rows = expect_labels(labels, count_of(expect_pathway(pathway)), 2**31)
    values = flat(pathway).double()
    by_class = [mine for label in rows.unique() if len(mine := (rows == label).nonzero().flatten()) > 1]
    if len(by_class) < 2:
        raise ValueError("labels of fewer than two classes with two images were given, expected two or more")
    right = 0
    for half in (0, 1):
        means = torch.stack([values[mine[half::2].to(values.device)].mean(0) for mine in by_class])
        for place, mine in enumerate(by_class):
            nearest = torch.cdist(values[mine[1 - half::2].to(values.device)], means).argmin(1)
            right += int((nearest == place).sum())
    return right / sum(map(len, by_class))


def class_table(pathway: Pathway, labels: Tensor, classes: int, *, sparsity: float) -> Pathway:
    """Return a look-up table: each image gets the units that are most often on the pathways of its class.

    Args:
        pathway: (N, ...) by layer.
        labels: (N,), the predicted classes; each class of `classes` has an image.
        classes: K.
        sparsity: of the table's pathways, as in `select`.
    """
    rows = expect_labels(labels, count_of(expect_pathway(pathway)), expect_int("classes", classes, 1))
    table = select(firing_rates(pathway, rows, classes), sparsity)
    return {layer: mask[rows.to(mask.device)] for layer, mask in table.items()}


def class_variances(embedding: Tensor, labels: Tensor) -> tuple[float, float]:
    r"""Return the share of an embedding's variance within classes and between them; they sum to 1.

    .. math:: within=\frac1n\sum_i\|e_i-\mu_{c(i)}\|^2,\quad between=\frac1n\sum_cn_c\|\mu_c-\mu\|^2,\quad
        \text{the embedding at unit variance}

    Args:
        embedding: (N, d), of two dimensions from `plane`, or features themselves, which need no seed.
        labels: (N,).

    Source: P0, figure 4, which does not define its two variances.
    """
    values = expect_rows("an embedding", embedding).flatten(1).double()
    rows = expect_labels(labels, len(values), 2**31, values.device)
    centred = values - values.mean(0)
    total = centred.square().sum()
    if not total > 0:
        raise ValueError("an embedding that does not vary was given, expected one that does")
    between = sum(mine.sum() * centred[mine].mean(0).square().sum() for mine in (rows == label for label in rows.unique()))
    share = (between / total).item()
    return 1 - share, share


def plane(features: Tensor, *, perplexity: float = 30.0, seed: int = 0) -> Tensor:
    """Return features (N, d) in the plane by t-SNE, (N, 2): at most 50 principal components first, from which it begins.

    Args:
        features: N above three times the perplexity.
        perplexity: above 1.
        seed: 0 or more.
    """
    from sklearn.manifold import TSNE

    values = expect_rows("features", features).flatten(1).double().cpu()
    seeded(seed)  # refuses what is no seed
    if not 1 < perplexity < len(values) / 3:
        raise ValueError(f"perplexity={perplexity!r} was given with {len(values)} rows, expected above 1 and below a "
                         "third of them")
    centred = values - values.mean(0)
    components = torch.linalg.svd(centred, full_matrices=False)
    few = (components.U * components.S)[:, :50].float().numpy()
    found = TSNE(2, perplexity=perplexity, init="pca", random_state=seed % 2**32).fit_transform(few)
    return torch.from_numpy(found)
