"""Maps of all methods as the importance of patches: by the formula, on any network, and refused in words."""
import pytest
import torch

from nblib.comparison import TABLE_1, patch_maps, where_patches_lie
from nblib.methods.importance import importance_map
from nblib.methods.saliency import b_cos_alpha, saliency
from nblib.metrics import trivial_maps
from nblib.models import build
from nblib.targets import class_logit, contrast
from tests.fixtures.importance import an_ia, some_images
from tests.fixtures.networks import SmallNet, settled
from tests.fixtures.refusals import check, refused

NET, IMAGES, IA = settled(SmallNet()), some_images(4), an_ia()
QUICK = {"rise": {"masks": 20}, "integrated_gradients": {"steps": 5}, "gradient_shap": {"samples": 3}}
PLAIN = [method for method in TABLE_1 if method != "b_cos"]
MASKS = torch.zeros(4, 16, 16, dtype=torch.bool)
MASKS[:, 4:12, 4:12] = True


def by_hand(maps: torch.Tensor, patch: int) -> torch.Tensor:
    """The mean of each patch over the largest of the image's, patch by patch."""
    grid = maps.shape[1] // patch
    means = torch.stack([
        torch.stack([maps[:, patch * i : patch * (i + 1), patch * j : patch * (j + 1)].mean((1, 2))
                     for j in range(grid)], 1) for i in range(grid)], 1)
    top = means.amax((1, 2), keepdim=True)
    return torch.where(top > 0, means / top, 0.0)


@pytest.mark.parametrize("sign", ["magnitude", "positive"])
def test_each_method_is_converted_as_the_formula_says(sign):
    found = patch_maps(NET, IMAGES, patch=4, methods=PLAIN, sign=sign, ia=IA, options=QUICK)
    assert list(found) == [*PLAIN, "importance"]
    slopes, shares = ("gradient", "guided_backprop"), ("gradient_shap", "integrated_gradients")
    for method in PLAIN:
        chosen = QUICK.get(method, {}) | ({"window": 4} if method == "occlusion" else {})
        colours = saliency(NET, IMAGES, method=method, reduce=None, **chosen)
        if sign == "magnitude" and method in slopes:
            pixels = colours.abs().sum(1)
        elif sign == "magnitude" and method in shares:
            pixels = colours.sum(1).abs()
        else:
            pixels = colours.sum(1).clamp(min=0)
        torch.testing.assert_close(found[method], by_hand(pixels, 4), msg=method)
        assert found[method].min() >= 0 and found[method].max() <= 1
    assert torch.equal(found["importance"], importance_map(IA, IMAGES))


def test_a_b_cos_network_has_its_opacity():
    net = build("small_b_cos", classes=3, size=32, seed=1)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    other = build("small_resnet", classes=3, size=32, seed=1)
    found = patch_maps(other, images, patch=8, methods=["gradient", "b_cos"], b_cos=net)
    torch.testing.assert_close(found["b_cos"], by_hand(b_cos_alpha(net, images), 8))
    assert torch.equal(found["b_cos"], patch_maps(net, images, patch=8, methods=["b_cos"])["b_cos"])


def test_the_lowest_patch_is_zero_where_that_is_asked_for():
    ask = dict(patch=4, methods=["rise"], options=QUICK)
    plain, stretched = (patch_maps(NET, IMAGES, **ask, normalize=how)["rise"].flatten(1) for how in ("max", "min_max"))
    low = plain.amin(1, keepdim=True)
    torch.testing.assert_close(stretched, (plain - low) / (1 - low))
    assert low.min() > 0


def test_patches_of_rise_are_those_of_its_map_also_where_some_pixels_are_negative():
    def shifted(logits):
        return contrast(0, 1)(logits) + 0.8

    for target in (None, shifted):
        pixels = saliency(NET, IMAGES, method="rise", target=target, **QUICK["rise"])
        found = patch_maps(NET, IMAGES, patch=4, methods=["rise"], target=target, options=QUICK)["rise"]
        torch.testing.assert_close(found, by_hand(pixels.clamp(min=0), 4), rtol=1e-6, atol=1e-6)
    assert pixels.min() < 0 < pixels.max()


def test_a_target_is_explained_and_a_batch_changes_nothing():
    one = patch_maps(NET, IMAGES[:1], patch=8, methods=["gradient"], target=class_logit(2))["gradient"]
    all_of_them = patch_maps(NET, IMAGES, patch=8, methods=["gradient"], target=class_logit(2))["gradient"]
    torch.testing.assert_close(one, all_of_them[:1])
    assert not torch.allclose(all_of_them, patch_maps(NET, IMAGES, patch=8, methods=["gradient"],
                                                      target=class_logit(1))["gradient"])


def test_numbers_of_maps_whose_place_is_known():
    exact = where_patches_lie(MASKS[:, ::4, ::4].double(), MASKS)
    assert exact["difference"].eq(0).all() and exact["iou"].eq(1).all() and exact["sparsity"].eq(0.25).all()
    assert exact["auroc"].eq(1).all() and exact["pointing"].eq(1).all()
    trivial = {name: where_patches_lie(maps, MASKS) for name, maps in trivial_maps(MASKS[:, ::4, ::4]).items()}
    assert trivial["empty"]["difference"].eq(0.25).all() and trivial["empty"]["iou"].eq(0.375).all()
    assert trivial["full"]["difference"].eq(0.75).all() and trivial["full"]["auroc"].eq(0.5).all()
    dim = where_patches_lie(0.2 * MASKS[:, ::4, ::4].double(), MASKS)  # the same order, another scale
    assert dim["auroc"].eq(1).all() and dim["iou"].eq(0.375).all()
    torch.testing.assert_close(dim["difference"], torch.full((4,), 0.2, dtype=torch.float64))


REFUSED = [
    (lambda: patch_maps(NET, None, patch=4), "images of NoneType"),
    (lambda: patch_maps(None, IMAGES, patch=4, methods=["gradient"]), "a model of type"),
    (lambda: patch_maps(NET, IMAGES, patch=5), "patch=5 was given, which does not divide images of 16 pixels"),
    (lambda: patch_maps(NET, IMAGES, patch=8, ia=IA), "an IA of patches of 4 pixels was given"),
    (lambda: patch_maps(NET, IMAGES, patch=4, ia=NET), "ia of SmallNet"),
    (lambda: patch_maps(NET, IMAGES, patch=4, methods="gradient"), "expected several names in a list"),
    (lambda: patch_maps(NET, IMAGES, patch=4, methods=["gradcam"]), "nearest: 'grad_cam'"),
    (lambda: patch_maps(NET, IMAGES, patch=4, sign="abs"), "sign 'abs'"),
    (lambda: patch_maps(NET, IMAGES, patch=4, normalize="maximum"), "normalize 'maximum'"),
    (lambda: patch_maps(NET, IMAGES, patch=4, methods=["b_cos"]), "B-cos"),
    (lambda: patch_maps(NET, IMAGES, patch=4, methods=["rise"], options={"rise": {"mask": 3}}), "nearest: 'masks'"),
    (lambda: where_patches_lie(MASKS.double() * 2, MASKS), r"outside \[0, 1\]"),
    (lambda: where_patches_lie(torch.rand(4, 5, 5), MASKS), "patches that divide the masks"),
    (lambda: where_patches_lie(torch.rand(3, 4, 4), MASKS), "masks"),
    (lambda: where_patches_lie(torch.rand(4, 4, 4), None), "masks of NoneType"),
]


@refused(REFUSED)
def test_a_wrong_call_is_refused_in_words(call, said):
    check(call, said)
