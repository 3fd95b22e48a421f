"""What a chapter calls: its parameters checked, its numbers glued into the prose and put on record."""
import json
import math
import platform
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType, SimpleNamespace

from IPython.display import display

from nblib import __version__
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


def record(name: str, value: float, *, what: str, unit: str, run: SimpleNamespace, setting: str = "other") -> None:
    """Put a number of this run on record; `nblib run --record` carries it into the ledger.

    Args:
        name: its short name, the same as the paper's number in `book/published`, if there is one.
        value: the number; NaN is not recorded.
        what: what it measures, in words.
        unit: "share", "%", "s", or "" for a plain number.
        run: the run's parameters, from `start`; a chapter adds `copy`, which copy of the data set was there.
        setting: "paper" where model, data and procedure are the paper's own, else "other".

    Raises:
        ValueError: a setting that is neither.
    """
    if setting not in ("paper", "other"):
        raise ValueError(f"setting {setting!r} was given, expected 'paper' or 'other'")
    if math.isnan(value):
        return
    entry = {"name": name, "value": float(value), "what": what, "unit": unit, "dataset": run.dataset,
             "copy": getattr(run, "copy", ""), "model": run.model, "device": _device(run.device), "setting": setting}
    # this mime type is the one that the page's renderer leaves out
    hidden = {"application/papermill.record/text/plain": json.dumps(entry)}
    keys = {"scrapbook": {"name": f"record:{name}", "mime_prefix": "application/papermill.record/"}, "nblib_record": entry}
    display(hidden, raw=True, metadata=keys)


def record_all(name: str, values: Mapping[str, float], *, what: str, unit: str, run: SimpleNamespace) -> None:
    """Put a number of each kind on record, under "name/kind"; "{}" in `what` stands for the kind."""
    for kind, value in values.items():
        record(f"{name}/{kind}", value, what=what.format(kind), unit=unit, run=run)


def _device(name: str) -> str:
    """Return what a device is: the GPU's name, or CPU with its number of cores in use."""
    import torch

    from nblib.training import choose_device

    device = choose_device(name)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads" if device.type == "cpu" else device.type


def comparison(chapter: str, profiles: Sequence[str], *, kind: str | None = None) -> object:
    """Return the table of the paper's numbers beside ours: a row a number, a column a profile, from the ledger.

    Args:
        chapter: the notebook's name.
        profiles: the columns on our side.
        kind: "value" or "effect" leaves out the paper's numbers of the other kind.
    """
    from nblib.figures import table
    from nblib.runs import ledger

    entries = ledger.read(chapter)
    papers = {entry["name"]: entry["paper"] for entry in entries.values()
              if entry.get("paper") and kind in (None, entry["paper"]["kind"])}
    rows = []
    for name, paper in sorted(papers.items(), key=lambda pair: (pair[1]["paper"], pair[1]["what"])):
        found = [_beside(entries.get(f"{profile}/{name}")) for profile in profiles]
        source = f"{paper['paper']}, {paper['where'].split(',')[0]}"
        rows.append([paper["what"], source, f"{paper['value']:+.3f}", *found])
    return table(rows, ["number", "source", "paper", *profiles],
                 caption="The paper's numbers beside ours: mean over seeds, 95 % interval, computed status.")


def _beside(entry: Mapping | None) -> str:
    """Return our side of a number: mean, interval, status."""
    if not entry or not entry["values"]:
        return "not run"
    bounds = "[{:+.3f}, {:+.3f}]".format(*entry["interval"]) if entry["interval"] else "one seed"
    return f"{entry['mean']:+.3f} {bounds} {entry['status']}"
