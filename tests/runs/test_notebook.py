"""What a chapter calls: parameters checked from its names, numbers on record."""
import math
from types import SimpleNamespace

import pytest

from nblib.runs import notebook
from nblib.runs.parameters import Refused, chapters, declared, lesson_of, source


@pytest.fixture
def names(monkeypatch) -> dict:
    """The names of a notebook right after its parameters cell, in a fresh kernel."""
    monkeypatch.setattr(notebook, "_started", set())
    return {name: item.default for name, item in declared(source("saliency_lab")).items()} | {"In": [], "_i": "x"}


def test_the_parameters_come_back_as_attributes(names, capsys):
    run = notebook.start("saliency_lab", names | {"seed": 3})
    assert run.seed == 3 and run.dataset == "shapes"
    assert "seed 3" in capsys.readouterr().out


def test_a_misspelt_name_is_refused_at_first_and_a_variable_is_not_later(names):
    with pytest.raises(Refused, match="no parameter 'sede'.*nearest: 'seed'"):
        notebook.start("saliency_lab", names | {"sede": 3})
    notebook.start("saliency_lab", names)
    assert notebook.start("saliency_lab", names | {"count": 3}).seed == 0, "the cell is run again in a live kernel"
    with pytest.raises(Refused, match="seed: 'many' was given"):
        notebook.start("saliency_lab", names | {"seed": "many"})


def test_a_refusal_shows_without_a_traceback(names):
    with pytest.raises(Refused) as refused:
        notebook.start("saliency_lab", names | {"device": "cuad"})
    assert refused.value._render_traceback_() == [f"refused: {refused.value}"]


def test_numbers_go_on_record_hidden_from_the_page(monkeypatch):
    shown = []
    monkeypatch.setattr(notebook, "display", lambda data, raw, metadata: shown.append((data, metadata)))
    run = SimpleNamespace(dataset="shapes", model="small_resnet", device="cpu")
    notebook.record_all("height", {"a": 1.0, "b": math.nan}, what="height of {}", unit="", run=run)
    (data, metadata), = shown
    assert metadata["nblib_record"] | {"device": ""} == {
        "name": "height/a", "value": 1.0, "what": "height of a", "unit": "", "dataset": "shapes", "copy": "",
        "model": "small_resnet", "device": "", "setting": "other"}
    assert all(mime.startswith("application/papermill.record/") for mime in data)
    with pytest.raises(ValueError, match="'paper' or 'other'"):
        notebook.record("x", 1.0, what="", unit="", run=run, setting="papers")


def test_every_published_number_names_its_place():
    from nblib.runs.ledger import published

    for chapter in chapters():
        for name, number in published(lesson_of(chapter)).items():
            assert number["kind"] in ("value", "effect") and number["where"] and number["reason"], name
