"""Neuron paths against slow references and identities; interventions; what stays on the model; wrong input."""
import contextlib
import itertools
import math

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer

from nblib.engine import quadrature_rule
from nblib.hooks import capture, edit
from nblib.methods.neuron_paths import (
    CRITERIA,
    common_neurons,
    edited_probabilities,
    find_paths,
    joint_attribution,
    knowledge_attribution,
    layer_change,
    mean_activations,
    path_change,
    path_integral,
    pruned_probabilities,
    rank_neurons,
)
from nblib.methods.neuron_paths import (
    measures as metrics,
)
from nblib.methods.neuron_paths import (
    slopes as path_slopes,
)
from nblib.models.vit import neuron_layers
from tests.models.test_vit import TIMM, some_images, torchvision_vit
from tests.references import neuron_paths as reference
from tests.references.neuron_paths import MeanPooled
from tests.references.saliency import settled

LABELS = torch.tensor([3, 0, 2])
OTHER_LAYERS = ["blocks.0.bend", "blocks.1.bend"]


def timm_vit(**options):
    return settled(VisionTransformer(**(TIMM | options)))


def mean_pooled(seed=0):
    return settled(MeanPooled(), seed)


@pytest.fixture
def model():
    return timm_vit()


MODELS = {
    "timm": (timm_vit, "cls"),
    "torchvision": (torchvision_vit, "cls"),
    "timm_scaled": (lambda: timm_vit(init_values=0.3, qk_norm=True), "cls"),
    "timm_patches": (lambda: timm_vit(global_pool="avg"), "patches"),
    "timm_all": (timm_vit, "all"),
    "other": (lambda: settled(MeanPooled(read="first")), "cls"),
    "other_patches": (mean_pooled, "patches"),
}
every_model = pytest.mark.parametrize("make, tokens", MODELS.values(), ids=MODELS)


def layers_of(model):
    return OTHER_LAYERS if isinstance(model, MeanPooled) else neuron_layers(model)


def rule(quadrature, steps):
    return quadrature_rule(quadrature, steps)


@contextlib.contextmanager
def the_slow_way():
    """Let no model be one that `vit_parts` knows."""
    known, path_slopes.has_vit_parts = path_slopes.has_vit_parts, lambda model: False
    try:
        yield
    finally:
        path_slopes.has_vit_parts = known


def close(ours, theirs):
    torch.testing.assert_close(ours, torch.as_tensor(theirs, dtype=ours.dtype), rtol=1e-10, atol=1e-12)


# scores


@every_model
@pytest.mark.parametrize("quadrature, steps", [("left", 5), ("right", 4), ("trapezoid", 3), ("gausslegendre", 3)])
def test_scores_equal_their_definitions(make, tokens, quadrature, steps):
    model, images = make(), some_images()
    layers = layers_of(model)
    neurons = torch.tensor([[4, 7, 1], [0, 11, 3], [9, 2, 8]])[:, : len(layers)]
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
    neurons = torch.tensor([[4, 7, 1], [0, 11, 3], [9, 2, 8]])[:, : len(layers)]
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
    neurons = torch.tensor([[4, 7, 1], [0, 11, 3], [9, 2, 8]])
    change = path_change(model, images, LABELS, layers, neurons)
    whole = layer_change(model, images, LABELS, layers)
    for number, (image, label, path) in enumerate(zip(images, LABELS.tolist(), neurons.tolist())):
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


# searches


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


@pytest.mark.parametrize("options", [
    {}, {"candidates": "layer_clean"}, {"width": 3}, {"rerank": 6}, {"rerank": 6, "width": 3},
    {"criterion": "integrated_gradients"}, {"quadrature": "gausslegendre", "steps": 3}])
@pytest.mark.parametrize("chosen", [slice(None), slice(1, 3), slice(0, 3, 2), slice(2, 3), slice(0, 1)])
def test_what_is_carried_along_equals_what_is_computed_anew(options, chosen):
    model, images = timm_vit(depth=4), some_images()
    layers = neuron_layers(model)[:-1][chosen]  # without the last block, and with gaps
    quick = find_paths(model, images, LABELS, layers, **({"steps": 4} | options))
    with the_slow_way():
        slow = find_paths(model, images, LABELS, layers, **({"steps": 4} | options))
    assert torch.equal(quick.neurons, slow.neurons)
    close(quick.score, slow.score)


def test_known_vits_do_not_take_the_slow_way_and_others_do(model, monkeypatch):
    images, layers = some_images(1), neuron_layers(model)
    taken = []
    for name in ("CarriedSlopes", "RecomputedSlopes"):
        kind = getattr(path_slopes, name)
        monkeypatch.setattr(path_slopes, name, lambda *given, kind=kind: taken.append(kind.__name__) or kind(*given))

    def way(model, layers, tokens="cls"):
        taken.clear()
        find_paths(model, images, 0, layers, steps=1, tokens=tokens)
        return set(taken)

    assert way(model, layers) == way(torchvision_vit(), neuron_layers(torchvision_vit())) == {"CarriedSlopes"}
    assert way(model, [f"blocks.{number}.mlp.fc2:input" for number in range(3)]) == {"CarriedSlopes"}
    assert way(model, layers, "all") == way(model, ["blocks.0.attn", "blocks.1.mlp"]) == {"RecomputedSlopes"}
    assert way(model, ["blocks.0.mlp.act", "blocks.0.mlp.drop1"]) == {"RecomputedSlopes"}
    with capture(model, layers[:1]):  # somebody's own hooks would be gone around
        assert way(model, layers) == {"RecomputedSlopes"}


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


# other criteria


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


# batches, chunks, labels, precision, traces


ALL_OF_IT = {
    "find_paths": lambda m, x, y, layers, **o: find_paths(m, x, y, layers, steps=4, **o).score,
    "beam": lambda m, x, y, layers, **o: find_paths(m, x, y, layers, steps=4, width=2, rerank=3, **o).score,
    "mean_gradient": lambda m, x, y, layers, **o: find_paths(
        m, x, y, layers, criterion="mean_gradient", steps=4, **o).score,
    "influence_pattern": lambda m, x, y, layers, **o: find_paths(
        m, x, y, layers, criterion="influence_pattern", steps=3, **o).score,
    "rank_neurons": lambda m, x, y, layers, **o: rank_neurons(m, x, y, layers, keep=3, steps=4, **o),
    "joint_attribution": lambda m, x, y, layers, **o: joint_attribution(
        m, x, y, layers, paths(x, layers), steps=4, **o),
    "path_integral": lambda m, x, y, layers, **o: path_integral(m, x, y, layers, paths(x, layers), steps=4, **o),
    "path_change": lambda m, x, y, layers, **o: path_change(m, x, y, layers, paths(x, layers), **o),
    "knowledge_attribution": lambda m, x, y, layers, **o: torch.stack(
        list(knowledge_attribution(m, x, y, layers, steps=4, **o).values()), 1),
    "layer_change": lambda m, x, y, layers, **o: torch.stack(list(layer_change(m, x, y, layers, **o).values()), 1),
    "edited_probabilities": lambda m, x, y, layers, **o: edited_probabilities(m, x, layers, paths(x, layers), **o),
    "pruned_probabilities": lambda m, x, y, layers, **o: pruned_probabilities(
        m, x, layers, paths(x, layers), sparsity=0.5, **o),
}
everything = pytest.mark.parametrize("function", ALL_OF_IT.values(), ids=ALL_OF_IT)


def paths(images, layers):
    """Some path for each image, the same one for the same image."""
    numbers = (images.flatten(1).double().sum(1) * 7).long()
    return torch.stack([(numbers + 5 * number) % 12 for number in range(len(layers))], 1)


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


# interventions


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


# metrics


def test_effects_of_an_intervention_by_hand():
    clean = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.7, 0.1], [0.4, 0.5, 0.1]])
    edited = torch.tensor([[0.25, 0.55, 0.2], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]])
    effect = metrics.path_effect(clean, edited, torch.tensor([0, 1, 0]))
    torch.testing.assert_close(effect.deviations, torch.tensor([-0.5, 0.0, 0.5]).double(), rtol=0, atol=1e-6)
    assert (effect.mean, effect.median, effect.spread) == pytest.approx((0, 0, (0.5 / 3) ** 0.5), abs=1e-6)
    assert effect.accuracy == pytest.approx(0)  # one lost, one won
    assert metrics.path_effect(clean, edited, torch.tensor([0, 1, 1])).accuracy == pytest.approx(-200 / 3)


def test_utilisation_similarity_and_concentration_by_hand():
    neurons = torch.tensor([[0, 2], [0, 1], [0, 2], [3, 2]])
    used = metrics.utilisation(neurons, torch.tensor([0, 0, 1, 1]), size=4, classes=3)
    assert used[:2].tolist() == [[[1, 0, 0, 0], [0, 0.5, 0.5, 0]], [[0.5, 0, 0, 0.5], [0, 0, 1, 0]]]
    assert used[2].isnan().all()
    similarity = metrics.class_similarity(used)
    assert similarity[0, 1].item() == pytest.approx((0.5 + 0.5) / (1.5**0.5 * 1.5**0.5))
    assert similarity[0, 0].item() == pytest.approx(1) and similarity[2].isnan().all()
    few = metrics.concentration(used)
    assert few.top_share[:2].tolist() == [[1, 0.5], [0.5, 1]] and few.distinct[:2].tolist() == [[1, 2], [2, 1]]
    assert few.entropy[:2].flatten().tolist() == pytest.approx([0, math.log(2), math.log(2), 0])
    assert all(values[2].isnan().all() for values in few)
    wide = metrics.utilisation(torch.stack([neurons, neurons], 2), torch.tensor([0, 0, 1, 1]), size=4, classes=2)
    assert torch.equal(wide, used[:2])


def test_shuffled_labels_spread_what_classes_had_for_themselves():
    labels = torch.arange(90) % 3
    neurons = torch.stack([labels, torch.arange(90) % 5], 1)  # the first layer tells the classes apart
    options = {"size": 6, "classes": 3}
    found = metrics.concentration(metrics.utilisation(neurons, labels, **options))
    chance = metrics.shuffled_concentration(neurons, labels, draws=50, seed=1, **options)
    assert chance.entropy.shape == (50, 3, 2)
    assert (found.entropy[:, 0] < chance.entropy[:, :, 0].amin(0)).all()
    low, high = (chance.entropy[:, :, 1].quantile(q, 0) for q in (0.0, 1.0))
    assert ((low <= found.entropy[:, 1]) & (found.entropy[:, 1] <= high + 0.05)).all()
    again = metrics.shuffled_concentration(neurons, labels, draws=50, seed=1, **options)
    assert all(torch.equal(a, b) for a, b in zip(chance, again))


def test_agreement_with_known_relations_is_found_and_not_made_up():
    group = torch.arange(12) // 3
    related = group[:, None] == group
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(12, 12, generator=generator) * 0.2
    plain = (noise + noise.T) / 2
    found = metrics.relation_agreement(plain + 0.5 * related, related, draws=199)
    first, second = torch.triu_indices(12, 12, offset=1)
    pairs = (plain + 0.5 * related)[first, second]
    kept = related[first, second]
    assert found.difference == pytest.approx((pairs[kept].mean() - pairs[~kept].mean()).item())
    assert found.p == pytest.approx(1 / 200)
    chance = [metrics.relation_agreement(plain[order][:, order], related, draws=199).p
              for order in (torch.randperm(12, generator=generator) for _ in range(20))]
    assert 0.2 < sum(chance) / 20 < 0.8


# wrong input


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


class Subclass(VisionTransformer):
    """One that `vit_parts` does not know."""


def test_class_tokens_of_an_unknown_model_that_says_it_has_none_are_refused():
    model = settled(Subclass(**(TIMM | {"global_pool": "avg", "class_token": False})))
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
        (lambda: common_neurons(sets.double(), keep=1), "float64"),
        (lambda: common_neurons(sets, keep=2), "keep=2"),
        (lambda: metrics.path_effect(torch.eye(2), torch.eye(2), torch.tensor([1, 0])), "probability 0"),
        (lambda: metrics.path_effect(torch.eye(2), torch.eye(3), torch.tensor([1, 0])), "expected"),
        (lambda: metrics.path_effect(torch.eye(2) * 2, torch.eye(2), torch.tensor([0, 1])), "0 to 1"),
        (lambda: metrics.path_effect(torch.eye(2), torch.eye(2), torch.tensor([0, 2])), "labels=2"),
        (lambda: metrics.utilisation(sets, torch.tensor([0]), size=0, classes=1), "size=0"),
        (lambda: metrics.utilisation(sets + 5, torch.tensor([0]), size=5, classes=1), "neurons=5"),
        (lambda: metrics.utilisation(sets, torch.tensor([0, 0]), size=5, classes=1), "expected"),
        (lambda: metrics.class_similarity(torch.zeros(2, 2)), "expected"),
        (lambda: metrics.relation_agreement(torch.eye(3), torch.ones(3, 3).bool()), "nothing to compare"),
        (lambda: metrics.relation_agreement(torch.eye(3), torch.ones(3, 3)), "bool"),
        (lambda: metrics.shuffled_concentration(sets, torch.tensor([0]), size=5, classes=1, draws=0), "draws=0"),
    ]:
        with pytest.raises(ValueError, match=said):
            function()


def test_scores_that_are_no_numbers_are_said_to_be(model):
    with torch.no_grad():
        model.head.weight.fill_(torch.inf)
    with pytest.raises(RuntimeError, match="not numbers"):
        find_paths(model, some_images(), LABELS, neuron_layers(model), steps=2)
