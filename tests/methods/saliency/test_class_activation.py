"""Class activation maps against their formula, and the layer that they take by default."""
import pytest
import torch
from torch import nn

from nblib import targets
from nblib.methods.saliency import last_spatial_layer, saliency
from tests.fixtures.channels_last import SWINS, ChannelsLast, from_layer, timm_swin, torchvision_swin, wide_images
from tests.fixtures.networks import LinearNet, settled
from tests.fixtures.saliency import raw, some_images
from tests.references import saliency as reference


@pytest.mark.parametrize("method", ["grad_cam", "grad_cam_plus_plus"])
@pytest.mark.parametrize("relu", [True, False])
def test_class_activation_maps_equal_the_formula(model, method, relu):
    images, labels = some_images(), torch.tensor([3, 0, 2])
    maps = raw(model, images, method, layer="relu2", relu=relu, target=targets.class_logit(labels))
    for number, label in enumerate(labels.tolist()):
        inner = model.relu1(model.bn1(model.conv1(images[number : number + 1])))
        activation = model.relu2(model.bn2(model.conv2(inner)))
        score = model.head(model.pool(activation).flatten(1))[0, label]
        gradient = torch.autograd.grad(score, activation)[0]
        low = reference.grad_cam(activation[0].detach(), gradient[0], plus=method == "grad_cam_plus_plus")
        low = low.clamp(min=0) if relu else low
        for row, column in [(0, 0), (3, 8), (11, 11)]:  # 12 pixels from 6 cells
            expected = reference.bilinear(low, (row + 0.5) / 2, (column + 0.5) / 2)
            assert maps[number, 0, row, column].item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_grad_cam_on_pooling_and_a_linear_layer_is_cam(model):
    images, labels = some_images(), torch.tensor([3, 0, 2])
    activation = model.relu2(model.bn2(model.conv2(model.relu1(model.bn1(model.conv1(images))))))
    cam = torch.einsum("nk,nkhw->nhw", model.head.weight[labels], activation).unsqueeze(1) / 36  # of 6 x 6 places
    expected = nn.functional.interpolate(cam.detach(), size=(12, 12), mode="bilinear")
    maps = raw(model, images, "grad_cam", relu=False, target=targets.class_logit(labels))
    torch.testing.assert_close(maps, expected)


def test_the_default_layer_is_the_last_one_with_places(model):
    import timm
    import torchvision

    images = torch.rand(1, 3, 64, 64)
    assert last_spatial_layer(model, some_images()) == "relu2"
    expected_layers = {"resnet18": "layer4", "squeezenet1_1": "classifier.2", "mobilenet_v3_small": "features"}
    for name, expected in expected_layers.items():
        network = torchvision.models.get_model(name, weights=None, num_classes=5).eval()
        assert last_spatial_layer(network, images) == expected
    network = timm.create_model("test_vit", num_classes=5, img_size=64).eval()
    with pytest.raises(ValueError, match="tokens"):
        last_spatial_layer(network, images)
    with pytest.raises(ValueError, match="no layer"):
        last_spatial_layer(settled(LinearNet(8)), some_images(size=8))


def test_an_unknown_layer_is_named_with_its_neighbours(model):
    with pytest.raises(KeyError, match="relu2"):
        saliency(model, some_images(), method="grad_cam", layer="rellu2")


@pytest.mark.parametrize("method", ["grad_cam", "grad_cam_plus_plus"])
@pytest.mark.parametrize("make", SWINS.values(), ids=SWINS)
def test_class_activation_maps_of_a_layer_with_channels_last_equal_the_formula(make, method):
    model, images, labels = make(), wide_images(), torch.tensor([3, 0])
    until, rest, layer = from_layer(model)
    maps = raw(model, images, method, layer=layer, relu=False, target=targets.class_logit(labels))
    assert maps.shape == (2, 1, 32, 32)
    for number, label in enumerate(labels.tolist()):
        activation = until(images[number : number + 1])  # (1, 16, 16, 12)
        torch.testing.assert_close(rest(activation), model(images[number : number + 1]))
        gradient = torch.autograd.grad(rest(activation)[0, label], activation)[0]
        first = activation[0].detach().permute(2, 0, 1), gradient[0].permute(2, 0, 1)
        low = reference.grad_cam(*first, plus=method == "grad_cam_plus_plus")
        for row, column in [(0, 0), (7, 20), (31, 31)]:  # 32 pixels from 16 cells
            expected = reference.bilinear(low, (row + 0.5) / 2, (column + 0.5) / 2)
            assert maps[number, 0, row, column].item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("make, last", [(timm_swin, "norm"), (torchvision_swin, "permute"), (ChannelsLast, "relu")])
def test_the_default_layer_of_a_network_with_channels_last(make, last):
    model = settled(make())
    assert last_spatial_layer(model, wide_images()) == last


def test_places_are_not_mistaken_for_channels_where_one_place_is_left():
    model = settled(ChannelsLast())
    model.conv = nn.Conv2d(3, 6, 12, 12).double()
    assert last_spatial_layer(nn.Sequential(nn.Conv2d(3, 3, 1).double(), model).eval(), some_images()) == "0"
