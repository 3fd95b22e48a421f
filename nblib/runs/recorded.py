"""Recorded numbers as the pages show them: the one reader of the ledger for texts, tables and charts.

The lesson's name comes first everywhere, and `profile` says which recorded runs are read, "recorded" where it is left
out. Statistics are over seeds. What was not recorded is NaN, None, empty or "–", so that a page can do without it.
"""
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from matplotlib.figure import Figure

from nblib import figures
from nblib.figures import Judged, Table, table
from nblib.runs import claims, ledger
from nblib.runs.claims import Claim, Outcome

MISSING = "–"
DIGITS = {"share": 3, "difference": 3, "%": 1, "": 2}  # decimal places of a claim's number by its unit
POINT = {"share": 0.01, "%": 1.0}  # one percentage point, in each unit that has one


def series(name: str, number: str, profile: str = "recorded") -> dict[int, float]:
    """Return the value of a number for each recorded seed."""
    return ledger.series(name, number, profile)


def mean(name: str, number: str, profile: str = "recorded") -> float:
    """Return the mean of a number over seeds, NaN where it was not recorded."""
    return over_seeds(name, number, profile)[0]


def interval(name: str, number: str, profile: str = "recorded") -> tuple[float, float] | None:
    """Return the 95 % interval of a number's mean over seeds (`ledger.interval`), None for fewer than two seeds."""
    return ledger.interval(series(name, number, profile).values(), unit=_unit(name, number, profile))


def over_seeds(name: str, number: str, profile: str = "recorded") -> tuple[float, float, float]:
    """Return (mean, low, high) of a number over seeds, for a bar with its interval; NaN where there is none."""
    values = series(name, number, profile).values()
    bounds = interval(name, number, profile) or (math.nan, math.nan)
    return statistics.mean(values) if values else math.nan, *bounds


def line(name: str, number: str, places: Sequence, profile: str = "recorded") -> tuple[Sequence, ...]:
    """Return (places, means, lows, highs) of the numbers "number/place", for a line of `figures.curves`."""
    return places, *zip(*(over_seeds(name, f"{number}/{place}", profile) for place in places))


def text(name: str, number: str, profile: str = "recorded", *, digits: int = 2,
         sign: bool | None = None, percent: bool = False) -> str:
    """Return a number's mean and interval as text, such as "0.51 [0.47, 0.55]", or "–" where it was not recorded.

    Args:
        name: the lesson.
        number: its name in the ledger.
        profile: of the recorded runs.
        digits: decimal places.
        sign: also write the plus; left out, that is done for differences and for points.
        percent: write a share as a percentage, with two places less.
    """
    values = series(name, number, profile).values()
    if not values:
        return MISSING
    sign = _unit(name, number, profile) in ("difference", "%") if sign is None else sign
    bounds = interval(name, number, profile)
    return _shown(statistics.mean(values), bounds, digits=digits, sign=sign, percent=percent)


def difference(name: str, number: str, minus: str, profile: str = "recorded", *, digits: int = 2) -> str:
    """Return the mean and the interval of one number minus another, taken seed by seed before any rounding, as text."""
    first, second = series(name, number, profile), series(name, minus, profile)
    values = [first[seed] - second[seed] for seed in first if seed in second]
    if not values:
        return MISSING
    return _shown(statistics.mean(values), ledger.interval(values), digits=digits, sign=True)


def side(name: str, number: str, profile: str = "recorded", *, above: str, below: str, threshold: float = 0.0) -> str:
    """Return the word for the side of a threshold on which a number lies, by the rule of the verdicts.

    Without a decision that is "undecided", or "not tested" for fewer than three seeds.
    """
    values = series(name, number, profile).values()
    word = claims.verdict(values, threshold=threshold, direction="above", unit=_unit(name, number, profile))
    return {"supported": above, "contradicted": below}.get(word, word)


def names(name: str, number: str, profile: str = "recorded") -> list[str]:
    """Return the kinds of a number that are recorded: what stands behind "number/"."""
    found = {other for run in ledger.runs(name) if run.profile == profile for other in run.numbers}
    return sorted(other.removeprefix(f"{number}/") for other in found if other.startswith(f"{number}/"))


def _unit(name: str, number: str, profile: str) -> str:
    """Return the unit of a recorded number."""
    found = (run.numbers[number].unit for run in ledger.runs(name) if run.profile == profile and number in run.numbers)
    return next(found, "")


def _shown(value: float, bounds: tuple[float, float] | None, *, digits: int, sign: bool, percent: bool = False) -> str:
    """Return a mean with its interval as text."""
    kind = f"{'+' if sign else ''}.{max(0, digits - 2) if percent else digits}{'%' if percent else 'f'}"
    shown = [format(number, kind) for number in (value, *(bounds or ()))]
    # zero has no sign, whatever rounding left of it, and the minus is as wide as a digit
    middle, *ends = (each.lstrip("+-") if float(each.rstrip("%")) == 0 else each.replace("-", "−") for each in shown)
    return f"{middle} [{', '.join(ends)}]" if ends else f"{middle} (one seed)"


def kinds(name: str, columns: Mapping[str, str], rows: Iterable[str], *, first: str = "", profile: str = "recorded",
          **how) -> Table:
    """Return recorded numbers as a table: a row a kind, a column a number, each with its interval.

    Args:
        name: the lesson.
        columns: heading -> number, whose kinds "number/kind" are read.
        rows: the kinds.
        first: heading of the kinds.
        profile: of the recorded runs.
        how: as in `text`.
    """
    cells = [[kind, *(text(name, f"{number}/{kind}", profile, **how) for number in columns.values())] for kind in rows]
    says = "Recorded runs: mean over seeds, 95 % interval."
    return table(cells, [first, *columns], caption=f"{says} {captions(name, [profile])}")


def verdict(name: str, claim: str, profile: str = "recorded") -> Outcome:
    """Return what the recorded runs make of a claim, named by its id; as a text it is the verdict."""
    return claims.outcome(name, claims.claim(name, claim), profile)


def counts(name: str, profile: str = "recorded", **which) -> dict[str, int]:
    """Return how many claims have each verdict, by verdict; `which` as in `claims.outcomes`."""
    words = [outcome.word for outcome in claims.outcomes(name, profile, **which)]
    return {word: words.count(word) for word in claims.VERDICTS}


def effect(outcome: Outcome) -> str:
    """Return the mean over seeds of the number that tests a claim, with its interval, as text; "" where there is none.

    It has as many decimal places as it takes to see that the interval does not hold the threshold.
    """
    if not outcome.values:
        return ""
    unit, digits, ends = outcome.claim.unit, DIGITS[outcome.claim.unit], outcome.interval or ()
    near = outcome.claim.threshold
    while outcome.word != "undecided" and digits < 6 and any(round(end - near, digits) == 0 for end in ends):
        digits += 1
    shown = _shown(statistics.mean(outcome.values), outcome.interval, digits=digits, sign=unit != "share")
    return shown + (" points" if unit == "%" else "")


def claims_table(name: str, **which) -> Table:
    """Return a lesson's claims as a table: a row a claim, a column a data set; `which` as in `claims.outcomes`."""
    sets = claims.data_sets(name)
    columns = [claims.outcomes(name, profile, **which) for profile in sets]
    rows = [[sentence(first.claim), f"{first.claim.paper}, {first.claim.place}", _printed(name, first.claim),
             *map(cell, (first, *others))] for first, *others in zip(*columns)]
    says = ("Each claim on the side of its threshold that the paper names: the verdict, the effect, its 95 % interval, "
            "and the margin, from the threshold to the interval's nearer end in half widths.")
    return table(rows, ["claim", "place", "printed", *sets.values()], caption=f"{says} {captions(name, sets)}")


def findings_table(name: str) -> Table:
    """Return how many claims of each finding have which verdict, a column a data set."""
    sets = claims.data_sets(name)
    rows = [[said, *(" / ".join(map(str, counts(name, profile, findings=[key]).values())) for profile in sets)]
            for key, said in claims.findings(name).items()]
    says = f"How many claims and controls of each finding are {' / '.join(claims.VERDICTS)}."
    return table(rows, ["finding", *sets.values()], caption=f"{says} {captions(name, sets)}")


def verdict_chart(name: str, profile: str = "recorded", **which) -> Figure:
    """Draw the verdicts of a lesson's claims on one data set, by finding; `which` as in `claims.outcomes`."""
    groups: dict[str, list[Judged]] = {said: [] for said in claims.findings(name).values()}
    for outcome in claims.outcomes(name, profile, **which):
        claim, shown = outcome.claim, outcome.word != "not tested"
        numbers = {"mean": statistics.mean(outcome.values), "threshold": claim.threshold, "direction": claim.direction,
                   "low": outcome.interval[0], "high": outcome.interval[1]} if shown else {}
        asked = f"; claim:\u00a0{bar(claim)}" if bar(claim) else ""
        row = Judged(sentence(claim), outcome.word, effect(outcome) + asked if shown else outcome.reason, **numbers)
        groups[claims.findings(name)[claim.finding]].append(row)
    return figures.verdict_chart(groups)


def sentence(claim: Claim) -> str:
    """Return a claim's sentence, with a word before those that are ours."""
    return f"Control: {claim.text}" if claim.control else claim.text


def bar(claim: Claim) -> str:
    """Return the side of the threshold that a claim names, as text; "" for above zero, which is that of most."""
    if not claim.threshold and claim.direction != "below":
        return ""
    return f"{claim.direction}\u00a0{claim.threshold:g}".replace("-", "−")


def margin(outcome: Outcome) -> str:
    """Return the margin of a verdict (`claims.Outcome.margin`) as text, with a comma before it; "" where there is none."""
    value = outcome.margin
    return "" if value is None else f", margin\u00a0{value:.{2 if value < 1 else 1 if value < 10 else 0}f}"


def cell(outcome: Outcome) -> str:
    """Return an outcome for a cell of a table: the verdict, and the effect with the verdict's margin, or the reason."""
    return f"{outcome.word}: {outcome.reason or effect(outcome) + margin(outcome)}"


def _printed(name: str, claim: Claim) -> str:
    """Return what the paper prints for the number that tests a claim."""
    published = ledger.published(name)
    values = [published[number]["value"] for number in (claim.number, claim.minus) if number in published]
    if len(values) != 1 + (claim.minus is not None):
        return MISSING
    return f"{values[0] - sum(values[1:]):+.3f}".replace("-", "−")


def comparison(name: str, profiles: Sequence[str] | Mapping[str, str], kind: str | None = None) -> Table:
    """Return what the papers print beside ours: a row a number, a column a profile.

    An effect has the verdict on its sign. A value from another setting than the paper's has none: the two could not be
    the same. In the paper's own setting it is *reproduced* where it lies inside our interval or within one percentage
    point.

    Args:
        name: the lesson.
        profiles: the columns on our side; as a mapping, each with the ending that the paper's numbers for its setting
            have and the ledger's have not, such as "/vgg_11": others are not beside it.
        kind: "value" or "effect" leaves out the paper's numbers of the other kind.
    """
    papers = {number: paper for number, paper in ledger.published(name).items() if kind in (None, paper["kind"])}
    sets = claims.data_sets(name) if name in claims.lessons() else {}
    endings = profiles if isinstance(profiles, Mapping) else dict.fromkeys(profiles, "")
    rows = []
    for number, paper in sorted(papers.items(), key=lambda pair: (pair[1]["paper"], pair[1]["what"])):
        source = f"{paper['paper']}, {paper['where'].split(',')[0]}"
        printed = f"{paper['value']:+.3f}".replace("-", "−")
        ours = [_beside(name, number.removesuffix(ending), paper, profile) if number.endswith(ending) else "not run"
                for profile, ending in endings.items()]
        rows.append([paper["what"], source, printed, *ours])
    says = "What the papers print, and ours: mean over seeds, 95 % interval."
    heads = [sets.get(profile, profile.replace("_", " ")) for profile in profiles]
    return table(rows, ["number", "source", "paper", *heads], caption=f"{says} {captions(name, profiles)}")


def _beside(name: str, number: str, paper: Mapping, profile: str) -> str:
    """Return our side of a number that a paper prints."""
    values = list(series(name, number, profile).values())
    if not values:
        return "not run"
    an_effect = paper["kind"] == "effect"
    bounds = ledger.interval(values, unit="" if an_effect else paper["unit"])
    shown = _shown(statistics.mean(values), bounds, digits=3, sign=True)
    if an_effect:
        direction = "above" if paper["value"] > 0 else "below"
        return f"{shown} {claims.verdict(values, threshold=0.0, direction=direction, unit='')}"
    runs = [run for run in ledger.runs(name) if run.profile == profile and number in run.numbers]
    if {run.numbers[number].setting for run in runs} != {"paper"}:
        return f"{shown} other setting"
    inside = bounds is not None and bounds[0] <= paper["value"] <= bounds[1]
    near = abs(statistics.mean(values) - paper["value"]) <= POINT.get(paper["unit"], 0.0)
    return f"{shown} {'reproduced' if inside or near else 'not reproduced'}"


def caption(name: str, profile: str = "recorded") -> str:
    """Return where the recorded numbers of a profile come from: data set and copy, model, seeds, device, known commits."""
    runs = ledger.facts(name, profile)
    if not runs:
        return f"nothing is recorded with the profile {profile}"
    told = {fact: "; ".join(dict.fromkeys(str(run[fact]) for run in runs)) for fact in ("dataset", "model", "device")}
    copies = dict.fromkeys(run["copy"].replace("'", "") for run in runs)  # some runs were given theirs in quotes
    commits = "; ".join(dict.fromkeys(run["commit"] for run in runs if not run["commit"].startswith("unknown")))
    known = claims.data_sets(name) if name in claims.lessons() else {}
    data_set = known.get(profile, told["dataset"]) + (" (generated)" if told["dataset"] == "shapes" else "")
    seeds = len({run["seed"] for run in runs})
    parts = [data_set, *(copy for copy in copies if copy not in ("", "unknown")), told["model"],
             f"{seeds} seed{'s' if seeds > 1 else ''}", told["device"], *([f"commit {commits}"] if commits else [])]
    return ", ".join(parts)


def captions(name: str, profiles: Iterable[str]) -> str:
    """Return the captions of several profiles, one after the other."""
    return " ".join(f"{caption(name, profile)}." for profile in profiles)
