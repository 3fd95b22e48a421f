"""The criteria other than joint attribution, each against its definition."""
import pytest
import torch

from nblib.hooks import capture
from nblib.methods.neuron_paths import find_paths
from nblib.models.vit import neuron_layers
from tests.fixtures.transformers import LABELS, every_model, layers_of, rule
from tests.models.test_vit import some_images
from tests.references import neuron_paths as reference


@every_model
def test_activation_takes_the_largest_value(make, tokens):
    model, images = make(), some_images()
    layers = layers_of(model)
    found = find_paths(model, images, LABELS, layers, criterion="activation", steps=2, tokens=tokens).neurons[..., 0]
    expected = [[int(reference.neurons_of(model, image, layer, tokens).sum(0).argmax()) for layer in layers]
                for image in images]
    assert found.tolist() == expected


@every_model
def test_integrated_gradients_take_the_largest_knowledge_attribution(make, tokens):
    model, images = make(), some_images()
    layers = layers_of(model)
    found = find_paths(model, images, LABELS, layers, criterion="integrated_gradients", steps=4, tokens=tokens)
    expected = [[int(reference.knowledge(model, image, label, layer, *rule("left", 4), tokens).argmax())
                 for layer in layers] for image, label in zip(images, LABELS.tolist())]
    assert found.neurons[..., 0].tolist() == expected


@every_model
@pytest.mark.parametrize("baseline", [0.0, 0.4])
def test_mean_gradient_equals_its_definition(make, tokens, baseline):
    model, images = make(), some_images(2)
    layers = layers_of(model)
    found = find_paths(model, images, LABELS[:2], layers, criterion="mean_gradient", steps=4, tokens=tokens,
                       baseline=baseline).neurons[..., 0]
    for path, image, label in zip(found.tolist(), images, LABELS.tolist()):
        start = torch.full_like(image, baseline)
        for neuron, layer in zip(path, layers):
            assert neuron == int(reference.mean_gradient(
                model, image, label, layer, start, *rule("left", 4), tokens).argmax())


@every_model
@pytest.mark.parametrize("baseline", [0.0, "mean"])
def test_the_influence_pattern_is_equation_9(make, tokens, baseline):
    model, images = make(), some_images(2)
    layers = layers_of(model)
    found = find_paths(model, images, 0, layers, criterion="influence_pattern", steps=3, tokens=tokens,
                       quadrature="gausslegendre", baseline=baseline).neurons[..., 0]
    for path, image in zip(found.tolist(), images):
        start = image.mean((1, 2), keepdim=True).expand_as(image) if baseline == "mean" else torch.zeros_like(image)
        assert path == reference.influence_pattern(model, image, layers, start, *rule("gausslegendre", 3), tokens)[0]


@pytest.mark.parametrize("tokens", ["cls", "patches", "all"])
@pytest.mark.parametrize("some", [slice(None), slice(0, None, 2), slice(1, 2)], ids=["all", "with gaps", "one layer"])
def test_the_influence_pattern_is_the_same_with_its_tokens_carried_along(model, tokens, some):
    images, layers = some_images(), neuron_layers(model)[some]
    options = {"criterion": "influence_pattern", "width": 3, "steps": 4, "tokens": tokens}
    carried = find_paths(model, images, LABELS, layers, **options)
    with capture(model, layers[:1]):  # somebody's own hooks would be gone around, so it is computed in full
        full = find_paths(model, images, LABELS, layers, **options)
    assert torch.equal(carried.neurons, full.neurons)
    torch.testing.assert_close(carried.score, full.score, rtol=1e-10, atol=1e-12)


def test_the_label_does_not_matter_to_the_influence_pattern_and_activation(model):
    images, layers = some_images(), neuron_layers(model)
    for criterion in ("influence_pattern", "activation", "random"):
        first, second = (find_paths(model, images, label, layers, criterion=criterion, steps=3) for label in (0, 1))
        assert torch.equal(first.neurons, second.neurons) and not torch.equal(first.score, second.score)


def test_random_paths_go_by_seed_and_image_and_cover_the_layer(model):
    images, layers = some_images(1).expand(200, -1, -1, -1), neuron_layers(model)
    options = {"criterion": "random", "steps": 1}
    found = find_paths(model, images, 0, layers, **options).neurons
    assert torch.equal(found, find_paths(model, images, 0, layers, chunk_size=3, **options).neurons)
    assert not torch.equal(found, find_paths(model, images, 0, layers, seed=1, **options).neurons)
    for layer in found.unbind(1):
        assert len(layer.unique()) == 24 and layer.flatten().bincount().max() < 25
