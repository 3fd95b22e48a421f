"""A player of frames made in advance: it moves in the rendered page, with no kernel and no network."""
import base64
import html
import io
from collections.abc import Callable, Sequence

import ipywidgets
from matplotlib.figure import Figure

from nblib.checks import expect_int
from nblib.figures.inputs import expect_count

Frame = Figure | bytes
KINDS = {b"\x89PNG": "png", b"RIFF": "webp"}  # how a file begins


def frame_player(frames: Sequence[Frame] | Callable[[int], Figure], *, labels: Sequence[str], alts: Sequence[str],
                 description: str, interval: int = 700, start: int = 0) -> ipywidgets.VBox:
    """Show one frame at a time, chosen with a slider that the arrow keys move, or played.

    The browser alone links slider and frames, so the player works in a static page. Each frame is an `img` element,
    since the image widget has no room for the alternative text.

    Args:
        frames: at least two figures or PNG or WebP files as bytes, or a function from 0, 1, 2, ... to a figure.
        labels: what the slider says at each frame, such as "8 steps"; all different.
        alts: what is seen in each frame, for readers who do not see it.
        description: what the slider changes, such as "steps".
        interval: milliseconds between frames when played.
        start: the frame that is shown first, and on paper, from 0.

    Returns:
        A box with a play button, the slider and the frames.

    Raises:
        ValueError: labels or texts that are missing, empty or do not fit the frames, or bytes that are no picture.
    """
    if callable(frames):
        frames = map(frames, range(len(labels)))  # drawn one at a time
    else:
        expect_count("labels of frames", labels, len(frames))
    _check(labels, alts, description)
    pictures = [ipywidgets.HTML(_image(frame, alt)) for frame, alt in zip(frames, alts)]
    last = len(pictures) - 1
    start = expect_int("start", start, 0, last)
    stack = ipywidgets.Stack(pictures, selected_index=start)
    slider = ipywidgets.SelectionSlider(
        options=list(labels), index=start, description=description, style={"description_width": "initial"},
        layout={"width": "auto", "flex": "1 1 16em"},
    )
    play = ipywidgets.Play(value=start, min=0, max=last, interval=interval, show_repeat=False)
    ipywidgets.jslink((play, "value"), (slider, "index"))  # a link acts in both directions
    ipywidgets.jslink((slider, "index"), (stack, "selected_index"))
    controls = ipywidgets.HBox([play, slider], layout={"flex_flow": "row wrap"})
    return ipywidgets.VBox([controls, stack]).add_class("nblib-player")


def _check(labels: Sequence[str], alts: Sequence[str], description: str) -> None:
    """Refuse a player that some readers could not use."""
    if len(labels) < 2:
        raise ValueError(f"{len(labels)} frames were given, expected at least two; show a single one as a figure")
    expect_count("alternative texts", alts, len(labels))
    if twice := sorted({label for label in labels if list(labels).count(label) > 1}):
        raise ValueError(f"label {twice[0]!r} was given twice, expected a different one for each frame")
    for number, alt in enumerate(alts):
        if not alt.strip():
            raise ValueError(f"the alternative text of frame {number} is empty, expected what is seen in it")
    if not description.strip():
        raise ValueError("the description is empty, expected what the slider changes")


def _image(frame: Frame, alt: str) -> str:
    """Return an `img` element that holds the picture itself."""
    data = _webp(frame) if isinstance(frame, Figure) else frame
    kind = KINDS.get(bytes(data[:4])) if isinstance(data, bytes) else None
    if kind is None:
        raise ValueError(f"a frame of type {type(frame).__name__} was given, expected a figure, or PNG or WebP bytes")
    content = base64.b64encode(data).decode()
    return f'<img alt="{html.escape(alt)}" src="data:image/{kind};base64,{content}">'


def _webp(figure: Figure) -> bytes:
    """Return a figure as WebP without loss: smaller than PNG, and for plots and maps than WebP with loss."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="webp", pil_kwargs={"lossless": True})
    return buffer.getvalue()
