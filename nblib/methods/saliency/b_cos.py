"""B-cos maps: the network is its own explanation, because with its cosine factors held it is linear in the image."""
import torch
from torch import Tensor, nn
from torch.nn import functional

from nblib.checks import expect_int
from nblib.engine import check_inputs, chunks, exactly, explained, logits_of, precise, slope_of
from nblib.hooks import capture
from nblib.models.b_cos import Encode, linearised
from nblib.targets import Target


def b_cos(model: nn.Module, images: Tensor, *, target: Target | None = None, chunk_size: int | None = None) -> Tensor:
    r"""What each pixel adds to the target of a B-cos network, exactly.

    With the cosine factors held constant the logits are linear in the six encoded channels :math:`\tilde x=(x,1-x)`:

    .. math:: S_c=\tilde x_cW_c+\tilde x_{c+3}W_{c+3},\qquad
        W=\frac{\partial f}{\partial\tilde x}\Big|_{\text{cosines held}},\qquad\sum S=z_y-\text{logit bias}

    Args: as in `nblib.methods.saliency`; the model is a B-cos network of `nblib.models`, and images (N, 3, H, W) lie in
    [0, 1] for the encoding to mean what it says.

    Returns:
        (N, 3, H, W), signed, in target units. The sum is exact for logits.

    Raises:
        ValueError: also a network that is not B-cos: this explains no other.

    Source: Böhle, Fritz and Schiele (2022). Engine: ours; captum has none.
    """
    check_inputs(model, images)
    encoded, weights = _linear_map(model, images, target, chunk_size)
    parts = encoded * weights  # (N, 6, H, W): r, g, b, 1 - r, 1 - g, 1 - b
    return (parts[:, :3] + parts[:, 3:]).to(images.dtype)


def b_cos_alpha(
    model: nn.Module,
    images: Tensor,
    *,
    target: Target | None = None,
    smooth: int | None = None,
    chunk_size: int | None = None,
) -> Tensor:
    r"""The opacity of a B-cos explanation drawn in colour: how strongly the network looks, where that speaks for the
    target.

    :math:`\|W\|_2` over the channels, 0 where the contribution is negative, smoothed by a mean filter, divided by its
    99.5 % quantile and clipped.

    Args:
        smooth: the side of the mean filter in pixels, odd; None takes the odd number next to 15/224 of the image's
            side.

    Other arguments: as in `b_cos`.

    Returns:
        (N, H, W) in [0, 1]: P4's map of a B-cos network. All zero where nothing speaks for the target.

    Raises:
        ValueError: as `b_cos`, or a filter that is even or larger than the image.

    Source: P4, section 4.1; the code of the B-cos authors (bcos/common.py of B-cos/B-cos-v2), which has a filter of 15
    pixels for images of 224.
    """
    check_inputs(model, images)
    side = min(images.shape[-2:])
    smooth = 2 * round((15 / 224 * side - 1) / 2) + 1 if smooth is None else smooth
    if expect_int("smooth", smooth, 1) % 2 == 0 or smooth > side:
        raise ValueError(f"smooth={smooth} was given, expected an odd number up to the image's side, {side}")
    encoded, weights = _linear_map(model, images, target, chunk_size)
    strength = weights.norm(dim=1) * ((encoded * weights).sum(1) >= 0)
    with exactly(images):
        alpha = functional.avg_pool2d(strength.unsqueeze(1), smooth, stride=1, padding=smooth // 2).squeeze(1)
    top = torch.stack([one.flatten().quantile(0.995) for one in alpha])[:, None, None]
    return torch.where(top > 0, alpha / top, 0.0).clamp(0, 1).to(images.dtype)


def _linear_map(
    model: nn.Module, images: Tensor, target: Target | None, chunk_size: int | None
) -> tuple[Tensor, Tensor]:
    """Return checked images as they are encoded and the weights that the network applies to them, (N, 6, H, W) each."""
    encoding = [name for name, module in model.named_modules() if isinstance(module, Encode)]
    encoded, weights = [], []
    with linearised(model), torch.inference_mode(False), torch.enable_grad():
        if not encoding:
            raise ValueError(f"{type(model).__name__} has B-cos layers but no Encode, whose six channels are explained")
        value = explained(model, images, target, chunk_size)
        for _, image in chunks(images, 1, chunk_size):
            rows = images[image].detach().requires_grad_()
            with capture(model, encoding) as captured:
                scalars = value(logits_of(model, rows), image)
            layer = captured[encoding[0]]
            encoded.append(precise(layer.detach()))
            weights.append(precise(slope_of(scalars, layer, "the encoded image")))
    return torch.cat(encoded), torch.cat(weights)
