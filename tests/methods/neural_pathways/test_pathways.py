"""Pathways: exactly as many units as asked, edits that do what they say, and counts."""
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nblib.hooks import capture, edit
from nblib.methods.neural_pathways import (
    edited_probabilities,
    empty_layers,
    firing_sparsity,
    keep,
    pathway_grad_cam,
    pathway_gradient,
    remove,
    scale,
    select,
    strongest_channel,
    unit_scores,
)
from nblib.targets import class_logit
from tests.fixtures.neural_pathways import LAYERS, small, some_pathways
from tests.fixtures.saliency import some_images, state_of
from tests.references import neural_pathways as slow


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.integers(-2, 2), min_size=12, max_size=12), min_size=1, max_size=4), st.floats(0, 0.95))
def test_exactly_as_many_are_kept_whatever_the_ties(rows, sparsity):
    values = torch.tensor(rows, dtype=torch.float64)
    scores = {"a": values[:, :4].view(-1, 2, 2), "b": values[:, 4:]}
    found = select(scores, sparsity)
    flat = torch.cat([mask.flatten(1) for mask in found.values()], 1)
    assert (flat.sum(1) == 12 - round(sparsity * 12)).all()
    assert flat.tolist() == [slow.chosen(row, sparsity) for row in rows]


def test_pathways_are_nested_and_layers_may_be_asked_each_for_itself():
    scores = unit_scores(small(), some_images(3), LAYERS, method="random")
    wide, narrow = select(scores, 0.5), select(scores, 0.9)
    assert all((wide[layer] >= narrow[layer]).all() for layer in LAYERS)
    for layer, mask in select(scores, 0.75, scope="layer").items():
        assert (mask.flatten(1).sum(1) == mask[0].numel() - round(0.75 * mask[0].numel())).all()


def test_all_units_give_the_network_and_none_an_answer_without_the_image():
    model, images = small(), some_images(4)
    whole = {"relu1": torch.ones(4, 6, 12, 12, dtype=torch.bool), "relu2": torch.ones(4, 8, 6, 6, dtype=torch.bool)}
    with torch.no_grad():
        expected = model(images)
        with edit(model, keep(whole)):
            assert torch.equal(model(images), expected)
    none = edited_probabilities(model, images, whole, intervention="remove")
    assert (none - none[:1]).abs().max() == 0 and (none[0] - expected[0].softmax(0)).abs().max() > 1e-3
    assert torch.equal(edited_probabilities(model, images, None), expected.softmax(1))


def test_units_are_masked_one_layer_after_the_other():
    model, images = small(), some_images(2)
    pathway = some_pathways(2)
    with torch.no_grad(), capture(model, ["relu1", "bn2", "relu2"]) as seen:
        model(images)
        plain = seen["bn2"].clone()
        with edit(model, keep(pathway)), capture(model, ["relu1", "bn2", "relu2"]) as masked:
            model(images)
    assert torch.equal(masked["relu1"], seen["relu1"] * pathway["relu1"])
    assert torch.equal(masked["relu2"], masked["bn2"].clamp(min=0) * pathway["relu2"])
    assert not torch.equal(masked["bn2"], plain)  # what is behind is computed anew
    for edits, factor in ((remove(pathway), 1 - pathway["relu1"].double()), (scale(pathway, 2.0), 1 + pathway["relu1"].double())):
        with torch.no_grad(), edit(model, edits), capture(model, ["relu1"]) as changed:
            model(images)
        assert torch.equal(changed["relu1"], seen["relu1"] * factor)


@pytest.mark.parametrize("intervention", ["keep", "remove", "scale"])
def test_each_image_has_its_own_pathway_in_chunks_of_any_size(intervention):
    model, images, pathway = small(), some_images(5), some_pathways(5)
    before = state_of(model)
    whole = edited_probabilities(model, images, pathway, intervention=intervention)
    for number in range(5):
        alone = edited_probabilities(model, images[number:number + 1], {k: v[number:number + 1] for k, v in pathway.items()},
                                     intervention=intervention)
        assert (alone[0] - whole[number]).abs().max() < 1e-12
    assert (edited_probabilities(model, images, pathway, intervention=intervention, chunk_size=2) - whole).abs().max() < 1e-12
    one = {layer: mask[:1] for layer, mask in pathway.items()}
    many = {layer: mask[:1].expand_as(pathway[layer]) for layer, mask in one.items()}
    assert torch.equal(edited_probabilities(model, images, one), edited_probabilities(model, images, many))
    assert state_of(model) == before


def test_sparsity_and_empty_layers_are_counted():
    pathway = some_pathways(4)
    pathway["relu2"][1] = False
    count = [sum(int(mask[number].sum()) for mask in pathway.values()) for number in range(4)]
    assert torch.allclose(firing_sparsity(pathway), torch.tensor([1 - c / (864 + 288) for c in count]))
    assert empty_layers(pathway)["relu2"].tolist() == [False, True, False, False]


def test_maps_are_those_of_the_masked_network():
    model, images, pathway = small(), some_images(3), some_pathways(3)
    labels = model(images).argmax(1)
    gradient = pathway_gradient(model, images, pathway)
    rows = images.clone().requires_grad_()
    with edit(model, keep(pathway)), capture(model, ["relu2"]) as seen:
        value = class_logit(labels)(model(rows)).sum()
    expected, slope = torch.autograd.grad(value, [rows, seen["relu2"]])
    assert (gradient - expected).abs().max() < 1e-12
    cam = pathway_grad_cam(model, images, pathway)
    small_cam = (slope.mean((2, 3), keepdim=True) * seen["relu2"]).sum(1, keepdim=True)
    large = torch.nn.functional.interpolate(small_cam, size=(12, 12), mode="bilinear", align_corners=False)[:, 0]
    assert (cam - large).abs().max() < 1e-12 and cam.shape == (3, 12, 12)
    for found, call in ((gradient, pathway_gradient), (cam, pathway_grad_cam)):
        assert (call(model, images, pathway, chunk_size=1) - found).abs().max() < 1e-12
    one = strongest_channel(torch.tensor([[[[1.0, 0.0]], [[-4.0, 0.5]], [[2.0, 0.0]]]]))
    assert one.tolist() == [[[-1.0, 0.125]]]
