"""IA, EA and PA: what the formulas say, which patch changes what, and that what is frozen stays as it was."""
import copy

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from nblib.engine import check_inputs
from nblib.models.importance import HEADS, EmbeddingModel, ImportanceModel, pixel_model
from tests.fixtures.importance import an_ea, an_ia, some_images
from tests.fixtures.networks import SmallNet, settled
from tests.fixtures.refusals import check, refused
from tests.references import importance as slow

IA = an_ia()
IMAGES = some_images()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("size, patch", [(16, 4), (16, 8), (24, 6), (32, 16)])
def test_the_answer_is_that_of_the_formula(size, patch, head):
    ia, images = an_ia(size, patch=patch, head=head), some_images(3, size)
    with torch.no_grad():
        found, importance = ia(images), ia.scores(images)
        expected = torch.stack([slow.importance_logits(ia, x, a) for x, a in zip(images, importance)])
    assert importance.shape == (3, size // patch, size // patch)
    assert importance.min() > 0 and importance.max() < 1 and importance.std() > 0.05
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_another_patch_changes_one_embedding():
    changed = IMAGES.clone()
    changed[:, :, 4:8, 8:12] = 1 - changed[:, :, 4:8, 8:12]
    with torch.no_grad():
        moved = (IA.components(IMAGES) - IA.components(changed)).abs().amax(1) > 1e-12
    assert moved[:, 1, 2].all() and moved.sum() == len(IMAGES)


def test_patches_and_importance_exchanged_together_change_nothing():
    order = torch.randperm(16, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        e, a = IA.components(IMAGES), IA.scores(IMAGES)
        moved = IA.answer(e.flatten(2)[:, :, order].view_as(e), a.flatten(1)[:, order].view_as(a))
        torch.testing.assert_close(moved, IA(IMAGES), rtol=1e-10, atol=1e-10)


def test_importance_and_embeddings_trade_their_scale():
    """a / 2 with 2 e is the same answer: thresholds of a are thresholds of a free scale."""
    with torch.no_grad():
        e, a = IA.components(IMAGES), IA.scores(IMAGES)
        torch.testing.assert_close(IA.answer(2 * e, a / 2), IA(IMAGES), rtol=1e-10, atol=1e-10)


def test_the_layers_of_the_paper_are_those_of_a_resnet_18():
    scores = ImportanceModel(10, size=224, patch=32, width=16, layers="paper").scores.double()
    theirs = resnet18(num_classes=49).double().eval()
    own, other = scores.state_dict(), theirs.state_dict()
    assert sum(p.numel() for p in scores.parameters()) == sum(p.numel() for p in theirs.parameters())
    # torchvision names the way round last in a block, and so do we: the order is the same
    assert [tuple(t.shape) for t in own.values()] == [tuple(t.shape) for t in other.values()]
    settled(theirs)
    scores.load_state_dict(dict(zip(own, theirs.state_dict().values())))
    images = some_images(2, 224)
    with torch.no_grad():
        normal = (images - scores.input_mean) / scores.input_std
        expected = torch.sigmoid(theirs(normal)).view(2, 7, 7)
        torch.testing.assert_close(scores(images), expected, rtol=1e-9, atol=1e-9)


def test_the_thin_layers_have_the_size_that_the_book_says():
    ia = ImportanceModel(9, size=32)
    assert sum(p.numel() for p in ia.parameters()) == 178_009
    assert sum(p.numel() for p in EmbeddingModel(ia).parameters() if p.requires_grad) == 132_137


def test_a_seed_gives_the_same_weights_and_leaves_the_caller_s_generator_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (ImportanceModel(3, size=8, patch=4, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first.linear.weight, again.linear.weight)
    assert not torch.equal(first.linear.weight, other.linear.weight)


@pytest.mark.parametrize("order", ["insertion", "deletion"])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.9])
def test_a_pixel_model_sees_what_the_formula_leaves(order, threshold):
    net = settled(SmallNet())
    model = pixel_model(IA, net, threshold=threshold, order=order, fill=0.25)
    with torch.no_grad():
        a = IA.scores(IMAGES)
        expected = torch.stack([slow.masked(x, m, 4, threshold, order, 0.25) for x, m in zip(IMAGES, a)])
        assert torch.equal(model.seen(IMAGES), expected)
        assert torch.equal(model(IMAGES), net(expected))


def test_with_threshold_zero_it_is_the_network_and_with_one_it_is_blind():
    net = settled(SmallNet())
    with torch.no_grad():
        assert torch.equal(pixel_model(IA, net, threshold=0)(IMAGES), net(IMAGES))
        blind = pixel_model(IA, net, threshold=1)(IMAGES)
        torch.testing.assert_close(blind, net(torch.zeros_like(IMAGES)))
        assert torch.equal(pixel_model(IA, net, threshold=1, order="deletion")(IMAGES), net(IMAGES))


@pytest.mark.parametrize("make", [an_ea, lambda ia: pixel_model(ia, settled(SmallNet()), threshold=0.5)])
def test_what_is_frozen_stays_as_it_was_through_training(make):
    model = make(IA)
    given = copy.deepcopy(IA.state_dict())
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1, weight_decay=0.5)
    model.train()
    assert not any(module.training for module in model.scores.modules())
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(IMAGES), torch.arange(6) % 4).backward()
        optimizer.step()
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in after if name.startswith("scores."))
    assert any(not torch.equal(before[name], after[name]) for name in after if not name.startswith("scores."))
    assert all(torch.equal(given[name], tensor) for name, tensor in IA.state_dict().items())


def test_all_three_can_be_explained_row_by_row():
    for model in (IA, an_ea(IA), pixel_model(IA, settled(SmallNet()), threshold=0.5)):
        check_inputs(model, IMAGES)
        with torch.no_grad():
            torch.testing.assert_close(model(IMAGES)[2:3], model(IMAGES[2:3]), rtol=1e-9, atol=1e-9)


REFUSED = [
    (lambda: ImportanceModel(9, size=32, patch=5), "expected 4 or 8"),
    (lambda: ImportanceModel(9, size=32, patch=64), "patch=64 was given, .* expected 32"),
    (lambda: ImportanceModel(9, size=32, patch=0), "patch=0"),
    (lambda: ImportanceModel(9, size=32, patch=None), "patch=None"),
    (lambda: ImportanceModel(1, size=32), "classes=1"),
    (lambda: ImportanceModel(9, size="32"), "size='32'"),
    (lambda: ImportanceModel(9, size=32, width=0), "width=0"),
    (lambda: ImportanceModel(9, size=32, layers="thick"), "layers 'thick' was given, .*nearest: 'thin'"),
    (lambda: ImportanceModel(9, size=32, head="convolution"), "nearest: 'convolutional'"),
    (lambda: ImportanceModel(9, size=32, seed=-1), "seed=-1"),
    (lambda: IA(some_images(2, 24)), r"this importance is of 16 × 16, on a grid of 4 × 4"),
    (lambda: EmbeddingModel(SmallNet()), "ia of SmallNet was given, expected ImportanceModel"),
    (lambda: EmbeddingModel(IA, seed=None), "seed=None"),
    (lambda: pixel_model(SmallNet(), SmallNet(), threshold=0.5), "ia of SmallNet"),
    (lambda: pixel_model(IA, None, threshold=0.5), "a model of type NoneType"),
    (lambda: pixel_model(IA, SmallNet(), threshold=1.5), "threshold=1.5 was given, expected .* from 0 to 1"),
    (lambda: pixel_model(IA, SmallNet(), threshold=0.5, order="delete"), "nearest: 'deletion'"),
    (lambda: pixel_model(IA, SmallNet(), threshold=0.5, fill=-1), "fill=-1"),
]


@refused(REFUSED)
def test_a_wrong_call_is_refused_in_words(call, said):
    check(call, said)
