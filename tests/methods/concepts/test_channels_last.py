"""Concepts of a layer whose channels are last: what the same network gives whose channels are first."""
import torch
from torch import nn

from nblib.hooks import edit
from nblib.methods.concepts import Craft, switch_off
from nblib.training import predict
from tests.fixtures.channels_last import ChannelsLast, wide_images
from tests.fixtures.networks import settled


class ChannelsFirst(ChannelsLast):
    """The same, whose last layer of places is turned back."""

    def __init__(self):
        super().__init__()
        self.turned = nn.Identity()

    def forward(self, x):
        x = self.turned(self.relu(self.norm(self.conv(x).permute(0, 2, 3, 1))).permute(0, 3, 1, 2))
        return self.head(x.mean((2, 3)))


def test_concepts_of_a_layer_with_channels_last_are_those_of_the_layer_turned():
    images, last, first = wide_images(4), settled(ChannelsLast()), settled(ChannelsFirst())
    first.load_state_dict(last.state_dict())
    ours, theirs = Craft(last, "relu", n_concepts=3).fit(images), Craft(first, "turned", n_concepts=3).fit(images)
    torch.testing.assert_close(ours.bank, theirs.bank)
    torch.testing.assert_close(ours.coefficients(images), theirs.coefficients(images))
    torch.testing.assert_close(ours.contributions(images, 2), theirs.contributions(images, 2))
    for estimator in ("exact", "sobol"):
        ours_by, theirs_by = (craft.importance(images, 2, estimator=estimator) for craft in (ours, theirs))
        torch.testing.assert_close(ours_by, theirs_by)
    with edit(last, {"relu": switch_off(ours, 1)}), edit(first, {"turned": switch_off(theirs, 1)}):
        torch.testing.assert_close(predict(last, images), predict(first, images))
    falls = predict(last, images)[:, 2], ours.contributions(images, 2)[:, 1]
    with edit(last, {"relu": switch_off(ours, 1)}):
        torch.testing.assert_close(falls[0] - predict(last, images)[:, 2], falls[1])
