"""Neurons edited, pruned and shared by a class, against edits by hand."""
import pytest
import torch

from nblib.hooks import edit
from nblib.methods.neuron_paths import (
    common_neurons,
    edited_probabilities,
    find_paths,
    mean_activations,
    path_change,
    pruned_probabilities,
)
from nblib.models.vit import neuron_layers
from tests.fixtures.transformers import LABELS, close, every_model, layers_of
from tests.models.test_vit import some_images
from tests.references import neuron_paths as reference


def by_hand(model, image, layers, path, change, tokens="cls"):
    """The probabilities of one image with each layer's neurons changed in a copy of the tokens."""
    handles = []
    for layer, neurons in zip(layers, path):
        def put(_, __, output, layer=layer, neurons=neurons):
            output = output.clone()
            for neuron in set(neurons):
                part = output[:, reference.TOKENS[tokens], neuron]
                output[:, reference.TOKENS[tokens], neuron] = change(layer, neuron, part)
            return output

        handles.append(dict(model.named_modules())[layer].register_forward_hook(put))
    probabilities = model(image[None]).softmax(1)[0].detach()
    for handle in handles:
        handle.remove()
    return probabilities


@every_model
@pytest.mark.parametrize("intervention", ["remove", "enhance", "mean"])
def test_interventions_edit_the_neurons_of_all_layers_at_once(make, tokens, intervention):
    model, images = make(), some_images()
    layers = layers_of(model)
    sets = torch.randint(12, (3, len(layers), 4), generator=torch.Generator().manual_seed(2))  # with repetitions
    means = mean_activations(model, images, layers, tokens=tokens) if intervention == "mean" else None
    found = edited_probabilities(model, images, layers, sets, intervention=intervention, tokens=tokens, means=means)
    change = {"remove": lambda layer, neuron, part: 0 * part, "enhance": lambda layer, neuron, part: 2 * part,
              "mean": lambda layer, neuron, part: means[layer][neuron].expand_as(part)}[intervention]
    for probabilities, image, path in zip(found, images, sets.tolist()):
        close(probabilities, by_hand(model, image, layers, path, change, tokens))
    if intervention == "mean":
        for layer in layers:
            close(means[layer], torch.cat(
                [reference.neurons_of(model, image, layer, tokens) for image in images]).mean(0))


def test_sets_are_given_as_paths_as_sets_or_for_all_images(model):
    images, layers = some_images(), neuron_layers(model)
    path = torch.tensor([4, 7, 1])
    expected = edited_probabilities(model, images, layers, path[None, :, None])
    assert torch.equal(edited_probabilities(model, images, layers, path.expand(3, -1)), expected)
    assert torch.equal(edited_probabilities(model, images, layers, path[None, :, None].expand(3, -1, 2)), expected)
    one = edited_probabilities(model, images[:1], layers, path[None])
    torch.testing.assert_close(one, expected[:1])


def test_removal_with_nothing_clamped_is_not_the_change_of_the_scores(model):
    images, layers = some_images(), neuron_layers(model)
    neurons = find_paths(model, images, LABELS, layers, steps=3).neurons
    clean = model(images).softmax(1).detach()
    fall = (clean - edited_probabilities(model, images, layers, neurons)).gather(1, LABELS[:, None]).squeeze(1)
    assert ((fall - path_change(model, images, LABELS, layers, neurons)).abs() > 1e-6).all()
    last = layers[-1:]  # with one layer there is nothing to clamp
    fall = (clean - edited_probabilities(model, images, last, neurons[:, -1:])).gather(1, LABELS[:, None]).squeeze(1)
    close(fall, path_change(model, images, LABELS, last, neurons[:, -1:]))


@pytest.mark.parametrize("tokens", ["cls", "patches", "all"])
def test_pruning_at_its_ends_keeps_all_or_only_what_is_retained(model, tokens):
    images, layers = some_images(), neuron_layers(model)
    sets = torch.tensor([[3, 8], [1, 1], [20, 0]])[None]
    clean = model(images).softmax(1).detach()
    close(pruned_probabilities(model, images, layers, sets, sparsity=0, tokens=tokens), clean)
    everyone = torch.arange(24).expand(1, 3, -1)
    close(pruned_probabilities(model, images, layers, everyone, sparsity=1, tokens=tokens), clean)
    found = pruned_probabilities(model, images, layers, sets, sparsity=1, tokens=tokens)
    lost = [[n for n in range(24) if n not in kept] for kept in sets[0].tolist()]
    for probabilities, image in zip(found, images):
        close(probabilities, by_hand(model, image, layers, lost, lambda layer, neuron, part: 0 * part, tokens))


def test_pruning_draws_a_share_for_each_image_and_larger_sets_prune_less(model):
    images, layer = some_images(1).expand(300, -1, -1, -1), neuron_layers(model)[:1]
    seen = []

    def note(hidden):
        seen.append(hidden[:, 0] == 0)
        return hidden

    def pruned(kept, sparsity, seed=0):
        seen.clear()
        with edit(model, {"blocks.0.mlp.drop1": note}):
            pruned_probabilities(model, images, layer, torch.arange(kept).view(1, 1, -1), sparsity=sparsity, seed=seed)
        return torch.cat(seen[len(seen) // 2 :])  # behind the clean pass

    few, many, harder, other = pruned(2, 0.3), pruned(9, 0.3), pruned(2, 0.6), pruned(2, 0.3, seed=1)
    assert not few[:, :2].any() and not many[:, :9].any()
    assert torch.equal(few[:, 9:], many[:, 9:]) and (few <= harder).all() and not torch.equal(few, other)
    assert 0.28 < few[:, 2:].double().mean() < 0.32 and 0.58 < harder[:, 2:].double().mean() < 0.62
    assert len(few.unique(dim=0)) > 290


def test_common_neurons_have_the_best_mean_rank_and_are_nested():
    ranked = torch.tensor([[[5, 1, 2]], [[1, 5, 7]], [[9, 1, 5]], [[7, 3, 2]]])
    # summed ranks, 3 where a neuron is absent: 1 has 5, 5 has 6, 7 has 8, 9 has 9, 2 and 3 have 10
    assert common_neurons(ranked, keep=6).tolist() == [[[1, 5, 7, 9, 2, 3]]]
    assert common_neurons(torch.tensor([[[4]], [[2]], [[4]]]), keep=1).tolist() == [[[4]]]  # that of most images
    for keep in range(1, 6):
        assert torch.equal(common_neurons(ranked, keep=keep), common_neurons(ranked, keep=6)[:, :, :keep])
