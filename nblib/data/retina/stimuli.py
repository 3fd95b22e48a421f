"""Movies to show to a retina: white noise, a drifting 1/f pattern, photographs under moving eyes."""
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from nblib.checks import expect_int, expect_one_of
from nblib.data.loading import load

CHECK = 2  # pixels, the side of a check of white noise
HELD = 3  # frames that a pattern of white noise lasts
GLIDE = 100  # frames that a drift keeps its pattern, direction and speed
FASTEST = 0.5  # pixels a frame, of drifts
JITTER = 0.25  # pixels a frame, the standard deviation of an eye that fixates
FIXATION = 50  # frames between two jumps of the eye, in the mean
SCENE = 500  # frames that a photograph is looked at
WIDER = 4  # times the movie's side, the side of a scene


def stimulus(kind: str, frames: int, *, size: int, seed: int = 0) -> Tensor:
    """A movie of light around a mean grey, in units of its own standard deviation.

    "white_noise": black and white checks of 2 × 2 pixels, drawn anew every 3 frames. "drifting_noise": a pattern whose
    amplitude falls as 1 / frequency, which glides for 100 frames one way at up to half a pixel a frame, then another
    pattern another way. "natural": the `photographs` in grey, each looked at for 500 frames by an eye that trembles by a
    quarter of a pixel a frame and jumps every 50 frames or so. A frame is meant to last 10 ms.

    Args:
        kind: one of `STIMULI`.
        frames: 1 or more.
        size: H = W in pixels, 2 or more.
        seed: fixes the movie, 0 or more. Natural movies of all seeds show the same eight photographs.

    Returns:
        (frames, H, W) float32 of mean 0, the grey, and standard deviation 1.

    Raises:
        ValueError: another kind, or a number out of range.

    Source: ours, after the stimuli of Maheswaranathan et al. (2023), whose natural scenes jitter and jump likewise.
    """
    make = STIMULI[expect_one_of("stimulus", kind, STIMULI)]
    expect_int("frames", frames, 1)
    expect_int("size", size, 2)
    movie = make(frames, size, torch.Generator().manual_seed(expect_int("seed", seed, 0)))
    return (movie - movie.mean()) / movie.std(correction=0).clamp(min=1e-6)


def windows(movie: Tensor, length: int) -> Tensor:
    """What a retina has seen of late at each frame: a view (frames − length + 1, length, H, W), no copy.

    Window n ends with frame n + length − 1, whose response it explains.

    Raises:
        ValueError: a movie that is not (frames, H, W), or is shorter than one window.
    """
    expect_int("length", length, 1)
    if movie.ndim != 3:
        raise ValueError(f"a movie of shape {tuple(movie.shape)} was given, expected (frames, H, W)")
    if len(movie) < length:
        raise ValueError(f"a movie of {len(movie)} frames was given, expected at least the {length} of one window")
    return movie.unfold(0, length, 1).movedim(-1, 1)


def _white_noise(frames: int, size: int, generator: torch.Generator) -> Tensor:
    """Return checks of −1 and 1, (frames, size, size)."""
    checks = -(-size // CHECK)
    drawn = torch.randint(0, 2, (-(-frames // HELD), checks, checks), generator=generator).float() * 2 - 1
    fine = drawn.repeat_interleave(CHECK, 1).repeat_interleave(CHECK, 2)[:, :size, :size]
    return fine.repeat_interleave(HELD, 0)[:frames]


def _drifting_noise(frames: int, size: int, generator: torch.Generator) -> Tensor:
    """Return 1/f patterns that glide, each its own way, (frames, size, size)."""
    side, parts = WIDER * size, []
    for begin in range(0, frames, GLIDE):
        count = min(GLIDE, frames - begin)
        start, (angle, speed) = torch.rand(2, generator=generator) * side, torch.rand(2, generator=generator).tolist()
        way = FASTEST * speed * torch.tensor([math.sin(2 * math.pi * angle), math.cos(2 * math.pi * angle)])
        at = start + way * torch.arange(count).unsqueeze(1)
        parts.append(_seen(_pink(side, generator), at, size))
    return torch.cat(parts)


def _natural(frames: int, size: int, generator: torch.Generator) -> Tensor:
    """Return what an eye sees that wanders over photographs, (frames, size, size)."""
    scenes = load("photographs", size=WIDER * size).images.mean(1)
    scenes = (scenes - scenes.mean((1, 2), keepdim=True)) / scenes.std((1, 2), keepdim=True)
    room, parts = (WIDER - 1) * size - 1, []
    for begin in range(0, frames, SCENE):
        count = min(SCENE, frames - begin)
        scene = scenes[int(torch.randint(0, len(scenes), (), generator=generator))]
        jumps = torch.rand(count, generator=generator) < 1 / FIXATION
        jumps[0] = True
        targets = torch.rand(count, 2, generator=generator) * room
        tremble = (torch.randn(count, 2, generator=generator) * JITTER).cumsum(0)
        last = torch.where(jumps, torch.arange(count), 0).cummax(0).values  # the frame of the latest jump
        parts.append(_seen(scene, (targets[last] + tremble - tremble[last]).clamp(0, room), size))
    return torch.cat(parts)


def _pink(side: int, generator: torch.Generator) -> Tensor:
    """Return a pattern (side, side) whose amplitude falls as 1 / frequency, of mean 0 and standard deviation 1."""
    frequency = torch.hypot(torch.fft.fftfreq(side).unsqueeze(1), torch.fft.rfftfreq(side).unsqueeze(0))
    frequency[0, 0] = torch.inf  # no mean
    white = torch.fft.rfft2(torch.randn(side, side, generator=generator))
    pattern = torch.fft.irfft2(white / frequency, s=(side, side))
    return pattern / pattern.std()


def _seen(scene: Tensor, at: Tensor, size: int) -> Tensor:
    """Return the squares of a scene (S, S) whose upper left corners lie at (F, 2) rows and columns, which may be
    fractions, (F, size, size); what lies outside is taken at the scene's other border."""
    whole = at.floor()
    wrapped = F.pad(scene[None, None], (0, size + 1, 0, size + 1), mode="circular")[0, 0]
    corners = whole.long() % len(scene)
    squares = wrapped.unfold(0, size + 1, 1).unfold(1, size + 1, 1)[corners[:, 0], corners[:, 1]]
    down, right = ((at - whole)[:, axis].view(-1, 1, 1) for axis in (0, 1))
    rows = squares[:, :-1] * (1 - down) + squares[:, 1:] * down
    return rows[:, :, :-1] * (1 - right) + rows[:, :, 1:] * right


STIMULI: dict[str, Callable[[int, int, torch.Generator], Tensor]] = {
    "white_noise": _white_noise, "drifting_noise": _drifting_noise, "natural": _natural,
}
