"""The checks of the exercises, both ways: they pass the solutions in the page, and fail typical wrong answers."""
import nbformat
import numpy as np
import pytest
import torch
from torch import nn

from nblib.exercises import judge
from nblib.exercises.concepts import check_coefficient, check_gallery, check_jansen, check_off, check_purity
from nblib.exercises.contribution_modes import check_correlation, check_echo
from nblib.exercises.contributions import check_leaders, check_split, check_stretch
from nblib.exercises.neural_pathways import check_blocked, check_forced
from nblib.exercises.neuron_paths import check_candidates, check_deviation, check_rivals
from nblib.exercises.pruning import check_area, check_floor, check_mask, check_schedule
from nblib.exercises.retina import check_border, check_field
from nblib.exercises.saliency import (
    CONCLUSIONS,
    check_blind,
    check_gain,
    check_gap,
    check_hits,
    check_intervention,
    check_paradox,
)
from nblib.methods.saliency import saliency
from nblib.runs import parameters
from tests.answers import comparison as answers_comparison
from tests.answers import concepts as answers_concepts
from tests.answers import contribution_modes as answers_modes
from tests.answers import contributions as answers_contributions
from tests.answers import importance as answers_importance
from tests.answers import neural_pathways as answers_neural_pathways
from tests.answers import neuron_paths as answers_neuron_paths
from tests.answers import pruning as answers_pruning
from tests.answers import retina as answers_retina
from tests.answers import saliency as answers_saliency

RIGHT = (answers_saliency.RIGHT + answers_concepts.RIGHT + answers_neuron_paths.RIGHT + answers_contributions.RIGHT
         + answers_modes.RIGHT + answers_retina.RIGHT + answers_neural_pathways.RIGHT
         + answers_importance.RIGHT + answers_comparison.RIGHT)
WRONG = (answers_saliency.WRONG + answers_pruning.WRONG + answers_concepts.WRONG + answers_neuron_paths.WRONG
         + answers_contributions.WRONG + answers_modes.WRONG + answers_retina.WRONG
         + answers_neural_pathways.WRONG + answers_importance.WRONG + answers_comparison.WRONG)


def solutions(chapter: str) -> list[str]:
    cells = nbformat.read(parameters.source(chapter), 4).cells
    return [cell.source for cell in cells if "solution" in cell.metadata.get("tags", [])]


def has_exercises(chapter: str) -> bool:
    """Say whether a chapter owes exercises: every one but a lab, which may have some."""
    return bool(solutions(chapter)) or not chapter.endswith("_lab")


def last_value(source: str, names: dict):
    """Run a cell and return the value of its last line, as a notebook would show it."""
    body, _, last = source.rstrip().rpartition("\n")
    exec(body, names)
    return eval(last, names)


@pytest.mark.parametrize("chapter", [name for name in parameters.chapters() if has_exercises(name)])
def test_the_solutions_in_the_page_pass_and_its_stubs_do_not(chapter):
    import importlib

    names = dict(vars(importlib.import_module(f"nblib.exercises.{parameters.lesson_of(chapter)}")))
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


# the mechanics

CASE = [("a case", (torch.tensor([1.0, 2.0]), 3.0), torch.tensor([4.0, 5.0]))]


def test_a_verdict_shows_the_input_by_the_readers_names_the_answer_and_what_was_expected():
    verdict = judge(lambda pair, plus: pair - plus, CASE, "")
    assert not verdict.passed
    assert verdict.message.splitlines() == [
        "a case", "  pair: [1, 2]", "  plus: 3", "  your answer: [-2, -1]", "  expected: [4, 5]"]


def test_an_answer_that_raises_or_returns_nothing_is_told():
    said = judge(lambda pair, plus: pair / [], CASE, "").message
    assert "your function raised TypeError" in said and "pair: [1, 2]" in said
    assert "raised TypeError" in judge(lambda: 1, CASE, "").message and "input 2: 3" in judge(lambda: 1, CASE, "").message
    assert "returns nothing" in judge(lambda pair, plus: None, CASE, "").message
    assert "returns str, expected numbers" in judge(lambda pair, plus: "4 and 5", CASE, "").message
    assert "(1,) was returned, expected (2,)" in judge(lambda pair, plus: torch.ones(1), CASE, "").message


@pytest.mark.parametrize("answer", [
    lambda pair, plus: pair.numpy() + plus,
    lambda pair, plus: (pair + plus).tolist(),
    lambda pair, plus: tuple(value + plus for value in pair),
    lambda pair, plus: pair.double().requires_grad_() + plus,
    lambda pair, plus: [np.float64(4.0), 5],
    lambda pair, plus: pair.add_(plus),
], ids=["array", "list", "tuple of tensors", "double with a graph", "numpy's number", "in place"])
def test_numbers_of_any_kind_are_accepted(answer):
    assert judge(answer, CASE, "right").passed


@pytest.mark.parametrize("number", [2.5, np.float32(2.5), np.array(2.5), torch.tensor(2.5)])
def test_one_number_is_accepted_as_a_float_too(number):
    assert judge(lambda: number, [("one", (), torch.tensor(2.5))], "").passed
    assert not judge(lambda: number + 1, [("one", (), torch.tensor(2.5))], "").passed


def test_truth_values_count_as_zero_and_one_and_nothing_else_does():
    case = [("a mask", (), torch.tensor([True, False]))]
    assert judge(lambda: torch.tensor([1.0, 0.0]), case, "").passed and judge(lambda: [True, False], case, "").passed
    assert not judge(lambda: torch.tensor([0.7, 0.0]), case, "").passed
    assert "expected: [True, False]" in judge(lambda: [False, True], case, "").message


def test_an_answer_that_works_in_place_changes_neither_the_case_nor_the_next_call():
    values = torch.tensor([1.0, 2.0])
    cases = [("first", (values,), values + 1), ("again", (values,), values + 1)]
    assert judge(lambda x: x.add_(1), cases, "").passed
    assert values.tolist() == [1, 2]


def test_of_many_values_the_first_that_differs_is_shown():
    expected = torch.zeros(4, 5, 5)
    got = expected.clone()
    got[2, 0, 3] = 7
    said = judge(lambda: got, [("many", (), expected)], "").message
    assert "first at [2, 0, 3]: 7 was returned, expected 0" in said and "a tensor (4, 5, 5) that begins" in said


def test_a_known_mistake_is_named_only_if_it_gives_the_same_on_every_case():
    cases = [("one", (torch.tensor(2.0),), torch.tensor(5.0)), ("two", (torch.tensor(3.0),), torch.tensor(10.0))]
    known = {"doubles instead": lambda x: 2 * x, "breaks": lambda x: x / []}
    assert "this is what comes out if one doubles instead" in judge(lambda x: x + x, cases, "", mistakes=known).message
    assert "comes out" not in judge(lambda x: x**2 if x == 2 else -x, cases, "", mistakes=known).message
    assert "comes out" not in judge(lambda x: x / [], cases, "", mistakes=known).message


def test_hints_come_one_by_one_on_request():
    verdict = judge(lambda pair, plus: pair, CASE, "", hints=["look", "look harder"])
    assert "2 hint(s)" in repr(verdict) and "look" not in verdict.message
    assert repr(verdict.hint(1)) == "hint 1: look" and verdict.hint(2) == "hint 2: look harder"
    for wrong in (0, 3, "1"):
        with pytest.raises(ValueError, match="a whole number from 1 to 2"):
            verdict.hint(wrong)
    with pytest.raises(ValueError, match="no hints"):
        judge(lambda pair, plus: pair, CASE, "").hint(1)


@pytest.mark.parametrize("check, least", [
    (check_gap, 3), (check_hits, 3), (check_gain, 3), (check_blind, 3),
    (check_correlation, 4), (check_echo, 4), (check_mask, 3), (check_area, 3),
    (check_field, 3), (check_border, 3), (check_coefficient, 3), (check_jansen, 3),
    (check_purity, 3), (check_off, 3), (check_candidates, 4), (check_deviation, 4),
    (check_rivals, 4), (check_split, 4), (check_stretch, 4), (check_leaders, 4),
    (check_forced, 4), (check_blocked, 4),
])
def test_every_mistake_that_a_check_knows_is_named_and_it_has_hints(check, least):
    named = [verdict.message for known, _, answer in WRONG
             if known is check and "comes out if one" in (verdict := check(answer)).message]
    assert len(named) >= least
    assert len(check(lambda *given: None).hints) >= 2


# an experiment, and a question in words

@pytest.mark.parametrize("pruned, again, follows", [
    ([0.05, 0.06, 0.055], [0.0, 0.01, 0.004], "sparser"),
    ([0.0, 0.01, 0.004], [0.05, 0.06, 0.055], "less sparse"),
    ([0.05, -0.06, 0.03], [0.01, 0.01, 0.0], "cannot tell"),
    ([0.001, 0.0, 0.002], [0.0, 0.001, 0.0], "cannot tell"),
])
def test_what_two_trainings_differ_by_decides_what_pruning_is_said_to_do(pruned, again, follows):
    for conclusion in ("sparser", "less sparse", "cannot tell"):
        verdict = check_floor(pruned, again, conclusion)
        assert verdict.passed == (conclusion == follows), verdict
        assert "3 seeds" in verdict.message


def test_a_comparison_needs_three_seeds_of_each_and_a_conclusion_that_exists():
    for given, says in ((([0.1], [0.2], "sparser"), "three or more"), (([0.1, 0.2], [0.2], "sparser"), "as many numbers"),
                        (([0.1] * 3, [0.2] * 3, "no"), "expected one of 'sparser'"), ((..., ..., "sparser"), "two lists")):
        verdict = check_floor(*given)
        assert not verdict.passed and says in verdict.message, verdict
    assert not check_schedule("...").passed
    verdict = check_schedule("Train the unpruned network on the same schedule, twice, and see how far the two lie apart.")
    assert verdict.passed and verdict.message.count("[ ]") == 3
    assert not check_gallery("...").passed
    assert check_gallery("A random network has such rows as well. I would switch the concept off and count the answers.").passed


@pytest.mark.parametrize("planted, changed, images, follows", [
    (0.98, 0.31, 200, "uses the tag"),
    (0.95, 0.94, 2000, "does not use the tag"),
    (0.95, 0.95, 20, "cannot tell"),  # even a large drop could have hidden
    (1.0, 1.0, 8, "cannot tell"),
    (0.90, 0.85, 100, "cannot tell"),
    (0.90, 0.85, 2000, "uses the tag"),
])
def test_the_reading_of_an_experiment_follows_from_its_numbers(planted, changed, images, follows):
    for conclusion in CONCLUSIONS:
        verdict = check_intervention(planted, changed, conclusion, images=images)
        assert verdict.passed == (conclusion == follows), verdict
        assert f"{changed - planted:+.3f}" in verdict.message


def test_what_is_compared_with_the_drop_is_the_interval_of_two_shares():
    p, q, n = 91 / 102, 86 / 102, 102
    chance = 1.96 * (p * (1 - p) / n + q * (1 - q) / n) ** 0.5
    assert f"up to {chance:.3f}" in check_intervention(0.9, 0.85, "cannot tell", images=100).message


@pytest.mark.parametrize("given, says", [
    ((93, 31, "uses the tag"), "93 % is 0.93"),
    ((0.31, 0.98, "uses the tag"), "right order"),
    ((0.9, 0.3, "it does"), "expected one of 'uses the tag'"),
    ((..., 0.3, "uses the tag"), "planted=Ellipsis was given"),
])
def test_numbers_and_conclusions_that_cannot_be_are_told(given, says):
    verdict = check_intervention(*given, images=200)
    assert not verdict.passed and says in verdict.message


def test_an_answer_in_words_is_written_first_and_compared_then():
    for missing in (..., None, "", "It draws edges."):
        assert not check_paradox(missing).passed and "[ ]" not in check_paradox(missing).message
    verdict = check_paradox("It shows what the early layers have learnt to see, whatever class is asked.")
    assert verdict.passed and verdict.message.count("[ ]") == 3


def test_the_pixels_of_the_exercise_are_unseen_by_a_random_network():
    colours = torch.tensor([[0.0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 0, 0], [0, 0.5, 1]])
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, (1, 3), padding=(0, 1)), nn.ReLU(), nn.Flatten(), nn.Linear(40, 2)).eval()
    images = colours.T.reshape(1, 3, 1, 5)
    for baseline in (0.0, 1.0, 0.5):
        maps = saliency(network, images, method="integrated_gradients", steps=8, baseline=baseline)
        assert torch.equal(maps == 0, (images == baseline).all(1))
