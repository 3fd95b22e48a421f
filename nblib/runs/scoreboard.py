"""The scoreboard: every claim of the papers with what recorded runs make of it, and the counts for the start page."""
import re

from nblib.runs import claims, ledger, parameters, recorded
from nblib.runs.claims import VERDICTS, Outcome

HEAD = """# Scoreboard

Every claim of the papers that a number can test, in a row, with what our recorded runs say of it. The papers, P0 to P4,
are named on the {ref}`first page <papers>`. A claim names a number and the side of a threshold on which it has to lie.
That side stands in brackets behind it; where none stands, it is above zero.

- **supported**: the 95 % interval over seeds lies on the claim's side.
- **contradicted**: it lies on the other side.
- **undecided**: it holds the threshold. The effect may be there and be smaller than what seeds change.
- **not tested**: the reason stands beside it. Fewer than three seeds is one.

The *margin* goes from the threshold to the interval's nearer end, in half widths of the interval. Below 0.2 or so a
verdict is a close one: rounding differs between processors and numbers of threads, and may turn it.

The interval is Student's t over seeds, for shares on the logit scale. One rule gives all verdicts here, in the charts
and in the text. Rows that begin with *Control* are ours, and are not counted with the papers'. They ask a claim in a
stricter way, or ask whether the same is there where it should not be, such as with random weights: there *supported*
speaks against what the paper makes of its claim. So read a claim with the controls below it. The claims of the *book*,
on all methods side by side, which no paper makes, are not counted either.

A verdict holds for the data, the network and the size that stand above its table. It does not say that a paper is wrong
about its own networks. And among so many intervals a few exclude their threshold by chance.

"""
COUNTS = """Verdicts on the papers' claims, by data set. The {scoreboard} has each claim, with its interval and
the command that measures it again.

"""


def page() -> str:
    """Return the page of all claims with their verdicts, as MyST."""
    parts = [HEAD + "## All verdicts\n\n" + counts_table()]
    parts += [_lesson(name) for name in _in_order()]
    return "\n".join(parts)


def counts() -> str:
    """Return the counts of the verdicts as MyST, for the start page to include."""
    return COUNTS.format(scoreboard="{doc}`scoreboard`") + counts_table()


def counts_table() -> str:
    """Return how many claims of each paper have which verdict on which data set, and the sums."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for name in _in_order():
        for profile, data_set in claims.data_sets(name).items():
            for outcome in claims.outcomes(name, profile, controls=False):
                if outcome.claim.paper != claims.OURS:
                    row = found.setdefault((outcome.claim.paper, data_set), dict.fromkeys(VERDICTS, 0))
                    row[outcome.word] += 1

    def order(item):
        (paper, data_set), _ = item
        return paper, data_set != "shapes", data_set

    rows = [[paper, data_set, *map(str, row.values())] for (paper, data_set), row in sorted(found.items(), key=order)]
    sums = [str(sum(row[word] for row in found.values())) for word in VERDICTS]
    return _table(["paper", "data set", *VERDICTS], [*rows, ["all", "", *sums]])


def _in_order() -> list[str]:
    """Return the lessons that test claims, in the order of the book."""
    order = [parameters.lesson_of(chapter) for chapter in parameters.chapters()]
    return sorted(claims.lessons(), key=lambda name: order.index(name) if name in order else len(order))


def _lesson(name: str) -> str:
    """Return the claims of a lesson, one table a finding, below the commands that measure them."""
    sets = claims.data_sets(name)
    pages = [page for page in dict.fromkeys([name, parameters.lab_of(name)]) if page in parameters.chapters()]
    parts = [f"## {name.replace('_', ' ').capitalize()}\n"]
    if pages:
        parts.append(f"See {' and '.join(f'{{doc}}`{page}`' for page in pages)}. Measured again by:\n")
    commands = [f"python3 -m nblib run {name} --profile {profile} --seeds {_seeds(name, profile)} --record  # {said}"
                for profile, said in sets.items()]
    parts.append("```bash\n" + "\n".join(commands) + "\n```\n")
    parts.append("\n".join(f"- {recorded.caption(name, profile)}" for profile in sets) + "\n")
    for finding, said in claims.findings(name).items():
        columns = [claims.outcomes(name, profile, findings=[finding]) for profile in sets]
        rows = [[_claim(first), _place(first), *map(_cell, (first, *others))]
                for first, *others in zip(*columns)]
        parts.append(f"### {said}\n\n" + _table(["claim", "place", *sets.values()], rows))
    return "\n".join(parts)


def _seeds(name: str, profile: str) -> int:
    """Return how many seeds are recorded, or how many a claim needs."""
    return len({facts["seed"] for facts in ledger.facts(name, profile)}) or claims.LEAST


def _claim(outcome: Outcome) -> str:
    """Return a claim's sentence, with the side of its threshold where that is another than above zero."""
    bar = recorded.bar(outcome.claim) if outcome.claim.direction else ""
    return recorded.sentence(outcome.claim) + (f" (*{bar}*)" if bar else "")


def _place(outcome: Outcome) -> str:
    """Return where a claim stands, in words that a line does not break after "Section" and the like."""
    return re.sub(r"(\w+) (?=[\dA-Z]\b)", "\\1\u00a0", f"{outcome.claim.paper}, {outcome.claim.place}")


def _cell(outcome: Outcome) -> str:
    """Return a verdict with its effect, margin and seeds, or with the reason why there is none."""
    if outcome.reason:
        return f"**{outcome.word}**: {outcome.reason}"
    return f"**{outcome.word}** {recorded.effect(outcome)}{recorded.margin(outcome)}, {len(outcome.values)}\u00a0seeds"


def _table(columns: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
