"""What is refused, in which words."""
import pytest
import torch

from nblib.hooks import capture
from nblib.methods.neuron_paths import (
    class_similarity,
    common_neurons,
    edited_probabilities,
    find_paths,
    joint_attribution,
    mean_activations,
    path_change,
    path_effect,
    path_integral,
    pruned_probabilities,
    rank_neurons,
    relation_agreement,
    shuffled_concentration,
    utilisation,
)
from nblib.models.vit import neuron_layers
from tests.fixtures.transformers import ALL_OF_IT, LABELS, Stranger, close, layers_of, mean_pooled, timm_vit
from tests.models.test_vit import some_images


@pytest.mark.parametrize("change, error, said", [
    ({"layers": ["blocks.0.mlp.act", "blocks.7.mlp.act"]}, KeyError, "blocks.7.mlp.act.*nearest: 'blocks"),
    ({"layers": []}, ValueError, "one or more"),
    ({"layers": ["blocks.0.mlp.act"] * 2}, ValueError, "each of them once"),
    ({"layers": ["blocks.1.mlp.act", "blocks.0.mlp.act"]}, ValueError, "another order"),
    ({"layers": ["patch_embed.proj"]}, ValueError, "patch_embed.proj.*expected .images, tokens, neurons"),
    ({"layers": ["head"]}, ValueError, "head.*expected .images, tokens, neurons"),
    ({"labels": torch.tensor([0, 1, 4])}, ValueError, "label 4 .* 4 classes"),
    ({"labels": torch.tensor([0, -1, 2])}, ValueError, "label -1"),
    ({"labels": torch.tensor([0, 1])}, ValueError, "labels of shape"),
    ({"labels": torch.tensor([0.0, 1, 2])}, ValueError, "whole numbers"),
    ({"images": some_images(0)}, ValueError, "at least one image"),
    ({"images": some_images() / 0}, ValueError, "not finite"),
    ({"images": some_images().float()}, ValueError, "bring one to the other"),
    ({"images": some_images()[0]}, ValueError, "expected a tensor"),
    ({"criterion": "joint_atribution"}, ValueError, "nearest: 'joint_attribution'"),
    ({"candidates": "clean"}, ValueError, "nearest: 'layer_clean'"),
    ({"tokens": "class"}, ValueError, "tokens 'class'"),
    ({"quadrature": "simpson"}, ValueError, "quadrature 'simpson'"),
    ({"steps": 0}, ValueError, "steps=0"),
    ({"steps": 1, "quadrature": "trapezoid"}, ValueError, "steps=1"),
    ({"steps": 2.5}, ValueError, "steps=2.5"),
    ({"width": 0}, ValueError, "width=0"),
    ({"width": 25}, ValueError, "width=25 .* 24 neurons"),
    ({"rerank": 25}, ValueError, "rerank=25 .* 24 neurons"),
    ({"rerank": -1}, ValueError, "rerank=-1"),
    ({"rerank": 2, "width": 3}, ValueError, "rerank=2 .* width=3"),
    ({"rerank": 2, "criterion": "activation"}, ValueError, "options of criterion 'joint_attribution'"),
    ({"candidates": "layer_clean", "criterion": "random"}, ValueError, "options of criterion 'joint_attribution'"),
    ({"seed": -1}, ValueError, "seed=-1"),
    ({"chunk_size": 0}, ValueError, "chunk_size=0"),
    ({"baseline": "black"}, ValueError, "baseline 'black'"),
])
def test_wrong_input_is_refused(model, change, error, said):
    given = {"images": some_images(), "labels": LABELS, "layers": neuron_layers(model)} | change
    with pytest.raises(error, match=said):
        find_paths(model, given.pop("images"), given.pop("labels"), given.pop("layers"), **given)


def test_layers_that_do_not_run_or_run_twice_are_refused(model):
    images = some_images()
    model.extra = torch.nn.GELU().eval()
    with pytest.raises(RuntimeError, match="never ran.*extra"):
        find_paths(model, images, LABELS, ["blocks.0.mlp.act", "extra"])
    model.blocks[1].mlp.act = model.blocks[0].mlp.act
    with pytest.raises(ValueError, match="runs more than once"):
        find_paths(model, images, LABELS, ["blocks.0.mlp.act"])


def test_models_in_training_mode_are_refused(model):
    model.blocks[1].mlp.train()
    for function in ALL_OF_IT.values():
        with pytest.raises(ValueError, match="blocks.1.mlp.*training mode"):
            function(model, some_images(), LABELS, neuron_layers(model))


def test_weights_of_inference_mode_are_refused_and_stay_as_they_are():
    with torch.inference_mode():
        model = timm_vit()
    with pytest.raises(ValueError, match="inference_mode.*outside"):
        find_paths(model, some_images(), LABELS, neuron_layers(model), steps=2)
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("criterion", ["activation", "random", "joint_attribution"])
def test_scores_that_are_not_numbers_are_told(model, criterion):
    torch.nn.init.constant_(model.head.weight, torch.inf)
    with pytest.raises(RuntimeError, match="not (a )?number"):
        find_paths(model, some_images(), LABELS, neuron_layers(model), criterion=criterion, steps=2)


def test_class_tokens_of_an_unknown_model_that_says_it_has_none_are_refused():
    model = timm_vit(Stranger, global_pool="avg", class_token=False)
    with pytest.raises(ValueError, match="tokens='cls'.*expected 'patches' or 'all'"):
        find_paths(model, some_images(), LABELS, ["blocks.0.mlp.act", "blocks.2.mlp.act"], steps=2)


@pytest.mark.parametrize("make", [lambda: timm_vit(global_pool="avg"), mean_pooled,
                                  lambda: timm_vit(global_pool="avg", class_token=False)])
def test_class_tokens_of_mean_pooled_models_are_refused(make):
    model = make()
    for function in ALL_OF_IT.values():
        with pytest.raises(ValueError, match="tokens='cls'.*expected 'patches' or 'all'"):
            function(model, some_images(), LABELS, layers_of(model))


def test_patches_follow_the_tokens_before_them():
    model, images = timm_vit(reg_tokens=2, global_pool="avg"), some_images()
    layers = neuron_layers(model)
    found = mean_activations(model, images, layers, tokens="patches")
    with capture(model, layers) as tensors:
        model(images)
    for layer in layers:
        close(found[layer], tensors[layer][:, 3:].mean((0, 1)).detach())


@pytest.mark.parametrize("neurons, said", [
    (torch.zeros(3, 3), "float32"),
    (torch.zeros(2, 3, dtype=torch.long), r"\(2, 3\)"),
    (torch.zeros(3, 2, dtype=torch.long), "2 layers were given for 3"),
    (torch.tensor([[0, 24, 0]] * 3), "blocks.1.mlp.act.*24"),
    (torch.tensor([[0, -1, 0]] * 3), "blocks.1.mlp.act.*-1"),
    ([[0, 0, 0]] * 3, "list"),
    (torch.zeros(3, 3, dtype=torch.bool), "bool"),
])
def test_wrong_neurons_are_refused(model, neurons, said):
    layers = neuron_layers(model)
    for function in (joint_attribution, path_integral, path_change):
        with pytest.raises(ValueError, match=said):
            function(model, some_images(), LABELS, layers, neurons)
    with pytest.raises(ValueError, match=said):
        edited_probabilities(model, some_images(), layers, neurons)
    with pytest.raises(ValueError, match=said):
        pruned_probabilities(model, some_images(), layers, neurons, sparsity=0.5)


def test_wrong_options_of_interventions_and_metrics_are_refused(model):
    images, layers = some_images(), neuron_layers(model)
    sets = torch.zeros(1, 3, 2, dtype=torch.long)
    for function, said in [
        (lambda: edited_probabilities(model, images, layers, sets, intervention="double"), "intervention 'double'"),
        (lambda: edited_probabilities(model, images, layers, sets, intervention="mean"), "no means"),
        (lambda: edited_probabilities(model, images, layers, sets, means={}), "'remove' was given with means"),
        (lambda: edited_probabilities(model, images, layers, sets, intervention="mean", means={}), "layer 'blocks.0"),
        (lambda: edited_probabilities(model, images, layers, sets, intervention="mean",
                                      means=dict.fromkeys(layers, torch.zeros(3))), "expected a tensor"),
        (lambda: pruned_probabilities(model, images, layers, sets, sparsity=1.1), "sparsity=1.1"),
        (lambda: rank_neurons(model, images, 0, layers, keep=25), "keep=25 .* 24 neurons"),
        (lambda: rank_neurons(model, images, 0, layers, keep=0), "keep=0"),
        (lambda: rank_neurons(model, images, 0, layers, keep=3, rerank=2), "rerank=2 .* keep=3"),
        (lambda: rank_neurons(model, images, 0, layers, keep=3, width=2), "width=2 .* keep in its place"),
        (lambda: rank_neurons(model, images, 0, layers, keep=3, step=2), "option 'step' .* nearest: 'steps'"),
        (lambda: common_neurons(sets.double(), keep=1), "float64"),
        (lambda: common_neurons(sets, keep=2), "keep=2"),
        (lambda: path_effect(torch.eye(2), torch.eye(2), torch.tensor([1, 0])), "probability 0"),
        (lambda: path_effect(torch.eye(2), torch.eye(3), torch.tensor([1, 0])), "expected"),
        (lambda: path_effect(torch.eye(2) * 2, torch.eye(2), torch.tensor([0, 1])), "0 to 1"),
        (lambda: path_effect(torch.eye(2), torch.eye(2), torch.tensor([0, 2])), "labels=2"),
        (lambda: utilisation(sets, torch.tensor([0]), size=0, classes=1), "size=0"),
        (lambda: utilisation(sets + 5, torch.tensor([0]), size=5, classes=1), "neurons=5"),
        (lambda: utilisation(sets, torch.tensor([0, 0]), size=5, classes=1), "expected"),
        (lambda: class_similarity(torch.zeros(2, 2)), "expected"),
        (lambda: relation_agreement(torch.eye(3), torch.ones(3, 3).bool()), "nothing to compare"),
        (lambda: relation_agreement(torch.eye(3), torch.ones(3, 3)), "bool"),
        (lambda: shuffled_concentration(sets, torch.tensor([0]), size=5, classes=1, draws=0), "draws=0"),
    ]:
        with pytest.raises(ValueError, match=said):
            function()
