"""Executing chapters: each once for its key, whole or not at all."""
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from nblib import store
from nblib.runs import bookkeeping, parameters
from nblib.runs.environment import ALLOCATION

WAITED = re.compile(r"^nblib: .*, waiting for it\n", re.M)  # what `store.hold` says
FOUND = "\n## What we found\n"
OF_THE_BOOK = """
```{note}
This page was run with parameters of its own, which are folded below the opening picture. What is said of *this page's run*
is about them. *What we found*, the opening picture and all recorded numbers are the book's, of its own networks and images.
```
"""
TIE = "from nblib import store as _; _.end_with({}); del _"  # the kernel's first line


class ChapterFailed(parameters.WorkFailed):
    """A cell of a chapter raised, or its process ended; `traceback` is what its reader would have seen."""

    def __init__(self, chapter: str, traceback: str):
        super().__init__(chapter, traceback)
        self.chapter, self.traceback = chapter, traceback

    def __str__(self) -> str:
        return f"chapter {self.chapter} failed in {self.traceback}"


def page_key(chapter: str, values: Mapping[str, object], *, shown: bool = True) -> str:
    """Return the key of an executed page, made from all that it depends on.

    That is all of `nblib`, the notebook, its parameters and the files that they name (data, weights, a reader's own
    network), its ledger and claims, and the pins.

    Args:
        shown: False leaves out the ledger and the claims, which a page shows, and on which nothing it measures depends.
    """
    name = parameters.lesson_of(chapter)
    patterns = [f"published/{name}.json", f"claims/{name}.yaml", f"results/{name}/*"] if shown else []
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
    parts = [] if values["dataset"] in data.STIMULI else [data.files_key(values["dataset"])]  # movies are made here
    parts += models.published(model) if weights == "default" else [Path(weights)] if weights else []
    return [*parts, *(models.made_of(model, parameters.network(values)) if ":" in model else [])]


def kept(chapter: str, values: Mapping[str, object], *, shown: bool = True, clean: bool = False) -> Path:
    """Return where the executed page of this key lies, or will lie.

    Args:
        shown: as in `page_key`; what is kept for its numbers alone has a folder of its own.
        clean: what was executed where files had changed since the commit does not do, and is thrown away.
    """
    home = store.folder("executed" if shown else "measured", chapter)
    path = home / f"{page_key(chapter, values, shown=shown)}.ipynb"
    if clean and whole(path) and bookkeeping.is_dirty(nbformat.read(path, 4).metadata["nblib"]["commit"]):
        path.unlink()
    return path


def whole(path: Path) -> bool:
    """Say whether an executed page lies at `path`; what lies there and is none is thrown away, and told."""
    if not path.exists():
        return False
    try:
        made = nbformat.read(path, 4).metadata["nblib"]
        missing = {"seconds", "peak_gigabytes", "parameters", "commit"} - made.keys()
        problem = f"lacks {', '.join(sorted(missing))}" if missing else ""
    except Exception as error:  # the reader's errors of broken files share no ancestor
        problem = f"is no executed page ({type(error).__name__})"
    if problem:
        store.say(f"{path} {problem}: it is thrown away and made again")
        path.unlink()
    return not problem


def execute(chapter: str, values: Mapping[str, object], target: Path, scratch: Path, *, progress: bool = True) -> Path:
    """Run a chapter with `values` and write the executed notebook to `target`, whole or not at all.

    Args:
        scratch: a folder for what is written until then.

    Raises:
        ChapterFailed: a cell raised, and what had run until then lies beside `target`, with ".failed" in its name; or
            the kernel was killed.
    """
    start, made_at = time.monotonic(), bookkeeping.commit()
    changed = {
        name: values[name]
        for name, known in parameters.declared(parameters.source(chapter)).items()
        if name in values and values[name] != known.default
    }
    failed, begun = target.with_suffix(".failed.ipynb"), [0]
    try:
        papermill.execute_notebook(
            parameters.source(chapter),
            scratch / "run.ipynb",
            changed,
            cwd=parameters.BOOK,
            kernel_name="python3",
            request_save_on_cell_execute=False,  # each save checks the whole notebook: a second a cell of a long one
            progress_bar={"desc": chapter, "unit": "cell"} if progress else False,
            start_timeout=300,
            extra_arguments=[f"--IPKernelApp.exec_lines={TIE.format(os.getpid())}"],
            on_cell_start=lambda cell, cell_index: begun.append(cell_index),
        )
        notebook = tidy(nbformat.read(scratch / "run.ipynb", 4))
    except PapermillExecutionError as error:
        store.write(failed, (scratch / "run.ipynb").read_bytes())
        raise ChapterFailed(chapter, f"cell {error.cell_index}:\n" + "\n".join(error.traceback)) from None
    except DeadKernelError:
        raise ChapterFailed(chapter, f"cell {begun[-1]}: its kernel was killed, perhaps for want of memory") from None
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    notebook.metadata["nblib"] = {
        "seconds": round(time.monotonic() - start, 1),
        "peak_gigabytes": round(peak / 1e9, 2),
        "parameters": dict(values),
        "commit": made_at,
    }
    store.write(target, nbformat.writes(notebook))
    failed.unlink(missing_ok=True)
    return target


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Fold the injected values away and say what is not theirs; drop clock readings, paths and waits, so that equal runs
    give equal files.
    """
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata.tags.append("hide-cell")
            cell.metadata["mystnb"] = {"code_prompt_show": "Parameters of this run"}
            notebook.cells[0].source = notebook.cells[0].source.replace(FOUND, OF_THE_BOOK + FOUND)
        for output in [output for output in cell.get("outputs", []) if output.get("name") == "stderr"]:
            output.text = WAITED.sub("", output.text)
            if not output.text:
                cell.outputs.remove(output)
    return notebook


def execute_all(table: Mapping[str, Mapping[str, object]], jobs: int) -> Iterator[tuple[str, Path | ChapterFailed]]:
    """Execute the chapters of `table` (chapter to parameters) that are not kept, `jobs` at once, yielding each as it ends."""
    missing = []
    for chapter, values in table.items():
        target = kept(chapter, values)
        if whole(target):
            yield chapter, target
        else:
            missing.append((chapter, values, target))
    yield from apart(missing, jobs)


def apart(work: Sequence[tuple[str, Mapping[str, object], Path]], jobs: int = 1, *,
          progress: bool = True) -> Iterator[tuple[str, Path | ChapterFailed]]:
    """Execute (chapter, parameters, target), each in a process of its own, `jobs` at once, yielding each as it ends.

    A process of its own has its own peak of memory, and can be stopped at once: when the caller is interrupted, all are.
    """
    waiting, running = list(work), {}
    threads = max(1, (os.cpu_count() or 1) // max(1, min(jobs, len(waiting))))
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                chapter, values, target = waiting.pop(0)
                words = chapter, json.dumps(values), str(target), "loud" if progress else ""
                command = store.tied("nblib.runs.chapters:main", *words)
                said = tempfile.TemporaryFile("w+")
                environ = {"OMP_NUM_THREADS": str(threads)} | ALLOCATION | os.environ  # what the caller chose holds
                with store.deaf():
                    running[chapter] = subprocess.Popen(command, stdout=said, env=environ), said, target
            for chapter, (process, said, target) in list(running.items()):
                if process.poll() is not None:
                    del running[chapter]
                    said.seek(0)
                    cause = said.read() or _end_of(process.returncode)
                    yield chapter, target if process.returncode == 0 else ChapterFailed(chapter, cause)
            time.sleep(0.1)
    finally:
        for process, _, _ in running.values():
            process.kill()
            process.wait()


def _end_of(status: int) -> str:
    """Say in words how a process ended that could not say it itself."""
    if status < 0:
        return f"its process, which was killed ({signal.Signals(-status).name}), perhaps for want of memory"
    return f"its process, which ended with status {status}; what it said of it stands above"


def main() -> int:
    """Execute the chapter of the command line unless another process has just done so; print why one fails."""
    chapter, values, target, progress = sys.argv[1:]
    try:
        kept_in = store.folder("executed", chapter), store.folder("measured", chapter)
        name = store.folder("locks") / f"{chapter}-{store.key(target)}"
        with store.lock(name, f"another process executes chapter {chapter}"), store.scratch() as scratch:
            tempfile.tempdir = str(scratch)  # where the kernel's ports are written: nothing is left if we are killed
            if Path(target).parent in kept_in and whole(Path(target)):
                return 0
            execute(chapter, json.loads(values), Path(target), scratch, progress=bool(progress))
    except ChapterFailed as error:
        print(error.traceback)
    except OSError as error:
        print(f"its process: {error.filename or target}: {error.strerror or error}")
    except Exception:
        print(f"its process:\n{traceback.format_exc()}")
    else:
        return 0
    return 1

