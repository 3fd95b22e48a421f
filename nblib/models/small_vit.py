"""Our small vision transformer, for short trainings."""
import torch
from torch import Tensor, nn

from nblib.models.normalisation import IMAGENET, normalised
from nblib.models.resnet import Block as ResidualBlock


class ConvolvedPatches(nn.Module):
    """Tokens (N, T, D) of patches of 8 × 8 pixels, by residual convolutions in place of one linear map.

    They end in a batch norm: from tokens of any size some seeds learn slowly.
    """

    def __init__(self, img_size: int, in_chans: int, embed_dim: int, **_: object):
        super().__init__()
        widths = (16, 16, 32, 64)
        blocks = [ResidualBlock(before, width, 2) for before, width in zip(widths, widths[1:])]
        self.convolutions = nn.Sequential(
            nn.Conv2d(in_chans, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU(), *blocks,
            nn.Conv2d(widths[-1], embed_dim, 1, bias=False), nn.BatchNorm2d(embed_dim))
        for convolution in (module for module in self.modules() if isinstance(module, nn.Conv2d)):
            nn.init.kaiming_normal_(convolution.weight)
        self.num_patches = (img_size // 8) ** 2

    def forward(self, images: Tensor) -> Tensor:
        """Return tokens (N, T, D) of images (N, 3, H, W)."""
        return self.convolutions(images).flatten(2).transpose(1, 2)


def small_vit(*, classes: int, size: int) -> nn.Module:
    """Return timm's `VisionTransformer` in small: 6 blocks of width 48 and 192 neurons, for short trainings.

    One that cuts its patches with a linear map learns next to nothing from a few thousand images. So these, of 8 × 8
    pixels, come from convolutions (Xiao et al. 2021), and the maps to and from attention's values begin as the identity
    and a fifth of it (after Trockman and Kolter 2023). The MLPs' maps begin large; from small ones it learns to do
    without its neurons.

    Raises:
        ValueError: a size that patches do not fill.
    """
    from timm.models.vision_transformer import VisionTransformer

    if size < 8 or size % 8:
        raise ValueError(f"size={size} was given to small_vit, expected a multiple of 8, the side of a patch")
    sizes = {"img_size": size, "patch_size": 8, "embed_dim": 48, "depth": 6, "num_heads": 2, "mlp_ratio": 4.0}
    network = VisionTransformer(num_classes=classes, embed_layer=ConvolvedPatches, **sizes)
    with torch.no_grad():
        for block in network.blocks:
            block.attn.qkv.weight[2 * 48 :] = torch.eye(48)
            block.attn.proj.weight.copy_(0.2 * torch.eye(48))
            for linear in (block.mlp.fc1, block.mlp.fc2):
                nn.init.xavier_uniform_(linear.weight, gain=2.0)
    return normalised(network.to(memory_format=torch.channels_last), *IMAGENET)  # a fifth faster on a CPU
