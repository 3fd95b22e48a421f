"""Fitting the network: it finds the true rates, is fixed by its seed, and refuses what it cannot fit."""
import dataclasses
import time

import pytest
import torch

from nblib.data import stimulus
from nblib.methods.retina import correlation, fit_retina, kept_retina, predicted_rates, simulate
from nblib.models.retina import RetinaCNN, SimulatedRetina
from tests.references import retina as reference

QUICK = {"epochs": 1, "device": "cpu"}


def test_a_fitted_network_predicts_the_true_rates():
    movie = stimulus("natural", 12_000, size=24)
    retina = SimulatedRetina().calibrate(movie)
    recording = retina.record(movie)
    network = RetinaCNN(retina.places)
    begun = time.process_time()
    losses = fit_retina(network, recording, device="cpu")
    spent = (time.process_time() - begun) / torch.get_num_threads()
    seen, _ = recording.part("test", 20)
    found = correlation(predicted_rates(network, seen), recording.true_rates("test", 20))
    assert found.mean() > 0.9 and spent < 20, f"correlations {found.tolist()} after {spent:.1f} s"
    assert losses == sorted(losses, reverse=True) and not network.training


def test_a_simulation_has_the_windows_that_were_asked_for():
    retina, recording = simulate("white_noise", train=60, test=30, size=9, frames=10, rate=0.3, seed=2)
    movie = stimulus("white_noise", 108, size=9, seed=2)
    assert torch.equal(recording.stimulus, movie) and len(retina.places) == 12
    for part, count in (("train", 60), ("test", 30)):
        seen, spikes = recording.part(part, 10)
        assert len(seen) == len(spikes) == len(recording.true_rates(part, 10)) == count
    by_hand = SimulatedRetina(size=9, frames=10).calibrate(movie, rate=0.3).record(movie, seed=2)
    assert torch.equal(recording.spikes, by_hand.spikes)
    with pytest.raises(ValueError, match="test=0"):
        simulate("white_noise", train=60, test=0)


def test_the_seed_fixes_the_fit_and_the_callers_randomness_is_left_alone(retina, recording):
    found = []
    for seed in (1, 1, 2):
        network = RetinaCNN(retina.places, channels=2, seed=1)
        before = torch.get_rng_state()
        fit_retina(network, recording, seed=seed, **QUICK)
        assert torch.equal(before, torch.get_rng_state())
        found.append(network.conv1[0].weight)
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_a_network_is_fitted_on_any_device_and_stays_on_its_own(retina, recording, device):
    network = RetinaCNN(retina.places, channels=2)
    losses = fit_retina(network, recording, epochs=2, device=str(device))
    assert losses[1] < losses[0] and network.read_out.weight.device.type == "cpu"
    seen, _ = recording.part("test", 20)
    found = predicted_rates(network.to(device), seen.to(device)).cpu()
    torch.testing.assert_close(found, predicted_rates(network.cpu(), seen), rtol=1e-3, atol=1e-3)


def test_without_a_learning_rate_only_the_statistics_of_norms_change(retina, recording):
    network, start = RetinaCNN(retina.places, channels=2), RetinaCNN(retina.places, channels=2)
    fit_retina(network, recording, lr=0.0, **QUICK)
    for (name, tensor), other in zip(network.state_dict().items(), start.state_dict().values()):
        assert torch.equal(tensor, other) != ("running" in name), name


def test_a_kept_network_is_fitted_once_and_collapsed(retina, recording, tmp_path, monkeypatch):
    monkeypatch.setenv("NBLIB_STORE", str(tmp_path))
    options = {"network": {"channels": 2}, "seed": 3} | QUICK
    first = kept_retina(recording, retina.places, **options)
    written = list(tmp_path.glob("models/retina-*.safetensors"))
    assert len(written) == 1 and isinstance(first.conv1, torch.nn.Conv2d)
    monkeypatch.setattr("nblib.methods.retina.fitting.fit_retina", lambda *_, **__: pytest.fail("fitted again"))
    again = kept_retina(recording, retina.places, **options)
    seen, _ = recording.part("test", 20)
    assert torch.equal(predicted_rates(first, seen), predicted_rates(again, seen))
    by_hand = RetinaCNN(retina.places, channels=2, seed=3)
    monkeypatch.undo()
    fit_retina(by_hand, recording, seed=3, **QUICK)
    torch.testing.assert_close(predicted_rates(by_hand, seen), predicted_rates(first, seen), rtol=1e-4, atol=1e-5)


def test_correlation_equals_its_formula():
    first, second = torch.randn(2, 30, 4, generator=torch.Generator().manual_seed(0))
    expected = [reference.pearson(first[:, c].tolist(), second[:, c].tolist()) for c in range(4)]
    torch.testing.assert_close(correlation(first, second), torch.tensor(expected))
    assert correlation(first, torch.ones(30, 4)).isnan().all()


def spoilt(recording, frame, cell, value):
    spikes = recording.spikes.clone()
    spikes[frame, cell] = value
    return dataclasses.replace(recording, spikes=spikes)


def test_recordings_that_cannot_be_fitted_are_refused(retina, recording):
    network = RetinaCNN(retina.places)
    for case, said in (
            (spoilt(recording, 100, 3, torch.nan), r"spikes of windows \[81\].* not finite"),
            (spoilt(recording, slice(None), 3, 0.0), r"cells \[3\] never fire"),
            (dataclasses.replace(recording, spikes=recording.spikes[:, :5]), "spikes of 5 cells .* network has 12"),
            (dataclasses.replace(recording, train_frames=19), "19 frames was given, expected at least the 20")):
        with pytest.raises(ValueError, match=said):
            fit_retina(network, case, **QUICK)
    for options in ({"epochs": 0}, {"batch_size": 1}, {"lr": -1.0}, {"seed": -1}, {"device": "tpu"}):
        with pytest.raises(ValueError, match=str(*options)):
            fit_retina(network, recording, **QUICK | options)
    with pytest.raises(ValueError, match=r"call model.eval\(\)"):
        predicted_rates(RetinaCNN(retina.places).train(), recording.part("test", 20)[0])


def test_a_fit_that_diverges_says_so_and_leaves_evaluation_mode(retina, recording):
    network = RetinaCNN(retina.places)
    network.read_out.weight.data.fill_(torch.inf)
    with pytest.raises(RuntimeError, match="loss of epoch 1 is nan: try a lower lr"):
        fit_retina(network, recording, **QUICK)
    assert not network.training
