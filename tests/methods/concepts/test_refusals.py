"""Wrong calls of concepts, and what is said of each."""
import torch

from nblib.methods.concepts import (
    Craft,
    above_percentile,
    concept_purity,
    cut,
    exact_indices,
    factorize,
    match_concepts,
    nonnegative_coefficients,
    switch_off,
    total_indices,
)
from tests.fixtures.concepts import some_images
from tests.fixtures.networks import SmallNet, settled
from tests.fixtures.refusals import check, refused

NET, IMAGES = settled(SmallNet()), some_images(3)
CRAFT = Craft(NET, "relu2", crop=0.5, n_concepts=2).fit(IMAGES)

REFUSED = [
    (lambda: Craft(None, "relu2"), "a model of type"),
    (lambda: Craft(NET, None), "layer None"),
    (lambda: Craft(NET, 3), "layer 3"),
    (lambda: Craft(NET, "relu3"), "nearest"),
    (lambda: Craft(NET, "relu2", crop="a"), "crop='a'"),
    (lambda: Craft(NET, "relu2", n_concepts=None), "n_concepts=None"),
    (lambda: Craft(NET, "relu2", seed=1.5), "seed=1.5"),
    (lambda: Craft(NET, "relu2", chunk_size="a"), "chunk_size='a'"),
    (lambda: Craft(NET, "relu2").fit(None), "images of NoneType"),
    (lambda: Craft(NET, "relu2").fit(IMAGES.numpy()), "images of ndarray"),
    (lambda: CRAFT.coefficients(None), "images of NoneType"),
    (lambda: CRAFT.maps(IMAGES[0]), "expected a tensor"),
    (lambda: CRAFT.contributions(IMAGES, None), "label=None"),
    (lambda: CRAFT.contributions(IMAGES, "cat"), "label='cat'"),
    (lambda: CRAFT.contributions(IMAGES, 9), "label=9"),
    (lambda: CRAFT.contributions(IMAGES, torch.tensor([0, 1])), "label="),
    (lambda: CRAFT.importance(IMAGES, 0, estimator=None), "estimator None"),
    (lambda: CRAFT.importance(IMAGES, 0, estimator="sobol", samples="many"), "samples='many'"),
    (lambda: CRAFT.importance(IMAGES, 0, samples=3), "'exact' has none"),
    (lambda: CRAFT.crops_of(None), "concept=None"),
    (lambda: CRAFT.crops_of(9), "concept=9"),
    (lambda: CRAFT.crops_of(0, count=0), "count=0"),
    (lambda: switch_off(None, 0), "craft of NoneType was given, expected Craft"),
    (lambda: switch_off(CRAFT, None), "concept=None"),
    (lambda: switch_off(CRAFT, "0"), "concept='0'"),
    (lambda: switch_off(CRAFT, [0, 9]), "concept=9"),
    (lambda: above_percentile(None), "maps of NoneType"),
    (lambda: above_percentile(IMAGES, "a"), "percentile='a'"),
    (lambda: factorize(None, 2), "rows of NoneType"),
    (lambda: factorize(IMAGES[0, 0].tolist(), 2), "rows of list"),
    (lambda: factorize(IMAGES[0, 0], "2"), "rank='2'"),
    (lambda: nonnegative_coefficients(None, IMAGES[0, 0]), "rows of NoneType"),
    (lambda: nonnegative_coefficients(IMAGES[0, 0], None), "bank of NoneType"),
    (lambda: total_indices(None, 2), "function=None"),
    (lambda: total_indices(lambda m: None, 2), "the function returned NoneType"),
    (lambda: total_indices(lambda m: m[:, 0], "2"), "dimensions='2'"),
    (lambda: total_indices(lambda m: m[:, 0], 2, design=None), "design None"),
    (lambda: exact_indices(None), "contributions of NoneType"),
    (lambda: exact_indices(torch.ones(3)), r"expected \(N, r\)"),
    (lambda: concept_purity(None, None), "maps of NoneType"),
    (lambda: concept_purity(IMAGES, None), "parts of NoneType"),
    (lambda: match_concepts(None, IMAGES), "coefficients of NoneType"),
    (lambda: match_concepts(IMAGES, IMAGES.tolist()), "coefficients of list"),
    (lambda: cut(None, 0.5), "images of NoneType"),
    (lambda: cut(IMAGES, "a"), "crop='a'"),
]


@refused(REFUSED)
def test_a_wrong_call_is_refused_in_words(call, said):
    check(call, said)
