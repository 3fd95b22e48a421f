"""Maps of channels against one backward pass a unit, and against the contributions that they share out."""
import pytest
import torch
from torch import nn

from nblib import targets
from nblib.methods.contributions import contribution_map, contributions
from nblib.methods.saliency import saliency
from tests.fixtures.channels_last import SWINS
from tests.fixtures.contributions import movie_net, some_images, vit
from tests.references import contributions as reference

LABELS = torch.tensor([3, 0, 2])
METHODS = ["input_gradient", "integrated_gradients", "activation_gradient"]
SIGNS = {"both": lambda c: c, "positive": lambda c: c.clamp(min=0), "negative": lambda c: c.clamp(max=0)}


@pytest.mark.parametrize("sign", SIGNS)
def test_one_backward_pass_equals_one_for_each_unit(model, sign):
    images = some_images(2, size=6)
    maps = contribution_map(model, images, "relu1", [1, 4], sign=sign, baseline=0.2,
                            target=targets.class_logit(LABELS[:2]))
    for number, label in enumerate(LABELS[:2].tolist()):
        way = images[number] - 0.2
        g = reference.slope_at(model, "relu1", images[number], label)
        shares = g.flatten()[:, None, None, None] * reference.unit_maps(model, "relu1", images[number]) * way
        shares = shares.view(*g.shape, *way.shape)
        sums = shares.sum((3, 4, 5))
        counted = {"both": sums == sums, "positive": sums > 0, "negative": sums < 0}[sign]
        expected = (shares * counted[..., None, None, None])[[1, 4]].sum((0, 1, 2))
        torch.testing.assert_close(maps[number], expected)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sign", SIGNS)
def test_a_map_sums_to_the_contributions_of_its_units(model, method, sign):
    images, target = some_images(), targets.class_logit(LABELS)
    weights = torch.tensor([0.5, 0, -2, 0, 1, 0]).double()
    options = {"method": method, "target": target, "steps": 300, "baseline": 0.1}
    units = SIGNS[sign](contributions(model, images, ["relu1"], **options)["relu1"])
    expected = (units.sum((2, 3)) * weights).sum(1)
    found = contribution_map(model, images, "relu1", weights, sign=sign, **options).sum((1, 2, 3))
    tolerance = 1e-9 if method == "input_gradient" else 0.01
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_all_channels_of_a_cut_give_the_maps_of_saliency(model):
    images = some_images()
    for method, options in [("input_gradient", {}), ("integrated_gradients", {"steps": 8})]:
        more = {"steps": 9, "quadrature": "trapezoid"} if options else {}
        for layer in ("relu1", "bn2"):
            torch.testing.assert_close(contribution_map(model, images, layer, None, method=method, **options),
                                       saliency(model, images, method=method, reduce=None, **more))


class Tent(nn.Module):
    """A channel that rises with the pixel, and one that rises to a half of it and is dark at 0 and at 1."""

    def __init__(self):
        super().__init__()
        self.units = nn.ReLU()

    def forward(self, x):
        plain = self.units(torch.cat([x, x.relu() - 2 * (x - 0.5).relu()], 1))
        return (plain * torch.tensor([1.0, 0.7]).view(1, 2, 1, 1)).sum((2, 3)).cumsum(1)


@pytest.mark.parametrize("steps", [3, 7, 10, 13, 30])
def test_units_that_are_back_where_they_began_have_no_sign(steps):
    def map_of(channels, **options):
        return contribution_map(Tent().eval(), torch.ones(1, 1, 3, 3), "units", channels, target=targets.class_logit(1),
                                method="integrated_gradients", steps=steps, **options)

    torch.testing.assert_close(map_of(None, sign="positive"), map_of([0]), rtol=1e-5, atol=0)
    assert map_of(None, sign="negative").abs().max() < 1e-6


def test_channels_can_be_named_counted_or_weighted(model):
    images = some_images()
    named = contribution_map(model, images, "bn2", [0, 3])
    torch.testing.assert_close(contribution_map(model, images, "bn2", torch.tensor([3, 0])), named)
    weights = torch.zeros(8)
    weights[[0, 3]] = 1
    torch.testing.assert_close(contribution_map(model, images, "bn2", weights), named)
    parts = contribution_map(model, images, "bn2", [0]) + contribution_map(model, images, "bn2", [3])
    torch.testing.assert_close(parts, named)
    assert (contribution_map(model, images, "bn2", []) == 0).all()


def test_tokens_and_frames():
    maps = contribution_map(vit(), some_images(2, size=8), "blocks.1.mlp.fc2:input", torch.ones(24).double())
    assert maps.shape == (2, 3, 8, 8) and maps.any()
    assert contribution_map(movie_net(), some_images(2, size=8, channels=7), "0", [2]).shape == (2, 7, 8, 8)


@pytest.mark.parametrize("options, error, message", [
    ({"channels": [6]}, ValueError, "channel=6 was given, expected a whole number from 0 to 5"),
    ({"channels": [-1]}, ValueError, "channel=-1"),
    ({"channels": torch.ones(5)}, ValueError, "weights of shape \\(5,\\) were given, expected \\(6,\\)"),
    ({"channels": torch.ones(6, dtype=torch.bool)}, ValueError, "channels of torch.bool"),
    ({"channels": 3}, ValueError, "expected a row of whole numbers"),
    ({"layer": ["relu1"]}, ValueError, "expected one name"),
    ({"layer": "relu3"}, KeyError, "nearest"),
    ({"sign": "plus"}, ValueError, "sign 'plus' was given"),
    ({"method": "smooth_gradient"}, ValueError, "method 'smooth_gradient' was given"),
])
def test_what_does_not_fit_is_refused(model, options, error, message):
    chosen = {"layer": "relu1", "channels": [0]} | options
    with pytest.raises(error, match=message):
        contribution_map(model, some_images(), chosen.pop("layer"), chosen.pop("channels"), **chosen)


@pytest.mark.parametrize("make", SWINS.values(), ids=SWINS)
def test_channels_that_come_last_are_told_by_what_made_them(make):
    model, images = make(), some_images(2, size=32)
    layer = "layers.0" if hasattr(model, "layers") else "features.1"
    told = contribution_map(model, images, layer, [1, 5])
    torch.testing.assert_close(told, contribution_map(model, images, layer, [1, 5], channel_axis=3))
    found = contributions(model, images, [layer], method="input_gradient")[layer]
    torch.testing.assert_close(told.sum((1, 2, 3)), found[..., [1, 5]].sum((1, 2, 3)))
