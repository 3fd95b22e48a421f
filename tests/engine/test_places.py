"""Which axis of a layer's output has its channels: told by what made it, whatever the sizes are, or refused."""
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nblib.engine import channel_axis, channel_axis_of
from tests.fixtures.channels_last import SWINS, ChannelsLast, wide_images
from tests.fixtures.networks import SmallNet, settled

WAYS = {  # what is done to (N, 6, 6, 6), all axes alike, and where the channels then are
    "as it is": (lambda x: x, 1),
    "bent": (lambda x: x.relu() * 2 + 1, 1),
    "pooled": (lambda x: F.max_pool2d(x, 3, 1, 1), 1),
    "moved": (lambda x: x.permute(0, 2, 3, 1), 3),
    "moved from behind": (lambda x: x.movedim(-3, -1).sigmoid(), 3),
    "there and back": (lambda x: x.permute(0, 2, 3, 1).transpose(1, 3).relu(), 1),
    "transposed places": (lambda x: x.transpose(2, 3), 1),
    "flat and back": (lambda x: x.flatten(2).transpose(1, 2).reshape(len(x), 6, 6, 6), 3),
    "beside itself": (lambda x: torch.cat([x, x], 1)[:, 3:9], 1),
    "rolled": (lambda x: torch.roll(x.permute(0, 2, 3, 1), (1, 1), (1, 2)), 3),
    "gated": (lambda x: x.permute(0, 2, 3, 1) * x.mean((2, 3))[:, None, None].sigmoid(), 3),
    "linear behind": (lambda x: F.linear(x.permute(0, 2, 3, 1), torch.ones(6, 6).double()), 3),
    "enlarged": (lambda x: F.interpolate(x, scale_factor=2), 1),
    "padded": (lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect")[..., 1:-1, 1:-1], 1),
}


@pytest.mark.parametrize("way, axis", WAYS.values(), ids=WAYS)
def test_channels_are_followed_through_what_is_done_to_them(way, axis):
    torch.manual_seed(0)
    for before in (nn.Conv2d(3, 6, 3, padding=1), nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6))):
        output = before.double().eval()(torch.rand(2, 3, 6, 6).double().requires_grad_())
        assert channel_axis("layer", way(output)) == axis


@pytest.mark.parametrize("make", SWINS.values(), ids=SWINS)
def test_swin_has_its_channels_last_but_for_what_is_turned(make):
    model, image = make(), wide_images(1)
    timm = ["patch_embed", "layers.0", "layers.0.blocks.1", "layers.1.downsample.reduction", "norm"]
    torchvision = ["features.0", "features.1.0", "features.1.1.mlp", "features.1.1.norm2", "features.3", "norm"]
    last = timm if hasattr(model, "patch_embed") else torchvision
    for frozen in (False, True):
        model.requires_grad_(not frozen)
        assert {channel_axis_of(model, name, image) for name in last} == {3}
    first = "patch_embed.proj" if hasattr(model, "patch_embed") else "features.0.0"
    assert channel_axis_of(model, first, image) == 1
    if hasattr(model, "permute"):
        assert channel_axis_of(model, "permute", image) == 1


def test_layers_of_other_networks():
    import timm
    import torchvision

    image = torch.rand(1, 3, 64, 64)
    network = torchvision.models.densenet121(weights=None).eval()
    assert channel_axis_of(network, "features.denseblock2", image) == 1
    network = torchvision.models.convnext_tiny(weights=None).eval()
    assert channel_axis_of(network, "features.1", image) == channel_axis_of(network, "features.0.1", image) == 1
    assert channel_axis_of(network, "features.1.0.block.2", image) == 3  # the norm within a block
    network = timm.create_model("convnext_atto", num_classes=3).eval()
    assert channel_axis_of(network, "stages.1", image) == 1
    assert channel_axis_of(settled(SmallNet()), "relu2", torch.rand(1, 3, 8, 8).double()) == 1


def test_what_nobody_can_know_is_refused():
    x = torch.rand(2, 6, 6, requires_grad=True)
    with pytest.raises(ValueError, match="no convolution, norm or linear layer before it tells whether axis 1 or"):
        channel_axis("attention", torch.softmax(x @ x.mT, 2).view(1, 2, 6, 6))
    with pytest.raises(ValueError, match=r"'tokens' has an output of shape \(2, 6, 6\).*have no places"):
        channel_axis("tokens", x)
    with pytest.raises(ValueError, match="'blind' passes no gradient back"):
        channel_axis("blind", torch.rand(1, 2, 3, 4))
    model = ChannelsLast().double().eval()
    assert channel_axis_of(model, "norm", wide_images(1)) == 3
