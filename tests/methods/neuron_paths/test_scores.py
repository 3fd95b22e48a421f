"""Scores of given paths and neurons against slow references, identities, and the differences they add up to."""
import pytest
import torch

from nblib.methods.neuron_paths import (
    find_paths,
    joint_attribution,
    knowledge_attribution,
    layer_change,
    path_change,
    path_integral,
)
from nblib.models.vit import neuron_layers
from tests.fixtures.transformers import LABELS, PATHS, close, every_model, layers_of, rule
from tests.models.test_vit import some_images
from tests.references import neuron_paths as reference


@every_model
@pytest.mark.parametrize("quadrature, steps", [("left", 5), ("right", 4), ("trapezoid", 3), ("gausslegendre", 3)])
def test_scores_equal_their_definitions(make, tokens, quadrature, steps):
    model, images = make(), some_images()
    layers = layers_of(model)
    neurons = PATHS[:, : len(layers)]
    options = {"steps": steps, "quadrature": quadrature, "tokens": tokens}
    for ours, theirs in ((joint_attribution, reference.joint_attribution), (path_integral, reference.path_integral)):
        expected = [theirs(model, image, label, layers, path, *rule(quadrature, steps), tokens)
                    for image, label, path in zip(images, LABELS.tolist(), neurons.tolist())]
        close(ours(model, images, LABELS, layers, neurons, **options), expected)


@every_model
def test_knowledge_attribution_equals_its_definition(make, tokens):
    model, images = make(), some_images()
    found = knowledge_attribution(model, images, LABELS, layers_of(model), steps=4, tokens=tokens)
    assert list(found) == layers_of(model)
    for layer, values in found.items():
        for value, image, label in zip(values, images, LABELS.tolist()):
            close(value, reference.knowledge(model, image, label, layer, *rule("left", 4), tokens))


@every_model
def test_the_complete_scores_add_up_and_joint_attribution_does_not(make, tokens):
    model, images = make(), some_images()
    layers = layers_of(model)
    neurons = PATHS[:, : len(layers)]
    options = {"steps": 30, "quadrature": "gausslegendre", "tokens": tokens}
    change = path_change(model, images, LABELS, layers, neurons, tokens=tokens)
    close(path_integral(model, images, LABELS, layers, neurons, **options), change)
    joint = joint_attribution(model, images, LABELS, layers, neurons, **options)
    assert ((joint - change).abs() > 0.05 * change.abs()).all()
    attribution = knowledge_attribution(model, images, LABELS, layers, **options)
    for layer, falls in layer_change(model, images, LABELS, layers, tokens=tokens).items():
        torch.testing.assert_close(attribution[layer].sum(1), falls, rtol=1e-6, atol=1e-9)


def test_the_changes_are_those_of_clamped_passes(model):
    images, layers = some_images(), neuron_layers(model)
    change = path_change(model, images, LABELS, layers, PATHS)
    whole = layer_change(model, images, LABELS, layers)
    for number, (image, label, path) in enumerate(zip(images, LABELS.tolist(), PATHS.tolist())):
        held = {}
        for layer, neuron in zip(layers, path):
            clean = reference.neurons_of(model, image, layer, "cls")
            none = {layer: torch.zeros_like(clean)[None]}
            before = reference.probability(model, image, label, {}, "cls")
            close(whole[layer][number], (before - reference.probability(model, image, label, none, "cls"))[0].detach())
            held[layer] = clean.clone()[None]
            held[layer][:, :, neuron] = 0
        close(change[number], (before - reference.probability(model, image, label, held, "cls"))[0].detach())


def test_a_path_of_one_neuron_has_its_knowledge_attribution(model):
    images, layer = some_images(), neuron_layers(model)[1:2]
    neurons = torch.tensor([[5], [17], [2]])
    joint = joint_attribution(model, images, LABELS, layer, neurons, steps=6)
    close(path_integral(model, images, LABELS, layer, neurons, steps=6), joint)
    slopes = []
    for image, label, (neuron,) in zip(images, LABELS.tolist(), neurons.tolist()):  # equation 6, with k from 0
        clean = reference.neurons_of(model, image, layer[0], "cls")
        terms = []
        for step in range(6):
            values, leaf = reference.scaled(clean, neuron, torch.tensor([step / 6], dtype=clean.dtype))
            value = reference.probability(model, image, label, {layer[0]: values}, "cls").sum()
            terms.append(float(torch.autograd.grad(value, leaf)[0]))
        slopes.append(float(clean[0, neuron]) / 6 * sum(terms))
    close(joint, slopes)


def test_more_steps_close_the_gap_at_the_rate_of_their_rule(model):
    images, layers = some_images(), neuron_layers(model)
    neurons = find_paths(model, images, LABELS, layers).neurons
    change = path_change(model, images, LABELS, layers, neurons)

    def gap(quadrature, steps):
        found = path_integral(model, images, LABELS, layers, neurons, quadrature=quadrature, steps=steps)
        return (found - change).abs().max().item()

    assert 1.8 < gap("left", 20) / gap("left", 40) < 2.2
    assert 1.8 < gap("right", 20) / gap("right", 40) < 2.2
    assert 3.6 < gap("trapezoid", 21) / gap("trapezoid", 41) < 4.4
    assert gap("gausslegendre", 8) < gap("trapezoid", 41) / 10
