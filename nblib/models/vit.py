"""The parts of timm's and torchvision's vision transformers, to run one by one."""
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.autograd.forward_ad as forward
import torch.nn.functional as F
from torch import Tensor, nn

from nblib.models.normalisation import has_own_forward, normalise

Step = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Block:
    r"""One transformer block, :math:`x\to x+\mathrm{attn}(x)\to x+W_2\,\sigma(W_1 x)`, as a row of functions.

    All take and give tokens, the batch first; T tokens, width D, n neurons. What each needs of the norms, scales and
    biases of its network is inside.

    Attributes:
        attention: x (R, T, D) -> (R, T, D), the attention's output added to x. With `first=True`, (R, 1, D): only
            the first token asks, all are looked at.
        mlp_in: x (R, T, D) -> (R, T, n), before the activation function.
        activation: (R, T, n) -> (R, T, n), the neurons.
        mlp_out: x (R, T, D), neurons (R, T, n) -> (R, T, D), what the neurons write added to x.
        names: the layers of the network whose tensor the neurons are; the first is the activation itself.
    """

    attention: Callable[..., Tensor]
    mlp_in: Step
    activation: Step
    mlp_out: Callable[[Tensor, Tensor], Tensor]
    names: tuple[str, ...]

    def neurons(self, x: Tensor) -> Tensor:
        """Return the neurons (R, T, n) that tokens x (R, T, D) meet after the attention."""
        return self.activation(self.mlp_in(x))

    def mlp(self, x: Tensor) -> Tensor:
        """Run the second half of the block, (R, T, D) -> (R, T, D)."""
        return self.mlp_out(x, self.neurons(x))

    def __call__(self, x: Tensor, first: bool = False) -> Tensor:
        """Run the block, (R, T, D) -> (R, T, D), or (R, 1, D) with `first=True`."""
        return self.mlp(self.attention(x, first=first))


@dataclass(frozen=True)
class Parts:
    """A vision transformer in parts: `head(blocks[-1](... blocks[0](embed(images))))` are its logits.

    Attributes:
        embed: images (N, 3, H, W), as the model takes them -> tokens (N, T, D).
        blocks: the transformer blocks in their order.
        head: tokens (N, T, D) -> logits (N, K); where `reads_class_token`, the first token is enough, (N, 1, D).
        prefix: how many tokens precede those of the patches.
        reads_class_token: whether the logits are read from the first token alone, and not from a mean.
    """

    embed: Step
    blocks: tuple[Block, ...]
    head: Step
    prefix: int
    reads_class_token: bool


def vit_parts(model: nn.Module) -> Parts:
    """Take a vision transformer apart, so that a computation can resume from any of its blocks.

    The parts share the model's weights and follow them. They go around many of its modules, and of their hooks.

    Args:
        model: timm's or torchvision's `VisionTransformer` itself (not a subclass, whose forward pass may be another),
            raw or from `nblib.models.build`, in evaluation mode: of a network in training mode the parts would lack
            dropout.

    Raises:
        ValueError: another model, or one with blocks of another kind.

    P1's neurons are the activations between the two linear maps of each block; `Block.names` says what they are called.
    """
    reason = _why_unknown(model)
    if reason:
        raise ValueError(f"{reason}, expected timm's or torchvision's VisionTransformer with its usual blocks")
    return _torchvision_parts(model) if _library(model) == "torchvision" else _timm_parts(model)


def has_vit_parts(model: nn.Module) -> bool:
    """Say whether `vit_parts` can take the model apart."""
    return _why_unknown(model) is None


def has_hooks(model: nn.Module) -> bool:
    """Say whether a module of the model, or all modules there are, have a hook, around which its parts would go."""
    return torch.nn.modules.module._has_any_global_hook() or any(
        hooks for module in model.modules() for hooks in (
            module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks))


def neuron_layers(model: nn.Module) -> list[str]:
    """Return the names of a vision transformer's neurons, one layer a block; a ValueError for models not known here."""
    return [block.names[0] for block in vit_parts(model).blocks]


def _library(model: nn.Module) -> str:
    """Return the package in which the model's class was written."""
    return type(model).__module__.partition(".")[0]


def _is(module: nn.Module, *kinds: str) -> bool:
    """Say whether a module's class is exactly one of these, by full name: its library need not be imported for that."""
    return f"{type(module).__module__}.{type(module).__name__}" in kinds


def _why_unknown(model: nn.Module) -> str | None:
    """Return why a model cannot be taken apart here, or None."""
    name = type(model).__name__
    if not _is(model, "timm.models.vision_transformer.VisionTransformer",
               "torchvision.models.vision_transformer.VisionTransformer"):
        return f"a {name} of {type(model).__module__} was given"
    torchvision = _library(model) == "torchvision"
    encoder, usual = (model.encoder, _usual_torchvision) if torchvision else (model.blocks, _usual_timm)
    if not has_own_forward(model) or any("forward" in vars(part) for part in encoder.modules()):
        return f"a {name} in which a forward pass was replaced was given"
    for number, block in enumerate(getattr(encoder, "layers", encoder)):
        if not usual(block):
            return f"a {name} whose block {number} is of another kind was given"
    return None


def _usual_timm(block: nn.Module) -> bool:
    """Say whether a block of timm's is the one that is taken apart here."""
    return (
        _is(block, "timm.models.vision_transformer.Block")
        and _is(block.attn, "timm.layers.attention.Attention", "timm.models.vision_transformer.Attention")
        and getattr(block.attn, "gate", None) is None
        and _is(block.mlp, "timm.layers.mlp.Mlp")
        and all(map(_passes_on, (block.drop_path1, block.drop_path2, block.attn.attn_drop, block.attn.proj_drop,
                                 block.mlp.drop1, block.mlp.drop2)))
        and all(type(linear) is nn.Linear for linear in (block.attn.qkv, block.attn.proj, block.mlp.fc1, block.mlp.fc2))
    )


def _usual_torchvision(block: nn.Module) -> bool:
    """Say whether a block of torchvision's is the one that is taken apart here."""
    return (
        _is(block, "torchvision.models.vision_transformer.EncoderBlock")
        and type(block.self_attention) is nn.MultiheadAttention
        and _is(block.mlp, "torchvision.models.vision_transformer.MLPBlock")
        and [type(block.mlp[number]) for number in (0, 3)] == [nn.Linear, nn.Linear]
        and all(map(_passes_on, (block.dropout, block.mlp[2], block.mlp[4])))
    )


def _passes_on(module: nn.Module) -> bool:
    """Say whether a module, which the parts leave out, changes nothing in evaluation mode."""
    return type(module) in (nn.Identity, nn.Dropout) or _is(module, "timm.layers.drop.DropPath")


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return x Wᵀ + b; of a dual tensor with one product for its tangent, where PyTorch's rule takes two."""
    value, tangent = forward.unpack_dual(x)
    if tangent is None:
        return F.linear(x, weight, bias)
    return forward.make_dual(F.linear(value, weight, bias), F.linear(tangent, weight))


def _attend(x: Tensor, weight: Tensor, bias: Tensor | None, heads: int, first: bool,
            query_norm: Step = lambda q: q, key_norm: Step = lambda k: k) -> Tensor:
    """Return what all tokens of x (R, T, D), or only the first, see: (R, T or 1, heads × size), heads side by side.

    `weight` and `bias` hold the maps to queries, keys and values, one below the other.
    """
    size = len(weight) // 3
    by_head = lambda t: t.unflatten(2, (heads, -1)).transpose(1, 2)  # noqa: E731  (R, heads, T, size)
    if first:
        queries = _linear(x[:, :1], weight[:size], None if bias is None else bias[:size])
        keys, values = _linear(x, weight[size:], None if bias is None else bias[size:]).chunk(2, 2)
    else:
        queries, keys, values = _linear(x, weight, bias).chunk(3, 2)
    seen = F.scaled_dot_product_attention(query_norm(by_head(queries)), key_norm(by_head(keys)), by_head(values))
    return seen.transpose(1, 2).flatten(2)


def _timm_parts(model: nn.Module) -> Parts:
    """Return the parts of timm's VisionTransformer."""

    def embed(images: Tensor) -> Tensor:
        seen = normalise(model, images) if hasattr(model, "input_mean") else images
        return model.norm_pre(model.patch_drop(model._pos_embed(model.patch_embed(seen))))

    def head(x: Tensor) -> Tensor:
        return model.forward_head(model.norm(x))

    return Parts(
        embed=embed,
        blocks=tuple(_timm_block(block, f"blocks.{number}.mlp") for number, block in enumerate(model.blocks)),
        head=head,
        prefix=model.num_prefix_tokens,
        reads_class_token=model.global_pool == "token" and model.attn_pool is None,
    )


def _timm_block(block: nn.Module, name: str) -> Block:
    """Return one block of timm's; `name` is that of its MLP."""
    attention, mlp = block.attn, block.mlp

    def attend(x: Tensor, first: bool = False) -> Tensor:
        seen = _attend(block.norm1(x), attention.qkv.weight, attention.qkv.bias, attention.num_heads, first,
                       attention.q_norm, attention.k_norm)
        if hasattr(attention, "norm"):  # older versions of timm have none
            seen = attention.norm(seen)
        return (x[:, :1] if first else x) + block.ls1(_linear(seen, attention.proj.weight, attention.proj.bias))

    plain = isinstance(mlp.norm, nn.Identity)  # with a norm between them, fc2 reads something else than the neurons
    return Block(
        attention=attend,
        mlp_in=lambda x: _linear(block.norm2(x), mlp.fc1.weight, mlp.fc1.bias),
        activation=mlp.act,
        mlp_out=lambda x, neurons: x + block.ls2(_linear(mlp.norm(neurons), mlp.fc2.weight, mlp.fc2.bias)),
        names=(f"{name}.act", f"{name}.drop1", *((f"{name}.norm", f"{name}.fc2:input") if plain else ())),
    )


def _torchvision_parts(model: nn.Module) -> Parts:
    """Return the parts of torchvision's VisionTransformer."""

    def embed(images: Tensor) -> Tensor:
        seen = normalise(model, images) if hasattr(model, "input_mean") else images
        patches = model._process_input(seen)
        tokens = torch.cat([model.class_token.expand(len(patches), -1, -1), patches], 1)
        return tokens + model.encoder.pos_embedding

    def head(x: Tensor) -> Tensor:
        return model.heads(model.encoder.ln(x)[:, 0])

    return Parts(
        embed=embed,
        blocks=tuple(
            _torchvision_block(block, f"encoder.layers.{name}.mlp")
            for name, block in model.encoder.layers.named_children()
        ),
        head=head,
        prefix=1,
        reads_class_token=True,
    )


def _torchvision_block(block: nn.Module, name: str) -> Block:
    """Return one block of torchvision's; `name` is that of its MLP: linear, activation, dropout, linear, dropout."""
    attention = block.self_attention
    linear_in, activation, _, linear_out, _ = block.mlp

    def attend(x: Tensor, first: bool = False) -> Tensor:
        seen = _attend(block.ln_1(x), attention.in_proj_weight, attention.in_proj_bias, attention.num_heads, first)
        return (x[:, :1] if first else x) + _linear(seen, attention.out_proj.weight, attention.out_proj.bias)

    return Block(
        attention=attend,
        mlp_in=lambda x: _linear(block.ln_2(x), linear_in.weight, linear_in.bias),
        activation=activation,
        mlp_out=lambda x, neurons: x + _linear(neurons, linear_out.weight, linear_out.bias),
        names=(f"{name}.1", f"{name}.2", f"{name}.3:input"),
    )
