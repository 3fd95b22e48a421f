"""Class activation maps: which places of a late layer speak for the class. Grad-CAM and Grad-CAM++, both ours.

captum has Grad-CAM too, as `LayerGradCam`, and the tests hold ours against it; the two methods here share all but their
weights.
"""
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from nblib.engine import (
    channel_axis,
    channel_axis_of,
    check_inputs,
    chunks,
    exactly,
    explained,
    logits_of,
    precise,
    slope_of,
)
from nblib.hooks import capture, find, output_shapes
from nblib.targets import Target


def last_spatial_layer(model: nn.Module, images: Tensor) -> str:
    """Return the last layer that still has places, before they are pooled away: Grad-CAM's default.

    It is recognised by running one image: of the layers whose output is (N, C, h, w), or (N, h, w, C) as in Swin, with
    more than one place, the one that finishes last, not counting adaptive pooling. For torchvision's ResNets that is
    "layer4".

    Args: as in `nblib.methods.saliency`.

    Raises:
        ValueError: no such layer, or tokens (N, T, D) come after it, as in a vision transformer.
    """
    check_inputs(model, images)
    return _last_spatial_layer(model, images[:1])


def _last_spatial_layer(model: nn.Module, image: Tensor) -> str:
    """Find the layer by one checked image (1, C, H, W)."""
    shapes = output_shapes(model, image.clone())
    shapes.pop("", None)
    resizing = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
    layers = list(shapes)

    def has_places(layer: str) -> bool:
        shape = shapes[layer]
        if len(shape) != 4 or isinstance(find(model, layer), resizing) or shape[2:].numel() == 1:
            return False
        return shape[1:3].numel() > 1 or channel_axis_of(model, layer, image) == 1  # (N, 1, 1, C): none, or C of them

    spatial = [number for number, layer in enumerate(layers) if has_places(layer)]
    if not spatial:
        raise ValueError(f"{type(model).__name__} has no layer with output (N, C, h, w) and more than one place")
    tokens = [layer for layer in layers[spatial[-1] :] if len(shapes[layer]) == 3 and shapes[layer][1] > 1]
    if tokens:
        raise ValueError(
            f"{type(model).__name__} goes on with tokens after its last layer of places, {layers[spatial[-1]]!r}: "
            f"{tokens[-1]!r} has {tuple(shapes[tokens[-1]])}; class activation maps need channels x height x width"
        )
    return layers[spatial[-1]]


def grad_cam(
    model: nn.Module,
    images: Tensor,
    *,
    target: Target | None = None,
    layer: str | None = None,
    relu: bool = True,
    chunk_size: int | None = None,
) -> Tensor:
    r"""A late layer's channels, weighted by the mean gradient of the target with respect to each.

    .. math:: S=\mathrm{upsample}\,\max\Big(0,\sum_k\bar g_kA_k\Big),\qquad
        \bar g_k=\frac1{hw}\sum_{u,v}\frac{\partial f}{\partial A_{kuv}}

    Args:
        layer: where A is read, an output (N, k, h, w) or (N, h, w, k), of which what made it tells the channels (see
            `nblib.engine.channel_axis`); None takes `last_spatial_layer`.
        relu: True, as the paper defines it, keeps what speaks for the target; False returns the signed sum.

    Other arguments: as in `nblib.methods.saliency`.

    Returns:
        (N, 1, H, W), bilinear from h × w; ≥ 0 with `relu`.

    Raises:
        ValueError: also a layer without places, or one of whose axes nobody can tell which has the channels.
        KeyError: a layer that is not there, with the nearest names.

    Source: Selvaraju et al. (2017), equations 1 and 2. Engine: ours; equal to captum's `LayerGradCam`, interpolated.
    """
    return _class_activation(
        model, images, lambda _, slope: slope.mean((2, 3), keepdim=True), target, layer, relu, chunk_size
    )


def grad_cam_plus_plus(
    model: nn.Module,
    images: Tensor,
    *,
    target: Target | None = None,
    layer: str | None = None,
    relu: bool = True,
    chunk_size: int | None = None,
) -> Tensor:
    r"""Grad-CAM with weights that count each place by itself, so that several instances of a class all show.

    .. math:: S=\mathrm{upsample}\,\max\Big(0,\sum_kw_kA_k\Big),\quad w_k=\sum_{u,v}\alpha_{kuv}\max(0,g_{kuv}),\quad
        \alpha=\frac{g^2}{2g^2+\big(\sum_{u,v}A_{kuv}\big)g^3+10^{-6}},\ 0\text{ where }g=0

    Args: as in `grad_cam`.

    Returns:
        (N, 1, H, W), bilinear from h × w; ≥ 0 with `relu`. The constant :math:`10^{-6}` makes it depend on the scale of
        the logits where gradients are below about :math:`10^{-3}`.

    Raises: as `grad_cam`.

    Source: Chattopadhay et al. (2018), whose target is the exponential of the logit; here g is the
    gradient of the target itself, as in the code that P4's comparison used. Engine: ours; captum has none.
    """

    def weights(activation: Tensor, slope: Tensor) -> Tensor:
        below = 2 * slope**2 + activation.sum((2, 3), keepdim=True) * slope**3 + 1e-6
        share = torch.where(slope == 0, 0.0, slope**2 / below)
        return (share * slope.relu()).sum((2, 3), keepdim=True)

    return _class_activation(model, images, weights, target, layer, relu, chunk_size)


def _class_activation(
    model: nn.Module,
    images: Tensor,
    weights: Callable[[Tensor, Tensor], Tensor],
    target: Target | None,
    layer: str | None,
    relu: bool,
    chunk_size: int | None,
) -> Tensor:
    """Return the layer's channels summed by `weights(activation, gradient)`, (N, k, 1, 1), at the images' size."""
    check_inputs(model, images)
    layer = _last_spatial_layer(model, images[:1]) if layer is None else layer
    find(model, layer)
    value = explained(model, images, target, chunk_size)
    maps = []
    with torch.inference_mode(False), torch.enable_grad():
        for _, image in chunks(images, 1, chunk_size):
            rows = images[image].detach().requires_grad_()  # so that there is a graph though the weights be frozen
            with capture(model, [layer]) as captured:
                scalars = value(logits_of(model, rows), image)
            axis = channel_axis(layer, captured[layer])
            slope = slope_of(scalars, captured[layer], f"layer {layer!r}")
            activation, slope = (precise(tensor.detach()).movedim(axis, 1) for tensor in (captured[layer], slope))
            maps.append((weights(activation, slope) * activation).sum(1, keepdim=True))
    low = torch.cat(maps).relu() if relu else torch.cat(maps)
    with exactly(images):
        large = functional.interpolate(low, size=images.shape[2:], mode="bilinear", align_corners=False)
    return large.to(images.dtype)
