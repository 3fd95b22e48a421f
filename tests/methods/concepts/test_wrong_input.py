"""What is refused, in which words."""
import pytest
import torch

from nblib.methods.concepts import (
    Craft,
    above_percentile,
    concept_purity,
    factorize,
    match_concepts,
    nonnegative_coefficients,
    switch_off,
    total_indices,
)
from nblib.models import build
from tests.fixtures.concepts import Variant, some_images
from tests.fixtures.networks import SmallNet, settled


def test_wrong_layers_are_refused(model):
    images = some_images()
    with pytest.raises(KeyError, match="relu2"):
        Craft(model, "rleu2")
    for layer, message in {"bn2": "none below zero", "head": r"expected \(N, channels, h, w\)"}.items():
        with pytest.raises(ValueError, match=message):
            Craft(model, layer, crop=0.5).fit(images)
    with pytest.raises(ValueError, match="runs 2 times"):
        Craft(settled(Variant("twice")), "again").fit(images)
    with pytest.raises(RuntimeError, match="never ran"):
        Craft(settled(Variant("flat")), "hidden").fit(images)
    with pytest.raises(ValueError, match="tokens"):
        Craft(build("timm:vit_tiny_patch16_224", classes=3, size=32), "blocks.3").fit(
            some_images(1, size=32).float())


def test_a_layer_with_a_way_around_it_has_maps_but_no_importance():
    model, images = settled(Variant("around")), some_images()
    craft = Craft(model, "again", crop=0.5, n_concepts=3).fit(images)
    assert craft.maps(images).isfinite().all()
    for estimator in ("exact", "sobol"):
        with pytest.raises(ValueError, match="does not cut Variant in two"):
            craft.importance(images, 1, estimator=estimator)
        with pytest.raises(ValueError, match="does not cut Variant in two"):
            craft.importance(images[:1], 1, estimator=estimator)


@pytest.mark.parametrize("options, message", [
    ({"crop": 64}, "crop=64"), ({"crop": 0.0}, "at least one pixel"), ({"crop": 0.01}, "at least one pixel"),
    ({"n_concepts": 0}, "n_concepts=0"), ({"n_concepts": 9}, "9 concepts were asked for"), ({"seed": -1}, "seed=-1"),
    ({"chunk_size": 0}, "chunk_size=0"),
])
def test_wrong_options_are_refused(model, options, message):
    with pytest.raises(ValueError, match=message):
        Craft(model, "relu2", **({"crop": 0.5, "n_concepts": 3} | options)).fit(some_images())


@pytest.mark.parametrize("arguments, message", [
    ({"label": 4}, "label=4"), ({"label": -1}, "label=-1"), ({"label": torch.tensor([1, 2])}, "label="),
    ({"estimator": "sobel"}, "nearest: 'sobol'"), ({"samples": 64}, "'exact' has none"),
    ({"estimator": "sobol", "samples": 100}, "power of two.*nearest: 128"),
    ({"estimator": "sobol", "samples": 16}, "nearest: 32"), ({"estimator": "published", "samples": 1}, "samples=1"),
])
def test_wrong_arguments_of_importance_are_refused(craft, arguments, message):
    with pytest.raises(ValueError, match=message):
        craft.importance(some_images(), **({"label": 1} | arguments))


def test_a_label_may_come_from_a_tensor(craft):
    assert torch.equal(craft.importance(some_images(), torch.tensor([2])[0]), craft.importance(some_images(), 2))


def test_bad_images_models_and_order_are_refused(model, craft):
    nothing = Craft(model, "relu2")
    for call in (lambda: nothing.maps(some_images()), lambda: nothing.crops_of(0), lambda: switch_off(nothing, 0),
                 lambda: nothing.importance(some_images(), 1)):
        with pytest.raises(RuntimeError, match="call fit"):
            call()
    bad = some_images()
    bad[2, 0, 0, 0] = torch.nan
    good = some_images()
    for images, message in ((bad, r"images \[2\]"), (good[:0], "at least one"), (good[0], "N, C, H, W")):
        for call in (craft.coefficients, Craft(model, "relu2").fit, lambda x: craft.importance(x, 1)):
            with pytest.raises(ValueError, match=message):
                call(images)
    training = settled(SmallNet()).train()
    with pytest.raises(ValueError, match="training mode"):
        Craft(training, "relu2").fit(some_images())
    with pytest.raises(ValueError, match="concept=4"):
        craft.crops_of(4)
    with pytest.raises(ValueError, match="concept=-1"):
        switch_off(craft, [0, -1])


def test_a_dead_layer_is_refused():
    model = settled(SmallNet())
    with torch.no_grad():
        model.bn2.weight.zero_(), model.bn2.bias.fill_(-1)
    with pytest.raises(ValueError, match="all zero"):
        Craft(model, "relu2", crop=0.5, n_concepts=2).fit(some_images())


@pytest.mark.parametrize("call, message", [
    (lambda: factorize(-torch.ones(3, 3), 1), "below zero"), (lambda: factorize(torch.ones(3, 3), 4), "at most 3"),
    (lambda: nonnegative_coefficients(torch.ones(3, 4), torch.ones(2, 5)), r"\(R, C\)"),
    (lambda: nonnegative_coefficients(torch.full((3, 4), torch.nan), torch.ones(2, 4)), "finite"),
    (lambda: total_indices(lambda m: m.sum(), 3), r"\(2048, ...\)"), (lambda: total_indices(None, 0), "dimensions=0"),
    (lambda: total_indices(None, 3, design="halten"), "halton"),
    (lambda: above_percentile(torch.ones(2, 3)), r"\(N, r, ...\)"),
    (lambda: above_percentile(torch.ones(2, 3, 4), 101), "percentile=101"),
    (lambda: concept_purity(torch.ones(2, 3, 4, 4), torch.zeros(2, 4, 5).long()), r"\(N, H, W\)"),
    (lambda: concept_purity(torch.ones(2, 3, 4, 4), torch.zeros(2, 4, 4)), "whole numbers"),
    (lambda: concept_purity(torch.ones(2, 3, 4, 4), torch.zeros(2, 4, 4).long()), "at least two parts"),
    (lambda: concept_purity(-torch.ones(2, 3, 4, 4), torch.zeros(2, 4, 4).long()), "none below zero"),
    (lambda: match_concepts(torch.ones(5, 3), torch.ones(4, 3)), "same rows"),
    (lambda: match_concepts(torch.ones(5, 3), torch.ones(5, 2)), "q ≥ r"),
    (lambda: match_concepts(torch.full((5, 3), torch.nan), torch.ones(5, 3)), "finite"),
])
def test_wrong_values_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_half_precision_is_refused_where_rounding_would_decide():
    model, images = settled(SmallNet()), some_images().float()
    craft = Craft(model.float(), "relu2", n_concepts=3).fit(images)
    craft.model.bfloat16()
    assert craft.maps(images.bfloat16()).dtype == torch.bfloat16
    for estimator in ("exact", "sobol"):
        with pytest.raises(ValueError, match="float32 or float64"):
            craft.importance(images.bfloat16(), 1, estimator=estimator)


@pytest.mark.parametrize("maps", [torch.full((2, 2, 3, 3), torch.nan), torch.rand(2, 2, 3, 3).log() - torch.inf])
def test_maps_that_are_not_finite_have_no_percentile(maps):
    with pytest.raises(ValueError, match="finite"):
        above_percentile(maps)


def test_a_function_of_whole_numbers_has_no_indices():
    with pytest.raises(ValueError, match="floating point"):
        total_indices(lambda masks: (masks.sum(1) > 1).long(), 2)
