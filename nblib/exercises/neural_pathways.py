"""Checks of the exercises in the chapter on neural pathways."""
from collections.abc import Callable

import torch

from nblib.exercises.verdict import Verdict, judge, self_check


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
