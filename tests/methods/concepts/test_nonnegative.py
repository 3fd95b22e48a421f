"""Non-negative factors, and coefficients against scipy's least squares."""
import numpy
import pytest
import torch

from nblib.methods.concepts import factorize, match_concepts, nonnegative_coefficients
from tests.fixtures.concepts import sparse
from tests.references import concepts as reference


def test_a_planted_product_is_found_again():
    left, right = sparse(300, 4, seed=1), sparse(4, 30, seed=2)
    found_left, found_right = factorize(left @ right, 4)
    assert (found_left >= 0).all() and (found_right >= 0).all()
    residual = (left @ right - found_left @ found_right).norm() / (left @ right).norm()
    assert residual < 0.01
    assert match_concepts(left, found_left).similarity.min() > 0.99
    assert match_concepts(right.T, found_right.T).similarity.min() > 0.99


def test_factors_follow_the_seed_and_type():
    rows = sparse(60, 20, seed=3)
    first, again = factorize(rows, 5, seed=1), factorize(rows, 5, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert factorize(rows.float(), 3)[1].dtype == torch.float32


@pytest.mark.parametrize("rank, channels", [(1, 3), (4, 12), (10, 40), (30, 50)])
def test_coefficients_equal_scipys_least_squares(rank, channels):
    bank, rows = sparse(rank, channels, seed=rank), sparse(200, channels, seed=9)
    bank += 1e-3  # no direction is zero
    expected = numpy.stack([reference.nnls(bank.numpy().T, row.numpy())[0] for row in rows])
    assert numpy.abs(nonnegative_coefficients(rows, bank).numpy() - expected).max() < 1e-9


@pytest.mark.parametrize("size", [1e-20, 1.0, 1e20])
def test_coefficients_survive_scales_and_directions_that_depend_on_each_other(size):
    bank = sparse(6, 20, seed=1, share=1.0)
    bank[3], bank[4], bank[5] = bank[1], 0.0, bank[0] + bank[2]
    rows = size * sparse(100, 20, seed=2)
    found = nonnegative_coefficients(rows, bank)
    assert (found >= 0).all() and found.isfinite().all() and (found[:, 4] == 0).all()
    for row, u in zip(rows / size, found / size, strict=True):
        gap = ((row - u @ bank) ** 2).sum().item() - reference.nnls(bank.numpy().T, row.numpy())[1] ** 2
        assert abs(gap) < 1e-9


def bumps(count, width, channels=30):
    """Directions that overlap: bumps along the channels."""
    place, middle = (torch.linspace(0, 1, n, dtype=torch.float64) for n in (channels, count))
    return torch.exp(-((place - middle[:, None]) / width) ** 2 / 2)


def test_coefficients_are_found_where_full_exchanges_go_in_circles():
    bank, rows = bumps(12, 0.1), torch.rand(300, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = nonnegative_coefficients(rows, bank)  # exchanging all variables at once never ends for a seventh of these
    for row, mine in zip(rows, found, strict=True):
        theirs, residual = reference.nnls(bank.numpy().T, row.numpy())
        assert (row - mine @ bank).norm().item() == pytest.approx(residual, abs=1e-9)
        assert numpy.abs(mine.numpy() - theirs).max() < 1e-6


def test_many_rows_are_for_themselves():
    bank, rows = sparse(40, 50, seed=3) + 1e-3, sparse(3000, 50, seed=4)  # more than are solved together
    found = nonnegative_coefficients(rows, bank)
    torch.testing.assert_close(torch.cat([nonnegative_coefficients(rows[i : i + 1], bank) for i in (0, 2620, 2999)]),
                               found[[0, 2620, 2999]])


def test_directions_that_nearly_depend_on_each_other_are_said_to():
    rows = torch.rand(40, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with pytest.raises(RuntimeError, match="directions nearly depend"):
        nonnegative_coefficients(rows, bumps(15, 0.2))
