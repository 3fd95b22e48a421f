"""A lesson as an assignment that nbgrader marks, with its solutions for the teacher and without them for students.

An exercise becomes two cells. The answer's is free; the check's is locked, has the points, and raises where the answer
does not pass. An answer in words has its points itself, since a person reads it; its check lists what a good one says.
"""
import ast
import copy
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell

from nblib import store
from nblib.runs import parameters

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"  # nbgrader takes out what lies between, and puts in its
STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")
POINTS = {"function": 2, "experiment": 3, "words": 4}
SCHEMA = 3  # of nbgrader's metadata
TITLE = re.compile(r"^\*\*(\d+)\. (.+?)[.?!]?\*\*", re.M)
PICTURE = re.compile(r"images/[\w.]+\w")
CHECK = """from nblib.exercises.{lesson} import {check}

verdict = {call}
print(verdict)
assert verdict.passed, "not yet; verdict.hint(1), in a cell of your own, says more"
"""
COMPARE = "from nblib.exercises.{lesson} import {check}\n\n{call}"
CONFIG = """c = get_config()
c.CourseDirectory.course_id = "pathways"
c.Execute.timeout = 900  # seconds for a cell: a lesson trains its networks the first time that it is marked
"""


@dataclass(frozen=True)
class Exercise:
    """An exercise of a lesson: the cells of its stub and of its solution, and what they are made of."""

    number: int
    title: str
    kind: str  # a key of POINTS
    stub: list[str]  # the lines for the student, without the check
    answer: list[str]  # those of the solution that differ
    check: str  # the name of the check's function
    call: str  # its call
    cells: tuple[nbformat.NotebookNode, nbformat.NotebookNode]

    @property
    def points(self) -> int:
        """What its kind is worth."""
        return POINTS[self.kind]


def exercises(notebook: nbformat.NotebookNode) -> Iterator[Exercise]:
    """Yield the exercises of a lesson, in their order.

    Raises:
        ValueError: a cell that does not end with the call of a check, or a solution that calls another one.
    """
    text, title = "", None
    solutions = iter([cell for cell in notebook.cells if "solution" in cell.metadata.get("tags", [])])
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = cell.source
            continue
        if "exercise" not in cell.metadata.get("tags", []):
            continue
        solution, title = next(solutions), TITLE.findall(text)[-1]
        stub, call, kind = _split(cell.source)
        solved, same, _ = _split(solution.source)
        if call != same:
            raise ValueError(f"{cell.id} calls `{call}` and {solution.id} `{same}`; expected the same call of a check")
        alike = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(stub, solved))))
        check = ast.parse(call).body[0].value.func.id
        yield Exercise(int(title[0]), title[1], kind, stub, solved[alike:], check, call, (cell, solution))


def _split(source: str) -> tuple[list[str], str, str]:
    """Return the lines of an exercise or a solution without its check, the check's call, and the kind of exercise."""
    *before, last = ast.parse(source).body
    if not isinstance(last, ast.Expr) or not isinstance(last.value, ast.Call):
        raise ValueError(f"the cell ends with `{ast.unparse(last)}`, expected the call of a check")
    imports = [node for node in before if isinstance(node, ast.ImportFrom) and node.module.startswith("nblib.exercises")]
    dropped = {number for node in imports for number in range(node.lineno, node.end_lineno + 1)}
    lines = source.splitlines()
    kept = [line for number, line in enumerate(lines[:last.lineno - 1], 1) if number not in dropped]
    call = "\n".join(lines[last.lineno - 1:last.end_lineno])
    values = [node.value.value for node in before if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)]
    kind = ("function" if any(isinstance(node, ast.FunctionDef) for node in before)
            else "words" if "..." in values else "experiment")
    return "\n".join(kept).strip("\n").splitlines(), call, kind


def assignment(notebook: nbformat.NotebookNode, lesson: str, *, solutions: bool) -> nbformat.NotebookNode:
    """Return a copy of a lesson as an assignment, with nbgrader's metadata.

    Args:
        lesson: its name, which is also that of its checks.
        solutions: with them, between nbgrader's marks, for a course's folder `source`; or as nbgrader releases it.
    """
    notebook = copy.deepcopy(notebook)
    parts = {exercise.cells[0].id: _cells(exercise, lesson, solutions) for exercise in exercises(notebook)}
    kept = [cell for cell in notebook.cells if "solution" not in cell.metadata.get("tags", [])]
    notebook.cells = [part for cell in kept for part in parts.get(cell.id, [cell])]
    return notebook


def _cells(exercise: Exercise, lesson: str, solutions: bool) -> list[nbformat.NotebookNode]:
    """Return the two cells of an exercise: for the answer, and for its check."""
    in_words, name = exercise.kind == "words", exercise.cells[0].id
    inside = re.match(r"\s*", exercise.answer[0])[0]  # a function's body, or the cell's own lines
    region = [inside + BEGIN, *exercise.answer, inside + END] if solutions else [inside + line for line in STUB]
    gap = [] if inside or exercise.kind != "function" else ["", ""]
    answer = "\n".join([*exercise.stub, *gap, *region])
    template = COMPARE if in_words else CHECK
    check = template.format(lesson=lesson, check=exercise.check, call=exercise.call).rstrip()
    return [_cell(name, answer, solution=True, points=exercise.points if in_words else None),
            _cell(f"{name}-check", check, solution=False, points=None if in_words else exercise.points)]


def _cell(name: str, source: str, *, solution: bool, points: int | None) -> nbformat.NotebookNode:
    """Return a cell with nbgrader's metadata: of an answer, or locked; with points or without.

    It may raise, and the cells below run all the same.
    """
    marks = {"schema_version": SCHEMA, "grade_id": name, "grade": points is not None, "solution": solution,
             "locked": not solution, "task": False} | ({} if points is None else {"points": points})
    return new_code_cell(source, id=name, metadata={
        "tags": ["raises-exception"], "nbgrader": marks, "deletable": False, "editable": solution})


def write(student: Path, course: Path) -> None:
    """Write the chapters for students, and the lessons as assignments into the folder of a course.

    Args:
        student: gets all chapters without solutions, with the pictures that they show.
        course: gets `source/LESSON/LESSON.ipynb` with solutions, pictures beside it, and nbgrader's configuration.
    """
    for name in parameters.chapters():
        notebook = nbformat.read(parameters.source(name), 4)
        if any(exercises(notebook)):
            _put(assignment(notebook, name, solutions=True), course / "source" / name / f"{name}.ipynb")
            notebook = assignment(notebook, name, solutions=False)
        _put(notebook, student / f"{name}.ipynb")
    store.write(course / "nbgrader_config.py", CONFIG)


def _put(notebook: nbformat.NotebookNode, place: Path) -> None:
    """Write a notebook and, beside it, the pictures of the book that it shows."""
    text = nbformat.writes(notebook)
    store.write(place, text)
    for picture in sorted(set(PICTURE.findall(text))):
        if (parameters.BOOK / picture).is_file():
            (place.parent / picture).parent.mkdir(exist_ok=True)
            shutil.copyfile(parameters.BOOK / picture, place.parent / picture)
