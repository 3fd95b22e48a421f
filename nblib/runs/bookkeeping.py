"""The ledger, kept: a run is written as two files that no later run changes, and the files are held to their rules."""
import csv
import io
import json
import math
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import nbformat

from nblib import store
from nblib.runs import ledger, parameters
from nblib.runs.ledger import Number
from nblib.runs.parameters import Refused

DECIDE = ("nblib", "book", "requirements.txt", ":!book/results")  # the files that decide what a run measures
ASIDE = {"seed", "data_copy"}  # parameters that the file's name and the run's facts tell, and no key
FACTS = {
    "profile": str, "seed": int, "key": str, "revision": int, "parameters": dict, "dataset": str, "copy": str,
    "model": str, "device": str, "processor": str, "threads": (int, str), "versions": dict,
    "seconds": (int, float, str), "commit": str, "dirty": (bool, str), "networks": (list, str), "paper_setting": list,
    "notes": list, "content": str,
}


def commit() -> str:
    """Return the short hash of the commit, with "+" where a file that decides what a run measures was changed.

    Outside a checkout that is "unknown".
    """

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=store.ROOT, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != store.ROOT:
            return "unknown"
        changed = git("status", "--porcelain", "--untracked-files=all", "--", *DECIDE)
        return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def is_dirty(made_at: str) -> bool | str:
    """Say whether a commit, as `commit` gives it, is one of a changed tree; "unknown" for one that is unknown."""
    return "unknown" if made_at.startswith("unknown") else made_at.endswith("+")


def expect_clean(made_at: str) -> None:
    """Refuse to record what was made at a commit that does not tell how: one of a changed tree, or an unknown one."""
    if is_dirty(made_at):
        why = (f"files of {', '.join(DECIDE[:3])} differ from commit {made_at[:-1]}: commit them first"
               if made_at.endswith("+") else "this is no git checkout, so no commit tells how the numbers were made")
        raise Refused(f"the run is not recorded: {why}; --dirty records it nevertheless, and its file says so")


def record(name: str, profile: str, executed: Path, *, dirty: bool = False) -> Path:
    """Write the numbers and facts of one executed notebook into the ledger, as two files, whole or not at all.

    Nothing that was recorded is changed: a run that measured what the newest run of its seed did adds nothing, any
    other becomes a further revision.

    Args:
        name: the lesson.
        profile: whose parameters the run had; parameters that differ from it get a key in the files' name.
        executed: the executed notebook.
        dirty: also take a run of a changed tree.

    Returns:
        The .csv file that holds the run.

    Raises:
        Refused: a run of a changed tree without `dirty`; one that recorded nothing, or a number twice; an unknown
            profile.
    """
    notebook = nbformat.read(executed, 4)
    made = notebook.metadata["nblib"]
    if not dirty:
        expect_clean(made["commit"])
    numbers, told = measured(notebook, executed)
    seed = made["parameters"]["seed"]
    key = key_of(made["parameters"], profile_parameters(name, profile))
    facts = {
        "profile": profile, "seed": seed, "key": key, "revision": 1, "parameters": made["parameters"],
        **told, "seconds": made["seconds"], "commit": made["commit"], "dirty": is_dirty(made["commit"]),
        "paper_setting": sorted(number for number, it in numbers.items() if it.setting == "paper"), "notes": [],
    }
    with store.lock(store.ROOT / "_build/locks" / f"ledger-{name}", f"another process records a run of {name}"):
        before = [run for run in ledger.runs(name) if (run.profile, run.seed, run.key) == (profile, seed, key)]
        if before and _adds_nothing(before[-1], numbers, facts):
            return ledger.home(name) / f"{ledger.stem(profile, seed, key, before[-1].revision)}.csv"
        revisions = [found[3] for path in ledger.home(name).glob("*.json")
                     if (found := ledger.parts(path.stem)) and found[:3] == (profile, seed, key)]
        return write(name, numbers, facts | {"revision": max(revisions, default=0) + 1})


def _adds_nothing(run: ledger.Run, numbers: Mapping[str, Number], facts: Mapping) -> bool:
    """Say whether a recorded run holds the same numbers and parameters, and is no worse founded than the new one."""
    same = run.numbers == numbers and run.facts["parameters"] == facts["parameters"]
    return same and (run.facts["dirty"] is False or facts["dirty"])


def write(name: str, numbers: Mapping[str, Number], facts: Mapping) -> Path:
    """Write the two files of a run and return the first; it counts once the second is there."""
    path = ledger.home(name) / (ledger.stem(*(facts[part] for part in ("profile", "seed", "key", "revision"))) + ".csv")
    text = as_csv(numbers)
    store.write(path, text)
    told = facts | {"content": store.key(text.encode())}
    store.write(path.with_suffix(".json"), json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    return path


def as_csv(numbers: Mapping[str, Number]) -> str:
    """Return the numbers as a .csv file holds them: by name, each value so that it reads back to the last bit."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(ledger.COLUMNS)
    lines.writerows((name, repr(it.value), it.unit, it.what) for name, it in sorted(numbers.items()))
    return text.getvalue()


def measured(notebook: nbformat.NotebookNode, source: Path) -> tuple[dict[str, Number], dict]:
    """Return the numbers that an executed notebook recorded, and what it told of where they came from."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    tables = [output.metadata["nblib_record"] for output in outputs if "nblib_record" in output.get("metadata", {})]
    numbers: dict[str, Number] = {}
    for entry in (entry for made in tables for entry in made["numbers"]):
        number = Number(entry["value"], entry["unit"], entry["what"], entry["setting"])
        if numbers.setdefault(entry["name"], number) != number:
            raise Refused(f"{source} recorded {entry['name']!r} twice, as {numbers[entry['name']]} and {number}")
    if not numbers:
        raise Refused(f"{source} recorded no number, so there is nothing for the ledger")
    texts = ("dataset", "copy", "model", "device", "processor")
    told = {fact: _together(made["facts"][fact] for made in tables) for fact in texts}
    last = tables[-1]["facts"]
    networks = [network for made in tables for network in made["facts"]["networks"]]
    return numbers, told | {"threads": last["threads"], "versions": dict(last["versions"]), "networks": networks}


def _together(values: Iterable[str]) -> str:
    """Return the values that differ, one after the other; what a notebook records mostly has one."""
    return "; ".join(dict.fromkeys(value for value in values if value))


def profile_parameters(name: str, profile: str) -> dict[str, object]:
    """Return all parameters of a lesson's lab as a profile sets them, with the lab's own for the rest."""
    lab = parameters.lab_of(name)
    known = {item.name: item.default for item in parameters.declared(parameters.source(lab)).values()}
    return known | parameters.profile(profile, lab)


def parameters_of(name: str, profile: str, seed: int) -> dict[str, object]:
    """Return the parameters with which a seed of a profile was recorded last, the profile's where it knew them not.

    Raises:
        Refused: a profile or seed that is not on record, with those that are.
    """
    runs = [run for run in ledger.runs(name) if not run.key]
    own = [run for run in runs if (run.profile, run.seed) == (profile, seed)]
    if not own:
        there = {run.profile: sorted({other.seed for other in runs if other.profile == run.profile}) for run in runs}
        said = "; ".join(f"{other} with the seeds {', '.join(map(str, seeds))}" for other, seeds in there.items())
        raise Refused(f"{name} has no recorded run of the profile {profile!r} with the seed {seed}; there are {said}")
    now = profile_parameters(name, profile)
    return now | {what: value for what, value in own[-1].facts["parameters"].items() if what in now}


def key_of(given: Mapping[str, object], profile: Mapping[str, object]) -> str:
    """Return eight digits for the parameters that differ from the profile's, "" where none does."""
    other = {name: value for name, value in sorted(given.items())
             if name not in ASIDE and (name not in profile or profile[name] != value)}
    return store.key(other)[:8] if other else ""


def check(name: str) -> list[str]:
    """Return what is wrong with the recorded runs of a lesson, each with the file's name; nothing is the rule."""
    wrong = []
    for path in sorted(path for path in ledger.home(name).glob("*") if not path.name.startswith(".")):
        other = path.with_suffix(".json" if path.suffix == ".csv" else ".csv")
        if path.suffix not in (".csv", ".json") or not ledger.parts(path.stem):
            wrong.append(f"{path.name}: not named <profile>-seed<seed>[-<key>][-r<revision>] with .csv or .json")
        elif not other.exists():
            wrong.append(f"{path.name}: {other.name} is missing")
        elif path.suffix == ".csv":
            wrong += [f"{path.name}: {text}" for text in _check_numbers(path)]
        else:
            wrong += [f"{path.name}: {text}" for text in _check_facts(path)]
    return wrong or _check_parameters(name)


def _check_numbers(path: Path) -> list[str]:
    """Return what is wrong with the numbers of a run."""
    rows = list(csv.reader(io.StringIO(path.read_text(), newline="")))
    if rows[:1] != [ledger.COLUMNS]:
        return [f"the first line is {rows[:1]}, expected {','.join(ledger.COLUMNS)}"]
    wrong, seen = [], set()
    for line, row in enumerate(rows[1:], 2):
        if len(row) != len(ledger.COLUMNS) or not row[0]:
            wrong.append(f"line {line} has not a name, value, unit and what")
            continue
        wrong += [f"line {line}: {row[0]!r} stands twice"] if row[0] in seen else []
        wrong += [] if _as_written(row[1]) else [f"line {line}: {row[1]!r} is not a finite number as they are written"]
        seen.add(row[0])
    return wrong or ([] if seen else ["no number"])


def _as_written(text: str) -> bool:
    """Say whether a text is a finite number, written as `record` writes it."""
    try:
        return math.isfinite(float(text)) and repr(float(text)) == text
    except ValueError:
        return False


def _check_facts(path: Path) -> list[str]:
    """Return what is wrong with the facts of a run: they are complete, and agree with the files' name and content."""
    try:
        facts = json.loads(path.read_text())
    except ValueError as error:
        return [f"no JSON: {error}"]
    wrong = [f"{fact} is {facts.get(fact)!r}" for fact, kind in FACTS.items() if not isinstance(facts.get(fact), kind)]
    if wrong:
        return wrong
    named = dict(zip(("profile", "seed", "key", "revision"), ledger.parts(path.stem), strict=True))
    wrong += [f"{fact} is {facts[fact]!r}, in the name {said!r}" for fact, said in named.items() if facts[fact] != said]
    if facts["parameters"].get("seed") != facts["seed"]:
        wrong.append(f"the parameter seed is {facts['parameters'].get('seed')!r}, the run's {facts['seed']}")
    if facts["content"] != store.key(path.with_suffix(".csv").read_bytes()):
        wrong.append("the .csv beside it is not as it was recorded")
    for fact in ("threads", "seconds", "networks"):
        if isinstance(facts[fact], str) and not facts[fact].startswith("unknown"):
            wrong.append(f"{fact} is {facts[fact]!r}, expected a value or 'unknown'")
    if facts["dirty"] != is_dirty(facts["commit"]):
        wrong.append(f"dirty is {facts['dirty']} at commit {facts['commit']!r}")
    return wrong


def _check_parameters(name: str) -> list[str]:
    """Return where the newest run of a seed has other parameters than its profile, or than its key says."""
    wrong = []
    newest = {(run.profile, run.seed, run.key): run for run in ledger.runs(name)}
    for run in newest.values():
        try:
            profile = profile_parameters(name, run.profile)
        except Refused as error:
            wrong.append(f"{ledger.stem(run.profile, run.seed, run.key, run.revision)}: {error}")
            continue
        given = {what: value for what, value in run.facts["parameters"].items() if what in profile}
        key = key_of(given, profile)
        if run.key and not key or key and not run.key:
            other = [what for what, value in given.items() if what not in ASIDE and profile[what] != value]
            which = ledger.stem(run.profile, run.seed, run.key, run.revision)
            wrong.append(f"{which}: has {other or 'no'} parameters other than those of the profile {run.profile}, "
                         f"and {'a' if run.key else 'no'} key in its name")
    return wrong
