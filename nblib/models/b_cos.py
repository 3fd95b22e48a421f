"""B-cos networks (Böhle, Fritz and Schiele 2022), whose output is, for each input, a linear function of it."""
import contextlib
import itertools
import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nblib.models.batch_norm import UncentredBatchNorm


class Encode(nn.Module):
    """(N, 3, H, W) in [0, 1] -> (N, 6, H, W): r, g, b, 1-r, 1-g, 1-b, so that a colour is a direction."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([images, 1 - images], 1)


class BCosConv2d(nn.Module):
    r"""A convolution whose response shrinks with the angle between weights and input.

    .. math:: y = (\hat w^\top x)\,|\cos(x, \hat w)|^{b-1},\qquad b = 2

    with :math:`\hat w` of unit norm and no bias. While `linear` is set, the cosine factor is a constant to autograd,
    and the gradient is the weight that the input met.
    """

    def __init__(self, channels_in: int, channels: int, kernel: int, stride: int = 1, *, eps: float = 1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels_in, kernel, kernel))
        nn.init.kaiming_normal_(self.weight)
        self.stride, self.padding, self.eps = stride, kernel // 2, eps
        self.linear = False

    def forward(self, x: Tensor) -> Tensor:
        unit = F.normalize(self.weight.flatten(1), dim=1).reshape(self.weight.shape)
        response = F.conv2d(x, unit, stride=self.stride, padding=self.padding)
        square = x.square().sum(1, keepdim=True)
        kernel = self.weight.shape[-1]
        norm = torch.sqrt(F.avg_pool2d(square, kernel, self.stride, self.padding, divisor_override=1) + self.eps)
        cosine = response.abs() / norm
        return response * (cosine.detach() if self.linear else cosine)


class BCosBlock(nn.Module):
    """A B-cos convolution and batch norm around which the input is carried where the shapes allow it."""

    def __init__(self, channels_in: int, channels: int, stride: int):
        super().__init__()
        self.conv = BCosConv2d(channels_in, channels, 3, stride)
        self.norm = UncentredBatchNorm(channels)
        self.residual = stride == 1 and channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        result = self.norm(self.conv(x))
        return result + x if self.residual else result


class SmallBCos(nn.Module):
    """Six-channel input, B-cos blocks, a B-cos 1×1 convolution to the classes, global average pooling, logit bias."""

    def __init__(self, classes: int, widths: tuple[int, ...] = (16, 32, 64), scale: float = 10.0):
        super().__init__()
        self.encode = Encode()
        self.stem = BCosBlock(6, widths[0], 1)
        blocks = []
        for before, width in itertools.pairwise(widths):
            blocks += [BCosBlock(before, width, 2), BCosBlock(width, width, 1)]
        self.blocks = nn.Sequential(*blocks)
        self.classify = BCosConv2d(widths[-1], classes, 1)
        self.scale = scale  # unit weights alone reach logits near 1, which train slowly
        self.logit_bias = -math.log(classes - 1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.classify(self.blocks(self.stem(self.encode(images))))
        return self.scale * x.mean((2, 3)) + self.logit_bias


def small_b_cos(*, classes: int, size: int) -> nn.Module:
    """Return a B-cos network of 0.07 million weights for images of 32 pixels; any `size` works."""
    return SmallBCos(classes)


def is_b_cos(model: nn.Module) -> bool:
    """Say whether `model` is a B-cos network: whether it has a `BCosConv2d`."""
    return any(isinstance(module, BCosConv2d) for module in model.modules())


@contextlib.contextmanager
def linearised(model: nn.Module) -> Iterator[None]:
    r"""Hold the cosine factors of a B-cos network constant under autograd, for the length of the block.

    With :math:`x` the six-channel input of one image, the output of the layer `"encode"`, and
    :math:`W = \partial z_y/\partial x`, the contributions of all channels and pixels sum to the logit, in
    evaluation mode:

    .. math:: \textstyle\sum_{c,h,w} x_{chw} W_{chw} = z_y - \text{logit bias}

    Raises:
        ValueError: a model without B-cos layers.
    """
    layers = [module for module in model.modules() if isinstance(module, BCosConv2d)]
    if not layers:
        raise ValueError(f"{type(model).__name__} has no B-cos layer; 'small_b_cos' of nblib.models is a B-cos network")
    before = [layer.linear for layer in layers]
    try:
        for layer in layers:
            layer.linear = True
        yield
    finally:
        for layer, linear in zip(layers, before):
            layer.linear = linear


def uniform_off_label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean binary cross entropy of logits (N, K) with targets 1 at the label and 1/K elsewhere."""
    classes = logits.shape[1]
    targets = torch.full_like(logits, 1 / classes).scatter(1, labels[:, None], 1.0)
    return F.binary_cross_entropy_with_logits(logits, targets)
