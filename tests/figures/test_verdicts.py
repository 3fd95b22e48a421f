"""The verdict chart: each verdict is a word and a shape, each interval lies on the side that was found."""
import io

import numpy as np
import pytest
from PIL import Image

from nblib import figures
from nblib.figures import Judged

ROWS = {
    "First finding": [
        Judged("Maps become sparser.", "supported", "+0.05 [+0.03, +0.07]", 0.05, 0.03, 0.07),
        Judged("Accuracy falls by less than two points, which is a sentence that needs more than one line to be read.",
               "contradicted", "−0.05 [−0.07, −0.03]", -0.05, -0.07, -0.03, threshold=-0.02),
    ],
    "Second finding": [
        Judged("Probability falls.", "undecided", "−0.01 [−0.05, +0.03]", -0.01, -0.05, 0.03, direction="below"),
        Judged("Judges prefer it.", "not tested", "needs judges who do not know which network made a picture"),
    ],
    "": [Judged("Probability falls far.", "supported", "−0.4 [−0.5, −0.3]", -0.4, -0.5, -0.3, direction="below")],
}


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def intervals(figure) -> list[np.ndarray]:
    """Return the ends of the intervals that were drawn, in the order of their rows."""
    return [line.get_xdata() for line in figure.axes[0].lines if line.get_marker() == "|"]


def test_each_verdict_is_a_word_and_a_shape_of_its_own():
    figure = figures.verdict_chart(ROWS)
    said = [word for word in words(figure) if word in ("supported", "contradicted", "undecided", "not tested")]
    assert said == ["supported", "contradicted", "undecided", "not tested", "supported"]
    shapes = [line.get_marker() for line in figure.axes[0].lines if line.get_marker() in ("o", "X", "D")]
    assert shapes == ["o", "o", "X", "X", "D", "D", "o", "o"], "on the interval, and beside the word"
    assert "Second finding" in words(figure) and "+0.05 [+0.03, +0.07]" in words(figure)


def test_the_side_that_the_claim_names_is_on_the_right():
    figure = figures.verdict_chart(ROWS)
    middle = next(line.get_xdata()[0] for line in figure.axes[0].lines if len(set(line.get_xdata())) == 1)
    supported, contradicted, undecided, below = intervals(figure)
    assert min(supported) > middle and min(below) > middle and max(contradicted) < middle
    assert min(undecided) < middle < max(undecided)


def test_texts_stay_inside_and_apart_and_the_chart_is_as_narrow_as_a_phone():
    figure = figures.verdict_chart(ROWS)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    pixels = np.asarray(Image.open(buffer).convert("RGBA"))
    assert pixels.shape[1] < 600 and (pixels[..., 3] == 255).all()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert all(0 <= box.x0 and box.x1 <= figure.bbox.width for box in boxes)
    assert all(0 <= box.y0 and box.y1 <= figure.bbox.height for box in boxes)
    assert not any(one.overlaps(other) for number, one in enumerate(boxes) for other in boxes[:number])


def test_an_interval_of_no_width_at_its_threshold_is_drawn():
    figure = figures.verdict_chart({"": [Judged("Nothing moves.", "undecided", "0", 0.0, 0.0, 0.0)]})
    assert len(intervals(figure)) == 1 and np.ptp(intervals(figure)[0]) == 0


@pytest.mark.parametrize("groups, said", [
    ({}, "no claims"),
    ({"a": []}, "no claims"),
    ({"a": [Judged("x", "suported", "", 1.0, 0.5, 1.5)]}, "nearest: 'supported'"),
    ({"a": [Judged("x", "supported", "", 1.0, 0.5, 1.5, direction="up")]}, "direction 'up'"),
    ({"a": [Judged("x", "undecided")]}, "has no interval"),
])
def test_what_cannot_be_drawn_is_refused(groups, said):
    with pytest.raises(ValueError, match=said):
        figures.verdict_chart(groups)
