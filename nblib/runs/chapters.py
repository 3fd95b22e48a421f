"""Executing chapters: each once for its key, whole or not at all."""
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from nblib import store
from nblib.runs import bookkeeping, parameters


class ChapterFailed(parameters.WorkFailed):
    """A cell of a chapter raised; `traceback` is what its reader would have seen."""

    def __init__(self, chapter: str, traceback: str):
        super().__init__(chapter, traceback)
        self.chapter, self.traceback = chapter, traceback

    def __str__(self) -> str:
        return f"chapter {self.chapter} failed in {self.traceback}"


def page_key(chapter: str, values: Mapping[str, object]) -> str:
    """Return the key of an executed page, made from all that it depends on.

    That is all of `nblib`, the notebook, its parameters and the files that they name (data, weights, a reader's own
    network), its ledger and claims, and the pins.
    """
    name = parameters.lesson_of(chapter)
    patterns = [f"published/{name}.json", f"claims/{name}.yaml", f"results/{name}/*"]
    ledger = sorted(path for pattern in patterns for path in parameters.BOOK.glob(pattern))
    return store.key(
        "{}.{}".format(*sys.version_info[:2]),
        [str(path.relative_to(store.ROOT)) for path in store.sources("")],
        *store.sources(""),
        parameters.source(chapter),
        dict(values),
        [str(path.relative_to(store.ROOT)) for path in ledger],
        *ledger,
        store.ROOT / "requirements.txt",
        *_named(values),
    )


def _named(values: Mapping[str, object]) -> list[object]:
    """Return what the parameters name and `nblib` does not hold: data, weights, and a reader's own network."""
    from nblib import data, models

    model, weights = values["model"], values.get("weights")
    parts = [data.files_key(values["dataset"])]
    parts += models.published(model) if weights == "default" else [Path(weights)] if weights else []
    return [*parts, *(models.made_of(model, parameters.network(values)) if ":" in model else [])]


def kept(chapter: str, values: Mapping[str, object]) -> Path:
    """Return where the executed page of this key lies, or will lie."""
    return store.folder("executed", chapter) / f"{page_key(chapter, values)}.ipynb"


def execute(chapter: str, values: Mapping[str, object], target: Path, *, progress: bool = True) -> Path:
    """Run a chapter with `values` and write the executed notebook to `target`, whole or not at all.

    Raises:
        ChapterFailed: a cell raised; what had run until then lies beside `target`, with ".failed" in its name.
    """
    start, made_at = time.monotonic(), bookkeeping.commit()
    changed = {
        name: values[name]
        for name, known in parameters.declared(parameters.source(chapter)).items()
        if name in values and values[name] != known.default
    }
    scratch = target.with_name(f".{target.stem}-{os.getpid()}.ipynb")
    scratch.parent.mkdir(parents=True, exist_ok=True)
    try:
        papermill.execute_notebook(
            parameters.source(chapter),
            scratch,
            changed,
            cwd=parameters.BOOK,
            kernel_name="python3",
            request_save_on_cell_execute=False,  # each save checks the whole notebook: a second a cell of a long one
            progress_bar={"desc": chapter, "unit": "cell"} if progress else False,
            start_timeout=300,
        )
        notebook = tidy(nbformat.read(scratch, 4))
    except PapermillExecutionError as error:
        scratch.replace(target.with_suffix(".failed.ipynb"))
        raise ChapterFailed(chapter, f"cell {error.cell_index}:\n" + "\n".join(error.traceback)) from None
    finally:
        scratch.unlink(missing_ok=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    notebook.metadata["nblib"] = {
        "seconds": round(time.monotonic() - start, 1),
        "peak_gigabytes": round(peak / 1e9, 2),
        "parameters": dict(values),
        "commit": made_at,
    }
    store.write(target, nbformat.writes(notebook))
    target.with_suffix(".failed.ipynb").unlink(missing_ok=True)
    return target


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Fold the injected values away and drop clock readings and paths, so that equal runs give equal files."""
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata.tags.append("hide-cell")
            cell.metadata["mystnb"] = {"code_prompt_show": "Parameters of this run"}
    return notebook


def execute_all(table: Mapping[str, Mapping[str, object]], jobs: int) -> Iterator[tuple[str, Path | ChapterFailed]]:
    """Execute the chapters of `table` (chapter to parameters) that are not kept, `jobs` at once, yielding each as it ends."""
    missing = []
    for chapter, values in table.items():
        target = kept(chapter, values)
        if target.exists():
            yield chapter, target
        else:
            missing.append((chapter, values, target))
    yield from apart(missing, jobs)


def apart(work: Sequence[tuple[str, Mapping[str, object], Path]], jobs: int = 1) -> Iterator[tuple[str, Path | ChapterFailed]]:
    """Execute (chapter, parameters, target), each in a process of its own, `jobs` at once, yielding each as it ends.

    A process of its own has its own peak of memory, and can be stopped at once: when the caller is interrupted, all are.
    """
    waiting, running = list(work), {}
    threads = max(1, (os.cpu_count() or 1) // max(1, min(jobs, len(waiting))))
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                chapter, values, target = waiting.pop(0)
                command = [sys.executable, "-m", "nblib.runs.chapters", chapter, json.dumps(values), str(target)]
                said = tempfile.TemporaryFile("w+")
                environ = {"OMP_NUM_THREADS": str(threads)} | os.environ  # what the caller chose holds
                running[chapter] = subprocess.Popen(command, stdout=said, env=environ), said, target
            for chapter, (process, said, target) in list(running.items()):
                if process.poll() is not None:
                    del running[chapter]
                    said.seek(0)
                    yield chapter, target if process.returncode == 0 else ChapterFailed(chapter, said.read())
            time.sleep(0.1)
    finally:
        for process, _, _ in running.values():
            process.kill()
            process.wait()


def main(chapter: str, values: str, target: str) -> int:
    """Execute one chapter unless another process has just done so; print the traceback of one that fails."""
    with store.lock(store.folder("locks") / f"{chapter}-{store.key(target)}"):
        if Path(target).parent == store.folder("executed", chapter) and Path(target).exists():
            return 0
        try:
            execute(chapter, json.loads(values), Path(target))
        except ChapterFailed as error:
            print(error.traceback)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
