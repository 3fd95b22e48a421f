"""Which weights of a network are removed, and what keeps them at zero while it is trained."""
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from nblib import store
from nblib.checks import expect_int, expect_model, expect_number, expect_one_of, nearest
from nblib.engine import expect_finite, refuse_reparametrised

SCOPES = ("global", "tensor")
Mask = dict[str, Tensor]  # from the name of a parameter to a bool tensor of its shape; True is kept


def prunable(model: nn.Module) -> list[str]:
    """Return the names of the weights that can be removed: of convolutions and linear layers, in the model's order.

    Raises:
        ValueError: a model that has none, or in which some are made from other weights in each pass, so that a zero
            would not stay one.
    """
    expect_model(model)
    refuse_reparametrised(model, "what is removed from it would come back")
    kinds = (nn.modules.conv._ConvNd, nn.Linear)
    weights = {f"{name}.weight".lstrip(".") for name, module in model.named_modules() if isinstance(module, kinds)}
    names = [name for name, _ in model.named_parameters() if name in weights]
    standardised = [name for name, module in model.named_modules() if f"{name}.weight".lstrip(".") in names
                    and any("StdConv" in kind.__name__ for kind in type(module).__mro__)]  # timm's
    if standardised:
        raise ValueError(f"{standardised[0]!r} of {type(model).__name__} standardises its weights in each pass, so "
                         "that a zero does not stay one: expected ordinary convolutions")
    if not names:
        raise ValueError(f"{type(model).__name__} has no nn.Conv1d, 2d, 3d or nn.Linear, expected weights to prune")
    return names


def sparsity_of(model: nn.Module, names: Iterable[str] | None = None) -> float:
    """Return the share of weights that are exactly zero, in [0, 1].

    Args:
        model: any network; only read.
        names: of parameters, or a mask; None is the weights of convolutions and linear layers.

    Raises:
        KeyError: a parameter that is not there.
        ValueError: a model without such weights.
    """
    if names is not None and (isinstance(names, str) or not isinstance(names, Iterable)):
        raise ValueError(f"names={names!r} was given, expected the names of parameters in a list")
    weights = find_parameters(model, prunable(model) if names is None else names).values()
    if not weights:
        raise ValueError("no names of parameters were given, expected one or more")
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)


def magnitude_mask(model: nn.Module, sparsity: float, *, scope: str = "global", within: Mask | None = None) -> Mask:
    r"""Keep all weights but those of smallest magnitude.

    .. math:: M_j=0\iff|\theta_j|\text{ is one of the }\operatorname{round}(s\,N)\text{ smallest}

    Args:
        model: any network, in training or evaluation mode; only read.
        sparsity: :math:`s`, the share to remove, in [0, 1].
        scope: as in `nblib.methods.pruning`; N is the number of weights that are ranked together.
        within: a mask of an earlier round. What it removed goes first, whatever its magnitude is now, and none of it
            comes back: masks are nested.

    Returns:
        From the name of a parameter to a bool tensor of its shape, True is kept; for the weights of convolutions and
        linear layers, never for biases and norms. Of equal magnitudes the first go first, in the order of parameters.

    Raises:
        ValueError: a sparsity outside [0, 1]; an unknown scope; a model without such weights, or with NaN or infinite
            ones; a `within` that does not fit.
        KeyError: a `within` that lacks a parameter.

    Source: P2, section 3.1; Han et al. (2015).
    """
    sparsity = expect_number("sparsity", sparsity, 0, 1)
    expect_one_of("scope", scope, SCOPES)
    sizes = {name: weight.detach().abs() for name, weight in find_parameters(model, prunable(model)).items()}
    for name, size in sizes.items():
        expect_finite(f"rows of {name!r}", size)
    if within is not None:  # what it removed gets a size below every magnitude
        sizes = {name: torch.where(expect_kept(within, name, size), size, -1) for name, size in sizes.items()}
    mask = {}
    for names in [list(sizes)] if scope == "global" else [[name] for name in sizes]:
        flat = torch.cat([sizes[name].flatten() for name in names])
        kept = flat >= 0
        kept[flat.argsort(stable=True)[: round(sparsity * len(flat))]] = False
        pieces = kept.split([sizes[name].numel() for name in names])
        mask |= {name: piece.reshape(sizes[name].shape).clone() for name, piece in zip(names, pieces, strict=True)}
    return mask


def random_mask(mask: Mask, *, seed: int = 0) -> Mask:
    """Return a mask that removes as many weights of each parameter as the one given, but any.

    Args:
        seed: decides which. With the same seed a sparser mask removes what a denser one of the same parameters does,
            and more, so that random masks are nested as those by magnitude are.
    """
    generator = torch.Generator().manual_seed(store.seed("random mask", expect_int("seed", seed, 0)))
    result = {}
    for name in _expect_mask(mask):
        kept = expect_kept(mask, name, mask[name])
        rank = torch.randperm(kept.numel(), generator=generator)
        result[name] = (rank >= int((~kept).sum())).reshape(kept.shape).to(kept.device)
    return result


class Hold:
    """A function for `after_step` that sets the removed weights of a model back to zero.

    Momentum, weight decay, look-ahead and centralised gradients all move a zero, so that holding the gradient at zero
    would not do. It can be called with the model, or without: then it is the model that it was made for. Arguments and
    errors: as in `nblib.methods.pruning`.
    """

    def __init__(self, model: nn.Module, mask: Mask):
        self.model = model
        weights = find_parameters(model, _expect_mask(mask))
        kept = {name: expect_kept(mask, name, weight) for name, weight in weights.items()}
        self.factors = {name: k.to(weights[name].dtype) for name, k in kept.items() if not k.all()}

    @torch.no_grad()
    def __call__(self, model: nn.Module | None = None) -> None:
        """Multiply the weights by their mask, in place."""
        weights = find_parameters(self.model if model is None else model, self.factors)
        # training may have moved the model or cast it; the factors follow once, and from then on this is nothing
        self.factors = {name: self.factors[name].to(weight) for name, weight in weights.items()}
        if weights:
            torch._foreach_mul_(list(weights.values()), list(self.factors.values()))


def _expect_mask(mask: Mask) -> Mask:
    """Return a mask, if it is a dictionary."""
    if not isinstance(mask, Mapping):
        raise ValueError(f"a mask of {type(mask).__name__} was given, expected a dictionary from a parameter's name "
                         "to a bool tensor")
    return mask


def find_parameters(model: nn.Module, names: Iterable[str]) -> dict[str, Tensor]:
    """Return the parameters of those names.

    Raises:
        KeyError: one that is not there, with the nearest names.
    """
    expect_model(model)
    known = dict(model.named_parameters())
    found = {}
    for name in names:
        if name not in known:
            raise KeyError(f"no parameter {name!r} in {type(model).__name__}{nearest(name, known)}")
        found[name] = known[name]
    return found


def expect_kept(mask: Mask, name: str, weight: Tensor) -> Tensor:
    """Return a parameter's part of a mask, on the device of the parameter.

    Raises:
        KeyError: a mask without it.
        ValueError: one of another shape or type.
    """
    if name not in _expect_mask(mask):
        raise KeyError(f"no parameter {name!r} in the mask{nearest(name, mask)}")
    kept = mask[name]
    if not isinstance(kept, Tensor):
        raise ValueError(f"the mask of {name!r} is {type(kept).__name__}, expected a tensor of torch.bool")
    if kept.shape != weight.shape or kept.dtype != torch.bool:
        raise ValueError(f"the mask of {name!r} is {kept.dtype} of shape {tuple(kept.shape)}, expected torch.bool of "
                         f"shape {tuple(weight.shape)}")
    return kept.to(weight.device)
