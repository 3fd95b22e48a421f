"""The networks: names, normalising inside, seeds, weights, B-cos identities, the published CIFAR ResNets."""
import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from nblib import store
from nblib.hooks import capture
from nblib.models import OURS, b_cos, batch_norm, build, resnet, weights
from nblib.models import normalisation as inputs

SHARED = store.ROOT.parent / "shared" / "data"
NAMES = [*OURS, "torchvision:resnet18", "timm:resnet10t"]


def scrambled(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give the batch norms of a fresh network the statistics and weights of a used one."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        for name, low, high in (("running_mean", -0.5, 0.5), ("running_var", 0.5, 2), ("running_square", 0.5, 2)):
            tensor = getattr(module, name, None)
            if tensor is not None:
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)
        if isinstance(module, (nn.BatchNorm2d, batch_norm.UncentredBatchNorm)):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
    return model


@pytest.mark.parametrize("name", NAMES)
def test_a_model_has_logits_evaluation_mode_and_names_without_a_prefix(name):
    model = build(name, classes=7, size=32)
    assert not any(module.training for module in model.modules())
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 7)
    assert all(not layer.startswith(("0", "1", "model")) for layer, _ in model.named_modules())
    assert all(torch.equal(a, b) for a, b in zip(copy.deepcopy(model).parameters(), model.parameters()))


@pytest.mark.parametrize("name", ["small_resnet", "small_b_cos", "resnet20"])
@pytest.mark.parametrize("size", [17, 64])
def test_our_small_networks_take_other_sizes(name, size):
    assert build(name, classes=3, size=size)(torch.rand(2, 3, size, size)).shape == (2, 3)


def test_small_resnet_is_small_and_its_activations_are_modules():
    model = build("small_resnet", classes=9, size=32)
    assert 1e5 < sum(parameter.numel() for parameter in model.parameters()) < 3e5
    assert sum(isinstance(module, nn.ReLU) for module in model.modules()) == 7


def test_the_shortcut_of_a_block_keeps_every_second_pixel_and_adds_channels_of_zeros():
    block = resnet.Block(2, 5, stride=2)
    x = torch.arange(1.0, 19).reshape(1, 2, 3, 3)
    expected = torch.zeros(1, 5, 2, 2)
    expected[0, 1:3] = torch.tensor([[[1, 3], [7, 9]], [[10, 12], [16, 18]]])
    assert torch.equal(block.shortcut(x), expected)


def test_the_layers_of_a_cifar_resnet_are_those_of_the_published_files():
    names = list(build("resnet20", classes=10, size=32).state_dict())
    assert names[0] == "conv1.weight" and names[-1] == "linear.bias" and "layer3.2.bn2.running_var" in names
    assert not any("input" in name for name in names)


def test_normalising_happens_inside_and_is_copied_pickled_and_moved_with_the_model():
    import pickle

    inner = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    images = torch.rand(4, 3, 2, 2)
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in inputs.IMAGENET)
    expected = inner((images - mean) / std)
    model = inputs.normalised(inner, *inputs.IMAGENET)
    others = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    torch.testing.assert_close(model(images), expected)
    model[1].weight.data.zero_()  # the copies keep their own weights, so their forward is not that of the first
    for other in others:
        torch.testing.assert_close(other(images), expected)
    assert others[0].double()(images.double()).dtype == torch.float64
    assert list(model.state_dict()) == ["1.weight", "1.bias"]


def test_timm_and_torchvision_normalise_as_their_weights_say():
    vit = build("timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k", classes=4, size=32)  # trained with mean and std 0.5
    assert vit.input_mean.flatten().tolist() == [0.5] * 3 and vit.input_std.flatten().tolist() == [0.5] * 3
    assert vit(torch.rand(1, 3, 32, 32)).shape == (1, 4)
    other = build("torchvision:resnet18", classes=4, size=32)
    assert other.input_mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])


def test_torchvision_vit_takes_its_size():
    from torchvision.models import vision_transformer

    smaller = dict(num_layers=1, hidden_dim=24, num_heads=2, mlp_dim=24)
    make = vision_transformer._vision_transformer
    with pytest.MonkeyPatch.context() as patch:  # ViT-B would take seconds
        patch.setattr(vision_transformer, "_vision_transformer",
                      lambda **options: make(**(options | smaller)))
        model = build("torchvision:vit_b_16", classes=4, size=48)
    assert model.encoder.pos_embedding.shape[1] == 1 + 3 * 3


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_decides_the_weights_and_leaves_the_callers_generator_alone(name):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (build(name, classes=3, size=32, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters())]
    different = [not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters())]
    assert all(same) and any(different)


@pytest.mark.parametrize("name, says", [
    ("small_resnt", "small_resnet"),
    ("torchvision:resnet81", "torchvision:resnet18"),
    ("torchvision:deeplabv3_resnet50", "torchvision:"),
    ("timm:vit_tiny_patch16_225", "vit_tiny_patch16_224"),
    ("timm:vit_tiny_patch16_224.nope", "augreg_in21k"),
    ("nowhere.at_all:make", "could not be imported"),
    ("torch.nn:Linearr", "torch.nn:Linear"),
    ("torch.nn:Linear", "classes=..., size=..."),
    ("builtins:dict", "torch.nn.Module"),
    ("timm:", "small_resnet"),
])
def test_an_unknown_name_is_refused_with_the_nearest(name, says):
    with pytest.raises(ValueError, match=says.replace(".", r"\.")):
        build(name, classes=3, size=32)


@pytest.mark.parametrize("wrong", [dict(classes=1), dict(classes=2.5), dict(classes=True), dict(size=0), dict(size="3")])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        build("small_resnet", **(dict(classes=3, size=32) | wrong))


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


def test_weights_of_another_model_or_a_torn_file_are_refused_by_name(tmp_path):
    path = tmp_path / "small.safetensors"
    model = build("small_resnet", classes=3, size=32, seed=1)
    weights.write(path, model.state_dict())
    loaded = build("small_resnet", classes=3, size=32, seed=2, weights=path)
    assert torch.equal(loaded.conv1.weight, model.conv1.weight)
    with pytest.raises(ValueError, match=r"small\.safetensors.*shape.*linear\.weight \(3, 96\) instead of \(4, 96\)"):
        build("small_resnet", classes=4, size=32, weights=path)
    with pytest.raises(ValueError, match=r"small\.safetensors.*missing.*unexpected"):
        build("small_b_cos", classes=3, size=32, weights=path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"small\.safetensors is truncated"):
        build("small_resnet", classes=3, size=32, weights=path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"small\.safetensors is truncated"):
        build("small_resnet", classes=3, size=32, weights=path)
    with pytest.raises(ValueError, match=r"no weights at .*none\.safetensors"):
        build("small_resnet", classes=3, size=32, weights=tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="no weights are published"):
        build("small_resnet", classes=3, size=32, weights="default")


class Trap:
    def __reduce__(self):
        return os.getcwd, ()


def test_a_file_that_holds_more_than_weights_is_not_loaded(tmp_path):
    torch.save({"state_dict": {"a": Trap()}}, tmp_path / "trap.th")
    with pytest.raises(ValueError, match=r"trap\.th.*more than weights"):
        weights.read(tmp_path / "trap.th")


def test_published_weights_of_cifar_resnets_say_where_they_are_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("NBLIB_DATA", str(tmp_path))
    with pytest.raises(RuntimeError, match="cifar10_resnet"):
        build("resnet20", classes=10, size=32, weights="default")


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


def test_a_b_cos_response_is_the_formula():
    torch.manual_seed(0)
    layer = b_cos.BCosConv2d(2, 3, 3).double()
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64)
    padded = F.pad(x, (1, 1, 1, 1))
    expected = torch.empty(1, 3, 4, 4, dtype=torch.float64)
    for unit in range(3):
        weight = layer.weight[unit].flatten() / layer.weight[unit].norm()
        for row in range(4):
            for column in range(4):
                patch = padded[0, :, row:row + 3, column:column + 3].flatten()
                expected[0, unit, row, column] = weight @ patch * F.cosine_similarity(weight, patch, dim=0).abs()
    torch.testing.assert_close(layer(x), expected.detach(), rtol=1e-5, atol=1e-6)


def test_the_contributions_of_a_linearised_b_cos_network_sum_to_its_logit():
    model = scrambled(build("small_b_cos", classes=5, size=16)).double()
    images = torch.rand(3, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    with b_cos.linearised(model), capture(model, ["encode"]) as seen:
        logits = model(images)
    six = seen["encode"]
    torch.testing.assert_close(six, torch.cat([images, 1 - images], 1))
    for label in range(5):
        weight, = torch.autograd.grad(logits[:, label].sum(), six, retain_graph=True)
        sums = (six * weight).sum((1, 2, 3))
        torch.testing.assert_close(sums, logits[:, label] - model.logit_bias, rtol=1e-10, atol=1e-12)
    with capture(model, ["encode"]) as seen:
        plain = model(images)
    torch.testing.assert_close(plain, logits)  # the linear map is the network, not something near it
    weight, = torch.autograd.grad(plain[:, 0].sum(), seen["encode"])
    assert not torch.allclose((seen["encode"] * weight).sum((1, 2, 3)), plain[:, 0] - model.logit_bias, rtol=1e-2)


def test_linearised_leaves_no_trace_and_refuses_other_networks():
    model = build("small_b_cos", classes=5, size=16)
    with pytest.raises(RuntimeError, match="inside"), b_cos.linearised(model):
        raise RuntimeError("inside")
    assert not any(getattr(module, "linear", False) for module in model.modules())
    other = build("small_resnet", classes=5, size=16)
    assert b_cos.is_b_cos(model) and not b_cos.is_b_cos(other)
    with pytest.raises(ValueError, match="no B-cos layer"), b_cos.linearised(other):
        pass


def test_a_black_b_cos_logit_is_not_biased_and_its_loss_is_the_formula():
    logits = torch.tensor([[0.3, -1.0, 2.0]])
    targets = torch.tensor([1 / 3, 1.0, 1 / 3])
    p = torch.sigmoid(logits[0])
    expected = -(targets * p.log() + (1 - targets) * (1 - p).log()).mean()
    torch.testing.assert_close(b_cos.uniform_off_label_loss(logits, torch.tensor([1])), expected)
    bias = build("small_b_cos", classes=5, size=16).logit_bias
    torch.testing.assert_close(torch.sigmoid(torch.tensor(bias)), torch.tensor(1 / 5))  # the share of one class


@pytest.mark.parametrize("momentum", [0.1, None])
def test_a_batch_norm_for_several_processes_is_pytorchs(momentum):
    torch.manual_seed(0)
    ours, theirs = (nn.Sequential(nn.BatchNorm2d(3, momentum=momentum)).double() for _ in range(2))
    batch_norm.together(ours)
    for _ in range(3):
        x = torch.randn(4, 3, 5, 5, dtype=torch.float64) * 2 + 1
        inputs_ = [x.clone().requires_grad_() for _ in range(2)]
        outputs = [model(one) for model, one in zip((ours, theirs), inputs_)]
        torch.testing.assert_close(*outputs)
        gradients = [torch.autograd.grad(y.pow(3).sum(), one)[0] for y, one in zip(outputs, inputs_)]
        torch.testing.assert_close(*gradients)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_an_uncentred_batch_norm_divides_by_the_root_mean_square():
    norm = batch_norm.UncentredBatchNorm(2)
    x = torch.randn(6, 2, 4, 4) + 3
    expected = x / x.square().mean((0, 2, 3), keepdim=True).sqrt()
    torch.testing.assert_close(norm(x), expected, rtol=1e-4, atol=1e-4)
    before = norm.running_square.clone()
    torch.testing.assert_close(norm.eval()(2 * x), 2 * norm(x))
    assert torch.equal(norm.running_square, before)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    if not (SHARED / "unpack.py").exists():
        pytest.skip("../shared/data is not here: the published CIFAR ResNets were not measured")
    root = tmp_path_factory.mktemp("data")
    for pack in ("resnets", "cifar10-5k"):
        subprocess.run([sys.executable, SHARED / "unpack.py", pack, root], check=True)
    return root


def test_the_published_cifar_resnets_have_the_accuracy_stated(unpacked, monkeypatch):
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import ToTensor

    folder = ImageFolder(unpacked / "cifar10-5k" / "test", ToTensor())
    images, labels = torch.stack([image for image, _ in folder]), torch.tensor(folder.targets)
    monkeypatch.setenv("NBLIB_DATA", str(unpacked))
    for name, stated in (("resnet20", 915), ("resnet32", 928), ("resnet44", 933), ("resnet56", 926)):
        model = build(name, classes=10, size=32, weights="default")
        with torch.no_grad():
            right = sum((model(x).argmax(1) == y).sum().item() for x, y in zip(images.split(250), labels.split(250)))
        assert right == stated and len(labels) == 1000


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "model.", "module._orig_mod.", "net.encoder."])
def test_a_prefix_that_all_names_share_is_seen_through(tmp_path, prefix):
    from safetensors.torch import save_file

    net = build("small_resnet", classes=4, size=32, seed=3)
    state = {prefix + name: value.clone().contiguous() for name, value in net.state_dict().items()}
    torch.save(state, tmp_path / "w.pth")
    save_file(state, tmp_path / "w.safetensors")
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "s.pth")
    for name in ("w.pth", "w.safetensors", "s.pth"):
        again = build("small_resnet", classes=4, size=32, weights=tmp_path / name)
        assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True))
    lost = next(iter(state))
    del state[lost]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=rf"1 missing \({lost.removeprefix(prefix)}\)"):
        build("small_resnet", classes=4, size=32, weights=tmp_path / "w.pth")


def test_a_stored_weight_with_a_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "w.safetensors"
    weights.write(path, build("small_resnet", classes=4, size=32).state_dict())
    weights.read(path)
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="w.safetensors.*not those that were written"):
        weights.read(path)


def test_a_refusal_of_a_pickle_gives_no_advice_to_load_it_all_the_same(tmp_path):
    torch.save({"state_dict": {"a": Trap()}}, tmp_path / "trap.th")
    with pytest.raises(ValueError) as refused:
        weights.read(tmp_path / "trap.th")
    assert "weights_only" not in str(refused.value) and "safe_globals" not in str(refused.value)
