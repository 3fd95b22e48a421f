"""AlexNet for small images, as it is used on CIFAR-10, and a thin one with batch norms for short trainings."""
from collections import OrderedDict

from torch import nn

from nblib.models.normalisation import normalised

CIFAR = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))  # mean and standard deviation of CIFAR-10 in [0, 1]
SMALLEST = 32  # pixels: smaller maps vanish in the pools
GEOMETRY = ((11, 4, 5), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1))  # kernel, stride and padding of each convolution
POOLED = {1, 2, 5}  # after which a maximum over 2 × 2 places is taken


class AlexNet(nn.Sequential):
    """Five convolutions with ReLUs of their own, three pools, and one linear layer: nothing hidden is fully connected."""

    def __init__(self, classes: int, widths: tuple[int, ...], *, norms: bool):
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        before = 3
        for number, (width, (kernel, stride, padding)) in enumerate(zip(widths, GEOMETRY), 1):
            parts[f"conv{number}"] = nn.Conv2d(before, width, kernel, stride, padding, bias=not norms)
            if norms:
                parts[f"bn{number}"] = nn.BatchNorm2d(width)
            parts[f"relu{number}"] = nn.ReLU(inplace=True)
            if number in POOLED:
                parts[f"pool{number}"] = nn.MaxPool2d(2)
            before = width
        parts |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), "linear": nn.Linear(before, classes)}
        super().__init__(parts)


def alexnet_cifar(*, classes: int, size: int) -> nn.Module:
    """Return the AlexNet of 10,752 ReLU units on 32 pixels (bearpaw/pytorch-classification); it learns at a rate of 0.01.

    Raises:
        ValueError: a size below 32.
    """
    return for_pixels("alexnet_cifar", AlexNet(classes, (64, 192, 384, 256, 256), norms=False), size)


def small_alexnet(*, classes: int, size: int) -> nn.Module:
    """Return a thin AlexNet with batch norms, which learns shapes in seconds; without the norms it does not.

    Raises:
        ValueError: a size below 32.
    """
    return for_pixels("small_alexnet", AlexNet(classes, (32, 64, 96, 64, 64), norms=True), size)


def for_pixels(name: str, network: nn.Module, size: int) -> nn.Module:
    """Return a network that takes images in [0, 1]; sizes that its pools cannot take are refused."""
    if size < SMALLEST:
        raise ValueError(f"size={size} was given to {name}, expected {SMALLEST} or more")
    return normalised(network, *CIFAR)
