"""What a sweep measured, as one tidy table and as one plot."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat
import pandas
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from nblib import store
from nblib.checks import nearest
from nblib.runs import bookkeeping, ledger
from nblib.runs.parameters import Refused

ALWAYS = ("dataset", "model", "seed", "device")  # parameters that the table has also where all settings agree
TOLD = ("copy", "commit", "seconds")


def rows(executed: Path, varied: Sequence[str]) -> list[dict[str, object]]:
    """Return a row for each number that an executed setting recorded: its parameters, the number, and facts about it.

    Raises:
        Refused: a setting that recorded no number, or one twice.
    """
    notebook = nbformat.read(executed, 4)
    made = notebook.metadata["nblib"]
    numbers, facts = bookkeeping.measured(notebook, executed)
    told = dict(zip(TOLD, (facts["copy"], made["commit"], made["seconds"])))
    asked = {name: made["parameters"][name] for name in dict.fromkeys([*varied, *ALWAYS])}
    return [asked | {"name": name, "value": it.value, "unit": it.unit, "what": it.what} | told
            for name, it in sorted(numbers.items())]


def write(found: Sequence[Mapping[str, object]], path: Path) -> pandas.DataFrame:
    """Write the rows of all settings as a CSV file, whole or not at all, and return the table."""
    frame = pandas.DataFrame(found)
    with store.atomic(path) as part:
        frame.to_csv(part, index=False)
    return frame


def plot(frame: pandas.DataFrame, number: str, against: str, varied: Sequence[str], path: Path) -> None:
    """Draw a number, or all kinds of it, against a parameter: the mean over seeds with its 95 % interval.

    Each combination of the other parameters is a line, or a bar where the parameter is no number.

    Raises:
        Refused: a number that the sweep has not, or more lines than can be told apart.
    """
    names = list(frame["name"].unique())
    kinds = [name for name in names if name == number or name.startswith(f"{number}/")]
    if not kinds:
        raise Refused(f"--plot {number} was given, and the sweep has no such number{nearest(number, names)}; "
                      "the table has all names")
    chosen = frame[frame["name"].isin(kinds)]
    others = [name for name in varied if name not in (against, "seed") and chosen[name].map(str).nunique() > 1]
    is_line = is_numeric_dtype(chosen[against]) and not is_bool_dtype(chosen[against])
    chosen = chosen.assign(**{name: chosen[name].map(str) for name in [*others, *([] if is_line else [against])]})
    lines: dict[str, dict] = {}
    for (kind, *group, place), same in chosen.groupby(["name", *others, against], sort=is_line):
        mean, unit = same["value"].mean(), same["unit"].iloc[0]
        said = [kind.removeprefix(number).removeprefix("/"), *(f"{name} {it}" for name, it in zip(others, group))]
        line = lines.setdefault(", ".join(filter(None, said)), {})
        line[place] = (mean, *(ledger.interval(same["value"], unit=unit) or (mean, mean)))
    measured = f"{number} ({unit})" if unit else number
    try:
        figure = _curves(lines, against, measured) if is_line else _bars(lines, measured)
    except ValueError as error:
        raise Refused(f"--plot {number} --against {against}: {error}") from None
    with store.atomic(path) as part:
        figure.savefig(part, format="png", dpi=200)


def _curves(lines: Mapping[str, Mapping], against: str, measured: str) -> "Figure":  # noqa: F821
    """Draw line -> place -> (mean, low, high), where places are numbers."""
    from nblib import figures

    drawn = {name: ([*line], *zip(*line.values())) for name, line in lines.items()}
    return figures.curves(drawn, x=against, y=measured)


def _bars(lines: Mapping[str, Mapping], measured: str) -> "Figure":  # noqa: F821
    """Draw line -> place -> (mean, low, high), where places are words: a bar for each."""
    from nblib import figures

    ends = {", ".join(filter(None, (place, name))): it for name, line in lines.items() for place, it in line.items()}
    return figures.bars({name: it[0] for name, it in ends.items()}, x=measured,
                        intervals={name: it[1:] for name, it in ends.items()})
