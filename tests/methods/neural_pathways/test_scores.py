"""Scores of units: each method is its formula, image by image, on any network, in chunks of any size."""
import pytest
import torch

from nblib.engine import quadrature_rule
from nblib.hooks import edit
from nblib.methods.neural_pathways import METHODS, magnitude, relu_layers, select, unit_scores
from nblib.targets import class_logit
from tests.fixtures.neural_pathways import LAYERS, Around, small
from tests.fixtures.networks import settled
from tests.fixtures.saliency import some_images, state_of
from tests.references import neural_pathways as slow

QUICK = {"activation": {}, "taylor": {}, "integrated_gradients": {"steps": 4}, "greedy": {"sparsity": 0.8},
         "dgr": {"iterations": 12, "rate": 0.1}, "dgr_random": {"iterations": 12, "rate": 0.1}, "random": {}}
every_method = pytest.mark.parametrize("method", QUICK)
kinds = pytest.mark.parametrize("relu", ["module", "inplace"])


def scores(model, images, method, **options):
    return unit_scores(model, images, LAYERS, method=method, **(QUICK[method] | options))


def test_every_method_is_tried_here():
    assert QUICK.keys() | {"generator"} == METHODS.keys()


@every_method
@kinds
def test_chunks_change_nothing_and_nothing_is_left_behind(method, relu):
    model, images = small(relu=relu), some_images(5)
    before = state_of(model)
    whole = scores(model, images, method)
    for size in (1, 3):
        for layer, values in scores(model, images, method, chunk_size=size).items():
            assert (values - whole[layer]).abs().max() < 1e-10
    assert [values.shape for values in whole.values()] == [(5, 6, 12, 12), (5, 8, 6, 6)]
    assert state_of(model) == before


@kinds
def test_taylor_is_activation_times_slope(relu):
    model, images = small(relu=relu), some_images(4)
    found = scores(model, images, "taylor")
    for number, image in enumerate(images):
        for layer, values in slow.taylor(model, LAYERS, image).items():
            assert (found[layer][number] - values[0]).abs().max() < 1e-10


@pytest.mark.parametrize("quadrature", ["midpoint", "gausslegendre", "published"])
@pytest.mark.parametrize("net, layers", [(small, LAYERS), (lambda: settled(Around()), ["relu1", "relu2"])])
def test_integrated_gradients_scale_one_layer(quadrature, net, layers):
    model, images = net(), some_images(3)
    found = unit_scores(model, images, layers, method="integrated_gradients", steps=5, quadrature=quadrature)
    if quadrature == "published":  # accumulated, as the authors' code does
        points = [0.0, 0.2, 0.6, 1.2, 2.0, 3.0]
        weights = [1 / 6] * 6
    else:
        points, weights = (values.tolist() for values in quadrature_rule(quadrature, 5))
    for number, image in enumerate(images):
        for layer in layers:
            expected = slow.layer_integral(model, layer, image, points, weights)
            assert (found[layer][number] - expected[0]).abs().max() < 1e-10


def test_integrated_gradients_sum_to_what_the_layer_is_worth():
    model, images = small(), some_images(3)
    labels = model(images).argmax(1)
    found = scores(model, images, "integrated_gradients", steps=400)
    for layer in LAYERS:
        with torch.no_grad(), edit(model, {layer: torch.zeros_like}):
            without = class_logit(labels)(model(images))
        worth = class_logit(labels)(model(images)) - without
        assert (found[layer].flatten(1).sum(1) - worth).abs().max() < 2e-3 * worth.abs().max()


def test_after_the_last_relu_the_network_is_linear_and_both_agree():
    model, images = small(), some_images(3)
    assert (scores(model, images, "taylor")["relu2"]
            - scores(model, images, "integrated_gradients")["relu2"]).abs().max() < 1e-10


@pytest.mark.parametrize("method", ["dgr", "dgr_random"])
@pytest.mark.parametrize("penalty", [0.01, 0.5])
def test_gates_are_those_of_one_image_at_a_time(method, penalty):
    model, images = small(), some_images(4)
    options = {"iterations": 40, "rate": 0.05, "penalty": penalty, "momentum": 0.9}
    found = unit_scores(model, images, LAYERS, method=method, seed=3, **options)
    start = unit_scores(model, images, LAYERS, method="random", seed=3)
    for number, image in enumerate(images):
        first = {layer: torch.ones(1, *values.shape[1:]).to(values) if method == "dgr" else values[number:number + 1]
                 for layer, values in start.items()}
        expected = slow.gates(model, LAYERS, image, first, **options)
        if expected is None:  # no iterate kept the prediction: ours begins again with less penalty
            continue
        for layer, values in expected.items():
            assert (found[layer][number] - values[0]).abs().max() < 1e-9


def test_gates_begin_again_with_less_penalty_and_say_who_never_kept_its_prediction():
    model, images = small(), some_images(6, seed=8)
    with pytest.warns(UserWarning, match="no gates keep the prediction of images"):
        unit_scores(model, images, LAYERS, method="dgr_random", iterations=1)
    assert torch.equal(unit_scores(model, images, LAYERS, method="dgr", iterations=1)["relu1"],
                       torch.ones(6, 6, 12, 12, dtype=torch.float64))


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.9])
def test_greedy_drops_the_smallest_that_is_left_and_never_takes_it_back(sparsity):
    model, images = small(), some_images(2)
    found = select(unit_scores(model, images, LAYERS, method="greedy", sparsity=sparsity, round_share=0.1), sparsity)
    for number, image in enumerate(images):
        expected = slow.greedy(model, LAYERS, image, sparsity, 0.1)
        dead = sum(int((values == 0).sum()) for values in slow.outputs(model, LAYERS, image).values())
        if dead <= round(sparsity * 1152):
            assert all(torch.equal(found[layer][number], mask[0]) for layer, mask in expected.items())
        else:
            assert all((found[layer][number] >= mask[0]).all() for layer, mask in expected.items())


def test_a_target_is_explained_and_the_predicted_class_by_default():
    model, images = small(), some_images(3)
    labels = model(images).argmax(1)
    one, default, other = (scores(model, images, "taylor", target=target)["relu1"]
                           for target in (class_logit(labels), None, class_logit((labels + 1) % 4)))
    assert torch.equal(one, default) and not torch.equal(one, other)


def test_random_numbers_are_the_seeds_and_uniform():
    model, images = small(), some_images(3)
    first, again, other = (scores(model, images, "random", seed=seed)["relu1"] for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert 0.45 < first.mean() < 0.55 and first.min() >= 0 and first.max() < 1
    assert torch.equal(scores(model, images[:2], "random", seed=1)["relu1"], first[:2])


def test_any_device_and_single_precision(device):
    model, images = small().float().to(device), some_images(3).float().to(device)
    for method in QUICK:
        for values in scores(model, images, method).values():
            assert values.dtype == torch.float32 and values.device.type == device.type and values.isfinite().all()


def test_layers_are_the_relu_modules_in_their_order():
    assert relu_layers(small(), some_images()) == LAYERS
    assert (magnitude({"a": torch.tensor([[-2.0, 1.0]])})["a"] == torch.tensor([[2.0, 1.0]])).all()
