"""CRAFT as a whole: fits, coefficients, maps, switching off; what it leaves on the model."""
import pytest
import torch
from torch import nn

from nblib.data import PARTS, load
from nblib.hooks import edit
from nblib.methods.concepts import Craft, above_percentile, concept_purity, factorize, switch_off
from nblib.models import build
from tests.fixtures.concepts import some_images, sparse
from tests.fixtures.networks import SmallNet, settled
from tests.references import concepts as reference


def test_what_is_factorised_are_the_mean_activations_of_enlarged_crops(model):
    images = some_images(3)
    craft = Craft(model, "relu2", crop=0.5, n_concepts=2, seed=3).fit(images)
    places = [reference.crops(image, 6, 4) for image in images]
    body = nn.Sequential(*list(model.children())[:6])
    rows = torch.stack([body(places[n][p][0][None])[0].mean((1, 2)) for p in range(4) for n in range(3)]).detach()
    coefficients, bank = factorize(rows, 2, seed=3)
    torch.testing.assert_close(craft.crop_coefficients, coefficients, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(craft.bank, bank, rtol=1e-6, atol=1e-9)


def test_crops_of_a_concept_are_those_with_the_most_of_it(craft):
    best = craft.crops_of(2, 5)
    assert len(best) == 5 and [crop.coefficient for crop in best] == sorted((c.coefficient for c in best), reverse=True)
    assert best[0].coefficient == craft.crop_coefficients[:, 2].max().item()
    for crop in best:
        place = craft.boxes.tolist().index(list(crop.box))
        assert craft.crop_coefficients[place * 12 + crop.image, 2].item() == crop.coefficient
    everything = craft.crops_of(2, 10_000)
    assert len(everything) == (craft.crop_coefficients[:, 2] > 0).sum()


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


def test_a_concept_named_twice_is_switched_off_once():
    model, images = settled(SmallNet()).double(), some_images()
    craft = Craft(model, "relu2", n_concepts=3).fit(images)
    activations = torch.rand(2, craft.bank.shape[1], 3, 3, dtype=torch.float64)
    assert torch.equal(switch_off(craft, [1, 1])(activations), switch_off(craft, 1)(activations))


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


def test_a_failed_fit_keeps_the_concepts_of_before(model):
    craft = Craft(model, "relu2", crop=0.5, n_concepts=2).fit(some_images())
    before = everything(craft, some_images())
    with pytest.raises(ValueError):
        craft.fit(some_images()[:, :, :1, :1])
    assert all(torch.equal(a, b) for a, b in zip(before, everything(craft, some_images()), strict=True))


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
