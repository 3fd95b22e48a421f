"""Sweeps: what texts with several values mean, and settings executed on workers that die, fail and are stopped."""
import json
import os
import signal
import subprocess
import sys
import time

import pandas
import psutil
import pytest
from matplotlib import pyplot

from nblib import store
from nblib.runs import chapters
from nblib.runs.environment import ALLOCATION
from nblib.runs.parameters import Parameter, Refused
from nblib.runs.sweeps import cluster, settings, table
from tests.fixtures.project import Project

MEASURE = """import pathlib, psutil, time
def happened(what):
    with open(f"{what}-{run.kind}-{run.seed}", "a") as file:
        file.write("x")
    return pathlib.Path(file.name).stat().st_size
times = happened("ran")
if run.kind == "green" and run.seed == 1 and times == 1:
    psutil.Process().parents()[1].kill()  # the worker: what executes, and this kernel, have to end with it
    time.sleep(60)
if run.kind == "green" and run.seed == 2:
    1 / 0
while run.kind == "blue" and run.seed == 1 and not pathlib.Path("go").exists():
    pathlib.Path("kernel").write_text(str(psutil.Process().pid))
    time.sleep(0.1)
record("height", {"of it": run.seed + 0.5, "of all": 2.0}, what="the height {}", unit="m", run=run)"""
NUMBERS = {"int": Parameter("seed", "int", 0, "", 0, 100), "float": Parameter("rate", "float", 0.5, ""),
           "str": Parameter("model", "str", "a", ""), "list": Parameter("steps", "list", [1], "")}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("sweep"), {"first": [MEASURE]})


def ran(project, kind: str, *seeds: int) -> list[int]:
    """How often each setting was begun."""
    paths = [project.folder / f"book/ran-{kind}-{seed}" for seed in seeds]
    return [path.stat().st_size if path.exists() else 0 for path in paths]


@pytest.mark.parametrize("kind, text, expected", [
    ("int", "0..4", [0, 1, 2, 3, 4]), ("int", "3", [3]), ("int", "7,0..2,1", [7, 0, 1, 2]), ("int", "2..2", [2]),
    ("float", "1e-3, .5", [0.001, 0.5]),
    ("str", "small_resnet,timm:resnet18", ["small_resnet", "timm:resnet18"]), ("str", "0..4", ["0..4"]),
    ("str", "'folder:a,b',shapes", ["folder:a,b", "shapes"]), ("str", '"a, b"', ["a, b"]), ("str", "", [""]),
    ("str", "'',default", ["", "default"]), ("str", "it's,its", ["it's", "its"]), ("str", "a[1,b", ["a[1,b"]),
    ("list", "[1,5],[10]", [[1, 5], [10]]), ("list", "[1, 5]", [[1, 5]]),
])
def test_a_text_names_values(kind, text, expected):
    assert settings.values(NUMBERS[kind], text) == expected


@pytest.mark.parametrize("kind, text, said", [
    ("int", "4..0", "smaller end first"), ("int", "0..101", "101 was given; expected 0 to 100"), ("int", "1,,2", "empty value"),
    ("float", "0..1", "whole numbers"), ("int", "1,", "empty value"),
])
def test_texts_that_name_none_are_refused(kind, text, said):
    with pytest.raises(Refused, match=said):
        settings.values(NUMBERS[kind], text)


@pytest.mark.parametrize("kind, text, said", [
    ("int", "0..4", "names 5 values.*sweep"), ("str", "a,b", "names 2 values.*quoted"), ("list", "1,5", "brackets"),
])
def test_a_run_takes_one_value(kind, text, said):
    with pytest.raises(Refused, match=said):
        settings.one(NUMBERS[kind], text)
    assert settings.one(NUMBERS["str"], "'a,b'") == "a,b"


def test_settings_are_all_combinations_and_named_by_what_differs():
    found = settings.combined("saliency_lab", {"image_size": 48}, [("seed", "0..1"), ("model", "small_resnet,timm:resnet18")])
    assert list(found) == ["seed=0 model=small_resnet", "seed=0 model=timm:resnet18",
                           "seed=1 model=small_resnet", "seed=1 model=timm:resnet18"]
    assert all(values["image_size"] == 48 and "batch_size" in values for values in found.values())
    assert found["seed=1 model=timm:resnet18"]["seed"] == 1
    for texts, said in [([("sede", "0..1")], "nearest: 'seed'"), ([("seed", "x,y")], "'x' was given"),
                        ([("seed", "0..999"), ("train_images", "100..199")], "100,000 settings, expected at most")]:
        with pytest.raises(Refused, match=said):
            settings.combined("saliency_lab", {}, texts)


def test_workers_elsewhere_may_have_a_gpu_that_this_machine_has_not():
    (name, setting), = settings.combined("saliency_lab", {"device": "cuda:99", "image_size": 16}, []).items()
    with pytest.raises(Refused, match="device 'cuda:99' was given"):
        settings.expect_each("saliency_lab", {name: setting})
    settings.expect_each("saliency_lab", {name: setting}, elsewhere=True)
    with pytest.raises(Refused, match="device 'cdua' was given"):
        settings.expect_each("saliency_lab", {name: setting | {"device": "cdua"}}, elsewhere=True)


REFUSALS = [
    (["sweep", "first", "-p", "seed", "0..1", "-p", "model", "small_resnet,small_resne"], ["seed=0 model=small_resne:", "nearest"]),
    (["sweep", "first", "-o", "out.txt"], ["ending in .csv"]),
    (["sweep", "first", "-p", "seed", "0..1", "--plot", "height", "--against", "sede"], ["--against sede", "nearest: 'seed'"]),
    (["sweep", "first", "--record"], ["no git checkout"]),
    (["run", "first", "-p", "seed", "0..1"], ["names 2 values", "`sweep` takes several"]),
]


@pytest.mark.parametrize("words, expected", REFUSALS, ids=lambda value: " ".join(value))
def test_what_does_not_fit_is_refused_before_any_work(project, words, expected):
    code, out, error = project.call(*words, timeout=60)
    assert code == 2 and not out and "Traceback" not in error, error
    assert all(text in error for text in expected), error
    assert ran(project, "red", 0, 1) == [0, 0]


def test_a_lab_on_a_worker_keeps_the_memory_that_it_freed_whatever_dask_asks_for(monkeypatch, tmp_path):
    for name in ALLOCATION:
        monkeypatch.setenv(name, "65536")
    seen = {}
    monkeypatch.setattr(chapters, "kept", lambda *_, **how: tmp_path / "key.ipynb")
    monkeypatch.setattr(chapters, "apart", lambda *_, **how: seen.update(os.environ) or [("one", chapters.ChapterFailed("one", "x"))])
    assert cluster.execute("one", {}, "key") == (None, "chapter one failed in x")
    assert {name: seen[name] for name in ALLOCATION} == ALLOCATION


def test_an_address_where_nothing_answers_is_refused(monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    with pytest.raises(Refused, match="no scheduler answers there"), cluster.joined(1, "tcp://127.0.0.1:1"):
        pass


def test_two_workers_one_killed_and_a_setting_that_fails(project, tmp_path):
    out = tmp_path / "table.csv"
    words = ["sweep", "first", "-p", "kind", "green", "-p", "seed", "0..2", "--workers", "2", "-o", str(out),
             "--record", "--dirty"]
    begun = time.monotonic()
    code, said, error = project.call(*words)
    took = time.monotonic() - begun
    assert code == 1 and "chapter first failed in cell 4" in error and "division by zero" in error, error
    assert "1 of 3 settings failed: kind=green seed=2" in error and "[3/3]" in error and "0 left" in error
    assert ran(project, "green", 0, 1, 2) == [1, 2, 1], "a killed worker loses its setting, and no other"
    found = pandas.read_csv(out)
    assert list(found["seed"]) == [0, 0, 1, 1] and set(found["kind"]) == {"green"}
    assert list(found[found["name"] == "height/of it"]["value"]) == [0.5, 1.5] and set(found["unit"]) == {"m"}
    ledger = sorted(path.name for path in (project.folder / "book/results/first").iterdir())
    assert len(ledger) == 4 and all(name.startswith(("default-seed0-", "default-seed1-")) for name in ledger), ledger

    begun = time.monotonic()
    words[4] = "green,green"
    words[7] = "0,1"
    code, said, error = project.call(*words, "--plot", "height")
    assert code == 0 and "2 of 2 settings are kept, 0 are left" in error, error
    assert said.splitlines()[:2] == [str(out), str(out.with_suffix(".png"))]
    assert ran(project, "green", 0, 1) == [1, 2] and time.monotonic() - begun < took
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG") and len(pandas.read_csv(out)) == 4


@pytest.fixture
def scheduler(project, tmp_path):
    """The address of a scheduler begun by hand, with one worker that shares no store with the project."""
    told = tmp_path / "scheduler.json"
    environ = project.environment | {"NBLIB_STORE": str(tmp_path / "other")}

    def start(what: str, *words: str) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-m", f"distributed.cli.dask_{what}", "--no-dashboard", *words], cwd=tmp_path,
                                env=environ, stderr=subprocess.DEVNULL, preexec_fn=store.tie)

    begun = [start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(told))]
    try:
        while not told.exists():
            assert begun[0].poll() is None
            time.sleep(0.1)
        begun.append(start("worker", "--nthreads", "1", "--no-nanny", "--scheduler-file", str(told)))
        yield json.loads(told.read_text())["address"]
    finally:
        for process in reversed(begun):
            process.kill()
            process.wait()


def test_a_scheduler_begun_by_hand_is_joined_by_its_address(project, scheduler, tmp_path):
    out = tmp_path / "table.csv"
    code, said, error = project.call("sweep", "first", "-p", "seed", "5", "--scheduler", scheduler, "-o", str(out))
    assert code == 0 and f"the workers of {scheduler}" in error, error
    assert ran(project, "red", 5) == [1] and len(pandas.read_csv(out)) == 2
    mine, others = (sorted(path.read_text() for path in folder.glob("measured/first/*.ipynb"))
                    for folder in (project.folder / "_build/store", tmp_path / "other"))
    assert len(others) == 1 and set(others) <= set(mine), "what was executed elsewhere is not kept here"


def test_an_interrupted_sweep_leaves_nothing_half_written_and_goes_on(project, tmp_path):
    out, kept = tmp_path / "table.csv", project.folder / "_build/store/measured/first"
    words = ["sweep", "first", "-p", "kind", "blue", "-p", "seed", "0..1", "--workers", "2", "-o", str(out)]
    before = set(kept.glob("*.ipynb"))
    process = project.start(*words)
    told = project.folder / "book/kernel"
    while not (told.exists() and told.read_text() and len(set(kept.glob("*.ipynb")) - before) == 1):
        assert process.poll() is None
        time.sleep(0.2)
    workers = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in error and "Traceback" not in error, error
    assert not psutil.wait_procs(workers, timeout=10)[1], "something goes on"
    assert not psutil.pid_exists(int(told.read_text()))
    assert not out.exists() and len(set(kept.iterdir()) - before) == 1, "a half-written page"
    (project.folder / "book/go").touch()
    code, _, error = project.call(*words)
    assert code == 0 and "1 of 2 settings are kept, 1 are left" in error, error
    assert ran(project, "blue", 0, 1) == [1, 2] and len(pandas.read_csv(out)) == 4


def frame(**changed) -> pandas.DataFrame:
    rows = [{"seed": seed, "model": model, "rate": rate, "name": name, "value": seed / 10 + rate, "unit": "share"} | changed
            for seed in range(3) for model in ("a", "b") for rate in (0.1, 0.2) for name in ("hit/x", "hit/y", "miss")]
    return pandas.DataFrame(rows)


@pytest.mark.parametrize("number, against", [("hit", "rate"), ("hit/x", "model"), ("miss", "seed")])
def test_a_number_is_drawn_against_a_parameter(tmp_path, number, against):
    table.plot(frame(), number, against, ["seed", "model", "rate"], tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5000


def test_a_parameter_with_one_value_is_in_no_name_of_a_line(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr("nblib.figures.curves", lambda lines, **how: drawn.update(lines) or pyplot.figure())
    table.plot(frame(steps=2), "miss", "rate", ["seed", "model", "rate", "steps"], tmp_path / "plot.png")
    assert list(drawn) == ["model a", "model b"]


def test_what_cannot_be_drawn_is_refused(tmp_path):
    with pytest.raises(Refused, match="no such number; nearest: 'miss'"):
        table.plot(frame(), "mis", "rate", ["rate"], tmp_path / "plot.png")
    many = pandas.concat([frame(name=f"hit/{number}") for number in range(20)])
    with pytest.raises(Refused, match="told apart"):
        table.plot(many, "hit", "rate", ["rate"], tmp_path / "plot.png")
    assert not list(tmp_path.iterdir())
