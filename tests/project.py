"""A copy of the project with tiny chapters of its own, to build, break and interrupt."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from nblib.store import ROOT

TOC = """format: jb-book
root: book/index
parts:
  - caption: Chapters
    chapters:
{chapters}
"""
PARAMETERS = '''dataset: str = "digits"  # data set
model: str = "small_resnet"  # network
seed: int = 0  # seed [0, 100]
device: str = "cpu"  # device
image_size: int = 32  # side [16, 64]
rate: float = 0.5  # rate [0, 1]
kind: str = "red"  # colour [red | green | blue]'''


def notebook(path: Path, *cells: str) -> None:
    """Write a chapter with the usual first cells, then `cells` of code."""
    name = path.stem
    made = new_notebook(cells=[
        new_markdown_cell(f"# {name.capitalize()}", id="title"),
        new_code_cell(PARAMETERS, id="parameters", metadata={"tags": ["parameters"]}),
        new_code_cell(f"from nblib.runs.notebook import glue, record, start\nrun = start({name!r}, globals())", id="start"),
        *(new_code_cell(cell, id=f"cell-{number}") for number, cell in enumerate(cells)),
    ])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for cell in made.cells:
        cell.pop("outputs", None) if cell.cell_type == "markdown" else None
    nbformat.write(made, path)


class Project:
    """The copy: its folder, and its command line."""

    def __init__(self, folder: Path, chapters: dict[str, list[str]]):
        self.folder = folder
        shutil.copytree(ROOT / "nblib", folder / "nblib", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "requirements.txt", "_config.yml"):
            shutil.copy(ROOT / name, folder)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        book = folder / "book"
        book.mkdir()
        (book / "profiles/small").mkdir(parents=True)
        shutil.copytree(ROOT / "book/_static", book / "_static")
        (book / "references.bib").write_text("")
        (book / "index.md").write_text("# Start\n")
        (book / "running.md").write_text("# How to run it\n")
        for name, cells in chapters.items():
            notebook(book / f"{name}.ipynb", *cells)
        lines = "\n".join(f"      - file: book/{name}" for name in [*chapters, "running", "parameters", "run_times"])
        (folder / "_toc.yml").write_text(TOC.format(chapters=lines))

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(self.folder), "OMP_NUM_THREADS": "1", "NBLIB_STORE": ""}

    def start(self, *words: str) -> subprocess.Popen:
        """Start a command of the copy in a process group of its own."""
        return subprocess.Popen([sys.executable, "-m", "nblib", *words], cwd=self.folder, env=self.environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)

    def call(self, *words: str, timeout: int = 300) -> tuple[int, str, str]:
        """Run a command of the copy; return exit code, standard output, standard error."""
        process = self.start(*words)
        out, error = process.communicate(timeout=timeout)
        return process.returncode, out, error
