"""The generated shapes: what is drawn is what is said of it."""
import math

import pytest
import torch
import torch.nn.functional as F

from nblib.data import BACKGROUND, BODY, MARKING, PARTS, SHORTCUT, Images, load, tag_codes
from nblib.data.drawn import geometry


def tag_class(data: Images) -> torch.Tensor:
    """Return the class whose code the tile of each image is nearest to; the tile's brightness is a weave's."""
    n_classes = len(data.classes)
    tile = (data.parts == SHORTCUT)[:, None]
    colour = (data.images * tile).sum((2, 3)) / tile.sum((2, 3))
    return torch.cdist(F.normalize(colour), F.normalize(tag_codes(n_classes))).argmin(1)


def test_the_default_draws_what_a_limit_draws():
    whole = load("shapes", split="test")
    assert len(whole) == 2000 and torch.equal(whole.images[:50], load("shapes", split="test", limit=50).images)
    assert len(load("shapes", split="test", limit=2010)) == 2010


def test_the_same_seed_gives_the_same_images_and_another_gives_others():
    first, again, other = (load("shapes", limit=20, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.images, again.images) and first.key == again.key
    assert not torch.equal(first.images, other.images) and first.key != other.key
    splits = [load("shapes", split=split, limit=20) for split in ("train", "val", "test")]
    assert not torch.equal(splits[0].images, splits[1].images) and not torch.equal(splits[1].images, splits[2].images)


def test_drawing_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    load("shapes", limit=9)
    assert torch.equal(torch.rand(3), expected)


def test_drawing_leaves_the_number_of_threads_alone():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        load("shapes", limit=9)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("bodies, markings", [(3, 3), (2, 4), (6, 6)])
def test_a_class_is_a_body_with_a_marking(bodies, markings):
    data = load("shapes", limit=bodies * markings * 2, bodies=bodies, markings=markings)
    assert len(data.classes) == len(set(data.classes)) == bodies * markings
    assert data.labels.bincount().tolist() == [2] * bodies * markings
    body, marking = list(geometry.BODIES)[bodies - 1], list(geometry.MARKINGS)[0]
    assert data.classes[(bodies - 1) * markings] == f"{body} with {marking}"


def test_masks_are_the_body_and_the_marking(drawn):
    assert torch.equal(drawn.masks, (drawn.parts == BODY) | (drawn.parts == MARKING))
    assert set(drawn.parts.unique().tolist()) == set(PARTS.values())
    share = drawn.masks.float().mean((1, 2))
    assert share.min() > 0.1 and share.max() < 0.5
    for part in (BACKGROUND, BODY, MARKING, SHORTCUT):
        assert (drawn.parts == part).flatten(1).any(1).all()


def test_the_marking_lies_inside_every_body():
    angle = torch.linspace(0, 2 * math.pi, 721)
    x, y = geometry.MARKING_RADIUS * angle.cos(), geometry.MARKING_RADIUS * angle.sin()
    for name, outline in geometry.BODIES.items():
        assert (outline(x, y) < 0).all(), name
        assert (outline(geometry.REACH * 1.01 * angle.cos(), geometry.REACH * 1.01 * angle.sin()) > 0).all(), name


def test_the_parts_are_where_the_picture_changes_with_the_class(clear):
    """Outside its disc a marking leaves no trace: there the body's colour is one, but for the light."""
    for number in range(20):
        image, parts = clear.images[number], clear.parts[number]
        inner = F.max_pool2d((parts != BODY).float()[None], 5, stride=1, padding=2)[0] == 0
        spread = image[:, inner].std(1).mean()
        assert spread < 0.08
        assert image[:, parts == MARKING].std(1).mean() > 2 * spread


def overlap(found: torch.Tensor, outline, x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the best agreement of a (H, W) bool region with an outline over 60 turns of it, at every other pixel."""
    found, x, y = (grid[::2, ::2] for grid in (found, x, y))
    angle = (torch.arange(60) * math.pi / 30)[:, None, None]
    inside = outline(x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()) < 0
    return float(((inside & found).sum((1, 2)) / (inside | found).sum((1, 2))).max())


def test_the_picture_shows_the_body_and_the_marking_of_its_label(clear):
    """Both are recognised from the pixels by laying every outline over them."""
    bodies, markings = list(geometry.BODIES.values())[:3], list(geometry.MARKINGS.values())[:3]
    ticks = torch.arange(96) + 0.5
    for image, label, mask, parts in zip(clear.images[:12], clear.labels[:12], clear.masks, clear.parts):
        disc = parts == MARKING
        radius = (disc.sum() / math.pi).sqrt()
        rows, columns = disc.nonzero().float().add(0.5).mean(0)
        x, y = torch.meshgrid((ticks - columns) / radius, (ticks - rows) / radius, indexing="xy")
        scale = geometry.MARKING_RADIUS
        matches = torch.tensor([overlap(mask, outline, x * scale, y * scale) for outline in bodies])
        assert matches.argmax() == label // 3 and matches.max() > 0.9
        plain = image[:, parts == BODY].median(1).values
        difference = (image - plain[:, None, None]).abs().sum(0)
        ink = disc & (difference > difference[disc].max() / 2)
        matches = torch.tensor([overlap(ink, lambda x, y: torch.maximum(outline(x, y), torch.hypot(x, y) - 1), x, y)
                                for outline in markings])
        assert matches.argmax() == label % 3 and matches.max() > 0.7


def test_another_size_shows_the_same_scenes():
    small, large = (load("shapes", limit=30, size=size, difficulty=0.0) for size in (32, 96))
    assert torch.equal(small.labels, large.labels)
    assert (F.avg_pool2d(large.images, 3) - small.images).abs().mean() < 0.02
    assert (F.avg_pool2d(large.masks[:, None].float(), 3)[:, 0].round() == small.masks).float().mean() > 0.99


def test_the_tile_tells_the_class_with_the_probability_that_was_asked_for():
    assert torch.equal(tag_class(told := load("shapes", limit=900, shortcut=1.0)), told.labels)
    for shortcut in (0.0, 0.5):
        data = load("shapes", limit=1800, shortcut=shortcut)
        agreement = (tag_class(data) == data.labels).float().mean()
        expected = shortcut + (1 - shortcut) / 9
        assert abs(agreement - expected) < 4 * math.sqrt(expected * (1 - expected) / 1800)


def test_another_shortcut_changes_the_tile_alone():
    without, with_it = (load("shapes", limit=300, shortcut=shortcut) for shortcut in (0.0, 0.9))
    assert torch.equal(without.parts, with_it.parts) and torch.equal(without.labels, with_it.labels)
    changed = (without.images != with_it.images).any(1)
    near_tile = F.max_pool2d((without.parts == SHORTCUT).float(), 3, stride=1, padding=1) > 0
    assert changed.any() and not (changed & ~near_tile).any()


def test_the_tile_lies_beside_the_object_whole():
    data = load("shapes", limit=600, size=64, difficulty=1.0)
    tile = (data.parts == SHORTCUT).flatten(1).sum(1)
    assert tile.min() >= 9**2 and tile.max() <= 10**2  # 0.15 of the side
    border = torch.zeros(64, 64, dtype=torch.bool)
    border[12:-12, 12:-12] = True
    assert not ((data.parts == SHORTCUT) & border).any()


def test_tile_codes_can_be_told_apart():
    for n_classes in (4, 9, 36):
        distances = torch.pdist(tag_codes(n_classes))
        assert distances.min() > 0.15


def test_neither_colour_nor_single_pixels_predict_the_class(drawn):
    """A ridge classifier on mean colours, and one on pixels, stay near chance, 1/9."""
    test = load("shapes", split="test", limit=1800)
    object_colour = [(d.images * d.masks[:, None]).sum((2, 3)) / d.masks.sum((1, 2))[:, None] for d in (drawn, test)]
    squared = [torch.cat([c, c.square(), c.sqrt()], 1) for c in object_colour]
    pixels = [F.avg_pool2d(d.images, 2).flatten(1) for d in (drawn, test)]
    for (x, x_test), ridge in ((squared, 0.1), (pixels, 100.0)):
        mean = x.mean(0)
        aim = F.one_hot(drawn.labels, 9).float() - 1 / 9
        x, x_test = (x - mean).double(), (x_test - mean).double()
        weights = torch.linalg.solve(x.T @ x + ridge * torch.eye(x.shape[1], dtype=x.dtype), x.T @ aim.double())
        accuracy = ((x_test @ weights).argmax(1) == test.labels).float().mean()
        assert accuracy < 0.2


def test_difficulty_lowers_the_contrast_and_nothing_else_moves():
    contrasts = []
    for difficulty in (0.0, 0.5, 1.0):
        data = load("shapes", limit=200, difficulty=difficulty)
        assert data.images.min() >= 0 and data.images.max() <= 1
        colour = [(data.images * (data.parts == part)[:, None]).sum((2, 3)) / (data.parts == part).sum((1, 2))[:, None]
                  for part in (BODY, BACKGROUND)]
        contrasts.append(float((colour[0] - colour[1]).abs().mean()))
        assert torch.equal(data.labels, load("shapes", limit=200).labels)
    assert contrasts[0] > contrasts[1] > contrasts[2]
