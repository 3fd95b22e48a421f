"""A network of one logit: refused with advice wherever classes are compared, explained where its logit is asked for."""
import pytest
import torch
from torch import nn

from nblib import targets
from nblib.data import Images
from nblib.methods.concepts import Craft
from nblib.methods.modes import ablation_curves
from nblib.methods.neuron_paths import edited_probabilities, find_paths
from nblib.methods.saliency import applicable, completeness_gap, saliency
from nblib.metrics import road
from nblib.models.vit import neuron_layers
from nblib.training import evaluate, fit, predict
from tests.fixtures.networks import SmallNet, settled
from tests.fixtures.saliency import every_method, raw, some_images
from tests.fixtures.training import bright
from tests.fixtures.transformers import timm_vit
from tests.models.test_vit import some_images as tokens_images

ADVICE = r"one logit was given where classes are compared.*\(0, z\).*class_logit\(0\)"


class Two(nn.Module):
    """What the advice says: the logits 0 and z."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x):
        z = self.model(x)
        return torch.cat([torch.zeros_like(z), z], 1)


@pytest.fixture
def single():
    return settled(SmallNet(classes=1))


@every_method
def test_no_target_or_a_probability_is_refused(single, method):
    wrong = [None, targets.class_probability(0), targets.entropy(), targets.contrast()]
    for target in wrong:
        with pytest.raises(ValueError, match=ADVICE):
            raw(single, some_images(), method, target=target)
    with pytest.raises(ValueError, match="the model has 1 classes"):
        raw(single, some_images(), method, target=targets.class_logit(1))


@every_method
def test_the_logit_itself_is_explained_and_so_are_the_two_of_the_advice(single, method):
    images, two = some_images(), Two(single).eval()
    layer = {"layer": "relu2"} if method.startswith("grad_cam") else {}
    alone = raw(single, images, method, target=targets.class_logit(0), **layer)
    assert alone.any()
    layer = {"layer": "model.relu2"} if layer else {}
    torch.testing.assert_close(raw(two, images, method, target=targets.class_logit(1), **layer), alone)
    assert raw(two, images, method, **layer).isfinite().all()


def test_metrics_and_other_methods(single):
    images, maps = some_images(), some_images()[:, 0]
    for value in ("correct", "probability"):
        with pytest.raises(ValueError, match=ADVICE):
            road(single, images, 0, maps, percentages=[50], value=value)
    two = Two(single).eval()
    curve = road(single, images, 0, maps, percentages=[50], value="logit")
    torch.testing.assert_close(road(two, images, 1, maps, percentages=[50], value="logit"), curve)
    vit, layers = timm_vit(num_classes=1), neuron_layers(timm_vit())
    for call in (lambda: completeness_gap(maps, single, images),
                 lambda: find_paths(vit, tokens_images(), 0, layers, steps=2),
                 lambda: edited_probabilities(vit, tokens_images(), layers, torch.zeros(1, 3, 1, dtype=torch.long)),
                 lambda: ablation_curves(single, images, 0, "relu2", {"any": torch.rand(1, 8)}, shares=[0.5]),
                 lambda: saliency(single, images, method="gradient")):
        with pytest.raises(ValueError, match=ADVICE):
            call()
    with pytest.raises(ValueError, match=ADVICE):
        applicable(single, images, ["gradient"])
    ours, theirs = (Craft(model, layer, crop=0.5, n_concepts=2).fit(images).contributions(images, label)
                    for model, layer, label in ((single, "relu2", 0), (two, "model.relu2", 1)))
    torch.testing.assert_close(ours, theirs)


def test_training_and_measuring(single):
    data = Images(some_images().float(), torch.tensor([0, 1, 0]), ["no", "yes"])
    model = single.float()
    assert predict(model, data.images).shape == (3, 1)
    for labels in (data.labels, torch.zeros(3, dtype=torch.long)):
        given = Images(data.images, labels, data.classes)
        with pytest.raises(ValueError, match=ADVICE):
            evaluate(model, given)
        with pytest.raises(ValueError, match=ADVICE):
            fit(model, given, epochs=1, device="cpu", progress=False)
    two = Two(model)
    right = ((model(data.images)[:, 0] > 0).long() == data.labels).float().mean().item()
    assert evaluate(two, data) == pytest.approx(right)
    fit(Two(SmallNet(classes=1)), bright(), epochs=1, device="cpu", progress=False)
