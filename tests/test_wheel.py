"""The library as a wheel: installed elsewhere it imports, keeps what it keeps in the user's cache, and says what needs the book."""
import os
import subprocess
import sys

import pytest

from nblib.store import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder into which a wheel built from a copy of the project was installed."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "ls-files", "nblib", "pyproject.toml", "README.md", "LICENSE"], cwd=ROOT,
                            capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            copy = folder / "source" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((ROOT / name).read_bytes())
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, folder / "source", cwd=folder)
    wheel, = folder.glob("*.whl")
    call(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--disable-pip-version-check", "--target", folder / "site",
         wheel, cwd=folder)
    return folder / "site"


def call(*words, cwd, **environ) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("NBLIB", "PYTHON", "XDG"))}
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=environment | environ, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return done


def python(installed, tmp_path, *words):
    return call(sys.executable, *words, cwd=tmp_path, PYTHONPATH=str(installed), HOME=str(tmp_path), LOCALAPPDATA=str(tmp_path))


SCRIPT = """
import nblib, sys
from pathlib import Path
assert not nblib.__file__.startswith(sys.argv[1]), nblib.__file__
from nblib.data import load
from nblib.methods.saliency import saliency
from nblib.training import trained
model = trained("small_resnet", load("shapes", split="train", limit=18), epochs=1, device="cpu")
maps = saliency(model, load("digits", split="test", limit=2).images, method="integrated_gradients", steps=2)
print(tuple(maps.shape))
from nblib import store
print(*sorted(path.suffix for path in store.folder("models").iterdir()), store.folder().relative_to(Path.home()))
"""


def test_it_imports_trains_and_keeps_in_the_users_cache(installed, tmp_path):
    done = python(installed, tmp_path, "-c", SCRIPT, ROOT)
    assert done.returncode == 0, done.stderr
    shape, kept = done.stdout.splitlines()
    assert shape == "(2, 32, 32)"
    assert ".safetensors" in kept and kept.endswith("nblib/store")
    assert not (installed / "_build").exists()


def test_data_and_doctor_work(installed, tmp_path):
    listed = python(installed, tmp_path, "-m", "nblib", "data", "list")
    assert listed.returncode == 0 and "shapes" in listed.stdout and "imagenette" in listed.stdout
    missing = python(installed, tmp_path, "-m", "nblib", "data", "verify", "imagenette")
    assert missing.returncode and str(tmp_path) in missing.stdout + missing.stderr, missing
    told = python(installed, tmp_path, "-m", "nblib", "doctor")
    assert told.returncode == 0 and "library alone" in told.stdout and "FAIL" not in told.stdout


@pytest.mark.parametrize("words", [["build"], ["test"], ["run", "saliency"], ["results", "saliency"]])
def test_what_needs_the_book_says_so_in_one_sentence(installed, tmp_path, words):
    done = python(installed, tmp_path, "-m", "nblib", *words)
    assert done.returncode == 2 and done.stderr.count("error:") == 1 and "needs the book" in done.stderr
    assert not list(installed.glob(".venv"))
