"""Non-negative factors of a matrix, and the exact non-negative coefficients of rows in fixed directions."""
import warnings

import torch
from torch import Tensor

from nblib.checks import expect_int, expect_tensor
from nblib.engine import Room, expect_finite, rows_at_once

SYSTEMS = Room(2**22, 2**22)  # values of the small systems that are solved together
RIDGE = 1e-12  # keeps the systems of directions that depend on each other solvable
TOLERANCE = 1e-12  # below zero by less is rounding
PATIENCE = 3  # full exchanges without progress, before one variable at a time is exchanged
ROUNDS = 1000  # far more than are needed: rows take about ten


def factorize(rows: Tensor, rank: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    r"""Write a non-negative matrix as a product of thin ones, :math:`A\approx UW` with :math:`U,W\ge0`.

    .. math:: \min_{U,W\ge0}\tfrac12\|A-UW\|_F^2

    scikit-learn's coordinate descent, from NNDSVDa, to a tolerance of 1e-4 or 200 rounds, in float64.

    Args:
        rows: A, (P, C), ≥ 0.
        rank: r, from 1 to the smaller of P and C.
        seed: of the random projection with which the start is found.

    Returns:
        U, (P, r), and W, (r, C), as the rows in type and device. A local optimum; often the 200 rounds end first.

    Raises:
        ValueError: rows that are empty, negative or not finite, or all zero; a rank that does not fit.

    Source: P2's code, where no seed is set.
    """
    if expect_tensor("rows", rows).ndim != 2 or not rows.numel():
        raise ValueError(f"rows {tuple(rows.shape)} were given, expected (P, C), not empty")
    expect_finite("rows", rows)
    if not (rows >= 0).all():
        raise ValueError(f"rows from {rows.min().item():.3g} up were given, expected none below zero")
    if not rows.any():
        raise ValueError("rows were given that are all zero, expected something to factorise")
    if expect_int("rank", rank, 1) > min(rows.shape):
        raise ValueError(f"{rank} concepts were asked for, expected at most {min(rows.shape)}: there are {len(rows)} "
                         f"rows of {rows.shape[1]} channels")
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    method = NMF(rank, init="nndsvda", solver="cd", tol=1e-4, max_iter=200, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the published procedure ends there too
        left = method.fit_transform(rows.detach().double().cpu().numpy())
    return torch.from_numpy(left).to(rows), torch.from_numpy(method.components_).to(rows)


@torch.no_grad()
def nonnegative_coefficients(rows: Tensor, bank: Tensor) -> Tensor:
    r"""The best non-negative combination of fixed directions for each row, :math:`\arg\min_{u\ge0}\|a-uW\|^2`.

    Args:
        rows: a, (R, C).
        bank: W, (r, C).

    Returns:
        u, (R, r), as the rows in type and device: the optimum, not an approach to it. Where directions depend on each
        other, one of the optima.

    Raises:
        ValueError: shapes that do not fit, or values that are not finite.
        RuntimeError: directions that depend on each other so nearly that rounding hides the optimum.

    Method: block principal pivoting (Kim and Park 2011), on all rows at once, in float64.
    """
    expect_tensor("rows", rows), expect_tensor("bank", bank)
    if rows.ndim != 2 or bank.ndim != 2 or rows.shape[1] != bank.shape[1] or not len(bank):
        raise ValueError(f"rows {tuple(rows.shape)} and a bank {tuple(bank.shape)} were given, expected (R, C), (r, C)")
    expect_finite("rows", rows)
    expect_finite("concepts", bank)
    length = bank.double().norm(dim=1)
    length = torch.where(length > 0, length, 1.0)
    unit = bank.double() / length[:, None]
    gram = unit @ unit.T + RIDGE * torch.eye(len(bank), dtype=torch.float64, device=bank.device)
    pieces = rows.split(rows_at_once(len(bank) ** 2, rows.device, None, SYSTEMS))
    found = [_pivoted(gram, piece.double() @ unit.T) for piece in pieces]
    return (torch.cat(found) / length).to(rows)


def express(activations: Tensor, bank: Tensor) -> Tensor:
    """Return the coefficients of concepts, (N, r, h, w), in activations (N, C, h, w); each place is for itself."""
    rows = activations.detach().movedim(1, 3)  # (N, h, w, C)
    found = nonnegative_coefficients(rows.flatten(0, 2), bank.to(activations))
    return found.unflatten(0, rows.shape[:3]).movedim(3, 1)


def _pivoted(gram: Tensor, product: Tensor) -> Tensor:
    """Return u ≥ 0 with y = u·gram − product ≥ 0 and u·y = 0, each row (R, r) for itself: the optimum's conditions."""
    scale = product.abs().amax(1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    product = product / scale
    found = torch.zeros_like(product)
    waiting = torch.arange(len(product), device=product.device)
    passive = torch.zeros_like(product, dtype=torch.bool)  # those of u that may differ from zero; the others' y may
    fewest = torch.full_like(waiting, product.shape[1] + 1)
    patience = torch.full_like(waiting, PATIENCE)
    for _ in range(ROUNDS):
        target = product[waiting]
        solution = _solved(gram, target, passive)
        slack = solution @ gram - target
        wrong = torch.where(passive, solution, slack) < -TOLERANCE
        count = wrong.sum(1)
        found[waiting] = solution
        open_ = count > 0
        if not open_.any():
            break
        better = count < fewest
        fewest = torch.where(better, count, fewest)
        patience = torch.where(better, PATIENCE, patience - 1)
        last = wrong & (wrong.flip(1).cumsum(1).flip(1) == 1)  # one at a time, which always ends
        passive = passive ^ torch.where((patience < 0)[:, None], last, wrong)
        waiting, passive, fewest, patience = (tensor[open_] for tensor in (waiting, passive, fewest, patience))
    else:
        raise RuntimeError(f"the coefficients of {len(waiting)} rows were not found: the {len(gram)} directions nearly "
                           "depend on each other; use fewer, or leave out those that the others make up")
    return found.clamp(min=0) * scale


def _solved(gram: Tensor, target: Tensor, passive: Tensor) -> Tensor:
    """Return u with u·gram = target on the passive variables of each row and zero on the others."""
    mask = passive.to(gram)
    systems = gram * mask[:, :, None] * mask[:, None, :] + torch.diag_embed(1 - mask)
    return torch.linalg.solve(systems, target * mask)
