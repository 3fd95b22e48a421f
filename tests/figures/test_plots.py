"""Lines, bars and tables of colour, and what cannot be drawn."""
import numpy as np
import pytest

from nblib import figures


def test_lines_carry_their_names_without_overlap():
    lines = {name: ([1, 2], [0.5, 0.5 + number / 1000]) for number, name in enumerate("abcdefg")}
    figure = figures.curves(lines, x="steps", y="share", references={"chance": 0.5})
    texts = figure.axes[0].texts
    assert {text.get_text() for text in texts} == {*"abcdefg", "chance"}
    heights = sorted(text.get_position()[1] for text in texts)
    assert np.diff(heights).min() > 0.05


def test_names_stand_as_near_their_lines_as_they_can():
    lines = {name: ([0, 1], [1.0, end]) for name, end in {"a": -0.2, "b": -0.15, "c": -0.14, "alone": 0.6}.items()}
    axis = figures.curves(lines, x="depth", y="r").axes[0]
    placed = {text.get_text(): text.get_position()[1] for text in axis.texts}
    ends = {name: axis.transAxes.inverted().transform(axis.transData.transform((1, line[1][1])))[1]
            for name, line in lines.items()}
    assert placed["alone"] == pytest.approx(ends["alone"])
    group = ["a", "b", "c"]
    assert np.mean([placed[name] for name in group]) == pytest.approx(np.mean([ends[name] for name in group]))
    assert placed["a"] < placed["b"] < placed["c"]


def test_bars_of_several_series():
    figure = figures.bars({"a": (0.1, 0.2), "b": (0.3, 0.4)}, series=("object", "part"), x="share",
                          intervals={"a": ((0.0, 0.2), (0.1, 0.3))})
    assert sorted(bar.get_width() for bar in figure.axes[0].patches) == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["object", "part"]


def test_a_bar_too_short_to_see_is_told_from_none():
    axis = figures.bars({"a": (-0.4, 0.0), "b": (0.0005, -0.3)}, series=("one", "two"), x="change",
                        intervals={"b": ((-0.02, 0.03), (-0.4, -0.2))}).axes[0]
    said = {text.xy for text in axis.texts if text.get_text() == "≈ 0"}
    assert sorted(round(place, 3) for _, place in said) == [0.2, 0.8]
    assert sorted(end for end, _ in said) == [-0.02, 0], "left of the interval, where there is room"
    assert not figures.bars({"a": 0.2, "b": float("nan")}, x="share").axes[0].texts


def test_heatmap_writes_its_numbers():
    figure = figures.heatmap([[1.0, float("nan")], [-0.5, -0.004]], ["a", "b"], ["c", "d"], quantity="rank correlation")
    assert [text.get_text() for text in figure.axes[0].texts] == ["1.00", "–", "−0.50", "0.00"]
    assert figure.axes[0].images[0].norm.vmin == -1


def test_plots_are_as_wide_as_they_are_asked_to_be():
    assert figures.curves({"a": ([0, 1], [0, 1])}, x="x", y="y", width=5).get_figwidth() == 5
    assert figures.heatmap([[1.0]], ["a label of many letters"], ["b"], quantity="q", width=5).get_figwidth() == 5


@pytest.mark.parametrize("call, message", [
    (lambda: figures.curves({}, x="x", y="y"), "0 lines"),
    (lambda: figures.curves({str(n): ([1], [1]) for n in range(8)}, x="x", y="y"), "8 lines"),
    (lambda: figures.curves({"a": ([1, 2], [1])}, x="x", y="y"), "line 'a'"),
    (lambda: figures.bars({}, x="x"), "no bars"),
    (lambda: figures.bars({"a": 1}, x="x", intervals={"b": (0, 1)}), "intervals for b"),
    (lambda: figures.bars({"a": (1, 2)}, x="x", series=["one"]), "1 series were given, expected 2"),
    (lambda: figures.heatmap([[1, 2]], ["a"], ["b"], quantity="x"), "1 column_labels"),
])
def test_plots_that_cannot_be_drawn_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_line_of_texts_is_refused_and_a_name_stands_at_the_last_number_there_is():
    with pytest.raises(ValueError, match=r"no numbers, such as \['0'\]"):
        figures.curves({"a": (["0", "50"], [0.1, 0.2])}, x="share", y="y")
    figure = figures.curves({"a": ([0, 1, 2], [0.1, 0.5, np.nan]), "none": ([0, 1], [np.nan] * 2)}, x="x", y="y")
    figure.draw_without_rendering()
    words = {text.get_text(): text.get_position()[1] for text in figure.axes[0].texts}
    assert set(words) == {"a"} and 0.8 < words["a"] <= 1
