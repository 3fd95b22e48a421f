"""Which pixels a pathway answers to: Grad-CAM and the gradient of a network along it."""
import torch
from torch import Tensor, nn
from torch.nn import functional

from nblib.engine import check_inputs, chunks, explained, logits_of, precise, slope_of
from nblib.hooks import capture, edit
from nblib.methods.neural_pathways.pathways import Pathway, expect_for, keep, rows_of
from nblib.targets import Target


def pathway_gradient(model: nn.Module, images: Tensor, pathway: Pathway, *, target: Target | None = None,
                     chunk_size: int | None = None) -> Tensor:
    r"""The gradient :math:`\partial f/\partial x` of the network along a pathway that is held, (N, C, H, W), signed.

    Args: as in `nblib.methods.neural_pathways`.

    Source: P0, section 4; Khakzar et al. (2021).
    """
    check_inputs(model, images)
    expect_for(images, pathway)
    value = explained(model, images, target, chunk_size)
    found = torch.empty_like(images)
    with torch.inference_mode(False), torch.enable_grad():
        for _, index in chunks(images, 1, chunk_size):
            rows = images[index].detach().requires_grad_()
            with edit(model, keep(rows_of(pathway, index))):
                scalars = value(logits_of(model, rows), index)
            found[index] = slope_of(scalars, rows).to(images.dtype)
    return found


def strongest_channel(gradient: Tensor) -> Tensor:
    """Return of each pixel's channels (N, C, H, W) the value of the largest magnitude, over the image's largest, (N, H, W).

    In [−1, 1]; an image without any gradient stays 0.
    """
    if gradient.ndim != 4:
        raise ValueError(f"a gradient of shape {tuple(gradient.shape)} was given, expected (N, C, H, W)")
    values = gradient.gather(1, gradient.abs().argmax(1, keepdim=True))[:, 0]
    return values / values.abs().amax((1, 2), keepdim=True).clamp(min=torch.finfo(values.dtype).tiny)


def pathway_grad_cam(model: nn.Module, images: Tensor, pathway: Pathway, *, target: Target | None = None,
                     layer: str | None = None, chunk_size: int | None = None) -> Tensor:
    r"""Grad-CAM along a pathway: its last layer's masked channels, weighted by their mean slopes.

    .. math:: M=\mathrm{upsample}\sum_kw_k\tilde A_k,\quad\tilde A=P\otimes A,\quad
        w_k=\frac1{hw}\sum_{uv}\frac{\partial f}{\partial\tilde A_{kuv}}

    Args:
        layer: a layer of the pathway with places, (N, k, h, w); None is the last.

    Other arguments: as in `nblib.methods.neural_pathways`.

    Returns:
        (N, H, W), signed, bilinear from h × w; the paper shows what is above 0.

    Source: P0, section 4; Selvaraju et al. (2017).
    """
    check_inputs(model, images)
    expect_for(images, pathway)
    layer = list(pathway)[-1] if layer is None else layer
    if layer not in pathway or pathway[layer].ndim != 4:
        raise ValueError(f"layer {layer!r} was given, expected one of the pathway with channels and places (N, k, h, w)")
    value = explained(model, images, target, chunk_size)
    found = images.new_empty(len(images), *images.shape[2:])
    with torch.inference_mode(False), torch.enable_grad():
        for _, index in chunks(images, 1, chunk_size):
            rows = images[index].detach().requires_grad_()
            with edit(model, keep(rows_of(pathway, index))), capture(model, [layer]) as seen:
                scalars = value(logits_of(model, rows), index)
            slope = precise(slope_of(scalars, seen[layer], layer)).mean((2, 3), keepdim=True)
            small = (slope * precise(seen[layer].detach())).sum(1, keepdim=True)
            large = functional.interpolate(small, size=images.shape[2:], mode="bilinear", align_corners=False)
            found[index] = large[:, 0].to(images.dtype)
    return found
