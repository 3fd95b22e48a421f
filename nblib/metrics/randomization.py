"""Weight randomisation: a map that explains a network must change when the network forgets what it has learnt."""
import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from nblib.checks import expect_int, expect_model
from nblib.engine import drawing_from, refuse_reparametrised


def randomize_layers(model: nn.Module, *, seed: int = 0, cascading: bool = True) -> Iterator[tuple[str, nn.Module]]:
    """Yield copies of a network whose layers are initialised anew, one after the other from the output down.

    Args:
        model: any module; it is never changed, nor is the global random state.
        seed: fixes the new weights; a layer gets the same ones whether `cascading` or not.
        cascading: True leaves every layer from the output down to the one named randomised; False only that one.

    Yields:
        (layer, copy) for each module that has parameters of its own, last defined first; parameters of the model itself
        go under "". A module with `reset_parameters` is reset by it, which returns batch normalisation to its first
        state, running statistics included. Parameters of others, and those that it leaves as they were, are drawn from
        a normal distribution of their mean and SD.

    Raises:
        ValueError: a model in which weights are made from others in each pass, as by spectral_norm, weight_norm or
            torch.nn.utils.prune: randomising those would not randomise them.

    Source: Adebayo et al. (2018), the tests by cascading and by independent randomisation. They go by block, we by
    module.
    """
    expect_int("seed", seed, 0)
    expect_model(model)
    refuse_reparametrised(model, "new values would not reach it as they are")
    layers = [name for name, module in model.named_modules() if any(True for _ in module.parameters(recurse=False))]
    if not layers:
        raise ValueError(f"{type(model).__name__} has no parameters, expected some that can be randomised")
    current = copy.deepcopy(model)
    for number, layer in enumerate(reversed(layers)):
        if not cascading:
            current = copy.deepcopy(model)
        with drawing_from(seed * len(layers) + number):
            _initialise(current.get_submodule(layer))
        yield layer, copy.deepcopy(current)


def randomized_stages(model: nn.Module, *, count: int = 6, seed: int = 0) -> list[nn.Module]:
    """Return copies of a network on the way from its output's layer randomised to all layers randomised.

    Args:
        model: any module; it is never changed, nor is the global random state.
        count: how many copies, from 2 up, evenly spaced over the layers; a network with fewer layers repeats some.
        seed: as in `randomize_layers`.

    Returns:
        `count` networks, the first with the last layer randomised, the last with all.
    """
    expect_int("count", count, 2)
    expect_model(model)
    last = sum(any(True for _ in module.parameters(recurse=False)) for module in model.modules()) - 1
    wanted = [round(stage * last / (count - 1)) for stage in range(count)]
    wanted = wanted if last >= 0 else [0]
    kept = {place: made for place, (_, made) in enumerate(randomize_layers(model, seed=seed)) if place in wanted}
    return [kept[place] for place in wanted]


@torch.no_grad()
def _initialise(module: nn.Module) -> None:
    """Give a module's own parameters new random values, drawn on the CPU."""
    device = next(module.parameters(recurse=False)).device
    left = list(module.parameters(recurse=False))
    if hasattr(module, "reset_parameters"):
        before = [parameter.clone() for parameter in left]
        module.to("cpu").reset_parameters()
        module.to(device)
        left = [now for old, now in zip(before, module.parameters(recurse=False), strict=True)
                if torch.equal(old, now) and (now != now.flatten()[:1]).any()]  # equal values may be the first state
    for parameter in left:
        noise = torch.randn(parameter.shape).to(parameter)
        parameter.copy_(parameter.mean() + noise * parameter.std(correction=0))


@torch.no_grad()
def settle_norms(model: nn.Module, images: Tensor, *, chunk_size: int | None = None) -> nn.Module:
    """Return a copy of a network whose batch norms hold the statistics of some images, as training would leave them.

    A network with random weights keeps the statistics that its norms began with, 0 and 1, which no trained network has;
    what it is compared in would then tell of scales, and not of what was learnt.

    Args:
        model: in evaluation mode; it is never changed. One without batch norms is copied as it is.
        images: (N, C, H, W), two or more a pass, those that it will be asked about or others of their kind.
        chunk_size: images in one pass, 2 or more; None takes all. Passes of equal size weigh alike.
    """
    copied = copy.deepcopy(model)
    norms = [module for module in copied.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
        norm.momentum = None  # the plain mean over passes
    for some in images.split(len(images) if chunk_size is None else expect_int("chunk_size", chunk_size, 2)):
        copied(some.clone())
    for norm, momentum in zip(norms, usual):
        norm.momentum = momentum
        norm.eval()
    return copied
