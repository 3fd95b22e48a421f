"""The form of a lesson, which tells a story, and of a lab, which is a protocol."""
import ast
import itertools
import re
import statistics

import pytest

from nblib.data import load
from nblib.runs import parameters
from tests.fixtures.glossary import first_uses
from tests.fixtures.notebooks import (
    HIDDEN,
    LABS,
    LESSONS,
    calls,
    code_cells,
    figure_names,
    headings,
    is_picture,
    lines,
    prose,
    read,
    speaks,
    tags,
    visible,
    words,
)

LESSON = ["What we found", "The question", "The idea", "The method", "Looking", "What holds", "When to use it", "Exercises",
          "Summary", "Further reading", "Run it yourself"]
LAB = (["Claims tested", "Protocol"], ["Paper versus here", "Controls", "Threats to validity", "Reproduce"])
SIZES = {"dataset": str, "model": str, "weights": str, "seed": int, "device": str, "image_size": int, "train_images": int,
         "test_images": int, "epochs": int, "batch_size": int, "learning_rate": float}
PLOTTING = re.compile(r"matplotlib|\bplt\.|subplots|savefig|\.imshow\(|\bglue\(|record\(|nblib_record")
FIRST_SCREEN = 150  # words


@pytest.mark.parametrize("chapter", LESSONS)
def test_a_lesson_has_its_headings_in_order(chapter):
    assert headings(chapter) == LESSON


@pytest.mark.parametrize("chapter", LABS)
def test_a_lab_has_its_headings_in_order_with_the_measurements_between(chapter):
    first, last = LAB
    found = headings(chapter)
    assert found[:2] == first and found[-4:] == last and len(found) > len(first + last)


@pytest.mark.parametrize("chapter", LESSONS)
def test_a_lesson_is_short(chapter):
    cells, seen = read(chapter).cells, [lines(cell) for cell in read(chapter).cells if visible(cell)]
    assert words(prose(chapter)) <= 3000, f"{words(prose(chapter))} words"
    assert len(cells) <= 45, f"{len(cells)} cells"
    assert sum(seen) <= 150, f"{sum(seen)} lines of visible code"
    assert statistics.median(seen) <= 8 and max(seen) <= 15, f"lines of the visible cells: {seen}"


@pytest.mark.parametrize("chapter", LABS)
def test_a_lab_has_at_most_ninety_cells(chapter):
    assert len(read(chapter).cells) <= 90


@pytest.mark.parametrize("chapter", LABS)
def test_a_lab_records_once_a_table(chapter):
    counts = {cell.id: calls(cell.source).count("record") for cell in code_cells(chapter)}
    assert sum(counts.values()) and max(counts.values()) == 1, counts
    assert not any("record_all" in calls(cell.source) for cell in code_cells(chapter))


@pytest.mark.parametrize("chapter", LESSONS)
def test_a_lesson_begins_with_a_picture(chapter):
    cells = read(chapter).cells
    picture = next(number for number, cell in enumerate(cells) if is_picture(cell))
    assert not any(visible(cell) for cell in cells[:picture]), "code comes before the first picture"
    before = "\n".join(cell.source for cell in cells[: picture + 1] if cell.cell_type == "markdown")
    before = re.split(r"^(?:```|:::)\{figure\}|!\[", before, maxsplit=1, flags=re.M)[0]
    assert words(before) <= FIRST_SCREEN, f"{words(before)} words come before the first picture"


@pytest.mark.parametrize("chapter", LESSONS)
def test_a_lesson_shows_no_code_that_records_or_plots(chapter):
    for cell in code_cells(chapter):
        assert "record" not in calls(cell.source), f"{cell.id} records; that is for the lab"
        assert not visible(cell) or not PLOTTING.search(cell.source), f"{cell.id}: {PLOTTING.search(cell.source)[0]}"


@pytest.mark.parametrize("chapter", LESSONS)
def test_a_figure_in_view_is_one_call(chapter):
    for cell in code_cells(chapter):
        if visible(cell) and is_picture(cell):
            made = [step for step in ast.parse(cell.source).body if not isinstance(step, (ast.Import, ast.ImportFrom))]
            assert len(made) == 1 and isinstance(made[0], ast.Expr), f"{cell.id}: hide its input or call one function"


@pytest.mark.parametrize("chapter", LESSONS)
def test_a_sentence_stands_before_and_after_each_cell_in_view(chapter):
    shown = [(cell.id, visible(cell)) for cell in read(chapter).cells if visible(cell) or speaks(cell)]
    assert shown and not shown[0][1] and not shown[-1][1]
    for (first, code), (second, more) in itertools.pairwise(shown):
        assert not (code and more), f"no sentence stands between {first} and {second}"


@pytest.mark.parametrize("chapter", LESSONS + LABS)
def test_the_first_two_cells_of_code_are_folded(chapter):
    before = itertools.takewhile(lambda cell: cell.cell_type == "markdown", read(chapter).cells)
    assert len(list(before)) <= 1, "only the title may stand before the parameters"
    for cell in code_cells(chapter)[:2]:
        assert tags(cell) & HIDDEN, f"{cell.id} stands open on the page"


@pytest.mark.parametrize("chapter", LESSONS + LABS)
def test_a_reader_may_change_data_model_and_sizes(chapter):
    known = parameters.declared(parameters.source(chapter))
    assert {name: type(known[name].default) for name in SIZES} == SIZES
    for name, value in {"epochs": 1, "train_images": 20, "test_images": 8}.items():
        parameters.check_one(known[name], value)


@pytest.mark.parametrize("chapter", LESSONS + LABS)
def test_jupyter_shows_what_the_page_shows(chapter):
    text = prose(chapter)
    assert "{glue" not in text and not any("glue" in calls(cell.source) for cell in code_cells(chapter))
    assert "{doc}" not in text and "{ref}" not in text, "links between pages are ordinary Markdown links"
    assert "{cite" not in text, "Jupyter has no bibliography: papers are ordinary links, such as [Name, year](https://arxiv.org/abs/...)"
    drawn = {cell.metadata["mystnb"]["figure"]["name"] for cell in code_cells(chapter) if "figure" in cell.metadata.get("mystnb", {})}
    unseen = drawn & set(re.findall(r"\{numref\}`([^`]+)`", text))
    assert not unseen, f"Jupyter has no numbers for figures that code draws: link them by words, as [the chart](#{min(unseen)})"
    said = [cell.source for cell in code_cells(chapter) if "say" in calls(cell.source)]
    assert not any(re.search(r"\{(?:numref|doc|cite|term|ref)", source) for source in said), "Markdown has no roles"
    too_long = [line for line in text.splitlines() if len(line) > 120 and not re.match(r"\||\s*:alt:|.*\]\(", line)]
    assert not too_long, f"not wrapped: {too_long[0]}"


@pytest.mark.parametrize("chapter", LESSONS + LABS)
def test_jupyter_hides_the_code_that_the_page_hides(chapter):
    for cell in code_cells(chapter):
        if "parameters" not in tags(cell):  # these are there to be changed
            folded = cell.metadata.get("jupyter", {}).get("source_hidden", False)
            hidden = bool(tags(cell) & (HIDDEN | {"solution"})) or "start" in calls(cell.source)
            assert folded == hidden, f"{cell.id}: metadata.jupyter.source_hidden is {folded}, its tags are {sorted(tags(cell))}"


@pytest.mark.parametrize("chapter", LESSONS + LABS)
def test_sentences_with_numbers_hide_their_code(chapter):
    for cell in code_cells(chapter):
        assert "say" not in calls(cell.source) or tags(cell) & {"remove-input", "hide-input"}, cell.id


@pytest.mark.parametrize("chapter", LESSONS + LABS)
def test_each_figure_is_referred_to(chapter):
    text = prose(chapter) + "".join(cell.source for cell in code_cells(chapter))
    for name in figure_names(chapter):
        assert f"`{name}`" in text or f"#{name}" in text, f"nothing refers to {name}"


@pytest.mark.parametrize("chapter", LESSONS + LABS)
def test_terms_link_to_the_glossary_at_their_first_use(chapter):
    missing = [term for term, linked in first_uses(read(chapter)).items() if not linked]
    assert not missing, f"not linked where they first stand: {', '.join(missing)}"


@pytest.mark.parametrize("chapter", LESSONS + LABS)
def test_example_classes_exist(chapter):
    classes = load("shapes", split="fit", size=32, limit=1).classes
    named = re.findall(r"\b[a-z]+ with (?:a )?(?:stripes|rings?|dots?|bars?)\b", prose(chapter))
    for name in named:
        assert name in classes, f"{name!r} is no class; there are {', '.join(classes)}"


def test_no_function_is_defined_in_two_notebooks():
    seen = {}
    for chapter in LESSONS + LABS:
        for cell in code_cells(chapter):
            if tags(cell) & {"exercise", "solution"}:
                continue
            for step in ast.parse(cell.source).body:
                if isinstance(step, (ast.FunctionDef, ast.ClassDef)):
                    assert seen.setdefault(step.name, chapter) == chapter, f"{step.name} is in {seen[step.name]} too"
