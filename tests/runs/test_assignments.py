"""Lessons as assignments: nbgrader takes them, takes the solutions out, and marks a right, a wrong and an empty one."""
import copy
import os
import sys

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook

from nblib import store
from nblib.runs import parameters
from nblib.runs.handouts import assignments
from tests.fixtures.notebooks import CHAPTERS, LESSONS, read

nbgrader = pytest.importorskip("nbgrader")
pytestmark = pytest.mark.filterwarnings("ignore:Object of type:sqlalchemy.exc.SAWarning")


def marked(notebook) -> dict[str, nbformat.NotebookNode]:
    """Return the cells that nbgrader knows, by their grade ids."""
    return {cell.metadata.nbgrader.grade_id: cell for cell in notebook.cells if "nbgrader" in cell.metadata}


def for_students(lesson: str) -> nbformat.NotebookNode:
    return assignments.assignment(read(lesson), lesson, solutions=False)


def for_teachers(lesson: str) -> nbformat.NotebookNode:
    return assignments.assignment(read(lesson), lesson, solutions=True)


@pytest.mark.parametrize("lesson", LESSONS)
def test_nbgrader_takes_it(lesson):
    from nbgrader.nbgraderformat import SCHEMA_VERSION, reads
    from nbgrader.utils import is_grade, is_locked, is_solution

    assert SCHEMA_VERSION == assignments.SCHEMA
    for notebook in (for_students(lesson), for_teachers(lesson)):
        nbformat.validate(notebook)
        reads(nbformat.writes(notebook), as_version=4)  # raises where the metadata does not hold
        cells = marked(notebook)
        exercises = list(assignments.exercises(read(lesson)))
        assert len(cells) == 2 * len(exercises) >= 6
        for exercise in exercises:
            answer, check = (cells[f"exercise-{exercise.number}{part}"] for part in ("", "-check"))
            assert is_solution(answer) and not is_locked(answer) and is_locked(check)
            paid = answer if exercise.kind == "words" else check
            assert [is_grade(cell) for cell in (answer, check)] == [cell is paid for cell in (answer, check)]
            assert paid.metadata.nbgrader.points == assignments.POINTS[exercise.kind]


@pytest.mark.parametrize("lesson", LESSONS)
def test_what_students_get_is_what_nbgrader_releases_and_has_no_solution(lesson):
    from nbgrader.preprocessors import ClearSolutions

    released, _ = ClearSolutions().preprocess(copy.deepcopy(for_teachers(lesson)), {})
    handed_out = for_students(lesson)
    assert [cell.source for cell in released.cells] == [cell.source for cell in handed_out.cells]
    assert not any("solution" in cell.metadata.get("tags", []) for cell in handed_out.cells)
    for exercise in assignments.exercises(read(lesson)):
        assert "\n".join(exercise.answer) not in "\n".join(cell.source for cell in handed_out.cells)


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_checks_pass_the_solutions_and_raise_without_them(lesson, capsys):
    names = {"torch": torch}
    for cell in marked(for_teachers(lesson)).values():
        exec(cell.source, names)
    said = capsys.readouterr().out
    assert said.count("passed: ") == sum(exercise.kind != "words" for exercise in assignments.exercises(read(lesson)))
    names = {"torch": torch}
    for name, cell in marked(for_students(lesson)).items():
        if name.endswith("-check"):
            if cell.metadata.nbgrader.grade:
                with pytest.raises(AssertionError, match="not yet; verdict.hint"):
                    exec(cell.source, names)
                assert "not yet: " in capsys.readouterr().out
        else:
            try:
                exec(cell.source, names)
            except NotImplementedError:
                pass


def test_an_exercise_whose_solution_calls_another_check_is_refused():
    cells = read("retina").cells
    solution = next(cell for cell in cells if "solution" in cell.metadata.get("tags", []))
    notebook = new_notebook(cells=copy.deepcopy(cells))
    next(cell for cell in notebook.cells if cell.id == solution.id).source = "check_field(other)"
    with pytest.raises(ValueError, match="`check_field.field_of.` and solution-1 `check_field.other.`"):
        list(assignments.exercises(notebook))
    next(cell for cell in notebook.cells if cell.id == solution.id).source = "x = 1"
    with pytest.raises(ValueError, match="ends with `x = 1`, expected the call of a check"):
        list(assignments.exercises(notebook))


def test_the_folders_hold_every_chapter_and_the_pictures_that_it_shows(tmp_path):
    assignments.write(tmp_path / "student", tmp_path / "course")
    assert sorted(path.stem for path in (tmp_path / "student").glob("*.ipynb")) == sorted(CHAPTERS)
    assert sorted(path.stem for path in (tmp_path / "course/source").glob("*/*.ipynb")) == sorted(LESSONS)
    for path in tmp_path.rglob("*.ipynb"):
        for picture in assignments.PICTURE.findall(path.read_text()):
            assert (path.parent / picture).is_file() or not (parameters.BOOK / picture).is_file(), picture
    assert (tmp_path / "student/images/saliency.png").is_file()
    assert not (tmp_path / "course/source/saliency/images/pruning.png").exists()


# nbgrader marks the exercises of one lesson; what stands before them in the lesson is left out, for it takes its time

LESSON = "pruning"
WRONG = {
    "exercise-1": "def mask_of(weights, sparsity):\n    return weights.abs() > 0",
    # right, but it warns
    "exercise-2": "def area_over(curve):\n    return torch.tensor(curve[0] - curve).mean()",
    "exercise-3": "pruned, again, conclusion = [0.5, 0.51, 0.52], [0.0, 0.01, 0.0], 'less sparse'",
}


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """Return the scores of three submissions, by student and grade id, and what waits for a person."""
    from nbgrader.apps.api import NbGraderAPI
    from traitlets.config import Config

    course = tmp_path_factory.mktemp("course")
    source = new_notebook(cells=[new_code_cell("import torch", id="start"), *marked(for_teachers(LESSON)).values()],
                          metadata=read(LESSON).metadata)
    store.write(course / f"source/{LESSON}/{LESSON}.ipynb", nbformat.writes(source))
    tools = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])  # nbgrader calls alembic by its name
    settings = Config()
    settings.CourseDirectory.root = str(course)
    settings.CourseDirectory.db_url = f"sqlite:///{course}/gradebook.db"
    api = NbGraderAPI(config=settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", tools)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(store.ROOT), os.environ.get("PYTHONPATH", "")]))
        yield _scores(api, course, source)


def _scores(api, course, source) -> dict[str, dict[str, tuple]]:
    """Let nbgrader make the assignment of `source` and mark three submissions; return what the fixture does."""
    assert (done := api.generate_assignment(LESSON))["success"], done["log"]
    released = nbformat.read(course / f"release/{LESSON}/{LESSON}.ipynb", 4)
    right, wrong = copy.deepcopy(source), copy.deepcopy(released)
    for name, answer in WRONG.items():
        marked(wrong)[name].source = answer
    marked(wrong)["exercise-1-check"].source = "print('passed')"  # a locked cell comes back
    found = {}
    for student, notebook in {"right": right, "wrong": wrong, "empty": released}.items():
        store.write(course / f"submitted/{student}/{LESSON}/{LESSON}.ipynb", nbformat.writes(notebook))
        done = api.autograde(LESSON, student)
        assert done["success"], done["log"]
        with api.gradebook as gradebook:
            found[student] = {grade.name: (grade.auto_score, grade.needs_manual_grade) for grade in
                              gradebook.find_submission_notebook(LESSON, LESSON, student).grades}
    return found


CHECKS = [f"exercise-{number}-check" for number in (1, 2, 3)]


def test_nbgrader_gives_a_right_submission_all_points(scores):
    assert [scores["right"][name][0] for name in CHECKS] == [2, 2, 3]
    assert scores["right"]["exercise-4"] == (None, True)  # a person reads it


def test_nbgrader_gives_a_wrong_answer_nothing_and_a_right_one_beside_it_its_points(scores):
    assert [scores["wrong"][name][0] for name in CHECKS] == [0, 2, 0]


def test_nbgrader_gives_an_empty_submission_nothing_and_nobody_has_to_read_it(scores):
    assert [scores["empty"][name][0] for name in CHECKS] == [0, 0, 0]
    assert scores["empty"]["exercise-4"] == (0, False)
