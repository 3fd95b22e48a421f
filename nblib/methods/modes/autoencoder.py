"""The autoencoder itself: contributions in, a few loadings in between, contributions out."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nblib.checks import expect_int, expect_number, expect_one_of

CODES = ("threshold", "topk")
DROPOUT = 0.05  # as published
QUANTILE = 2**24  # values of which torch takes quantiles


class SparseAutoencoder(nn.Module):
    r"""Writes contributions as a few rows of a dictionary, :math:`\hat x=zD`; each row is a mode.

    .. math::
        u=\sigma(\text{MLP}(x)),\quad z_k=u_k\,[u_k\ge\theta]\quad\text{or}\quad
        z=\text{the }k\text{ largest of }\max(0,Wx+b),\ \text{zero elsewhere}

    The first are the published codes: each loading is zero or in [θ, 1), nearly binary, and one that is zero passes no
    gradient on. The second are TopK codes (Gao and others 2024), which keep how much.

    Args:
        channels: C, 1 or more.
        modes: M, 1 or more.
        codes: "threshold" or "topk".
        threshold: θ, in [0, 1).
        active: k, how many modes a row may have with "topk", from 1 to M.
        hidden: width of the two hidden layers with "threshold"; None is C.
        nonnegative: keep D ≥ 0, which `project` does after each step of training.

    Raises:
        ValueError: an argument out of range.

    Source: P3, section 4 and its authors' public code (baccuslab/bscope), where D is not kept non-negative.
    """

    def __init__(self, channels: int, modes: int, *, codes: str = "threshold", threshold: float = 0.9, active: int = 5,
                 hidden: int | None = None, nonnegative: bool = True):
        super().__init__()
        expect_int("channels", channels, 1)
        expect_int("n_modes", modes, 1)
        self.codes = expect_one_of("codes", codes, CODES)
        self.threshold = expect_number("threshold", threshold, 0, math.nextafter(1, 0))
        self.nonnegative = nonnegative
        self.active = expect_int("active", active, 1, modes if codes == "topk" else math.inf)
        width = channels if hidden is None else expect_int("hidden", hidden, 1)
        self.dictionary = nn.Parameter(torch.empty(modes, channels))
        nn.init.xavier_uniform_(self.dictionary)
        if nonnegative:
            self.dictionary.data.abs_()
        if codes == "topk":
            self.body, self.last = nn.Identity(), nn.Linear(channels, modes)
            self.last.weight.data.copy_(F.normalize(self.dictionary.data, dim=1))
            nn.init.zeros_(self.last.bias)
        else:
            layers = [[nn.Linear(before, width), nn.Dropout(DROPOUT), nn.ReLU(), nn.LayerNorm(width)]
                      for before in (channels, width)]
            self.body, self.last = nn.Sequential(*sum(layers, [])), nn.Linear(width, modes)
            nn.init.zeros_(self.last.bias)  # published without one; at zero it does nothing

    def before_codes(self, rows: Tensor) -> Tensor:
        """Return what the codes are made of, (N, M), before the sigmoid or the choice of the largest."""
        return self.last(self.body(rows))

    def encode(self, rows: Tensor) -> Tensor:
        """Return the loadings z (N, M) of rows (N, C), none below zero."""
        before = self.before_codes(rows)
        if self.codes == "topk":
            values, places = before.relu().topk(self.active, dim=1)
            return torch.zeros_like(before).scatter(1, places, values)
        share = before.sigmoid()
        return share * (share >= self.threshold)

    def decode(self, loadings: Tensor) -> Tensor:
        """Return the rows (N, C) that loadings (N, M) stand for."""
        return loadings @ self.dictionary

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the reconstruction (N, C) and the loadings (N, M) of rows (N, C)."""
        loadings = self.encode(rows)
        return self.decode(loadings), loadings

    @torch.no_grad()
    def project(self) -> None:
        """Set what has become negative in the dictionary to zero, where it is to have nothing below."""
        if self.nonnegative:
            self.dictionary.clamp_(min=0)

    @torch.no_grad()
    def begin_firing(self, rows: Tensor, rate: float) -> None:
        """Set the biases so that each mode fires on a share `rate` of the rows (N, C), in evaluation mode.

        Without that, few modes or none pass a threshold of 0.9 at first, and those that never fire never learn. TopK
        codes need none of it.
        """
        if self.codes == "threshold":
            level = math.log(self.threshold / (1 - self.threshold)) if self.threshold else -math.inf
            some = rows[: max(1, QUANTILE // len(self.last.bias))]
            top = torch.quantile(self.before_codes(some) - self.last.bias, 1 - rate, dim=0)  # (M,)
            self.last.bias.copy_(level - top if math.isfinite(level) else torch.zeros_like(top))

    @torch.no_grad()
    def point_at(self, which: Tensor, rows: Tensor) -> None:
        """Let modes `which` (R,) of TopK codes stand for rows (R, C) from now on."""
        length = self.dictionary.norm(dim=1).mean()
        direction = F.normalize(rows.clamp(min=0) if self.nonnegative else rows, dim=1)
        self.dictionary[which] = direction * length
        self.last.weight[which] = direction
        self.last.bias[which] = 0.0
