"""What `load` promises of every set, the digits, and what it refuses."""
import math

import pytest
import torch

from nblib.data import load


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


def test_the_key_changes_with_whatever_changes_the_content():
    base = {"name": "shapes", "split": "train", "size": 32, "limit": 9, "seed": 0, "shortcut": 0.0}
    others = [{"split": "val"}, {"size": 16}, {"limit": 10}, {"seed": 1}, {"shortcut": 0.5}, {"bodies": 2}]
    keys = {load(**base | other).key for other in others} | {load(**base).key}
    assert len(keys) == len(others) + 1
    assert load("shapes", limit=9).key == load(**base).key  # a default that is written out is still the default


def test_the_digits_are_all_there_once():
    splits = [load("digits", split=split, size=8) for split in ("train", "val", "test")]
    assert sum(map(len, splits)) == 1797
    together = torch.cat([data.images.flatten(1) for data in splits])
    assert len(together.unique(dim=0)) == 1797
    assert all(data.labels.bincount().min() > 30 for data in splits)
    assert torch.equal(splits[0].images, load("digits", size=8, seed=5).images)  # the cut does not depend on the seed
    assert torch.equal(load("digits", size=32).images[:, :, ::4, ::4], splits[0].images)


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
