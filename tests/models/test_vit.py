"""Vision transformers in parts against the whole; what is refused; our small one."""
import copy

import pytest
import torch
import torch.autograd.forward_ad as forward
from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torchvision.models.vision_transformer import VisionTransformer as TorchvisionTransformer

from nblib.hooks import capture
from nblib.models import OURS, build
from nblib.models.small_vit import small_vit
from nblib.models.vit import has_hooks, has_vit_parts, neuron_layers, vit_parts
from tests.fixtures.networks import settled

TIMM = {"img_size": 8, "patch_size": 4, "embed_dim": 12, "depth": 3, "num_heads": 2, "mlp_ratio": 2, "num_classes": 4}
KINDS = {
    "plain": {},
    "mean_pooled": {"global_pool": "avg"},
    "no_class_token": {"global_pool": "avg", "class_token": False},
    "registers": {"reg_tokens": 3, "no_embed_class": True},
    "scales_and_norms": {"init_values": 0.3, "qk_norm": True, "scale_attn_norm": True, "scale_mlp_norm": True},
    "no_biases": {"qkv_bias": False, "proj_bias": False},
    "norm_before": {"pre_norm": True},
    "attention_pooled": {"global_pool": "map"},
}


def some_images(count=3, size=8, seed=5):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def torchvision_vit(size=8, **options):
    sizes = {"patch_size": 4, "num_layers": 3, "num_heads": 2, "hidden_dim": 12, "mlp_dim": 24, "num_classes": 4}
    return settled(TorchvisionTransformer(image_size=size, **(sizes | options)))


MODELS = {
    **{f"timm_{kind}": lambda options=options: settled(VisionTransformer(**(TIMM | options)))
       for kind, options in KINDS.items()},
    "torchvision": torchvision_vit,
    "torchvision_two_layers_behind": lambda: torchvision_vit(representation_size=5),
}
every_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


@every_model
def test_the_parts_one_after_the_other_are_the_network(make):
    model, images = make(), some_images()
    parts = vit_parts(model)
    x = parts.embed(images)
    with capture(model, neuron_layers(model)) as neurons:
        logits = model(images)
    for block in parts.blocks:
        middle = block.attention(x)
        torch.testing.assert_close(block.attention(x, first=True), middle[:, :1])
        hidden = block.activation(block.mlp_in(middle))
        torch.testing.assert_close(hidden, neurons[block.names[0]])
        x = block(x)
        torch.testing.assert_close(block.mlp_out(middle, hidden), x)
    torch.testing.assert_close(parts.head(x), logits)
    if parts.reads_class_token:
        torch.testing.assert_close(parts.head(x[:, :1]), logits)


def test_they_say_which_token_is_read_and_how_many_are_no_patches():
    found = {name: vit_parts(make()) for name, make in MODELS.items()}
    reading = {name for name, parts in found.items() if parts.reads_class_token}
    assert reading == set(MODELS) - {"timm_mean_pooled", "timm_no_class_token", "timm_attention_pooled"}
    prefixes = {name: parts.prefix for name, parts in found.items()}
    assert prefixes["timm_no_class_token"] == 0 and prefixes["timm_registers"] == 4
    assert {prefixes[name] for name in prefixes if name not in ("timm_no_class_token", "timm_registers")} == {1}


@every_model
def test_all_names_of_a_blocks_neurons_mean_the_same_tensor(make):
    model = make()
    for block in vit_parts(model).blocks:
        with capture(model, block.names) as tensors:
            model(some_images(1))
        for name in block.names[1:]:
            torch.testing.assert_close(tensors[name], tensors[block.names[0]])


@pytest.mark.parametrize("name", ["timm:vit_tiny_patch16_224", "torchvision:vit_b_32", "small_vit"])
def test_built_networks_normalise_inside_and_their_parts_too(name):
    model = settled(build(name, classes=3, size=32)) if name in OURS else build(name, classes=3, size=32)
    images = some_images(2, 32).to(next(model.parameters()).dtype)
    parts = vit_parts(model)
    x = parts.embed(images)
    for block in parts.blocks:
        x = block(x)
    torch.testing.assert_close(parts.head(x), model(images))


def test_raw_networks_take_what_they_are_given():
    model, images = torchvision_vit(), some_images()
    assert not hasattr(model, "input_mean")
    tokens = torch.cat([model.class_token.expand(3, -1, -1), model._process_input(images)], 1)
    torch.testing.assert_close(vit_parts(model).embed(images), tokens + model.encoder.pos_embedding)


@every_model
def test_tangents_pass_and_equal_finite_differences(make):
    model, images = make(), some_images()
    parts = vit_parts(model)
    x = parts.embed(images).detach()
    way = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    block = parts.blocks[1]
    with torch.no_grad(), forward.dual_level(), sdpa_kernel(SDPBackend.MATH):
        tangent = forward.unpack_dual(block(forward.make_dual(x, way))).tangent
    with torch.no_grad():
        expected = (block(x + 1e-5 * way) - block(x - 1e-5 * way)) / 2e-5
    torch.testing.assert_close(tangent, expected, rtol=1e-6, atol=1e-8)


def test_gradients_of_weights_pass_through_the_parts():
    model, images = torchvision_vit(), some_images()
    parts = vit_parts(model)
    x = parts.embed(images)
    for block in parts.blocks:
        x = block(x)
    weights = list(model.parameters())
    ours = torch.autograd.grad(parts.head(x).square().sum(), weights)
    theirs = torch.autograd.grad(model(images).square().sum(), weights)
    torch.testing.assert_close(ours, theirs)


def test_neuron_layers_are_one_a_block():
    assert neuron_layers(MODELS["timm_plain"]()) == [f"blocks.{number}.mlp.act" for number in range(3)]
    assert neuron_layers(torchvision_vit()) == [f"encoder.layers.encoder_layer_{number}.mlp.1" for number in range(3)]


class Other(VisionTransformer):
    """A subclass, whose forward pass could be anything."""


def replaced():
    model = MODELS["timm_plain"]()
    model.forward = lambda images: images.mean((2, 3))
    return model


def replaced_behind_the_normalisation():
    model = build("small_vit", classes=3, size=16)
    usual = model.forward
    model.forward = lambda images: 0 * usual(images)
    return model


def replaced_within():
    model = MODELS["timm_plain"]()
    usual = model.blocks[0].attn.forward
    model.blocks[0].attn.forward = lambda *given, **named: 0 * usual(*given, **named)
    return model


class Nothing(nn.Module):
    """Takes a branch out."""

    def forward(self, x):
        return 0 * x


def with_a_branch_taken_out():
    model = MODELS["timm_plain"]()
    model.blocks[1].drop_path2 = Nothing()
    return model


def with_another_mlp():
    model = MODELS["timm_plain"]()
    model.blocks[0].mlp = nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12))
    return model


def with_neurons_taken_out():
    model = torchvision_vit()
    model.encoder.layers[2].mlp[2] = Nothing()
    return model


def with_low_rank_layer():
    model = MODELS["timm_plain"]()
    model.blocks[1].mlp.fc1 = nn.Sequential(nn.Linear(12, 2), nn.Linear(2, 24))
    return model


def with_own_block():
    model = MODELS["timm_plain"]()
    model.blocks[2] = type("Own", (Block,), {})(12, 2)
    return model


@pytest.mark.parametrize("make, said", [
    (lambda: nn.Linear(3, 3), "Linear"),
    (lambda: Other(**TIMM), "Other"),
    (replaced, "forward pass was replaced"),
    (replaced_behind_the_normalisation, "forward pass was replaced"),
    (replaced_within, "forward pass was replaced"),
    (with_a_branch_taken_out, "block 1"),
    (with_another_mlp, "block 0"),
    (with_neurons_taken_out, "block 2"),
    (with_low_rank_layer, "block 1"),
    (with_own_block, "block 2"),
])
def test_other_models_are_refused(make, said):
    model = make()
    assert not has_vit_parts(model)
    for function in (vit_parts, neuron_layers):
        with pytest.raises(ValueError, match=said):
            function(model)


def test_hooks_are_seen():
    model = torchvision_vit()
    assert not has_hooks(model)
    with capture(model, ["heads"]):
        assert has_hooks(model)
        model(some_images())
    assert not has_hooks(model)
    changes = (lambda: model.heads.register_full_backward_hook(lambda *_: None),
               lambda: nn.modules.module.register_module_forward_hook(lambda *_: None))  # of all modules there are
    for change in changes:
        handle = change()
        assert has_hooks(model)
        handle.remove()
        assert not has_hooks(model)


def test_a_copy_is_known_as_well():
    assert has_vit_parts(copy.deepcopy(build("small_vit", classes=3, size=16)))


def test_our_small_one_is_built_by_name_and_refuses_odd_sizes():
    model = build("small_vit", classes=9, size=32)
    assert not model.training and model(torch.rand(2, 3, 32, 32)).shape == (2, 9)
    assert torch.equal(model.head.weight, build("small_vit", classes=9, size=32).head.weight)
    assert not torch.equal(model.head.weight, build("small_vit", classes=9, size=32, seed=1).head.weight)
    with pytest.raises(ValueError, match="size=30.*multiple of 8"):
        small_vit(classes=9, size=30)
    with pytest.raises(ValueError, match="size=0"):
        small_vit(classes=9, size=0)
