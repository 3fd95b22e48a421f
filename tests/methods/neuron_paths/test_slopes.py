"""Slopes that are carried along through a known network, beside those that are computed anew."""
import pytest
import torch

from nblib.engine import check_inputs
from nblib.hooks import capture, edit
from nblib.methods.neuron_paths import find_paths
from nblib.models.vit import neuron_layers
from tests.fixtures.transformers import LABELS, Stranger, close, rule, timm_vit
from tests.models.test_vit import some_images, torchvision_vit
from tests.references import neuron_paths as reference


@pytest.mark.parametrize("options", [
    {}, {"candidates": "layer_clean"}, {"width": 3}, {"rerank": 6}, {"rerank": 6, "width": 3},
    {"criterion": "integrated_gradients"}, {"quadrature": "gausslegendre", "steps": 3}])
@pytest.mark.parametrize("chosen", [slice(None), slice(1, 3), slice(0, 3, 2), slice(2, 3), slice(0, 1)])
def test_what_is_carried_along_equals_what_is_computed_anew(options, chosen):
    model, images = timm_vit(depth=4), some_images()
    layers = neuron_layers(model)[:-1][chosen]  # without the last block, and with gaps
    quick = find_paths(model, images, LABELS, layers, **({"steps": 4} | options))
    slow = find_paths(timm_vit(Stranger, depth=4), images, LABELS, layers, **({"steps": 4} | options))
    assert torch.equal(quick.neurons, slow.neurons)
    close(quick.score, slow.score)


def passes(model, layers, tokens="cls"):
    """How often a search embeds the image in tokens: for the clean values, and once or in each pass from there on."""
    check_inputs(model, some_images(1))  # the first call tries the network itself
    embedding = model.conv_proj if hasattr(model, "conv_proj") else model.patch_embed
    embed, calls = embedding.forward, []
    embedding.forward = lambda x: calls.append(len(x)) or embed(x)
    find_paths(model, some_images(1), 0, layers, steps=1, tokens=tokens)
    del embedding.forward
    return len(calls)


def test_known_vits_do_not_take_the_slow_way_and_others_do(model):
    layers = neuron_layers(model)
    slow = 1 + len(layers) + 1  # the clean values, all candidates of each layer, the score of the path
    assert passes(model, layers) == passes(torchvision_vit(), neuron_layers(torchvision_vit())) == 2
    assert passes(model, [f"blocks.{number}.mlp.fc2:input" for number in range(3)]) == 2
    assert passes(model, layers, "all") == passes(timm_vit(global_pool="avg"), layers, "patches") == slow
    assert passes(timm_vit(Stranger), layers) == slow + 1  # and one to see whether its class token is read
    for two in (["blocks.0.attn", "blocks.1.mlp"], ["blocks.0.mlp.act", "blocks.0.mlp.drop1"]):
        assert passes(model, two) == 1 + 2 + 1
    with capture(model, layers[:1]):  # somebody's own hooks would be gone around
        assert passes(model, layers) == slow


def test_an_edit_around_the_search_is_heeded(model):
    images, layers = some_images(), neuron_layers(model)
    double = {"blocks.0": lambda x: 2 * x}
    with edit(model, double):
        found = find_paths(model, images, LABELS, layers, steps=3)
        expected = [reference.search(model, image, label, layers, *rule("left", 3))
                    for image, label in zip(images, LABELS.tolist())]
    assert found.neurons[:, :, 0].tolist() == [path for path, _ in expected]
    close(found.score, [score for _, score in expected])
    assert (found.score - find_paths(model, images, LABELS, layers, steps=3).score).abs().min() > 1e-6
