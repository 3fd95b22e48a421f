"""Pairs for the saliency methods: ours beside captum's."""
from collections.abc import Callable

import captum.attr
from torch import Tensor, nn

from benchmarks.difference import Pair
from nblib.data import load
from nblib.methods.saliency import saliency
from nblib.models import build
from nblib.targets import class_logit


def small() -> tuple[nn.Module, Tensor, Tensor]:
    """Return our small network, 64 images of 32 × 32, and the classes that are explained."""
    model = build("small_resnet", classes=9, size=32, seed=0)
    images = load("shapes", split="test", limit=64).images
    return model, images, model(images).argmax(1).detach()


def large() -> tuple[nn.Module, Tensor, Tensor]:
    """Return torchvision's ResNet-18, 2 images of 224 × 224, and the classes that are explained."""
    model = build("torchvision:resnet18", classes=10, size=224, seed=0)
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False  # captum's guided backpropagation fails on in-place modules
    images = load("shapes", split="test", size=224, limit=2).images
    return model, images, model(images).argmax(1).detach()


def pair(setting: Callable, method: str, theirs: Callable, **options) -> Callable[[], Pair]:
    """Return a function that makes a pair of one method; `theirs(model, images, labels)` gives (N, C, H, W)."""

    def make() -> Pair:
        model, images, labels = setting()
        target = class_logit(labels)
        return {
            "ours": lambda: saliency(model, images, method=method, target=target, reduce=None, **options).detach(),
            "theirs": lambda: theirs(model, images.clone(), labels).detach(),
        }

    return make


def integrated(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """captum's integrated gradients with its default rule, all steps in one batch."""
    return captum.attr.IntegratedGradients(model).attribute(images, target=labels, n_steps=50)


def integrated_in_pieces(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The same, with the memory bound that captum offers."""
    return captum.attr.IntegratedGradients(model).attribute(images, target=labels, n_steps=50, internal_batch_size=64)


def occluded(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """captum's occlusion, its windows in batches; its values are one map for all colours."""
    maps = captum.attr.Occlusion(model).attribute(
        images, target=labels, sliding_window_shapes=(3, 8, 8), strides=(3, 4, 4), perturbations_per_eval=4)
    return maps[:, :1]


def grad_cam(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """captum's Grad-CAM, enlarged to the image."""
    layer = model.layer4 if hasattr(model, "layer4") else model.layer3
    method = captum.attr.LayerGradCam(model, layer)
    maps = method.attribute(images, target=labels, relu_attributions=True)
    return nn.functional.interpolate(maps, size=images.shape[2:], mode="bilinear")


def guided(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """captum's guided backpropagation."""
    return captum.attr.GuidedBackprop(model).attribute(images, target=labels)


PAIRS: dict[str, Callable[[], Pair]] = {
    "gradient, 32 px, captum": pair(
        small, "gradient", lambda m, x, y: captum.attr.Saliency(m).attribute(x, target=y, abs=False)),
    "integrated_gradients, 32 px, captum": pair(small, "integrated_gradients", integrated),
    "integrated_gradients, 224 px, captum": pair(large, "integrated_gradients", integrated_in_pieces),
    "guided_backprop, 224 px, captum": pair(large, "guided_backprop", guided),
    "grad_cam, 224 px, captum": pair(large, "grad_cam", grad_cam, layer="layer4"),
    "occlusion, 32 px, captum": pair(small, "occlusion", occluded, window=8, stride=4),
}
