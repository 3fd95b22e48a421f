"""VGG-11 with batch norms for small images, as it is used on CIFAR-10, and a thin one for short trainings."""
from collections import OrderedDict

from torch import nn

from nblib.models.alexnet import for_pixels

POOLED = {1, 2, 4, 6, 8}  # convolutions after which a maximum over 2 × 2 places is taken


class VGG(nn.Sequential):
    """Eight convolutions of 3 × 3, each with a batch norm and a ReLU of its own, five pools, and one linear layer."""

    def __init__(self, classes: int, widths: tuple[int, ...]):
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        before = 3
        for number, width in enumerate(widths, 1):
            parts[f"conv{number}"] = nn.Conv2d(before, width, 3, padding=1)
            parts[f"bn{number}"] = nn.BatchNorm2d(width)
            parts[f"relu{number}"] = nn.ReLU(inplace=True)
            if number in POOLED:
                parts[f"pool{number}"] = nn.MaxPool2d(2)
            nn.init.normal_(parts[f"conv{number}"].weight, std=(2 / (9 * width)) ** 0.5)
            nn.init.zeros_(parts[f"conv{number}"].bias)
            before = width
        linear = nn.Linear(before, classes)
        nn.init.normal_(linear.weight, std=0.01)
        nn.init.zeros_(linear.bias)
        super().__init__(parts | {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), "linear": linear})


def vgg11_cifar(*, classes: int, size: int) -> nn.Module:
    """Return the VGG-11 of 151,552 ReLU units on 32 pixels (bearpaw/pytorch-classification).

    Raises:
        ValueError: a size below 32.
    """
    return for_pixels("vgg11_cifar", VGG(classes, (64, 128, 256, 256, 512, 512, 512, 512)), size)


def small_vgg(*, classes: int, size: int) -> nn.Module:
    """Return a VGG-11 of an eighth of the width, 145 thousand weights, which learns shapes in a minute.

    Raises:
        ValueError: a size below 32.
    """
    return for_pixels("small_vgg", VGG(classes, (8, 16, 32, 32, 64, 64, 64, 64)), size)
