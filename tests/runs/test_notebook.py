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


def test_numbers_that_papermill_leaves_as_texts_mean_what_people_write(names):
    from papermill.cli import _resolve_type  # of -p; a file of -f is YAML 1.1, where 1e-3 is a text

    texts = {"learning_rate": _resolve_type("5e-4"), "train_images": _resolve_type("1_000"), "keep": "2e-1"}
    run = notebook.start("saliency_lab", names | texts)
    assert (run.learning_rate, run.train_images, run.keep) == (0.0005, 1000, 0.2)


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


@pytest.fixture
def shown(monkeypatch) -> list[dict]:
    """What `record` shows, as the metadata of its outputs; all of it has to stay off the page."""
    made = []

    def display(data, raw, metadata):
        assert all(mime.startswith("application/papermill.record/") for mime in data)
        made.append(metadata["nblib_record"])

    monkeypatch.setattr(notebook, "display", display)
    return made


RUN = SimpleNamespace(dataset="shapes", model="small_resnet", device="cpu")


def test_a_table_goes_on_record_at_once(shown):
    notebook.record("height", {"a": 1.0, "b": math.nan, 3: 2}, what="height of {}", unit="", run=RUN)
    (made,) = shown
    assert made["numbers"] == [
        {"name": "height/a", "value": 1.0, "unit": "", "what": "height of a", "setting": "other"},
        {"name": "height/3", "value": 2.0, "unit": "", "what": "height of 3", "setting": "other"}]
    facts = made["facts"]
    assert (facts["dataset"], facts["copy"], facts["model"], facts["device"]) == ("shapes", "", "small_resnet", "CPU")
    assert facts["threads"] >= 1 and facts["processor"] and set(facts["versions"]) == {"python", "torch", "numpy", "nblib"}
    notebook.record("height", {"a": math.nan}, what="height of {}", unit="", run=RUN)
    assert len(shown) == 1, "nothing to record, nothing shown"


def test_numbers_and_tables_in_tables_go_on_record(shown):
    notebook.record("width", 1.5, what="a width, {as it is}", unit="s", run=RUN, setting="paper")
    notebook.record("iou", {"a": {"x": 0.25}, "b": {"y": 0.5}}, what="{} on {}", unit="share", run=RUN)
    numbers = [(it["name"], it["value"], it["what"], it["setting"]) for made in shown for it in made["numbers"]]
    assert numbers == [("width", 1.5, "a width, {as it is}", "paper"), ("iou/a/x", 0.25, "a on x", "other"),
                       ("iou/b/y", 0.5, "b on y", "other")]


def test_tables_that_share_a_name_have_names_of_their_own_on_the_page(monkeypatch):
    seen = []
    monkeypatch.setattr(notebook, "display", lambda *made, metadata, **how: seen.append(metadata["scrapbook"]["name"]))
    for kind in ("a", "b"):
        notebook.record("height", {kind: 1.0}, what="height of {}", unit="", run=RUN)
    assert len(set(seen)) == 2, "the page's renderer refuses two outputs of one name"


def test_slips_in_recording_are_told(shown):
    with pytest.raises(ValueError, match="setting 'papers' was given.*nearest: 'paper'"):
        notebook.record("x", 1.0, what="", unit="", run=RUN, setting="papers")
    with pytest.raises(ValueError, match="'{} on {}' was given for a, expected"):
        notebook.record("x", {"a": 1.0}, what="{} on {}", unit="", run=RUN)
    assert not shown


def test_kept_networks_go_on_record_once_with_their_training(shown, names, tmp_path, monkeypatch):
    from nblib import data, training

    monkeypatch.setenv("NBLIB_STORE", str(tmp_path))
    images = data.load("digits", limit=16)
    training.trained("small_resnet", images, epochs=1)  # before the run
    notebook.start("saliency_lab", names)
    training.trained("small_resnet", images, epochs=1)
    for name in "xy":
        notebook.record(name, 1.0, what="", unit="", run=RUN)
    (network,), second = (made["facts"]["networks"] for made in shown)
    assert second == [] and network["file"].startswith("small_resnet-")
    made_with = training.conditions("cpu")
    assert network["training"].items() >= made_with.items() and network["training"]["seconds"] >= 0
    assert network["training"]["resumed"] is False


def test_what_is_said_is_markdown(monkeypatch):
    shown = []
    monkeypatch.setattr(notebook, "display", shown.append)
    notebook.say("a **number**")
    assert shown[0]._repr_markdown_() == "a **number**"


def test_every_published_number_names_its_place():
    from nblib.runs.ledger import published

    for chapter in chapters():
        for name, number in published(lesson_of(chapter)).items():
            assert number["kind"] in ("value", "effect") and number["where"] and number["reason"], name


@pytest.mark.parametrize("text, shown", [
    ("It has none in layer\n1. So it is empty.", "It has none in layer\n1\\. So it is empty."),
    ("1. **One.** It is said\nso.\n2. **Two.**", None),
    ("A list:\n\n1. One\n2. Two", None),
    ("It keeps\n11. So more, and\n0.97 of them.", None),
])
def test_a_sentence_that_ends_in_one_begins_no_list(monkeypatch, text, shown):
    seen = []
    monkeypatch.setattr(notebook, "display", lambda made: seen.append(made.data))
    notebook.say(text)
    assert seen == [text if shown is None else shown]
