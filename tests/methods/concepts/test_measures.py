"""Purity and matching against the formula, all permutations, and maps whose truth is known."""
import pytest
import torch

from nblib.methods.concepts import concept_purity, match_concepts
from tests.fixtures.concepts import sparse
from tests.references import concepts as reference


def test_purity_equals_the_formula_pixel_by_pixel():
    maps = sparse(3, 4, 6, 7)
    parts = torch.randint(0, 4, (3, 6, 7), generator=torch.Generator().manual_seed(2))
    found = concept_purity(maps, parts)
    for number, (value, part) in enumerate(reference.purity(maps, parts)):
        assert found.purity[number].item() == pytest.approx(value) and found.part[number] == part
    torch.testing.assert_close(found.shares.sum(1), torch.ones(4, dtype=torch.float64))


def test_purity_knows_the_perfect_the_uniform_and_the_empty_map():
    parts = torch.tensor([0, 0, 0, 0, 3, 3, 1, 0]).view(1, 2, 4)
    maps = torch.stack([(parts[0] == 3) * 5.0, torch.full((2, 4), 0.1), torch.zeros(2, 4), (parts[0] == 0) * 1.0])[None]
    found = concept_purity(maps, parts)
    assert found.purity[[0, 1, 3]].tolist() == pytest.approx([1, 0, 1], abs=1e-6) and found.purity[2].isnan()
    assert found.part[[0, 2, 3]].tolist() == [3, -1, 0]
    assert found.areas.tolist() == pytest.approx([5 / 8, 1 / 8, 0, 2 / 8])


def test_matching_equals_the_best_of_all_permutations():
    first, second = sparse(50, 3, seed=1), sparse(50, 5, seed=2)
    found = match_concepts(first, second)
    assert tuple(found.partner.tolist()) == reference.best_matching(first, second)
    order = [3, 0, 4, 1, 2]
    again = match_concepts(second, 7 * second[:, order])
    assert [order[p] for p in again.partner.tolist()] == [0, 1, 2, 3, 4]
    assert again.similarity.tolist() == pytest.approx([1] * 5)
    maps = sparse(4, 3, 5, 5, seed=3)
    assert match_concepts(maps, maps.flip(1)).partner.tolist() == [2, 1, 0]
    assert match_concepts(torch.zeros(4, 2), torch.ones(4, 2)).similarity.tolist() == [0, 0]
