"""Channels switched off: against whole passes, and what must hold whatever the network is."""
import pytest
import torch

from nblib.engine import check_inputs, logits_after
from nblib.methods.modes import Ablation, ablation_curves, area_difference, mode_channels
from tests.fixtures.networks import SmallNet, settled
from tests.references.modes import ratio

LAYER, CHANNELS, SHARES = "relu2", 8, [0.0, 0.25, 0.5, 1.0]


@pytest.fixture
def case():
    """A network, images, labels that it mostly finds, a ranking of each class."""
    model = settled(SmallNet())
    generator = torch.Generator().manual_seed(2)
    images = torch.rand(60, 3, 8, 8, generator=generator, dtype=torch.float64) * 4 - 2
    images += torch.randn(60, 3, 1, 1, generator=generator, dtype=torch.float64) * 3
    with torch.no_grad():
        labels = model(images).argmax(1)
    labels[::7] = labels.roll(1)[::7]  # some that it does not find
    return model, images, labels, torch.rand(4, CHANNELS, generator=generator)


def test_ratios_equal_whole_passes_with_edits(case):
    model, images, labels, ranking = case
    assert len(labels.unique()) > 1
    for keep in (False, True):
        curves = ablation_curves(model, images, labels, LAYER, {"any": ranking}, shares=SHARES, keep=keep, chunk_size=7)
        for group in labels.unique().tolist():
            for place, share in enumerate(SHARES):
                chosen = set(mode_channels(ranking[group], share).tolist())
                removed = sorted(set(range(CHANNELS)) - chosen if keep else chosen)
                for found, inside in zip(curves["any"], (labels == group, labels != group)):
                    expected = ratio(model, images, labels, LAYER, removed, inside)
                    assert found[group, place].item() == pytest.approx(expected)


def test_nothing_removed_is_the_identity_and_all_removed_sees_no_image(case):
    model, images, labels, ranking = case
    removed, kept = (ablation_curves(model, images, labels, LAYER, {"any": ranking}, shares=SHARES, keep=keep)["any"]
                     for keep in (False, True))
    there = labels.unique()
    assert (removed.target[there, 0] == 1).all() and (removed.others[there, 0] == 1).all()
    assert (kept.target[there, -1] == 1).all()
    torch.testing.assert_close(removed.target[:, -1], kept.target[:, 0], equal_nan=True)
    rest, output, _ = logits_after(model, LAYER, images)
    blind = rest(torch.zeros_like(output))
    assert torch.equal(blind, blind[:1].expand_as(blind))


def test_removing_some_is_keeping_the_rest(case):
    model, images, labels, ranking = case
    for share in (0.25, 0.5, 0.875):
        removed = ablation_curves(model, images, labels, LAYER, {"any": ranking}, shares=[share])["any"]
        kept = ablation_curves(model, images, labels, LAYER, {"any": -ranking}, shares=[1 - share], keep=True)["any"]
        for one, other in zip(removed, kept):
            torch.testing.assert_close(one, other, equal_nan=True, rtol=0, atol=0)


def test_a_set_of_channels_is_evaluated_once_and_rankings_do_not_disturb_each_other(case):
    model, images, labels, ranking = case
    passes = []
    handle = model.head.register_forward_hook(lambda *_: passes.append(1))
    check_inputs(model, images)  # the first call tries the network itself
    passes.clear()
    same = ranking[:1].expand(4, -1)
    alone = ablation_curves(model, images, labels, LAYER, {"one": same}, shares=SHARES)
    first = len(passes)
    both = ablation_curves(model, images, labels, LAYER, {"one": same, "two": same * 2}, shares=SHARES)
    handle.remove()
    assert len(passes) == 2 * first and first <= 4 + len(SHARES)
    assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for name in both for a, b in zip(alone["one"], both[name]))


def test_groups_may_hold_several_classes(case):
    model, images, labels, ranking = case
    groups = labels // 2
    curves = ablation_curves(model, images, labels, LAYER, {"any": ranking[:2]}, shares=[0.5], groups=groups)["any"]
    for group in groups.unique().tolist():
        removed = mode_channels(ranking[group], 0.5).tolist()
        assert curves.target[group, 0].item() == pytest.approx(
            ratio(model, images, labels, LAYER, removed, groups == group))


def test_a_group_where_nothing_was_right_has_no_ratio(case):
    model, images, labels, ranking = case
    with torch.no_grad():
        wrong = (model(images).argmax(1) + 1) % 4
    curves = ablation_curves(model, images, wrong, LAYER, {"any": ranking}, shares=[0.5])["any"]
    assert curves.target.isnan().all() and curves.others.isnan().all()


def test_the_area_is_that_of_the_trapezoids_over_the_span():
    curves = Ablation(torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]), torch.ones(2, 3))
    assert area_difference(curves, [0.0, 0.5, 1.0]).tolist() == [-0.75, 0.0]
    assert area_difference(curves, [0.1, 0.2, 0.4]).tolist() == pytest.approx([-(0.05 + 0.2) / 0.3, 0.0])
    for wrong in ([0.0, 1.0], [0.0, 0.5, 0.5], [1.0, 0.5, 0.0]):
        with pytest.raises(ValueError, match="ascending"):
            area_difference(curves, wrong)


@pytest.mark.parametrize("change, message", [
    ({"rankings": {}}, "0 rankings"), ({"shares": []}, "0 shares"), ({"shares": [1.2]}, "shares=1.2"),
    ({"rankings": {"bad": torch.ones(4, 7)}}, r"'bad' has shape \(4, 7\), expected \(G, 8\)"),
    ({"rankings": {"bad": torch.full((4, 8), torch.nan)}}, "not finite"),
    ({"rankings": {"a": torch.ones(4, 8), "b": torch.ones(5, 8)}}, r"\[4, 5\] groups"),
    ({"rankings": {"a": torch.ones(2, 8)}}, "the largest group=3"),
    ({"groups": torch.zeros(3, dtype=torch.long)}, "groups of shape"), ({"layer": "head"}, r"expected \(N, C, h, w\)"),
    ({"labels": torch.full((60,), 9)}, "label 9"),
])
def test_wrong_input_is_refused(case, change, message):
    model, images, labels, ranking = case
    given = {"labels": labels, "layer": LAYER, "rankings": {"any": ranking}, "shares": SHARES} | change
    with pytest.raises(ValueError, match=message):
        ablation_curves(model, images, **given)


def test_a_layer_with_a_way_around_it_is_refused():
    from tests.fixtures.concepts import Variant, some_images

    images = some_images()
    model = settled(Variant("around"))
    with torch.no_grad():
        labels = model(images).argmax(1)
    with pytest.raises(ValueError, match="does not cut Variant in two"):
        ablation_curves(model, images, labels, "again", {"any": torch.rand(4, 8)}, shares=[0.5])
