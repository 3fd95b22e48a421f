"""`run --record` and `results` on a small copy of the project."""
import csv
import json
from pathlib import Path

import pytest
import torch

from tests.fixtures.project import Project

RECORD = "record('height', {'a': 1 / 3 + run.seed, 'b': 0.25}, what='height of {}', unit='share', run=run)"
TRAIN = """from nblib import data, training
training.trained("small_resnet", data.load("digits", limit=16), epochs=1, seed=run.seed)"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    made = Project(tmp_path_factory.mktemp("recording"), {"first": [TRAIN, RECORD], "second": ["print(1)"],
                                                             "third": ["raise ValueError('too few, expected more')"]})
    (made.folder / "book/profiles/small/first.yaml").write_text("rate: 0.2\n")
    return made


def files(project) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (project.folder / "book/results").rglob("*.*")}


@pytest.fixture(scope="module")
def recorded(project):
    """The project with two seeds on record, and the commit at which they were made."""
    commit = project.commit()
    code, out, error = project.call("run", "first", "--profile", "small", "--seeds", "2", "--record")
    assert code == 0, error
    assert "on record in book/results/first/small-seed1.csv" in out
    return commit


def test_seeds_are_recorded_with_their_own_facts(project, recorded):
    assert set(files(project)) == {f"small-seed{seed}.{ending}" for seed in (0, 1) for ending in ("csv", "json")}
    facts = [json.loads(files(project)[f"small-seed{seed}.json"]) for seed in (0, 1)]
    assert [it["commit"] for it in facts] == [recorded] * 2 and not any(it["dirty"] for it in facts)
    assert all(it["threads"] == 1 and it["seconds"] > 0 and it["parameters"]["rate"] == 0.2 for it in facts)
    networks = [it["networks"][0] for it in facts]
    features = torch.backends.cpu.get_cpu_capability()
    assert all(features in made["processor"] for made in (*facts, *(network["training"] for network in networks)))
    assert networks[0]["file"] != networks[1]["file"]
    assert all(it["training"]["threads"] == 1 and it["training"]["processor"] for it in networks)
    rows = list(csv.DictReader(files(project)["small-seed1.csv"].decode().splitlines()))
    assert [(row["name"], float(row["value"])) for row in rows] == [("height/a", 1 / 3 + 1), ("height/b", 0.25)]


def test_only_record_writes_the_ledger_and_other_parameters_get_a_key(project, recorded):
    before = files(project)
    assert project.call("run", "first", "--profile", "small", "-p", "seed", "5")[0] == 0
    assert files(project) == before
    code, out, error = project.call("run", "first", "--profile", "small", "-p", "rate", "0.3", "--record")
    assert code == 0 and "small-seed0-" in out, error
    assert len(files(project)) == len(before) + 2 and files(project).items() > before.items()
    (key,) = {path.stem.split("-")[2] for path in map(Path, files(project).keys() - before.keys())}
    assert len(key) == 8 and not set(key) - set("0123456789abcdef"), "a series of its own, whose seeds stand beside"


def test_a_changed_tree_is_refused_before_any_work_unless_dirty(project, recorded):
    before, extra = files(project), project.folder / "nblib/extra.py"
    extra.write_text('"""Another module."""\n')
    try:
        words = ["run", "first", "--profile", "small", "-p", "seed", "7", "--record"]
        code, out, error = project.call(*words, timeout=60)
        assert code == 2 and "commit them first" in error and "--dirty" in error
        assert out == "" and files(project) == before
        assert project.call(*words, "--dirty")[0] == 0
    finally:
        extra.unlink()
    facts = json.loads(files(project)["small-seed7.json"])
    assert facts["dirty"] is True and facts["commit"] == f"{recorded}+"


def test_results_are_one_table(project, recorded, tmp_path):
    code, out, error = project.call("results", "first")
    assert code == 0, error
    lines = out.splitlines()
    assert lines[0].split() == ["profile", "seed", "key", "name", "value", "unit", "what"]
    assert any(line.split()[:3] == ["small", "1", "height/a"] and "height of a" in line for line in lines)
    code, out, error = project.call("results", "first", "--csv", str(tmp_path / "all.csv"))
    assert code == 0 and "numbers of" in out, error
    rows = list(csv.DictReader((tmp_path / "all.csv").open()))
    (row,) = [row for row in rows if (row["seed"], row["key"], row["name"]) == ("1", "", "height/a")]
    assert float(row["value"]) == 1 / 3 + 1 and row["commit"] == recorded and row["dataset"] == "digits"


def test_an_error_of_a_cell_is_one_sentence_and_its_traceback_lies_in_the_failed_notebook(project):
    code, out, error = project.call("run", "third", "-o", str(project.folder / "_build/out.ipynb"))
    failed = project.folder / "_build/out.failed.ipynb"
    assert code == 1 and out == ""
    assert error.splitlines()[-1] == f"nblib: third: ValueError: too few, expected more; the traceback is in {failed}"
    assert "Traceback" not in error and "Traceback" in failed.read_text()


def test_a_recorded_seed_is_verified_by_running_it_again(project, recorded):
    before, lab = files(project), project.folder / "book/first.ipynb"
    words = ["results", "first", "--verify", "1", "--profile", "small"]
    code, out, error = project.call(*words)
    assert code == 0 and "2 numbers compared" in out and "\nequal to the last bit\n" in out, out + error
    kept = lab.read_text()
    try:
        lab.write_text(kept.replace("1 / 3 + run.seed", "1 / 3 + run.seed + 1e-12 * run.rate"))
        code, out, error = project.call(*words)
        assert code == 1 and "different" in out and "under the same conditions; 1 of 2" in out, out + error
        assert f"height/a: {1 / 3 + 1 + 1e-12 * 0.2!r}, on record {1 / 3 + 1!r}" in out, "with the recorded parameters"
    finally:
        lab.write_text(kept)
    assert files(project) == before


@pytest.mark.parametrize("words, expected", [
    (["results", "first", "--verify", "9", "--profile", "small"], ["seed 9", "small with the seeds 0, 1"]),
    (["results", "first", "--verify", "0"], ["no recorded run of the profile 'recorded'"]),
    (["results", "first", "--profile", "small"], ["--profile goes with --verify"]),
    (["results", "frist"], ["nothing is recorded of 'frist'", "nearest: 'first'"]),
    (["results", "second"], ["nothing is recorded of 'second'"]),
    (["results", "first", "--csv", "book"], ["book"]),
    (["results", "first", "--csv", "pyproject.toml/all.csv"], ["pyproject.toml"]),
    (["run", "first", "--dirty"], ["--dirty goes with --record"]),
])
def test_slips_are_told(project, recorded, words, expected):
    code, out, error = project.call(*words, timeout=60)
    assert code in (1, 2) and out == "" and "Traceback" not in error
    assert all(text in error for text in expected), error
