"""Features, fields, clusters, matching and combinations, each against a second way to compute it."""
import copy
import itertools

import numpy as np
import pytest
import torch

from nblib.data import stimulus, windows
from nblib.methods.retina import (
    active_at_one_only,
    around_peak,
    cluster_agreement,
    cluster_cells,
    drive_profiles,
    find_places,
    instantaneous_fields,
    kept_share,
    match_interneurons,
    mode_sets,
    population_surprisal,
    predicted_rates,
    rank_one,
    signed_features,
    spread_frames,
    triggered_average,
)
from nblib.models.retina import RetinaCNN, SimulatedRetina
from tests.references import retina as reference


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_sixteen_features_equal_loops_over_places():
    contribution = drawn(3, 8, 4, 5)
    features = signed_features(contribution)
    assert features.shape == (3, 16)
    for n, c in itertools.product(range(3), range(8)):
        values = contribution[n, c].flatten().tolist()
        assert features[n, c].item() == pytest.approx(sum(v for v in values if v < 0))
        assert features[n, 8 + c].item() == pytest.approx(sum(v for v in values if v > 0))
    assert signed_features(drawn(3, 4, 2, 4, 5)).shape == (3, 8)
    with pytest.raises(ValueError, match="with places"):
        signed_features(drawn(3, 8))


def test_surprisal_equals_elimination_row_by_row():
    rates = drawn(20, 4).exp()
    expected = reference.surprisal(rates.tolist())
    torch.testing.assert_close(population_surprisal(rates)(rates), torch.tensor(expected, dtype=torch.float64))


def test_populations_without_a_gaussian_are_refused():
    rates = drawn(20, 4)
    with pytest.raises(ValueError, match=r"\(4, 4\) were given, expected \(N, cells\) with more rows"):
        population_surprisal(rates[:4])
    still, twins = rates.clone(), rates.clone()
    still[:, 2], twins[:, 3] = 1.0, 2 * rates[:, 0] + 1
    with pytest.raises(ValueError, match=r"cells \[2\] do not vary"):
        population_surprisal(still)
    with pytest.raises(ValueError, match="singular.*ridge=1e-6"):
        population_surprisal(twins)
    assert population_surprisal(twins, ridge=1e-6)(twins).isfinite().all()
    with pytest.raises(ValueError, match="not finite"):
        population_surprisal(torch.full((9, 2), torch.nan))


def test_fields_equal_differences_of_rates(retina, recording):
    seen = windows(recording.stimulus, 20)[900:903].double().contiguous()
    retina = copy.deepcopy(retina).double()
    fields = instantaneous_fields(retina, seen, 4)
    step = drawn(*seen.shape, seed=1) * 1e-6
    change = predicted_rates(retina, seen + step)[:, 4] - predicted_rates(retina, seen - step)[:, 4]
    torch.testing.assert_close((fields * step).sum((1, 2, 3)), change / 2, rtol=1e-5, atol=1e-12)
    torch.testing.assert_close(instantaneous_fields(retina, seen, 4, chunk_size=1), fields)
    with pytest.raises(ValueError, match="cell=12"):
        instantaneous_fields(retina, seen, 12)


def test_rank_one_is_that_of_a_singular_value_decomposition():
    fields = drawn(4, 6, 3, 5)
    time, space, share = rank_one(fields)
    for n in range(4):
        matrix = fields[n].flatten(1).numpy()
        matrix = matrix - matrix.mean()
        u, s, v = np.linalg.svd(matrix, full_matrices=False)
        np.testing.assert_allclose(np.outer(time[n], space[n].flatten()), s[0] * np.outer(u[:, 0], v[0]), atol=1e-10)
        assert share[n].item() == pytest.approx(s[0] ** 2 / (s**2).sum())
        peak = np.unravel_index(np.abs(matrix).argmax(), matrix.shape)
        assert time[n, peak[0]] > 0
    still = rank_one(torch.ones(1, 6, 3, 5))
    assert not still.time.any() and not still.space.any() and still.share.isnan().all()
    with pytest.raises(ValueError, match=r"expected \(N, T, H, W\)"):
        rank_one(drawn(6, 3, 5))


def test_maps_are_cut_around_their_peaks():
    maps = torch.zeros(2, 7, 9)
    maps[0, 3, 4], maps[1, 6, 0] = -2.0, 1.0
    cut = around_peak(maps, 3)
    assert cut[0, 1, 1] == -2 and cut[1, 2, 0] == 1
    with pytest.raises(ValueError, match="side=8"):
        around_peak(maps, 8)


def test_the_spike_triggered_average_equals_loops_and_finds_the_cells():
    movie, spikes = drawn(12, 2, 3), torch.randint(0, 3, (12, 2)).double()
    average = triggered_average(movie, spikes, 4)
    for cell in range(2):
        seen = [(movie[n - 3:n + 1], spikes[n, cell]) for n in range(3, 12)]
        expected = sum(w * n for w, n in seen) / sum(n for _, n in seen) - sum(w for w, _ in seen) / 9
        torch.testing.assert_close(average[cell], expected)
    checks = stimulus("white_noise", 3000, size=24)
    simulated = SimulatedRetina().calibrate(checks)
    found = find_places(checks, simulated.record(checks, seed=1).spikes, 20)
    one_sided = torch.tensor([kind != "ON-OFF" for kind in simulated.kinds])
    assert ((found - simulated.places).abs()[one_sided] <= 2).all()
    with pytest.raises(ValueError, match=r"cells \[1\] never fire"):
        triggered_average(movie, spikes * torch.tensor([1, 0]), 4)
    with pytest.raises(ValueError, match="of one length"):
        triggered_average(movie, spikes[:5], 4)


def test_profiles_equal_pearsons_formula_and_are_zero_where_nothing_varies():
    loadings, rates = drawn(15, 4), drawn(15, 3, seed=1)
    loadings[:, 2] = 0.1
    found = drive_profiles(loadings, rates)
    for cell, mode in itertools.product(range(3), range(4)):
        expected = 0.0 if mode == 2 else reference.pearson(rates[:, cell].tolist(), loadings[:, mode].tolist())
        assert found[cell, mode].item() == pytest.approx(expected, abs=1e-12)
    with pytest.raises(ValueError, match="of the same two or more frames"):
        drive_profiles(loadings[:9], rates)


def test_clusters_that_are_there_are_found_whatever_the_columns_scales():
    truth = torch.tensor([0, 0, 1, 1, 2, 2, 0])
    profiles = (drawn(3, 5, seed=2)[truth] * 5 + drawn(7, 5) * 0.3) * torch.tensor([1, 1, 100, 0.01, 1])
    found = cluster_cells(profiles)
    assert found.count == 3 and found.labels.tolist() == truth.tolist()
    assert set(found.silhouettes) == {2, 3, 4, 5, 6} and max(found.silhouettes, key=found.silhouettes.get) == 3
    assert cluster_agreement(found.labels, list("aabbcca")) == 1
    assert abs(cluster_agreement([0, 1] * 4, [0, 0, 1, 1] * 2)) < 0.3
    for given, said in ((profiles[:2], "three cells or more"), (torch.ones(4, 2), "same profile"),
                        (profiles * torch.nan, "not finite")):
        with pytest.raises(ValueError, match=said):
            cluster_cells(given)
    with pytest.raises(ValueError, match="fewer clusters than cells"):
        cluster_cells(profiles, counts=[7])
    with pytest.raises(ValueError, match="3 and 2 cells"):
        cluster_agreement([0, 1, 1], [0, 1])


def test_the_share_of_cells_that_keep_their_cluster_is_that_of_the_best_names():
    first, second = torch.tensor([0, 0, 1, 1, 2, 2, 2]), torch.tensor([1, 1, 0, 2, 2, 2, 2])
    best = max(sum(names[a] == b for a, b in zip(first.tolist(), second.tolist()))
               for names in itertools.permutations(range(3)))
    assert kept_share(first, second) == best / 7 == kept_share(second, first)
    assert kept_share(first, torch.zeros(7, dtype=torch.long)) == 3 / 7
    with pytest.raises(ValueError, match=r"\(7,\) and \(3,\)"):
        kept_share(first, second[:3])


def test_matching_is_the_best_of_all_assignments():
    features, truth = drawn(40, 5), drawn(40, 3, seed=1)
    features[:, 3] = -truth[:, 0] + 0.1 * features[:, 3]
    found = match_interneurons(features, truth)
    table = [[reference.pearson(truth[:, k].tolist(), features[:, c].tolist()) for c in range(5)] for k in range(3)]
    best = max(itertools.permutations(range(5), 3), key=lambda p: sum(abs(table[k][c]) for k, c in enumerate(p)))
    assert found.channel.tolist() == list(best) and found.channel[0] == 3
    torch.testing.assert_close(found.correlation.tolist(), [table[k][c] for k, c in enumerate(best)])
    assert found.mean == pytest.approx(sum(abs(table[k][c]) for k, c in enumerate(best)) / 3) and found.correlation[0] < 0
    assert torch.equal(match_interneurons(features.clone().requires_grad_(), truth).channel, found.channel)
    with pytest.raises(ValueError, match="as many channels as interneurons"):
        match_interneurons(truth, features)


def test_a_fitted_network_is_told_from_unrelated_channels(retina, recording):
    seen, _ = recording.part("test", 20)
    with torch.no_grad():
        truth = retina.bipolar(seen)[:, :, 0].sum((2, 3))
        noise = RetinaCNN(retina.places).conv1(seen).abs().sum((2, 3))
    assert match_interneurons(torch.cat([noise, truth.flip(1)], 1), truth).channel.tolist() == [11, 10, 9, 8]


def test_sets_of_modes_are_counted_frame_by_frame():
    loadings = torch.tensor([[1, 0, 0], [1, 0, 2], [0, 0, 0], [3, 0, 1], [0, 5, 0], [1, 1, 1], [0.005, 9, 0]])
    found = mode_sets(loadings, most=2)
    assert [(chosen, frames.tolist()) for chosen, frames in found] == [((0, 2), [1, 3]), ((1,), [4, 6]), ((0,), [0])]
    assert [chosen for chosen, _ in mode_sets(loadings, threshold=2.5, count=1)] == [(1,)]
    with pytest.raises(ValueError, match="none below 0"):
        mode_sets(-loadings)


def test_frames_to_look_at_are_strong_and_far_apart():
    frames = torch.tensor([10, 11, 50, 90, 91])
    assert spread_frames(frames, torch.tensor([0, 9.0, 1, 1, 1]), count=3).tolist() == [11, 91, 50]
    assert sorted(spread_frames(frames, torch.ones(5), count=9).tolist()) == frames.tolist()
    with pytest.raises(ValueError, match="not empty"):
        spread_frames(frames[:0], torch.ones(0))


def test_modes_active_around_one_of_two_frames_only():
    loadings = torch.zeros(40, 3)
    loadings[8, 0] = loadings[32, 1] = loadings[10, 2] = loadings[29, 2] = 1.0
    first, second = active_at_one_only(loadings, 10, 30, within=2)
    assert first.tolist() == [0] and second.tolist() == [1]
    with pytest.raises(ValueError, match="second=40"):
        active_at_one_only(loadings, 10, 40)
