"""Executing chapters: each once for its key, whole or not at all."""
import os
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from nblib import store
from nblib.runs import parameters


class ChapterFailed(parameters.WorkFailed):
    """A cell of a chapter raised; `traceback` is what its reader would have seen."""

    def __init__(self, chapter: str, cell: int, traceback: str):
        super().__init__(chapter, cell, traceback)
        self.chapter, self.cell, self.traceback = chapter, cell, traceback

    def __str__(self) -> str:
        return f"chapter {self.chapter} failed in cell {self.cell}:\n{self.traceback}"


def page_key(chapter: str, values: Mapping[str, object]) -> str:
    """Return the key of an executed page: all of `nblib`, the notebook, its parameters, its ledger files and the pins."""
    ledgers = [parameters.BOOK / folder / f"{chapter}.json" for folder in ("published", "results")]
    return store.key(
        "{}.{}".format(*sys.version_info[:2]),
        [str(path.relative_to(store.ROOT)) for path in store.sources("")],
        *store.sources(""),
        parameters.source(chapter),
        dict(values),
        *(path if path.exists() else "none yet" for path in ledgers),
        store.ROOT / "requirements.txt",
    )


def kept(chapter: str, values: Mapping[str, object]) -> Path:
    """Return where the executed page of this key lies, or will lie."""
    return store.folder("executed", chapter) / f"{page_key(chapter, values)}.ipynb"


def execute(chapter: str, values: Mapping[str, object], target: Path, *, progress: bool = True) -> Path:
    """Run a chapter with `values` and write the executed notebook to `target`, whole or not at all.

    Raises:
        ChapterFailed: a cell raised; what had run until then lies beside `target`, with ".failed" in its name.
    """
    start = time.monotonic()
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
            progress_bar={"desc": chapter, "unit": "cell"} if progress else False,
            start_timeout=300,
        )
        notebook = tidy(nbformat.read(scratch, 4))
    except PapermillExecutionError as error:
        scratch.replace(target.with_suffix(".failed.ipynb"))
        raise ChapterFailed(chapter, error.cell_index, "\n".join(error.traceback)) from None
    finally:
        scratch.unlink(missing_ok=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    notebook.metadata["nblib"] = {
        "seconds": round(time.monotonic() - start, 1),
        "peak_gigabytes": round(peak / 1e9, 2),
        "parameters": dict(values),
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


def _execute_once(chapter: str, values: Mapping[str, object], threads: int) -> Path:
    """Execute a page unless it is kept already, or another process is just making it."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    target = kept(chapter, values)
    with store.lock(target):
        return target if target.exists() else execute(chapter, values, target)


def execute_all(table: Mapping[str, Mapping[str, object]], jobs: int) -> Iterator[tuple[str, Path | ChapterFailed]]:
    """Execute the chapters of `table` (chapter to parameters) that are not kept, `jobs` at once, yielding each as it ends."""
    missing = {}
    for chapter, values in table.items():
        target = kept(chapter, values)
        if target.exists():
            yield chapter, target
        else:
            missing[chapter] = values
    if not missing:
        return
    jobs = min(jobs, len(missing))
    threads = max(1, (os.cpu_count() or 1) // jobs)
    # a process of its own for each chapter, so that its peak memory is its own
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        running = {pool.submit(_execute_once, chapter, values, threads): chapter for chapter, values in missing.items()}
        try:
            for done in as_completed(running):
                error = done.exception()
                if error is not None and not isinstance(error, ChapterFailed):
                    raise error
                yield running[done], error or done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
