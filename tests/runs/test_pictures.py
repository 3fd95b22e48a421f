"""The drawn pictures of the book: committed, small, used by a page, and drawn anew whole or not at all."""
import importlib.util

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from nblib.runs import parameters



def script(name: str):
    """Return a script of the folder of pictures as a module."""
    spec = importlib.util.spec_from_file_location(name, parameters.BOOK / f"images/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pictures, beside = script("draw"), script("draw_comparison")


@pytest.mark.parametrize("name", [*pictures.PICTURES, *beside.PICTURES])
def test_a_drawn_picture_is_committed_and_used(name):
    path = parameters.BOOK / "images" / name
    assert path.stat().st_size <= pictures.LARGEST
    with Image.open(path) as picture:
        assert picture.format == "PNG" and 700 <= picture.width <= 1400
    assert any(f"images/{name}" in page.read_text() for page in parameters.BOOK.glob("*.ipynb"))


def test_the_drawing_of_the_toy_is_the_committed_one(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "PICTURES", {"saliency_toy.png": pictures.PICTURES["saliency_toy.png"]})
    pictures.draw(tmp_path)
    drawn, kept = (np.asarray(Image.open(folder / "saliency_toy.png").convert("RGB"), float)
                   for folder in (tmp_path, parameters.BOOK / "images"))
    assert drawn.shape == kept.shape and np.abs(drawn - kept).mean() < 2


def test_a_picture_that_is_too_large_is_refused_and_the_old_one_stays(tmp_path, monkeypatch):
    def noise() -> Figure:
        figure = Figure(figsize=(8, 8))
        figure.figimage(np.random.default_rng(0).random((1300, 1300, 3)))
        return figure

    monkeypatch.setattr(pictures, "PICTURES", {"noise.png": noise})
    (tmp_path / "noise.png").write_bytes(b"before")
    with pytest.raises(RuntimeError, match="expected at most 500000"):
        pictures.draw(tmp_path)
    assert (tmp_path / "noise.png").read_bytes() == b"before" and len(list(tmp_path.iterdir())) == 1
