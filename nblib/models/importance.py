"""Networks that say what matters while they decide (P4): importance (IA), embedding (EA) and pixel (PA) architectures.

An image is cut into g × g patches of p × p pixels, row by row. All parts take images in [0, 1] and normalise inside.
"""
import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from nblib.checks import expect_int, expect_kind, expect_model, expect_number, expect_one_of
from nblib.models.normalisation import IMAGENET, normalised

HEADS = ("pooled", "convolutional")
ORDERS = ("insertion", "deletion")


class Layers(NamedTuple):
    """Widths of the parts, and the strides of their residual blocks."""

    component_stem: int
    component: tuple[int, int, int]  # of ComponentNet's blocks
    component_strides: tuple[int, int, int]  # of patches of 8 pixels and more; smaller ones have 1 at the end
    stem: int  # of ImportanceNet
    stem_kernel: int
    stem_pools: bool
    importance: tuple[int, int, int, int]  # each of two blocks
    importance_strides: tuple[int, int, int, int]
    context: tuple[int, int, int]  # of ContextNet's blocks


LAYERS = {
    "paper": Layers(32, (32, 64, 128), (1, 2, 2), 64, 7, True, (64, 128, 256, 512), (1, 2, 2, 2), (128, 256, 256)),
    "thin": Layers(16, (16, 24, 32), (2, 2, 2), 16, 3, False, (16, 24, 32, 48), (1, 2, 1, 2), (32, 48, 48)),
}


class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions around which the input is carried, by a 1 × 1 convolution where its shape changes."""

    def __init__(self, channels_in: int, channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU(inplace=True)
        changed = stride > 1 or channels_in != channels
        self.shortcut = nn.Sequential(
            nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
        ) if changed else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(residual + self.shortcut(x))


def patches_of(images: Tensor, patch: int) -> Tensor:
    """Return the patches of images (N, C, H, W), row by row, as a batch (N · g · g, C, p, p)."""
    count, channels, height, width = images.shape
    cut = images.view(count, channels, height // patch, patch, width // patch, patch)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, patch, patch)


class ComponentNet(nn.Module):
    """Images to an embedding of each patch, which no other patch can change: (N, 3, H, W) → E (N, k, g, g)."""

    def __init__(self, *, patch: int, width: int, layers: str):
        super().__init__()
        sizes = LAYERS[layers]
        strides = sizes.component_strides if patch >= 8 else (*sizes.component_strides[:2], 1)
        self.patch, self.width = patch, width
        self.stem = nn.Sequential(nn.Conv2d(3, sizes.component_stem, 3, padding=1, bias=False),
                                  nn.BatchNorm2d(sizes.component_stem), nn.ReLU(inplace=True))
        before = (sizes.component_stem, *sizes.component)
        self.blocks = nn.Sequential(*map(ResidualBlock, before, sizes.component, strides))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(sizes.component[-1], width)

    def forward(self, images: Tensor) -> Tensor:
        patches = patches_of(images, self.patch).contiguous(memory_format=torch.channels_last)
        rows = self.linear(self.pool(self.blocks(self.stem(patches))).flatten(1))
        grid = images.shape[2] // self.patch
        return rows.view(len(images), grid, -1, self.width).permute(0, 3, 1, 2)


class ImportanceNet(nn.Module):
    """Images to the importance of each patch, decided with the whole image in view: (N, 3, H, W) → a (N, g, g)."""

    def __init__(self, *, size: int, patch: int, layers: str, head: str):
        super().__init__()
        sizes, self.size, self.grid = LAYERS[layers], size, size // patch
        stem = [nn.Conv2d(3, sizes.stem, sizes.stem_kernel, 2, padding=sizes.stem_kernel // 2, bias=False),
                nn.BatchNorm2d(sizes.stem), nn.ReLU(inplace=True)]
        self.stem = nn.Sequential(*stem, *([nn.MaxPool2d(3, 2, padding=1)] if sizes.stem_pools else []))
        blocks, before = [], sizes.stem
        for width, stride in zip(sizes.importance, sizes.importance_strides):
            blocks += [ResidualBlock(before, width, stride), ResidualBlock(width, width, 1)]
            before = width
        self.blocks, self.pool = nn.Sequential(*blocks), nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(before, self.grid**2) if head == "pooled" else nn.Conv2d(before, 1, 1)
        nn.init.zeros_(self.head.bias)  # every importance begins near ½

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[2:] != (self.size, self.size):
            raise ValueError(f"images of {tuple(images.shape[2:])} pixels were given, this importance is of "
                             f"{self.size} × {self.size}, on a grid of {self.grid} × {self.grid}")
        x = self.blocks(self.stem(images.contiguous(memory_format=torch.channels_last)))
        if isinstance(self.head, nn.Linear):
            return torch.sigmoid(self.head(self.pool(x).flatten(1))).view(-1, self.grid, self.grid)
        scores = functional.interpolate(self.head(x), size=(self.grid, self.grid), mode="bilinear")
        return torch.sigmoid(scores).squeeze(1)


class ContextNet(nn.Module):
    """A map of weighted embeddings to logits: (N, k, g, g) → (N, K)."""

    def __init__(self, classes: int, *, grid: int, width: int, layers: str):
        super().__init__()
        widths, strides = LAYERS[layers].context, (1, 2 if grid >= 7 else 1, 2 if grid >= 14 else 1)
        self.blocks = nn.Sequential(*map(ResidualBlock, (width, *widths), widths, strides))
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.hidden, self.relu = nn.Linear(widths[-1], widths[-1]), nn.ReLU(inplace=True)
        self.linear = nn.Linear(widths[-1], classes)

    def forward(self, weighted: Tensor) -> Tensor:
        x = self.pool(self.blocks(weighted.contiguous(memory_format=torch.channels_last))).flatten(1)
        return self.linear(self.relu(self.hidden(x)))


class Frozen(nn.Module):
    """A network that learns no more: its weights have no gradients, and it is in evaluation mode whatever is around."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.training = False

    def train(self, mode: bool = True) -> nn.Module:
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)


class ImportanceModel(nn.Module):
    r"""IA(p, k): a sum of embeddings of patches, each weighted by its importance, decides alone.

    .. math:: z=W_2\,\mathrm{ReLU}\Big(W_1\sum_ia_ie_i+b_1\Big)+b_2

    Args:
        classes: K, 2 or more.
        size: H and W in pixels.
        patch: p, which divides the size; g = size / p.
        width: k, of the embeddings.
        layers: "thin", for images of 32 to 96 pixels, or "paper", for 224.
        head: of the importance: "pooled", as in the paper, where one pooled vector decides about all places, or
            "convolutional", a score at each place.
        learn_importance: False freezes the importance as it is drawn, a control.
        seed: of the random weights; the caller's random generator is left alone.

    Raises:
        ValueError: an option out of range, or a patch that does not divide the size.

    Source: P4, section 3.1; widths and strides are ours, which the paper does not print. Its ImportanceNet, eight
    residual blocks, has the layers of a ResNet-18 in "paper".
    """

    def __init__(self, classes: int, *, size: int, patch: int = 8, width: int = 32, layers: str = "thin",
                 head: str = "pooled", learn_importance: bool = True, seed: int = 0):
        super().__init__()
        self.classes, self.size = expect_int("classes", classes, 2), expect_int("size", size, 1)
        self.width, self.layers = expect_int("width", width, 1), expect_one_of("layers", layers, LAYERS)
        self.patch, self.grid = expect_patch(size, patch), size // patch
        expect_one_of("head", head, HEADS), expect_int("seed", seed, 0, 2**63 - 1)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.components = normalised(ComponentNet(patch=patch, width=width, layers=layers), *IMAGENET)
            scores = normalised(ImportanceNet(size=size, patch=patch, layers=layers, head=head), *IMAGENET)
            self.scores = scores if learn_importance else Frozen(scores)
            self.hidden, self.relu = nn.Linear(width, width), nn.ReLU(inplace=True)
            self.linear = nn.Linear(width, classes)
        self.to(memory_format=torch.channels_last)  # a third faster on a CPU
        self.eval()

    def answer(self, embeddings: Tensor, importance: Tensor) -> Tensor:
        """Return the logits (N, K) for embeddings (N, k, g, g) and the importance (N, g, g) that weights them."""
        total = (embeddings * importance.unsqueeze(1)).sum((2, 3))
        return self.linear(self.relu(self.hidden(total)))

    def forward(self, images: Tensor) -> Tensor:
        importance = self.scores(images)
        self.mean_importance = importance.detach().mean()  # of the last batch, for who watches a training
        return self.answer(self.components(images), importance)


class EmbeddingModel(nn.Module):
    """EA(p, k): the weighted embeddings stay in their places, and a small network looks at all of them.

    Args:
        ia: the `ImportanceModel` that it begins with. Its importance is copied and frozen, its embeddings are copied
            and learn on.
        scores: another importance, images (N, 3, H, W) → (N, g, g), in place of the IA's; for controls.
        seed: of the random weights of what is new.

    Source: P4, section 3.2; widths and strides are ours.
    """

    def __init__(self, ia: ImportanceModel, *, scores: nn.Module | None = None, seed: int = 0):
        super().__init__()
        expect_kind("ia", ia, ImportanceModel)
        self.classes, self.size, self.patch, self.grid = ia.classes, ia.size, ia.patch, ia.grid
        expect_int("seed", seed, 0, 2**63 - 1)
        self.scores = Frozen(ia.scores if scores is None else scores)
        self.components = copy.deepcopy(ia.components)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            context = ContextNet(ia.classes, grid=ia.grid, width=ia.width, layers=ia.layers)
            self.context = context.to(next(ia.parameters())).to(memory_format=torch.channels_last)
        self.eval()

    def answer(self, embeddings: Tensor, importance: Tensor) -> Tensor:
        """Return the logits (N, K) for embeddings (N, k, g, g) and the importance (N, g, g) that weights them."""
        return self.context(embeddings * importance.unsqueeze(1))

    def forward(self, images: Tensor) -> Tensor:
        return self.answer(self.components(images), self.scores(images))


class PixelModel(nn.Module):
    """PA(p, t): any network, which sees of each image only the patches that an importance leaves; by `pixel_model`."""

    def __init__(self, scores: nn.Module, backbone: nn.Module, *, patch: int, threshold: float, order: str,
                 fill: float):
        super().__init__()
        self.scores, self.backbone = Frozen(scores), backbone
        self.patch, self.threshold, self.order, self.fill = patch, threshold, order, fill

    def kept(self, images: Tensor) -> Tensor:
        """Return which patches of images (N, 3, H, W) are seen, (N, g, g) bool."""
        importance = self.scores(images)
        return importance >= self.threshold if self.order == "insertion" else importance <= self.threshold

    def seen(self, images: Tensor) -> Tensor:
        """Return the images (N, 3, H, W) as the network inside sees them."""
        kept = self.kept(images).repeat_interleave(self.patch, 1).repeat_interleave(self.patch, 2)
        return torch.where(kept.unsqueeze(1), images, self.fill)

    def forward(self, images: Tensor) -> Tensor:
        return self.backbone(self.seen(images))


def pixel_model(ia: ImportanceModel, backbone: nn.Module, *, threshold: float, order: str = "insertion",
                scores: nn.Module | None = None, fill: float = 0.0) -> PixelModel:
    r"""Return PA(p, t), the network `backbone` behind a mask of patches.

    Args:
        ia: whose importance a decides; it is copied and frozen.
        backbone: (N, 3, H, W) in [0, 1] → logits, random or trained; it is copied.
        threshold: t in [0, 1].
        order: "insertion" masks the patches with :math:`a_i<t`, "deletion" those with :math:`a_i>t`, the paper's
            modified PA.
        scores: as in `EmbeddingModel`.
        fill: what masked pixels become, in [0, 1]; 0 is black.

    Raises:
        ValueError: a threshold or fill outside [0, 1], an unknown order.

    Source: P4, section 3.3; with t = 0 it is the backbone itself. What masked pixels become is not printed there.
    """
    expect_kind("ia", ia, ImportanceModel), expect_model(backbone)
    expect_number("threshold", threshold, 0, 1), expect_number("fill", fill, 0, 1)
    model = PixelModel(ia.scores if scores is None else scores, copy.deepcopy(backbone), patch=ia.patch,
                       threshold=threshold, order=expect_one_of("order", order, ORDERS), fill=fill)
    return model.eval()


def expect_patch(size: int, patch: int) -> int:
    """Return a patch's side if it divides an image's; otherwise raise a ValueError with those nearest that do."""
    if expect_int("patch", patch, 1) > size or size % patch:
        fitting = [side for side in range(1, size + 1) if size % side == 0]
        near = {max((side for side in fitting if side < patch), default=1),
                min((side for side in fitting if side > patch), default=size)}
        raise ValueError(f"patch={patch} was given, which does not divide images of {size} pixels: expected "
                         f"{' or '.join(map(str, sorted(near)))}")
    return int(patch)
