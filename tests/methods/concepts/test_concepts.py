"""CRAFT against slow references, identities and planted truth; what it leaves on the model; wrong input."""
import copy
import warnings

import numpy
import pytest
import torch
from torch import nn

from nblib.data import PARTS, load
from nblib.engine import layers as halves
from nblib.engine import slope_if_affine
from nblib.hooks import edit
from nblib.methods.concepts import (
    Craft,
    above_percentile,
    concept_purity,
    cut,
    exact_indices,
    factorize,
    match_concepts,
    nonnegative,
    nonnegative_coefficients,
    switch_off,
    total_indices,
    varied_activations,
)
from nblib.methods.concepts import (
    importance as concept_importance,
)
from nblib.models import build
from tests.references import concepts as reference
from tests.references.saliency import SmallNet, settled

PUBLISHED_TEN_EQUAL = [0.055, 0.045, 0.043, 0.038, 0.033, 0.039, 0.033, 0.033, 0.038, 0.039]  # B6.3: the truth is 0.1


class Variant(SmallNet):
    """SmallNet with another head after relu2."""

    def __init__(self, head: str):
        super().__init__()
        self.kind = head
        self.hidden = nn.Linear(8, 8)
        self.flat = nn.Linear(8 * 36, 4)
        self.again = nn.ReLU()

    def forward(self, x):
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.bn2(self.conv2(x)))
        if self.kind == "flat":
            return self.flat(x.flatten(1))
        if self.kind == "max":
            return self.head(x.amax((2, 3)))
        if self.kind == "around":
            return self.head(self.pool(x + self.again(x - 0.3)).flatten(1))
        if self.kind == "twice":
            return self.head(self.again(self.hidden(self.again(self.pool(x)).flatten(1))))
        if self.kind == "inplace":
            return self.head(self.pool(x.mul_(0.5)).flatten(1))
        return self.head(self.hidden(self.pool(x).flatten(1)).relu())


def some_images(count=5, size=12, seed=5):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sparse(*shape, seed=0, share=0.4):
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(shape, generator=generator, dtype=torch.float64)
    return values * (torch.rand(shape, generator=generator) < share)


@pytest.fixture(scope="module")
def model():
    return settled(SmallNet())


@pytest.fixture(scope="module")
def craft(model):
    return Craft(model, "relu2", crop=0.5, n_concepts=4).fit(some_images(12))


# crops


def test_crops_of_the_published_size_lie_as_published():
    crops, boxes = cut(torch.zeros(2, 3, 224, 224), 0.29)
    assert crops.shape == (2, 3, 4, 4, 64, 64)
    assert boxes[:2].tolist() == [[0, 0, 64, 64], [0, 51, 64, 115]] and boxes[-1].tolist() == [153, 153, 217, 217]


@pytest.mark.parametrize("shape, share, side, step", [
    ((32, 32), 0.29, 9, 7), ((12, 12), 0.5, 6, 4), ((10, 10), 1.0, 10, 8), ((100, 100), 0.29, 29, 23),
    ((3, 3), 0.4, 1, 1),
])
def test_crops_equal_those_cut_one_at_a_time(shape, share, side, step):
    images = some_images(2)[..., :1, :1] + torch.arange(shape[0] * shape[1], dtype=torch.float64).view(1, 1, *shape)
    crops, boxes = cut(images, share)
    expected = reference.crops(images[1], side, step)
    found = crops[1].flatten(1, 2).transpose(0, 1)
    assert [tuple(box) for box in boxes.tolist()] == [box for _, box in expected]
    for crop, (_, (top, left, bottom, right)) in zip(found, expected, strict=True):
        assert torch.equal(crop, images[1, :, top:bottom, left:right])


def test_crops_of_oblong_images_are_oblong():
    crops, boxes = cut(torch.zeros(1, 3, 20, 40), 0.5)
    assert crops.shape[4:] == (10, 20) and boxes[-1].tolist() == [8, 16, 18, 36]


def test_what_is_factorised_are_the_mean_activations_of_enlarged_crops(model, monkeypatch):
    images, seen = some_images(3), []
    monkeypatch.setattr("nblib.methods.concepts.craft.factorize",
                        lambda rows, rank, seed: seen.append(rows) or factorize(rows, rank, seed=seed))
    Craft(model, "relu2", crop=0.5, n_concepts=2).fit(images)
    places = [reference.crops(image, 6, 4) for image in images]
    body = nn.Sequential(*list(model.children())[:6])
    expected = [body(places[n][p][0][None])[0].mean((1, 2)) for p in range(4) for n in range(3)]
    torch.testing.assert_close(seen[0], torch.stack(expected).detach())


def test_crops_of_a_concept_are_those_with_the_most_of_it(craft):
    best = craft.crops_of(2, 5)
    assert len(best) == 5 and [crop.coefficient for crop in best] == sorted((c.coefficient for c in best), reverse=True)
    assert best[0].coefficient == craft.crop_coefficients[:, 2].max().item()
    for crop in best:
        place = craft.boxes.tolist().index(list(crop.box))
        assert craft.crop_coefficients[place * 12 + crop.image, 2].item() == crop.coefficient
    everything = craft.crops_of(2, 10_000)
    assert len(everything) == (craft.crop_coefficients[:, 2] > 0).sum()


# factors


def test_a_planted_product_is_found_again():
    left, right = sparse(300, 4, seed=1), sparse(4, 30, seed=2)
    found_left, found_right = factorize(left @ right, 4)
    assert (found_left >= 0).all() and (found_right >= 0).all()
    residual = (left @ right - found_left @ found_right).norm() / (left @ right).norm()
    assert residual < 0.01
    assert match_concepts(left, found_left).similarity.min() > 0.99
    assert match_concepts(right.T, found_right.T).similarity.min() > 0.99


def test_factors_follow_the_seed_and_type():
    rows = sparse(60, 20, seed=3)
    first, again = factorize(rows, 5, seed=1), factorize(rows, 5, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert factorize(rows.float(), 3)[1].dtype == torch.float32


@pytest.mark.parametrize("rank, channels", [(1, 3), (4, 12), (10, 40), (30, 50)])
def test_coefficients_equal_scipys_least_squares(rank, channels):
    bank, rows = sparse(rank, channels, seed=rank), sparse(200, channels, seed=9)
    bank += 1e-3  # no direction is zero
    expected = numpy.stack([reference.nnls(bank.numpy().T, row.numpy())[0] for row in rows])
    assert numpy.abs(nonnegative_coefficients(rows, bank).numpy() - expected).max() < 1e-9


@pytest.mark.parametrize("size", [1e-20, 1.0, 1e20])
def test_coefficients_survive_scales_and_directions_that_depend_on_each_other(size):
    bank = sparse(6, 20, seed=1, share=1.0)
    bank[3], bank[4], bank[5] = bank[1], 0.0, bank[0] + bank[2]
    rows = size * sparse(100, 20, seed=2)
    found = nonnegative_coefficients(rows, bank)
    assert (found >= 0).all() and found.isfinite().all() and (found[:, 4] == 0).all()
    for row, u in zip(rows / size, found / size, strict=True):
        gap = ((row - u @ bank) ** 2).sum().item() - reference.nnls(bank.numpy().T, row.numpy())[1] ** 2
        assert abs(gap) < 1e-9


def test_coefficients_end_when_full_exchanges_go_in_circles(monkeypatch):
    bank, rows = sparse(12, 15, seed=4, share=0.9) + 0.5, sparse(300, 15, seed=5)
    expected = nonnegative_coefficients(rows, bank)
    monkeypatch.setattr(nonnegative, "PATIENCE", 0)  # one variable at a time from the first step without progress
    monkeypatch.setattr(nonnegative, "VALUES_AT_ONCE", 1)
    torch.testing.assert_close(nonnegative_coefficients(rows, bank), expected)


def test_coefficients_of_images_equal_least_squares_place_by_place(model, craft):
    images = some_images(2, seed=8)
    found = craft.coefficients(images)
    assert found.shape == (2, 4, 6, 6)
    activations = nn.Sequential(*list(model.children())[:6])(images).detach()
    for activation, mine in zip(activations, found, strict=True):
        torch.testing.assert_close(mine, reference.coefficients(activation, craft.bank), rtol=0, atol=1e-9)


def test_maps_are_the_coefficients_enlarged(craft):
    images = some_images(2, seed=8)
    expected = nn.functional.interpolate(craft.coefficients(images), size=12, mode="bilinear", align_corners=False)
    assert torch.equal(craft.maps(images), expected)


def test_above_percentile_keeps_a_tenth_of_each_concept():
    maps = sparse(8, 3, 5, 5, share=1.0) * torch.tensor([1.0, 10.0, 0.0]).view(1, 3, 1, 1)
    kept = above_percentile(maps)
    assert (kept > 0).sum((0, 2, 3)).tolist() == [20, 20, 0]
    assert torch.equal(kept[kept > 0], maps[kept > 0])
    assert kept[:, 1][kept[:, 1] > 0].min() > maps[:, 1][kept[:, 1] == 0].max()


# importance


def test_jansen_equals_the_formula_one_point_at_a_time():
    points = concept_importance.DESIGNS["sobol"](32, 6, 3).numpy()
    expected = reference.jansen(lambda row: reference.ishigami(torch.from_numpy(row)[None]).item(), points)
    assert total_indices(reference.ishigami, 3, samples=32, seed=3).tolist() == pytest.approx(expected)


def test_ishigami_has_its_analytic_indices():
    found = total_indices(reference.ishigami, 3, samples=2**13)
    assert found.tolist() == pytest.approx(reference.ishigami_total(), abs=0.005)
    assert reference.ishigami_total() == pytest.approx([0.5576, 0.4424, 0.2437], abs=1e-4)


def test_halton_points_are_the_published_ones():
    assert numpy.allclose(concept_importance.DESIGNS["halton"](32, 20, 0).numpy(), reference.halton(32, 20))


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
    scrambled = concept_importance.DESIGNS["sobol"](32, 6, 4).numpy()
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
    varied = concept_importance.varied_activations(activations, coefficients, bank)
    assert varied.shape == (4 * 6 + 3 + 1, 8, 6, 6) and not varied[-1].any()
    kinds = {"pool": (True, True), "flat": (False, True), "max": (False, False), "hidden": (True, False),
             "inplace": (True, True)}
    for kind, expected in kinds.items():
        model, images = settled(Variant(kind) if kind != "pool" else SmallNet()), some_images(6)
        head, real = halves.logit_after(model, "relu2", images, 1)
        before = real.clone()
        slope = halves.slope_if_affine(head, varied)
        assert (halves.pools_first(head, varied), slope is not None) == expected, kind
        assert torch.equal(real, before)
        torch.testing.assert_close(head(real), model(images)[:, 1])


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


# interventions


def test_switching_a_concept_off_takes_its_contribution_from_the_logit(model, craft):
    images = some_images(4, seed=7)
    before, parts = model(images), craft.contributions(images, 2)
    with edit(model, {"relu2": switch_off(craft, 1)}):
        one = model(images)
    with edit(model, {"relu2": switch_off(craft, range(4))}):
        everything = model(images)
    torch.testing.assert_close(before[:, 2] - one[:, 2], parts[:, 1])
    torch.testing.assert_close(before[:, 2] - everything[:, 2], parts.sum(1))
    torch.testing.assert_close(model(images), before)


def test_switching_off_nothing_changes_nothing(model, craft):
    with edit(model, {"relu2": switch_off(craft, [])}):
        changed = model(some_images())
    assert torch.equal(changed, model(some_images()))


# properties of the whole


def everything(craft, images):
    return [craft.bank, craft.crop_coefficients, craft.coefficients(images), craft.contributions(images, 1),
            craft.image_importance(images, 1, estimator="sobol", samples=32),
            craft.image_importance(images, 1, estimator="published")]


@pytest.mark.parametrize("chunk_size", [1, 3, 1000])
def test_results_do_not_depend_on_the_chunks(model, chunk_size):
    images = some_images(4)
    whole, pieces = (everything(Craft(model, "relu2", crop=0.5, n_concepts=3, chunk_size=size).fit(images), images)
                     for size in (None, chunk_size))
    for one, other in zip(whole, pieces, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)


def test_results_follow_the_seed(model):
    images = some_images(4)
    first, again, other = (everything(Craft(model, "relu2", crop=0.5, n_concepts=3, seed=seed).fit(images), images)
                           for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[4], other[4])


def test_an_image_is_for_itself(craft):
    images = some_images(5, seed=7)
    for whole, alone in zip(everything(craft, images)[2:], everything(craft, images[3:4])[2:], strict=True):
        torch.testing.assert_close(whole[3:4], alone, rtol=1e-6, atol=1e-8)


def test_nothing_is_left_on_the_model():
    model, images = settled(SmallNet(relu="inplace")), some_images(4)
    before, kept = {k: v.clone() for k, v in model.state_dict().items()}, images.clone()
    craft = Craft(model, "relu2", crop=0.5, n_concepts=3).fit(images)
    everything(craft, images)
    with pytest.raises(ValueError):
        craft.importance(images, 99)
    with pytest.raises(ValueError):
        Craft(model, "bn2").fit(images)
    assert torch.equal(images, kept)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert not any(tensor.requires_grad for tensor in everything(craft, images))


def test_it_runs_in_inference_mode(model, craft):
    with torch.inference_mode():
        inside = everything(Craft(model, "relu2", crop=0.5, n_concepts=4).fit(some_images(12)), some_images())
    for one, other in zip(inside, everything(craft, some_images()), strict=True):
        torch.testing.assert_close(one.clone(), other)


def test_what_comes_after_the_layer_does_not_run(model, monkeypatch):
    craft = Craft(model, "relu2", crop=0.5, n_concepts=3).fit(some_images())
    monkeypatch.setattr(model.head, "forward", lambda x: pytest.fail("the head ran"))
    craft.coefficients(some_images())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_device_and_type_follow_the_images(device, dtype):
    model, images = settled(SmallNet()).to(device, dtype), some_images().to(device, dtype)
    craft = Craft(model, "relu2", crop=0.5, n_concepts=3).fit(images)
    for tensor in (*everything(craft, images), craft.maps(images), above_percentile(craft.maps(images))):
        assert (tensor.device.type, tensor.dtype) == (device.type, dtype)
    reference_craft = Craft(settled(SmallNet()), "relu2", crop=0.5, n_concepts=3).fit(some_images())
    expected = reference_craft.importance(some_images(), 1).to(images)
    torch.testing.assert_close(craft.importance(images, 1), expected, rtol=0, atol=1e-3)


def test_shapes_from_end_to_end():
    model = build("small_resnet", classes=9, size=32, seed=0)
    data = load("shapes", split="test", limit=32)
    craft = Craft(model, "layer3").fit(data.images)
    assert craft.crop_coefficients.shape == (512, 10) and craft.bank.shape == (10, 96)
    assert craft.maps(data.images).shape == (32, 10, 32, 32)
    exact, sampled = (craft.importance(data.images, 4, estimator=name) for name in ("exact", "sobol"))
    assert exact.sum().item() == pytest.approx(1, abs=1e-5) and (exact - sampled).abs().max() < 0.02
    purity = concept_purity(craft.maps(data.images), data.parts)
    assert purity.shares.shape == (10, len(PARTS)) and (purity.purity >= 0).all()


# metrics


def test_purity_equals_the_formula_pixel_by_pixel():
    maps = sparse(3, 4, 6, 7)
    parts = torch.randint(0, 4, (3, 6, 7), generator=torch.Generator().manual_seed(2))
    found = concept_purity(maps, parts)
    for number, (value, part) in enumerate(reference.purity(maps, parts)):
        assert found.purity[number].item() == pytest.approx(value) and found.part[number] == part
    torch.testing.assert_close(found.shares.sum(1), torch.ones(4, dtype=torch.float64))


def test_purity_knows_the_perfect_the_uniform_and_the_empty_map():
    parts = torch.tensor([0, 0, 0, 0, 3, 3, 1, 0]).view(1, 2, 4)
    maps = torch.stack([(parts[0] == 3) * 5.0, torch.full((2, 4), 0.1), torch.zeros(2, 4), (parts[0] == 0) * 1.0])[None]
    found = concept_purity(maps, parts)
    assert found.purity[[0, 1, 3]].tolist() == pytest.approx([1, 0, 1], abs=1e-6) and found.purity[2].isnan()
    assert found.part[[0, 2, 3]].tolist() == [3, -1, 0]
    assert found.areas.tolist() == pytest.approx([5 / 8, 1 / 8, 0, 2 / 8])


def test_matching_equals_the_best_of_all_permutations():
    first, second = sparse(50, 3, seed=1), sparse(50, 5, seed=2)
    found = match_concepts(first, second)
    assert tuple(found.partner.tolist()) == reference.best_matching(first, second)
    order = [3, 0, 4, 1, 2]
    again = match_concepts(second, 7 * second[:, order])
    assert [order[p] for p in again.partner.tolist()] == [0, 1, 2, 3, 4]
    assert again.similarity.tolist() == pytest.approx([1] * 5)
    maps = sparse(4, 3, 5, 5, seed=3)
    assert match_concepts(maps, maps.flip(1)).partner.tolist() == [2, 1, 0]
    assert match_concepts(torch.zeros(4, 2), torch.ones(4, 2)).similarity.tolist() == [0, 0]


# wrong input


def test_wrong_layers_are_refused(model):
    images = some_images()
    with pytest.raises(KeyError, match="relu2"):
        Craft(model, "rleu2")
    for layer, message in {"bn2": "none below zero", "head": r"expected \(N, C, h, w\)"}.items():
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


def test_a_failed_fit_keeps_the_concepts_of_before(model):
    craft = Craft(model, "relu2", crop=0.5, n_concepts=2).fit(some_images())
    before = everything(craft, some_images())
    with pytest.raises(ValueError):
        craft.fit(some_images()[:, :, :1, :1])
    assert all(torch.equal(a, b) for a, b in zip(before, everything(craft, some_images()), strict=True))


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


def test_a_head_is_tried_on_channels_that_the_probes_leave_dark():
    activations = torch.rand(4, 3, 2, 2, dtype=torch.float64)
    activations[:, 0] = 0
    varied = varied_activations(activations, torch.rand(4, 2, 2, 2, dtype=torch.float64), torch.eye(2, 3, dtype=torch.float64))
    assert (varied.amax((0, 2, 3)) > 0.1).all()
    assert slope_if_affine(lambda rows: rows.mean((2, 3))[:, 0].square() + rows.mean((2, 3))[:, 1], varied) is None


def test_directions_that_nearly_depend_on_each_other_are_said_to():
    place = torch.linspace(0, 1, 30, dtype=torch.float64)
    bank = torch.exp(-((place - torch.linspace(0, 1, 15, dtype=torch.float64)[:, None]) / 0.2) ** 2 / 2)
    rows = torch.rand(40, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with pytest.raises(RuntimeError, match="directions nearly depend"):
        nonnegative_coefficients(rows, bank)


def test_a_concept_named_twice_is_switched_off_once():
    model, images = settled(SmallNet()).double(), some_images()
    craft = Craft(model, "relu2", n_concepts=3).fit(images)
    activations = torch.rand(2, craft.bank.shape[1], 3, 3, dtype=torch.float64)
    assert torch.equal(switch_off(craft, [1, 1])(activations), switch_off(craft, 1)(activations))


@pytest.mark.parametrize("maps", [torch.full((2, 2, 3, 3), torch.nan), torch.rand(2, 2, 3, 3).log() - torch.inf])
def test_maps_that_are_not_finite_have_no_percentile(maps):
    with pytest.raises(ValueError, match="finite"):
        above_percentile(maps)


def test_a_function_of_whole_numbers_has_no_indices():
    with pytest.raises(ValueError, match="floating point"):
        total_indices(lambda masks: (masks.sum(1) > 1).long(), 2)
