"""A simulated retina that has seen a movie."""
from nblib.checks import expect_int
from nblib.data import Recording, stimulus
from nblib.models.retina import SimulatedRetina


def simulate(kind: str, *, train: int, test: int, size: int = 24, frames: int = 20, rate: float = 0.5,
             noise: float = 0.0, seed: int = 0) -> tuple[SimulatedRetina, Recording]:
    """Show a movie to a simulated retina that is calibrated to it; return the retina and what it answered.

    Args:
        kind: of the movie, as in `nblib.data.stimulus`.
        train, test: windows in each part, 1 or more; the parts share no frame.
        size: H = W of the movie.
        frames: T, of a window.
        rate: mean rate of each cell, in spikes a frame.
        noise: as in `SimulatedRetina.record`.
        seed: of movie, noise and spikes.

    Raises: as `stimulus` and `SimulatedRetina`.
    """
    expect_int("train", train, 1)
    expect_int("test", test, 1)
    retina = SimulatedRetina(size=size, frames=frames)
    for_test = test + frames - 1
    count = train + frames - 1 + for_test
    movie = stimulus(kind, count, size=size, seed=seed)
    recording = retina.calibrate(movie, rate=rate).record(movie, noise=noise, test=for_test / count, seed=seed)
    return retina, recording
