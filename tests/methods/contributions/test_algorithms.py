"""Contributions against the formulas written slowly, captum, and identities."""
import captum.attr
import pytest
import torch
from torch import nn

from nblib import targets
from nblib.engine import quadrature_rule
from nblib.hooks import capture
from nblib.methods.contributions import METHODS, QUADRATURES, completeness_gap, contributions
from nblib.methods.saliency import saliency
from tests.fixtures.contributions import CUTS, OF_VIT, movie_net, some_images, vit
from tests.fixtures.networks import LinearNet, SmallNet, settled
from tests.references import contributions as reference

every_method = pytest.mark.parametrize("method", METHODS)
LABELS = torch.tensor([3, 0, 2])


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("quadrature, slow", [("trapezoid", reference.trapezoid), ("right", reference.right)])
def test_integrated_gradients_equal_the_papers_sum_written_slowly(model, quadrature, slow):
    images = some_images()
    found = contributions(model, images, ["conv1", "relu1", "bn2"], steps=4, quadrature=quadrature, baseline=0.3,
                          target=targets.class_logit(LABELS))
    for layer, values in found.items():
        for number, label in enumerate(LABELS.tolist()):
            start = torch.full_like(images[0], 0.3)
            close(values[number], slow(model, layer, images[number], label, start, 4))


def test_other_quadratures_take_the_slopes_and_intervals_that_they_say(model):
    images, label = some_images(1), 2
    black = torch.zeros_like(images[0])
    for quadrature, points, bounds in [
        ("left", [0, 1 / 3, 2 / 3], [0, 1 / 3, 2 / 3, 1]),
        ("midpoint", [1 / 6, 1 / 2, 5 / 6], [0, 1 / 3, 2 / 3, 1]),
        ("gausslegendre", [(1 - 0.6**0.5) / 2, 1 / 2, (1 + 0.6**0.5) / 2], [0, 5 / 18, 13 / 18, 1]),
    ]:
        h = [reference.output(model, "relu1", bound * images[0]) for bound in bounds]
        g = [reference.slope_at(model, "relu1", point * images[0], label) for point in points]
        expected = sum(g[k] * (h[k + 1] - h[k]) for k in range(3))
        found = contributions(model, images, "relu1", steps=3, quadrature=quadrature, target=targets.class_logit(label))
        close(found["relu1"][0], expected)
        assert not torch.equal(expected, reference.trapezoid(model, "relu1", images[0], label, black, 3))


def test_the_methods_at_one_point_equal_their_formulas(model):
    images, target = some_images(size=6), targets.class_logit(LABELS)
    for number, label in enumerate(LABELS.tolist()):
        image, start = images[number], torch.full_like(images[0], 0.2)
        h, before = (reference.output(model, "relu1", x) for x in (image, start))
        g = reference.slope_at(model, "relu1", image, label)
        moved = (reference.unit_maps(model, "relu1", image) * (image - start)).sum((1, 2, 3)).view_as(h)
        for method, baseline, expected in [
            ("activation_gradient", 0.2, (h - before) * g),
            ("activation_gradient", None, h * g),
            ("normalized_gradient", 0.2, h * g / g.norm()),
            ("input_gradient", 0.2, g * moved),
        ]:
            found = contributions(model, images, ["relu1"], method=method, baseline=baseline, target=target)
            close(found["relu1"][number], expected)


def test_smooth_gradient_is_the_mean_over_the_same_noise_for_every_image(model):
    images = some_images(2)
    found = contributions(model, images, ["bn2"], method="smooth_gradient", steps=3, noise=0.2, seed=4,
                          target=targets.class_logit(1))["bn2"]
    fields = 0.2 * torch.randn(3, 3, 12, 12, generator=torch.Generator().manual_seed(4))
    for number in range(2):
        noisy = [images[number] + field.double() for field in fields]
        expected = sum(reference.output(model, "bn2", x) * reference.slope_at(model, "bn2", x, 1) for x in noisy) / 3
        close(found[number], expected)
    assert torch.equal(found, contributions(model, images, ["bn2"], method="smooth_gradient", steps=3, noise=0.2,
                                            seed=4, target=targets.class_logit(1))["bn2"])


@pytest.mark.parametrize("quadrature", QUADRATURES)
def test_the_line_in_the_layers_space_equals_its_formula(model, quadrature):
    images = some_images(1)
    points, weights = quadrature_rule(quadrature, 4 if quadrature == "trapezoid" else 3)
    found = contributions(model, images, ["relu1"], method="layer_integrated_gradients", steps=3, baseline=0.1,
                          quadrature=quadrature, target=targets.class_logit(1))["relu1"][0]
    start = torch.full_like(images[0], 0.1)
    close(found, reference.layer_line(model, "relu1", images[0], 1, start, points.tolist(), weights.tolist()))


def test_the_line_in_the_layers_space_equals_captums(model):
    images = some_images()
    for layer in ("conv1", "relu1", "bn2"):
        theirs = captum.attr.LayerIntegratedGradients(model, model.get_submodule(layer)).attribute(
            images, target=LABELS, n_steps=7, method="gausslegendre")
        ours = contributions(model, images, [layer], method="layer_integrated_gradients", steps=7,
                             quadrature="gausslegendre", target=targets.class_logit(LABELS))[layer]
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-9)


def test_integrated_gradients_near_captums_conductance_as_the_steps_grow(model):
    images, differences = some_images(), []
    for steps in (25, 100, 400):
        theirs = captum.attr.LayerConductance(model, model.relu1).attribute(
            images, target=LABELS, n_steps=steps, method="riemann_trapezoid")
        ours = contributions(model, images, ["relu1"], steps=steps, target=targets.class_logit(LABELS))["relu1"]
        differences.append(((ours - theirs).norm() / ours.norm()).item())
    assert differences[1] < differences[0] / 2.5 and differences[2] < differences[1] / 2.5 and differences[2] < 0.01
    theirs = captum.attr.LayerConductance(model, model.pool).attribute(
        images, target=LABELS, n_steps=5, method="riemann_trapezoid")
    ours = contributions(model, images, ["pool"], steps=1, target=targets.class_logit(LABELS))["pool"]
    close(ours, theirs.detach())  # nothing bends behind the last layer


@pytest.mark.parametrize("quadrature", QUADRATURES)
def test_on_a_cut_the_sum_nears_the_change_of_the_target(model, quadrature):
    images = some_images()
    change = (model(images).max(1).values - model(torch.zeros_like(images))[range(3), model(images).argmax(1)]).abs()
    gaps = []
    for steps in (5, 40, 320):
        found = contributions(model, images, CUTS, steps=steps, quadrature=quadrature)
        gaps.append(max(completeness_gap(values, model, images).abs().max().item() for values in found.values()))
    assert gaps[2] < gaps[1] < gaps[0] and gaps[2] < 0.01 * change.max().item()


def test_what_acts_on_single_values_passes_a_contribution_on_unchanged(model):
    found = contributions(model, some_images(), ["conv1", "bn1", "relu1"], steps=500)
    close(found["conv1"], found["bn1"])  # affine for each value: exactly, at any number of steps
    assert (found["bn1"] - found["relu1"]).norm() < 0.02 * found["relu1"].norm()


def test_on_a_linear_network_all_algorithms_agree():
    model, images = settled(nn.Sequential(nn.Conv2d(3, 5, 3, bias=False), LinearTail())), some_images()
    target = targets.class_logit(LABELS)
    expected = contributions(model, images, ["0"], method="activation_gradient", target=target)["0"]
    for method in ("integrated_gradients", "input_gradient", "layer_integrated_gradients"):
        for steps in (1, 3):
            close(contributions(model, images, ["0"], method=method, steps=steps, target=target)["0"], expected)
    close(contributions(model, images, ["0"], method="smooth_gradient", noise=0.0, target=target)["0"], expected)


class LinearTail(nn.Module):
    """Four logits, linear and without a bias."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(500, 4, bias=False)

    def forward(self, x):
        return self.head(x.flatten(1))


def test_the_contributions_of_the_input_are_those_of_the_pixels(model):
    images = some_images()
    ours = contributions(model, images, ["conv1:input"], steps=9)["conv1:input"]
    theirs = saliency(model, images, method="integrated_gradients", steps=10, quadrature="trapezoid", reduce=None)
    close(ours, theirs)


def test_the_ladder_of_simplifications(model):
    """Slopes that change along the way make the difference: behind the last bend there is none."""
    images = some_images()
    found = {method: contributions(model, images, ["relu1", "pool"], method=method, steps=50) for method in METHODS}
    close(found["integrated_gradients"]["pool"], found["activation_gradient"]["pool"])
    apart = found["integrated_gradients"]["relu1"] - found["activation_gradient"]["relu1"]
    assert apart.norm() > 0.01 * found["integrated_gradients"]["relu1"].norm()


@every_method
def test_no_target_is_the_class_predicted_at_the_image_all_along(model, method):
    images = some_images()
    target = targets.class_logit(model(images).argmax(1))
    ours = contributions(model, images, ["relu1"], method=method, steps=3)["relu1"]
    close(ours, contributions(model, images, ["relu1"], method=method, steps=3, target=target)["relu1"])


def test_the_largest_logit_may_be_another_class_along_the_way():
    model, images = settled(LinearNet(4)), torch.ones(1, 3, 4, 4).double()
    with torch.no_grad():
        model.head.weight[:] = torch.tensor([1.0, -1.0, 0.0]).view(3, 1)
        model.head.bias[:] = torch.tensor([0.0, 40.0, 0.0])  # class 1 leads in the dark half of the way
    fixed = contributions(model, images, ["head:input"], steps=100)["head:input"]
    drifting = contributions(model, images, ["head:input"], steps=100, target=targets.max_logit())["head:input"]
    close(fixed.sum(), torch.tensor(48.0).double())
    close(drifting.sum(), fixed.sum() * (100 - 2 * 41.5) / 100)  # the lead changes between the 41st and 42nd step


@pytest.mark.parametrize("make", [targets.max_logit, targets.entropy, lambda: targets.top_k_sum(2), targets.contrast,
                                  lambda: targets.class_probability(LABELS)])
def test_any_target_is_shared_out(model, make):
    images = some_images()
    found = contributions(model, images, ["relu1", "relu2"], steps=300, target=make())
    for values in found.values():
        gap = completeness_gap(values, model, images, target=make())
        assert gap.abs().max() < 0.02 * values.abs().flatten(1).sum(1).max()


def test_windows_of_a_movie_and_surprisal():
    model, images = movie_net(), some_images(4, size=8, channels=7)
    target = targets.surprisal(torch.zeros(3).double(), torch.eye(3).double())
    found = contributions(model, images, ["0", "2"], steps=200, target=target, baseline=0.5)
    assert found["0"].shape == (4, 4, 6, 6) and found["2"].shape == (4, 5, 4, 4)
    for values in found.values():
        gap = completeness_gap(values, model, images, target=target, baseline=0.5)
        assert gap.abs().max() < 0.01 * values.abs().flatten(1).sum(1).max()


@every_method
def test_layers_of_a_vit_in_one_run_are_those_of_single_runs(method):
    model, images = vit(), some_images(2, size=8)
    together = contributions(model, images, OF_VIT, method=method, steps=4)
    assert list(together) == OF_VIT and together["blocks.1.mlp.fc2:input"].shape == (2, 5, 24)
    for layer in OF_VIT:
        assert torch.equal(together[layer], contributions(model, images, [layer], method=method, steps=4)[layer])


def test_blocks_of_a_vit_are_cuts_and_side_branches_are_not():
    model, images = vit(), some_images(2, size=8)
    found = contributions(model, images, OF_VIT, steps=200)
    gaps = {layer: completeness_gap(values, model, images).abs().max().item() for layer, values in found.items()}
    assert gaps["blocks.0"] < 1e-3 and gaps["blocks.2"] < 1e-3
    assert gaps["blocks.1.mlp.fc2:input"] > 0.05 and gaps["blocks.1.attn.proj:input"] > 0.05
    assert (found["blocks.2"][:, 1:] == 0).all()  # the class token alone is read


def test_a_sum_over_a_heads_values_is_a_view_of_the_projections_input():
    model, images = vit(), some_images(2, size=8)
    values = contributions(model, images, ["blocks.1.attn.proj:input"])["blocks.1.attn.proj:input"]
    with capture(model, ["blocks.1.attn.proj:input"]) as seen:
        model(images)
    assert values.shape == seen["blocks.1.attn.proj:input"].shape
    close(values.unflatten(-1, (2, 6)).sum((1, 3)).sum(1), values.sum((1, 2)))


def test_relus_in_place_or_functional_change_nothing(model):
    images, expected = some_images(), None
    for relu in ("module", "inplace", "functional"):
        other = SmallNet(relu=relu)
        other.load_state_dict(model.state_dict())
        found = contributions(other.double().eval(), images, ["conv1", "bn2"], steps=3)
        expected = expected or found
        for layer, values in found.items():
            close(values, expected[layer])
