"""Numbers about pathways: confidence, likeness within classes, transfer, and the controls, each against slow loops."""
import pytest
import torch

from nblib.methods.neural_pathways import (
    between_share,
    class_iou,
    class_pathway,
    class_table,
    class_variances,
    confidence,
    donors,
    edited_probabilities,
    firing_rates,
    forced_share,
    mask_probe,
    pair_accuracy,
    pairwise_iou,
    part_shares,
    plane,
    related_iou,
    removal_accuracy,
    select,
    transfer,
    unit_scores,
)
from tests.fixtures.neural_pathways import LAYERS, small, some_pathways
from tests.fixtures.saliency import some_images
from tests.references import neural_pathways as slow


def shares(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).mul(2).softmax(1)


def rows_of(pathway) -> torch.Tensor:
    return torch.cat([mask.flatten(1) for mask in pathway.values()], 1)


@pytest.mark.parametrize("seed", range(4))
def test_confidence_is_counted_image_by_image(seed):
    whole, edited = shares(60, seed), 0.6 * shares(60, seed) + 0.4 * shares(60, seed + 50)
    labels = torch.randint(4, (60,), generator=torch.Generator().manual_seed(seed))
    found = confidence(whole, edited, labels)
    assert found == pytest.approx(slow.confidence(whole, edited, labels.tolist()))
    assert found.gain == pytest.approx(found.increase_rate * found.mean_increase)
    label = whole.argmax(1)
    same = edited.argmax(1) == label
    change = (edited - whole).gather(1, label[:, None])[:, 0][same].sum() / 60
    assert found.gain - found.loss == pytest.approx(change.item())
    assert confidence(whole, whole, labels)[:5] == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("density", [0.05, 0.4])
def test_likeness_is_the_double_loop(density):
    pathway, labels = some_pathways(9, density), torch.tensor([0, 2, 2, 0, 3, 0, 2, 0, 2])
    pathway["relu2"][3] = False
    rows = rows_of(pathway)
    found = class_iou(pathway, labels)
    assert found.mean == pytest.approx(slow.class_iou(rows, labels.tolist()), abs=1e-12)
    assert found.by_class.isnan().tolist() == [False, True, False, True]
    for layer, mask in pathway.items():
        assert found.by_layer[layer] == pytest.approx(slow.class_iou(mask.flatten(1), labels.tolist()), abs=1e-12)
    density = rows.double().mean().item()
    assert found.expected == pytest.approx(density / (2 - density))
    together = [(rows[labels == c].all(0).sum() / rows[labels == c].any(0).sum()).item() for c in (0, 2)]
    assert found.all_at_once == pytest.approx(sum(together) / 2)
    order = torch.tensor([3, 1, 8, 0, 2, 5, 7, 6, 4])
    again = class_iou({layer: mask[order] for layer, mask in pathway.items()}, labels[order])
    assert again.mean == pytest.approx(found.mean, abs=1e-12)
    assert pairwise_iou(pathway)[1, 4] == pytest.approx(slow.iou(rows[1], rows[4]))


def test_many_images_are_compared_as_few():
    rows = torch.rand(400, 60, generator=torch.Generator().manual_seed(0)) < torch.linspace(0, 0.6, 400)[:, None]
    inside, around = ((rows[:, None] & rows[None]).sum(2), (rows[:, None] | rows[None]).sum(2))
    expected = torch.where(around > 0, inside.double() / around.clamp(min=1), 1.0)
    assert torch.equal(pairwise_iou({"a": rows[:, :20], "b": rows[:, 20:]}), expected)


def test_equal_pathways_are_alike_disjoint_ones_are_not_and_random_ones_by_chance():
    labels = torch.arange(6) % 2
    same = {"a": torch.tensor([[True, False, True, False]] * 6)}
    assert class_iou(same, labels).mean == 1 and class_iou(same, labels).expected == pytest.approx(1 / 3)
    apart = {"a": torch.eye(6, dtype=torch.bool)}
    assert class_iou(apart, labels).mean == 0
    nothing = {"a": torch.zeros(6, 4, dtype=torch.bool)}
    assert class_iou(nothing, labels).mean == 1 and class_iou(nothing, labels).empty == 6
    chance = {"a": torch.rand(40, 5000, generator=torch.Generator().manual_seed(0)) < 0.1}
    found = class_iou(chance, torch.arange(40) % 4)
    assert found.mean == pytest.approx(found.expected, abs=0.002)


def test_pairs_that_share_a_part_are_told_apart():
    pathway = some_pathways(8)
    body, marking = torch.tensor([0, 0, 0, 1, 1, 1, 0, 1]), torch.tensor([0, 0, 1, 0, 1, 1, 1, 0])
    found, rows = related_iou(pairwise_iou(pathway), body, marking), rows_of(pathway)
    sums: dict[str, list[float]] = {"both": [], "first": [], "second": [], "neither": []}
    for i in range(8):
        for j in range(i):
            kind = {(True, True): "both", (True, False): "first", (False, True): "second",
                    (False, False): "neither"}[(bool(body[i] == body[j]), bool(marking[i] == marking[j]))]
            sums[kind].append(slow.iou(rows[i], rows[j]))
    assert found == pytest.approx({kind: sum(values) / len(values) for kind, values in sums.items()})


def test_firing_rates_split_into_parts_and_the_whole_class():
    body, marking = torch.rand(3, 1, 50), torch.rand(1, 3, 50)
    assert part_shares({"a": body.expand(3, 3, 50).reshape(9, 50)}, 3, 3) == pytest.approx((1, 0, 0), abs=1e-6)
    both = part_shares({"a": (body + marking).reshape(9, 50)}, 3, 3)
    assert both[2] == pytest.approx(0, abs=1e-6) and sum(both) == pytest.approx(1)
    noise = part_shares({"a": torch.randn(9, 20000, generator=torch.Generator().manual_seed(0))}, 3, 3)
    assert noise == pytest.approx((0.25, 0.25, 0.5), abs=0.02)
    values, labels = torch.tensor([1.0, 2.0, 5.0, 6.0]), torch.tensor([0, 0, 1, 1])
    assert between_share(values, labels) == pytest.approx(16 / 17)


def test_a_class_pathway_of_one_image_is_that_images_and_shrinks_with_its_threshold():
    pathway, labels = some_pathways(6), torch.tensor([0, 1, 1, 1, 1, 2])
    alone = class_pathway(pathway, labels, 0)
    assert all(torch.equal(alone.pathway[layer], pathway[layer][:1]) for layer in LAYERS) and alone.made_from.tolist() == [0]
    by_threshold = [class_pathway(pathway, labels, 1, threshold=t).pathway for t in (0.0, 0.3, 0.6, 0.9)]
    for more, fewer in zip(by_threshold, by_threshold[1:]):
        assert all((more[layer] >= fewer[layer]).all() for layer in LAYERS)
    rate = firing_rates({layer: mask[1:5] for layer, mask in pathway.items()}, torch.zeros(4, dtype=torch.long), 1)
    assert all(torch.equal(by_threshold[1][layer], rate[layer] > 0.3) for layer in LAYERS)
    used = [set(class_pathway(pathway, labels, 1, left_out=share, seed=4).made_from.tolist()) for share in (0, 0.5, 0.75)]
    assert [len(some) for some in used] == [4, 2, 1] and used[0] >= used[1] >= used[2]


def test_transfer_is_a_loop_over_classes():
    model, images = small(), some_images(12)
    labels = torch.arange(12) % 3
    pathway = select(unit_scores(model, images, LAYERS, method="taylor"), 0.6)
    found = transfer(model, images, labels, pathway, left_out=0.5, threshold=0.4, seed=2)
    own, others, density = [], [], []
    for label in range(3):
        made = class_pathway(pathway, labels, label, threshold=0.4, left_out=0.5, seed=2)
        answers = [int(edited_probabilities(model, image[None], made.pathway).argmax()) == label for image in images]
        unused = [n for n in range(12) if labels[n] == label and n not in made.made_from.tolist()]
        own.append(sum(answers[n] for n in unused) / len(unused))
        others.append(sum(answers[n] for n in range(12) if labels[n] != label) / 8)
        density.append(rows_of(made.pathway).double().mean().item())
    assert found[:3] == pytest.approx((sum(own) / 3, sum(others) / 3, sum(density) / 3))
    assert found.confidence.agreement <= 1


def test_removal_removes_what_was_selected():
    model, images, labels = small(), some_images(6), torch.arange(6) % 4
    scores = unit_scores(model, images, LAYERS, method="activation")
    found = removal_accuracy(model, images, labels, scores, sparsities=[0.9, 0.5])
    for value, sparsity in zip(found, (0.9, 0.5)):
        left = {layer: ~mask for layer, mask in select(scores, sparsity).items()}
        assert value == pytest.approx((edited_probabilities(model, images, left).argmax(1) == labels).double().mean().item())


def test_donors_are_of_another_class_and_force_is_counted():
    labels = torch.tensor([0, 0, 1, 2, 2, 2])
    who = donors(labels, seed=1)
    assert (labels[who] != labels).all() and torch.equal(who, donors(labels, seed=1))
    model, images, pathway = small(), some_images(6), some_pathways(6)
    answer = edited_probabilities(model, images, pathway).argmax(1)
    assert forced_share(model, images, pathway, answer) == 1
    assert forced_share(model, images, pathway, (answer + 1) % 4) == 0


def test_a_probe_reads_the_class_of_a_mask_and_not_of_noise():
    labels = torch.arange(40) % 4
    code = torch.eye(4, dtype=torch.bool)[labels]
    assert mask_probe({"a": code, "b": some_pathways(40)["relu2"][:, :1]}, labels) > 0.5
    assert mask_probe({"a": code}, labels) == 1
    noise = {"a": torch.rand(400, 300, generator=torch.Generator().manual_seed(0)) < 0.3}
    assert 0.18 < mask_probe(noise, torch.arange(400) % 4) < 0.32


def test_a_table_gives_each_class_its_most_frequent_units():
    pathway, labels = some_pathways(8), torch.arange(8) % 2
    table = class_table(pathway, labels, 2, sparsity=0.9)
    rates = firing_rates(pathway, labels, 2)
    expected = select(rates, 0.9)
    assert all(torch.equal(table[layer][n], expected[layer][n % 2]) for layer in LAYERS for n in range(8))
    assert class_iou(table, labels).mean == 1


def test_the_union_of_two_pathways_is_tried_on_both_classes():
    model, images, labels = small(), some_images(8), torch.arange(8) % 4
    paths = {label: class_pathway(some_pathways(8), labels, label).pathway for label in (0, 1, 2)}
    right, either = [], []
    for a, b in ((0, 1), (0, 2), (1, 2)):
        union = {layer: paths[a][layer] | paths[b][layer] for layer in LAYERS}
        mine = [n for n in range(8) if labels[n] in (a, b)]
        answers = [int(edited_probabilities(model, images[n][None], union).argmax()) for n in mine]
        right.append(sum(answer == labels[n] for n, answer in zip(mine, answers)) / len(mine))
        either.append(sum(answer in (a, b) for answer in answers) / len(mine))
    assert pair_accuracy(model, images, labels, paths) == pytest.approx((float(sum(right)) / 3, sum(either) / 3))


def test_variances_sum_to_one_and_clusters_have_theirs_between():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 3
    centres = 20 * torch.randn(3, 8, generator=generator)
    points = centres[labels] + torch.randn(120, 8, generator=generator)
    within, between = class_variances(points, labels)
    assert within + between == pytest.approx(1) and between > 0.9
    assert class_variances(7 * points + 3, labels) == pytest.approx((within, between), abs=1e-6)
    flat = plane(points, perplexity=10, seed=1)
    assert flat.shape == (120, 2) and class_variances(flat, labels)[1] > 0.9
    assert torch.equal(flat, plane(points, perplexity=10, seed=1))
