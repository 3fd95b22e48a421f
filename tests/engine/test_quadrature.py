"""The points and weights of integrals."""
import pytest

from nblib.engine import QUADRATURES, quadrature_rule


@pytest.mark.parametrize("quadrature", QUADRATURES)
def test_weights_of_a_quadrature_sum_to_one_but_for_captums_trapezoid(quadrature):
    for steps in (2, 10, 51):
        points, weights = quadrature_rule(quadrature, steps)
        expected = (steps - 1) / steps if quadrature == "captum_trapezoid" else 1.0
        assert weights.sum().item() == pytest.approx(expected)
        assert 0 <= points.min() and points.max() <= 1 and (points.diff() > 0).all()


@pytest.mark.parametrize("quadrature, degree", [("left", 0), ("right", 0), ("midpoint", 1), ("trapezoid", 1),
                                                ("gausslegendre", 9)])
def test_a_quadrature_is_exact_up_to_its_degree(quadrature, degree):
    points, weights = quadrature_rule(quadrature, 5)
    for power in range(degree + 1):
        assert (weights * points**power).sum().item() == pytest.approx(1 / (power + 1))
    assert abs((weights * points ** (degree + 1)).sum().item() - 1 / (degree + 2)) > 1e-9
