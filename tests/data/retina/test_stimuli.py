"""Movies: their statistics, what moves in them, and what is refused."""
import pytest
import torch

from nblib.data import STIMULI, stimulus, windows


@pytest.mark.parametrize("kind", STIMULI)
def test_a_movie_has_a_grey_of_zero_and_contrast_one_and_is_fixed_by_its_seed(kind):
    movie = stimulus(kind, 730, size=13, seed=3)
    assert movie.shape == (730, 13, 13) and movie.dtype == torch.float32 and movie.isfinite().all()
    assert abs(movie.mean()) < 1e-5 and abs(movie.std() - 1) < 1e-3
    assert torch.equal(movie, stimulus(kind, 730, size=13, seed=3))
    assert not torch.equal(movie, stimulus(kind, 730, size=13, seed=4))


def test_white_noise_is_checks_of_two_pixels_that_last_three_frames():
    movie = stimulus("white_noise", 300, size=8)
    assert len(movie.unique()) == 2
    assert torch.equal(movie[:, ::2, ::2], movie[:, 1::2, 1::2])
    assert torch.equal(movie[::3], movie[1::3]) and torch.equal(movie[::3], movie[2::3])
    checks = movie[::3, ::2, ::2].flatten(1)
    correlations = torch.corrcoef(checks.T) - torch.eye(16)
    assert correlations.abs().max() < 0.4  # 100 draws of each check


def test_a_drift_moves_the_picture_without_changing_it():
    movie = stimulus("drifting_noise", 100, size=24)
    first, later = movie[0], movie[30]
    best = max(torch.corrcoef(torch.stack([first[8:16, 8:16].flatten(), later[r:r + 8, c:c + 8].flatten()]))[0, 1]
               for r in range(17) for c in range(17))
    assert best > 0.9


@pytest.mark.parametrize("kind", ["drifting_noise", "natural"])
def test_amplitude_falls_with_frequency(kind):
    power = torch.fft.rfft(stimulus(kind, 2000, size=32) * torch.hann_window(32), dim=2).abs().square().mean((0, 1))
    assert power[2] > 3 * power[5] > 9 * power[12]


def test_an_eye_trembles_and_jumps():
    movie = stimulus("natural", 1000, size=24)
    change = (movie[1:] - movie[:-1]).square().mean((1, 2))
    assert 8 <= (change > 0.3).sum() <= 40  # every 50 frames or so
    assert 0 < change.median() < 0.05


def test_windows_are_a_view_that_ends_with_the_frame_explained():
    movie = torch.arange(10.0).view(-1, 1, 1).expand(10, 2, 3).contiguous()
    seen = windows(movie, 4)
    assert seen.shape == (7, 4, 2, 3) and seen.data_ptr() == movie.data_ptr()
    assert seen[2, :, 0, 0].tolist() == [2, 3, 4, 5]


@pytest.mark.parametrize("arguments, said", [
    (("natural_movie", 10), "nearest: 'natural'"), (("natural", 0), "frames=0"), (("white_noise", 2.5), "frames=2.5")])
def test_wrong_movies_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        stimulus(*arguments, size=8)


def test_a_movie_shorter_than_a_window_is_refused():
    with pytest.raises(ValueError, match="19 frames was given, expected at least the 20"):
        windows(torch.zeros(19, 4, 4), 20)
    with pytest.raises(ValueError, match=r"\(5, 4\) was given, expected \(frames, H, W\)"):
        windows(torch.zeros(5, 4), 2)
