"""The commands that need no chapter, and the first steps of a fresh clone."""
import re
import subprocess
import sys

import pytest
from PIL import Image

from nblib.runs import environment
from nblib.store import ROOT


def call(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "nblib", *words], cwd=ROOT, capture_output=True, text=True)


def test_doctor_says_that_the_default_run_works():
    done = call("doctor")
    assert done.returncode == 0, done.stdout
    assert "The default run works here" in done.stdout and "FAIL" not in done.stdout


def test_the_data_sets_are_listed():
    done = call("data", "list")
    assert done.returncode == 0 and "shapes" in done.stdout and "oxford_pets" in done.stdout


def test_who_reads_no_further_ends_a_command_without_a_word():
    with subprocess.Popen([sys.executable, "-m", "nblib", "data", "list"], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""


def test_verifying_a_data_set_says_what_was_looked_at(tmp_path):
    for split in ("train", "val"):
        (tmp_path / "imagenette2-160" / split / "n01440764").mkdir(parents=True)
    done = call("data", "verify", "imagenette", "--data-dir", str(tmp_path))
    assert done.returncode == 1 and "train: imagenette under" in done.stdout
    for split in ("train", "val"):
        Image.new("RGB", (8, 8)).save(tmp_path / "imagenette2-160" / split / "n01440764/1.JPEG")
    done = call("data", "verify", "imagenette", "--data-dir", str(tmp_path))
    said = "imagenette: every file can be read; here are 1 train + 1 val images, published were 9,469 + 3,925\n"
    assert done.returncode == 0 and done.stdout == said, done.stderr
    done = call("data", "verify", "shapes")
    assert done.returncode == 0 and done.stdout == "shapes: it needs no files\n"


def test_one_figure_for_the_disk_is_told_everywhere():
    texts = [(ROOT / name).read_text() for name in ("README.md", "book/running.md", "nblib/runs/environment.py")]
    assert {figure for text in texts for figure in re.findall(r"(\d+) GB", text)} == {"8"}


@pytest.mark.parametrize("words, expected", [
    (["bild"], "invalid choice: 'bild'"),
    (["build", "--solution", "opened"], "invalid choice"),
    (["build", "--jbos", "2"], "--jbos"),
    (["data", "fetch"], "needs the name of a data set"),
    (["data", "verify", "oxford_pet"], "oxford_pets"),
])
def test_slips_on_the_command_line_are_told(words, expected):
    done = call(*words)
    assert done.returncode == 2 and expected in done.stderr and "Traceback" not in done.stderr


def test_another_python_is_refused_before_anything_is_made(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "HOME", tmp_path / ".venv")
    monkeypatch.setattr(sys, "version_info", (3, 9, 1, "final", 0))
    with pytest.raises(environment.SetUpError, match="3.11 or 3.12 is needed"):
        environment.enter(["build"])
    assert not (tmp_path / ".venv").exists()


def test_a_set_up_that_fails_says_what_it_needs(monkeypatch, tmp_path):
    for name, value in {"HOME": tmp_path / ".venv", "STAMP": tmp_path / ".venv/stamp"}.items():
        monkeypatch.setattr(environment, name, value)
    monkeypatch.setattr(environment, "PYTHON", tmp_path / "nowhere/python")
    with pytest.raises(environment.SetUpError, match="package index.*starts over"):
        environment.install()
    assert not (tmp_path / ".venv/stamp").exists(), "a half-made environment must not look ready"


def test_the_stamp_follows_pins_and_python(monkeypatch):
    before = environment.digest()
    assert environment.ready()
    monkeypatch.setattr(sys, "version_info", (3, 12, 1, "final", 0) if sys.version_info[1] == 11 else (3, 11, 1, "final", 0))
    assert environment.digest() != before
