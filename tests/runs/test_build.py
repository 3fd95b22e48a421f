"""The commands `build` and `run` on a small copy of the project: kept work, failures, interruptions, refusals."""
import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest

from tests.fixtures.project import Project

COUNT = "open('ran.txt', 'a').write('x')"  # leaves a mark each time the cell is executed


def ran(project) -> int:
    path = project.folder / "book/ran.txt"
    return len(path.read_text()) if path.exists() else 0


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("built"), {"first": [COUNT, "print('seed', run.seed)"]})
    code, out, error = project.call("build")
    assert code == 0, error
    return project


def test_a_build_executes_once_and_renders(built):
    assert (built.folder / "_build/html/index.html").exists()
    assert "seed 0" in (built.folder / "_build/html/book/first.html").read_text()
    before = ran(built)
    code, out, error = built.call("build")
    assert code == 0 and ran(built) == before and "up to date" in error
    assert out.strip() == os.path.join("_build", "html", "index.html")


def test_a_change_of_the_library_executes_again(built):
    before = ran(built)
    (built.folder / "nblib/extra.py").write_text('"""Another module."""\n')
    try:
        assert built.call("build")[0] == 0
    finally:
        (built.folder / "nblib/extra.py").unlink()
    assert ran(built) == before + 1


def test_a_profile_has_a_site_of_its_own(built):
    (built.folder / "book/profiles/small/first.yaml").write_text("seed: 7\n")
    code, out, error = built.call("build", "--profile", "small", "--zip")
    assert code == 0, error
    page = (built.folder / "_build/small/html/book/first.html").read_text()
    assert "seed 7" in page and "Parameters of this run" in page
    assert (built.folder / "_build/pathways-small.zip").stat().st_size > 100_000
    assert "seed 0" in (built.folder / "_build/html/book/first.html").read_text()


def test_run_takes_profile_file_and_parameters_in_that_order(built, tmp_path):
    (built.folder / "book/profiles/small/first.yaml").write_text("seed: 7\nrate: 0.1\nkind: green\n")
    (tmp_path / "mine.yaml").write_text("rate: 0.2\nkind: blue\n")
    out = tmp_path / "out.ipynb"
    code, text, error = built.call(
        "run", "first", "--profile", "small", "-f", str(tmp_path / "mine.yaml"), "-p", "kind", "red", "-o", str(out)
    )
    assert code == 0, error
    values = nbformat.read(out, 4).metadata["nblib"]["parameters"]
    assert (values["seed"], values["rate"], values["kind"]) == (7, 0.2, "red")


REFUSALS = [
    (["run", "frist"], ["no chapter 'frist'", "nearest: 'first'"]),
    (["run", "first", "-p", "sede", "1"], ["no parameter 'sede'", "nearest: 'seed'"]),
    (["run", "first", "-p", "seed", "many"], ["seed: 'many' was given", "expected int"]),
    (["run", "first", "-p", "seed", "1.5"], ["seed: 1.5 was given", "expected int"]),
    (["run", "first", "-p", "seed", "true"], ["seed: 'true' was given", "expected int"]),
    (["run", "first", "-p", "seed", "101"], ["seed: 101 was given", "0 to 100"]),
    (["run", "first", "-p", "kind", "gren"], ["'gren' was given", "red, green, blue", "nearest: 'green'"]),
    (["run", "first", "-p", "dataset", "shape"], ["shape", "shapes"]),
    (["run", "first", "-p", "model", "small_resne"], ["small_resne", "small_resnet"]),
    (["run", "first", "-p", "model", "torchvision:resnet81"], ["resnet81", "resnet18"]),
    (["run", "first", "-p", "model", "nowhere:network"], ["nowhere"]),
    (["run", "first", "-p", "device", "cuad"], ["cuad", "'cpu'"]),
    (["run", "first", "-p", "device", "cuda:77"], ["cuda:77"]),
    (["run", "first", "--profile", "smal"], ["no profile 'smal'", "nearest: 'small'"]),
    (["run", "first", "-f", "nowhere.yaml"], ["nowhere.yaml", "can't be read"]),
    (["run", "first", "-o", "out.txt"], ["-o out.txt was given", ".ipynb or .html"]),
    (["run", "first", "-o", "book/out.ipynb"], ["outside book/"]),
    (["run", "first", "-o", "book/out.html"], ["outside book/"]),
    (["run", "first", "-p", "seed", "many", "-o", "out.html"], ["seed: 'many' was given"]),
    (["run", "first", "--seeds", "-1"], ["--seeds -1"]),
    (["build", "--only", "frist"], ["no chapter 'frist'", "nearest: 'first'"]),
    (["build", "--profile", "smal"], ["no profile 'smal'"]),
    (["build", "--jobs", "0"], ["--jobs 0"]),
    (["data", "fetch", "shapse"], ["shapse"]),
]


@pytest.mark.parametrize("words, expected", REFUSALS, ids=lambda value: " ".join(value))
def test_what_does_not_fit_is_refused_before_any_work(built, words, expected):
    before = ran(built)
    code, out, error = built.call(*words, timeout=60)
    assert code == 2 and "Traceback" not in error, error
    for text in expected:
        assert text in error
    assert ran(built) == before


def test_a_broken_parameter_file_is_refused(built, tmp_path):
    for content, expected in [("a: [1", "not YAML"), ("a: {b: 1}", "flat"), ("- 1\n", "flat")]:
        (tmp_path / "broken.yaml").write_text(content)
        code, _, error = built.call("run", "first", "-f", str(tmp_path / "broken.yaml"))
        assert code == 2 and expected in error and "Traceback" not in error


def test_plain_papermill_is_refused_by_the_next_cell(built, tmp_path, monkeypatch):
    import papermill
    from papermill.exceptions import PapermillExecutionError

    monkeypatch.setenv("PYTHONPATH", str(built.folder))
    with pytest.raises(PapermillExecutionError) as refused:
        papermill.execute_notebook(built.folder / "book/first.ipynb", tmp_path / "out.ipynb", {"sede": 1},
                                   cwd=built.folder / "book", progress_bar=False, kernel_name="python3")
    assert "no parameter 'sede'" in "\n".join(refused.value.traceback)
    assert "File" not in "\n".join(refused.value.traceback), "the reader sees the message, not a traceback"


def test_a_failing_chapter_is_named_and_the_others_stay(tmp_path):
    project = Project(tmp_path, {"good": [COUNT], "bad": ["1 / 0"]})
    code, out, error = project.call("build")
    assert code == 1
    assert "chapter bad failed in cell" in error and "ZeroDivisionError" in error
    assert "chapter good: done" in error
    assert not (tmp_path / "_build/html").exists(), "a book with a failed chapter is not rendered"
    assert ran(project) == 1
    from tests.fixtures.project import notebook

    notebook(tmp_path / "book/bad.ipynb", "print('mended')")
    code, out, error = project.call("build")
    assert code == 0 and ran(project) == 1, "the finished chapter was executed twice"
    code, out, error = project.call("build", "--only", "good")
    assert code == 0, error


@pytest.mark.parametrize("stop, background", [(signal.SIGINT, False), (signal.SIGINT, True), (signal.SIGKILL, False)],
                         ids=["Ctrl-C", "Ctrl-C in the background", "kill"])
def test_an_interrupted_build_leaves_nothing_half_done(tmp_path, stop, background):
    wait = "import pathlib, time\npathlib.Path('waiting').touch()\n" \
           "while not pathlib.Path('go').exists(): time.sleep(0.1)"
    project = Project(tmp_path, {"quick": [COUNT], "slow": [wait]})
    process = project.start("build", background=background)
    kept = tmp_path / "_build/store/executed/quick"
    deadline = time.monotonic() + 300  # kernels start slowly beside other tests
    while not ((tmp_path / "book/waiting").exists() and list(kept.glob("[!.]*.ipynb"))):
        if time.monotonic() > deadline or process.poll() is not None:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"nothing to interrupt; waiting {(tmp_path / 'book/waiting').exists()}, kept {list(kept.glob('*'))}:\n"
                        + "".join(map(str, process.communicate())))
        time.sleep(0.2)
    os.killpg(process.pid, stop)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not (tmp_path / "_build/html").exists()
    assert not list((tmp_path / "_build/store/executed/slow").glob("[!.]*.ipynb")), "a half-written page"
    (tmp_path / "book/go").touch()
    code, out, error = project.call("build")
    assert code == 0, error
    assert ran(project) == 1, "finished work was done twice"


def test_relative_paths_mean_the_callers_folder(built, tmp_path):
    from PIL import Image

    for name in ("dark", "light"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(5):
            Image.new("RGB", (24, 24), (number, 0, 200 * (name == "light"))).save(tmp_path / f"photos/{name}/{number}.png")
    own = "import torch\n\n\ndef network(*, classes, size):\n" \
          "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * size * size, classes))\n"
    (tmp_path / "mine.py").write_text(own)
    words = ["run", "first", "-p", "dataset", "folder:photos", "-p", "model", "mine:network", "-o", "out.ipynb"]
    environment = built.environment | {"PYTHONPATH": f"{built.folder}{os.pathsep}.", "NBLIB_STORE": "kept"}
    done = subprocess.run([sys.executable, "-m", "nblib", *words], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    values = nbformat.read(tmp_path / "out.ipynb", 4).metadata["nblib"]["parameters"]
    assert values["dataset"] == f"folder:{tmp_path / 'photos'}" and (tmp_path / "kept").is_dir()


@pytest.mark.parametrize("words, expected", [
    (["-p", "dataset", "folder:"], "after `folder:` comes the path"),
    (["-p", "dataset", "folder:nowhere"], "no folder"),
    (["-o", "missing.ipynb/out.ipynb"], "can't be written"),
])
def test_places_that_are_none_are_refused(built, tmp_path, words, expected):
    (tmp_path / "missing.ipynb").write_text("a file")
    done = subprocess.run([sys.executable, "-m", "nblib", "run", "first", *words], cwd=tmp_path, env=built.environment,
                          capture_output=True, text=True)
    assert done.returncode == 2 and expected in done.stderr and "Traceback" not in done.stderr, done.stderr
