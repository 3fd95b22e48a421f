"""Panels and drawings: what is drawn where, what is refused, and that the drawn toy is true."""
from fractions import Fraction

import numpy as np
import pytest
import torch

from nblib.figures import panels, path_frame, saturating_toy
from nblib.figures.drawings import ANSWERS, TOY

PICTURE, SMALL = torch.rand(3, 20, 20), torch.rand(3, 8, 8)
MAP = torch.rand(8, 8)


def drawn(figure) -> list:
    """The axes of a figure that hold a picture or a map."""
    return [axis for axis in figure.axes if axis.images]


def test_cells_of_several_sizes_stand_in_rows_under_their_texts():
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[2:4, 2:4] = True
    figure = panels([[PICTURE, torch.rand(20, 20), None], [SMALL, MAP, -MAP]], columns=["image", "first", "second"],
                    labels=["above", "below"], outlines=[None, mask])
    axes = drawn(figure)
    assert len(axes) == 5
    assert [text.get_text() for text in figure.texts] == ["image", "first", "second", "above", "below"]
    boxes = [axis.get_position() for axis in axes]
    assert all(-1e-9 <= low < high <= 1 + 1e-9 for box in boxes for low, high in (box.intervalx, box.intervaly))
    assert boxes[2].y1 < boxes[0].y0, "the second row stands below the first"
    assert [len(axis.collections) for axis in axes] == [0, 0, 2, 2, 2], "outlines belong to their row"


def test_names_of_columns_may_have_several_lines_which_make_the_figure_taller_and_not_the_cells_smaller():
    lone, both = (panels([[PICTURE, MAP]], columns=["image", name]) for name in ("map", "a map of\ntwo lines"))
    (_, height), (_, taller) = (figure.get_size_inches() for figure in (lone, both))
    assert taller > height
    before, after = (drawn(figure)[0].get_position() for figure in (lone, both))
    assert after.height * taller == pytest.approx(before.height * height)
    assert (1 - after.y1) * taller == pytest.approx(2 * (1 - before.y1) * height), "two lines have the room of two"


def test_a_map_has_a_scale_of_its_own_with_zero_at_its_beginning_or_in_its_middle():
    first, second = drawn(panels([[torch.arange(100.0).reshape(10, 10), torch.arange(-50.0, 50).reshape(10, 10)]]))
    assert first.images[0].get_clim() == pytest.approx((0, np.percentile(np.arange(100), 99)))
    low, high = second.images[0].get_clim()
    assert low == -high
    zeros, = drawn(panels([[torch.zeros(4, 4)]]))
    assert zeros.images[0].get_clim() == (0, 1)


def test_maps_share_a_scale_in_each_row_where_that_is_asked_for():
    rows = [[MAP, torch.full((8, 8), 2.0), torch.full((4, 4), -4.0)], [MAP, torch.full((4, 4), -3.0), None]]
    figure = panels(rows, together=(1, 2))
    ends = [axis.images[0].get_clim()[1] for axis in drawn(figure)]
    assert ends[1:3] == [4, 4] and ends[4] == 3 and ends[0] == ends[3] < 1


def test_bands_of_maps_carry_their_names_from_top_to_bottom():
    picture, first = drawn(panels([[PICTURE, MAP]], bands=["1", "2"]))
    assert not picture.texts and [text.get_text() for text in first.texts] == ["1", "2"]
    assert [text.get_position()[1] for text in first.texts] == [0.75, 0.25]


def test_a_label_stands_nearer_to_its_own_row_than_to_the_row_above():
    figure = panels([[PICTURE], [PICTURE], [PICTURE]], labels=["first", "", "third"])
    boxes, inches = [axis.get_position() for axis in drawn(figure)], figure.get_size_inches()[1]
    gaps = [(upper.y0 - lower.y1) * inches for upper, lower in zip(boxes, boxes[1:])]
    assert gaps[0] < 0.1, "no room where there is no label"
    label = figure.texts[-1].get_position()[1]
    assert label < boxes[1].y0 - 0.12 / inches and gaps[1] > 0.3


def test_letters_are_read_on_a_phone():
    figure = panels([[PICTURE, PICTURE]], titles=[["image", "map"]], labels=["row"])
    scale = 340 / (figure.get_size_inches()[0] * 72)  # CSS pixels of a narrow page for each point of the figure
    assert [axis.get_title() for axis in drawn(figure)] == ["image", "map"]
    assert min(text.get_fontsize() for text in (*figure.texts, *(axis.title for axis in drawn(figure)))) * scale >= 8


@pytest.mark.parametrize("call, message", [
    (lambda: panels([]), "expected equal numbers"),
    (lambda: panels([[PICTURE], [PICTURE, MAP]]), "expected equal numbers"),
    (lambda: panels([[PICTURE]], columns=["a", "b"]), "2 columns were given, expected 1"),
    (lambda: panels([[PICTURE]], titles=[["a", "b"]]), "2 titles were given, expected 1"),
    (lambda: panels([[MAP, MAP]], together=(1, 2)), "expected places from 0 to 1"),
    (lambda: panels([[torch.rand(2, 3, 4, 4)]]), "expected a picture"),
    (lambda: panels([[torch.full((4, 4), torch.nan)]]), "a finite map"),
    (lambda: panels([[2 * torch.ones(3, 4, 4)]]), "expected [0, 1]"),
])
def test_wrong_cells_are_named(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


def network(pixels) -> Fraction:
    """The toy network, in fractions."""
    (one, two), (three, four) = pixels
    return min(one + two, Fraction(1)) + three + four


def without(row: int, column: int) -> tuple:
    """The toy image with one pixel black."""
    return tuple(tuple(Fraction(0) if (row, column) == (r, c) else value for c, value in enumerate(line))
                 for r, line in enumerate(TOY))


def test_the_drawn_toy_is_true():
    """Slopes, shares and needs as drawn, against the network itself."""
    small, steps = Fraction(1, 1000), 3000
    points = [Fraction(2 * step + 1, 2 * steps) for step in range(steps)]  # the cap is met at 2/3, between two of them
    for row, line in enumerate(TOY):
        for column, value in enumerate(line):
            more = tuple(tuple(v + small * ((r, c) == (row, column)) for c, v in enumerate(values))
                         for r, values in enumerate(TOY))
            assert ANSWERS["slope"][1][row][column] == (network(more) - network(TOY)) / small
            assert ANSWERS["need"][1][row][column] == network(TOY) - network(without(row, column))
            pair = row == 0
            slopes = [1 if not pair or a * (TOY[0][0] + TOY[0][1]) < 1 else 0 for a in points]
            assert ANSWERS["share"][1][row][column] == value * Fraction(sum(slopes), steps)
    assert sum(map(sum, ANSWERS["share"][1])) == network(TOY) == Fraction(5, 4)


def test_the_toy_and_a_step_of_the_path_are_drawn():
    words = [text.get_text() for text in saturating_toy().axes[0].texts]
    assert {"slope", "share", "need", "⅔", "⅓", "sum 5/4", "z = 5/4"} <= set(words)
    figure = path_frame(PICTURE, torch.randn(20, 20), [0.0, 1.0, 4.0], 1)
    faded = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(faded, 0.5 * PICTURE.permute(1, 2, 0), rtol=1e-6)
    assert figure.axes[0].get_title() == "the image at 50%"
    assert figure.axes[2].lines[1].get_ydata().tolist() == [0.0, 1.0]
