"""Recordings from files that the tests write, and from those that do not fit."""
import h5py
import numpy as np
import pytest
import torch

from nblib.data import load_recording


def some(frames=50, cells=4, seed=0):
    rng = np.random.default_rng(seed)
    return {"stimulus": rng.integers(0, 256, (frames, 6, 5)).astype(np.uint8),
            "spikes": rng.poisson(1.0, (frames, cells)).astype(np.int64)}


def written(path, arrays):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, values in arrays.items():
                file[name] = values
    return path


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".hdf5"])
def test_a_recording_comes_back_normalised_on_its_train_part(tmp_path, suffix):
    arrays = some()
    recording = load_recording(written(tmp_path / f"cells{suffix}", arrays | {"frame_rate": 100.0}), test=0.3)
    assert recording.train_frames == 35 and recording.frame_rate == 100 and recording.rates is None
    light = arrays["stimulus"].astype(np.float64)
    expected = (light - light[:35].mean()) / light[:35].std()
    np.testing.assert_allclose(recording.stimulus.numpy(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(recording.spikes.numpy(), arrays["spikes"])


def test_parts_share_no_frame_and_spikes_belong_to_a_windows_last_frame(tmp_path):
    recording = load_recording(written(tmp_path / "cells.npz", some()), frame_rate=30, test=0.4)
    for part, first, count in (("train", 0, 30), ("test", 30, 20)):
        seen, spikes = recording.part(part, 8)
        assert seen.shape == (count - 7, 8, 6, 5) and len(spikes) == count - 7
        assert torch.equal(seen[0], recording.stimulus[first:first + 8])
        assert torch.equal(spikes[0], recording.spikes[first + 7])
    with pytest.raises(ValueError, match="20 frames was given, expected at least the 21"):
        recording.part("test", 21)
    with pytest.raises(ValueError, match="nearest: 'train'"):
        recording.part("trian", 8)
    with pytest.raises(RuntimeError, match="only a simulation"):
        recording.true_rates("train", 8)


def test_some_cells_can_be_taken_and_the_key_tells_recordings_apart(tmp_path):
    path = written(tmp_path / "cells.npz", some())
    both = [load_recording(path, frame_rate=30, cells=cells) for cells in ([2, 0], None)]
    assert torch.equal(both[0].spikes, both[1].spikes[:, [2, 0]])
    assert both[0].key != both[1].key == load_recording(path, frame_rate=10).key


def changed(**new):
    return some() | new


SPIKES = some()["spikes"].astype(float)
NAN, SILENT, NEGATIVE = SPIKES.copy(), SPIKES.copy(), SPIKES.copy()
NAN[3, 2], NEGATIVE[4, 1] = np.nan, -1
SILENT[:, [1, 3]] = 0
BAD = {
    "no rate": (some(), {"frame_rate": None}, "does not say its frame rate"),
    "no spikes": ({"stimulus": some()["stimulus"], "spike": SPIKES}, {}, "expected also 'spikes'"),
    "NaN": (changed(spikes=NAN), {}, r"cells \[2\] are not finite"),
    "silent": (changed(spikes=SILENT), {}, r"cells \[1, 3\] never fire in the train part: .* cells=\[0, 2\]"),
    "silent, chosen": (changed(spikes=SILENT), {"cells": [3, 2]}, r"cells \[3\] never fire .* cells=\[2\]"),
    "negative": (changed(spikes=NEGATIVE), {}, r"cells \[1\] are negative"),
    "short": (changed(spikes=SPIKES[:40]), {}, "50 frames of stimulus and 40 of spikes"),
    "turned": (changed(spikes=SPIKES.T), {}, r"turn them"),
    "flat": (changed(stimulus=np.zeros((50, 6))), {}, r"expected \(frames, H, W\)"),
    "grey": (changed(stimulus=np.ones((50, 6, 5))), {}, "one grey"),
    "dark": (changed(stimulus=np.full((50, 6, 5), np.nan)), {}, r"frames \[0, 1, 2, 3, 4\] of .* not finite"),
    "text": (changed(spikes=np.full((50, 4), "a")), {}, "expected an array of numbers"),
    "no cell 9": (some(), {"cells": [9]}, "cell=9"),
    "twice": (some(), {"cells": [1, 1]}, "each once"),
    "share": (some(), {"test": 1.0}, "test=1.0"),
    "all": (some(), {"test": 0.001}, "leaves a part empty"),
    "rate": (some(), {"frame_rate": -1.0}, "frame_rate=-1.0"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused_in_words(tmp_path, name):
    arrays, options, said = BAD[name]
    with pytest.raises(ValueError, match=said):
        load_recording(written(tmp_path / "cells.npz", arrays), **{"frame_rate": 100.0} | options)


def test_files_of_other_kinds_or_none_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a file that ends with '.h5'"):
        load_recording(tmp_path / "cells.mat")
    with pytest.raises(FileNotFoundError, match="no file"):
        load_recording(tmp_path / "cells.npz")
    for suffix in (".h5", ".npz"):
        path = tmp_path / f"broken{suffix}"
        path.write_bytes(b"not a recording")
        with pytest.raises(ValueError, match="cannot be read as a recording"):
            load_recording(path)
