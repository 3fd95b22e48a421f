"""Residual networks for small images: our small one, and the CIFAR ResNets of He et al. 2016."""
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nblib.models.normalisation import IMAGENET, normalised

CIFAR_BLOCKS = {"resnet20": 3, "resnet32": 5, "resnet44": 7, "resnet56": 9}  # residual blocks in each of three stages


class Block(nn.Module):
    """Two 3×3 convolutions around which the input is carried; it has no weights on the way round (option A)."""

    def __init__(self, channels_in: int, channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU(inplace=True)
        self.stride, self.added = stride, channels - channels_in

    def shortcut(self, x: Tensor) -> Tensor:
        """Keep every `stride`-th pixel and put channels of zeros in front of and behind those of `x`."""
        before = self.added // 2
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.added - before))

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(residual + self.shortcut(x))


class ResNet(nn.Module):
    """A convolution, stages of residual blocks named layer1, layer2, ..., global average pooling, a linear layer."""

    def __init__(self, classes: int, *, stem: int, widths: tuple[int, ...], strides: tuple[int, ...], blocks: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, stem, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU(inplace=True)
        self.stages = [f"layer{number}" for number in range(1, len(widths) + 1)]
        before = stem
        for name, width, stride in zip(self.stages, widths, strides):
            first = Block(before, width, stride)
            self.add_module(name, nn.Sequential(first, *(Block(width, width, 1) for _ in range(blocks - 1))))
            before = width
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(before, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        for stage in self.stages:
            x = getattr(self, stage)(x)
        return self.linear(self.pool(x).flatten(1))


def small_resnet(*, classes: int, size: int) -> nn.Module:
    """Return a ResNet of 0.17 million weights that learns 32-pixel images in seconds; any `size` works."""
    network = ResNet(classes, stem=24, widths=(24, 48, 96), strides=(2, 2, 1), blocks=1)
    return normalised(network.to(memory_format=torch.channels_last), *IMAGENET)  # a quarter faster on a CPU


def cifar(name: str) -> Callable[..., nn.Module]:
    """Return the maker of a CIFAR ResNet (He et al. 2016, section 4.2), with shortcuts that have no weights."""

    def make(*, classes: int, size: int) -> nn.Module:
        network = ResNet(classes, stem=16, widths=(16, 32, 64), strides=(1, 2, 2), blocks=CIFAR_BLOCKS[name])
        return normalised(network, *IMAGENET)

    return make
