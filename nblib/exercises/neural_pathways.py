"""Checks of the exercises in the chapter on neural pathways."""
from collections.abc import Callable

import torch

from nblib.exercises.verdict import Verdict, judge, self_check


def check_iou(answer: Callable) -> Verdict:
    """Check `answer(first (U,), second (U,)) -> float`: what two pathways share, over what is on either."""
    first = torch.tensor([True, True, True, False, False, False])
    second = torch.tensor([False, True, True, True, False, False])
    return judge(answer, [
        ("two shared of four", (first, second), torch.tensor(0.5)),
        ("one inside the other", (first, torch.tensor([True] + 5 * [False])), torch.tensor(1 / 3)),
        ("nothing shared", (first, ~first), torch.tensor(0.0)),
    ], "units on both pathways, over units on either", mistakes={
        "divides by all units": lambda a, b: (a & b).float().mean(),
        "divides by the first pathway's units": lambda a, b: (a & b).sum() / a.sum(),
        "divides by the sum of both sizes, which counts shared units twice": lambda a, b: (a & b).sum() / (a.sum() + b.sum()),
        "counts where both leave a unit out, too": lambda a, b: (a == b).float().mean(),
    }, hints=[
        "Which units are on both? Which are on at least one?",
        "first & second is true where both are; first | second where at least one is.",
        "(first & second).sum() / (first | second).sum().",
    ])


def check_forced(answer: Callable) -> Verdict:
    """Check `answer(said (N,), own (N,), given (N,)) -> float`: the share of others' images that get the pathway's class."""
    said, own, given = torch.tensor([1, 1, 2, 0, 0]), torch.tensor([1, 0, 2, 3, 3]), torch.tensor([1, 1, 1, 0, 1])
    return judge(answer, [
        ("five images, one of the pathway's own class", (said, own, given), torch.tensor(0.5)),
        ("every pathway forces its class", (given, own, given), torch.tensor(1.0)),
        ("no pathway does", (own, own, given), torch.tensor(0.0)),
    ], "images that would be given the class anyway are no evidence, and are left out", mistakes={
        "counts images of the pathway's own class, too": lambda s, o, g: (s == g).float().mean(),
        "counts images that keep their own class": lambda s, o, g: (s == o)[o != g].float().mean(),
        "counts every changed answer": lambda s, o, g: (s != o)[o != g].float().mean(),
        "divides by all images": lambda s, o, g: ((s == g) & (o != g)).float().mean(),
    }, hints=[
        "An image of a disc that is called a disc along a disc's pathway shows nothing. Which images do?",
        "Look only at images whose own class is not the one their pathway was made for.",
        "others = own != given; then the mean of said[others] == given[others].",
    ])


def check_blocked(answer: Callable) -> Verdict:
    """Check `answer(layers) -> (N,) bool`; layers is a list of masks (N, U), and one without a unit stops the image."""
    first = torch.tensor([[True, False], [False, False], [True, True]])
    second = torch.tensor([[False, True, True], [True, True, True], [False, False, False]])
    return judge(answer, [
        ("two layers, three images", ([first, second],), torch.tensor([False, True, True])),
        ("one layer", ([first],), torch.tensor([False, True, False])),
        ("the order of layers does not matter", ([second, first],), torch.tensor([False, True, True])),
    ], "one empty layer is enough: whatever lies behind it cannot depend on the image", mistakes={
        "asks that all layers are empty": lambda layers: torch.stack([~m.any(1) for m in layers]).all(0),
        "asks whether a unit is missing, which is so in any sparse layer": lambda layers: torch.stack(
            [~m.all(1) for m in layers]).any(0),
        "says which images can pass": lambda layers: torch.stack([m.any(1) for m in layers]).all(0),
        "looks at the first layer alone": lambda layers: ~layers[0].any(1),
    }, hints=[
        "For one layer: which rows have no unit at all?",
        "~mask.any(1) says that of each row. One such layer is enough.",
        "torch.stack([~mask.any(1) for mask in layers]).any(0).",
    ])


def check_note(answer: str) -> Verdict:
    """Look at an answer in words: what to ask of pathways that keep a network's answers."""
    return self_check(answer, [
        "take the image away, or give the pathway to an image of another class: if the answer stays with the pathway, it "
        "comes from the choice of units and not from the image",
        "compare with what a table of one mask a class would reach, and look for layers without a unit",
        "until then the number shows that the answers can be had with few units, not that the network uses these units; a "
        "pathway that fails may still hold units that matter, so the finding is about the evidence",
    ])
