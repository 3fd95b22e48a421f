"""Networks of torchvision, of timm and of the reader, with and without their published weights."""
import sys

import pytest
import torch
from safetensors.torch import save_file

from nblib.models import build


def test_torchvision_vit_takes_its_size():
    from torchvision.models import vision_transformer

    smaller = dict(num_layers=1, hidden_dim=24, num_heads=2, mlp_dim=24)
    make = vision_transformer._vision_transformer
    with pytest.MonkeyPatch.context() as patch:  # ViT-B would take seconds
        patch.setattr(vision_transformer, "_vision_transformer",
                      lambda **options: make(**(options | smaller)))
        model = build("torchvision:vit_b_16", classes=4, size=48)
    assert model.encoder.pos_embedding.shape[1] == 1 + 3 * 3


def test_a_vit_that_does_not_take_the_size_says_so():
    with pytest.raises(ValueError, match="33 pixels"):
        build("torchvision:vit_b_16", classes=3, size=33)


def test_a_readers_own_model_is_used_as_it_is(tmp_path, monkeypatch):
    (tmp_path / "my_models.py").write_text(
        "from torch import nn\n"
        "def tiny(classes, size):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, classes), nn.Dropout()).train()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    model = build("my_models:tiny", classes=3, size=4, seed=1)
    images = torch.rand(5, 3, 4, 4)
    assert not model.training
    torch.testing.assert_close(model(images), model[1](images.flatten(1)))
    save_file(model.state_dict(), tmp_path / "tiny.safetensors")
    other = build("my_models:tiny", classes=3, size=4, seed=2, weights=tmp_path / "tiny.safetensors")
    torch.testing.assert_close(other(images), model(images))
    with pytest.raises(ValueError, match="no weights are published"):
        build("my_models:tiny", classes=3, size=4, weights="default")
    with pytest.raises(ValueError, match="my_models:tiny"):
        build("my_models:tinny", classes=3, size=4)


def test_published_weights_that_cannot_be_fetched_say_what_to_fetch_and_where_to_put_it(tmp_path, monkeypatch):
    import timm.models._builder as builder

    def cut(*args, **kwargs):
        raise OSError("the network is cut")

    monkeypatch.setattr(torch.hub, "download_url_to_file", cut)
    monkeypatch.setattr(builder, "load_state_dict_from_hf", cut)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("NBLIB_DATA", str(tmp_path))
    with pytest.raises(RuntimeError, match=rf"resnet18-\w+\.pth.*cut.*{tmp_path}"):
        build("torchvision:resnet18", classes=3, size=32, weights="default")
    with pytest.raises(RuntimeError, match=rf"timm/resnet10t.*{tmp_path}/timm/resnet10t\.safetensors"):
        build("timm:resnet10t", classes=3, size=32, weights="default")


def test_published_weights_keep_all_but_a_last_layer_of_another_number_of_classes(tmp_path, monkeypatch):
    import timm
    import torchvision

    published = torchvision.models.resnet18(num_classes=1000).state_dict()
    entry = type(torchvision.models.ResNet18_Weights.DEFAULT)
    monkeypatch.setattr(entry, "get_state_dict", lambda self, **options: published)
    model = build("torchvision:resnet18", classes=3, size=32, weights="default", seed=4)
    assert torch.equal(model.layer4[1].conv2.weight, published["layer4.1.conv2.weight"])
    assert torch.equal(model.fc.weight, build("torchvision:resnet18", classes=3, size=32, seed=4).fc.weight)
    whole = build("torchvision:resnet18", classes=1000, size=32, weights="default")
    assert torch.equal(whole.fc.weight, published["fc.weight"])

    monkeypatch.setenv("NBLIB_DATA", str(tmp_path))
    (tmp_path / "timm").mkdir()
    by_hand = timm.create_model("resnet10t", num_classes=1000)
    save_file(by_hand.state_dict(), tmp_path / "timm" / "resnet10t.safetensors")
    model = build("timm:resnet10t", classes=3, size=32, weights="default")
    assert torch.equal(model.layer1[0].conv1.weight, by_hand.layer1[0].conv1.weight) and model.fc.out_features == 3


def test_a_module_whose_name_was_taken_by_one_of_another_folder_is_refused(tmp_path, monkeypatch):
    """Python would give the one that it has, whose weights would then be kept under the name of the other."""
    for folder, width in (("first", 2), ("second", 3)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "namesake_nets.py").write_text(
            "from torch import nn\n\n\ndef make(*, classes, size):\n"
            f"    wide = {width}\n"
            "    return nn.Sequential(nn.Conv2d(3, wide, 1), nn.Flatten(), nn.Linear(wide * size**2, classes))\n")
    with monkeypatch.context() as first:
        first.syspath_prepend(tmp_path / "first")
        assert build("namesake_nets:make", classes=2, size=4)[0].out_channels == 2
        assert build("namesake_nets:make", classes=2, size=4)[0].out_channels == 2
    monkeypatch.syspath_prepend(tmp_path / "second")
    with pytest.raises(ValueError, match="'namesake_nets' was imported from .*first.*second.*new process"):
        build("namesake_nets:make", classes=2, size=4)
    monkeypatch.delitem(sys.modules, "namesake_nets")
    assert build("namesake_nets:make", classes=2, size=4)[0].out_channels == 3
