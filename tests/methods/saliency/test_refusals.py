"""Wrong calls of the saliency methods, and what is said of each."""
import numpy as np
import torch
from torch import nn

from nblib.methods.saliency import (
    applicable,
    b_cos_alpha,
    completeness_gap,
    last_spatial_layer,
    passes,
    saliency,
    unsigned_maps,
)
from nblib.models.b_cos import small_b_cos
from nblib.targets import class_logit, contrast, surprisal, top_k_sum
from tests.fixtures.networks import SmallNet, settled
from tests.fixtures.refusals import check, refused
from tests.fixtures.saliency import some_images

NET, IMAGES = settled(SmallNet()), some_images()
B_COS = settled(small_b_cos(classes=4, size=12))


class Unused(SmallNet):
    """A network with a layer that runs for nothing."""

    def __init__(self):
        super().__init__()
        self.extra = nn.Conv2d(3, 4, 3)
        self.double().eval()

    def forward(self, x):
        self.extra(x)
        return super().forward(x)


REFUSED = [
    (lambda: saliency(None, IMAGES, method="gradient"), "a model of type NoneType"),
    (lambda: saliency("resnet", IMAGES, method="gradient"), "a model of type str"),
    (lambda: saliency(NET, None, method="gradient"), "images of NoneType"),
    (lambda: saliency(NET, IMAGES.tolist(), method="gradient"), "images of list"),
    (lambda: saliency(NET, IMAGES.numpy(), method="gradient"), "images of ndarray"),
    (lambda: saliency(NET, IMAGES[0], method="gradient"), r"expected a tensor \(N, C, H, W\)"),
    (lambda: saliency(NET, IMAGES[:, :1], method="gradient"), "does not run on 2 images"),
    (lambda: saliency(NET, IMAGES.to("meta"), method="gradient"), "on meta, the model is torch.float64 on cpu"),
    (lambda: saliency(NET, IMAGES.to(torch.complex64), method="gradient"), "complex64"),
    (lambda: saliency(NET, IMAGES.bool(), method="gradient"), "torch.bool"),
    (lambda: saliency(NET, IMAGES.half(), method="gradient"), "torch.float16"),
    (lambda: saliency(NET, IMAGES * torch.nan, method="gradient"), "not finite"),
    (lambda: saliency(nn.Sequential().eval(), IMAGES, method="gradient"), "expected logits"),
    (lambda: saliency(NET, IMAGES, method=None), "method None was given"),
    (lambda: saliency(NET, IMAGES, method=3), "method 3 was given"),
    (lambda: saliency(NET, IMAGES, method=["gradient"]), r"method \['gradient'\] was given"),
    (lambda: saliency(NET, IMAGES, method="gradient", reduce=sum), "reduce"),
    (lambda: saliency(NET, IMAGES, method="gradient", reduce=["sum"]), "reduce"),
    (lambda: saliency(NET, IMAGES, method="gradient", target="cat"), "target 'cat'"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=torch.tensor([1, 2, 3])), "expected a function of logits"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=lambda z: z.argmax(1)), "int64"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=lambda z: z.detach()[:, 0]), "no gradient"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=lambda z: torch.ones(3).double()), "no gradient"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=lambda z: z[:, 0] / 0 * 0), "not finite"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=lambda z: z[:, 0].sum()), "one number an image"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=lambda z: None), "NoneType"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=lambda: 1), "the target fails on logits"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=lambda z: z[:, 9]),
     r"the target fails on logits \(3, 4\)"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=lambda z: z.numpy()), "the target fails on logits"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=class_logit(None)), "labels"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=class_logit("cat")), "labels"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=class_logit(1.5)), "whole numbers"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=class_logit([0, 1])), "labels of shape"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=class_logit([[0], [1, 2]])), "labels"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=class_logit(-1)), "label -1"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=class_logit(True)), "whole numbers"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=top_k_sum("2")), "k='2'"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=top_k_sum(2.5)), "k=2.5"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=top_k_sum(9)), "k=9"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=contrast("a", "b")), "labels"),
    (lambda: saliency(NET, IMAGES, method="gradient", target=surprisal(torch.zeros(3), torch.eye(3))),
     "responses of 4 units"),
    (lambda: saliency(NET, IMAGES, method="gradient", chunk_size="8"), "chunk_size='8'"),
    (lambda: saliency(NET, IMAGES, method="gradient", chunk_size=2.0), "chunk_size=2.0"),
    (lambda: saliency(NET, IMAGES, method="gradient", chunk_size=True), "chunk_size=True"),
    (lambda: saliency(NET, IMAGES, method="integrated_gradients", steps=None), "steps=None"),
    (lambda: saliency(NET, IMAGES, method="integrated_gradients", steps="50"), "steps='50'"),
    (lambda: saliency(NET, IMAGES, method="integrated_gradients", steps=10**6), "steps=1000000.*memory"),
    (lambda: saliency(NET, IMAGES, method="integrated_gradients", quadrature=None), "quadrature None"),
    (lambda: saliency(NET, IMAGES, method="integrated_gradients", baseline=None), "baseline=None"),
    (lambda: saliency(NET, IMAGES, method="integrated_gradients", baseline=[0, 0, 0]), r"baseline=\[0, 0, 0\]"),
    (lambda: saliency(NET, IMAGES, method="integrated_gradients", baseline=np.zeros(3)), "baseline="),
    (lambda: saliency(NET, IMAGES, method="integrated_gradients", baseline=torch.zeros(3)), "a baseline of shape"),
    (lambda: saliency(NET, IMAGES, method="smooth_gradient", samples="5"), "samples='5'"),
    (lambda: saliency(NET, IMAGES, method="smooth_gradient", samples=10**13), "samples=10000000000000.*memory"),
    (lambda: saliency(NET, IMAGES, method="smooth_gradient", noise="a"), "noise='a'"),
    (lambda: saliency(NET, IMAGES, method="smooth_gradient", noise=None), "noise=None"),
    (lambda: saliency(NET, IMAGES, method="smooth_gradient", seed=None), "seed=None"),
    (lambda: saliency(NET, IMAGES, method="smooth_gradient", seed=1.5), "seed=1.5"),
    (lambda: saliency(NET, IMAGES, method="smooth_gradient", seed=2**70), "seed="),
    (lambda: saliency(NET, IMAGES, method="gradient_shap", baselines=0.0), "baselines=0.0"),
    (lambda: saliency(NET, IMAGES, method="gradient_shap", baselines=[None]), "baseline=None"),
    (lambda: saliency(NET, IMAGES, method="occlusion", window="8"), "window='8'"),
    (lambda: saliency(NET, IMAGES, method="occlusion", window=None), "window=None"),
    (lambda: saliency(NET, IMAGES, method="occlusion", window=-3), "window=-3"),
    (lambda: saliency(NET, IMAGES, method="occlusion", stride="2"), "stride='2'"),
    (lambda: saliency(NET, IMAGES, method="rise", masks="many"), "masks='many'"),
    (lambda: saliency(NET, IMAGES, method="rise", masks=10**13), "masks=10000000000000.*memory"),
    (lambda: saliency(NET, IMAGES, method="rise", cells=10**9), "cells=1000000000.*memory"),
    (lambda: saliency(NET, IMAGES, method="rise", p="half"), "p='half'"),
    (lambda: saliency(NET, IMAGES, method="rise", patch=7), "patch=7 was given, which does not divide images of"),
    (lambda: saliency(NET, IMAGES, method="rise", patch=0), "patch=0"),
    (lambda: saliency(NET, IMAGES, method="grad_cam", layer=3), "layer 3"),
    (lambda: saliency(NET, IMAGES, method="grad_cam", layer=["relu2"]), r"layer \['relu2'\]"),
    (lambda: saliency(NET, IMAGES, method="grad_cam", layer=NET.relu2), "layer ReLU"),
    (lambda: saliency(NET, IMAGES, method="grad_cam", layer=""), r"expected \(N, channels, h, w\)"),
    (lambda: saliency(NET, IMAGES, method="grad_cam", layer="relu2:input:input"), "no layer"),
    (lambda: saliency(Unused(), IMAGES, method="grad_cam", layer="extra"), "no gradient with respect to layer 'extra'"),
    (lambda: saliency(NET, IMAGES, method="b_cos"), "no B-cos layer"),
    (lambda: b_cos_alpha(B_COS, IMAGES, smooth="3"), "smooth='3'"),
    (lambda: b_cos_alpha(B_COS, IMAGES, smooth=2), "smooth=2"),
    (lambda: applicable(NET, IMAGES, "gradient"), "methods='gradient' was given, expected several"),
    (lambda: applicable(NET, IMAGES, None), "methods=None"),
    (lambda: applicable(NET, IMAGES, []), "no method applies"),
    (lambda: applicable(NET, IMAGES, ["gradient"], options=[1]), r"options=\[1\]"),
    (lambda: applicable(NET, None), "images of NoneType"),
    (lambda: unsigned_maps(NET, IMAGES, method=None), "method None"),
    (lambda: completeness_gap(None, NET, IMAGES), "maps of NoneType"),
    (lambda: completeness_gap(IMAGES[:1], NET, IMAGES), "maps of"),
    (lambda: completeness_gap(IMAGES.tolist(), NET, IMAGES), "maps of list"),
    (lambda: passes("gradient", "32"), "size='32'"),
    (lambda: passes("gradient", None), "size=None"),
    (lambda: passes("occlusion", (32,)), r"size=\(32,\)"),
    (lambda: last_spatial_layer(NET, None), "images of NoneType"),
    (lambda: last_spatial_layer(None, IMAGES), "a model of type NoneType"),
]


@refused(REFUSED)
def test_a_wrong_call_is_refused_in_words(call, said):
    check(call, said)
