"""What does not matter (batches, chunks, modes, precision) and what stays on the model (nothing)."""
import contextlib
import itertools

import pytest
import torch

from nblib.methods.neuron_paths import find_paths, joint_attribution
from nblib.models.vit import neuron_layers
from tests.fixtures.networks import settled
from tests.fixtures.transformers import ALL_OF_IT, LABELS, MODELS, everything, layers_of, timm_vit
from tests.models.test_vit import some_images
from tests.references.neuron_paths import MeanPooled


@everything
@pytest.mark.parametrize("make, tokens", [MODELS[name] for name in ("timm", "other_patches")], ids=["cls", "patches"])
def test_chunks_and_batches_do_not_matter(function, make, tokens):
    model, images, labels = make(), some_images(5), torch.tensor([3, 0, 2, 2, 1])
    layers = layers_of(model)
    together = function(model, images, labels, layers, tokens=tokens)
    for chunk_size in (1, 7, 1000):
        chunked = function(model, images, labels, layers, tokens=tokens, chunk_size=chunk_size)
        torch.testing.assert_close(chunked, together, rtol=1e-10, atol=1e-12)
    if function is not ALL_OF_IT["pruned_probabilities"]:  # whose draw goes by the image's place
        alone = [function(model, images[i : i + 1], labels[i : i + 1], layers, tokens=tokens) for i in range(5)]
        torch.testing.assert_close(torch.cat(alone), together, rtol=1e-10, atol=1e-12)


def test_one_label_for_all_is_that_label_for_each(model):
    images, layers = some_images(), neuron_layers(model)
    one, each = (find_paths(model, images, labels, layers, steps=2) for labels in (2, torch.tensor([2, 2, 2])))
    assert torch.equal(one.neurons, each.neurons) and torch.equal(one.score, each.score)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_types_follow_the_model_and_sums_are_single_precision_at_least(dtype):
    model, images = timm_vit().to(dtype), some_images().to(dtype)
    for options in ({}, {"width": 2, "rerank": 4}, {"tokens": "all"}, {"criterion": "influence_pattern"}):
        found = find_paths(model, images, LABELS, neuron_layers(model), steps=4, **options)
        assert found.score.dtype == torch.float32 and found.score.isfinite().all()
    exact = find_paths(model.double(), images.double(), LABELS, neuron_layers(model), steps=4)
    rough = joint_attribution(model.to(dtype), images, LABELS, neuron_layers(model), exact.neurons, steps=4)
    torch.testing.assert_close(rough.double(), exact.score, rtol=0.1 if dtype == torch.bfloat16 else 1e-4, atol=0.02)


def test_it_runs_where_gradients_are_off_or_inference_is_on(model):
    images, layers = some_images(), neuron_layers(model)
    expected = find_paths(model, images, LABELS, layers, steps=3)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            found = find_paths(model, some_images(), LABELS, layers, steps=3)
        assert torch.equal(found.neurons, expected.neurons) and torch.equal(found.score, expected.score)
    images.requires_grad_()
    assert not find_paths(model, images, LABELS, layers, steps=3).score.requires_grad and images.grad is None


@everything
@pytest.mark.parametrize("make", [timm_vit, lambda: settled(MeanPooled(read="first"))], ids=["known", "other"])
def test_nothing_stays_on_the_model(function, make):
    model, images = make(), some_images()
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    frozen = next(model.parameters()).requires_grad_(False)
    random = torch.get_rng_state()
    fast = torch.backends.mha.get_fastpath_enabled()

    def untouched():
        assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
        assert [p.requires_grad for p in model.parameters()] == [p is not frozen for p in model.parameters()]
        assert all(p.grad is None for p in model.parameters())
        assert not any(module.training or module._forward_hooks or module._forward_pre_hooks
                       for module in model.modules())
        assert torch.equal(torch.get_rng_state(), random) and torch.backends.mha.get_fastpath_enabled() == fast

    function(model, images, LABELS, layers_of(model))
    untouched()

    class Interrupted(Exception):
        pass

    calls = itertools.count()

    def interrupt():
        if next(calls) == 2:
            raise Interrupted

    head = model.head.forward
    model.head.forward = lambda x: (interrupt(), head(x))[1]
    with contextlib.suppress(Interrupted):
        for _ in range(3):
            function(model, images, LABELS, layers_of(model))
        pytest.fail("it was never interrupted")
    del model.head.forward
    untouched()
