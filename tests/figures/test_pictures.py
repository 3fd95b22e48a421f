"""Images and maps in grids: scales, outlines, and what cannot be shown."""
import pytest
import torch

from nblib import figures
from nblib.figures import style


def map_pictures(figure, colours: str) -> list:
    """Return what a figure has drawn in the colours named."""
    drawn = [picture for axis in figure.axes for picture in axis.images]
    return [picture for picture in drawn if picture.get_array().ndim == 2 and picture.get_cmap().name == colours]


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


@pytest.mark.parametrize("call, message", [
    (lambda i, m: figures.image_grid(i * 2), r"expected \[0, 1\]"),
    (lambda i, m: figures.image_grid(i[0]), "expected .N, 3, H, W."),
    (lambda i, m: figures.image_grid(i[:0]), "N at least 1"),
    (lambda i, m: figures.image_grid(i, labels=["a"]), "1 labels were given, expected 3"),
    (lambda i, m: figures.map_grid(i, {}), "no maps"),
    (lambda i, m: figures.map_grid(i, {"a": m["gradient"][:2]}), r"'a' of shape \(2, 8, 8\) .* expected \(3, 8, 8\)"),
    (lambda i, m: figures.map_grid(i, {"a": m["gradient"] * float("nan")}), "not finite"),
    (lambda i, m: figures.map_grid(i, m, scale="maps"), "nearest: 'map'"),
    (lambda i, m: figures.map_grid(i, m, percentile=0), "percentile=0"),
])
def test_pictures_that_cannot_be_shown_are_named(images, maps, call, message):
    with pytest.raises(ValueError, match=message):
        call(images, maps)
