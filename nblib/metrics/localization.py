"""Does a map lie on the object? Each number is per image, (N,), and means little but beside that of a trivial map."""
import torch
from torch import Tensor
from torch.nn import functional

from nblib.checks import expect_int, expect_number, expect_tensor
from nblib.engine import as_given, seeded
from nblib.metrics.maps import to_patches
from nblib.metrics.ranks import ranks


def _expect_fitting(maps: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return maps as float64, and masks, (N, H·W); a map that is not finite or whose mask is empty is all NaN."""
    expect_tensor("maps", maps), expect_tensor("masks", masks)
    if maps.ndim != 3 or maps.shape != masks.shape or not len(maps):
        raise ValueError(f"maps {tuple(maps.shape)} and masks {tuple(masks.shape)} were given, expected both (N, H, W)")
    if masks.dtype != torch.bool:
        raise ValueError(f"masks of type {masks.dtype} were given, expected torch.bool: masks > 0, say")
    flat, masks = maps.detach().double().flatten(1), masks.flatten(1).to(maps.device)
    usable = flat.isfinite().all(1) & masks.any(1)
    return flat.masked_fill(~usable.unsqueeze(1), torch.nan), masks


def pointing_game(maps: Tensor, masks: Tensor, *, tolerance: int = 0) -> Tensor:
    r"""Is the map's largest value on the object? The share of its maxima that are,
    :math:`|\arg\max S\cap m|\,/\,|\arg\max S|`.

    Args:
        tolerance: a maximum at most so many pixels from the object (Euclidean) hits too, from 0 up.

    Other arguments: as in `nblib.metrics`.

    Returns:
        (N,) in [0, 1]; 0 or 1 unless several pixels share the maximum. A constant map gives the object's share of the
        area; an empty mask NaN.

    Source: Zhang et al. (2018), where the tolerance is 15 pixels; there ties are not considered.
    """
    expect_int("tolerance", tolerance, 0)
    values, _ = _expect_fitting(maps, masks)
    steps = torch.arange(-tolerance, tolerance + 1, device=maps.device)
    disc = (steps.unsqueeze(1) ** 2 + steps**2 <= tolerance**2).float()[None, None]
    near = functional.conv2d(masks.to(maps.device).float().unsqueeze(1), disc, padding=tolerance) > 0.5
    top = values == values.amax(1, keepdim=True)
    hits = (top & near.flatten(1)).sum(1).double() / top.sum(1)  # 0 / 0 where the map is NaN
    return as_given(hits, maps)


def energy_inside(maps: Tensor, masks: Tensor, *, absolute: bool = False) -> Tensor:
    r"""The share of the positive map that lies on the object, :math:`\sum_{m}S^+/\sum S^+`.

    Args:
        absolute: take :math:`|S|` in place of :math:`S^+=\max(0,S)`.

    Other arguments: as in `nblib.metrics`.

    Returns:
        (N,) in [0, 1]. A constant positive map gives the object's share of the area; a map without positive values, or
        an empty mask, NaN.

    Source: Wang et al. (2020) ("energy-based pointing game").
    """
    values, inside = _expect_fitting(maps, masks)
    energy = values.abs() if absolute else values.relu()
    energy = energy / energy.amax(1, keepdim=True)  # no overflow in the sums; 0 / 0 where there is no energy
    return as_given(((energy * inside).sum(1) / energy.sum(1)), maps)


def energy_gain(maps: Tensor, masks: Tensor, *, absolute: bool = False) -> Tensor:
    r"""How many times more energy lies on the object than a constant map would put there,
    :math:`\frac{\sum_mS^+/\sum S^+}{|m|/HW}`.

    Args: as in `energy_inside`.

    Returns:
        (N,) from 0 to HW/\|m\|; 1 for a constant map.
    """
    return energy_inside(maps, masks, absolute=absolute) / masks.to(maps.device).float().mean((1, 2))


def auroc(maps: Tensor, masks: Tensor) -> Tensor:
    r"""The chance that a pixel on the object has a larger value than one beside it, ties counted half.

    .. math:: P(S_{in}>S_{out})+\tfrac12P(S_{in}=S_{out})

    Args: as in `nblib.metrics`; only the order of a map's values counts.

    Returns:
        (N,) in [0, 1]; ½ for a constant map, and for noise on average. An empty or a full mask gives NaN.
    """
    values, inside = _expect_fitting(maps, masks)
    positives = inside.sum(1).double()
    negatives = values.shape[1] - positives
    wins = (ranks(values) * inside).sum(1) - positives * (positives + 1) / 2
    area = wins / (positives * negatives)
    return as_given(torch.where(values.isnan().any(1), torch.nan, area), maps)


def average_precision(maps: Tensor, masks: Tensor) -> Tensor:
    r"""The precision at each pixel of the object, in the order of the map, averaged.

    .. math:: \frac1{|m|}\sum_{i\in m}\frac{|\{j\in m:S_j\ge S_i\}|}{|\{j:S_j\ge S_i\}|}

    Args: as in `nblib.metrics`; only the order of a map's values counts.

    Returns:
        (N,) in (0, 1]; the object's share of the area for a constant map. An empty mask gives NaN.
    """
    values, inside = _expect_fitting(maps, masks)
    falling, order = values.sort(1, descending=True)
    found = inside.gather(1, order)
    last = torch.searchsorted(-falling, -falling, right=True)  # how many pixels are at least as high, ties included
    precision = found.cumsum(1).gather(1, last - 1) / last.double()
    mean = (precision * found).sum(1) / found.sum(1)
    return as_given(torch.where(values.isnan().any(1), torch.nan, mean), maps)


def _on_one_grid(maps: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return maps in [0, 1] and the share of each of their cells that the mask covers, both float64 (N, h, w)."""
    expect_tensor("maps", maps), expect_tensor("masks", masks)
    if maps.ndim != 3 or masks.ndim != 3 or len(maps) != len(masks) or not len(maps):
        raise ValueError(f"maps {tuple(maps.shape)} and masks {tuple(masks.shape)} were given, expected (N, H, W) each")
    if masks.dtype != torch.bool and not (masks.is_floating_point() and bool(((masks >= 0) & (masks <= 1)).all())):
        raise ValueError(f"masks of type {masks.dtype} were given, expected torch.bool, or shares in [0, 1]")
    maps = maps.detach().double()
    outside = (maps.isfinite() & ((maps < 0) | (maps > 1))).flatten(1).any(1)
    if outside.any():
        raise ValueError(
            f"maps {outside.nonzero().flatten().tolist()[:5]} have values outside [0, 1]: normalise them first, for "
            "example normalize_max(positive(maps))"
        )
    patch = max(1, masks.shape[1] // maps.shape[1])
    if tuple(side * patch for side in maps.shape[1:]) != tuple(masks.shape[1:]):
        raise ValueError(
            f"maps {tuple(maps.shape)} and masks {tuple(masks.shape)} were given, expected the same H and W or patches "
            "that divide the masks"
        )
    finite = maps.isfinite().flatten(1).all(1)[:, None, None]
    return torch.where(finite, maps, torch.nan), to_patches(masks.to(maps), patch)


def patch_iou(maps: Tensor, masks: Tensor, *, threshold: float = 0.5) -> Tensor:
    r"""Intersection over union of the thresholded map with the mask, the mean of foreground and background.

    .. math:: \tfrac12\Big(\tfrac{|A\cap m|}{|A\cup m|}+\tfrac{|\bar A\cap\bar m|}{|\bar A\cup\bar m|}\Big),\qquad
        A=\{S\ge\text{threshold}\}

    Args:
        maps: (N, h, w) in [0, 1], by pixel or by patch (`to_patches`), after a normalisation of your choice.
        masks: (N, H, W) bool, or the shares of patches in [0, 1]; H/h = W/w whole. A patch is object from a share of ½
            up.
        threshold: of the map, in [0, 1].

    Returns:
        (N,) in [0, 1]. The IoU of a class that is in neither is 1, in one of the two 0. For an object's share f, an
        empty map has (1 − f)/2 and a full one f/2.

    Raises:
        ValueError: also maps or a threshold outside [0, 1].

    Source: P4, section 4.1, "macro-averaged IoU"; the mask's threshold and the average over images are our choices.
    """
    expect_number("threshold", threshold, 0, 1)
    values, shares = _on_one_grid(maps, masks)
    chosen, truth = (values >= threshold).flatten(1), (shares >= 0.5).flatten(1)
    both = torch.stack([(chosen & truth).sum(1), (~chosen & ~truth).sum(1)]).double()
    either = torch.stack([(chosen | truth).sum(1), (~chosen | ~truth).sum(1)]).double()
    macro = torch.where(either == 0, 1.0, both / either).mean(0)
    return as_given(torch.where(values.flatten(1).isnan().any(1), torch.nan, macro), maps)


def segmentation_difference(maps: Tensor, masks: Tensor) -> Tensor:
    r"""The mean distance between map and mask, :math:`d=\frac1N\sum_i|m_i-a_i|` over the map's N cells.

    Args:
        maps: (N, h, w) in [0, 1], by pixel or by patch (`to_patches`), after a normalisation of your choice.
        masks: (N, H, W) bool, or the shares of patches in [0, 1]; H/h = W/w whole.

    Returns:
        (N,) in [0, 1], lower is nearer; its mean over images is P4's d. For an object's share f, an empty map has f and
        a full one 1 − f: on small objects it rewards a dark map.

    Raises:
        ValueError: also maps outside [0, 1].

    Source: P4, section 4.1.
    """
    values, shares = _on_one_grid(maps, masks)
    return as_given((values - shares).abs().flatten(1).mean(1), maps)


def trivial_maps(masks: Tensor, *, seed: int = 0) -> dict[str, Tensor]:
    r"""Maps that know nothing of the image, to stand beside every number about localisation.

    Args: as in `nblib.metrics`; the masks for their size and device, the seed for "uniform".

    Returns:
        Each (N, H, W) float32 in [0, 1], under the names "empty" (0), "full" (1), "uniform" (each pixel random), and
        "centre", a Gaussian of SD a quarter of each side, :math:`e^{-8((u/H)^2+(v/W)^2)}` with u, v from the middle.
    """
    if expect_tensor("masks", masks).ndim != 3:
        raise ValueError(f"masks of shape {tuple(masks.shape)} were given, expected (N, H, W)")
    empty = torch.zeros(masks.shape, device=masks.device)
    down, across = (torch.exp(-8 * (((torch.arange(n) + 0.5) / n - 0.5) ** 2)) for n in masks.shape[1:])
    return {
        "empty": empty,
        "full": empty + 1,
        "uniform": torch.rand(masks.shape, generator=seeded(seed)).to(masks.device),
        "centre": torch.outer(down, across).to(masks.device).expand(masks.shape).clone(),
    }
