"""Generated images whose every pixel is known: a body carries a marking, and only the two together are the class."""
import contextlib
import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from nblib import store
from nblib.data.drawn.geometry import BODIES, MARKING_RADIUS, MARKINGS, REACH

BACKGROUND, BODY, MARKING, DISTRACTOR, SHORTCUT = range(5)
PARTS = {"background": BACKGROUND, "body": BODY, "marking": MARKING, "distractor": DISTRACTOR, "shortcut": SHORTCUT}
LENGTHS = {"train": 8000, "val": 2000, "test": 2000}
CHUNK = 512  # images that share a seed, about
PIXELS = 2**16  # drawn at a time: what still fits into a processor's cache
SMALLEST = 16
N_DISTRACTORS = 5
TAG = 0.075  # half the side of the shortcut tile, as a share of the image's side

Scene = dict[str, Tensor]


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Calculate on one thread: operations as small as ours lose by more, and lose much on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@_one_thread()
def render(*, split: str, size: int, limit: int | None, seed: int, bodies: int, markings: int, difficulty: float,
           shortcut: float) -> tuple[Tensor, Tensor, Tensor]:
    """Draw the images of one split.

    An image shows, from back to front: soft clouds and a grating; short thick lines and blobs that mean nothing; near
    the border a woven tile, the shortcut; and the object, which never touches the tile. Place, size, turn and colour
    of the object are drawn apart from its class, body x markings + marking. An image depends on its number, the seed,
    the split and the options, not on how many are drawn. Another `shortcut` changes the colour of tiles and nothing
    else; another size shows the same scenes, with other pixel noise.

    Args: as of `nblib.data.load`, which checks them.

    Returns:
        images (N, 3, size, size) float32 in [0, 1]; labels (N,) long; parts (N, size, size) int32, what each pixel
        shows. ``MARKING`` is the disc, the same in every body, inside which the pattern is drawn: its ink and the body
        between the ink, since the marking can be told from either. ``BODY`` is the rest of the object, so that the
        object is ``BODY`` or ``MARKING``. ``DISTRACTOR`` and ``SHORTCUT`` are what is seen of them. At an edge a pixel
        belongs to what covers half of it.
    """
    n_classes = bodies * markings
    per_chunk = max(1, CHUNK // n_classes) * n_classes  # whole rounds of the classes
    per_piece = max(1, PIXELS // size**2)
    count = LENGTHS[split] if limit is None else limit
    images = torch.empty(count, 3, size, size)
    parts = torch.empty(count, size, size, dtype=torch.int32)
    labels = torch.empty(count, dtype=torch.long)
    for first in range(0, count, per_chunk):
        scene_seed, tag_seed, noise_seed = (
            _generator(part, seed, split, first // per_chunk) for part in ("scene", "tag", "noise"))
        scene = _scene(scene_seed, per_chunk, bodies, markings, difficulty)
        scene["tag_colour"] = _tag_colour(tag_seed, scene["label"], n_classes, shortcut)
        for start in range(0, min(per_chunk, count - first), per_piece):
            piece = {name: values[start:start + per_piece] for name, values in scene.items()}
            drawn, areas = _draw(piece, size, markings)
            noise = torch.randn(drawn.shape, generator=noise_seed)
            here = slice(first + start, min(first + start + len(drawn), first + per_chunk, count))
            kept = slice(0, here.stop - here.start)
            images[here] = torch.add(drawn, noise, alpha=0.07 * difficulty)[kept].clamp_(0, 1)
            parts[here], labels[here] = areas[kept], piece["label"][kept]
    return images, labels, parts


def names(bodies: int, markings: int) -> tuple[str, ...]:
    """Return the class names; class = body * markings + marking."""
    return tuple(f"{body} with {marking}" for body in list(BODIES)[:bodies] for marking in list(MARKINGS)[:markings])


def _generator(*parts: object) -> torch.Generator:
    """Return a random generator that belongs to `parts` alone."""
    return torch.Generator().manual_seed(store.seed("shapes", *parts))


def _scene(generator: torch.Generator, count: int, bodies: int, markings: int, difficulty: float) -> Scene:
    """Draw what the images show, in shares of the image's side, so that any size shows the same scenes."""
    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator)

    n_classes = bodies * markings
    rounds = torch.rand(count // n_classes, n_classes, generator=generator).argsort(1)
    radius = uniform(0.32 - 0.08 * difficulty, 0.34)
    centre = 0.5 + uniform(-1, 1, 2) * (0.5 - 1.2 * radius)[:, None]
    body_colour = _colour(uniform(0, 1), uniform(0.4, 0.85), uniform(0.5, 0.95))
    lightness = body_colour.mean(1)
    behind = torch.frac(lightness + uniform(0.3, 0.7))  # far from the body's lightness, on a circle
    light_ink = (lightness + uniform(-0.2, 0.2) < 0.5).float()
    ink = _colour(uniform(0, 1), uniform(0.0, 0.3), 0.06 + 0.9 * light_ink)
    strength, presence = (  # few objects fade, and so training starts quickly
        (1 - worst * difficulty * uniform(0, 1) ** 3).clamp(min=0.15)[:, None] for worst in (1.9, 1.0))
    background = _colour(uniform(0, 1), uniform(0.05, 0.35), 0.12 + 0.75 * behind)
    body_colour = torch.lerp(background, body_colour, presence)
    return {
        "label": rounds.flatten(),
        "radius": radius, "centre": centre,
        "angle": uniform(0, 2 * math.pi), "marking_angle": uniform(0, 2 * math.pi),
        "body_colour": body_colour, "ink": torch.lerp(body_colour, ink, strength),
        "background": background,
        "clouds": uniform(-1, 1, 3, 6, 6) * (0.06 + 0.18 * difficulty),
        "grating": torch.stack([uniform(2, 9), uniform(0, 2 * math.pi), uniform(0, 2 * math.pi)], 1),
        "grating_contrast": uniform(0, 0.03 + 0.11 * difficulty),
        "distractor_start": uniform(0.03, 0.97, N_DISTRACTORS, 2),
        "distractor_step": uniform(-1, 1, N_DISTRACTORS, 2) * uniform(0, 0.12, N_DISTRACTORS, 1),
        "distractor_radius": uniform(0.015, 0.04, N_DISTRACTORS),
        "distractor_colour": _colour(uniform(0, 1, N_DISTRACTORS), uniform(0.3, 0.9, N_DISTRACTORS),
                                     uniform(0.2, 0.95, N_DISTRACTORS)),
        "tag": _tag_place(uniform(0, 1, 12, 2), centre, radius),
    }


def _colour(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Return (..., 3) RGB for hue, saturation and value in [0, 1]."""
    corner = (hue[..., None] * 6 + torch.tensor([0.0, 4.0, 2.0])) % 6
    pure = ((corner - 3).abs() - 1).clamp(0, 1)
    return value[..., None] * (1 - saturation[..., None] * (1 - pure))


def _tag_place(tries: Tensor, centre: Tensor, radius: Tensor) -> Tensor:
    """Return (n, 2): the first place along the border that is clear of the object; one of the corners always is."""
    near, far = TAG + 0.015, 1 - TAG - 0.015
    along = near + (far - near) * (tries[..., 0] * 4 % 1)
    side = (tries[..., 0] * 4).long()
    across = torch.where(side % 2 == 0, near, far)
    tries = torch.where((side < 2)[..., None], torch.stack([along, across], -1), torch.stack([across, along], -1))
    corners = torch.tensor([[near, near], [near, far], [far, near], [far, far]]).expand(len(tries), 4, 2)
    places = torch.cat([tries, corners], 1)
    room = (places - centre[:, None]).norm(dim=-1) - REACH * radius[:, None] - TAG * math.sqrt(2)
    order = torch.arange(places.shape[1], 0, -1)
    chosen = torch.where(room > 0, order, room.clamp(min=-1)).argmax(1)
    return places[torch.arange(len(places)), chosen]


def _tag_colour(generator: torch.Generator, labels: Tensor, n_classes: int, shortcut: float) -> Tensor:
    """Return (n, 3): with probability `shortcut` the code of the image's class, else that of any class."""
    honest = torch.randint(n_classes, labels.shape, generator=generator)
    told = torch.where(torch.rand(labels.shape, generator=generator) < shortcut, labels, honest)
    return tag_codes(n_classes)[told]


def tag_codes(n_classes: int) -> Tensor:
    """Return (K, 3): the shortcut tile's colour for each class, hues at equal steps, in up to three lightnesses."""
    levels = -(-n_classes // 12)
    number = torch.arange(n_classes)
    hue = (number // levels) / -(-n_classes // levels)
    return _colour(hue, torch.full((n_classes,), 0.9), torch.tensor([0.95, 0.65, 0.35])[number % levels])


def _draw(scene: Scene, size: int, markings: int) -> tuple[Tensor, Tensor]:
    """Return the images (n, 3, size, size) without noise and their part maps (n, size, size)."""
    ticks = (torch.arange(size) + 0.5) / size
    y, x = ticks[:, None], ticks[None, :]
    image = _backdrop(scene, x, y, size)
    parts = torch.full((len(image), size, size), BACKGROUND, dtype=torch.int32)

    def paint(distance: Tensor, colour: Tensor, part: int | None) -> None:
        """Lay `colour` (n, 3) or (n, 3, H, W) where `distance`, in shares of the image's side, is negative."""
        cover = (0.5 - distance * size).clamp_(0, 1)
        colour = colour[:, :, None, None] if colour.ndim == 2 else colour
        image.lerp_(colour.expand_as(image), cover[:, None].expand_as(image))
        if part is not None:
            parts.masked_fill_(cover >= 0.5, part)

    for number in range(N_DISTRACTORS):
        distance = _segment(scene, number, x, y)
        paint(distance, scene["distractor_colour"][:, number], DISTRACTOR)
    tag_x, tag_y = (x - _pixels(scene["tag"][:, 0])) / TAG, (y - _pixels(scene["tag"][:, 1])) / TAG
    weave = 1 - 0.3 * ((torch.floor(1.5 * (tag_x + 1)) + torch.floor(1.5 * (tag_y + 1))) % 2)
    paint(TAG * (torch.maximum(tag_x.abs(), tag_y.abs()) - 1), scene["tag_colour"][:, :, None, None] * weave[:, None],
          SHORTCUT)

    radius = _pixels(scene["radius"])
    across, down = (x - _pixels(scene["centre"][:, 0])) / radius, (y - _pixels(scene["centre"][:, 1])) / radius
    outline = _each(scene["label"] // markings, list(BODIES.values()), *_turned(across, down, scene["angle"]))
    shade = 1 - 0.1 * (across + down).clamp(-1.5, 1.5)  # lit from the upper left
    paint(outline * radius, (scene["body_colour"][:, :, None, None] * shade[:, None]).clamp(0, 1), BODY)
    disc = torch.hypot(across, down) - MARKING_RADIUS
    turned = _turned(across / MARKING_RADIUS, down / MARKING_RADIUS, scene["marking_angle"])
    pattern = _each(scene["label"] % markings, list(MARKINGS.values()), *turned) * MARKING_RADIUS
    paint(torch.maximum(disc, pattern) * radius, scene["ink"], None)
    parts.masked_fill_(disc <= 0, MARKING)
    return image, parts


def _pixels(values: Tensor) -> Tensor:
    """Return (n, 1, 1), one value for all pixels of an image."""
    return values[:, None, None]


def _backdrop(scene: Scene, x: Tensor, y: Tensor, size: int) -> Tensor:
    """Return (n, 3, size, size): one muted colour under soft clouds and a grating."""
    frequency, direction, phase = (_pixels(values) for values in scene["grating"].unbind(1))
    wave = torch.sin(2 * math.pi * frequency * (x * direction.cos() + y * direction.sin()) + phase)
    clouds = F.interpolate(scene["clouds"].mean(1, keepdim=True) * 1.6, size=(size, size), mode="bicubic")
    tint = F.interpolate(scene["clouds"], size=(size, size), mode="bicubic") * 0.3
    wave = _pixels(scene["grating_contrast"]) * wave
    return (scene["background"][:, :, None, None] + clouds + tint + wave[:, None]).clamp_(0, 1)


def _segment(scene: Scene, number: int, x: Tensor, y: Tensor) -> Tensor:
    """Return (n, H, W): the distance to one distractor, a short thick line that may be a mere blob."""
    start, step = scene["distractor_start"][:, number], scene["distractor_step"][:, number]
    x, y = x - _pixels(start[:, 0]), y - _pixels(start[:, 1])
    step_x, step_y = _pixels(step[:, 0]), _pixels(step[:, 1])
    along = ((x * step_x + y * step_y) / (step_x**2 + step_y**2 + 1e-9)).clamp_(0, 1)
    return torch.hypot(x - along * step_x, y - along * step_y) - _pixels(scene["distractor_radius"][:, number])


def _turned(x: Tensor, y: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Return the points as an object sees them that is turned by `angle`."""
    cosine, sine = _pixels(angle.cos()), _pixels(angle.sin())
    return x * cosine + y * sine, y * cosine - x * sine


def _each(kinds: Tensor, outlines: list, x: Tensor, y: Tensor) -> Tensor:
    """Return (n, H, W): the distance of each image's points to the outline of its own kind."""
    distance = torch.empty_like(x)
    for kind in kinds.unique().tolist():
        mine = (kinds == kind).nonzero().squeeze(1)
        distance[mine] = outlines[kind](x[mine], y[mine])
    return distance
