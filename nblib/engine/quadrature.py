"""Rules that put a few points on the way from 0 to 1, with their weights."""
import numpy
import torch
from torch import Tensor

from nblib.checks import expect_int, expect_one_of, expect_room

QUADRATURES = ("gausslegendre", "left", "right", "midpoint", "trapezoid", "captum_trapezoid")


def quadrature_rule(name: str, steps: int) -> tuple[Tensor, Tensor]:
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
    expect_one_of("quadrature", name, QUADRATURES)
    expect_int("steps", steps, 2 if name.endswith("trapezoid") else 1)
    expect_room(f"steps={steps}", 4 * steps**2 if name == "gausslegendre" else 4 * steps)
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
