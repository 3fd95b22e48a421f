"""What the methods share: checked input, rows that fit in memory, the scalar explained, baselines, quadrature."""
import inspect
from collections.abc import Callable, Iterator

import numpy
import torch
from torch import Tensor, nn

from nblib.checks import number, one_of, whole
from nblib.targets import Target, class_logit, evaluate

PIXELS_AT_ONCE = 2**16  # on a CPU, 64 rows of 32 x 32: more rows leave the caches and are slower
FEWEST_ROWS = 4  # one row of 224 x 224 at a time was a third slower
PIXELS_AT_ONCE_ON_ACCELERATORS = 2**21  # 41 rows of 224 x 224: a ResNet-50 with its graph stays under 8 GB


def options_of(method: str, function: Callable, given: dict[str, object]) -> dict[str, object]:
    """Return the keyword-only options of a method, its defaults replaced by what was given; refuse unknown ones."""
    parameters = inspect.signature(function).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "target"}
    for name in given:
        one_of(f"{method}: option", name, defaults)
    return defaults | given


def seeded(seed: int) -> torch.Generator:
    """Return a source of random numbers on the CPU, so that a seed means the same on every device."""
    return torch.Generator().manual_seed(whole("seed", seed, 0))


def check(model: nn.Module, images: Tensor) -> None:
    """Refuse a model in training mode, and images that are not a finite, non-empty (N, C, H, W) fit for the model."""
    training = next((name for name, module in model.named_modules() if module.training), None)
    if training is not None:
        where = f"its layer {training!r}" if training else type(model).__name__
        raise ValueError(f"{where} is in training mode, expected evaluation mode: call model.eval() first")
    if not isinstance(images, Tensor) or images.ndim != 4:
        given = f"shape {tuple(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(f"images of {given} were given, expected a tensor (N, C, H, W)")
    if not images.numel():
        raise ValueError(f"images of shape {tuple(images.shape)} were given, expected at least one image and pixel")
    if not images.is_floating_point():
        raise ValueError(f"images of type {images.dtype} were given, expected floating point: images.float() / 255")
    if not images.isfinite().all():
        bad = (~images.isfinite().flatten(1).all(1)).nonzero().flatten().tolist()
        raise ValueError(f"images {bad[:5]} have values that are not finite (NaN or infinite), expected finite ones")
    weight = next((p for p in model.parameters() if p.is_floating_point()), images)
    if (weight.dtype, weight.device) != (images.dtype, images.device):
        raise ValueError(
            f"images are {images.dtype} on {images.device}, the model is {weight.dtype} on {weight.device}: "
            "bring one to the other with .to(...)"
        )


def logits_of(model: nn.Module, rows: Tensor) -> Tensor:
    """Return the model's logits (R, K) for rows (R, C, H, W), or say that it gave something else."""
    logits = model(rows.clone())  # a copy: the network may begin with an operation in place
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(rows):
        given = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"{type(model).__name__} returned {given}, expected logits ({len(rows)}, K)")
    return logits


def chunks(images: Tensor, steps: int, chunk_size: int | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Cut the `steps` × N rows of a computation into pieces; yield the step and the image of each row, (R,) each.

    All images of one step come before the next step. A piece has `chunk_size` rows; None takes as many as hold
    `PIXELS_AT_ONCE` pixels, and on a GPU more.
    """
    if chunk_size is None:
        pixels = PIXELS_AT_ONCE if images.device.type == "cpu" else PIXELS_AT_ONCE_ON_ACCELERATORS
        chunk_size = max(FEWEST_ROWS, pixels // images[0, 0].numel())
    whole("chunk_size", chunk_size, 1)
    rows = torch.arange(steps * len(images), device=images.device)
    for piece in rows.split(chunk_size):
        yield piece // len(images), piece % len(images)


def predicted(model: nn.Module, images: Tensor, *, chunk_size: int | None = None) -> Tensor:
    """Return the class that the model predicts for each image, (N,) whole numbers."""
    with torch.no_grad():
        return torch.cat([logits_of(model, images[i]).argmax(1) for _, i in chunks(images, 1, chunk_size)])


def explained(
    model: nn.Module,
    images: Tensor,
    target: Target | None,
    chunk_size: int | None,
    default: Callable[[Tensor], Target] = class_logit,
) -> Callable[[Tensor, Tensor], Tensor]:
    """Check the input; return the scalar that is explained, as a function of logits (R, K) and images' numbers (R,).

    Where `target` is None, it is `default` of the class predicted at x, which stays the same at every other point.
    """
    check(model, images)
    if target is None:
        labels = predicted(model, images, chunk_size=chunk_size)
        return lambda logits, index: default(labels[index])(logits)
    if not callable(target):
        raise ValueError(f"target {target!r} was given, expected a function of logits, such as class_logit({target!r})")
    return lambda logits, index: evaluate(target, logits, index, len(images))


def weighted_gradient(
    model: nn.Module,
    images: Tensor,
    points: Callable[[Tensor, Tensor], tuple[Tensor, Tensor | float]],
    steps: int,
    *,
    target: Target | None,
    chunk_size: int | None,
) -> Tensor:
    r"""Return :math:`\sum_s w_s\odot\nabla f(x_s)` for each image, (N, C, H, W): the engine of all gradient methods.

    `points(step, image)` gives, for (R,) steps and (R,) images' numbers, the rows :math:`x_s`, (R, C, H, W), and their
    weights, broadcastable to them. Only the gradient with respect to the rows is computed.
    """
    value = explained(model, images, target, chunk_size)
    with torch.inference_mode(False), torch.enable_grad():
        total = torch.zeros(images.shape, dtype=images.dtype, device=images.device)
        for step, image in chunks(images, steps, chunk_size):
            rows, weights = points(step, image)
            rows = rows.detach().requires_grad_()
            scalars = value(logits_of(model, rows), image)
            gradient = torch.autograd.grad(scalars.sum(), rows)[0]
            total.index_add_(0, image, (weights * gradient).detach())
    return total


def baseline_for(images: Tensor, baseline: float | str | Tensor) -> Tensor:
    """Return the baseline of each image, (N, C, H, W).

    `baseline` is a number (0.0 is black), "mean" (each image's own mean colour), or a tensor (C, 1, 1), (C, H, W) or
    (N, C, H, W).
    """
    if isinstance(baseline, str):
        one_of("baseline", baseline, ("mean",))
        return images.mean((2, 3), keepdim=True).expand_as(images)
    if not isinstance(baseline, Tensor):
        number("baseline", baseline)
    baseline = torch.as_tensor(baseline, dtype=images.dtype, device=images.device).detach()
    fits = baseline.ndim in (0, 3, 4) and all(
        have in (1, want) for have, want in zip(reversed(baseline.shape), reversed(images.shape))
    )
    if not fits or not baseline.isfinite().all():
        raise ValueError(
            f"a baseline of shape {tuple(baseline.shape)} was given, expected finite values that fit images of "
            f"{tuple(images.shape)}: a number, 'mean', (C, 1, 1), (C, H, W) or (N, C, H, W)"
        )
    return baseline.expand_as(images)


QUADRATURES = ("gausslegendre", "left", "right", "midpoint", "trapezoid", "captum_trapezoid")


def quadrature(name: str, steps: int) -> tuple[Tensor, Tensor]:
    r"""Return the points and weights of a rule for :math:`\int_0^1 g(\alpha)\,d\alpha\approx\sum_s w_s\,g(\alpha_s)`.

    Args:
        name: "gausslegendre" (exact for polynomials up to degree 2·steps − 1); "left", "right", "midpoint" (points
            a step of 1/steps apart); "trapezoid" (points 1/(steps − 1) apart, both ends included, and weights true to
            that spacing); "captum_trapezoid" (the same points with weights 1/steps and half that at the ends, whose sum
            is (steps − 1)/steps, so that completeness is missed by 1/steps: the rule behind P2's published numbers).
        steps: how many points, from 1 up; from 2 up for the trapezoids.

    Returns:
        Points in [0, 1], ascending, and weights; (steps,) each, float64.

    Raises:
        ValueError: an unknown rule, or too few steps.
    """
    one_of("quadrature", name, QUADRATURES)
    whole("steps", steps, 2 if name.endswith("trapezoid") else 1)
    if name == "gausslegendre":
        points, weights = numpy.polynomial.legendre.leggauss(steps)
        return torch.from_numpy((points + 1) / 2), torch.from_numpy(weights / 2)
    number = torch.arange(steps, dtype=torch.float64)
    even = torch.full_like(number, 1 / steps)
    if not name.endswith("trapezoid"):
        return (number + {"left": 0.0, "midpoint": 0.5, "right": 1.0}[name]) / steps, even
    weights = even if name == "captum_trapezoid" else torch.full_like(number, 1 / (steps - 1))
    weights[[0, -1]] /= 2
    return number / (steps - 1), weights
