"""Both retinas: the simulation against loops over cells and time, the network against its collapsed self."""
import time

import pytest
import torch
from torch import nn

from nblib.data import STIMULI, stimulus, windows
from nblib.hooks import capture, edit
from nblib.models.retina import KINDS, PUBLISHED, TYPES, UNITS, RetinaCNN, SimulatedRetina
from tests.references import retina as reference


def small(**options):
    return SimulatedRetina(**{"size": 9, "frames": 10, "places": [(4, 4), (0, 7)]} | options)


def randomised(network, seed=0):
    """A network whose norms do something: no statistic, weight or bias is that of the start."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean):
                tensor.copy_(torch.randn(tensor.shape, generator=generator))
            module.running_var.copy_(0.2 + torch.rand(module.running_var.shape, generator=generator))
    return network


def test_rates_equal_loops_over_cells_places_and_time():
    movie = stimulus("drifting_noise", 60, size=7)
    retina = small(size=7, places=[(3, 4), (0, 6)]).calibrate(movie)
    seen = windows(movie, 10)[10::30]
    rates, cells = retina(seen), retina.ganglion
    spreads = tuple(retina.bipolar.spread.tolist())
    for n, window in enumerate(seen.tolist()):
        for c in (1, 8, 10):
            cell = {"kind": KINDS[retina.kinds[c]], "place": retina.places[c].tolist()} | {
                name: getattr(cells, name)[c].item() for name in ("offset", "spread", "gain")}
            assert rates[n, c].item() == pytest.approx(reference.ganglion_rate(window, 7, cell, spreads), rel=1e-3)


def test_its_layers_can_be_captured_and_edited_like_any():
    movie = stimulus("natural", 60, size=9)
    retina = small().calibrate(movie)
    seen = windows(movie, 10)[:5]
    with capture(retina, ["bipolar", "amacrine", "ganglion"]) as layers:
        rates = retina(seen)
    assert layers["bipolar"].shape == (5, len(TYPES), 2, 9, 9) and layers["amacrine"].shape == (5, 2, 9, 9)
    assert torch.equal(layers["ganglion"], rates)
    with edit(retina, {"amacrine": torch.zeros_like}):
        assert (retina(seen) >= rates).all()  # amacrine cells only hold back
    with edit(retina, {"bipolar": torch.zeros_like}):
        assert torch.equal(*retina(seen)[:2])


def test_on_and_off_cells_answer_to_light_and_dark():
    retina = small(kinds=["ON fast", "OFF fast"], places=[(4, 4)]).calibrate(stimulus("white_noise", 300, size=9))
    flash = torch.zeros(2, 10, 9, 9)
    flash[0, -6:, 3:6, 3:6], flash[1, -6:, 3:6, 3:6] = 3.0, -3.0
    light, dark = retina(flash)
    grey = retina(torch.zeros(1, 10, 9, 9))[0]
    assert light[0] > 2 * grey[0] and dark[1] > 2 * grey[1] and light[0] > 2 * light[1] and dark[1] > 2 * dark[0]


@pytest.mark.parametrize("kind", STIMULI)
def test_calibrated_cells_fire_at_the_rate_asked_for_on_each_stimulus(kind):
    movie = stimulus(kind, 1500, size=24)
    recording = SimulatedRetina().calibrate(movie, rate=0.3).record(movie, seed=1)
    assert recording.rates[19:].mean(0).sub(0.3).abs().max() < 1e-3
    expected = recording.rates.sum(0)
    assert ((recording.spikes.sum(0) - expected).abs() < 5 * expected.sqrt()).all()  # Poisson
    variance = ((recording.spikes - recording.rates).square() / recording.rates).mean()
    assert 0.9 < variance < 1.1 and recording.train_frames == 1200


def test_a_recordings_rates_are_those_of_its_windows_and_noise_adds_to_spikes_only():
    movie = stimulus("natural", 1000, size=9)
    retina = small().calibrate(movie)
    plain, noisy = (retina.record(movie, noise=noise, seed=2) for noise in (0.0, 1.0))
    seen, _ = plain.part("test", 10)
    torch.testing.assert_close(plain.true_rates("test", 10), retina(seen))
    assert torch.equal(plain.rates, noisy.rates) and not torch.equal(plain.spikes, noisy.spikes)
    assert (noisy.spikes - noisy.rates).var() > 1.2 * (plain.spikes - plain.rates).var()
    assert torch.equal(plain.spikes, retina.record(movie, seed=2).spikes)
    assert not torch.equal(plain.spikes, retina.record(movie, seed=3).spikes)


def test_twelve_thousand_frames_are_simulated_in_seconds():
    begun = time.process_time()
    movie = stimulus("natural", 12_000, size=24)
    SimulatedRetina().calibrate(movie).record(movie)
    assert time.process_time() - begun < 5 * torch.get_num_threads()


@pytest.mark.parametrize("options, said", [
    ({"kinds": ["ON quick"]}, "expected some of"), ({"kinds": []}, "expected some of"), ({"frames": 3}, "frames=3"),
    ({"places": [(4, 9)]}, r"cells \[0\] at \[\[4, 9\]\] lie outside"), ({"places": [(0.5, 1.0)]}, "whole numbers"),
    ({"places": [4, 4]}, "whole numbers"), ({"size": 1}, "size=1")])
def test_a_retina_that_cannot_be_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        small(**options)


def test_a_retina_refuses_movies_that_do_not_fit():
    retina = small()
    with pytest.raises(ValueError, match="one grey throughout"):
        retina.calibrate(torch.zeros(30, 9, 9))
    with pytest.raises(ValueError, match="at least the 10"):
        retina.calibrate(torch.zeros(9, 9, 9))
    with pytest.raises(ValueError, match=r"expected \(N, 10, 9, 9\)"):
        retina(torch.zeros(2, 10, 8, 8))
    with pytest.raises(ValueError, match="rate=0"):
        retina.calibrate(torch.randn(30, 9, 9), rate=0)


def test_stacked_convolutions_collapse_to_the_sum_over_all_ways_through_them():
    network = RetinaCNN([(12, 12)], channels=3, frames=2, seed=1)
    kernels = [layer.weight.detach() for layer in network.conv1]
    expected = reference.collapsed_kernel(kernels)
    collapsed = network.conv1.collapsed()
    assert collapsed.weight.shape == (3, 2, 9, 9)
    torch.testing.assert_close(collapsed.weight.double(), expected, rtol=0, atol=1e-6 * expected.abs().max().item())


def test_a_collapsed_network_gives_the_same_rates_and_the_same_units():
    network = randomised(RetinaCNN([(10, 12), (13, 10), (10, 12)], seed=3))
    seen = torch.randn(4, 20, 24, 24, generator=torch.Generator().manual_seed(0)) * 20
    found = []
    for _ in range(2):
        with capture(network, UNITS) as units:
            found.append([network(seen), *(units[name] for name in UNITS)])
        network.collapse()
    assert found[0][0].std() > 0.01 and isinstance(network.conv2, nn.Conv2d)
    for stacked, collapsed in zip(*found):
        torch.testing.assert_close(stacked, collapsed, rtol=1e-5, atol=1e-5)


def test_each_cell_reads_around_its_own_place():
    places = [(13, 10), (10, 12), (13, 10)]
    network = randomised(RetinaCNN(places, seed=4))
    units = torch.randn(2, 8, 10, 10, generator=torch.Generator().manual_seed(1))
    drives = network.read_out(units)
    for cell, (row, column) in enumerate(places):
        around = units[:, :, row - 10:row - 3, column - 10:column - 3]
        torch.testing.assert_close(drives[:, cell], (around * network.read_out.weight[cell]).sum((1, 2, 3)))


def test_norms_never_change_a_sign_and_noise_is_for_training_only():
    network = randomised(RetinaCNN([(12, 12)], noise=0.5))
    values = torch.randn(3, 8, 2, 2)
    turned = network.norm1(values)
    network.norm1.weight.data.neg_()
    assert torch.equal(turned, network.norm1(values))
    seen = torch.randn(2, 20, 24, 24)
    assert torch.equal(network(seen), network(seen))
    network.train()
    assert not torch.equal(network.noise1(values), values)


def test_the_published_sizes_are_those_of_the_paper():
    network = RetinaCNN([(17, 32), (25, 25)], **PUBLISHED)
    assert len([layer for layer in network.conv1 if isinstance(layer, nn.Conv2d)]) == 7
    with capture(network, [*UNITS, "read_out"]) as units:
        assert network(torch.zeros(1, 40, 50, 50)).shape == (1, 2)
    assert units["conv1"].shape == (1, 8, 36, 36) and units["conv2"].shape == (1, 8, 26, 26)
    assert network.collapse().conv1.weight.shape == (8, 40, 15, 15)


@pytest.mark.parametrize("options, said", [
    ({"places": [(12, 12), (9, 12)]}, r"cells \[1\] at \[\[9, 12\]\] lie outside .* 10 to 13"),
    ({"kernels": (9, 8, 7)}, "three odd numbers"), ({"kernels": (9, 9)}, "three odd numbers"),
    ({"size": 18}, "need frames of 21 pixels or more"), ({"channels": 0}, "channels=0"), ({"dropout": 1.0}, "dropout"),
    ({"noise": -1.0}, "noise=-1.0")])
def test_a_network_that_cannot_be_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        RetinaCNN(**{"places": [(12, 12)]} | options)


def test_a_network_refuses_windows_of_another_shape():
    with pytest.raises(ValueError, match=r"expected \(N, 20, 24, 24\)"):
        RetinaCNN([(12, 12)])(torch.zeros(2, 19, 24, 24))
