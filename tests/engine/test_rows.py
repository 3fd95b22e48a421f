"""Rows in passes: each once, in order, no more than there is room for."""
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nblib.engine import ACTIVATIONS, PIXELS, Room, chunks, rows_at_once

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@given(st.integers(1, 7), st.integers(1, 5), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_every_step_of_every_image_comes_once_all_images_of_a_step_before_the_next(count, steps, chunk_size):
    pieces = list(chunks(torch.zeros(count, 3, 4, 4), steps, chunk_size))
    rows = [row for step, image in pieces for row in zip(step.tolist(), image.tolist(), strict=True)]
    assert rows == [(step, image) for step in range(steps) for image in range(count)]
    assert all(len(step) == chunk_size for step, _ in pieces[:-1]) and len(pieces[-1][0]) <= chunk_size


def test_none_takes_as_many_rows_as_have_room_and_a_number_is_taken_as_it_is():
    assert rows_at_once(32 * 32, CPU, None) == 64 and rows_at_once(32 * 32, GPU, None) == 2048
    assert rows_at_once(224 * 224, CPU, None) == PIXELS.fewest == 4
    assert rows_at_once(2**20, CPU, None, ACTIVATIONS) == 4 and rows_at_once(2**30, GPU, None, ACTIVATIONS) == 1
    room = Room(100, 1000, fewest=2)
    assert [rows_at_once(values, CPU, None, room) for values in (1, 30, 50, 51, 10**6)] == [100, 3, 2, 2, 2]
    assert rows_at_once(10**9, CPU, 7, room) == 7
    assert len(next(chunks(torch.zeros(9, 1, 5, 5), 1, None, room))[0]) == 4


@pytest.mark.parametrize("chunk_size", [0, -1, 2.0, True, "4"])
def test_a_chunk_size_that_is_no_number_of_rows_is_refused(chunk_size):
    with pytest.raises(ValueError, match="chunk_size="):
        list(chunks(torch.zeros(2, 3, 4, 4), 1, chunk_size))
