"""Importances that know nothing: what they say, and that they say it of each image alone."""
import copy

import torch

from nblib.engine import check_inputs
from nblib.methods.importance import FixedMap, PermutedMap, RandomMap, importance_map, insertion_deletion
from nblib.models.importance import EmbeddingModel, pixel_model
from tests.fixtures.networks import SmallNet, settled


def test_a_fixed_map_is_the_same_for_all(ia, images):
    mean = importance_map(ia, images).mean(0)
    assert torch.equal(FixedMap(mean)(images), mean.expand(20, 4, 4))


def test_a_random_map_belongs_to_its_image_and_is_uniform(images):
    maps = RandomMap(4, seed=3)
    found = maps(images)
    assert found.shape == (20, 4, 4) and found.min() >= 0 and found.max() < 1
    assert torch.equal(found[3:4], maps(images[3:4])) and torch.equal(found, maps(images.clone()))
    assert not torch.equal(found, RandomMap(4, seed=4)(images))
    many = maps(torch.rand(2000, 3, 16, 16, generator=torch.Generator().manual_seed(0)))
    assert abs(many.mean() - 0.5) < 0.01 and abs(many.std() - 12**-0.5) < 0.01
    assert many.flatten(1).corrcoef().fill_diagonal_(0).abs().mean() < 0.25  # 16 places: chance is 0.2
    assert (many.flatten(1).T.corrcoef() - torch.eye(16)).abs().max() < 0.1


def test_a_permuted_map_has_every_value_in_another_place(ia, images):
    before, after = importance_map(ia, images), PermutedMap(ia.scores, 4, seed=1)(images).detach()
    torch.testing.assert_close(before.flatten(1).sort(1).values, after.flatten(1).sort(1).values)
    assert ((before - after).abs().flatten(1) > 0).all()


def test_each_can_take_the_place_of_an_importance(ia, images, labels):
    for scores in (FixedMap(importance_map(ia, images).mean(0)), RandomMap(4), PermutedMap(ia.scores, 4)):
        model = EmbeddingModel(ia, scores=scores)
        check_inputs(model, images)
        assert torch.equal(importance_map(model, images), scores(images).detach())
        assert insertion_deletion(model, images, labels).insertion.shape == (11,)
        blind = pixel_model(ia, settled(SmallNet()), threshold=0.5, scores=scores)
        check_inputs(blind, images)
        assert torch.equal(blind.kept(images), scores(images) >= 0.5)


def test_each_is_the_same_on_any_device(ia, images, labels, device):
    for scores in (FixedMap(importance_map(ia, images).mean(0)), RandomMap(4, seed=2), PermutedMap(ia.scores, 4)):
        model = EmbeddingModel(ia, scores=scores)
        here, there = (insertion_deletion(m, x, y) for m, x, y in (
            (model, images, labels), (copy.deepcopy(model).to(device), images.to(device), labels.to(device))))
        torch.testing.assert_close(here.insertion_zeroed, there.insertion_zeroed.cpu())
        assert there.insertion.device.type == device.type
