"""The autoencoder: its codes, against the formulas and against what is known of them."""
import math

import pytest
import torch

from nblib.methods.modes import SparseAutoencoder
from tests.references.modes import codes_of, top_codes


def autoencoder(seed: int = 0, **options) -> SparseAutoencoder:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return SparseAutoencoder(12, 30, **options).double().eval()


def rows(count: int = 40) -> torch.Tensor:
    return torch.rand(count, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 3


@pytest.mark.parametrize("options", [{"threshold": 0.5}, {"threshold": 0.6, "hidden": 5}, {"threshold": 0.0}])
def test_threshold_codes_are_those_of_the_formula(options):
    model = autoencoder(**options)
    expected = [codes_of(model.state_dict(), row, options["threshold"]) for row in rows(6)]
    torch.testing.assert_close(model.encode(rows(6)), torch.tensor(expected, dtype=torch.float64))


def test_topk_codes_are_the_largest_and_keep_how_much():
    model = autoencoder(codes="topk", active=3)
    codes = model.encode(rows(6))
    torch.testing.assert_close(codes, torch.tensor([top_codes(model.state_dict(), row, 3) for row in rows(6)],
                                                   dtype=torch.float64))
    assert ((codes > 0).sum(1) <= 3).all() and codes.unique().numel() > 10


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.9])
def test_threshold_codes_are_zero_or_at_least_the_threshold_and_below_one(threshold):
    model = autoencoder(threshold=threshold)
    model.begin_firing(rows(), 0.3)
    codes = model.encode(rows())
    assert (codes > 0).any() and (codes == 0).any() and (codes < 1).all()
    assert (codes[codes > 0] >= threshold).all()


def test_a_silent_mode_gets_no_gradient_and_one_that_fires_does():
    model = autoencoder(threshold=0.55)
    reconstruction, codes = model(rows())
    (reconstruction - rows()).square().mean().backward()
    silent = (codes == 0).all(0)
    assert silent.any() and not silent.all()
    assert (model.last.weight.grad[silent] == 0).all() and (model.dictionary.grad[silent] == 0).all()
    assert (model.last.weight.grad[~silent] != 0).any(1).all()


@pytest.mark.parametrize("threshold, expected", [(0.5, 0.5), (0.7, 0.071), (0.8, 0.0082)])
def test_the_published_start_fires_as_rarely_as_its_gaussian_says(threshold, expected):
    torch.manual_seed(0)
    model = SparseAutoencoder(256, 768, threshold=threshold).eval()
    share = (model.encode(torch.randn(400, 256)) > 0).double().mean().item()
    # weights uniform in ±1/√H on a normed layer: pre-activations are about N(0, 1/3)
    gaussian = 0.5 * math.erfc(math.log(threshold / (1 - threshold)) / math.sqrt(2 / 3))
    assert gaussian == pytest.approx(expected, rel=0.02) and share == pytest.approx(gaussian, rel=0.35, abs=1e-3)


@pytest.mark.parametrize("rate", [0.05, 0.25])
def test_a_start_with_a_firing_rate_has_it_in_every_mode(rate):
    model = autoencoder(threshold=0.9)
    assert not model.encode(rows(200)).any()
    model.begin_firing(rows(200), rate)
    fired = (model.encode(rows(200)) > 0).double().mean(0)
    torch.testing.assert_close(fired, torch.full_like(fired, rate), atol=0.01, rtol=0)


def test_the_dictionary_begins_and_stays_non_negative_where_that_is_asked_for():
    assert (autoencoder().dictionary >= 0).all() and (autoencoder(nonnegative=False).dictionary < 0).any()
    for nonnegative in (True, False):
        model = autoencoder(nonnegative=nonnegative)
        model.dictionary.data.sub_(0.2)
        model.project()
        assert (model.dictionary < 0).any() != nonnegative


@pytest.mark.parametrize("options, message", [
    ({"codes": "top"}, "nearest: 'topk'"), ({"threshold": 1.0}, "threshold=1.0"),
    ({"threshold": -0.1}, "threshold=-0.1"),
    ({"codes": "topk", "active": 31}, "active=31"), ({"active": 0}, "active=0"), ({"hidden": 0}, "hidden=0"),
])
def test_what_cannot_be_built_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        autoencoder(**options)
