"""The checks of the exercises, both ways: they pass the solutions in the page, and fail typical wrong answers."""
import nbformat
import pytest
import torch

from nblib.exercises import judge
from nblib.exercises.pruning import check_area, check_fill, check_gini, check_mask, check_rewind
from nblib.exercises.saliency import check_blind, check_gain, check_gap, check_hits
from nblib.runs import parameters


def solutions(chapter: str) -> list[str]:
    cells = nbformat.read(parameters.source(chapter), 4).cells
    return [cell.source for cell in cells if "solution" in cell.metadata.get("tags", [])]


def last_value(source: str, names: dict):
    """Run a cell and return the value of its last line, as a notebook would show it."""
    body, _, last = source.rstrip().rpartition("\n")
    exec(body, names)
    return eval(last, names)


@pytest.mark.parametrize("chapter", parameters.chapters())
def test_the_solutions_in_the_page_pass_and_its_stubs_do_not(chapter):
    import importlib

    names = dict(vars(importlib.import_module(f"nblib.exercises.{chapter}")))
    found = solutions(chapter)
    assert len(found) >= 3
    for source in found:
        verdict = last_value(source, dict(names))
        assert verdict.passed, f"{verdict}\n{source}"
    cells = nbformat.read(parameters.source(chapter), 4).cells
    stubs = [cell.source for cell in cells if "exercise" in cell.metadata.get("tags", [])]
    assert len(stubs) == len(found)
    for source in stubs:
        assert not last_value(source, dict(names)).passed


WRONG = [
    (check_gap, "forgets the baseline", lambda maps, at, base: maps.flatten(1).sum(1) - at),
    (check_gap, "takes magnitudes", lambda maps, at, base: maps.abs().flatten(1).sum(1) - (at - base)),
    (check_gap, "has the sign reversed", lambda maps, at, base: (at - base) - maps.flatten(1).sum(1)),
    (check_gap, "sums over the batch", lambda maps, at, base: maps.sum() - (at - base).sum()),
    (check_hits, "takes the largest magnitude",
     lambda maps, masks: masks.flatten(1).gather(1, maps.abs().flatten(1).argmax(1)[:, None])[:, 0].float()),
    (check_hits, "asks whether any pixel is on the mask", lambda maps, masks: masks.flatten(1).any(1).float()),
    (check_hits, "returns one number", lambda maps, masks: masks.float().mean()),
    (check_gain, "forgets the area",
     lambda maps, masks: (maps.relu() * masks).flatten(1).sum(1) / maps.relu().flatten(1).sum(1)),
    (check_gain, "keeps negative values",
     lambda maps, masks: (maps * masks).flatten(1).sum(1) / maps.flatten(1).sum(1) / masks.float().flatten(1).mean(1)),
    (check_blind, "takes one colour for all", lambda images, baseline: (images == baseline).any(1)),
    (check_blind, "always black", lambda images, baseline: (images == 0).all(1)),
    (check_blind, "nothing is unseen", lambda images, baseline: (images != images).any(1)),
    (check_mask, "ranks without magnitudes",
     lambda weights, share: weights.argsort(stable=True).argsort() >= round(share * len(weights))),
    (check_mask, "cuts at a threshold, ties and all", lambda weights, share: weights.abs() > weights.abs().quantile(share)),
    (check_mask, "keeps the small ones",
     lambda weights, share: weights.abs().argsort(stable=True).argsort() < round(share * len(weights))),
    (check_rewind, "goes on from the trained weights", lambda trained, first, mask: trained * mask),
    (check_rewind, "forgets the mask", lambda trained, first, mask: first.clone()),
    (check_gini, "keeps the signs",
     lambda values: 1 - 2 * (values.sort().values.cumsum(0) / values.sum()).mean() + 1 / len(values)),
    (check_gini, "does not sort", lambda values: ((2 * torch.arange(1, len(values) + 1) - len(values) - 1)
                                                  * values.abs()).sum() / (len(values) * values.abs().sum())),
    (check_fill, "weighs all neighbours alike", lambda image, row, column: image[
        max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].mean()),
    (check_fill, "paints it black", lambda image, row, column: torch.tensor(0.0)),
    (check_area, "leaves the first value out of the count", lambda curve: (curve[0] - curve[1:]).mean()),
    (check_area, "takes one for the untouched accuracy", lambda curve: (1 - curve).mean()),
    (check_area, "is the area under the curve", lambda curve: curve.mean()),
]


@pytest.mark.parametrize("check, what, answer", WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_typical_wrong_answers_fail_with_a_hint(check, what, answer):
    verdict = check(answer)
    assert not verdict.passed
    assert repr(verdict).startswith("not yet: ") and len(verdict.message) > 20


def test_an_answer_that_raises_or_returns_nothing_is_told():
    case = [("a case", (1,), torch.ones(1))]
    assert "ZeroDivisionError" in judge(lambda x: x / 0, case, "").message
    assert "nothing" in judge(lambda x: None, case, "").message
    assert "expected a tensor" in judge(lambda x: 1.0, case, "").message
    assert "shape" in judge(lambda x: torch.ones(2), case, "").message
