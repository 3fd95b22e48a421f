"""Images, and maps of them, in grids."""
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from nblib.checks import expect_one_of
from nblib.figures.inputs import as_maps, as_pictures, expect_count
from nblib.figures.style import BLACK, GREY_LEVELS, ORANGE, POSITIVE, SIGNED, WIDTH, new_figure


def image_grid(images, *, rows: Sequence[str] | None = None, columns: Sequence[str] | int = 6,
               labels: Sequence[str] | None = None, outline=None) -> Figure:
    """Show images in a grid that is filled row by row.

    Args:
        images: (N, 3, H, W) or (N, 1, H, W), in [0, 1].
        rows: a label left of each row.
        columns: a label above each column, or how many columns there are.
        labels: N texts, one above each image; not together with labels of columns.
        outline: (N, H, W) bool, masks whose borders are drawn.

    Raises:
        ValueError: images outside [0, 1], or labels that do not fit them.
    """
    pictures = as_pictures(images)
    names = None if isinstance(columns, int) else list(columns)
    across = min(columns, len(pictures)) if names is None else len(names)
    down = -(-len(pictures) // across)
    expect_count("rows", rows, down)
    expect_count("labels", labels, len(pictures))
    if labels is not None and names is not None:
        raise ValueError("labels of images and labels of columns were both given; there is room for one above a column")
    masks = None if outline is None else as_maps("outline", outline, pictures)
    figure, axes = _frames(down, across, pictures, rows, names, titled=labels is not None)
    for number, picture in enumerate(pictures):
        axis = axes.flat[number]
        axis.imshow(picture)
        axis.set_title(labels[number] if labels is not None else axis.get_title())
        if masks is not None:
            _outline(axis, masks[number])
    return figure


def map_grid(images, maps: Mapping[str, object], *, rows: Sequence[str] | None = None, across: str = "maps",
             columns: int = 6, outline=None, overlay: bool = False, scale: str = "map", percentile: float = 99.0,
             quantity: str = "importance") -> Figure:
    """Show images beside maps of them, with a colour bar that says what the colours mean.

    Maps of a name with a negative value anywhere get a scale that is symmetric about zero (blue below, red above), any
    others a scale that begins at zero. One image alone is shown with its maps in rows of `columns` pictures.

    Args:
        images: (N, 3, H, W), in [0, 1].
        maps: name -> (N, H, W), finite.
        rows: N labels, one for each image.
        across: "maps" puts one image in each row; "images" one map in each row.
        columns: how many pictures fit beside each other when there is one image.
        outline: (N, H, W) bool, masks whose borders are drawn on every picture.
        overlay: draw each map over its image in grey, as opaque as the value is large.
        scale: "map" gives each map its own scale, "name" all maps of a name one, "all" all maps one.
        percentile: of the magnitudes that share a scale; the scale ends there, so that a few extreme pixels do not
            leave the rest blank. In (0, 100].
        quantity: what the values are, with its unit; written at the colour bar.

    Raises:
        ValueError: maps that do not fit the images or are not finite, or options that do not exist.
    """
    pictures = as_pictures(images)
    expect_one_of("across", across, ("maps", "images"))
    expect_one_of("scale", scale, ("map", "name", "all"))
    expect_count("rows", rows, len(pictures))
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile={percentile} was given, expected more than 0 and at most 100")
    if not maps:
        raise ValueError("no maps were given, expected at least one")
    maps = {name: as_maps(name, values, pictures) for name, values in maps.items()}
    masks = None if outline is None else as_maps("outline", outline, pictures)
    limits = _limits(maps, scale, percentile)
    kinds = sorted({_signed(values) for values in maps.values()})
    figure, axes = _map_frames(pictures, list(maps), rows, across, columns, len(kinds))
    for row, picture in enumerate(pictures):
        axes[row, 0].imshow(picture)
        for axis, (name, values) in zip(axes[row, 1:], maps.items()):
            _draw(axis, values[row], _signed(values), limits[name][row], picture if overlay else None)
        for axis in axes[row, : len(maps) + 1] if masks is not None else ():
            _outline(axis, masks[row])
    for signed in kinds:
        ends = [limits[name][0] for name, values in maps.items() if _signed(values) == signed]
        _colour_bar(figure, axes, signed, ends[0] if scale == "all" else None, scale, percentile, quantity)
    return figure


def _frames(down: int, across: int, pictures: np.ndarray, rows=None, columns=None, *, titled=False, bars=0):
    """Return a figure and `down` × `across` frames, named at the left and above, with room for colour bars."""
    margin = 0.1 + 0.075 * max(map(len, rows or [""]))
    side = min(1.7, (WIDTH - margin) / across)
    height = down * (side * pictures.shape[1] / pictures.shape[2] + (0.24 if titled else 0.04)) + 0.3 + 0.65 * bars
    # Colour bars need some width for what they say.
    figure = new_figure(height, width=min(WIDTH, max(margin + side * across, 4.8 if bars else 0.0)))
    axes = figure.subplots(down, across, squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    for axis, name in zip(axes[:, 0], rows or ()):
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
    for axis, name in zip(axes[0], columns or ()):
        axis.set_title(name)
    return figure, axes


def _map_frames(pictures: np.ndarray, names: list[str], rows, across: str, columns: int, bars: int):
    """Return a figure and its frames as (image, the image and then its maps), however these lie on the page."""
    names = ["image", *names]
    if len(pictures) == 1:
        figure, axes = _frames(-(-len(names) // columns), min(columns, len(names)), pictures, titled=True, bars=bars)
        for axis, name in zip(axes.flat, names):
            axis.set_title(name)
        return figure, axes.reshape(1, -1)
    if across == "maps":
        return _frames(len(pictures), len(names), pictures, rows, names, bars=bars)
    figure, axes = _frames(len(names), len(pictures), pictures, names, rows, bars=bars)
    return figure, axes.T


def _signed(values: np.ndarray) -> bool:
    """Say whether the maps of one name have values below zero."""
    return bool((values < 0).any())


def _limits(maps: Mapping[str, np.ndarray], scale: str, percentile: float) -> dict[str, np.ndarray]:
    """Return where the colour scale ends, (N,) for each name; 1 where there is nothing but zeros."""
    count = len(next(iter(maps.values())))
    sizes = {name: np.abs(values).reshape(count, -1) for name, values in maps.items()}
    if scale == "all":
        everything = np.concatenate(list(sizes.values()), axis=None)
        sizes = dict.fromkeys(maps, everything[None])
    elif scale == "name":
        sizes = {name: size.reshape(1, -1) for name, size in sizes.items()}
    ends = {}
    for name, size in sizes.items():
        end = np.percentile(size, percentile, axis=1)
        end = np.where(end > 0, end, size.max(1))  # few values in a map of zeros must still be seen
        ends[name] = np.broadcast_to(np.where(end > 0, end, 1.0), (count,))
    return ends


def _draw(axis, values: np.ndarray, signed: bool, limit: float, under: np.ndarray | None) -> None:
    """Draw one map, alone or over its image in grey."""
    alpha = None
    if under is not None:
        axis.imshow(0.5 + 0.5 * (under @ GREY_LEVELS), cmap="gray", vmin=0, vmax=1)
        alpha = np.clip(np.abs(values) / limit, 0, 1)
    norm = Normalize(-limit if signed else 0.0, limit)
    axis.imshow(values, cmap=SIGNED if signed else POSITIVE, norm=norm, alpha=alpha)


def _outline(axis, mask: np.ndarray) -> None:
    """Draw the border of a mask, light upon dark so that it is seen on any picture."""
    if mask.any() and not mask.all():
        for width, colour in ((2.4, BLACK), (1.1, ORANGE)):
            axis.contour(mask, levels=[0.5], colors=[colour], linewidths=width)


def _colour_bar(figure: Figure, axes, signed: bool, top: float | None, scale: str, percentile: float, quantity: str):
    """Put a colour bar below the frames; without `top` it counts in parts of where each scale ends."""
    end = "largest magnitude" if percentile == 100 else f"{percentile:g}th percentile of magnitudes"
    whose = {"map": "each map's", "name": "each kind's"}.get(scale)
    label = quantity if top is not None else f"{quantity}, over {whose} {end}"
    norm = Normalize(-(top or 1.0) if signed else 0.0, top or 1.0)
    colours = ScalarMappable(norm, SIGNED if signed else POSITIVE)
    beyond = "neither" if percentile == 100 else "both" if signed else "max"
    inch = 1 / figure.get_figheight()  # of shares of the height, or a tall figure would have a gap above its bar
    figure.colorbar(colours, ax=axes, location="bottom", shrink=0.7, aspect=45, extend=beyond, label=label,
                    fraction=0.15 * inch, pad=0.1 * inch)
