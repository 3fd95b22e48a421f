"""What the papers claim, as data, and the one rule that says what our intervals make of a claim.

`book/claims/<lesson>.yaml` holds the claims that a lesson tests:

- `data_sets`: the recorded profiles on our side, each with the words that the pages say for it;
- `findings`: groups of claims, each with a heading;
- `claims`: each with its place in the paper, and the recorded number that tests it, or what a test would need.
"""
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields

import yaml

from nblib.checks import nearest
from nblib.runs import ledger, parameters

VERDICTS = ("supported", "contradicted", "undecided", "not tested")
SIDES = ("above", "below")
LIMITS = {"share": (0.0, 1.0), "difference": (-1.0, 1.0), "%": (-100.0, 100.0), "": (-math.inf, math.inf)}
OURS = "book"  # in the place of a paper: a claim that none of them makes
LEAST = 3  # seeds, without which no claim counts as tested


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper that a number can test, or that says what a test would need.

    The claim is that the number lies `above` or `below` its threshold. With `minus` the number is the difference of two
    recorded ones, seed by seed. A `control` is ours: the paper's claim, asked in a stricter way; of the paper
    `OURS` is a claim that no paper makes. Units: a "share" lies in [0, 1], a "difference" is one of shares or
    probabilities, "%" are points, and "" is any other number.
    """

    id: str
    finding: str
    paper: str
    place: str
    text: str
    number: str | None = None
    minus: str | None = None
    direction: str | None = None
    threshold: float | None = None
    unit: str | None = None
    control: bool = False
    needs: str | None = None


def lessons() -> list[str]:
    """Return the lessons that test claims, by name."""
    return sorted(path.stem for path in (parameters.BOOK / "claims").glob("*.yaml"))


def data_sets(name: str) -> dict[str, str]:
    """Return the profiles whose recorded runs test the claims of a lesson, with the words for their data sets."""
    return dict(_read(name)["data_sets"])


def findings(name: str) -> dict[str, str]:
    """Return the groups of a lesson's claims, in their order, with their headings."""
    return dict(_read(name)["findings"])


def claims(name: str) -> list[Claim]:
    """Return the claims that a lesson tests, in the order of their file.

    Raises:
        KeyError: a lesson without claims.
        ValueError: a file that is not as this module's description has it, with the claim and what was expected.
    """
    content, found = _read(name), []
    for entry in content["claims"]:
        claim = _claim(name, entry)
        _expect_sane(name, claim, content["findings"])
        if claim.id in {other.id for other in found}:
            raise ValueError(f"{name}.yaml has two claims {claim.id!r}, expected ids that differ")
        found.append(claim)
    return found


def claim(name: str, which: str) -> Claim:
    """Return one claim of a lesson by its id.

    Raises:
        KeyError: no such claim, with the nearest id.
    """
    found = {each.id: each for each in claims(name)}
    if which not in found:
        raise KeyError(f"no claim {which!r} in {name}.yaml, which has {len(found)} others{nearest(which, found)}")
    return found[which]


def verdict(values: Iterable[float], *, threshold: float, direction: str, unit: str) -> str:
    r"""Say what measured values make of the claim that their mean lies on one side of a threshold.

    With the 95 % interval :math:`[l, h]` of the mean (`ledger.interval`) and the threshold :math:`t`, a claim of
    "above" is *supported* where :math:`l > t`, *contradicted* where :math:`h < t`, and *undecided* where
    :math:`l \le t \le h`; "below" exchanges the first two. Fewer than three values leave it *not tested*.

    Args:
        values: one a seed; or one an image of a single network, and then who shows the verdict has to say so.
        threshold: what the mean is compared with.
        direction: the side that the claim names, "above" or "below".
        unit: "share" for values that are bounded by 0 and 1, and never for a difference of such.

    Returns:
        One of `VERDICTS`.

    Raises:
        ValueError: another direction, or a value that is not finite.
    """
    values = list(values)
    if direction not in SIDES:
        raise ValueError(f"direction {direction!r} was given, expected 'above' or 'below'")
    if not all(map(math.isfinite, values)):
        raise ValueError(f"{values} was given, expected finite values")
    if len(values) < LEAST:
        return "not tested"
    low, high = ledger.interval(values, unit=unit)
    if low <= threshold <= high:
        return "undecided"
    return "supported" if (low > threshold) == (direction == "above") else "contradicted"


@dataclass(frozen=True)
class Outcome:
    """What the recorded runs of one profile make of a claim; as a text it is the verdict."""

    claim: Claim
    word: str  # one of VERDICTS
    reason: str  # why it was not tested, else ""
    values: tuple[float, ...]  # one a seed
    interval: tuple[float, float] | None

    def __str__(self) -> str:
        return self.word

    @property
    def margin(self) -> float | None:
        """Return how far the interval's nearer end lies from the threshold, in half widths of the interval.

        A small one says that little would turn the verdict, perhaps another processor. None without a verdict or width.
        """
        if self.word == "not tested" or self.interval[0] == self.interval[1]:
            return None
        low, high = self.interval
        return min(abs(end - self.claim.threshold) for end in self.interval) / ((high - low) / 2)


def outcome(name: str, given: Claim, profile: str = "recorded") -> Outcome:
    """Return what the recorded runs of a profile make of a claim, or why it was not tested."""
    values = tuple(_measured(name, given, profile))
    if len(values) >= LEAST:
        word = verdict(values, threshold=given.threshold, direction=given.direction, unit=given.unit)
        return Outcome(given, word, "", values, ledger.interval(values, unit=given.unit))
    if values:
        reason = f"{len(values)} of {LEAST} seeds"
    else:
        reason = f"needs {given.needs}" if given.needs else "not recorded"
    return Outcome(given, "not tested", reason, values, ledger.interval(values, unit=given.unit or ""))


def outcomes(name: str, profile: str = "recorded", *, findings: Iterable[str] | None = None,
             controls: bool = True) -> list[Outcome]:
    """Return what the recorded runs make of each claim of a lesson, in the order of its file.

    Args:
        name: the lesson.
        profile: of the recorded runs.
        findings: the groups of claims to return, all where it is left out.
        controls: also return what is ours, and not the paper's.

    Raises:
        KeyError: a finding that the lesson has not.
    """
    known = _read(name)["findings"]
    chosen = set(known if findings is None else findings)
    if unknown := sorted(chosen - set(known)):
        raise KeyError(f"no finding {unknown[0]!r}; {name} has {', '.join(known)}{nearest(unknown[0], known)}")
    return [outcome(name, given, profile) for given in claims(name)
            if given.finding in chosen and (controls or not given.control)]


def _measured(name: str, given: Claim, profile: str) -> list[float]:
    """Return the number that tests a claim for each seed: a recorded one, or the difference of two of the same seed."""
    values = ledger.series(name, given.number, profile) if given.number else {}
    if given.minus is None:
        return list(values.values())
    less = ledger.series(name, given.minus, profile)
    return [value - less[seed] for seed, value in values.items() if seed in less]


def _read(name: str) -> dict:
    """Return the content of a lesson's file of claims."""
    path = parameters.BOOK / "claims" / f"{name}.yaml"
    if not path.exists():
        raise KeyError(f"no claims of {name!r}; there are those of {', '.join(lessons())}{nearest(name, lessons())}")
    content = yaml.safe_load(path.read_text())
    parts = {"data_sets": dict, "findings": dict, "claims": list}
    if not isinstance(content, dict) or set(content) != set(parts):
        raise ValueError(f"{path.name} has to hold {', '.join(parts)}, and nothing else")
    for part, kind in parts.items():
        if not isinstance(content[part], kind) or not content[part]:
            raise ValueError(f"{path.name}: {part} is {content[part]!r}, expected a {kind.__name__} that is not empty")
    return content


def _claim(name: str, entry: object) -> Claim:
    """Return a claim as its file has it, or refuse one with a part too many or too few."""
    known = {field.name for field in fields(Claim)}
    given = entry if isinstance(entry, dict) else {}
    where = f"{name}.yaml, claim {given.get('id', entry)!r}"
    for part in given:
        if part not in known:
            raise ValueError(f"{where}: {part!r} is not known{nearest(part, known)}")
    for part in ("id", "finding", "paper", "place", "text"):
        if not isinstance(given.get(part), str) or not given[part].strip():
            raise ValueError(f"{where}: {part} is {given.get(part)!r}, expected a text")
    return Claim(**given)


def _expect_sane(name: str, given: Claim, headings: dict) -> None:
    """Refuse a claim whose parts do not fit each other."""
    where = f"{name}.yaml, claim {given.id!r}"
    if given.finding not in headings:
        raise ValueError(f"{where}: no finding {given.finding!r}{nearest(given.finding, headings)}")
    if given.number is None:
        parts = {part: getattr(given, part) for part in ("minus", "direction", "threshold", "unit")}
        if not given.needs or any(value is not None for value in parts.values()):
            others = ", ".join(parts)
            raise ValueError(f"{where}: without a number it says what a test `needs`, and has none of {others}")
        return
    if given.direction not in SIDES:
        raise ValueError(f"{where}: direction is {given.direction!r}, expected 'above' or 'below'")
    if given.unit not in LIMITS:
        raise ValueError(f"{where}: unit is {given.unit!r}, expected one of {', '.join(map(repr, LIMITS))}")
    if given.minus is not None and given.unit == "share":
        raise ValueError(f"{where}: a difference of two shares is no share; its unit is 'difference'")
    low, high = LIMITS[given.unit]
    kind = type(given.threshold)
    if kind not in (int, float) or not math.isfinite(given.threshold) or not low <= given.threshold <= high:
        raise ValueError(f"{where}: threshold is {given.threshold!r}, expected a number from {low:g} to {high:g}")
