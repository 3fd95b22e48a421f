"""Figures that can be read by everybody, players that cannot be built wrong, and code that is the library's own."""
import ast
import inspect
import io
import itertools
import textwrap
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib._pylab_helpers import Gcf
from matplotlib.colors import to_rgb
from PIL import Image

from nblib import figures, hooks, targets
from nblib.figures import style

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
VISION = {
    "all cones": np.eye(3),
    "no red cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}


def linear(colour: str) -> np.ndarray:
    """Return a colour as light."""
    value = np.array(to_rgb(colour))
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(light: np.ndarray) -> np.ndarray:
    """Return light in CIE Lab, where distances are about what is seen."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.clip(to_xyz @ light / (to_xyz @ np.ones(3)), 1e-4, None))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.fixture
def images():
    return torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def maps():
    signed = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(1))
    return {"gradient": signed, "occlusion": signed.abs()}


def pixels(figure) -> np.ndarray:
    """Return a figure as it is shown, (H, W, 4) in 0 to 255."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return np.asarray(Image.open(buffer).convert("RGBA"))


def map_pictures(figure, colours: str) -> list:
    """Return what a figure has drawn in the colours named."""
    drawn = [picture for axis in figure.axes for picture in axis.images]
    return [picture for picture in drawn if picture.get_array().ndim == 2 and picture.get_cmap().name == colours]


def every_figure(images, maps):
    steps = torch.arange(1, 5)
    return [
        figures.image_grid(images, labels=["a", "b", "c"]),
        figures.map_grid(images, maps, overlay=True),
        figures.map_grid(images[:1], {name: values[:1] for name, values in maps.items()}),
        figures.curves({"line": (steps, steps / 2, steps / 4, steps)}, x="steps", y="gap (logits)"),
        figures.bars({"a": 0.5, "b": 0.2}, x="share", intervals={"a": (0.4, 0.6)}, references={"uniform": 0.3}),
        figures.heatmap(torch.eye(3), list("abc"), list("def"), quantity="share"),
    ]


@pytest.mark.parametrize("vision", VISION)
def test_palette_is_told_apart(vision):
    seen = [lab(VISION[vision] @ linear(colour)) for colour in style.PALETTE]
    distances = [np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)]
    assert min(distances) > 12  # about five times what is just noticed


def test_palette_is_seen_on_white():
    for colour in style.PALETTE:
        brightness = linear(colour) @ [0.2126, 0.7152, 0.0722]
        assert 1.05 / (brightness + 0.05) > 2, colour
    assert len(style.PALETTE) == len(style.MARKERS) == len(set(style.PALETTE))


def test_figures_are_opaque_small_and_leave_nothing_open(images, maps):
    before = len(Gcf.figs)
    for figure in every_figure(images, maps):
        shown = pixels(figure)
        assert (shown[..., 3] == 255).all()
        assert (shown[0, 0] == 255).all()
        assert shown.shape[1] <= style.WIDTH * style.DPI
    assert len(Gcf.figs) == before


def test_importing_the_room_applies_the_style():
    with matplotlib.rc_context():
        matplotlib.rcParams["axes.facecolor"] = "black"
        figures.use_style()
        assert matplotlib.rcParams["axes.facecolor"] == "white"
    assert matplotlib.rcParams["figure.dpi"] == style.DPI


def test_signed_maps_have_a_scale_about_zero(images, maps):
    figure = figures.map_grid(images, maps)
    signed, positive = map_pictures(figure, style.SIGNED), map_pictures(figure, style.POSITIVE)
    assert len(signed) == len(positive) == 3
    assert all(picture.norm.vmin == -picture.norm.vmax < 0 for picture in signed)
    assert all(picture.norm.vmin == 0 < picture.norm.vmax for picture in positive)
    labels = [axis.get_xlabel() for axis in figure.axes if axis.get_xlabel()]
    assert len(labels) == 2 and all("importance" in label and "99th percentile" in label for label in labels)


@pytest.mark.parametrize("scale, different", [("map", 6), ("name", 2), ("all", 1)])
def test_scales_are_shared_as_asked(images, maps, scale, different):
    maps = {"gradient": maps["gradient"], "twice": 2 * maps["gradient"]}
    figure = figures.map_grid(images, maps, scale=scale, percentile=100)
    ends = {picture.norm.vmax for picture in map_pictures(figure, style.SIGNED)}
    assert len(ends) == different
    assert max(ends) == pytest.approx(float(maps["twice"].abs().max()))


def test_maps_of_zeros_and_of_one_pixel_are_drawn(images):
    one = torch.zeros(3, 8, 8)
    one[:, 4, 4] = 5
    figure = figures.map_grid(images, {"zero": torch.zeros(3, 8, 8), "one": one}, percentile=50)
    ends = [picture.norm.vmax for picture in map_pictures(figure, style.POSITIVE)]
    assert sorted(ends) == [1, 1, 1, 5, 5, 5]


def test_both_ways_across_show_the_same(images, maps):
    for across in ("maps", "images"):
        figure = figures.map_grid(images, maps, across=across, rows=["a", "b", "c"], outline=torch.ones(3, 8, 8) > 0)
        assert sum(bool(axis.images) for axis in figure.axes) == 9
        names = {name for axis in figure.axes for name in (axis.get_title(), axis.get_ylabel())}
        assert {"a", "b", "c", "image", "gradient", "occlusion"} <= names


def test_lines_carry_their_names_without_overlap():
    lines = {name: ([1, 2], [0.5, 0.5 + number / 1000]) for number, name in enumerate("abcdefg")}
    figure = figures.curves(lines, x="steps", y="share", references={"chance": 0.5})
    texts = figure.axes[0].texts
    assert {text.get_text() for text in texts} == {*"abcdefg", "chance"}
    heights = sorted(text.get_position()[1] for text in texts)
    assert np.diff(heights).min() > 0.05


def test_bars_of_several_series():
    figure = figures.bars({"a": (0.1, 0.2), "b": (0.3, 0.4)}, series=("object", "part"), x="share",
                          intervals={"a": ((0.0, 0.2), (0.1, 0.3))})
    assert sorted(bar.get_width() for bar in figure.axes[0].patches) == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["object", "part"]


def test_a_density_peaks_where_numbers_crowd_and_not_where_one_is_most_frequent():
    numbers = torch.tensor([10, 10, 30, 31, 32, 33])
    found = figures.density(numbers, 50)
    width = numbers.double().std().item() * 6 ** -0.2
    expected = [sum(np.exp(-0.5 * ((place - number) / width) ** 2) for number in numbers.tolist()) for place in range(50)]
    np.testing.assert_allclose(found, np.array(expected) / max(expected), rtol=1e-12)
    assert 25 < found.argmax() < 33 and numbers.mode().values == 10
    assert figures.density(torch.tensor([7, 7]), 9).tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 0]


def test_violins_have_a_panel_a_name_and_a_line_through_their_peaks():
    numbers = torch.tensor([[1, 8], [1, 9], [1, 8]])
    figure = figures.violins({"disc": numbers, "star": numbers.flip(1)}, x="layer", y="neuron", size=12)
    first, second = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["disc", "star"] and first.get_ylabel() == "neuron"
    assert first.lines[-1].get_ydata().tolist() == [1, 8] and second.lines[-1].get_ydata().tolist() == [8, 1]


@pytest.mark.parametrize("values, said", [
    ({}, "0 names"),
    ({"disc": torch.zeros(3, dtype=torch.long)}, r"'disc' of shape \(3,\)"),
    ({"disc": torch.full((3, 2), 12)}, "from 0 to 11"),
])
def test_violins_refuse_what_they_cannot_draw(values, said):
    with pytest.raises(ValueError, match=said):
        figures.violins(values, x="layer", y="neuron", size=12)


def test_heatmap_writes_its_numbers():
    figure = figures.heatmap([[1.0, float("nan")], [-0.5, 0.0]], ["a", "b"], ["c", "d"], quantity="rank correlation")
    assert [text.get_text() for text in figure.axes[0].texts] == ["1.00", "–", "−0.50", "0.00"]
    assert figure.axes[0].images[0].norm.vmin == -1


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda i, m: figures.image_grid(i * 2), r"expected \[0, 1\]"),
        (lambda i, m: figures.image_grid(i[0]), "expected .N, 3, H, W."),
        (lambda i, m: figures.image_grid(i[:0]), "N at least 1"),
        (lambda i, m: figures.image_grid(i, labels=["a"]), "1 labels were given, expected 3"),
        (lambda i, m: figures.map_grid(i, {}), "no maps"),
        (lambda i, m: figures.map_grid(i, {"a": m["gradient"][:2]}), r"'a' of shape \(2, 8, 8\) .* expected \(3, 8, 8\)"),
        (lambda i, m: figures.map_grid(i, {"a": m["gradient"] * float("nan")}), "not finite"),
        (lambda i, m: figures.map_grid(i, m, scale="maps"), "nearest: 'map'"),
        (lambda i, m: figures.map_grid(i, m, percentile=0), "percentile=0"),
        (lambda i, m: figures.curves({}, x="x", y="y"), "0 lines"),
        (lambda i, m: figures.curves({str(n): ([1], [1]) for n in range(8)}, x="x", y="y"), "8 lines"),
        (lambda i, m: figures.curves({"a": ([1, 2], [1])}, x="x", y="y"), "line 'a'"),
        (lambda i, m: figures.bars({}, x="x"), "no bars"),
        (lambda i, m: figures.bars({"a": 1}, x="x", intervals={"b": (0, 1)}), "intervals for b"),
        (lambda i, m: figures.bars({"a": (1, 2)}, x="x", series=["one"]), "1 series were given, expected 2"),
        (lambda i, m: figures.heatmap([[1, 2]], ["a"], ["b"], quantity="x"), "1 column_labels"),
    ],
)
def test_wrong_input_is_named(images, maps, call, message):
    with pytest.raises(ValueError, match=message):
        call(images, maps)


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


def test_player_takes_bytes_too():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, format="png")
    assert "image/png" in player(frames=[buffer.getvalue()] * 2).children[1].children[0].value


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"labels": ["1 step"], "alts": ["flat"]}, "at least two"),
        ({"alts": ["flat"]}, "1 alternative texts were given for 2 frames"),
        ({"alts": ["flat", " "]}, "alternative text of frame 1 is empty"),
        ({"labels": ["same", "same"]}, "'same' was given twice"),
        ({"frames": [b"\x89PNG"] * 3}, "2 labels were given for 3 frames"),
        ({"frames": [b"GIF89a"] * 2}, "PNG or WebP"),
        ({"frames": ["a.png"] * 2}, "type str"),
        ({"description": ""}, "description is empty"),
    ],
)
def test_player_refuses_what_some_could_not_use(changes, message):
    with pytest.raises(ValueError, match=message):
        player(**changes)


class Balance(HTMLParser):
    """Checks that tags close in the order in which they opened."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


ROWS = [["a <b>", 0.301, (np.float32(0.5), 0.0251), None], ["c & d", -0.0001, (-1.0, torch.tensor(0.5)), 12]]


def test_table_is_semantic_html():
    shown = figures.table(ROWS, ["method", "inside (share)", "gap", "n"], caption="What it < shows")._repr_html_()
    seen = Balance(shown).seen
    assert sum(tag == "caption" for tag, _ in seen) == 1
    assert [attributes["scope"] for tag, attributes in seen if tag == "th"] == ["col"] * 4 + ["row"] * 2
    assert "a &lt;b&gt;" in shown and "What it &lt; shows" in shown and "<b>" not in shown


def test_table_reads_as_text():
    columns = ["method", "inside (share)", "gap", "n"]
    text = repr(figures.table(ROWS, columns, precision={"inside (share)": 3, "gap": 1}))
    assert text.splitlines() == [
        "method  inside (share)         gap   n",
        "------  --------------  ----------  --",
        "a <b>            0.301   0.5 ± 0.0   –",
        "c & d            0.000  −1.0 ± 0.5  12",
    ]
    assert repr(figures.table([["a", True]], ["name", "done"])).endswith("yes")


@pytest.mark.parametrize(
    "rows, precision, error",
    [([["a"]], 2, ValueError), ([["a", object()]], 2, ValueError), ([], {"gab": 1}, KeyError)],
)
def test_table_refuses_what_does_not_fit(rows, precision, error):
    with pytest.raises(error):
        figures.table(rows, ["name", "gap"], precision=precision)


def bare(code: str) -> str:
    """Return code without docstrings, in the form in which the parser sees it."""
    tree = ast.parse(textwrap.dedent(code))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


@pytest.mark.parametrize("thing", [hooks.capture, hooks.Captured, targets.contrast, figures.map_grid, figures.Table])
def test_source_is_the_library_s_own_but_for_docstrings(thing):
    shown = figures.show_source(thing)
    own = inspect.getsource(inspect.unwrap(thing))
    assert bare(shown.code) == bare(own)
    assert figures.show_source(thing, docstrings=True).code == own.rstrip()
    assert (thing.__doc__ is None) or thing.__doc__.strip().split("\n")[0] in shown.code
    assert "Args:" not in shown.code
    path, line = shown.place.split(", line ")
    assert not path.startswith("/")
    content = (figures.source.ROOT / path).read_text().splitlines()
    assert shown.code.splitlines()[0] == content[int(line) - 1]
    assert f"```python\n{shown.code}\n```" in shown._repr_markdown_()


def test_source_of_some_lines():
    whole = figures.show_source(targets.contrast).code.splitlines()
    assert figures.show_source(targets.contrast, lines=(1, 2)).code.splitlines() == whole[:2]
    with pytest.raises(ValueError, match="has lines 1 to"):
        figures.show_source(targets.contrast, lines=(1, 1000))


@pytest.mark.parametrize("thing", [torch.relu, torch.nn.ReLU, 3])
def test_source_of_other_people_is_refused(thing):
    with pytest.raises(ValueError, match="whose code is in nblib"):
        figures.show_source(thing)
