"""Maps and causality against the formulas, one patch at a time, and against identities."""
import pytest
import torch

from nblib.methods.importance import answer_with, importance_map, insertion_deletion, parts_of, zeroing_curves
from tests.references import importance as slow


def test_a_map_is_what_the_network_says_and_its_parts_make_its_answer(ia, ea, images):
    with torch.no_grad():
        assert torch.equal(importance_map(ia, images), ia.scores(images))
        assert torch.equal(importance_map(ea, images), ia.scores(images))
        for model in (ia, ea):
            embeddings, importance = parts_of(model, images)
            torch.testing.assert_close(model.answer(embeddings, importance), model(images))
            torch.testing.assert_close(answer_with(model, images, importance), model(images))
    assert not importance_map(ia, images).requires_grad


def test_another_importance_gives_the_answer_of_the_formula(ia, images):
    other = importance_map(ia, images.flip(0))
    expected = torch.stack([slow.importance_logits(ia, x, a) for x, a in zip(images, other)])
    torch.testing.assert_close(answer_with(ia, images, other), expected.detach())


@pytest.mark.parametrize("which", ["ia", "ea"])
def test_insertion_and_deletion_are_those_of_the_formula(request, which, images, labels):
    model, levels = request.getfixturevalue(which), [0, 0.1, 0.35, 0.5, 0.8, 1]
    found = insertion_deletion(model, images, labels, thresholds=levels)
    with torch.no_grad():
        for place, t in enumerate(levels):
            for values, zeroed, dropped in [(found.insertion, found.insertion_zeroed, lambda a: a < t),
                                            (found.deletion, found.deletion_zeroed, lambda a: a > t)]:
                accuracy, share = slow.zeroed_accuracy(model, images, labels, dropped)
                assert values[place].item() == pytest.approx(accuracy) and zeroed[place].item() == pytest.approx(share)
    levels_seen = len({*found.insertion.tolist(), *found.deletion.tolist()})
    assert levels_seen > (2 if which == "ea" else 1), "the test is blind where every threshold leaves the same"
    torch.testing.assert_close(found.insertion_zeroed + found.deletion_zeroed, torch.ones(6, dtype=torch.float64))


def test_the_ends_are_the_whole_answer_and_that_of_nothing(ea, images, labels):
    found = insertion_deletion(ea, images, labels, thresholds=[0, 1])
    with torch.no_grad():
        whole = (ea(images).argmax(1) == labels).double().mean()
        blind = ea.answer(torch.zeros(1, 6, 4, 4).double(), torch.zeros(1, 4, 4).double()).argmax()
        nothing = (blind == labels).double().mean()
    assert found.insertion[0] == found.deletion[1] == whole and found.insertion[1] == found.deletion[0] == nothing


@pytest.mark.parametrize("chunk_size", [1, 7, 1000])
def test_results_do_not_depend_on_chunks(ea, images, labels, chunk_size):
    for one, other in zip(insertion_deletion(ea, images, labels),
                          insertion_deletion(ea, images, labels, chunk_size=chunk_size)):
        torch.testing.assert_close(one, other)


def test_shares_are_zeroed_in_the_order_of_the_map(ea, images, labels):
    shares = [0, 0.25, 0.5, 1]
    found = zeroing_curves(ea, images, labels, shares=shares, draws=2, seed=1)
    with torch.no_grad():
        for place, share in enumerate(shares):
            for name, sign in (("insertion", 1), ("deletion", -1)):
                right = 0
                for image, label in zip(images, labels):
                    e, a = ea.components(image[None]), ea.scores(image[None])
                    order = sorted(range(16), key=lambda i: sign * a.flatten()[i].item())
                    kept = torch.ones(16, dtype=torch.float64)
                    kept[order[: round(share * 16)]] = 0
                    right += int(ea.answer(e, a * kept.view(1, 4, 4)).argmax() == label)
                assert found[name][place].item() == pytest.approx(right / 20)
    assert found["random"][0] == found["insertion"][0] and found["random"][3] == found["insertion"][3]
    again = zeroing_curves(ea, images, labels, shares=shares, draws=2, seed=1)["random"]
    assert torch.equal(found["random"], again)


def test_an_image_does_not_depend_on_its_batch(ea, images, labels):
    some = [zeroing_curves(ea, images[i : i + 1], labels[i : i + 1], shares=[0.3, 0.6], seed=2) for i in range(20)]
    whole = zeroing_curves(ea, images, labels, shares=[0.3, 0.6], seed=2)
    for name, curve in whole.items():
        torch.testing.assert_close(torch.stack([one[name] for one in some]).mean(0), curve)


def test_without_importance_every_image_gets_the_same_answer(ea, images):
    answer = answer_with(ea, images, torch.zeros(20, 4, 4))
    torch.testing.assert_close(answer, answer[:1].expand(20, -1))
