"""The parameters of a chapter: declared in its first code cell, read from there, and checked before any work."""
import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from nblib.checks import nearest
from nblib.store import ROOT

BOOK = ROOT / "book"
PROFILES = BOOK / "profiles"
KINDS = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,), "list": (list,)}
LINE = re.compile(r"^(?P<name>[a-z]\w*): (?P<kind>\w+) = (?P<default>[^#=]+?)  # (?P<help>[^#=]+)$")
LIMITS = re.compile(r"\[(?P<inside>[^\[\]]+)\]$")


class Refused(ValueError):
    """Something that was asked for can't be done; the message says what was given, what was expected, what is near."""

    def _render_traceback_(self) -> list[str]:
        """Let a notebook show the message alone."""
        return [f"refused: {self}"]


class WorkFailed(RuntimeError):
    """Work that was begun could not be finished; the message says what to look at, and what was finished is kept."""


@dataclass(frozen=True)
class Parameter:
    """One declaration: its name, the name of its type, its default, what it means, and what it may be."""

    name: str
    kind: str
    default: object
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """Say in words what the value may be."""
        if self.choices:
            return "one of " + ", ".join(self.choices) if self.kind != "list" else "any of " + ", ".join(self.choices)
        return f"{_plain(self.low)} to {_plain(self.high)}" if self.low is not None else self.kind


def _plain(number: float) -> str:
    """Return a limit as people write it."""
    return f"{int(number):,}" if number == int(number) else f"{number:g}"


def chapters() -> list[str]:
    """Return the names of all notebooks among the pages of `_toc.yml`, lessons and labs, in their order."""
    pages = re.findall(r"^\s*(?:- file|root):\s*book/(\S+)", (ROOT / "_toc.yml").read_text(), re.M)
    return [page for page in pages if (BOOK / f"{page}.ipynb").exists()]


def source(chapter: str) -> Path:
    """Return the notebook of a chapter, or refuse a name that is none."""
    if chapter not in chapters():
        raise Refused(f"no chapter {chapter!r}; there are {', '.join(chapters())}{nearest(chapter, chapters())}")
    return BOOK / f"{chapter}.ipynb"


def lab_of(chapter: str) -> str:
    """Return the name of the lab that goes with a lesson; a lab is its own, and so is a chapter that has none."""
    return f"{chapter}_lab" if f"{chapter}_lab" in chapters() else chapter


def lesson_of(chapter: str) -> str:
    """Return the name that a lesson shares with its lab: ledger, claims and published numbers bear it."""
    return chapter.removesuffix("_lab")


def declared(notebook: Path) -> dict[str, Parameter]:
    """Read the parameters that a notebook declares, one `name: type = default  # help [limits]` a line.

    Limits stand in brackets at the end of the help: `[1, 100]` for a number, `[a | b]` for a choice.

    Raises:
        ValueError: no cell tagged `parameters`, or a line of it that is not such a declaration.
    """
    cells = json.loads(notebook.read_text())["cells"]
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    if len(tagged) != 1:
        raise ValueError(f"{notebook.name} has {len(tagged)} cells tagged `parameters`, expected one")
    found = {}
    for line in "".join(tagged[0]["source"]).splitlines():
        parts = LINE.match(line)
        if not parts or parts["kind"] not in KINDS:
            raise ValueError(f"{notebook.name}: {line!r} is not `name: type = default  # help`")
        limits = LIMITS.search(parts["help"])
        low, high, choices = _limits(limits["inside"]) if limits else (None, None, ())
        meaning = LIMITS.sub("", parts["help"]).strip()
        default = ast.literal_eval(parts["default"].strip())
        found[parts["name"]] = Parameter(parts["name"], parts["kind"], default, meaning, low, high, choices)
    return found


def _limits(inside: str) -> tuple[float | None, float | None, tuple[str, ...]]:
    """Return (low, high, choices) from the text between the brackets."""
    if "|" in inside:
        return None, None, tuple(choice.strip() for choice in inside.split("|"))
    low, high = (float(number) for number in inside.split(","))
    return low, high, ()


def parsed(parameter: Parameter, text: str) -> object:
    """Return the value that a text from the command line means for this parameter; a text that fits none stays text."""
    if parameter.kind == "str":
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def check_one(parameter: Parameter, value: object) -> None:
    """Refuse a value of another type or outside the limits."""
    name, given = parameter.name, f"{value!r} was given"
    wrong_bool = isinstance(value, bool) and parameter.kind != "bool"
    if wrong_bool or not isinstance(value, KINDS[parameter.kind]):
        raise Refused(f"{name}: {given}, a {type(value).__name__}; expected {parameter.kind} ({parameter.allowed})")
    for item in value if isinstance(value, list) else [value]:
        if parameter.choices and item not in parameter.choices:
            raise Refused(f"{name}: {item!r} was given; expected {parameter.allowed}{nearest(item, parameter.choices)}")
        if parameter.low is not None and not parameter.low <= item <= parameter.high:
            raise Refused(f"{name}: {item!r} was given; expected {parameter.allowed}")


def check(chapter: str, values: Mapping[str, object]) -> dict[str, object]:
    """Return all parameters of a chapter, `values` laid over the defaults; refuse what does not fit.

    Raises:
        Refused: an unknown name, a wrong type, a value outside its limits, or a data set, model, layer or device that is
            not there.
    """
    known = declared(source(chapter))
    for name, value in values.items():
        if name not in known:
            raise Refused(f"{chapter} has no parameter {name!r}; it has {', '.join(known)}{nearest(name, known)}")
        check_one(known[name], value)
    full = {name: parameter.default for name, parameter in known.items()} | dict(values)
    _check_meaning(full)
    return full


def _check_meaning(values: Mapping[str, object]) -> None:
    """Refuse a device, data set, model or layer that is not there; costs the import of torch and some seconds."""
    from nblib import data, models
    from nblib.hooks import find
    from nblib.training import choose_device

    try:
        choose_device(values["device"])
        images = data.load(values["dataset"], split="held_out", size=values.get("image_size"), limit=1)
        weights = None if (values.get("weights") or "default") == "default" else values["weights"]
        model = models.build(
            values["model"], classes=len(images.classes), size=images.images.shape[-1], weights=weights
        )
        if values.get("layer"):
            find(model, values["layer"])
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        raise Refused(error.args[0] if isinstance(error, KeyError) else str(error)) from None


def profiles() -> list[str]:
    """Return the names of the parameter sets beside the notebooks' own defaults."""
    return sorted(path.name for path in PROFILES.iterdir() if path.is_dir())


def profile(name: str, chapter: str) -> dict[str, object]:
    """Return what profile `name` sets for a chapter; "default" sets nothing, and a chapter without a file is refused."""
    if name == "default":
        return {}
    if name not in profiles():
        known = ["default", *profiles()]
        raise Refused(f"no profile {name!r}; there are {', '.join(known)}{nearest(name, known)}")
    path = PROFILES / name / f"{chapter}.yaml"
    if not path.exists():
        lab = lab_of(chapter)
        other = f", or take {lab}" if lab != chapter and (PROFILES / name / f"{lab}.yaml").exists() else ""
        raise Refused(f"profile {name!r} has no file for {chapter}: write {path.relative_to(ROOT)}{other}")
    return read(path)


def read(path: Path) -> dict[str, object]:
    """Return the parameters in a flat YAML file, or refuse one that is missing, broken or nested."""
    try:
        values = yaml.safe_load(path.read_text())
    except OSError as error:
        raise Refused(f"the parameter file {path} can't be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Refused(f"the parameter file {path} is not YAML: {str(error).splitlines()[0]}") from None
    if values is None:
        return {}
    if not isinstance(values, dict) or any(isinstance(value, dict) for value in values.values()):
        raise Refused(f"the parameter file {path} has to be flat: `name: value` a line")
    return values
