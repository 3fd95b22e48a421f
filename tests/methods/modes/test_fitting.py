"""Fitting modes: planted ones are found, what lives is told, a fit is repeatable, kept, and gone on with."""
import pytest
import torch

from nblib.methods.modes import class_correlation, fit_modes, kept_modes, r_squared
from nblib.training import networks_read
from tests.fixtures.modes import planted

BOTH = [{"codes": "topk", "active": 1, "steps": 400},
        {"codes": "threshold", "steps": 600, "firing_rate": 0.2, "lr": 1e-2}]


@pytest.mark.parametrize("options", BOTH, ids=["topk", "threshold"])
def test_planted_modes_are_found(options, device):
    values, recipes, which = (tensor.to(device) for tensor in planted())
    modes = fit_modes(values, n_modes=12, **options)
    assert modes.r2 > 0.95
    r = class_correlation(modes.loadings, which)
    assert (r.amax(0) > 0.9).all()
    if options["codes"] == "topk":  # a mode has its recipe's channels, in their order
        best = modes.dictionary[r.argmax(0)]
        angle = torch.nn.functional.cosine_similarity(best, recipes.to(best), dim=1)
        assert (angle > 0.98).all()
    assert modes.loadings.device.type == device.type


@pytest.mark.parametrize("options", BOTH, ids=["topk", "threshold"])
def test_loadings_times_dictionary_is_the_reconstruction_whose_r2_is_told(options):
    values = planted()[0] * 37.0
    modes = fit_modes(values, n_modes=10, **options)
    assert modes.loadings.shape == (400, len(modes.dictionary)) and int(modes.alive.sum()) == len(modes.dictionary)
    assert (modes.loadings >= 0).all() and (modes.loadings > 0).any(0).all() and (modes.dictionary >= 0).all()
    again = modes.loadings @ modes.dictionary
    spread = ((values - values.mean(0)) ** 2).sum()
    assert modes.r2 == pytest.approx(1 - float(((values - again) ** 2).sum() / spread))
    torch.testing.assert_close(modes.load(values), modes.loadings)
    assert modes.explained(values) == pytest.approx(modes.r2)


def test_the_published_r2_is_above_zero_for_channel_means_alone():
    values = planted()[0] + torch.arange(12.0)
    means = values.mean(0).expand_as(values)
    assert r_squared(values, means) == pytest.approx(0)
    assert r_squared(values, means, against="published") > 0.5
    assert r_squared(values, values) == 1
    with pytest.raises(ValueError, match="do not vary"):
        r_squared(values[:1].expand(400, -1), values)
    with pytest.raises(ValueError, match="one shape for both"):
        r_squared(values, values[:3])
    with pytest.raises(ValueError, match="nearest: 'channel_means'"):
        r_squared(values, values, against="channel_mean")


def test_the_result_depends_on_the_seed_alone_and_nothing_is_left_behind():
    values = planted()[0].float()
    before = torch.get_rng_state()
    first, second, other = (fit_modes(values, n_modes=8, steps=60, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first.dictionary, second.dictionary) and torch.equal(first.loadings, second.loadings)
    assert first.dictionary.shape != other.dictionary.shape or not torch.equal(first.dictionary, other.dictionary)
    assert not any(module.training for module in first.autoencoder.modules())
    assert first.loadings.dtype == torch.float32 and not first.loadings.requires_grad


def test_half_precision_is_fitted_in_single():
    assert fit_modes(planted()[0].half(), n_modes=8, steps=20).loadings.dtype == torch.float32


def test_resampling_brings_dead_modes_back():
    values = planted(modes=4)[0]
    alive = [int(fit_modes(values, n_modes=40, codes="topk", active=1, steps=400, resample_every=every).alive.sum())
             for every in (0, 25)]
    assert alive[1] > alive[0]


def test_no_mode_that_lives_is_said():
    with pytest.raises(RuntimeError, match="none of 8 modes fires on any of 400 rows.*firing_rate=0.05"):
        fit_modes(planted()[0], n_modes=8, threshold=0.99, firing_rate=None, steps=5)


def test_a_fit_that_diverges_is_said():
    with pytest.raises(RuntimeError, match="diverged with lr 1e\\+30"):
        fit_modes(planted()[0].float(), n_modes=8, lr=1e30, steps=30)


@pytest.mark.parametrize("spoil, message", [
    (lambda x: x[:0], "not empty"), (lambda x: x[:, :0], "not empty"), (lambda x: x[0], r"expected \(N, C\)"),
    (lambda x: x[:, :, None, None].expand(-1, -1, 2, 2), "summed over places first"),
    (lambda x: torch.where(torch.arange(400)[:, None] == 7, torch.nan, x), r"\[7\] have values that are not finite"),
    (lambda x: x[:1].expand(400, -1), "the same for all images"),
    (lambda x: torch.zeros_like(x), "nothing to decompose"),
])
def test_wrong_contributions_are_refused_in_words(spoil, message):
    for fit in (fit_modes, kept_modes):
        with pytest.raises(ValueError, match=message):
            fit(spoil(planted()[0]), n_modes=8, steps=5)


@pytest.mark.parametrize("options, message", [
    ({"n_modes": 0}, "n_modes=0"), ({"n_modes": 2.5}, "n_modes=2.5"), ({"steps": 0}, "steps=0"), ({"lr": 0}, "lr=0"),
    ({"batch_size": 0}, "batch_size=0"), ({"firing_rate": 1.0}, "firing_rate=1.0"), ({"seed": -1}, "seed=-1"),
    ({"codes": "topk", "resample_every": -1}, "resample_every=-1"), ({"dictionary_l1": -1}, "dictionary_l1=-1"),
])
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        fit_modes(planted()[0], **({"n_modes": 8} | options))


def test_other_contributions_of_another_width_are_refused():
    modes = fit_modes(planted()[0], n_modes=8, steps=50)
    with pytest.raises(ValueError, match=r"expected \(N, 12\)"):
        modes.load(torch.ones(3, 11))


# kept, and gone on with

def test_modes_are_fitted_once_and_come_back_the_same(steps, tmp_path):
    values, options = planted()[0].float(), {"n_modes": 9, "steps": 40, "threshold": 0.8, "hidden": 6, "seed": 2}
    networks_read()
    first = kept_modes(values, **options)
    again = kept_modes(values, **options)
    assert steps.since() == 40 and len(networks_read()) == 1
    assert torch.equal(first.loadings, again.loadings) and torch.equal(first.dictionary, again.dictionary)
    assert torch.equal(first.loadings, fit_modes(values, **options).loadings) and first.r2 == again.r2
    kept_modes(values + 0.01 * torch.arange(12), **options), kept_modes(values, **options | {"seed": 3})
    assert len([path for path in (tmp_path / "models").iterdir() if path.suffix == ".safetensors"]) == 3
    with pytest.raises(ValueError, match="expected none"):
        kept_modes(values, n_modes=9, checkpoint="here")


@pytest.mark.parametrize("codes", ["threshold", "topk"])
def test_an_interrupted_fit_goes_on_where_it_was(steps, codes, tmp_path):
    values = planted()[0].float()
    options = {"n_modes": 9, "steps": 1200, "codes": codes, "resample_every": 170}
    whole = fit_modes(values, **options)
    steps.since()
    steps.last = 700
    with pytest.raises(KeyboardInterrupt):
        kept_modes(values, **options)
    steps.last = None
    steps.since()
    resumed = kept_modes(values, **options)
    assert steps.since() == 700  # from the state after 500
    assert torch.equal(resumed.dictionary, whole.dictionary) and torch.equal(resumed.loadings, whole.loadings)
    assert not list(tmp_path.rglob("*.training.safetensors"))


def test_the_state_of_another_fit_is_refused(tmp_path):
    values, path = planted()[0].float(), tmp_path / "state.safetensors"
    fit_modes(values, n_modes=9, steps=600, checkpoint=path)
    with pytest.raises(ValueError, match="state of another fit"):
        fit_modes(values, n_modes=9, steps=600, checkpoint=path, seed=1)
