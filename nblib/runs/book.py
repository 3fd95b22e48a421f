"""From executed chapters to the rendered book and its offline copy."""
import copy
import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import nbformat
import yaml

from nblib import store
from nblib.runs import chapters, pages, parameters
from nblib.runs.handouts import assignments
from nblib.runs.parameters import BOOK, Refused, WorkFailed
from nblib.runs.site import vendor
from nblib.store import say

BUILD = store.ROOT / "_build"
STARTS = re.compile(r"^run = start\(", re.M)
STAMP = ".key"  # in a folder of pages: the key of what they were made from, and each file's
SAYS = re.compile(r"^say\(", re.M)
STUB = "# {title}\n\nThis page was not executed in this build. `python3 -m nblib build` without `--only` executes it.\n"


def build(*, profile: str, only: Sequence[str] | None, solutions: str, packed: bool, jobs: int) -> Path:
    """Execute what is not kept, render the book, and return its first page.

    Raises:
        Refused: an unknown profile or chapter, or a parameter that does not fit.
        WorkFailed: chapters raised, while the others were finished and are kept; or the renderer warned or failed.
    """
    if jobs < 1:
        raise Refused(f"--jobs {jobs} was given, expected 1 or more")
    names = [name for name in parameters.chapters() if not only or name in only]
    for name in only or ():
        parameters.source(name)  # refuses a name that is none
    table = {name: parameters.check(name, _values(profile, name)) for name in names}
    bring_scripts()
    executed = _execute(table, jobs)
    site = BUILD / "html" if profile == "default" else BUILD / profile / "html"
    with store.lock(_stage_of(site), "another build is running") as held:
        left_out = [name for name in parameters.chapters() if name not in executed]
        kept = {name: path for name in left_out if chapters.whole(path := _kept(name))}
        render(executed | kept, site, solutions, held)
        if solutions == "hidden":
            student, course = BUILD / "student", BUILD / "course"
            assignments.write(student, course)
            say(f"student notebooks: {student.relative_to(store.ROOT)}; for nbgrader: {course.relative_to(store.ROOT)}")
        if packed:
            say(f"offline copy: {pack(site, BUILD / f'pathways-{profile}.zip').relative_to(store.ROOT)}")
    return site / "index.html"


def bring_scripts() -> None:
    """Fetch the scripts that the pages load where one is missing or not as it was pinned."""
    names = ", ".join(name for _, _, name, _ in vendor.missing())
    if not names:
        return
    try:
        vendor.fetch()
    except (RuntimeError, OSError) as error:
        raise WorkFailed(f"{names}: missing in {vendor.TARGET}, or not as pinned, and not to be had: {error}. With a "
                         "network, call the same command again") from None


def _stage_of(site: Path) -> Path:
    """Return the folder in which the pages of `site` are rendered."""
    return BUILD / "stage" / site.relative_to(BUILD)


def _values(profile: str, name: str) -> dict[str, object]:
    """Return what a profile sets for a notebook; a lesson without a file keeps its defaults where its lab has one."""
    lab = parameters.lab_of(name)
    if lab != name and profile in parameters.profiles() and not (parameters.PROFILES / profile / f"{name}.yaml").exists():
        parameters.profile(profile, lab)  # refuses where the lab has none either
        say(f"chapter {name}: profile {profile} is for its lab; the lesson keeps its defaults")
        return {}
    return parameters.profile(profile, name)


def _kept(name: str) -> Path:
    """Return where the default run of a chapter is kept."""
    defaults = {item.name: item.default for item in parameters.declared(parameters.source(name)).values()}
    return chapters.kept(name, defaults)


def _execute(table: Mapping[str, Mapping[str, object]], jobs: int) -> dict[str, Path]:
    """Execute the chapters, tell of each as it ends, and raise the first failure after all have ended."""
    executed, failures = {}, []
    for number, (name, result) in enumerate(chapters.execute_all(table, jobs), 1):
        if isinstance(result, chapters.ChapterFailed):
            failures.append(result)
            say(f"[{number}/{len(table)}] chapter {name}: failed")
        else:
            executed[name] = result
            seconds = nbformat.read(result, 4).metadata["nblib"]["seconds"]
            say(f"[{number}/{len(table)}] chapter {name}: done (executed in {seconds} s)")
    if failures:
        tracebacks = "\n".join(map(str, failures))
        raise WorkFailed(f"{tracebacks}\nThe chapters that finished are kept; the pages were not rendered.")
    return {name: executed[name] for name in table}


def render(executed: Mapping[str, Path], site: Path, solutions: str, held: IO) -> None:
    """Stage the pages, render them with warnings as errors, and put the result in the place of `site`, whole.

    Args:
        held: the lock, which the renderer holds as well for as long as it runs.
    """
    inputs = sorted(path for path in BOOK.rglob("*") if path.is_file() and "vendor" not in path.parts)
    key = store.key(
        solutions, [str(path.relative_to(BOOK)) for path in inputs], *inputs, *executed.values(), *store.sources(""),
        *(store.ROOT / name for name in ("_toc.yml", "_config.yml", "requirements.txt", "CITATION.cff")),
    )
    store.restore_folder(site)
    if _is_up_to_date(site, key):
        say("the pages are up to date")
        return
    say("rendering the pages")
    stage = _stage_of(site)
    shutil.rmtree(stage, ignore_errors=True)
    _stage(executed, stage, solutions)
    command = store.tied("jupyter_book.cli.main:main", "build", str(stage), "-W", "-n", "--keep-going", "-q")
    with store.deaf():
        result = subprocess.run(command, stdin=held, capture_output=True, text=True)
    if result.returncode:
        raise WorkFailed(f"the pages could not be rendered:\n{result.stdout[-4000:]}\n{result.stderr[-8000:]}")
    fresh = stage / "_build/html"
    rendered = {str(path.relative_to(fresh)): store.key(path) for path in sorted(fresh.rglob("*")) if path.is_file()}
    (fresh / STAMP).write_text(json.dumps({"key": key, "files": rendered}))
    store.put_folder(fresh, site)


def _is_up_to_date(site: Path, key: str) -> bool:
    """Say whether the pages of this key lie in `site`, each as it was rendered; tell what else keeps them from it."""
    stamp = site / STAMP
    if not stamp.exists():
        return False
    try:
        said = json.loads(stamp.read_text())
        made_from, rendered = said["key"], said["files"].items()
    except (ValueError, TypeError, KeyError, AttributeError):
        say(f"{stamp} does not tell what was rendered: it is thrown away and the pages are rendered again")
        return False
    other = [name for name, content in rendered if not (site / name).is_file() or store.key(site / name) != content]
    if other:
        say(f"{site / other[0]} is not as it was rendered{f', nor are {len(other) - 1} others' if other[1:] else ''}")
    return made_from == key and not other


def _stage(executed: Mapping[str, Path], stage: Path, solutions: str) -> None:
    """Copy pages and executed chapters to where they are rendered without being executed again."""
    skip = shutil.ignore_patterns(
        ".*", "profiles", "results", "published", "claims", *(f"{name}.ipynb" for name in parameters.chapters()))
    for place, folders, names in os.walk(BOOK, followlinks=True):  # shutil.copytree would copy permissions as well
        left_out = skip(place, folders + names)
        folders[:] = [name for name in folders if name not in left_out]
        copy_to = stage / "book" / Path(place).relative_to(BOOK)
        copy_to.mkdir(parents=True)
        for name in set(names) - left_out:
            shutil.copyfile(Path(place, name), copy_to / name)
    shutil.copyfile(store.ROOT / "_toc.yml", stage / "_toc.yml")
    config = yaml.safe_load((store.ROOT / "_config.yml").read_text())
    config["execute"] = {"execute_notebooks": "off"}
    # the order of the scripts matters, so the keys keep theirs
    (stage / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False))
    for name in parameters.chapters():
        if name in executed:
            notebook = treat_solutions(nbformat.read(executed[name], 4), solutions)
            notebook = split_figures(fold_furniture(notebook))
            nbformat.write(notebook, stage / "book" / f"{name}.ipynb")
        else:
            title = name.replace("_", " ").capitalize()
            said = nbformat.v4.new_markdown_cell(STUB.format(title=title))
            # a notebook too, so that links to it are found
            nbformat.write(nbformat.v4.new_notebook(cells=[said]), stage / "book" / f"{name}.ipynb")
    pages.write(stage / "book", executed)


def treat_solutions(notebook: nbformat.NotebookNode, solutions: str) -> nbformat.NotebookNode:
    """Return the notebook with its cells tagged `solution` shown, folded away, or left out."""
    if solutions == "hidden":
        notebook.cells = [cell for cell in notebook.cells if "solution" not in cell.metadata.get("tags", [])]
    if solutions == "folded":
        for cell in notebook.cells:
            if "solution" in cell.metadata.get("tags", []):
                cell.metadata.tags.append("hide-cell")
                cell.metadata["mystnb"] = {"code_prompt_show": "Show the solution", "code_prompt_hide": "Hide the solution"}
    return notebook


def fold_furniture(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook with the cells that set it up folded to one line each, and with hidden code hidden in the page too.

    Hidden is what Jupyter hides (`source_hidden`), and the code of cells that only `say` a sentence. A cell that has a
    tag of its own for this keeps it, and solutions are treated elsewhere.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code:
        tags = cell.metadata.setdefault("tags", [])
        if "solution" in tags or any(tag.startswith(("hide-", "remove-")) for tag in tags):
            continue
        if "parameters" in tags or STARTS.search(cell.source):
            tags.append("hide-cell")
            shown = "Parameters of this page" if "parameters" in tags else "Versions, and what is imported first"
            cell.metadata["mystnb"] = {"code_prompt_show": shown, "code_prompt_hide": shown}
        elif SAYS.search(cell.source):
            tags.append("remove-input")
        elif cell.metadata.get("jupyter", {}).get("source_hidden"):
            tags.append("hide-input")
    return notebook


def split_figures(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook with one cell for each output of a figure's cell, so that a caption stands under the picture only."""
    cells = []
    for cell in notebook.cells:
        if not cell.metadata.get("mystnb", {}).get("figure") or len(cell.outputs) < 2:
            cells.append(cell)
            continue
        for number, output in enumerate(cell.outputs):
            part = copy.deepcopy(cell)
            part.outputs = [output]
            if number:
                part.id = f"{cell.id}-{number}"
                part.metadata.tags = [*cell.metadata.get("tags", []), "remove-input"]
            if "text/markdown" in output.get("data", {}) or output.output_type == "stream":
                part.metadata.mystnb.pop("figure")
            cells.append(part)
    notebook.cells = cells
    return notebook


def pack(site: Path, target: Path) -> Path:
    """Pack a rendered book into one file that opens offline, whole or not at all."""
    with store.atomic(target) as part, zipfile.ZipFile(
            part, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for path in sorted(site.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                archive.write(path, Path("pathways") / path.relative_to(site))
    return target
