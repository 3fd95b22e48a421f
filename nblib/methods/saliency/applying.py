"""What a page does with the methods by name: find those that apply to a network, and make maps of one sign."""
from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from nblib.checks import expect_one_of
from nblib.engine import expect_images, why_not
from nblib.methods.saliency.by_name import METHODS, saliency
from nblib.targets import Target

SHORT_NAMES = {  # as figures write them; a name that is missing is short already
    "integrated_gradients": "integrated",
    "smooth_gradient": "SmoothGrad",
    "input_gradient": "input × grad.",
    "guided_backprop": "guided",
    "grad_cam": "Grad-CAM",
    "grad_cam_plus_plus": "Grad-CAM++",
    "rise": "RISE",
    "gradient_shap": "Grad.SHAP",
    "b_cos": "B-cos",
}
MAGNITUDE_OF_COLOURS = {"gradient", "smooth_gradient", "guided_backprop"}
MAGNITUDE_OF_SUMS = {"input_gradient", "integrated_gradients", "gradient_shap"}
COUNTS = {"steps", "samples", "masks"}  # how often a method looks; whether it can look at all is seen from two


def applicable(
    model: nn.Module,
    images: Tensor,
    methods: Iterable[str] = tuple(METHODS),
    *,
    options: Mapping[str, Mapping[str, object]] | None = None,
) -> tuple[list[str], dict[str, str]]:
    """Try each method on one image of a network, and say which apply and why the others do not.

    Args:
        methods: names in `METHODS`.
        options: method → the options that it will be called with. Steps, samples and masks are cut to two for the
            trial.

    Other arguments: as in `nblib.methods.saliency`; the first image is tried.

    Returns:
        The methods that gave a finite map, in the order given, and method → reason for the others.

    Raises:
        ValueError: an unknown method, or a network on which none of them applies.
    """
    if isinstance(methods, str) or not isinstance(methods, Iterable):
        raise ValueError(f"methods={methods!r} was given, expected several names in a list")
    if options is not None and not isinstance(options, Mapping):
        raise ValueError(f"options={options!r} was given, expected a dictionary from a method to its options")
    expect_images(images)
    working, reasons = [], {}
    for method in methods:
        expect_one_of("method", method, METHODS)
        chosen = dict((options or {}).get(method, {}))
        known = METHODS[method].__kwdefaults__
        chosen |= {name: min(2, chosen.get(name, known[name])) for name in COUNTS & known.keys()}
        try:
            finite = saliency(model, images[:1], method=method, **chosen).isfinite().all()
            reasons |= {} if finite else {method: "its map of the first image is not finite"}
        except (ValueError, KeyError, RuntimeError) as error:
            reasons[method] = why_not(error)
        working += [] if method in reasons else [method]
    if not working:
        why = next(iter(reasons.values()), "none was named")
        raise ValueError(f"no method applies to {type(model).__name__}: {why}")
    return working, reasons


def unsigned_maps(
    model: nn.Module, images: Tensor, *, method: str, target: Target | None = None, **options: object
) -> Tensor:
    r"""The map of a method as pictures and scores usually take it: how much a pixel matters, without a sign.

    Slopes become :math:`\sum_c|S_c|`, magnitudes before the sum over colours; shares :math:`|\sum_cS_c|`, magnitudes
    after it; the others :math:`\max(0,\sum_cS_c)`, what speaks for the target.

    Args: as in `saliency`.

    Returns:
        (N, H, W), none below zero.
    """
    reduce = "sum_abs" if method in MAGNITUDE_OF_COLOURS else "sum"
    maps = saliency(model, images, method=method, target=target, reduce=reduce, **options)
    return maps.abs() if method in MAGNITUDE_OF_SUMS else maps.relu()
