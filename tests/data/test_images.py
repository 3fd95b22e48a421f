"""The two faces of `Images`, in memory and on disk: slices, batches, devices."""
import pytest
import torch

from nblib.data import Images, Rows


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
