"""Saliency without gradients: hide parts of the image and see what the network loses. Occlusion and RISE, both ours.

captum has `Occlusion`, and the tests hold ours against it: its maps are single precision whatever the images are.
"""
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from nblib.checks import expect_int, expect_number, expect_room
from nblib.engine import baseline_for, check_inputs, chunks, exactly, explained, logits_of, precise, seeded
from nblib.models.importance import expect_patch
from nblib.targets import Target, class_probability


def window_spans(side: int, window: int | float, stride: int | float | None) -> Tensor:
    """Return which of `side` pixels each window position covers, (positions, side) bool; the last is cut at the border.

    `window` and `stride` are pixels, or, below 1, shares of the side; a stride of None is the window.
    """
    size = _pixels("window", window, side)
    step = size if stride is None else _pixels("stride", stride, side)
    if step > size:
        raise ValueError(f"stride={stride!r} is {step} pixels, expected at most the window's {size}: it misses pixels")
    starts = torch.arange(math.ceil((side - size) / step) + 1).unsqueeze(1) * step
    pixels = torch.arange(side)
    return (pixels >= starts) & (pixels < starts + size)


def _pixels(name: str, value: int | float, side: int) -> int:
    """Return a length in pixels, given in pixels or as a share of `side` below 1."""
    if isinstance(value, float) and 0 < value < 1:
        return max(1, round(value * side))
    if expect_int(name, value, 1) > side:
        raise ValueError(f"{name}={value} was given, expected at most the image's side, {side}")
    return int(value)


def occlusion(
    model: nn.Module,
    images: Tensor,
    *,
    target: Target | None = None,
    window: int | float = 8,
    stride: int | float | None = None,
    baseline: float | str | Tensor = 0.0,
    chunk_size: int | None = None,
) -> Tensor:
    r"""How much the target drops when a window over the pixel is painted over, averaged over the windows w that cover
    it.

    .. math:: S_{uv}=\frac1{|\{w\ni(u,v)\}|}\sum_{w\ni(u,v)}\big(f(x)-f(x_{w\to x'})\big)

    Args:
        window: the window's side in pixels, or, below 1, as a share of each side of the image.
        stride: how far the window moves, in the same units and at most the window; None lays windows side by side.

    Other arguments: as in `nblib.methods.saliency`; the baseline is what is painted.

    Returns:
        (N, 1, H, W), in target units; positive where the pixels were needed.

    Source: Zeiler and Fergus (2014), section 4.2, there with a grey window; P4, section 4.1. Engine: ours; equal to
    captum's `Occlusion`.
    """
    check_inputs(model, images)
    paint = baseline_for(images, baseline)
    down, across = (window_spans(side, window, stride).to(images.device) for side in images.shape[2:])
    windows = len(down) * len(across)
    value = explained(model, images, target, chunk_size, class_probability)

    def painted(step: Tensor, image: Tensor) -> Tensor:
        hidden = down[step // len(across)].unsqueeze(2) & across[step % len(across)].unsqueeze(1)  # (R, H, W)
        return torch.where(hidden.unsqueeze(1), paint[image], images[image])

    with torch.no_grad():
        whole = torch.cat([value(logits_of(model, images[i]), i) for _, i in chunks(images, 1, chunk_size)])
        left = [value(logits_of(model, painted(s, i)), i) for s, i in chunks(images, windows, chunk_size)]
        drop = (whole - torch.cat(left).view(windows, -1)).view(len(down), len(across), -1)
        drop = precise(drop)
        down, across = down.to(drop), across.to(drop)
        with exactly(images):
            total = torch.einsum("ah,abn,bw->nhw", down, drop, across)
            return (total / torch.outer(down.sum(0), across.sum(0))).unsqueeze(1).to(images.dtype)


def rise(
    model: nn.Module,
    images: Tensor,
    *,
    target: Target | None = None,
    masks: int = 6000,
    cells: int = 8,
    p: float = 0.1,
    patch: int | None = None,
    seed: int = 0,
    chunk_size: int | None = None,
) -> Tensor:
    r"""The mean of random soft masks, each weighted by the target of the image seen through it.

    .. math:: S=\frac1{Mp}\sum_{m}f(x\odot M_m)\,M_m

    A mask is a grid of cells, each on with probability p, enlarged bilinearly to one cell more than the image and cut
    out at a random shift. At the grid's border the enlarging takes the nearest cell; the authors' code mirrors the grid there,
    and the maps of the two ways have a rank correlation of .992.

    Args:
        masks: M; the error falls as :math:`1/\sqrt M`.
        cells: the grid's side.
        p: the probability of a cell to be on, in (0, 1].
        patch: the side of patches in pixels, which divides H and W: the map's mean over each, without the map itself,
            from the masks' means.

    Other arguments: as in `nblib.methods.saliency`.

    Returns:
        (N, 1, H, W), or (N, 1, H/patch, W/patch), in target units; ≥ 0 for a probability, with a large constant part:
        before a threshold, `normalize_min_max` is the sensible normalisation.

    Source: Petsiuk, Das and Saenko (2018), section 3. The defaults are those of the authors' code (Saliency.ipynb of
    eclique/RISE); the paper's text has 8,000 masks, 7 cells and p = 0.5. Engine: ours; captum has none.
    """
    check_inputs(model, images)
    expect_int("masks", masks, 1)
    expect_int("cells", cells, 1)
    if expect_number("p", p, 0, 1) == 0:
        raise ValueError("p=0 was given, expected above 0: no cell would ever be seen")
    expect_room(f"masks={masks}, cells={cells}", masks * cells**2)
    value = explained(model, images, target, chunk_size, class_probability)
    size = images.shape[2:]
    generator = seeded(seed)
    on = (torch.rand(masks, cells, cells, generator=generator) < p).to(precise(images[:0]))
    cell = torch.tensor([math.ceil(side / cells) for side in size])
    shift = (torch.rand(masks, 2, generator=generator) * cell).long().to(images.device)  # from 0 to cell - 1
    pixels = [cells_of(side, cells, 1).to(on) for side in size]
    parts = pixels if patch is None else [cells_of(side, cells, expect_patch(side, patch)).to(on) for side in size]
    with torch.no_grad():
        total = on.new_zeros(len(images), *(axis.shape[1] for axis in parts))
        for step, image in chunks(images, masks, chunk_size):
            first, last = int(step[0]), int(step[-1]) + 1
            drawn = on[first:last], shift[first:last]
            with exactly(images):
                seen = soft_masks(*drawn, *pixels)
            rows = (images[image] * seen[step - first].unsqueeze(1)).to(images.dtype)
            scores = total.new_zeros(len(images), last - first)
            scores[image, step - first] = value(logits_of(model, rows), image).to(total)
            with exactly(images):
                weights = seen if patch is None else soft_masks(*drawn, *parts)
                total += torch.einsum("nm,mhw->nhw", scores, weights)
        return (total / (masks * p)).unsqueeze(1).to(images.dtype)


def cells_of(side: int, cells: int, patch: int) -> Tensor:
    """Return how much of each cell a patch sees at each shift, (shifts, side/patch, cells); patches of 1 are pixels."""
    cell = math.ceil(side / cells)
    large = functional.interpolate(torch.eye(cells, dtype=torch.float64).unsqueeze(0), size=(cells + 1) * cell,
                                   mode="linear").squeeze(0)
    return torch.stack([functional.avg_pool1d(large[:, y : y + side], patch).T for y in range(cell)])


def soft_masks(on: Tensor, shift: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Enlarge grids (M, cells, cells) of cells that are on, each at its shift (M, 2), to masks (M, H, W) or their means.

    Enlarging bilinearly, cutting out and averaging over patches are linear, first downwards, then across: two products.
    """
    return down[shift[:, 0]] @ on @ across[shift[:, 1]].mT
