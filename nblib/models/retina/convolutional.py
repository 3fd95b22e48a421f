"""The convolutional network that P3 fits to a retina: two layers of eight cell types, one output a ganglion cell."""
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nblib.checks import expect_int, expect_number
from nblib.models.retina.places import expect_places

UNITS = ("conv1", "conv2")  # the layers whose contributions P3 decomposes: before normalisation and ReLU, signed
PUBLISHED = {"size": 50, "frames": 40, "kernels": (15, 11, 11), "dropout": 0.05}  # options of `RetinaCNN`


class LinearStack(nn.Sequential):
    """3 × 3 convolutions one after another, no ReLU between: together one convolution of an odd, larger kernel.

    So it has fewer weights, trains in fewer steps, and favours smooth kernels.
    """

    def __init__(self, before: int, after: int, kernel: int, dropout: float):
        layers: list[nn.Module] = []
        count = (kernel - 1) // 2
        for number in range(count):
            last = number == count - 1
            layers.append(nn.Conv2d(after if number else before, after, 3, bias=last))
            if dropout and not last:
                layers.append(nn.Dropout(dropout))
        super().__init__(*layers)

    @torch.no_grad()
    def collapsed(self) -> nn.Conv2d:
        r"""Return the one convolution that this is, exact but for rounding.

        What a stack makes of a single lit pixel is its kernel, turned by half a circle:
        :math:`y_p=\sum_kw_kx_{p+k}` is :math:`w_{-p}` for :math:`x=\delta`.
        """
        convolutions = [layer for layer in self if isinstance(layer, nn.Conv2d)]
        first, last = convolutions[0], convolutions[-1]
        reach = 2 * len(convolutions)
        whole = nn.Conv2d(first.in_channels, last.out_channels, reach + 1, device=first.weight.device,
                          dtype=first.weight.dtype)
        lit = first.weight.new_zeros(first.in_channels, first.in_channels, 2 * reach + 1, 2 * reach + 1)
        colours = torch.arange(first.in_channels)
        lit[colours, colours, reach, reach] = 1.0
        for convolution in convolutions:
            lit = F.conv2d(lit, convolution.weight)
        whole.weight.copy_(lit.flip(2, 3).transpose(0, 1))
        whole.bias.copy_(last.bias)
        return whole.train(self.training)


class AbsoluteBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of (N, C) or (N, C, H, W) that scales by |weight|, so that no channel changes its sign."""

    def forward(self, values: Tensor) -> Tensor:
        """Return the values normalised: by the batch in training, by the running statistics otherwise."""
        return F.batch_norm(values, self.running_mean, self.running_var, self.weight.abs(), self.bias, self.training,
                            self.momentum, self.eps)


class GaussianNoise(nn.Module):
    """Adds noise of a standard deviation while in training."""

    def __init__(self, deviation: float):
        super().__init__()
        self.deviation = deviation

    def forward(self, values: Tensor) -> Tensor:
        """Return the values, in training with noise."""
        return values + self.deviation * torch.randn_like(values) if self.training else values


class ReadOut(nn.Module):
    """One kernel a cell, applied at the cell's place only: (N, C, h, w) -> (N, cells)."""

    def __init__(self, channels: int, corners: Tensor, kernel: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(len(corners), channels, kernel, kernel))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.kernel = kernel
        self.at: dict[tuple[int, int], list[int]] = {}  # the cells of each place
        for cell, corner in enumerate(corners.tolist()):
            self.at.setdefault(tuple(corner), []).append(cell)
        in_turn = torch.tensor([cell for cells in self.at.values() for cell in cells])
        self.register_buffer("order", in_turn.argsort(), persistent=False)

    def forward(self, units: Tensor) -> Tensor:
        """Return the cells' drives."""
        drives = []
        for (row, column), cells in self.at.items():
            around = units[:, :, row:row + self.kernel, column:column + self.kernel].flatten(1)
            drives.append(around @ self.weight[cells].flatten(1).T)
        return torch.cat(drives, 1)[:, self.order]


class RetinaCNN(nn.Module):
    """P3's model of a retina: windows (N, T, H, W), the latest frame last -> rates (N, cells), in spikes a frame.

    conv1 · norm1 · noise1 · relu1 · conv2 · norm2 · noise2 · relu2 · read_out · norm3 · softplus. Each norm scales by
    the size of its weight; conv1 and conv2 are linear stacks of 3 × 3 convolutions; each cell reads the units around its place.

    Args:
        places: (cells, 2) row and column of each cell in the frame, whole numbers, far enough from the border that the
            three kernels fit.
        size: H = W in pixels.
        frames: T.
        kernels: sides of the three kernels, odd, 3 or more.
        channels: cell types in each of the two hidden layers.
        noise: standard deviation of what is added before each ReLU in training.
        dropout: share of values left out between stacked convolutions in training, in [0, 1).
        seed: of the first weights.

    The published sizes are `RetinaCNN(places, **PUBLISHED)`.

    Raises:
        ValueError: a number out of range, kernels that do not fit the frame, a cell outside of what they can read.

    Source: P3, figure 8A; Maheswaranathan et al. (2023); the repository baccuslab/torch-deep-retina.
    """

    def __init__(self, places: Sequence[tuple[int, int]] | Tensor, *, size: int = 24, frames: int = 20,
                 kernels: tuple[int, int, int] = (9, 7, 7), channels: int = 8, noise: float = 0.05,
                 dropout: float = 0.0, seed: int = 0):
        super().__init__()
        self.size, self.frames = expect_int("size", size, 1), expect_int("frames", frames, 1)
        expect_int("channels", channels, 1)
        expect_number("noise", noise, 0)
        expect_number("dropout", dropout, 0, 1 - 1e-9)
        if len(kernels) != 3 or not all(isinstance(side, int) and side >= 3 and side % 2 for side in kernels):
            raise ValueError(f"kernels {kernels} were given, expected three odd numbers from 3 up")
        reach = sum(side // 2 for side in kernels)
        if size - 2 * reach < 1:
            raise ValueError(f"kernels {kernels} need frames of {2 * reach + 1} pixels or more, size={size} was given")
        corners = expect_places(places, reach, size - 1 - reach) - reach
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(expect_int("seed", seed, 0))
            self.conv1 = LinearStack(frames, channels, kernels[0], dropout)
            self.norm1, self.noise1, self.relu1 = AbsoluteBatchNorm(channels), GaussianNoise(noise), nn.ReLU()
            self.conv2 = LinearStack(channels, channels, kernels[1], dropout)
            self.norm2, self.noise2, self.relu2 = AbsoluteBatchNorm(channels), GaussianNoise(noise), nn.ReLU()
            self.read_out = ReadOut(channels, corners, kernels[2])
            self.norm3, self.softplus = AbsoluteBatchNorm(len(corners)), nn.Softplus()
        self.eval()

    def forward(self, windows: Tensor) -> Tensor:
        """Return rates (N, cells)."""
        if windows.ndim != 4 or windows.shape[1:] != (self.frames, self.size, self.size):
            raise ValueError(f"windows {tuple(windows.shape)} were given, expected (N, {self.frames}, {self.size}, "
                             f"{self.size})")
        first = self.relu1(self.noise1(self.norm1(self.conv1(windows))))
        second = self.relu2(self.noise2(self.norm2(self.conv2(first))))
        return self.softplus(self.norm3(self.read_out(second)))

    def collapse(self) -> "RetinaCNN":
        """Make one convolution of each linear stack, in place; what comes out is the same. Returns the network."""
        for name in UNITS:
            stack = getattr(self, name)
            if isinstance(stack, LinearStack):
                setattr(self, name, stack.collapsed())
        return self
