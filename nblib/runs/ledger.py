"""The ledger: each number of a chapter, the paper's beside ours, with where each came from.

`book/published/<chapter>.json` holds what the papers print; `book/results/<chapter>.json` what we measured. The second is
written only by `nblib run CHAPTER --record`.
"""
import json
import math
import statistics
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import nbformat

from nblib import store
from nblib.runs.parameters import BOOK

STATUSES = ("reproduced", "same direction", "differs", "not run")
POINT = {"share": 0.01, "%": 1.0}  # one percentage point in each unit that has one


def read(chapter: str, *, profile: str | None = None) -> dict[str, dict]:
    """Return the ledger of a chapter, entry by "profile/name"; with `profile`, that profile's entries by name alone."""
    path = BOOK / "results" / f"{chapter}.json"
    entries = json.loads(path.read_text()) if path.exists() else {}
    if profile is None:
        return entries
    return {entry["name"]: entry for entry in entries.values() if entry["profile"] == profile}


def published(chapter: str) -> dict[str, dict]:
    """Return the paper's numbers for a chapter by name: value, unit, where, kind ("value" or "effect"), reason."""
    path = BOOK / "published" / f"{chapter}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def interval(values: Iterable[float]) -> tuple[float, float] | None:
    r"""Return the 95 % interval of the mean over seeds, :math:`\bar v \pm t_{n-1}\,s/\sqrt n`; None for fewer than two."""
    from scipy.stats import t as student

    values = list(values)
    if len(values) < 2:
        return None
    half = student.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values) - half, statistics.mean(values) + half


def status(entry: Mapping) -> str | None:
    """Compute what an entry says of the paper's number; None where the paper has none.

    "reproduced" needs the paper's own model, data and procedure (`entry["setting"] == "paper"`, which a default run never
    has) and the paper's value inside our interval or within one percentage point. An effect, such as a difference between
    two conditions, has the "same direction" where our interval excludes zero on the paper's side of it. All else "differs".
    """
    paper, values = entry.get("paper"), entry.get("values") or {}
    if paper is None:
        return None
    if not values:
        return "not run"
    bounds = interval(values.values())
    mean = statistics.mean(values.values())
    if entry.get("setting") == "paper" and entry["profile"] != "default":
        inside = bounds is not None and bounds[0] <= paper["value"] <= bounds[1]
        return "reproduced" if inside or abs(mean - paper["value"]) <= POINT.get(entry["unit"], 0.0) else "differs"
    if paper["kind"] == "effect" and bounds is not None:
        away = bounds[0] > 0 if paper["value"] > 0 else bounds[1] < 0
        return "same direction" if away else "differs"
    return "differs"


def commit() -> str:
    """Return the short hash of the checkout's commit, with "+" where tracked files other than the ledger have changed."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=store.ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!book/results")
        return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def records(notebook: nbformat.NotebookNode) -> list[dict]:
    """Return what an executed notebook recorded, in its order."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    return [dict(output.metadata["nblib_record"]) for output in outputs if "nblib_record" in output.get("metadata", {})]


def record(chapter: str, profile: str, executed: Path) -> int:
    """Merge one executed notebook into the ledger, seed by seed, and return how many numbers it brought.

    A seed that was recorded before is replaced. Where the parameters other than the seed have changed, the entry starts anew.
    """
    notebook = nbformat.read(executed, 4)
    facts = notebook.metadata["nblib"]
    seed = str(facts["parameters"]["seed"])
    parameters = {name: value for name, value in facts["parameters"].items() if name != "seed"}
    brought = records(notebook)
    path = BOOK / "results" / f"{chapter}.json"
    with store.lock(store.folder("locks") / f"ledger-{chapter}"):
        entries = read(chapter)
        papers = published(chapter)
        for number in brought:
            name = f"{profile}/{number['name']}"
            old = entries.get(name)
            values = old["values"] if old and old["parameters"] == parameters else {}
            entries[name] = _entry(number, values | {seed: number["value"]}, profile, parameters, facts, papers)
        measured = {entry["name"] for entry in entries.values() if entry["values"]}
        entries = {name: entry for name, entry in entries.items() if entry["values"] or entry["name"] not in measured}
        for name in papers.keys() - measured:
            entries[f"paper/{name}"] = _not_run(name, papers[name])
        store.write(path, json.dumps(dict(sorted(entries.items())), indent=1) + "\n")
    return len(brought)


def _entry(number: dict, values: dict, profile: str, parameters: dict, facts: dict, papers: dict) -> dict:
    """Return one entry of the ledger, its mean, spread, interval and status computed."""
    values = dict(sorted(values.items(), key=lambda pair: int(pair[0])))
    entry = {
        **{key: number[key] for key in ("name", "what", "unit", "dataset", "copy", "model", "device", "setting")},
        "paper": papers.get(number["name"]),
        "values": values,
        "mean": statistics.mean(values.values()),
        "sd": statistics.stdev(values.values()) if len(values) > 1 else None,
        "interval": interval(values.values()),
        "profile": profile,
        "parameters": parameters,
        "seconds": facts["seconds"],
        "commit": commit(),
    }
    return entry | {"status": status(entry)}


def _not_run(name: str, paper: dict) -> dict:
    """Return the entry of a published number that nobody has measured here, with the reason."""
    return {"name": name, "what": paper["what"], "unit": paper["unit"], "paper": paper, "values": {}, "profile": "paper",
            "status": "not run", "reason": paper["reason"]}


def check(path: Path) -> list[str]:
    """Return what is wrong with a ledger file: a status that was not computed, a mean that is not its values' mean."""
    wrong = []
    for name, entry in json.loads(path.read_text()).items():
        if entry["status"] != status(entry):
            wrong.append(f"{name}: status {entry['status']!r}, computed {status(entry)!r}")
        if entry["values"] and not math.isclose(entry["mean"], statistics.mean(entry["values"].values())):
            wrong.append(f"{name}: mean {entry['mean']} is not that of its values")
    return wrong
