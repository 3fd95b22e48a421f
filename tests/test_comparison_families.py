"""Every family as maps: each by the formula from its parts, on any network, and left out in words."""
import pytest
import torch
from torch import nn

from nblib.comparison import FAMILIES, explainers, family_of
from nblib.methods import neural_pathways
from nblib.methods.concepts import Craft
from nblib.methods.contributions import contribution_map, contributions
from nblib.methods.importance import importance_map
from nblib.methods.neuron_paths import find_paths
from nblib.methods.saliency import saliency
from nblib.models import build
from nblib.models.vit import neuron_layers
from nblib.targets import class_logit, class_probability
from tests.fixtures.importance import an_ia, some_images
from tests.fixtures.networks import Faulty, settled
from tests.fixtures.refusals import check, refused

NET = settled(build("small_resnet", classes=4, size=16, seed=1)).double()
VIT = build("small_vit", classes=4, size=16, seed=1).double()
IMAGES = some_images(6).double()
LABELS = torch.tensor([0, 1, 2, 3, 0, 1])
ASK = dict(steps=3, masks=10, window=0.5, n_concepts=3, n_modes=6, sparsity=0.8)
LAST = "layer3"


def by(net, name, **changed):
    working, reasons = explainers(net, IMAGES, methods=[name], **ASK | changed)
    assert name in working, reasons
    return working[name]


@pytest.mark.parametrize("name", FAMILIES["saliency"])
def test_saliency_is_that_of_its_room_for_the_class_that_is_named(name):
    options = {"integrated_gradients": {"steps": 3}, "occlusion": {"window": 0.5, "stride": 0.25},
               "rise": {"masks": 10, "p": 0.5}}.get(name, {})
    target = class_probability if name in ("occlusion", "rise") else class_logit
    colours = saliency(NET, IMAGES, method=name, reduce=None, target=target(LABELS), **options)
    if name in ("gradient", "guided_backprop"):
        expected = colours.abs().sum(1)
    else:
        expected = colours.sum(1).abs() if name == "integrated_gradients" else colours.sum(1).clamp(min=0)
    torch.testing.assert_close(by(NET, name)(IMAGES, LABELS), expected)


def test_concepts_are_added_up_by_their_importance_image_by_image():
    craft = Craft(NET, LAST, n_concepts=3).fit(IMAGES)
    found = by(NET, "craft")(IMAGES, LABELS)
    for n, label in enumerate(LABELS.tolist()):
        weights = craft.image_importance(IMAGES[n : n + 1], label)[0].nan_to_num()
        where = craft.maps(IMAGES[n : n + 1])[0]
        torch.testing.assert_close(found[n], sum(weight * each for weight, each in zip(weights, where)))


def test_contributions_are_of_the_units_that_speak_for_the_class():
    found = by(NET, "contributions")(IMAGES, LABELS)
    for n in range(len(IMAGES)):
        expected = contribution_map(NET, IMAGES[n : n + 1], LAST, None, target=class_logit(LABELS[n : n + 1]),
                                    method="activation_gradient", sign="positive", steps=3)
        torch.testing.assert_close(found[n], expected[0].sum(0).abs())


def test_a_mode_is_one_weighting_of_channels_and_the_map_is_that_of_the_leading_one():
    found = by(NET, "mode")(IMAGES, LABELS)
    again = by(NET, "mode")(IMAGES[2:3], LABELS[2:3])
    torch.testing.assert_close(found[2:3], again)
    whole = contributions(NET, IMAGES, [LAST], target=class_logit(LABELS), steps=3)[LAST]
    assert whole.shape[1] > 6 and found.shape == IMAGES[:, 0].shape and (found >= 0).all() and found.any()


@pytest.mark.parametrize("kind", ["gradient", "grad_cam"])
def test_a_pathway_is_that_of_activation_times_gradient(kind):
    layers = neural_pathways.relu_layers(NET, IMAGES[:1])
    target = class_logit(LABELS)
    scores = neural_pathways.unit_scores(NET, IMAGES, layers, method="taylor", target=target)
    chosen = neural_pathways.select({layer: values.abs() for layer, values in scores.items()}, 0.8)
    if kind == "gradient":
        expected = neural_pathways.pathway_gradient(NET, IMAGES, chosen, target=target).abs().sum(1)
    else:
        expected = neural_pathways.pathway_grad_cam(NET, IMAGES, chosen, target=target).clamp(min=0)
    torch.testing.assert_close(by(NET, f"pathway_{kind}")(IMAGES, LABELS), expected)


def test_a_neuron_path_is_summed_over_its_neurons_one_by_one():
    layers = neuron_layers(VIT)
    tokens = "cls" if VIT.global_pool == "token" else "patches"
    neurons = find_paths(VIT, IMAGES, LABELS, layers, steps=3, tokens=tokens).neurons[:, :, 0]
    found = by(VIT, "neuron_path")(IMAGES, LABELS)
    for n in (0, 3):
        parts = [contribution_map(VIT, IMAGES[n : n + 1], layer, [neurons[n, place].item()],
                                  target=class_logit(LABELS[n : n + 1])) for place, layer in enumerate(layers)]
        torch.testing.assert_close(found[n], sum(parts)[0].sum(0).abs())


def test_importance_is_of_the_network_that_weights_patches():
    ia, images = an_ia(), some_images(3)
    working, _ = explainers(settled(build("small_resnet", classes=3, size=16, seed=1)), images, methods=["importance"], ia=ia)
    small = importance_map(ia, images)
    torch.testing.assert_close(working["importance"](images, LABELS[:3])[:, ::ia.patch, ::ia.patch], small)


def test_what_does_not_apply_is_left_out_with_its_reason():
    working, reasons = explainers(NET, IMAGES, **ASK)
    assert set(working) | set(reasons) == {name for names in FAMILIES.values() for name in names}
    assert "vision transformer" in reasons["neuron_path"] and "none was trained" in reasons["importance"]
    working, reasons = explainers(VIT, IMAGES, **ASK)
    assert "neuron_path" in working and "contributions" in working
    assert {"grad_cam", "craft", "pathway_gradient", "pathway_grad_cam", "importance"} <= set(reasons)


class Functional(nn.Module):
    """A network whose ReLUs are functions, so that pathways go through what is never negative."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 6, 3), nn.Sequential(nn.Conv2d(6, 8, 3), nn.Softplus()), nn.Linear(8, 3)

    def forward(self, images):
        return self.head(self.second(self.first(images).relu()).mean((2, 3)))


def test_where_relus_are_functions_pathways_go_through_what_is_never_negative():
    net = Functional().double().eval()
    working, reasons = explainers(net, some_images(4), methods=["pathway_gradient"])
    assert "pathway_gradient" in working, reasons
    assert working["pathway_gradient"](some_images(4), torch.tensor([0, 1, 2, 0])).any()


def test_a_method_that_fails_is_left_out_and_said_to_have_failed():
    working, reasons = explainers(Faulty(RuntimeError("no slope")).double().eval(), some_images(4), methods=["gradient", "rise"])
    assert list(working) == ["rise"] and reasons == {"gradient": "it failed: no slope"}


@pytest.mark.parametrize("kind", [torch.OutOfMemoryError, torch.AcceleratorError, ZeroDivisionError])
def test_what_is_no_word_about_a_method_comes_up(kind):
    with pytest.raises(kind, match="elsewhere"):
        explainers(Faulty(kind("elsewhere")).double().eval(), some_images(4), methods=["gradient"])


def test_a_map_does_not_depend_on_its_batch_and_leaves_nothing():
    before = {name: value.clone() for name, value in NET.state_dict().items()}
    working, _ = explainers(NET, IMAGES, **ASK)
    for name, explain in working.items():
        torch.testing.assert_close(explain(IMAGES[3:4], LABELS[3:4]), explain(IMAGES, LABELS)[3:4], msg=name)
    assert all(torch.equal(value, before[name]) for name, value in NET.state_dict().items())
    assert all(parameter.grad is None for parameter in NET.parameters())


REFUSED = [
    (lambda: explainers(NET, IMAGES[:1]), "a pool of 1 image"),
    (lambda: explainers(NET, IMAGES, methods=["gradcam"]), "nearest: 'grad_cam'"),
    (lambda: explainers(NET, IMAGES, steps=1), "steps=1"),
    (lambda: explainers(NET, IMAGES, masks=2), "masks=2"),
    (lambda: explainers(NET, IMAGES, sparsity=2), "sparsity=2"),
    (lambda: explainers(NET, IMAGES, ia=NET), "ia of "),
    (lambda: explainers(NET, None), "images of NoneType"),
    (lambda: explainers(build("small_resnet", classes=4, size=16, seed=1).train(), IMAGES.float()), "training mode"),
    (lambda: family_of("gradcam"), "nearest: 'grad_cam'"),
]


@refused(REFUSED)
def test_a_wrong_call_is_refused_in_words(call, said):
    check(call, said)
