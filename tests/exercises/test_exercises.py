"""The checks of the exercises, both ways: they pass the solutions in the page, and fail typical wrong answers."""
import nbformat
import pytest
import torch

from nblib.exercises import judge
from nblib.runs import parameters
from tests.answers import concepts as answers_concepts
from tests.answers import neuron_paths as answers_neuron_paths
from tests.answers import pruning as answers_pruning
from tests.answers import saliency as answers_saliency

RIGHT = answers_concepts.RIGHT + answers_neuron_paths.RIGHT
WRONG = answers_saliency.WRONG + answers_pruning.WRONG + answers_concepts.WRONG + answers_neuron_paths.WRONG


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


@pytest.mark.parametrize("check, what, answer", RIGHT, ids=lambda value: value if isinstance(value, str) else "")
def test_right_answers_in_other_words_pass(check, what, answer):
    assert check(answer).passed, check(answer)


@pytest.mark.parametrize("check, what, answer", WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_typical_wrong_answers_fail_with_a_hint(check, what, answer):
    verdict = check(answer)
    assert not verdict.passed
    assert repr(verdict).startswith("not yet: ") and len(verdict.message) > 20
    assert "raised" not in verdict.message


def test_an_answer_that_raises_or_returns_nothing_is_told():
    case = [("a case", (1,), torch.ones(1))]
    assert "ZeroDivisionError" in judge(lambda x: x / 0, case, "").message
    assert "nothing" in judge(lambda x: None, case, "").message
    assert "expected a tensor" in judge(lambda x: 1.0, case, "").message
    assert "shape" in judge(lambda x: torch.ones(2), case, "").message
