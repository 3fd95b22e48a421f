"""The door to all saliency methods: one call, the methods by name, what they cost and how far their sums are off."""
from collections.abc import Callable

from torch import Tensor, nn

from nblib.checks import expect_int, expect_one_of, expect_tensor
from nblib.engine import as_given, baseline_for, check_inputs, options_of, precise, target_change
from nblib.methods.saliency.b_cos import b_cos
from nblib.methods.saliency.class_activation import grad_cam, grad_cam_plus_plus
from nblib.methods.saliency.gradients import (
    gradient,
    gradient_shap,
    guided_backprop,
    input_gradient,
    integrated_gradients,
    smooth_gradient,
)
from nblib.methods.saliency.perturbation import occlusion, rise, window_spans
from nblib.targets import Target

METHODS: dict[str, Callable[..., Tensor]] = {
    "gradient": gradient,
    "integrated_gradients": integrated_gradients,
    "smooth_gradient": smooth_gradient,
    "input_gradient": input_gradient,
    "guided_backprop": guided_backprop,
    "grad_cam": grad_cam,
    "grad_cam_plus_plus": grad_cam_plus_plus,
    "occlusion": occlusion,
    "rise": rise,
    "gradient_shap": gradient_shap,
    "b_cos": b_cos,
}

REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sum": lambda maps: maps.sum(1),
    "sum_abs": lambda maps: maps.abs().sum(1),
    "max_abs": lambda maps: maps.abs().amax(1),
}


def saliency(
    model: nn.Module,
    images: Tensor,
    *,
    method: str,
    target: Target | None = None,
    reduce: str | None = "sum",
    **options: object,
) -> Tensor:
    r"""How much each pixel matters to what the network says of its image, by the method named.

    Args:
        method: a name in `METHODS`.
        reduce: over colours: "sum" (signed), "sum_abs", "max_abs", or None for one map a colour.
        options: those of the method, such as steps, baseline, seed and chunk_size.

    Other arguments: as in `nblib.methods.saliency`.

    Returns:
        (N, H, W), raw and signed. With `reduce=None` (N, C, H, W), where C is 1 for the methods that see no colours:
        the class activation maps, occlusion and RISE. RISE's option `patch` makes H and W those of the patches.

    Raises:
        ValueError: also an unknown method, reduction or option, with the nearest choice.
        KeyError: an unknown layer, with the nearest names.
    """
    function = METHODS[expect_one_of("method", method, METHODS)]
    if reduce is not None:
        expect_one_of("reduce", reduce, REDUCTIONS)
    maps = function(model, images, target=target, **options_of(method, function, options))
    return maps if reduce is None else REDUCTIONS[reduce](maps)


def completeness_gap(
    maps: Tensor,
    model: nn.Module,
    images: Tensor,
    *,
    target: Target | None = None,
    baseline: float | str | Tensor = 0.0,
    chunk_size: int | None = None,
) -> Tensor:
    r"""How far a map's sum is from what it should share out, :math:`\sum S-\big(f(x)-f(x')\big)`.

    Args:
        maps: (N, H, W) or (N, C, H, W), signed and raw, of the target and from the baseline that are given.

    Other arguments: as in `nblib.methods.saliency`.

    Returns:
        (N,), in target units; near zero for integrated gradients with enough steps.

    Raises:
        ValueError: also maps that do not fit the images.

    Source: Sundararajan, Taly and Yan (2017), proposition 1.
    """
    check_inputs(model, images)
    expect_tensor("maps", maps)
    if maps.ndim not in (3, 4) or (len(maps), *maps.shape[-2:]) != (len(images), *images.shape[-2:]):
        raise ValueError(f"maps of {tuple(maps.shape)} were given, expected (N, H, W) of images {tuple(images.shape)}")
    share = target_change(model, images, baseline_for(images, baseline), target, chunk_size)
    return as_given(precise(maps).flatten(1).sum(1) - share, images)


def passes(method: str, size: int | tuple[int, int], **options: object) -> tuple[int, int]:
    """Count the rows that a method sends forward and backward through the network for one image.

    The one forward pass that finds the predicted class where `target` is None is not counted.

    Args:
        method: a name in `METHODS`.
        size: the image's side in pixels, or (H, W).
        options: those of the method, as for `saliency`; its defaults otherwise.

    Returns:
        (forward, backward).

    Raises:
        ValueError: an unknown method or option, or a window that does not fit the size.
    """
    chosen = options_of(method, METHODS[expect_one_of("method", method, METHODS)], options)
    sides = size if isinstance(size, tuple) and len(size) == 2 else (size, size)
    for side in sides:
        expect_int("size", side, 1)
    if method == "occlusion":
        down, across = (len(window_spans(side, chosen["window"], chosen["stride"])) for side in sides)
        return down * across + 1, 0
    if method == "rise":
        return chosen["masks"], 0
    rows = chosen.get("steps", chosen.get("samples", 1))
    return rows, rows
