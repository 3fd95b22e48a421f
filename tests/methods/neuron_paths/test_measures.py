"""Numbers about paths and edits, by hand."""
import math

import pytest
import torch

from nblib.methods.neuron_paths import (
    class_similarity,
    concentration,
    path_effect,
    relation_agreement,
    shuffled_concentration,
    utilisation,
)


def test_effects_of_an_intervention_by_hand():
    clean = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.7, 0.1], [0.4, 0.5, 0.1]])
    edited = torch.tensor([[0.25, 0.55, 0.2], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]])
    effect = path_effect(clean, edited, torch.tensor([0, 1, 0]))
    torch.testing.assert_close(effect.deviations, torch.tensor([-0.5, 0.0, 0.5]).double(), rtol=0, atol=1e-6)
    assert (effect.mean, effect.median, effect.spread) == pytest.approx((0, 0, (0.5 / 3) ** 0.5), abs=1e-6)
    assert effect.accuracy == pytest.approx(0)  # one lost, one won
    assert path_effect(clean, edited, torch.tensor([0, 1, 1])).accuracy == pytest.approx(-200 / 3)


def test_utilisation_similarity_and_concentration_by_hand():
    neurons = torch.tensor([[0, 2], [0, 1], [0, 2], [3, 2]])
    used = utilisation(neurons, torch.tensor([0, 0, 1, 1]), size=4, classes=3)
    assert used[:2].tolist() == [[[1, 0, 0, 0], [0, 0.5, 0.5, 0]], [[0.5, 0, 0, 0.5], [0, 0, 1, 0]]]
    assert used[2].isnan().all()
    similarity = class_similarity(used)
    assert similarity[0, 1].item() == pytest.approx((0.5 + 0.5) / (1.5**0.5 * 1.5**0.5))
    assert similarity[0, 0].item() == pytest.approx(1) and similarity[2].isnan().all()
    few = concentration(used)
    assert few.top_share[:2].tolist() == [[1, 0.5], [0.5, 1]] and few.distinct[:2].tolist() == [[1, 2], [2, 1]]
    assert few.entropy[:2].flatten().tolist() == pytest.approx([0, math.log(2), math.log(2), 0])
    assert all(values[2].isnan().all() for values in few)
    wide = utilisation(torch.stack([neurons, neurons], 2), torch.tensor([0, 0, 1, 1]), size=4, classes=2)
    assert torch.equal(wide, used[:2])


def test_shuffled_labels_spread_what_classes_had_for_themselves():
    labels = torch.arange(90) % 3
    neurons = torch.stack([labels, torch.arange(90) % 5], 1)  # the first layer tells the classes apart
    options = {"size": 6, "classes": 3}
    found = concentration(utilisation(neurons, labels, **options))
    chance = shuffled_concentration(neurons, labels, draws=50, seed=1, **options)
    assert chance.entropy.shape == (50, 3, 2)
    assert (found.entropy[:, 0] < chance.entropy[:, :, 0].amin(0)).all()
    low, high = (chance.entropy[:, :, 1].quantile(q, 0) for q in (0.0, 1.0))
    assert ((low <= found.entropy[:, 1]) & (found.entropy[:, 1] <= high + 0.05)).all()
    again = shuffled_concentration(neurons, labels, draws=50, seed=1, **options)
    assert all(torch.equal(a, b) for a, b in zip(chance, again))


def test_agreement_with_known_relations_is_found_and_not_made_up():
    group = torch.arange(12) // 3
    related = group[:, None] == group
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(12, 12, generator=generator) * 0.2
    plain = (noise + noise.T) / 2
    found = relation_agreement(plain + 0.5 * related, related, draws=199)
    first, second = torch.triu_indices(12, 12, offset=1)
    pairs = (plain + 0.5 * related)[first, second]
    kept = related[first, second]
    assert found.difference == pytest.approx((pairs[kept].mean() - pairs[~kept].mean()).item())
    assert found.p == pytest.approx(1 / 200)
    chance = [relation_agreement(plain[order][:, order], related, draws=199).p
              for order in (torch.randperm(12, generator=generator) for _ in range(20))]
    assert 0.2 < sum(chance) / 20 < 0.8
