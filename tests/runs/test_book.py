"""What rendering makes of executed notebooks: folded furniture, captions at pictures, solutions as asked for."""
import copy

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from nblib.runs import book, chapters

PICTURE = new_output("display_data", {"image/png": "iVBOR", "text/plain": "a figure"})
SENTENCE = new_output("display_data", {"text/markdown": "It is **so**."})
NAMED = {"mystnb": {"figure": {"name": "fig-one", "caption": "One."}, "image": {"alt": "one"}}}


def folded(source: str, **metadata) -> list[str]:
    """Return the tags of a cell after rendering."""
    notebook = new_notebook(cells=[new_markdown_cell("# One"), new_code_cell(source, metadata=metadata)])
    return book.fold_furniture(notebook).cells[1].metadata["tags"]


@pytest.mark.parametrize("source, metadata, tags", [
    ("seed: int = 0", {"tags": ["parameters"]}, ["parameters", "hide-cell"]),
    ("from nblib.runs.notebook import start\nrun = start('one', globals())", {}, ["hide-cell"]),
    ("say(f'{1 / 3:.2f}')", {}, ["remove-input"]),
    ("figure", {"jupyter": {"source_hidden": True}}, ["hide-input"]),
    ("say('so')", {"tags": ["hide-input"]}, ["hide-input"]),
    ("x = 1", {"tags": ["solution"], "jupyter": {"source_hidden": True}}, ["solution"]),
    ("essay = 'say(1)'\nx = 1", {}, []),
])
def test_furniture_is_folded(source, metadata, tags):
    assert folded(source, **metadata) == tags


def test_a_folded_cell_says_what_is_in_it():
    notebook = new_notebook(cells=[new_code_cell("seed: int = 0", metadata={"tags": ["parameters"]})])
    assert book.fold_furniture(notebook).cells[0].metadata["mystnb"]["code_prompt_show"] == "Parameters of this page"


def test_a_caption_stands_under_the_picture_only():
    cell = new_code_cell("draw()", outputs=[SENTENCE, PICTURE], metadata=copy.deepcopy(NAMED), id="one")
    first, second = book.split_figures(new_notebook(cells=[cell])).cells
    assert first.outputs == [SENTENCE] and "figure" not in first.metadata.mystnb and "tags" not in first.metadata
    assert second.outputs == [PICTURE] and second.metadata.mystnb.figure.name == "fig-one"
    assert second.id == "one-1" and second.metadata.tags == ["remove-input"]


@pytest.mark.parametrize("outputs, metadata", [([PICTURE], NAMED), ([SENTENCE, PICTURE], {}), ([], NAMED)])
def test_other_cells_stay_as_they_are(outputs, metadata):
    cells = [new_markdown_cell("text"), new_code_cell("draw()", outputs=outputs, metadata=copy.deepcopy(metadata))]
    assert book.split_figures(new_notebook(cells=copy.deepcopy(cells))).cells == cells


def test_solutions_are_shown_folded_or_left_out():
    cells = [new_code_cell("x = ...", metadata={"tags": ["exercise"]}), new_code_cell("x = 1", metadata={"tags": ["solution"]})]
    seen = {how: book.treat_solutions(new_notebook(cells=copy.deepcopy(cells)), how).cells for how in ("shown", "folded", "hidden")}
    assert [len(found) for found in seen.values()] == [2, 2, 1]
    assert seen["shown"][1].metadata.tags == ["solution"] and seen["folded"][1].metadata.tags == ["solution", "hide-cell"]


def test_a_page_with_parameters_of_its_own_says_that_what_was_found_is_the_books():
    begins = "# One\n\n*After this page ...*\n\n## What we found\n\nMuch."
    for tags, noted in (["parameters"], False), (["injected-parameters"], True):
        cells = [new_markdown_cell(begins), new_code_cell("seed = 3", metadata={"tags": tags})]
        first = chapters.tidy(new_notebook(cells=cells)).cells[0].source
        assert first.endswith("\n## What we found\n\nMuch.") and ("```{note}" in first) == noted == (first != begins)
