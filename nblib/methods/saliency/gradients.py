"""Saliency from gradients with respect to the pixels: one engine, `weighted_gradient`, and the points where it looks.

All of them return (N, C, H, W), signed. captum has these methods too, and the tests hold ours against its results. The
engine is ours, because one loop of ten lines serves all six at the same speed, runs where only torch is, keeps each
pass to `chunk_size` rows, explains any target, and draws noise that does not depend on the batch.
"""
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nblib.checks import expect_int, expect_number, expect_room
from nblib.engine import as_given, baseline_for, check_inputs, precise, quadrature_rule, seeded, weighted_gradient
from nblib.hooks import relu_gradient
from nblib.targets import Target


def gradient(
    model: nn.Module, images: Tensor, *, target: Target | None = None, chunk_size: int | None = None
) -> Tensor:
    r"""How steeply the target rises with each pixel, :math:`S=\partial f(x)/\partial x`.

    Args: as in `nblib.methods.saliency`.

    Returns:
        (N, C, H, W), in target units per unit of pixel value.

    Source: Simonyan, Vedaldi and Zisserman (2014), section 3; "vanilla gradients". They take the largest magnitude over
    the colours, `saliency(..., reduce="max_abs")`; we return the signed value. Engine: ours; equal to captum's
    `Saliency`.
    """
    check_inputs(model, images)
    return as_given(_slope(model, images, target, chunk_size), images)


def _slope(model: nn.Module, images: Tensor, target: Target | None, chunk_size: int | None) -> Tensor:
    """Return the gradient of checked input, (N, C, H, W), in single precision at least."""
    return weighted_gradient(
        model, images, lambda _, image: (images[image], 1.0), 1, target=target, chunk_size=chunk_size
    )


def input_gradient(
    model: nn.Module,
    images: Tensor,
    *,
    target: Target | None = None,
    baseline: float | str | Tensor = 0.0,
    chunk_size: int | None = None,
) -> Tensor:
    r"""The first-order guess of what each pixel adds, :math:`S=(x-x')\odot\partial f(x)/\partial x`.

    Args: as in `nblib.methods.saliency`. At baseline 0.0, black, this is "gradient × input".

    Returns:
        (N, C, H, W), in target units.

    Source: Shrikumar et al. (2016), as "gradient × input". Engine: ours; at baseline 0 equal to captum's
    `InputXGradient`.
    """
    check_inputs(model, images)
    start = baseline_for(images, baseline)
    return as_given((images.detach() - start) * _slope(model, images, target, chunk_size), images)


def integrated_gradients(
    model: nn.Module,
    images: Tensor,
    *,
    target: Target | None = None,
    steps: int = 50,
    baseline: float | str | Tensor = 0.0,
    quadrature: str = "gausslegendre",
    chunk_size: int | None = None,
) -> Tensor:
    r"""What each pixel adds on the straight way from a baseline to the image.

    .. math:: S=(x-x')\odot\int_0^1\nabla f\big(x'+\alpha(x-x')\big)\,d\alpha,\qquad \sum S=f(x)-f(x')

    Args:
        steps: points on the path, from 1 up.
        quadrature: "gausslegendre", "left", "right", "midpoint", "trapezoid", or "captum_trapezoid", whose weights sum
            to (steps − 1)/steps and which P2's published metrics used; see `nblib.engine.quadrature_rule`.

    Other arguments: as in `nblib.methods.saliency`.

    Returns:
        (N, C, H, W), in target units. `completeness_gap` says how far the sum is from the identity above.

    Source: Sundararajan, Taly and Yan (2017), equations 1 to 3; P2, section 3.2. Engine: ours; images and steps
    share a forward pass. Equal to captum's but for the trapezoid, whose weights there do not sum to 1.
    """
    check_inputs(model, images)
    start = baseline_for(images, baseline)
    way = precise(images.detach()) - start
    positions, weights = (t.to(way).view(-1, 1, 1, 1) for t in quadrature_rule(quadrature, steps))
    mean_slope = weighted_gradient(
        model,
        images,
        lambda step, image: (start[image] + positions[step] * way[image], weights[step]),
        steps,
        target=target,
        chunk_size=chunk_size,
    )
    return as_given(way * mean_slope, images)


def smooth_gradient(
    model: nn.Module,
    images: Tensor,
    *,
    target: Target | None = None,
    samples: int = 25,
    noise: float = 0.1,
    seed: int = 0,
    chunk_size: int | None = None,
) -> Tensor:
    r"""The gradient averaged over noisy copies, :math:`S=\frac1n\sum_{i}\nabla f(x+\epsilon_i)`.

    Args:
        samples: n, how many noisy copies, from 1 up.
        noise: the standard deviation of :math:`\epsilon`, in the images' own units: 0.1 is a tenth of [0, 1].

    Other arguments: as in `nblib.methods.saliency`.

    Returns:
        (N, C, H, W), in target units per unit of pixel value.

    Source: Smilkov et al. (2017), section 3, where the noise is 10 to 20 % of each image's own range and n is 50. Noisy
    copies are not clipped to [0, 1]. Engine: ours; equal to captum's
    `NoiseTunnel` where the noise is.
    """
    check_inputs(model, images)
    fields = _noise(images, samples, noise, seeded(seed))
    mean_slope = weighted_gradient(
        model,
        images,
        lambda step, image: (images[image] + fields[step], 1 / samples),
        samples,
        target=target,
        chunk_size=chunk_size,
    )
    return as_given(mean_slope, images)


def _noise(images: Tensor, samples: int, noise: float, generator: torch.Generator) -> Tensor:
    """Return normal noise fields, (samples, C, H, W), in single precision at least."""
    expect_int("samples", samples, 1)
    expect_number("noise", noise, 0)
    expect_room(f"samples={samples}", samples * images[0].numel())
    return noise * torch.randn(samples, *images.shape[1:], generator=generator).to(precise(images[:0]))


def gradient_shap(
    model: nn.Module,
    images: Tensor,
    *,
    target: Target | None = None,
    samples: int = 25,
    baselines: Sequence[float | str | Tensor] = (0.0, "mean"),
    noise: float = 0.0,
    seed: int = 0,
    chunk_size: int | None = None,
) -> Tensor:
    r"""Integrated gradients over random baselines, estimated at one random point of the way for each sample.

    .. math:: S=\frac1n\sum_{i}(\tilde x_i-b_i)\odot\nabla f\big(b_i+\alpha_i(\tilde x_i-b_i)\big),\qquad
        \tilde x_i=x+\epsilon_i,\ b_i\text{ a random baseline},\ \alpha_i\sim U(0,1)

    Args:
        samples: n, from 1 up.
        baselines: those to draw from, one or more; black and each image's own mean colour.
        noise: the standard deviation of :math:`\epsilon`, in the images' own units.

    Other arguments: as in `nblib.methods.saliency`.

    Returns:
        (N, C, H, W), in target units; without noise it sums, in expectation, to f(x) minus the mean of f at the
        baselines.

    Source: Lundberg and Lee (2017) and Erion et al. (2021), "expected gradients". Engine: ours; captum's
    `GradientShap` has the same expectation, but draws from global random state, and for the whole batch at once.
    """
    check_inputs(model, images)
    generator = seeded(seed)
    fields = _noise(images, samples, noise, generator)
    if not isinstance(baselines, (list, tuple)) or not baselines:
        raise ValueError(f"baselines={baselines!r} was given, expected a list of at least one baseline")
    starts = torch.stack([baseline_for(images, baseline) for baseline in baselines])  # (B, N, C, H, W)
    which = torch.randint(len(starts), (samples,), generator=generator).to(images.device)
    alpha = torch.rand(samples, 1, 1, 1, generator=generator, dtype=torch.float64).to(fields)

    def points(step: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        start = starts[which[step], image]
        way = images[image].detach() + fields[step] - start
        return start + alpha[step] * way, way / samples

    total = weighted_gradient(model, images, points, samples, target=target, chunk_size=chunk_size)
    return as_given(total, images)


def guided_backprop(
    model: nn.Module, images: Tensor, *, target: Target | None = None, chunk_size: int | None = None
) -> Tensor:
    r"""The gradient that passes each ReLU only where it is positive, :math:`R^{(l)}=[z^{(l)}>0]\,\max(R^{(l+1)},0)`.

    Args: as in `nblib.methods.saliency`; the model has its ReLUs as `nn.ReLU` or `nn.ReLU6` modules (in-place ones
    too).

    Returns:
        (N, C, H, W). Not a derivative of anything: it follows edges, and hardly changes when the upper layers are
        randomised (Adebayo et al. 2018).

    Raises:
        ValueError: also a model some or all of whose ReLUs are functional and cannot be reached.

    Source: Springenberg et al. (2015), "guided backpropagation". Engine: ours; equal to captum's
    `GuidedBackprop`, which returns the plain gradient, without a word, where ReLUs are functional.
    """
    check_inputs(model, images)
    with relu_gradient(model, torch.relu):
        return as_given(_slope(model, images, target, chunk_size), images)
