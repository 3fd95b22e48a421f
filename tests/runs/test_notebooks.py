"""Every notebook that `_toc.yml` names: the rules that all of them keep, and the executed copy run again."""
import json
import re
import subprocess

import nbformat
import pytest

from nblib import store
from nblib.runs import book, bookkeeping, chapters, ledger, pages, parameters
from tests.fixtures.notebooks import CHAPTERS, HIDDEN, LABS, LESSONS, code_cells, prose, read, tags

TAGS = HIDDEN | {"parameters", "hide-output", "nbval-check-output", "exercise", "solution"}
MOST_GIGABYTES = dict.fromkeys(LESSONS, 3) | dict.fromkeys(LABS, 4)


def test_there_are_chapters():
    assert "saliency_lab" in LABS and sorted(LABS + LESSONS) == sorted(CHAPTERS)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_there_is_one_title(chapter):
    assert len(re.findall(r"^# .+$", re.sub(r"^```.*?^```", "", prose(chapter), flags=re.S | re.M), re.M)) == 1


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_cells_are_short_without_outputs_and_with_known_tags(chapter):
    ids = [cell.id for cell in read(chapter).cells]
    assert len(set(ids)) == len(ids)
    for cell in code_cells(chapter):
        assert tags(cell) <= TAGS, f"{cell.id}: unknown tags {tags(cell) - TAGS}"
        assert not cell.outputs and cell.execution_count is None, f"{cell.id} is committed with its output"
        lines = cell.source.splitlines()
        assert tags(cell) & HIDDEN or len(lines) <= 25, f"{cell.id} is longer than 25 lines"
        if not tags(cell) & {"parameters", "remove-cell", "remove-input"}:
            assert max(map(len, lines)) <= 96, f"{cell.id} has a line that does not fit the page: {max(lines, key=len)}"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_parameters_are_declared_first_and_checked_next(chapter):
    first, second = code_cells(chapter)[:2]
    assert "parameters" in first.metadata.tags
    known = parameters.declared(parameters.source(chapter))
    kinds = {"dataset": "str", "model": "str", "seed": "int", "device": "str"}
    assert {name: known[name].kind for name in kinds} == kinds
    for item in known.values():
        parameters.check_one(item, item.default)
    assert f'start("{chapter}", globals())' in second.source
    for profile in parameters.profiles():
        if (parameters.PROFILES / profile / f"{chapter}.yaml").exists():
            for name, value in parameters.profile(profile, chapter).items():
                assert name in known, f"profile {profile} sets {name}, which {chapter} does not declare"
                parameters.check_one(known[name], value)


def test_the_generated_page_of_parameters_is_current():
    committed = (parameters.BOOK / "parameters.md").read_text()
    assert committed == pages.parameters_page(), "call `python -m nblib.runs.pages` and commit"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_figures_have_caption_alt_text_and_name(chapter):
    for cell in code_cells(chapter):
        shown = cell.metadata.get("mystnb", {})
        if "figure" in shown or "image" in shown:
            assert shown["figure"]["name"].startswith("fig-"), cell.id
            assert len(shown["figure"]["caption"]) > 30, cell.id
            assert len(shown["image"]["alt"]) > 30, cell.id


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_measured_number_is_typed_into_the_prose(chapter):
    """Percentages and decimals belong to the run or the ledger; in prose only what holds without a run."""
    for cell in read(chapter).cells:
        if cell.cell_type != "markdown" or "may-state-numbers" in cell.metadata:
            continue
        text = re.sub(r"^```.*?^```|\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|\]\([^)]*\)", "", cell.source, flags=re.S | re.M)
        found = re.search(r".{0,30}(?:\d\s?%|\d\.\d).{0,9}", text)
        assert not found, f"{cell.id}: {found[0]}"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_ledger_keeps_its_rules(chapter):
    name = parameters.lesson_of(chapter)
    assert name in ledger.names() and bookkeeping.check(name) == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_what_is_compared_changes_with_the_result(chapter):
    for cell in code_cells(chapter):
        if "nbval-check-output" in tags(cell):
            assert not re.search(r"isfinite|print\(.*\.shape|round\([^()]*, -", cell.source), cell.id


@pytest.mark.parametrize("chapter", LESSONS)
def test_students_get_no_solutions(chapter):
    solutions = [cell.source for cell in code_cells(chapter) if "solution" in tags(cell)]
    assert solutions
    handed_out = nbformat.writes(book.treat_solutions(read(chapter), "hidden"))
    for solution in solutions:
        assert json.dumps(solution)[1:-1] not in handed_out
    folded = book.treat_solutions(read(chapter), "folded")
    assert all("hide-cell" in cell.metadata.tags for cell in folded.cells if "solution" in tags(cell))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_executed_chapter_is_whole_and_repeats_itself(chapter, book, tmp_path, record_property):
    """nbval runs the executed copy again and compares the cells that are tagged for it."""
    defaults = {item.name: item.default for item in parameters.declared(parameters.source(chapter)).values()}
    executed = chapters.kept(chapter, defaults)
    notebook = nbformat.read(executed, 4)
    compared = [cell for cell in notebook.cells if "nbval-check-output" in tags(cell)]
    assert compared and all(cell.outputs and cell.execution_count for cell in compared)
    shown = [output.get("text") or output.data["text/plain"] for cell in compared for output in cell.outputs]
    assert all(re.search(r"\d\.", text) for text in shown), "what is compared is a number, not a shape"
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not any(output.output_type == "error" for output in outputs)
    assert not (said := [output.text for output in outputs if output.get("name") == "stderr"]), f"a warning on the page: {said}"
    facts = notebook.metadata["nblib"]
    record_property("seconds", facts["seconds"])  # of the default run; how many depends on what else the machine does
    assert facts["peak_gigabytes"] <= MOST_GIGABYTES[chapter], "the default run has to fit into so many GB"
    copy = tmp_path / f"{chapter}.ipynb"
    copy.write_text(executed.read_text())
    command = store.tied("nblib.__main__:tests", "-o", "addopts=", "-q", "--nbval-lax", "--nbval-current-env",
                         "--nbval-cell-timeout=900", "-p", "no:cacheprovider", "-p", "no:xdist", "--timeout=1200",
                         str(copy))
    done = subprocess.run(command, cwd=store.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:]
