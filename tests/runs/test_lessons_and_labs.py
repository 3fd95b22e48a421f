"""A lesson and its lab by name: each command takes the one that is meant."""
import nbformat
import pytest

from nblib.runs import parameters
from tests.fixtures.project import Project

RECORD = "record('height', {'a': 0.5}, what='height of {}', unit='share', run=run)"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    made = Project(tmp_path_factory.mktemp("pair"), {"first": ["print('the story')"], "first_lab": [RECORD], "second": ["1"]})
    (made.folder / "book/profiles/small/first_lab.yaml").write_text("rate: 0.2\n")
    made.commit()
    return made


def ran(project, name) -> str:
    return nbformat.writes(nbformat.read(project.folder / f"_build/runs/{name}.ipynb", 4))


def test_names_of_lessons_and_labs(monkeypatch):
    monkeypatch.setattr(parameters, "chapters", lambda: ["first", "first_lab", "second", "third_lab"])
    assert [parameters.lab_of(name) for name in ("first", "first_lab", "second", "third")] == [
        "first_lab", "first_lab", "second", "third_lab"]
    assert [parameters.lesson_of(name) for name in ("first", "first_lab", "second")] == ["first", "first", "second"]


def test_run_takes_the_lesson_and_record_its_lab(project):
    code, out, error = project.call("run", "first")
    assert code == 0 and "the story" in ran(project, "first"), error
    code, out, error = project.call("run", "first", "--profile", "small", "--record")
    assert code == 0 and "book/results/first/small-seed0.csv" in out, error
    assert "nblib_record" in ran(project, "first_lab")
    assert [path.name for path in (project.folder / "book/results").iterdir()] == ["first"]
    for name in ("first", "first_lab"):
        code, out, error = project.call("results", name)
        assert code == 0 and "height/a" in out, error


def test_a_profile_of_the_lab_is_named_where_the_lesson_has_none(project):
    code, out, error = project.call("run", "first", "--profile", "small", timeout=60)
    assert code == 2 and "small/first.yaml" in error and "or take first_lab" in error and "Traceback" not in error


def test_a_build_with_a_profile_leaves_the_lesson_its_defaults(project):
    code, out, error = project.call("build", "--profile", "small", "--only", "first", "--only", "first_lab")
    assert code == 0 and "chapter first: profile small is for its lab" in error, error
    assert (project.folder / "_build/small/html/book/first_lab.html").exists()
    assert "the story" in (project.folder / "_build/small/html/book/first.html").read_text()
