"""A movie with the spikes that it drew, from a file or from a simulation."""
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nblib import store
from nblib.checks import expect_int, expect_number, expect_one_of, quoted
from nblib.data.retina.stimuli import windows

HDF5, ARRAYS = (".h5", ".hdf5"), (".npz",)
NEEDED = ("stimulus", "spikes")
PARTS = ("train", "test")


@dataclasses.dataclass(frozen=True)
class Recording:
    """What a population of cells answered to a movie.

    Args:
        stimulus: (frames, H, W) float32 of mean 0, the grey, and standard deviation 1 on the train part.
        spikes: (frames, cells) float32 ≥ 0: spikes in each frame, or their mean over repeats.
        frame_rate: frames a second; "spikes a frame" times this are Hz.
        train_frames: the first so many frames are for fitting; all after them for testing.
        rates: (frames, cells), the true rates in spikes a frame where they are known, otherwise None.
    """

    stimulus: Tensor
    spikes: Tensor
    frame_rate: float
    train_frames: int
    rates: Tensor | None = None

    @property
    def key(self) -> str:
        """Changes whenever the content does, so that what was computed from it can be kept."""
        return store.key(self.stimulus, self.spikes, self.train_frames)

    def part(self, name: str, length: int) -> tuple[Tensor, Tensor]:
        """Return the windows (N, length, H, W) of a part, "train" or "test", and the spikes (N, cells) they explain.

        No window of one part holds a frame of the other.
        """
        frames = self._frames(name)
        return windows(self.stimulus[frames], length), self.spikes[frames][length - 1:]

    def true_rates(self, name: str, length: int) -> Tensor:
        """Return the true rates (N, cells) that belong to `part`; a RuntimeError where nobody knows them."""
        if self.rates is None:
            raise RuntimeError("the true rates of this recording are not known: only a simulation has them")
        return self.rates[self._frames(name)][length - 1:]

    def _frames(self, name: str) -> slice:
        """Return the frames of a part."""
        expect_one_of("part", name, PARTS)
        return slice(0, self.train_frames) if name == "train" else slice(self.train_frames, None)


def load_recording(path: str | Path, *, frame_rate: float | None = None, test: float = 0.2,
                   cells: Sequence[int] | None = None) -> Recording:
    r"""Read a recording: the arrays `stimulus` (frames, H, W) and `spikes` (frames, cells) of one file.

    The stimulus is brought to mean 0 and standard deviation 1 on the train part,
    :math:`s\leftarrow(s-\mu_{train})/\sigma_{train}`, as P3 does; spikes stay as they are.

    Args:
        path: an HDF5 file (.h5, .hdf5) or NumPy's archive (.npz). It may also hold `frame_rate`, one number.
        frame_rate: frames a second, above 0; None takes the file's.
        test: the share of the frames, the last ones, that are for testing, in (0, 1).
        cells: numbers of the cells to take; None takes all.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another kind of file, one that cannot be read or lacks an array; arrays that do not fit each other;
            values that are not finite, with the cell's number; negative spikes; a stimulus without contrast; a cell
            that never fires in a part, with its number and what to do; no frame rate.
    """
    path = Path(path)
    found = _read(path)
    expect_number("test", test, 1e-9, 1 - 1e-9)
    rate = found.get("frame_rate") if frame_rate is None else frame_rate
    if rate is None:
        raise ValueError(f"{path.name} does not say its frame rate: give frame_rate=..., in frames a second")
    rate = expect_number("frame_rate", float(np.asarray(rate).reshape(-1)[0]), 1e-9)
    stimulus, spikes = (_tensor(path, name, found[name]) for name in NEEDED)
    _expect_fitting(path, stimulus, spikes)
    kept = _expect_cells(cells, spikes.shape[1])
    train = round(len(stimulus) * (1 - test))
    if not 0 < train < len(stimulus):
        raise ValueError(f"test={test} of {len(stimulus)} frames leaves a part empty, expected frames in both")
    spikes = spikes[:, kept]
    _expect_spikes(spikes, kept, train)
    _expect_light(path, stimulus, train)
    mean, deviation = stimulus[:train].mean(), stimulus[:train].std(correction=0)
    return Recording((stimulus - mean) / deviation, spikes, rate, train)


def _read(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file that a recording is made of."""
    if path.suffix.lower() not in (*HDF5, *ARRAYS):
        raise ValueError(f"{path.name} was given, expected a file that ends with {quoted((*HDF5, *ARRAYS))}")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    opened: Callable = np.load
    if path.suffix.lower() in HDF5:
        import h5py

        opened = h5py.File
    try:
        with opened(path) as file:
            there = list(file)
            found = {name: file[name][()] for name in (*NEEDED, "frame_rate") if name in there}
    except (OSError, ValueError, EOFError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{path.name} cannot be read as a recording: {error}") from error
    missing = [name for name in NEEDED if name not in found]
    if missing:
        raise ValueError(f"{path.name} holds {quoted(there)}, expected also {quoted(missing)}")
    return found


def _tensor(path: Path, name: str, values: np.ndarray) -> Tensor:
    """Return an array of numbers as float32."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "buif":
        raise ValueError(f"{name!r} of {path.name} is {getattr(values, 'dtype', type(values).__name__)}, expected an "
                         "array of numbers")
    return torch.from_numpy(values.astype(np.float32))


def _expect_fitting(path: Path, stimulus: Tensor, spikes: Tensor) -> None:
    """Refuse a stimulus and spikes of other shapes, or of unequal length."""
    if stimulus.ndim != 3 or spikes.ndim != 2 or not stimulus.numel() or not spikes.numel():
        given = f"stimulus {tuple(stimulus.shape)} and spikes {tuple(spikes.shape)}"
        raise ValueError(f"{path.name} holds {given}, expected (frames, H, W) and (frames, cells), not empty")
    if len(stimulus) != len(spikes):
        turned = "; spikes lie as (cells, frames): turn them" if spikes.shape[1] == len(stimulus) else ""
        raise ValueError(f"{path.name} holds {len(stimulus)} frames of stimulus and {len(spikes)} of spikes, expected "
                         f"one number of both{turned}")


def _expect_cells(cells: Sequence[int] | None, count: int) -> list[int]:
    """Return the numbers of the cells to take, each once and there."""
    if cells is None:
        return list(range(count))
    kept = [expect_int("cell", cell, 0, count - 1) for cell in cells]
    if not kept or len(set(kept)) < len(kept):
        raise ValueError(f"cells {kept} were given, expected one or more of 0 to {count - 1}, each once")
    return kept


def _expect_spikes(spikes: Tensor, cells: list[int], train: int) -> None:
    """Refuse spikes that are not finite, are negative, or that a cell never fires in one part."""
    numbers = torch.tensor(cells)
    broken = numbers[~spikes.isfinite().all(0)].tolist()
    if broken:
        raise ValueError(f"spikes of cells {broken} are not finite (NaN or infinite), expected counts: cut these "
                         "frames out, or leave the cells out by cells=[...]")
    if (spikes < 0).any():
        raise ValueError(f"spikes of cells {numbers[(spikes < 0).any(0)].tolist()} are negative, expected counts")
    for part, rows in (("train", spikes[:train]), ("test", spikes[train:])):
        silent = numbers[(rows == 0).all(0)].tolist()
        if silent:
            left = [cell for cell in cells if cell not in silent]
            raise ValueError(f"cells {silent} never fire in the {part} part: leave them out by cells={left}")


def _expect_light(path: Path, stimulus: Tensor, train: int) -> None:
    """Refuse a movie that is not finite, or one grey as long as it is for training."""
    if not stimulus.isfinite().all():
        frames = (~stimulus.flatten(1).isfinite().all(1)).nonzero().flatten()[:5].tolist()
        raise ValueError(f"frames {frames} of {path.name} are not finite (NaN or infinite), expected light")
    if not stimulus[:train].std(correction=0) > 0:
        raise ValueError(f"the train part of {path.name} shows one grey throughout, expected a movie")
