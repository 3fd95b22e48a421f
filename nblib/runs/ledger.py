"""The ledger, read: what the recorded runs measured, with the facts of each run; all statistics are computed here.

`book/results/<lesson>/<profile>-seed<seed>[-<key>][-r<revision>]` is one run: a .csv with its numbers (name, value,
unit, what) and a .json with its facts. `key` stands for parameters other than the profile's; a later recording of the
same seed is a further revision, and each number is read from the newest that holds it. `nblib.runs.bookkeeping` writes.
`book/published/<lesson>.json` holds what the papers print.
"""
import csv
import functools
import json
import math
import re
import statistics
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nblib.runs import parameters

COLUMNS = ["name", "value", "unit", "what"]
CLOCKS = {"time"}  # first words of names whose numbers a clock gave; those with the unit "s" are such too
LEAST_SPREAD = {"share": 0.01, "difference": 0.01, "%": 1.0}  # a point; of other units a hundredth of the value
CONDITIONS = {"device": "on another device", "processor": "on another processor", "threads": "with other threads",
              "versions": "with other versions"}
STEM = re.compile(r"(?P<profile>.+)-seed(?P<seed>\d+)(?:-(?P<key>[0-9a-f]{8}))?(?:-r(?P<revision>\d+))?")


@dataclass(frozen=True)
class Number:
    """One measured number: its value, its unit, what it measures, and whether that was in the "paper"'s own setting."""

    value: float
    unit: str
    what: str
    setting: str = "other"


@dataclass(frozen=True)
class Run:
    """One recorded run: what its file's name says, its facts, and its numbers by name."""

    profile: str
    seed: int
    key: str  # of parameters other than the profile's; "" where there are none
    revision: int  # 1 is the first
    facts: dict
    numbers: dict[str, Number]


def home(name: str) -> Path:
    """Return the folder in which the runs of a lesson lie."""
    return parameters.BOOK / "results" / name


def stem(profile: str, seed: int, key: str = "", revision: int = 1) -> str:
    """Return the name, without its ending, of the two files of a run."""
    return f"{profile}-seed{seed}" + (f"-{key}" if key else "") + (f"-r{revision}" if revision > 1 else "")


def parts(text: str) -> tuple[str, int, str, int] | None:
    """Return (profile, seed, key, revision) of a file's name without its ending; None for a name that is none."""
    found = STEM.fullmatch(text)
    return found and (found["profile"], int(found["seed"]), found["key"] or "", int(found["revision"] or 1))


def names() -> list[str]:
    """Return the lessons of which runs are recorded."""
    return sorted(path.name for path in (parameters.BOOK / "results").glob("*/") if runs(path.name))


def profiles(name: str) -> list[str]:
    """Return the profiles of which runs of a lesson are recorded."""
    return sorted({run.profile for run in runs(name)})


def runs(name: str) -> list[Run]:
    """Return the recorded runs of a lesson, by profile, seed, key and revision.

    A file without its other half is what an interrupted recording left: it is no run, and a warning tells of it.

    Raises:
        ValueError: a file that does not read as a run's, with its name.
    """
    found = []
    for path in sorted(home(name).glob("*.csv")) + sorted(home(name).glob("*.json")):
        other = path.with_suffix(".json" if path.suffix == ".csv" else ".csv")
        if not other.exists():
            warnings.warn(f"{path} has no {other.name} beside it and is not read: record the run again", stacklevel=2)
        elif path.suffix == ".csv":
            found.append(_read(path, *(file.stat().st_mtime_ns for file in (path, other))))
    return sorted(found, key=lambda run: (run.profile, run.seed, run.key, run.revision))


@functools.lru_cache(maxsize=None)
def _read(path: Path, *changed: int) -> Run:
    """Return the run in a .csv and the .json beside it; read again once one of them has `changed`."""
    said = parts(path.stem)
    if said is None:
        raise ValueError(f"{path} is not named <profile>-seed<seed>[-<key>][-r<revision>]")
    try:
        facts = json.loads(path.with_suffix(".json").read_text())
        papers = set(facts["paper_setting"])
        with path.open(newline="") as file:
            rows = csv.DictReader(file)
            numbers = {row["name"]: Number(float(row["value"]), row["unit"], row["what"],
                                           "paper" if row["name"] in papers else "other") for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} and the .json beside it do not read as a run of the ledger: {error!r}") from None
    return Run(*said, facts, numbers)


def series(name: str, number: str, profile: str = "recorded") -> dict[int, float]:
    """Return the value of a number for each seed, from the newest run that holds it.

    Runs with other parameters than the profile's do not count. Empty where nothing is recorded.
    """
    return {run.seed: run.numbers[number].value for run in _own(name, profile) if number in run.numbers}


def facts(name: str, profile: str = "recorded") -> list[dict]:
    """Return the facts of the runs from which `series` reads."""
    newest = {(run.seed, number): run for run in _own(name, profile) for number in run.numbers}
    read = {(run.seed, run.revision): run.facts for run in newest.values()}
    return [read[which] for which in sorted(read)]


def _own(name: str, profile: str) -> list[Run]:
    """Return the runs with the profile's own parameters, by seed and revision."""
    return [run for run in runs(name) if run.profile == profile and not run.key]


def table(name: str) -> "pandas.DataFrame":  # noqa: F821
    """Return all runs of a lesson as one tidy table, a row for each number of each run."""
    import pandas

    told = ["dataset", "copy", "model", "device", "commit"]
    columns = ["profile", "seed", "key", "revision", *COLUMNS, "setting", *told]
    rows = [
        (run.profile, run.seed, run.key, run.revision, number, it.value, it.unit, it.what, it.setting,
         *map(run.facts.get, told))
        for run in runs(name) for number, it in run.numbers.items()
    ]
    return pandas.DataFrame(rows, columns=columns)


def interval(values: Iterable[float], *, unit: str = "") -> tuple[float, float] | None:
    r"""Return the 95 % interval of the mean over seeds, :math:`\bar v \pm t_{n-1}\,s/\sqrt n`.

    With the unit "share" and values in [0, 1] it is taken on the logit scale and stays in [0, 1]: with
    :math:`l = \log\frac{\bar v}{1 - \bar v}` it goes from :math:`\sigma(l - h)` to :math:`\sigma(l + h)`, where
    :math:`h = t_{n-1}\,\frac{s}{\sqrt n}\,/\,\bar v (1 - \bar v)`. Only the mean goes through the logit, so single
    values may be 0 or 1; where all are, the interval is that point.

    A difference of shares is no share: it may be negative, and an interval that never leaves [0, 1] would always lie
    above 0. Leave `unit` out where the question is whether something lies above or below 0.

    Args:
        values: one a seed.
        unit: the number's unit.

    Returns:
        Its ends, or None for fewer than two values.
    """
    from scipy.special import expit
    from scipy.stats import t as student

    values = list(values)
    if len(values) < 2:
        return None
    mean = statistics.mean(values)
    half = float(student.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    bounded = unit == "share" and min(values) >= 0 and max(values) <= 1
    if not bounded:
        return mean - half, mean + half
    if half == 0 or mean in (0.0, 1.0):  # the mean of the smallest numbers may be rounded to 0
        return mean, mean
    middle, half = math.log(mean / (1 - mean)), half / (mean * (1 - mean))
    return float(expit(middle - half)), float(expit(middle + half))


def compared(name: str, profile: str, seed: int,
             numbers: Mapping[str, Number]) -> dict[str, tuple[float, float, float]]:
    """Return (recorded value, new value, how far they are apart) of each number that a seed and a new run of it hold.

    The distance is in units of the spread: the standard deviation over the profile's recorded seeds, but no less than
    one percentage point, or a hundredth of a value that is none. Clock readings are left out.
    """
    found = {}
    for number, new in numbers.items():
        values = series(name, number, profile)
        if seed not in values or new.unit == "s" or number.partition("/")[0] in CLOCKS:
            continue
        spread = statistics.stdev(values.values()) if len(values) > 1 else 0.0
        spread = max(spread, LEAST_SPREAD.get(new.unit, abs(values[seed]) / 100))
        apart = abs(new.value - values[seed])
        found[number] = values[seed], new.value, apart / spread if apart else 0.0
    return found


def other_conditions(recorded: Iterable[Mapping], now: Mapping) -> str:
    """Say in words what is other in a new run's facts, or its networks' trainings, than in the recorded ones.

    "" where nothing is. What is not on record is told as such: it may have been other.
    """

    def seen(runs: Iterable[Mapping], fact: str) -> set[str]:
        made = [*runs]
        for run in runs:
            networks = run["networks"] if isinstance(run["networks"], list) else [{"training": "unknown"}]
            made += [network["training"] for network in networks]
        facts = (each.get(fact, "unknown") if isinstance(each, Mapping) else each for each in made)
        return {json.dumps(value, sort_keys=True) for value in facts}

    words, missing = ["on a GPU, whose sums have no fixed order"] * (now["device"] != "CPU"), []
    for fact, said in CONDITIONS.items():
        before = seen(recorded, fact)
        if any("unknown" in text for text in before):
            missing.append(fact)
        elif before != seen([now], fact):
            words.append(said)
    return ", ".join(words) + f"; not on record: {', '.join(missing)}" * bool(missing)


def agreement(found: Mapping[str, tuple[float, float, float]], elsewhere: str, seeds: int) -> tuple[bool, list[str]]:
    r"""Say what a new run makes of a recorded one.

    Under the same conditions every bit has to repeat. Under others rounding differs, and training enlarges it, at worst
    until the network is another draw. Two draws differ by up to :math:`t_{n-1}\sqrt2` spreads in 95 % of their numbers;
    a run is different where more than one number in twenty is further off.

    Args:
        found: as from `compared`.
        elsewhere: as from `other_conditions`.
        seeds: n, on which the spread rests.

    Returns:
        Whether the two agree, and in words how far; below that come the names that are furthest apart.
    """
    from scipy.stats import t as student

    worst = sorted((name for name in found if found[name][2]), key=lambda name: -found[name][2])
    if not worst:
        return True, ["equal to the last bit" + _appended(elsewhere)]
    apart = found[worst[min(len(found) // 20, len(worst) - 1)]][2]  # further off are no more than one in twenty
    limit = float(student.ppf(0.975, seeds - 1)) * math.sqrt(2) if seeds > 1 else 1.0
    agree = bool(elsewhere) and apart <= limit
    said = f"equal within {apart:.2g} of the spread" if agree else f"different, by {apart:.2g} spreads"
    where = _appended(elsewhere or "under the same conditions")
    lines = [f"{said} over seeds{where}; {len(worst)} of {len(found)} numbers moved, the furthest:"]
    told = (f"  {name}: {now!r}, on record {recorded!r}, {distance:.2g} spreads apart"
            for name, (recorded, now, distance) in ((name, found[name]) for name in worst[:3 if agree else 10]))
    return agree, [*lines, *told]


def _appended(words: str) -> str:
    """Return words as they follow others."""
    return words if words.startswith(";") else words and f", {words}"


def published(name: str) -> dict[str, dict]:
    """Return the paper's numbers for a lesson by name: value, unit, where, kind ("value" or "effect"), reason."""
    path = parameters.BOOK / "published" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}
