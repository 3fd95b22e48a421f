r"""P4's ten methods on one network: maps of all kinds as the importance of patches, by one conversion."""
from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from nblib.checks import expect_kind, expect_one_of, expect_tensor
from nblib.engine import expect_images
from nblib.methods.importance import importance_map
from nblib.methods.saliency import METHODS, b_cos_alpha, saliency, unsigned_maps
from nblib.metrics import (
    auroc,
    importance_sparsity,
    normalize_max,
    normalize_min_max,
    patch_iou,
    pointing_game,
    positive,
    segmentation_difference,
    to_patches,
)
from nblib.models.importance import ImportanceModel, expect_patch
from nblib.targets import Target

TABLE_1 = ("grad_cam", "grad_cam_plus_plus", "gradient", "gradient_shap", "occlusion", "integrated_gradients",
           "guided_backprop", "rise", "b_cos")  # of P4; with an IA's own map they are ten
NORMALIZE = {"max": normalize_max, "min_max": normalize_min_max}
SIGNS = ("magnitude", "positive")


def patch_maps(
    model: nn.Module,
    images: Tensor,
    *,
    patch: int,
    methods: Iterable[str] = TABLE_1,
    target: Target | None = None,
    sign: str = "magnitude",
    normalize: str = "max",
    ia: ImportanceModel | None = None,
    b_cos: nn.Module | None = None,
    options: Mapping[str, Mapping[str, object]] | None = None,
) -> dict[str, Tensor]:
    r"""How important each patch is to a network, by several methods, all turned into patches in one way.

    .. math:: a_i=\frac{\bar S_i}{\max_j\bar S_j},\qquad\bar S_i=p^{-2}\sum_{u,v\in i}S_{uv}

    S is the map of pixels without its sign.

    Args:
        model: any network in evaluation mode, (N, C, H, W) → logits (N, K).
        images: (N, C, H, W), finite, square, of the model's type and on its device.
        patch: p, which divides the images' side.
        methods: names of saliency methods. Those that cannot explain the model raise; `applicable` of
            `nblib.methods.saliency` says beforehand which can.
        target: what is explained; None is the class predicted at x.
        sign: how S loses its sign: "magnitude" as `unsigned_maps` does it, or "positive", :math:`\max(0,\sum_cS_c)`
            for all. Maps without a sign, and the opacity of B-cos, stay.
        normalize: "max", or "min_max" where the lowest patch is zero too, for maps with a constant part, as RISE's.
        ia: an IA whose own map stands beside them as "importance", as it is, not normalised.
        b_cos: the B-cos network that "b_cos" explains, since it explains no other; None is the model. Its map is the
            opacity of its explanation.
        options: method → its own options, such as steps, masks and chunk_size. Windows of "occlusion" are patches where
            nothing else is said.

    Returns:
        Method → (N, g, g) in [0, 1], g = H / p, in the order of the methods, "importance" last.

    Raises:
        ValueError: a patch that does not divide the images, or an IA of other patches; an unknown method, sign or
            normalisation; a method that does not apply; what the methods refuse.

    Source: P4, section 4.1, which says nothing of signs, targets and counts.
    """
    expect_images(images)
    for side in images.shape[2:]:
        expect_patch(side, patch)
    expect_one_of("sign", sign, SIGNS)
    scaled = NORMALIZE[expect_one_of("normalize", normalize, NORMALIZE)]
    if isinstance(methods, str) or not isinstance(methods, Iterable):
        raise ValueError(f"methods={methods!r} was given, expected several names in a list")
    methods = [expect_one_of("method", method, METHODS) for method in methods]
    if ia is not None:
        expect_kind("ia", ia, ImportanceModel)
        if ia.patch != patch:
            raise ValueError(f"an IA of patches of {ia.patch} pixels was given, expected one of patch={patch}")
    found = {}
    for method in methods:
        chosen = ({"window": patch} if method == "occlusion" else {}) | dict((options or {}).get(method, {}))
        pooled = method == "rise" and target is None  # a mean of probabilities: no pixel is below zero, none loses a sign
        chosen |= {"patch": patch} if pooled else {}
        if method == "b_cos":
            maps = b_cos_alpha(model if b_cos is None else b_cos, images, target=target, **chosen)
        elif sign == "magnitude":
            maps = unsigned_maps(model, images, method=method, target=target, **chosen)
        else:
            maps = positive(saliency(model, images, method=method, target=target, **chosen))
        found[method] = scaled(maps.detach() if pooled else to_patches(maps.detach(), patch))
    return found if ia is None else found | {"importance": importance_map(ia, images)}


def where_patches_lie(maps: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """Numbers about maps of patches against masks of pixels, one of each an image.

    Args:
        maps: (N, g, g) in [0, 1].
        masks: (N, H, W) bool; g divides H and W.

    Returns:
        Each (N,): "difference" (d), "iou" (macro IoU at ½) and "sparsity" (s) of P4; "auroc" and "pointing", for which
        each pixel has the value of its patch, and which hang on no scale and no threshold. NaN where a number has no
        answer.

    Raises:
        ValueError: maps that do not fit the masks, or have values outside [0, 1].
    """
    found = {"difference": segmentation_difference(maps, masks), "iou": patch_iou(maps, masks),
             "sparsity": importance_sparsity(maps)}
    patch = expect_tensor("masks", masks).shape[1] // maps.shape[1]
    large = maps.repeat_interleave(patch, 1).repeat_interleave(patch, 2)
    return found | {"auroc": auroc(large, masks), "pointing": pointing_game(large, masks)}
