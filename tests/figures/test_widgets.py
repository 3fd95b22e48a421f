"""The player: its texts, its links, and what some readers could not use."""
import io
from html.parser import HTMLParser

import pytest
import torch
from matplotlib._pylab_helpers import Gcf
from PIL import Image

from nblib import figures


def player(**changes):
    steps = torch.arange(3)
    options = {
        "frames": lambda number: figures.curves({"line": (steps, steps * number)}, x="steps", y="gap (logits)"),
        "labels": ["1 step", "2 steps"],
        "alts": ["a flat line", 'a line that "rises" <slowly>'],
        "description": "steps",
    }
    return figures.frame_player(**(options | changes))


class Images(HTMLParser):
    """Collects the attributes of the images in a text."""

    def __init__(self, text: str):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def test_player_has_alternative_texts_and_links():
    before = len(Gcf.figs)
    box = player()
    controls, stack = box.children
    play, slider = controls.children
    assert slider._options_labels == ("1 step", "2 steps") and slider.description == "steps"
    assert (play.min, play.max) == (0, 1)
    found = [Images(child.value).found[0] for child in stack.children]
    assert [attributes["alt"] for _, attributes in found] == ["a flat line", 'a line that "rises" <slowly>']
    assert all(tag == "img" and attributes["src"].startswith("data:image/webp;base64,") for tag, attributes in found)
    assert len({attributes["src"] for _, attributes in found}) == 2
    assert len(Gcf.figs) == before


def test_player_starts_where_it_is_told():
    controls, stack = player(start=1).children
    play, slider = controls.children
    assert (play.value, slider.index, stack.selected_index) == (1, 1, 1)


def test_player_takes_bytes_too():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, format="png")
    assert "image/png" in player(frames=[buffer.getvalue()] * 2).children[1].children[0].value


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"labels": ["1 step"], "alts": ["flat"]}, "at least two"),
        ({"alts": ["flat"]}, "1 alternative texts were given, expected 2"),
        ({"alts": ["flat", " "]}, "alternative text of frame 1 is empty"),
        ({"labels": ["same", "same"]}, "'same' was given twice"),
        ({"frames": [b"\x89PNG"] * 3}, "2 labels of frames were given, expected 3"),
        ({"frames": [b"GIF89a"] * 2}, "PNG or WebP"),
        ({"frames": ["a.png"] * 2}, "type str"),
        ({"description": ""}, "description is empty"),
        ({"start": 2}, "start=2 was given, expected a whole number from 0 to 1"),
    ],
)
def test_player_refuses_what_some_could_not_use(changes, message):
    with pytest.raises(ValueError, match=message):
        player(**changes)
