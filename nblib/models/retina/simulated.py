"""A simulated retina, whose interneurons are known."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nblib.checks import expect_int, expect_number
from nblib.data import Recording, windows
from nblib.models.retina.places import expect_places

TYPES = ("ON fast", "OFF fast", "ON slow", "OFF slow")  # bipolar cells, in the order of their axis
SPEEDS = {"fast": 2.5, "slow": 5.0}  # frames from light to the peak of the answer; amacrine cells are one of each
CENTRE, SURROUND, SURROUND_WEIGHT = 1.0, 2.5, 0.8  # pixels, pixels, share: the difference of Gaussians
THRESHOLD = 0.5  # of bipolar cells, in standard deviations of what they sum up
WIDE = 4.0  # pixels over which an amacrine cell pools
STEEPNESS = 2.0  # of the step from drive to rate
# Kinds of ganglion cells: weights of the four bipolar types, of the two amacrine types, and pixels pooled over.
KINDS = {
    "ON fast": ((1.0, 0.0, 0.0, 0.0), (0.5, 0.0), 1.5),
    "OFF fast": ((0.0, 1.0, 0.0, 0.0), (0.5, 0.0), 1.5),
    "ON slow": ((0.0, 0.0, 1.0, 0.0), (0.0, 0.5), 1.5),
    "OFF slow": ((0.0, 0.0, 0.0, 1.0), (0.0, 0.5), 1.5),
    "ON-OFF": ((0.7, 0.7, 0.0, 0.0), (0.2, 0.5), 1.0),
    "ON broad": ((0.5, 0.0, 0.5, 0.0), (0.3, 0.3), 2.5),
}
AT_ONCE = 512  # windows in one pass of a simulation


def _gaussian(width: float, size: int) -> Tensor:
    """Return a matrix (size, size) that blurs a line; what lies beyond its ends is grey."""
    offsets = torch.arange(-size, size + 1.0)
    line = torch.exp(-(offsets / width).square() / 2)
    line = line / line.sum()
    place = torch.arange(size)
    return line[place.unsqueeze(0) - place.unsqueeze(1) + size]


def _biphasic(peak: float, length: int) -> Tensor:
    """Return a filter (length,) of unit norm, latest frame last: up, then down at twice the delay."""
    ago = torch.arange(length - 1, -1, -1.0)
    up, down = ((ago / p) ** 3 * torch.exp(3 - 3 * ago / p) for p in (peak, 2 * peak))
    both = up - 0.6 * down
    return both / both.norm()


class Bipolar(nn.Module):
    r"""Bipolar cells: a difference of Gaussians in space, a biphasic filter in time, a threshold.

    .. math:: b_{ON/OFF}=\big[\pm(G_c-wG_s)*(k*x)/\sigma-\theta\big]_+

    They answer for the latest frame and for the one before, since amacrine cells hear them a frame late.
    """

    def __init__(self, size: int, frames: int):
        super().__init__()
        late = torch.zeros(len(SPEEDS), 2, frames)  # what each speed sums up now, and what it did a frame ago
        for speed, peak in enumerate(SPEEDS.values()):
            late[speed, 0, 1:] = late[speed, 1, :-1] = _biphasic(peak, frames - 1)
        self.register_buffer("in_time", late)
        self.register_buffer("centre", _gaussian(CENTRE, size))
        self.register_buffer("surround", _gaussian(SURROUND, size))
        self.register_buffer("spread", torch.ones(len(SPEEDS)))

    def summed(self, windows: Tensor) -> Tensor:
        """Return what cells sum up before their threshold, (N, speeds, 2, H, W), of windows (N, T, H, W)."""
        slow = torch.einsum("slt,nthw->nslhw", self.in_time, windows)
        return self.centre @ slow @ self.centre.T - SURROUND_WEIGHT * (self.surround @ slow @ self.surround.T)

    def forward(self, windows: Tensor) -> Tensor:
        """Return activity ≥ 0, (N, 4 types, 2: now and a frame ago, H, W)."""
        summed = self.summed(windows) / self.spread.view(-1, 1, 1, 1)
        return torch.stack([summed - THRESHOLD, -summed - THRESHOLD], 2).flatten(1, 2).relu()


class Amacrine(nn.Module):
    """Amacrine cells: each pools ON and OFF bipolar cells of one speed over a wide field, a frame late."""

    def __init__(self, size: int):
        super().__init__()
        self.register_buffer("wide", _gaussian(WIDE, size))

    def forward(self, bipolar: Tensor) -> Tensor:
        """Return activity ≥ 0, (N, 2 speeds, H, W)."""
        both = bipolar[:, :, 1].unflatten(1, (len(SPEEDS), 2)).sum(2)
        return self.wide @ both @ self.wide.T


class Ganglion(nn.Module):
    r"""Ganglion cells: bipolar cells around their place push, amacrine cells there hold back, a soft step makes rates.

    .. math:: r=g\,\operatorname{softplus}\Big(\frac{\beta}{s}\Big(\sum_{t,p}w_{tp}b_{tp}-\sum_ta_ta_{t,place}-o\Big)\Big)
    """

    def __init__(self, kinds: Sequence[str], places: Tensor, size: int):
        super().__init__()
        maps, held = [], []
        for kind, (row, column) in zip(kinds, places.tolist()):
            types, amacrine, pooled = KINDS[kind]
            blur = _gaussian(pooled, size)
            spot = blur[row].unsqueeze(1) * blur[column]
            maps.append(torch.tensor(types).view(-1, 1, 1) * spot)
            held.append(amacrine)
        self.register_buffer("push", torch.stack(maps))  # (cells, 4, H, W)
        self.register_buffer("hold", torch.tensor(held))  # (cells, 2)
        self.register_buffer("places", places)
        for name, value in (("offset", 0.0), ("spread", 1.0), ("gain", 1.0)):
            self.register_buffer(name, torch.full((len(places),), value))

    def drive(self, bipolar: Tensor, amacrine: Tensor) -> Tensor:
        """Return the drive (N, cells)."""
        pushed = bipolar[:, :, 0].flatten(1) @ self.push.flatten(1).T
        there = amacrine[:, :, self.places[:, 0], self.places[:, 1]]  # (N, 2, cells)
        return pushed - torch.einsum("nsc,cs->nc", there, self.hold)

    def rates(self, drive: Tensor) -> Tensor:
        """Return the rates of drives (N, cells)."""
        return self.gain * F.softplus(STEEPNESS * (drive - self.offset) / self.spread)

    def forward(self, bipolar: Tensor, amacrine: Tensor) -> Tensor:
        """Return rates (N, cells), in spikes a frame."""
        return self.rates(self.drive(bipolar, amacrine))


class SimulatedRetina(nn.Module):
    """A retina whose interneurons are known: windows (N, T, H, W) -> rates (N, cells), in spikes a frame.

    Its layers `bipolar` (N, 4, 2, H, W), `amacrine` (N, 2, H, W) and `ganglion` (N, cells) can be captured, edited and
    explained like those of any network. `bipolar` cuts the network; `amacrine` is a side path.

    Args:
        size: H = W of the movie in pixels, 4 or more.
        frames: T, of a window, 8 or more.
        kinds: of ganglion cells, from `KINDS`; None takes all six.
        places: (P, 2) rows and columns, whole numbers in the frame; each kind is at each place. None takes two near
            the middle.

    Raises:
        ValueError: a kind that is not known, a place outside the frame, a number out of range.

    Source: ours, the textbook's circuit: ON and OFF paths, difference of Gaussians, wide-field inhibition, Poisson
    spikes (Gollisch and Meister 2010). Before `calibrate` its rates have no sensible scale.
    """

    def __init__(self, *, size: int = 24, frames: int = 20, kinds: Sequence[str] | None = None,
                 places: Sequence[tuple[int, int]] | None = None):
        super().__init__()
        self.size, self.frames = expect_int("size", size, 4), expect_int("frames", frames, 8)
        kinds = tuple(KINDS if kinds is None else kinds)
        if not kinds or set(kinds) - KINDS.keys():
            raise ValueError(f"kinds {kinds} were given, expected some of {tuple(KINDS)}")
        middle = size // 2
        places = [(middle - 2, middle - 2), (middle + 1, middle + 1)] if places is None else list(places)
        places = expect_places(places, 0, size - 1)
        self.kinds = tuple(kind for kind in kinds for _ in places)
        self.bipolar, self.amacrine = Bipolar(size, frames), Amacrine(size)
        self.ganglion = Ganglion(self.kinds, places.repeat(len(kinds), 1), size)
        self.eval()

    @property
    def places(self) -> Tensor:
        """Row and column of each cell, (cells, 2)."""
        return self.ganglion.places

    def forward(self, windows: Tensor) -> Tensor:
        """Return rates (N, cells) of windows (N, T, H, W)."""
        if windows.shape[1:] != (self.frames, self.size, self.size):
            raise ValueError(f"windows {tuple(windows.shape)} were given, expected (N, {self.frames}, {self.size}, "
                             f"{self.size})")
        bipolar = self.bipolar(windows)
        return self.ganglion(bipolar, self.amacrine(bipolar))

    @torch.no_grad()
    def calibrate(self, movie: Tensor, *, rate: float = 0.5) -> "SimulatedRetina":
        """Set the cells' scales to a movie (frames, H, W), as a retina adapts; returns the retina.

        Bipolar cells: what they sum up has standard deviation 1. Ganglion cells: their drive has standard deviation 1,
        its 40th percentile is the offset, and the mean rate is `rate`, in spikes a frame, above 0.
        """
        expect_number("rate", rate, 1e-9)
        pieces = windows(movie, self.frames).split(AT_ONCE)
        squares = torch.stack([self.bipolar.summed(piece)[:, :, 0].square().mean((0, 2, 3)) for piece in pieces])
        share = torch.tensor([len(piece) for piece in pieces]).to(squares) / (len(movie) - self.frames + 1)
        spread = (squares * share.unsqueeze(1)).sum(0).sqrt()
        if not (spread > 0).all():
            raise ValueError("the movie is one grey throughout, expected one to which cells respond")
        self.bipolar.spread.copy_(spread)
        drive = self._drives(movie)
        cells = self.ganglion
        cells.offset.copy_(drive.quantile(0.4, 0))
        cells.spread.copy_(drive.std(0).clamp(min=1e-6))
        cells.gain.fill_(1.0)
        cells.gain.copy_(rate / cells.rates(drive).mean(0))
        return self

    @torch.no_grad()
    def record(self, movie: Tensor, *, noise: float = 0.0, frame_rate: float = 100.0, test: float = 0.2,
               seed: int = 0) -> Recording:
        r"""Return what the cells answer to a movie (frames, H, W): spikes :math:`\sim\text{Poisson}(r)` in each frame.

        Args:
            movie: as from `stimulus`.
            noise: of the drive, in standard deviations of it, drawn for each cell and frame; 0 or more. The rates on
                record are those without it.
            frame_rate: frames a second.
            test: the share of the frames, the last ones, that are for testing, in (0, 1).
            seed: of noise and spikes.

        Raises:
            ValueError: a movie that is too short, a number out of range.
        """
        expect_number("noise", noise, 0)
        expect_number("test", test, 1e-9, 1 - 1e-9)
        generator = torch.Generator().manual_seed(expect_int("seed", seed, 0))
        grey = movie.new_zeros(self.frames - 1, *movie.shape[1:])  # before the movie the screen is grey
        drive = self._drives(torch.cat([grey, movie]))
        shaken = drive + noise * self.ganglion.spread * torch.randn(drive.shape, generator=generator).to(drive)
        rates, disturbed = self.ganglion.rates(drive).cpu(), self.ganglion.rates(shaken).cpu()
        spikes = torch.poisson(disturbed, generator=generator)
        return Recording(movie, spikes, frame_rate, round(len(movie) * (1 - test)), rates)

    def _drives(self, movie: Tensor) -> Tensor:
        """Return the ganglion cells' drives at all frames that have a whole window, (frames − T + 1, cells)."""
        drives = []
        for piece in windows(movie, self.frames).split(AT_ONCE):
            bipolar = self.bipolar(piece)
            drives.append(self.ganglion.drive(bipolar, self.amacrine(bipolar)))
        return torch.cat(drives)
