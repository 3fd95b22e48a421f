"""Agreement of maps between seeds and networks, and how much they call important."""
import itertools
import math

import numpy
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nblib import metrics
from tests.fixtures.maps import random_maps, some_maps
from tests.references.metrics import overlap_of_largest


@given(some_maps, some_maps, st.booleans())
@settings(max_examples=60, deadline=None)
def test_rank_correlation_equals_scipys_with_ties(first, second, signed):
    result = metrics.rank_correlation(torch.from_numpy(first), torch.from_numpy(second), signed=signed)
    for row in range(2):
        a, b = first[row].ravel(), second[row].ravel()
        a, b = (a, b) if signed else (abs(a), abs(b))
        if numpy.ptp(a) == 0 or numpy.ptp(b) == 0:
            assert result[row].isnan()
        else:
            assert result[row].item() == pytest.approx(scipy.stats.spearmanr(a, b).statistic, abs=1e-12)


def test_rank_correlation_sees_the_sign_only_when_asked():
    maps = random_maps()
    torch.testing.assert_close(metrics.rank_correlation(maps, -maps), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(metrics.rank_correlation(maps, -maps, signed=True), -torch.ones(3, dtype=torch.float64))
    maps[1, 0, 0] = math.inf
    assert metrics.rank_correlation(maps, maps).isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 1.0])
def test_the_overlap_of_the_largest_cells_is_that_of_their_sets(share):
    first, second = random_maps(), random_maps().flip(0)
    first[0, :2], second[1] = first[0, :1, :1], second[1].round(decimals=1)  # ties: the first of them count
    found = metrics.top_overlap(first, second, share=share)
    for row in range(len(first)):
        a, b = first[row].flatten().tolist(), second[row].flatten().tolist()
        assert found[row].item() == pytest.approx(overlap_of_largest(a, b, round(share * len(a))))
    torch.testing.assert_close(metrics.top_overlap(first, first, share=share), torch.ones(len(first), dtype=first.dtype))


def test_a_map_that_names_no_cell_has_no_overlap():
    maps = random_maps()
    same, broken = torch.ones_like(maps), maps.clone()
    broken[1, 0, 0] = math.inf
    assert metrics.top_overlap(maps, same).isnan().all()
    assert metrics.top_overlap(maps, broken).isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("cells, top", [(4, 2), (6, 1), (6, 3), (7, 7)])
def test_chance_is_the_mean_over_all_sets_that_could_be_drawn(cells, top):
    sets = [set(chosen) for chosen in itertools.combinations(range(cells), top)]
    mean = sum(len(one & sets[0]) / len(one | sets[0]) for one in sets) / len(sets)
    assert metrics.chance_overlap(cells, share=top / cells) == pytest.approx(mean, abs=1e-12)


def test_reproducibility_and_sparsity_of_known_maps():
    maps = torch.rand(50, 2, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = maps.numpy().std(0, ddof=1).mean((1, 2))
    torch.testing.assert_close(metrics.reproducibility(maps), torch.from_numpy(expected))
    torch.testing.assert_close(metrics.reproducibility(list(maps)), torch.from_numpy(expected))
    assert expected.mean() == pytest.approx(12**-0.5, abs=0.01)
    assert (metrics.reproducibility([maps[0]] * 3) == 0).all()
    torch.testing.assert_close(metrics.importance_sparsity(torch.full((2, 4, 4), 0.3)), torch.full((2,), 0.3))


def test_too_few_seeds_and_other_shapes_are_refused():
    with pytest.raises(ValueError, match="S from 2 up"):
        metrics.reproducibility(random_maps().unsqueeze(0))
    with pytest.raises(ValueError, match="one shape"):
        metrics.reproducibility([random_maps(2), random_maps(3)])
    with pytest.raises(ValueError, match="expected the same"):
        metrics.rank_correlation(random_maps(2), random_maps(3))
