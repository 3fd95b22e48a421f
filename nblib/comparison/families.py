"""Every family of the book as maps of pixels that can be compared: what a network's answer hangs on, by each of them."""
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from nblib.checks import expect_int, expect_kind, expect_number, expect_one_of
from nblib.comparison import fitted
from nblib.engine import check_inputs, why_not
from nblib.methods.importance import importance_map
from nblib.methods.saliency import unsigned_maps
from nblib.models.importance import ImportanceModel
from nblib.targets import class_logit, class_probability

Explainer = Callable[[Tensor, Tensor], Tensor]  # images (N, C, H, W), the classes explained (N,) -> maps (N, H, W), >= 0

FAMILIES = {
    "saliency": ("gradient", "integrated_gradients", "guided_backprop", "grad_cam", "occlusion", "rise"),
    "concepts": ("craft",),
    "contributions": ("contributions", "mode"),
    "pathways": ("pathway_gradient", "pathway_grad_cam", "neuron_path"),
    "importance": ("importance",),
}
WORDS = {  # as pages write them; a name that is missing is a word already
    "integrated_gradients": "integrated gradients",
    "guided_backprop": "guided backpropagation",
    "grad_cam": "Grad-CAM",
    "rise": "RISE",
    "craft": "CRAFT's concepts",
    "mode": "contribution mode",
    "pathway_gradient": "pathway gradient",
    "pathway_grad_cam": "pathway Grad-CAM",
    "neuron_path": "neuron path",
}
OF_PROBABILITY = ("occlusion", "rise")  # which hide pixels; a logit has no zero from which their sums could count


def family_of(method: str) -> str:
    """Return the family of a method in `FAMILIES`."""
    found = {name: family for family, names in FAMILIES.items() for name in names}
    return found[expect_one_of("method", method, found)]


def explainers(
    model: nn.Module,
    pool: Tensor,
    *,
    methods: Iterable[str] | None = None,
    ia: ImportanceModel | None = None,
    steps: int = 10,
    masks: int = 100,
    window: float = 0.25,
    n_concepts: int = 8,
    n_modes: int = 32,
    sparsity: float = 0.9,
    seed: int = 0,
) -> tuple[dict[str, Explainer], dict[str, str]]:
    r"""Try every method on one image of a network, and return those that apply as functions, ready to explain others.

    All explain one class, which the caller names: its logit; occlusion and RISE its softmax probability, as
    neuron paths do. A map has no sign: saliency as `unsigned_maps` makes it; of the others, with :math:`u_r` where a
    concept is, :math:`s_r` its importance, and D what `contribution_map` shares out among the pixels,

    .. math:: \sum_rs_ru_r,\qquad\Big|\sum_cD_c\Big|,\qquad\sum_c\Big|\frac{\partial f_P}{\partial x_c}\Big|

    for "craft"; for "contributions" (of the units that speak for the class), "mode" (of the channels of the image's
    leading mode) and "neuron_path" (of its neurons, one a layer); and for "pathway_gradient", the slope of the network
    along a pathway P. "pathway_grad_cam" is its positive part, "importance" an IA's own patches.

    Args:
        model: any network in evaluation mode, (N, C, H, W) → logits (N, K).
        pool: (P, C, H, W), from 2 images up, in which concepts and modes are looked for; the first of them is tried.
        methods: names in `FAMILIES`; None is all.
        ia: an IA trained on the same data, whose own map is "importance"; it explains itself, and not the model.
        steps: of integrals, 2 or more.
        masks: of RISE, 10 or more.
        window: the side of occlusion's window as a share of the image's; it moves by half of it.
        n_concepts: concepts of "craft", or as many as the layer has channels where that is less.
        n_modes: modes that are asked for.
        sparsity: the share of units that pathways leave out, in [0, 1).
        seed: of masks, factorisation and modes.

    Returns:
        Method → function of images (N, C, H, W) and the classes (N,) that are explained, to maps (N, H, W), none below
        zero; and method → reason, for those that do not apply to this network.

    Raises:
        ValueError: a model or images that cannot be explained at all; an option out of range; an unknown method.
    """
    check_inputs(model, pool)
    if len(pool) < 2:
        raise ValueError(f"a pool of {len(pool)} image was given, expected 2 or more, in which concepts are looked for")
    if ia is not None:
        expect_kind("ia", ia, ImportanceModel)
    names = [name for family in FAMILIES.values() for name in family]
    chosen = names if methods is None else [expect_one_of("method", name, names) for name in methods]
    expect_int("steps", steps, 2), expect_int("masks", masks, 10)
    expect_number("window", window, 0, 1), expect_number("sparsity", sparsity, 0, 1)
    expect_int("n_concepts", n_concepts, 1), expect_int("n_modes", n_modes, 1)
    options = {
        "integrated_gradients": {"steps": steps},
        "occlusion": {"window": window, "stride": window / 2},
        "rise": {"masks": masks, "p": 0.5, "seed": seed},
    }
    makers: dict[str, Callable[[], Explainer]] = {
        "craft": lambda: fitted.concepts(model, pool, n_concepts, seed),
        "contributions": lambda: fitted.positive_contributions(model, pool, steps),
        "mode": lambda: fitted.leading_mode(model, pool, n_modes, steps, seed),
        "pathway_gradient": lambda: fitted.pathway(model, pool, sparsity, "gradient"),
        "pathway_grad_cam": lambda: fitted.pathway(model, pool, sparsity, "grad_cam"),
        "neuron_path": lambda: fitted.neuron_path(model, steps),
        "importance": lambda: _own_map(ia),
    } | {name: lambda name=name: _saliency(model, name, options.get(name, {})) for name in FAMILIES["saliency"]}
    return _tried(model, pool[:1], {name: makers[name] for name in chosen})


def _tried(model: nn.Module, image: Tensor, makers: Mapping[str, Callable[[], Explainer]]):
    """Return the methods whose map of one image is finite, and the reasons of the others."""
    with torch.no_grad():
        label = model(image.clone()).argmax(1)
    working, reasons = {}, {}
    for name, make in makers.items():
        try:
            explain = make()
            if explain(image, label).isfinite().all():
                working[name] = explain
            else:
                reasons[name] = "its map of the first image is not finite"
        except (ValueError, KeyError, RuntimeError) as error:
            reasons[name] = why_not(error)
    return working, reasons


def _saliency(model: nn.Module, method: str, options: Mapping[str, object]) -> Explainer:
    """Return a saliency method as an explainer."""
    target = class_probability if method in OF_PROBABILITY else class_logit

    def explain(images: Tensor, labels: Tensor) -> Tensor:
        return unsigned_maps(model, images, method=method, target=target(labels), **options).detach()

    return explain


def _own_map(ia: ImportanceModel | None) -> Explainer:
    """Return the map of a network that weights patches while it decides; each pixel has its patch's value."""
    if ia is None:
        raise ValueError("it is the map of a network that is built to weight patches, and none was trained here")

    def explain(images: Tensor, labels: Tensor) -> Tensor:
        return importance_map(ia, images).repeat_interleave(ia.patch, 1).repeat_interleave(ia.patch, 2)

    return explain
