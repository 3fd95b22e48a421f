"""What a cell looks for at this moment: the gradient of its rate, and the space and time it is made of."""
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nblib.checks import expect_int
from nblib.engine import as_given, check_inputs, chunks, expect_finite, logits_of, precise


class RankOne(NamedTuple):
    """The outer product nearest to a field: time (N, T) of unit norm, space (N, H, W), and the share it holds (N,)."""

    time: Tensor
    space: Tensor
    share: Tensor


def instantaneous_fields(model: nn.Module, windows: Tensor, cell: int, *, chunk_size: int | None = None) -> Tensor:
    r"""The instantaneous receptive field of a cell at each frame, :math:`\partial r_{cell}/\partial x`, (N, T, H, W).

    Where it is positive, more light would have raised the rate.

    Args:
        windows: (N, T, H, W), floating point.
        cell: its number.

    Other arguments: as in `nblib.methods.retina`.

    Source: P3, figure 8B and 8D; Maheswaranathan et al. (2023).
    """
    check_inputs(model, windows)
    fields = torch.empty(windows.shape, dtype=windows.dtype, device=windows.device)
    with torch.inference_mode(False), torch.enable_grad():
        for _, index in chunks(windows, 1, chunk_size):
            rows = windows[index].detach().clone().requires_grad_()
            rates = logits_of(model, rows)
            expect_int("cell", cell, 0, rates.shape[1] - 1)
            fields[index] = torch.autograd.grad(rates[:, cell].sum(), rows)[0]
    return fields


def rank_one(fields: Tensor) -> RankOne:
    r"""Split each field into one course in time and one map in space, the best rank-1 approximation.

    The mean of the field is taken away first. The map's sign is that of the frame in which the field is strongest, so
    that a map is positive where more light at that moment would raise the rate.

    .. math:: G_{t,p}\approx\sigma_1u_tv_p,\qquad GG^\top u=\sigma_1^2u,\qquad \text{share}=\sigma_1^2/\|G\|^2

    Args:
        fields: (N, T, H, W), as from `instantaneous_fields`.

    Returns:
        Time, space = :math:`\sigma_1v` and share in [0, 1]; a field without variation has zeros, and a share NaN. The
        T × T matrix :math:`GG^\top` is small, which makes this several times faster than a singular value decomposition.

    Raises:
        ValueError: fields of another shape, or not finite.

    Source: P3's code for figure 8.
    """
    if fields.ndim != 4 or not fields.numel():
        raise ValueError(f"fields {tuple(fields.shape)} were given, expected (N, T, H, W)")
    expect_finite("fields of frames", fields)
    rows = precise(fields).flatten(2)
    rows = rows - rows.mean((1, 2), keepdim=True)
    gram = rows @ rows.mT
    values, vectors = torch.linalg.eigh(gram)
    time = vectors[:, :, -1]
    total = gram.diagonal(dim1=1, dim2=2).sum(1)
    peak = rows.abs().amax(2).argmax(1, keepdim=True)
    time = time * torch.where(time.gather(1, peak) < 0, -1.0, 1.0) * (total > 0).unsqueeze(1)
    space = torch.einsum("nt,ntp->np", time, rows).unflatten(1, fields.shape[2:])
    share = (values[:, -1] / torch.where(total > 0, total, torch.nan)).clamp(0, 1)
    return RankOne(*(as_given(part, fields) for part in (time, space, share)))


def around_peak(maps: Tensor, side: int) -> Tensor:
    """Return the square (N, side, side) of each map (N, H, W) with its strongest pixel nearest to the middle.

    Raises:
        ValueError: a side larger than the maps.
    """
    expect_int("side", side, 1, min(maps.shape[1:]))
    peak = maps.abs().flatten(1).argmax(1)
    corners = [(at - side // 2).clamp(0, length - side)
               for at, length in zip((peak // maps.shape[2], peak % maps.shape[2]), maps.shape[1:])]
    return torch.stack([one[row:row + side, column:column + side]
                        for one, row, column in zip(maps, *(corner.tolist() for corner in corners))])


def triggered_average(movie: Tensor, spikes: Tensor, length: int) -> Tensor:
    r"""The mean window before a spike, (cells, T, H, W): :math:`\sum_nn_{c}x_n/\sum_nn_c`, minus the mean window.

    Args:
        movie: (frames, H, W).
        spikes: (frames, cells), ≥ 0.
        length: T.

    Raises:
        ValueError: unequal lengths, or a cell that never fires.
    """
    if len(movie) != len(spikes) or spikes.ndim != 2 or len(movie) < length:
        raise ValueError(f"a movie {tuple(movie.shape)} and spikes {tuple(spikes.shape)} were given, expected "
                         f"(frames, H, W) and (frames, cells) of one length, {length} frames or more")
    counts = spikes[length - 1:]
    silent = (counts.sum(0) == 0).nonzero().flatten().tolist()
    if silent:
        raise ValueError(f"cells {silent} never fire, expected spikes: leave them out")
    weights = counts / counts.sum(0) - 1 / len(counts)
    frames = len(counts)
    lags = [weights.T @ movie[lag:lag + frames].flatten(1) for lag in range(length)]
    return torch.stack(lags, 1).unflatten(2, movie.shape[1:])


def find_places(movie: Tensor, spikes: Tensor, length: int) -> Tensor:
    """Return where each cell looks, (cells, 2) rows and columns: the strongest pixel of its `triggered_average`.

    Other arguments: as in `triggered_average`. The movie has to be white noise: neighbouring pixels of natural scenes go
    together, which smears the average. A cell that likes light and dark alike has no average to speak of.
    """
    strength = triggered_average(movie, spikes, length).square().sum(1)  # (cells, H, W)
    peak = strength.flatten(1).argmax(1)
    return torch.stack([peak // movie.shape[2], peak % movie.shape[2]], 1)
