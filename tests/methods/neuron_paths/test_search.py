"""The search against the authors' procedure and the paper's algorithm; beams and rankings."""
import itertools

import pytest
import torch

from nblib.methods.neuron_paths import CRITERIA, find_paths, joint_attribution, rank_neurons
from nblib.models.vit import neuron_layers
from tests.fixtures.transformers import (
    LABELS,
    OTHER_LAYERS,
    close,
    every_model,
    layers_of,
    mean_pooled,
    rule,
    timm_vit,
)
from tests.models.test_vit import some_images
from tests.references import neuron_paths as reference


@every_model
@pytest.mark.parametrize("candidates", ["layer_scaled", "layer_clean"])
def test_the_search_is_the_authors_procedure(make, tokens, candidates):
    model, images = make(), some_images()
    layers = layers_of(model)
    found = find_paths(model, images, LABELS, layers, candidates=candidates, steps=5, tokens=tokens)
    assert found.layers == layers and found.neurons.shape == (3, len(layers), 1) and found.neurons.dtype == torch.long
    expected = [reference.search(model, image, label, layers, *rule("left", 5), tokens, candidates)
                for image, label in zip(images, LABELS.tolist())]
    assert found.neurons[:, :, 0].tolist() == [path for path, _ in expected]
    close(found.score, [score for _, score in expected])
    close(joint_attribution(model, images, LABELS, layers, found.neurons, steps=5, tokens=tokens), found.score)


@pytest.mark.parametrize("make, tokens", [(lambda: timm_vit(mlp_ratio=1), "cls"), (mean_pooled, "patches")])
def test_rerank_of_a_whole_layer_is_algorithm_1(make, tokens):
    model, images = make(), some_images(2)
    layers = layers_of(model)[-2:]  # of 12 neurons each
    for width in (1, 2):
        found = find_paths(model, images, LABELS[:2], layers, rerank=12, width=width, steps=2, tokens=tokens)
        for number, (image, label) in enumerate(zip(images, LABELS.tolist())):
            beam = reference.algorithm_1(model, image, label, layers, *rule("left", 2), tokens, width=width)
            assert found.neurons[number].T.tolist() == [path for _, path in beam]
            close(found.score[number], beam[0][0])


def test_rerank_scores_only_the_best_of_the_screening(model):
    images, layers = some_images(2), neuron_layers(model)[1:]
    found = find_paths(model, images, LABELS[:2], layers, rerank=4, width=2, steps=2)
    for number, (image, label) in enumerate(zip(images, LABELS.tolist())):
        beam = reference.algorithm_1(model, image, label, layers, *rule("left", 2), best=4, width=2)
        assert found.neurons[number].T.tolist() == [path for _, path in beam]
        close(found.score[number], beam[0][0])


def test_a_full_beam_finds_the_best_of_all_paths():
    model, images = mean_pooled(), some_images(2)
    found = find_paths(model, images, LABELS[:2], OTHER_LAYERS, rerank=12, width=12, steps=2, tokens="patches")
    for number in range(2):
        every = torch.tensor(list(itertools.product(range(12), repeat=2)))
        scores = joint_attribution(model, images[number : number + 1].expand(144, -1, -1, -1), LABELS[number],
                                   OTHER_LAYERS, every, steps=2, tokens="patches")
        # all 12 first neurons are kept, so no path is lost
        close(found.score[number], scores.max())
        assert found.neurons[number, :, 0].tolist() == every[scores.argmax()].tolist()


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_columns_of_a_beam_are_different_paths_the_best_first(model, criterion):
    images, layers = some_images(), neuron_layers(model)
    found = find_paths(model, images, LABELS, layers, criterion=criterion, width=4, steps=3)
    assert found.neurons.shape == (3, 3, 4)
    for paths in found.neurons:
        assert len({tuple(path) for path in paths.T.tolist()}) == 4
    scores = torch.stack([joint_attribution(model, images, LABELS, layers, found.neurons[:, :, column], steps=3)
                          for column in range(4)], 1)
    close(found.score, scores[:, 0])
    if criterion == "joint_attribution":
        assert (scores.diff(dim=1) <= 1e-12).all()


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_beam_of_one_is_the_first_column_of_the_ranking(model, criterion):
    images, layers = some_images(), neuron_layers(model)
    ranked = rank_neurons(model, images, LABELS, layers, keep=24, criterion=criterion, steps=3)
    assert torch.equal(ranked[:, :, 0], find_paths(model, images, LABELS, layers, criterion=criterion,
                                                   steps=3).neurons[:, :, 0])
    assert torch.equal(ranked.sort(2).values, torch.arange(24).expand(3, 3, -1))
    few = rank_neurons(model, images, LABELS, layers, keep=5, criterion=criterion, steps=3)
    assert torch.equal(few, ranked[:, :, :5])  # nested


def test_a_ranking_that_is_reranked_starts_with_the_exact_best(model):
    images, layers = some_images(1), neuron_layers(model)[:1]
    ranked = rank_neurons(model, images, 3, layers, keep=4, rerank=24, steps=3)[0, 0].tolist()
    beam = reference.algorithm_1(model, images[0], 3, layers, *rule("left", 3), width=4)
    assert ranked == [path[0] for _, path in beam]
