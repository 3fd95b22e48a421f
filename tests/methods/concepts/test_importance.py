"""Importance of concepts against analytic indices, the formula point by point, and the layers' own weights."""
import copy
import warnings

import numpy
import pytest
import torch
from torch import nn

from nblib.engine import logit_after, pools_first, slope_if_affine
from nblib.hooks import edit
from nblib.methods.concepts import Craft, exact_indices, total_indices, varied_activations
from tests.fixtures.concepts import Variant, some_images, sparse
from tests.fixtures.networks import SmallNet, settled
from tests.references import concepts as reference

PUBLISHED_TEN_EQUAL = [0.055, 0.045, 0.043, 0.038, 0.033, 0.039, 0.033, 0.033, 0.038, 0.039]  # where the truth is 0.1


def points_of(design, samples, dimensions, seed=0):
    """The points A and B side by side (n, 2 d) at which `total_indices` asks: C_i is A with column i from B."""
    asked = []
    total_indices(lambda points: asked.append(points) or points.sum(1), dimensions, design=design, samples=samples,
                  seed=seed)
    first, *mixed = asked[0].split(samples)
    return torch.cat([first, torch.stack([points[:, i] for i, points in enumerate(mixed)], 1)], 1).numpy()


def test_jansen_equals_the_formula_one_point_at_a_time():
    points = points_of("sobol", 32, 3, seed=3)
    expected = reference.jansen(lambda row: reference.ishigami(torch.from_numpy(row)[None]).item(), points)
    assert total_indices(reference.ishigami, 3, samples=32, seed=3).tolist() == pytest.approx(expected)


def test_ishigami_has_its_analytic_indices():
    found = total_indices(reference.ishigami, 3, samples=2**13)
    assert found.tolist() == pytest.approx(reference.ishigami_total(), abs=0.005)
    assert reference.ishigami_total() == pytest.approx([0.5576, 0.4424, 0.2437], abs=1e-4)


def test_halton_points_are_the_published_ones():
    assert numpy.allclose(points_of("halton", 32, 10), reference.halton(32, 20))


def test_the_published_estimate_is_too_small_by_position():
    equal = total_indices(lambda m: m.sum(1), 10, design="halton", samples=32)
    assert equal.tolist() == pytest.approx(PUBLISHED_TEN_EQUAL, abs=0.002)
    for position, estimate in {0: 0.35, 3: 0.25, 5: 0.25, 7: 0.20, 9: 0.22}.items():
        weights = torch.ones(10, dtype=torch.float64)
        weights[position] = 11**0.5  # 11 / (11 + 9) = 0.55
        found = total_indices(lambda m, w=weights: m @ w, 10, design="halton", samples=32)[position]
        assert found.item() == pytest.approx(estimate, abs=0.006)
    repaired = total_indices(lambda m: m.sum(1), 10, design="halton", samples=4096)
    assert repaired.tolist() == pytest.approx([0.1] * 10, abs=0.01)


@pytest.mark.parametrize("design, samples, error", [
    ("sobol", 2**14, 0.002), ("sobol", 512, 0.02), ("random", 2**15, 0.01),
])
def test_exact_indices_are_where_sampling_goes(design, samples, error):
    contributions = torch.tensor([[3.0, -1.0, 0.5, 0.0, 2.0], [1e-3, 1e-3, -1e-3, 0.0, 5e-3]], dtype=torch.float64)
    exact = exact_indices(contributions)
    found = total_indices(lambda m: 100 + m @ contributions.T, 5, design=design, samples=samples, seed=1)
    assert (found.T - exact).abs().max() < error
    torch.testing.assert_close(exact.sum(1), torch.ones(2, dtype=torch.float64))


def test_a_function_that_does_not_vary_has_no_indices():
    found = total_indices(lambda m: torch.stack([m.sum(1), 0 * m[:, 0] + 7, 7 + 1e-17 * m[:, 0]], 1), 3, samples=32)
    assert found.isnan().all(0).tolist() == [False, True, True]
    assert exact_indices(torch.zeros(2, 3)).isnan().all()
    assert exact_indices(torch.tensor([[1e-30, 0.0], [3e30, -3e30]])).tolist() == [[1.0, 0.0], [0.5, 0.5]]


def pooled_contributions(model, craft, images, label):
    """s_r = ū_r (W_r · w_c), from the layers' own weights."""
    means = craft.coefficients(images).mean((2, 3))
    return means * (craft.bank @ model.head.weight[label].detach())


def test_contributions_are_those_of_pooling_and_a_linear_layer(model, craft):
    images = some_images(4, seed=7)
    found = craft.contributions(images, 2)
    torch.testing.assert_close(found, pooled_contributions(model, craft, images, 2))
    torch.testing.assert_close(craft.importance(images, 2), exact_indices(found).mean(0))
    assert craft.importance(images, 2).sum().item() == pytest.approx(1)


def test_contributions_hold_for_a_linear_layer_on_all_places():
    model, images = settled(Variant("flat")), some_images(4)
    craft = Craft(model, "relu2", crop=0.5, n_concepts=3).fit(images)
    weight = model.flat.weight[1].detach().view(8, 6, 6)
    expected = torch.einsum("nrhw,rc,chw->nr", craft.coefficients(images), craft.bank, weight)
    torch.testing.assert_close(craft.contributions(images, 1), expected)


def test_the_logit_is_its_contributions_the_rest_and_the_bias(model, craft):
    images = some_images(4, seed=7)
    activations = nn.Sequential(*list(model.children())[:6])(images)
    rest = activations - torch.einsum("nrhw,rc->nchw", craft.coefficients(images), craft.bank)
    expected = craft.contributions(images, 3).sum(1) + rest.mean((2, 3)) @ model.head.weight[3] + model.head.bias[3]
    torch.testing.assert_close(model(images)[:, 3], expected)


def test_sampled_importance_goes_to_the_exact(craft):
    images = some_images(4, seed=7)
    exact = craft.image_importance(images, 1)
    assert (craft.image_importance(images, 1, estimator="sobol", samples=2**14) - exact).abs().max() < 0.002
    assert (craft.image_importance(images, 1, estimator="sobol") - exact).abs().max() < 0.02


@pytest.mark.parametrize("kind, layer, label", [("hidden", "relu2", 0), ("max", "relu2", 3), ("pool", "relu1", 1)])
@pytest.mark.parametrize("estimator", ["published", "sobol"])
def test_any_head_is_sampled_as_image_by_image(kind, layer, label, estimator):
    model, images = settled(SmallNet() if kind == "pool" else Variant(kind)), some_images(2)
    craft = Craft(model, layer, crop=0.5, n_concepts=3, seed=4).fit(images)
    scrambled = points_of("sobol", 32, 3, seed=4)
    points = {"published": reference.halton(32, 6), "sobol": scrambled}[estimator]
    found = craft.image_importance(images, label, estimator=estimator, samples=32)

    def head(activation):
        with edit(model, {layer: lambda _: activation}):
            return model(images[:1]).detach()

    for coefficient, indices in zip(craft.coefficients(images), found, strict=True):
        expected = reference.jansen(
            lambda mask, u=coefficient: reference.masked_logit(head, u, craft.bank, mask, label), points)
        assert indices.tolist() == pytest.approx(expected, abs=1e-8)


def test_the_order_of_concepts_does_not_matter(craft):
    images, order = some_images(4, seed=7), [2, 0, 3, 1]
    other = copy.copy(craft)
    other.bank = craft.bank[order]
    torch.testing.assert_close(other.importance(images, 1), craft.importance(images, 1)[order])
    first, second = (c.importance(images, 1, estimator="sobol", samples=4096) for c in (craft, other))
    assert (second - first[order]).abs().max() < 0.005
    first, second = (c.importance(images, 1, estimator="published") for c in (craft, other))
    assert (second - first[order]).abs().max() > 0.02


def test_a_head_is_recognised_not_assumed():
    activations = sparse(6, 8, 6, 6)
    coefficients, bank = sparse(6, 3, 6, 6, seed=1), sparse(3, 8, seed=2)
    varied = varied_activations(activations, coefficients, bank)
    assert varied.shape == (4 * 6 + 3 + 1, 8, 6, 6) and not varied[-1].any()
    kinds = {"pool": (True, True), "flat": (False, True), "max": (False, False), "hidden": (True, False),
             "inplace": (True, True)}
    for kind, expected in kinds.items():
        model, images = settled(Variant(kind) if kind != "pool" else SmallNet()), some_images(6)
        head, real = logit_after(model, "relu2", images, 1)
        before = real.clone()
        slope = slope_if_affine(head, varied)
        assert (pools_first(head, varied), slope is not None) == expected, kind
        assert torch.equal(real, before)
        torch.testing.assert_close(head(real), model(images)[:, 1])


def test_a_head_is_tried_on_channels_that_the_probes_leave_dark():
    activations = torch.rand(4, 3, 2, 2, dtype=torch.float64)
    activations[:, 0] = 0
    coefficients, bank = torch.rand(4, 2, 2, 2, dtype=torch.float64), torch.eye(2, 3, dtype=torch.float64)
    varied = varied_activations(activations, coefficients, bank)
    assert (varied.amax((0, 2, 3)) > 0.1).all()
    assert slope_if_affine(lambda rows: rows.mean((2, 3))[:, 0].square() + rows.mean((2, 3))[:, 1], varied) is None


def test_exact_is_refused_where_the_head_is_not_affine():
    images = some_images(4)
    for network, layer in ((Variant("hidden"), "relu2"), (Variant("max"), "relu2"), (SmallNet(), "relu1")):
        craft = Craft(settled(network), layer, crop=0.5, n_concepts=3).fit(images)
        with pytest.raises(ValueError, match="not affine.*estimator='sobol'"):
            craft.importance(images, 1)
        assert craft.importance(images, 1, estimator="sobol", samples=32).isfinite().all()


def test_images_without_a_concept_are_left_out_and_counted(model, craft):
    images = some_images(4, seed=7)
    bare = copy.copy(craft)
    bare.bank = torch.zeros_like(craft.bank)
    for estimator in ("exact", "sobol", "published"):
        with pytest.warns(UserWarning, match="in 4 of 4 images no concept moves logit 1"):
            assert bare.importance(images, 1, estimator=estimator).isnan().all()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert craft.importance(images, 1, estimator=estimator).isfinite().all()
