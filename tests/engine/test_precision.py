"""Half precision and mixed types: everything runs, and long sums are those of double precision, not stalled ones."""
import copy

import pytest
import torch
from torch import nn

from nblib import metrics
from nblib.methods.concepts import Craft, switch_off
from nblib.methods.saliency import b_cos_alpha, completeness_gap, saliency
from nblib.models.b_cos import small_b_cos
from nblib.training import evaluate, predict
from tests.fixtures.networks import LinearNet, SmallNet, settled
from tests.fixtures.saliency import QUICK, every_method, raw, some_images
from tests.fixtures.training import bright, run, tiny
from tests.fixtures.transformers import LABELS, everything, layers_of, timm_vit
from tests.models.test_vit import some_images as tokens_images

HALF = torch.bfloat16
EPS = 2**-7  # of bfloat16: what one rounding may change, relatively


class Mixed(SmallNet):
    """A body in half precision with a head in single precision."""

    def forward(self, x):
        x = self.relu2(self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x))))))
        return self.head(self.pool(x).flatten(1).float())


def mixed() -> nn.Module:
    model = settled(Mixed()).to(HALF)
    model.head.float()
    return model


def near(ours, exact, share):
    """Within a share of the largest value."""
    assert (ours.double() - exact).abs().max() <= share * exact.abs().max(), (ours.double() - exact).abs().max()


@every_method
def test_a_half_body_with_a_float_head_is_explained_as_in_double(method):
    model, images = mixed(), some_images().to(HALF)
    options = {"masks": 400} if method == "rise" else {}
    maps = raw(model, images, method, **options)
    double = settled(SmallNet())
    double.load_state_dict({name: tensor.double() for name, tensor in model.state_dict().items()})
    exact = raw(double, images.double(), method, **options)
    assert maps.dtype == HALF and maps.isfinite().all()
    cosine = torch.cosine_similarity(maps.double().flatten(1), exact.flatten(1))
    assert (cosine > 0.97).all(), cosine


@every_method
def test_under_autocast_maps_are_those_of_single_precision(model, method):
    images = some_images().float()
    exact = raw(model.float(), images, method)
    with torch.autocast("cpu", HALF):
        maps = raw(model, images, method)
    assert maps.dtype == torch.float32
    assert (torch.cosine_similarity(maps.flatten(1), exact.flatten(1)) > 0.95).all()


LONG = {  # many equal terms: in bfloat16 a sum stands still once a term is below half a rounding of it
    "integrated_gradients": {"steps": 2000, "quadrature": "midpoint", "chunk_size": 2},
    "smooth_gradient": {"samples": 2000, "noise": 0.5, "chunk_size": 2},
    "gradient_shap": {"samples": 2000, "noise": 0.25, "chunk_size": 2},
    "occlusion": {"window": 6, "stride": 1},
    "rise": {"masks": 3000, "p": 0.5},
}


@pytest.mark.parametrize("method", LONG)
def test_long_sums_in_half_precision_are_those_in_double(method):
    half = settled(LinearNet(8)).to(HALF)
    images = (some_images(2, size=8) / 4).to(HALF)
    exact = saliency(copy.deepcopy(half).double(), images.double(), method=method, reduce=None, **LONG[method])
    near(saliency(half, images, method=method, reduce=None, **LONG[method]), exact, 3 * EPS)


def test_the_map_of_a_constant_network_is_the_mean_of_its_masks():
    class Constant(LinearNet):
        def forward(self, x):
            return super().forward(0 * x)

    half, images = settled(Constant(8)).to(HALF), some_images(1, size=8).to(HALF)
    exact = saliency(copy.deepcopy(half).double(), images.double(), method="rise", masks=4000)
    near(saliency(half, images, method="rise", masks=4000), exact, EPS)


@pytest.mark.parametrize("measure", ["gini", "hoyer", "importance_sparsity"])
def test_measures_of_large_maps(measure):
    maps = torch.rand(2, 200, 200, generator=torch.Generator().manual_seed(0)).to(HALF)
    ours = getattr(metrics, measure)(maps)
    assert ours.dtype == HALF
    near(ours, getattr(metrics, measure)(maps.double()), EPS)


def test_measures_against_masks_patches_and_curves():
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(2, 64, 64, generator=generator).to(HALF)
    masks = torch.rand(2, 64, 64, generator=generator) > 0.7
    for measure in ("auroc", "average_precision", "energy_inside", "energy_gain", "pointing_game", "patch_iou",
                    "segmentation_difference"):
        near(getattr(metrics, measure)(maps, masks), getattr(metrics, measure)(maps.double(), masks), EPS)
    near(metrics.to_patches(maps, 32), metrics.to_patches(maps.double(), 32), EPS)
    wide, turned = maps.double(), maps.double().flip(2)
    near(metrics.rank_correlation(maps, maps.flip(2)), metrics.rank_correlation(wide, turned), EPS)
    near(metrics.reproducibility([maps, maps.flip(2)]), metrics.reproducibility([wide, turned]), EPS)
    curve = torch.rand(3, 1001, generator=generator).to(HALF)
    for reference in ("untouched", "published"):
        near(metrics.aopc(curve, reference=reference), metrics.aopc(curve.double(), reference=reference), EPS)


@pytest.mark.parametrize("value", ["correct", "probability", "logit"])
def test_curves_of_removal(value):
    model, images = mixed(), some_images(4).to(HALF)
    double = settled(SmallNet())
    double.load_state_dict({name: tensor.double() for name, tensor in model.state_dict().items()})
    labels, maps = torch.tensor([3, 0, 2, 1]), some_images(4)[:, 0]
    given = dict(percentages=[10, 50, 90], value=value, noise=0.0)
    ours = metrics.road(model, images, labels, maps, **given)
    exact = metrics.road(double, images.double(), labels, maps, **given)
    assert ours.dtype == torch.float32
    if value == "correct":
        assert (ours == exact).float().mean() > 0.9
    else:
        near(ours, exact, 0.05)
    with torch.autocast("cpu", HALF):
        near(metrics.road(double.float(), images.float(), labels, maps, **given)[:, :1], exact[:, :1], 0.05)


def test_gaps_are_told_from_whole_sums():
    half, images = settled(LinearNet(8)).to(HALF), some_images(2, size=8).to(HALF)
    maps = saliency(half, images, method="input_gradient", reduce=None)
    double = copy.deepcopy(half).double()
    gap = completeness_gap(maps.double(), double, images.double())
    assert (completeness_gap(maps, half, images).double() - gap).abs().max() < 0.05


def test_b_cos_maps_in_half_precision():
    half, images = settled(small_b_cos(classes=4, size=12)).to(HALF), some_images(2).to(HALF)
    double = copy.deepcopy(half).double()
    for made, exact in ((raw_b_cos(half, images), raw_b_cos(double, images.double())),
                        (b_cos_alpha(half, images), b_cos_alpha(double, images.double()))):
        assert made.dtype == HALF
        assert (torch.cosine_similarity(made.double().flatten(1), exact.flatten(1)) > 0.9).all()


def raw_b_cos(model, images):
    return saliency(model, images, method="b_cos", reduce=None)


def test_concepts_in_half_precision_and_under_autocast(model):
    images, double = some_images(6), model
    exact = Craft(double, "relu2", crop=0.5, n_concepts=2).fit(images)
    single = copy.deepcopy(double).float()
    plain = Craft(single, "relu2", crop=0.5, n_concepts=2).fit(images.float())
    with torch.autocast("cpu", HALF):
        cast = Craft(single, "relu2", crop=0.5, n_concepts=2).fit(images.float())
        assert cast.coefficients(images.float()).isfinite().all()
    half = Craft(copy.deepcopy(double).to(HALF), "relu2", crop=0.5, n_concepts=2).fit(images.to(HALF))
    for craft in (plain, cast, half):
        assert craft.reconstruction_error == pytest.approx(exact.reconstruction_error, abs=0.02)
        assert craft.bank.dtype == torch.float32
    assert switch_off(half, 0)(some_images(1, 6)[:, :1].repeat(1, 8, 1, 1).to(HALF)).dtype == HALF
    with pytest.raises(ValueError, match="lost in its rounding"):
        half.importance(images.to(HALF), 1)


@everything
def test_neuron_paths_in_half_precision_and_under_autocast(function):
    model, images = timm_vit().to(HALF), tokens_images().to(HALF)
    exact = function(copy.deepcopy(model).double(), images.double(), LABELS, layers_of(model))
    ours = function(model, images, LABELS, layers_of(model))
    with torch.autocast("cpu", HALF):
        cast = function(copy.deepcopy(model).float(), images.float(), LABELS, layers_of(model))
    if ours.is_floating_point():
        assert ours.dtype == cast.dtype == torch.float32
        assert torch.corrcoef(torch.stack([ours.double().flatten(), exact.flatten()]))[0, 1] > 0.8
    assert ours.shape == cast.shape == exact.shape


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_training_and_measuring(precision):
    model = tiny()
    losses = run(model, epochs=4, lr=1e-2, precision=precision)
    assert losses[-1] < losses[0]
    exact = predict(model, bright().images)
    near(predict(model.to(HALF), bright().images.to(HALF)), exact.double(), 0.05)
    data = bright()
    with torch.autocast("cpu", HALF):
        assert evaluate(model.float(), data) > 0.6


