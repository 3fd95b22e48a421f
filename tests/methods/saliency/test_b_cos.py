"""The maps that a B-cos network carries in itself."""
import copy

import pytest
import torch

from nblib import targets
from nblib.methods.saliency import b_cos, b_cos_alpha, saliency
from tests.fixtures.saliency import some_images, state_of
from tests.references import saliency as reference


def test_b_cos_maps_share_out_the_logit_exactly(b_cos_model):
    images, labels = some_images(), torch.tensor([3, 0, 2])
    maps = saliency(b_cos_model, images, method="b_cos", reduce=None, target=targets.class_logit(labels))
    logits = b_cos_model(images)[range(3), labels] - b_cos_model.logit_bias
    assert maps.shape == images.shape
    torch.testing.assert_close(maps.sum((1, 2, 3)), logits.detach())


def test_b_cos_maps_are_the_encoding_times_the_slope_with_cosines_held(b_cos_model):
    image, label = some_images(1), 2
    maps = b_cos(b_cos_model, image, target=targets.class_logit(label))
    encoded = torch.cat([image, 1 - image], 1)
    frozen = reference.frozen_b_cos(b_cos_model, encoded, label)
    for channel, row, column in [(0, 0, 0), (1, 5, 7), (2, 11, 3)]:
        expected = sum(
            encoded[0, c, row, column].item() * reference.finite_difference(frozen, encoded, (0, c, row, column))
            for c in (channel, channel + 3)
        )
        assert maps[0, channel, row, column].item() == pytest.approx(expected, rel=1e-6, abs=1e-10)


def test_b_cos_maps_do_not_depend_on_batch_or_chunks_and_leave_nothing(b_cos_model):
    images = some_images(4)
    before = state_of(b_cos_model)
    for function in (b_cos, b_cos_alpha):
        whole = function(b_cos_model, images)
        torch.testing.assert_close(function(b_cos_model, images, chunk_size=3), whole)
        torch.testing.assert_close(function(b_cos_model, images[2:3])[0], whole[2])
        single = function(copy.deepcopy(b_cos_model).float(), images.float())
        torch.testing.assert_close(single.double(), whole, rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="class_logit"):
        b_cos(b_cos_model, images, target=3)
    assert state_of(b_cos_model) == before
    assert not any(getattr(module, "linear", False) for module in b_cos_model.modules())
    assert not b_cos(b_cos_model, images).requires_grad


def test_b_cos_alpha_is_zero_against_the_class_and_one_at_its_top(b_cos_model):
    images = some_images()
    plain = b_cos_alpha(b_cos_model, images, smooth=1)
    against = saliency(b_cos_model, images, method="b_cos") < 0
    assert against.any() and (plain[against] == 0).all() and (plain[~against] > 0).all()
    assert (plain.amax((1, 2)) == 1).all()
    assert torch.equal(b_cos_alpha(b_cos_model, images), plain)  # 15/224 of 12 pixels is one pixel
    smooth = b_cos_alpha(b_cos_model, images, smooth=3)
    assert smooth.min() >= 0 and smooth.max() == 1 and not torch.equal(smooth, plain)
    for wrong in (2, 13):
        with pytest.raises(ValueError, match=f"smooth={wrong}"):
            b_cos_alpha(b_cos_model, images, smooth=wrong)


def test_only_a_b_cos_network_can_be_explained_by_itself(model, b_cos_model):
    with pytest.raises(ValueError, match="no B-cos layer"):
        saliency(model, some_images(), method="b_cos")
    with pytest.raises(ValueError, match="training mode"):
        saliency(b_cos_model.train(), some_images(), method="b_cos")
