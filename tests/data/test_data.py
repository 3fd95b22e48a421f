"""The generated images and the digits, the two faces of `Images`, and what is refused."""
import math

import pytest
import torch
import torch.nn.functional as F

from nblib.data import BACKGROUND, BODY, MARKING, PARTS, SHORTCUT, Images, Rows, load, tag_codes
from nblib.data.drawn import geometry


@pytest.fixture(scope="module")
def drawn() -> Images:
    return load("shapes", limit=2000, shortcut=0.0)


@pytest.fixture(scope="module")
def clear() -> Images:
    return load("shapes", limit=200, size=96, difficulty=0.0)


def tag_class(data: Images) -> torch.Tensor:
    """Return the class whose code the tile of each image is nearest to; the tile's brightness is a weave's."""
    n_classes = len(data.classes)
    tile = (data.parts == SHORTCUT)[:, None]
    colour = (data.images * tile).sum((2, 3)) / tile.sum((2, 3))
    return torch.cdist(F.normalize(colour), F.normalize(tag_codes(n_classes))).argmin(1)


# what is promised of every set

@pytest.mark.parametrize("name", ["shapes", "digits"])
def test_fields_have_the_promised_shapes_and_types(name):
    data = load(name, limit=30)
    assert data.images.shape == (30, 3, 32, 32) and data.images.dtype == torch.float32
    assert data.images.min() >= 0 and data.images.max() <= 1
    assert data.labels.shape == (30,) and data.labels.dtype == torch.long
    assert int(data.labels.max()) < len(data.classes)


@pytest.mark.parametrize("name", ["shapes", "digits"])
def test_a_smaller_limit_gives_the_beginning_of_a_larger_one(name):
    few, many = load(name, limit=37), load(name, limit=700)
    assert torch.equal(few.images, many.images[:37]) and torch.equal(few.labels, many.labels[:37])
    assert few.labels.bincount().max() - few.labels.bincount().min() <= 1


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


def test_the_key_changes_with_whatever_changes_the_content():
    base = {"name": "shapes", "split": "train", "size": 32, "limit": 9, "seed": 0, "shortcut": 0.0}
    others = [{"split": "val"}, {"size": 16}, {"limit": 10}, {"seed": 1}, {"shortcut": 0.5}, {"bodies": 2}]
    keys = {load(**base | other).key for other in others} | {load(**base).key}
    assert len(keys) == len(others) + 1
    assert load("shapes", limit=9).key == load(**base).key  # a default that is written out is still the default


# the drawn images

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


@pytest.mark.parametrize("outlines", [geometry.BODIES, geometry.MARKINGS], ids=["bodies", "markings"])
def test_outlines_measure_distance_and_differ(outlines):
    x, y = torch.meshgrid(torch.linspace(-1, 1, 201, dtype=torch.float64),
                          torch.linspace(-1, 1, 201, dtype=torch.float64), indexing="xy")
    areas = []
    for name, outline in outlines.items():
        distance = outline(x, y)
        steps = torch.stack([distance.diff(dim=0)[:, 1:], distance.diff(dim=1)[1:]]) / 0.01
        away = distance[1:, 1:].abs() > 0.03
        assert steps.square().sum(0).sqrt()[away].max() < 1.42, name  # never steeper than a distance, but at folds
        areas.append(distance < 0)
    for first in range(len(areas)):
        for second in range(first):
            assert (areas[first] ^ areas[second]).double().mean() > 0.04


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


# digits

def test_the_digits_are_all_there_once():
    splits = [load("digits", split=split, size=8) for split in ("train", "val", "test")]
    assert sum(map(len, splits)) == 1797
    together = torch.cat([data.images.flatten(1) for data in splits])
    assert len(together.unique(dim=0)) == 1797
    assert all(data.labels.bincount().min() > 30 for data in splits)
    assert torch.equal(splits[0].images, load("digits", size=8, seed=5).images)  # the cut does not depend on the seed
    assert torch.equal(load("digits", size=32).images[:, :, ::4, ::4], splits[0].images)


# slicing

def files(count: int = 7) -> tuple[Images, list[int]]:
    """Return a set that makes its rows as they are asked for, and the list of the rows that were made."""
    made: list[int] = []

    def make(number: int) -> torch.Tensor:
        made.append(number)
        return torch.full((3, 4, 4), number / 10)

    return Images(Rows(make, torch.arange(count)), torch.arange(count), [str(i) for i in range(count)], key="k"), made


@pytest.mark.parametrize("index, rows", [
    (slice(1, 3), [1, 2]), (slice(None, None, 3), [0, 3, 6]), (slice(None, None, -3), [6, 3, 0]), (-1, [6]), (2, [2]),
    ([4, 0], [4, 0]), ([], []), (torch.tensor([-1, 1]), [6, 1]), (torch.arange(7) % 2 == 1, [1, 3, 5]),
    ([True] + [False] * 6, [0]), (slice(5, 5), []), (torch.zeros(7, dtype=torch.bool), []),
])
def test_an_index_picks_the_same_rows_from_memory_and_from_disk(index, rows):
    lazy, made = files()
    held = lazy.to("cpu")
    made.clear()
    for data in (lazy[index], held[index]):
        assert data.labels.tolist() == rows and len(data) == len(rows)
        assert data.images.shape == (len(rows), 3, 4, 4)
        assert data.images[:, 0, 0, 0].mul(10).round().long().tolist() == rows
    assert sorted(set(made) - {0}) == sorted(set(rows) - {0})  # an empty read looks at row 0 for the shape


def test_only_what_is_sliced_is_read_and_only_once():
    data, made = files()
    part = data[2:4]
    assert not made
    assert part.images is part.images and sorted(made) == [2, 3]
    made.clear()
    batches = list(data.batches(3))
    assert [len(batch) for batch in batches] == [3, 3, 1] and sorted(made) == list(range(7))
    assert torch.cat([batch.labels for batch in batches]).tolist() == list(range(7))


def test_slices_have_keys_of_their_own():
    data, _ = files()
    assert data[1:3].key == data[1:3].key != data[1:4].key
    assert len({data.key, data[1:3].key, data[[1, 4]].key, data[[4, 1]].key}) == 4


def test_masks_and_parts_are_sliced_too(drawn):
    part = drawn[[5, 3]]
    assert torch.equal(part.masks, drawn.masks[[5, 3]]) and torch.equal(part.parts, drawn.parts[[5, 3]])
    assert len(list(drawn[:2])) == 2


def test_to_moves_every_field(drawn, device):
    moved = drawn[:4].to(device)
    fields = (moved.images, moved.labels, moved.masks, moved.parts, moved[torch.tensor([1, 2])].images)
    assert {field.device.type for field in fields} == {device.type}


@pytest.mark.parametrize("index, error", [
    (7, IndexError), ([0, 9], IndexError), ([0.5], ValueError), (torch.ones(6, dtype=torch.bool), ValueError),
    ([[1, 2]], ValueError),
])
def test_an_index_that_does_not_fit_is_refused(index, error):
    with pytest.raises(error):
        files()[0][index]


def test_batches_of_none_and_unequal_fields_are_refused(drawn):
    with pytest.raises(ValueError, match="expected 1 or more"):
        next(drawn.batches(0))
    with pytest.raises(ValueError, match="lengths"):
        Images(torch.zeros(2, 3, 4, 4), torch.zeros(3).long(), ["a"])


# what is refused

@pytest.mark.parametrize("arguments, message", [
    ({"name": "shaps"}, "nearest: 'shapes'"),
    ({"name": 3}, "data set 3 was given, expected one of 'shapes'"),
    ({"split": "tset"}, "expected one of 'train', 'val', 'test', .*nearest: 'test'"),
    ({"marking": 3}, "nearest: 'markings'"),
    ({"name": "digits", "shortcut": 0.1}, "expected none"),
    ({"limit": 0}, "limit=0"), ({"limit": 2.5}, "limit=2.5"), ({"limit": True}, "limit=True"),
    ({"size": 15}, "from 16 up"), ({"size": 0}, "size=0"), ({"size": "32"}, "size='32'"),
    ({"name": "digits", "size": 7}, "from 8 up"),
    ({"seed": -1}, "seed=-1"), ({"seed": None}, "seed=None"),
    ({"bodies": 1}, "2 to 6"), ({"bodies": 7}, "2 to 6"), ({"markings": 2.0}, "2 to 6"),
    ({"shortcut": 1.1}, "from 0 to 1"),
    ({"difficulty": math.nan}, "from 0 to 1"), ({"difficulty": "hard"}, "from 0 to 1"),
])
def test_bad_arguments_are_refused_with_what_would_do(arguments, message):
    with pytest.raises(ValueError, match=message):
        load(**{"name": "shapes"} | arguments)
