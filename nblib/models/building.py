"""The networks that are explained: each of them by name, from `build`."""
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from nblib.checks import expect_int, expect_path, unknown
from nblib.data import data_root
from nblib.models import alexnet, b_cos, efficientnet, foreign, resnet, small_vit, vgg
from nblib.models import weights as files
from nblib.models.origin import published

Maker = Callable[..., nn.Module]

OURS: dict[str, Maker] = {
    "small_resnet": resnet.small_resnet,
    "small_b_cos": b_cos.small_b_cos,
    "small_vit": small_vit.small_vit,
    "small_alexnet": alexnet.small_alexnet,
    "small_vgg": vgg.small_vgg,
    "alexnet_cifar": alexnet.alexnet_cifar,
    "vgg11_cifar": vgg.vgg11_cifar,
    "efficientnet_lite0": efficientnet.efficientnet_lite0,
    **{name: resnet.cifar(name) for name in resnet.CIFAR_BLOCKS},
}

OTHERS = ("torchvision:NAME", "timm:NAME", "package.module:function")


def build(name: str, *, classes: int, size: int, weights: str | Path | None = None, seed: int = 0) -> nn.Module:
    """Return a network in evaluation mode, images (N, 3, H, W) in [0, 1] -> logits (N, K).

    It normalises inside, so that a black image is 0.0; the names of its layers are those of the network itself. The
    random generator of the caller is left alone.

    Args:
        name: one of `OURS`; "torchvision:NAME" or "timm:NAME", a classifier of these libraries; or
            "package.module:function", a reader's own, which is called as `function(classes=..., size=...)` and used as
            it is: it has to take images in [0, 1].
        classes: K, 2 or more.
        size: H and W in pixels; only some networks, such as ViTs, depend on it.
        weights: None for random ones; "default" for the published ones; or the path of a safetensors file with exactly
            the tensors of this network. Published ImageNet weights serve any K: a last layer of another number
            of classes keeps its random weights. Those of efficientnet_lite0 are part of an installed package; the
            CIFAR ResNets' are looked for in cifar10_resnet below `NBLIB_DATA`, or below data in the checkout.
        seed: decides the random weights.

    Raises:
        ValueError: a name that is unknown, with the nearest ones; classes or size out of range; a file of weights
            that is absent, truncated or another network's.
        RuntimeError: published weights that could not be had, with the file and where to put it by hand, or with the
            package to install.
    """
    classes, size = expect_int("classes", classes, 2), expect_int("size", size, 1)
    expect_int("seed", seed, 0, 2**63 - 1)
    if weights is not None:
        expect_path("weights", weights)
    if not isinstance(name, str):
        raise ValueError(f"name={name!r} was given, expected the name of a model")
    kind, _, rest = name.partition(":")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach the GPUs' generators too
        if name in OURS:
            model = _made(name, classes, size)
        elif kind in foreign.LIBRARIES and rest:
            model = foreign.LIBRARIES[kind](rest, classes=classes, size=size, published=weights == "default")
        elif rest:
            model = foreign.own(name, classes=classes, size=size)
        else:
            raise ValueError(unknown("model", name, [*OURS, *OTHERS]))
    if weights == "default" and kind not in foreign.LIBRARIES:
        files.put(model, *_published(name, model))
    elif weights not in (None, "default"):
        files.put(model, files.read(weights)[0], weights)
    return model.eval()


def _made(name: str, classes: int, size: int) -> nn.Module:
    """Return one of our networks; one that is too large for the memory is refused in words."""
    try:
        return OURS[name](classes=classes, size=size)
    except (RuntimeError, MemoryError) as error:
        raise ValueError(f"{name} for {classes} classes and {size} pixels cannot be made: {error}") from error


def _published(name: str, model: nn.Module) -> tuple[dict[str, Tensor], Path]:
    """Return the published weights of one of our networks, and where they lie."""
    if name == "efficientnet_lite0":
        return efficientnet.published(model)
    if name not in resnet.CIFAR_BLOCKS:
        raise ValueError(f"weights='default' was given, but no weights are published for {name!r}: give None or a path")
    found = published(name)
    if not found:
        folder = data_root(None) / "cifar10_resnet"
        raise RuntimeError(f"no published weights of {name}: put {name}*.th or {name}*.safetensors into {folder}")
    return files.read(found[0])[0], found[0]
