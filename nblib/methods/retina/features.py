"""What each frame's contributions come to: sixteen features of eight channels, and the surprisal that they explain."""
import torch
from torch import Tensor

from nblib.checks import expect_number
from nblib.engine import as_given, expect_finite, precise
from nblib.targets import Target, surprisal

SMALLEST = 1e-7  # eigenvalue of the correlations between cells, below which their covariance has no inverse


def signed_features(contribution: Tensor) -> Tensor:
    r"""How much each cell type holds back and how much it pushes, signs split before places are summed.

    .. math:: \Big[\sum_p\min(C_{c,p},0)\;\Big|\;\sum_p\max(C_{c,p},0)\Big]

    Args:
        contribution: (N, C, ...), signed, of a layer before normalisation and ReLU.

    Returns:
        (N, 2 C): all negative sums, ≤ 0, then all positive, ≥ 0. Each pair adds up to the net contribution.

    Raises:
        ValueError: a contribution without places.

    Source: P3, figure 8, as in the authors' code: eight channels give sixteen features, with their signs.
    """
    if contribution.ndim < 3 or not contribution.numel():
        raise ValueError(f"contributions {tuple(contribution.shape)} were given, expected (N, C, ...) with places")
    places = precise(contribution).flatten(2)
    return as_given(torch.cat([places.clamp(max=0).sum(2), places.clamp(min=0).sum(2)], 1), contribution)


def population_surprisal(rates: Tensor, *, ridge: float = 0.0) -> Target:
    r"""The surprisal :math:`\tfrac12(r-\mu)^\top(\Sigma+\lambda I)^{-1}(r-\mu)` of a population with these rates.

    Args:
        rates: (N, cells), N > cells, of the model on the movie that is explained.
        ridge: λ, as a share of the mean variance, 0 or more.

    Returns:
        A target, (N, cells) → (N,), as from `nblib.targets.surprisal`.

    Raises:
        ValueError: fewer rows than cells, a cell whose rate does not vary, or cells that are functions of each other,
            whose covariance has no inverse.

    Source: P3, section 7.
    """
    expect_number("ridge", ridge, 0)
    if rates.ndim != 2 or len(rates) <= rates.shape[1]:
        raise ValueError(f"rates {tuple(rates.shape)} were given, expected (N, cells) with more rows than cells")
    expect_finite("rates of frames", rates)
    values = rates.detach().double()
    mean, covariance = values.mean(0), torch.atleast_2d(values.T.cov())
    still = (covariance.diagonal() <= 0).nonzero().flatten().tolist()
    if still:
        raise ValueError(f"the rates of cells {still} do not vary, expected some that do: leave them out")
    covariance += ridge * covariance.diagonal().mean() * torch.eye(len(mean)).to(covariance)
    scale = covariance.diagonal().rsqrt()
    if torch.linalg.eigvalsh(scale.unsqueeze(1) * covariance * scale)[0] < SMALLEST:
        raise ValueError("the covariance of the rates is singular: some cells are functions of others. Leave them out, "
                         "or set ridge=1e-6")
    return surprisal(mean, covariance)
