"""What a chapter calls: its parameters checked, its numbers glued into the prose and put on record."""
import math
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType, SimpleNamespace

from IPython.display import Markdown, display

from nblib import __version__
from nblib.checks import expect_one_of
from nblib.runs import parameters

_started: set[str] = set()  # the chapters that this kernel has begun
SHELL = {"In", "Out", "exit", "quit", "open", "get_ipython"}


class Text:
    """A text that shows as itself, so that prose can glue it."""

    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return self.text


def start(chapter: str, names: Mapping[str, object]) -> SimpleNamespace:
    """Check the parameters that a notebook holds and print the versions it runs with.

    Args:
        chapter: the notebook's name.
        names: its `globals()`, right after the parameters cell.

    Returns:
        The parameters, as attributes.

    Raises:
        Refused: a parameter that the chapter does not declare, of a wrong type, or out of range. It shows without a
            traceback.
    """
    import torch

    from nblib.training import networks_read

    known = parameters.declared(parameters.source(chapter))
    given = {
        name: value
        for name, value in names.items()
        if not name.startswith("_") and name not in SHELL and not isinstance(value, ModuleType) and not callable(value)
    }
    # before anything else has run, another value can only be a misspelt parameter; later it may be any variable
    misspelt = {} if chapter in _started else {name: value for name, value in given.items() if _is_value(value)}
    values = parameters.check(chapter, misspelt | {name: given[name] for name in given if name in known})
    _started.add(chapter)
    networks_read()  # what was read before this run is not its own
    versions = f"Python {platform.python_version()}, torch {torch.__version__.split('+')[0]}, nblib {__version__}"
    print(f"{versions}; device {values['device']}, seed {values['seed']}", file=sys.stdout)
    return SimpleNamespace(**values)


def _is_value(value: object) -> bool:
    """Say whether something in a notebook could be a parameter, known or misspelt."""
    return isinstance(value, (int, float, str, bool, list))


def glue(name: str, text: object) -> None:
    """Keep `text` under `name`, for the prose: {glue:text}`name`."""
    from myst_nb import glue as keep

    keep(name, Text(str(text)), display=False)


def say(text: str) -> None:
    """Show a text as Markdown: how a hidden cell writes a sentence with numbers.

    A sentence that ends with the number 1 at the beginning of a line would begin a list there; that point is escaped.
    """
    display(Markdown(re.sub(r"(?<=[^\n]\n)1\. ", r"1\\. ", text)))


def record(name: str, values: float | Mapping, *, what: str, unit: str, run: SimpleNamespace,
           setting: str = "other") -> None:
    """Put a number of this run, or a table of numbers, on record; `nblib run --record` carries it into the ledger.

    Args:
        name: its short name, the same as the paper's number in `book/published`, if there is one.
        values: a number, or one for each kind, which goes on record as "name/kind"; kinds may have kinds of their own.
            What is not finite is left out.
        what: what it measures, in words; "{}" stands for the kind, one for each level of kinds.
        unit: "share" for what lies in [0, 1], "difference" for one of shares or a relative change, "%" for points, "s", or
            "" for a plain number.
        run: the run's parameters, from `start`; a chapter adds `copy`, which copy of the data set was there.
        setting: "paper" where model, data and procedure are the paper's own, else "other".

    Raises:
        ValueError: a setting that is neither, or more "{}" in `what` than there are kinds.
    """
    from nblib.training import conditions, networks_read

    expect_one_of("setting", setting, ("paper", "other"))
    numbers = [
        {"name": "/".join([name, *kinds]), "value": value, "unit": unit, "what": _filled(what, kinds),
         "setting": setting}
        for kinds, value in _leaves(values) if math.isfinite(value)
    ]
    if not numbers:
        return
    facts = {"dataset": run.dataset, "copy": getattr(run, "copy", ""), "model": run.model, **conditions(run.device),
             "networks": networks_read()}
    # this mime type is the one that the page's renderer leaves out; it wants a name for each, also where tables share one
    mime = "application/papermill.record/"
    metadata = {"scrapbook": {"name": f"record:{numbers[0]['name']}", "mime_prefix": mime},
                "nblib_record": {"numbers": numbers, "facts": facts}}
    display({f"{mime}text/plain": f"{len(numbers)} of {name}"}, raw=True, metadata=metadata)


def _leaves(values: float | Mapping, kinds: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield (kinds, number) of a number or of mappings of numbers."""
    if isinstance(values, Mapping):
        for kind, inner in values.items():
            yield from _leaves(inner, (*kinds, str(kind)))
    else:
        yield kinds, float(values)


def _filled(what: str, kinds: tuple[str, ...]) -> str:
    """Return `what` with the kinds in the places of its "{}"; that of a single number stays as it is."""
    try:
        return what.format(*kinds) if kinds else what
    except IndexError:
        given = f"what={what!r} was given for {'/'.join(kinds)}"
        raise ValueError(f"{given}, expected {{}} at most once for each of the {len(kinds)} levels of kinds") from None
