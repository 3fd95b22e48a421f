"""Tickets that are trained once and then kept, so that chapters share them and an interrupted ladder goes on."""
import copy
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor, nn

from nblib import store
from nblib.checks import expect_kind, expect_one_of
from nblib.data import Images
from nblib.methods.pruning.controls import fine_tuned, one_shot, random_tickets, retrained
from nblib.methods.pruning.lottery import Fit, Ticket, expect_levels, lottery_ticket
from nblib.methods.pruning.masks import sparsity_of
from nblib.models import build, published
from nblib.models import weights as files
from nblib.training import expect_keepable, fit, kept_at, once

RECIPES = ("text", "published", "random", "one_shot", "fine_tuned", "retrained")
PROCEDURES = RECIPES[:2]  # the others are controls, which start from a ladder
SOURCES = store.sources("methods/pruning/lottery.py", "methods/pruning/masks.py", "methods/pruning/controls.py")
ANOTHER_ORDER = 10_000  # added to the seed where a network is trained again


def kept_tickets(name: str, data: Images, *, sparsities: Sequence[float], recipe: str = "text",
                 only: Sequence[float] | None = None, weights: str | Path | None = None, seed: int = 0,
                 **fit_options: object) -> list[Ticket]:
    """Return the tickets of a recipe, trained by `nblib.training.fit` once and then kept in the store.

    They are found again by the name, the data, the levels, the recipe, the seed, the options, and the source of models,
    training and pruning. Whoever asks for them while another process trains them, waits. An interrupted ladder goes on
    where it was.

    Args:
        name: of the network, as in `nblib.models.build`.
        data: the training images; their `key` has to change with them.
        sparsities: the levels of the ladder, ascending, from 0.0 to below 1.
        recipe: "text" or "published", the procedures of `lottery_ticket`, the second with a constant learning rate for
            all pruned networks, as its authors' code has it; or a control of `nblib.methods.pruning.controls`:
            "random" (masks as sparse as the ladder's), "one_shot" and "fine_tuned" (both from the ladder's unpruned
            network), or "retrained" (that network trained again on the images in another order: one ticket).
        only: the levels that a control is trained at; None is all. The ladder itself always has all its rounds.
        weights: what every training starts from and is rewound to, as in `nblib.models.build`; None is at random.
        seed: of first weights, training and random masks.
        fit_options: of `fit`, but for seed, checkpoint, loss and after_step.

    Returns:
        One ticket for each level, on the CPU.

    Raises:
        ValueError: an unknown recipe or option; levels out of range or order, or not on the ladder; data without a key.
        RuntimeError: as in `lottery_ticket`.
    """
    expect_one_of("recipe", recipe, RECIPES)
    expect_kind("data", data, Images)
    options = expect_keepable("kept_tickets()", data, fit_options)
    levels = expect_levels(sparsities)
    wanted = levels if only is None or recipe in PROCEDURES else expect_levels(only)
    if levels[0] != 0 or not set(wanted) <= set(levels):
        raise ValueError(f"levels {wanted} of {levels} were asked for, expected some of a ladder that begins at 0.0")
    make = functools.partial(build, name, seed=seed, classes=len(data.classes), size=data[:1].images.shape[-1])
    start = [] if weights is None else ["default", *published(name)] if weights == "default" else [Path(weights)]
    path = kept_at(name, make(), data, make.keywords, levels, wanted, options, *SOURCES, *start, kind=recipe)
    make = functools.partial(make, weights=weights)
    ladder = functools.partial(kept_tickets, name, data, sparsities=levels, weights=weights, seed=seed, **fit_options)

    def train(checkpoint: Callable[[], Path]) -> tuple[dict[str, Tensor], dict]:
        fit_round = functools.partial(_fit_round, data, checkpoint, {"seed": seed, **fit_options})
        return _packed(_made(recipe, make, fit_round, levels, wanted, ladder, seed))

    tensors, meta = once(path, train, device=fit_options.get("device", "auto"))
    return _unpacked(tensors, meta["tickets"], make(), path)


def _fit_round(data: Images, checkpoint: Callable[[], Path], options: dict, model: nn.Module, *, after_step: Callable,
               **other: object) -> None:
    """Train a round with a checkpoint of its own, so that a ladder begun again runs through what it had."""
    fit(model, data, after_step=after_step, checkpoint=checkpoint(), **(options | other))


def _made(recipe: str, make: Callable[[], nn.Module], train: Fit, levels: Sequence[float], wanted: Sequence[float],
          ladder: Callable[[], list[Ticket]], seed: int) -> list[Ticket]:
    """Train the tickets of a recipe."""
    if recipe in PROCEDURES:
        refit = functools.partial(train, schedule="constant") if recipe == "published" else None
        return lottery_ticket(make, train, sparsities=list(levels), procedure=recipe, refit=refit, seed=seed)
    if recipe == "retrained":
        return [retrained(make, functools.partial(train, seed=seed + ANOTHER_ORDER), seed=seed)]
    tickets = dict(zip(levels, ladder(), strict=True))
    if recipe == "random":
        return random_tickets(make, train, [tickets[level] for level in wanted], seed=seed)
    if recipe == "one_shot":
        return one_shot(make, train, tickets[0.0], sparsities=wanted, seed=seed)
    return fine_tuned(train, tickets[0.0], sparsities=wanted, seed=seed)


def _packed(tickets: Sequence[Ticket]) -> tuple[dict[str, Tensor], dict]:
    """Return all networks and masks as tensors for one file, and how many tickets they are."""
    tensors = {}
    for number, ticket in enumerate(tickets):
        tensors |= {f"{number}.model.{name}": tensor for name, tensor in ticket.model.state_dict().items()}
        tensors |= {f"{number}.mask.{name}": kept for name, kept in ticket.mask.items()}
    return tensors, {"tickets": len(tickets)}


def _unpacked(tensors: dict[str, Tensor], count: int, model: nn.Module, path: Path) -> list[Ticket]:
    """Return the tickets that `_packed` packed, each with a copy of `model`; `path` is for messages."""
    tickets = []
    for number in range(count):
        parts = {"model": {}, "mask": {}}
        for name, tensor in tensors.items():
            which, kind, inner = name.split(".", 2)
            if which == str(number):
                parts[kind][inner] = tensor
        network = copy.deepcopy(model)
        files.put(network, parts["model"], path)
        tickets.append(Ticket(network, parts["mask"], sparsity_of(network)))
    return tickets
