"""The parameters of a chapter: declared in its first code cell, read from there, and checked before any work."""
import ast
import importlib.util
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from nblib.checks import nearest
from nblib.store import ROOT

BOOK = ROOT / "book"
PROFILES = BOOK / "profiles"
KINDS = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,), "list": (list,)}
BOOLS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
DIGITS = r"\d+(?:_\d+)*"
NUMBER = re.compile(rf"[+-]?({DIGITS}\.?({DIGITS})?|\.{DIGITS})(e[+-]?\d+)?", re.I)
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
    def item_kind(self) -> str | None:
        """Return the kind of a list's items, which is that of its default's first; None where that is empty."""
        if self.kind != "list" or not self.default:
            return None
        return next(kind for kind, types in KINDS.items() if _is_kind(self.default[0], kind))

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
    """Return the value that a text means for this parameter, by the declared kind; a text that means none stays text.

    Numbers are as people write them: `1e-3`, `1_000`, `010` is ten, and `2e3` is a whole number.
    """
    if parameter.kind == "list":
        try:
            items = yaml.load(text, Loader=yaml.BaseLoader)  # which leaves every item a text
        except yaml.YAMLError:
            return text
        kind = parameter.item_kind
        return [_meant(item, kind) if isinstance(item, str) else item for item in items] if isinstance(items, list) else text
    return _meant(text, parameter.kind)


def _meant(text: str, kind: str) -> object:
    """Return what a text means as a value of a kind, or the text; a number of another kind is told as such later."""
    if kind == "bool":
        return BOOLS.get(text.strip().lower(), text)
    if kind == "str" or not NUMBER.fullmatch(text.strip()):
        return text
    number = float(text)
    if kind == "int" and re.fullmatch(rf"[+-]?{DIGITS}", text.strip()):
        return int(text)
    return int(number) if kind == "int" and "e" in text.lower() and number.is_integer() else number


def check_one(parameter: Parameter, value: object) -> None:
    """Refuse a value of another type or outside the limits."""
    if not _is_kind(value, parameter.kind):
        raise Refused(f"{parameter.name}: {value!r} was given, a {type(value).__name__}; "
                      f"expected {parameter.kind} ({parameter.allowed})")
    if value == [] and parameter.default:
        raise Refused(f"{parameter.name}: an empty list was given; expected one item or more ({parameter.allowed})")
    for item in value if isinstance(value, list) else [value]:
        kind = parameter.item_kind if isinstance(value, list) else parameter.kind
        if kind and not _is_kind(item, kind):
            raise Refused(f"{parameter.name}: {item!r} was given in the list, a {type(item).__name__}; expected {kind} "
                          f"({parameter.allowed})")
        if parameter.choices and item not in parameter.choices:
            near = nearest(item, parameter.choices)
            raise Refused(f"{parameter.name}: {item!r} was given; expected {parameter.allowed}{near}")
        if parameter.low is not None and not parameter.low <= item <= parameter.high:
            raise Refused(f"{parameter.name}: {item!r} was given; expected {parameter.allowed}")


def _is_kind(value: object, kind: str) -> bool:
    """Say whether a value is of a declared kind; truth values are no numbers, and no number is infinite or NaN."""
    if isinstance(value, bool) != (kind == "bool") or not isinstance(value, KINDS[kind]):
        return False
    return not isinstance(value, float) or math.isfinite(value)


def check(chapter: str, values: Mapping[str, object]) -> dict[str, object]:
    """Return all parameters of a chapter, as `complete` does; refuse also what is not there or does not do.

    Raises:
        Refused: also a data set, model, layer or device that is not there.
    """
    full = complete(chapter, values)
    _check_meaning(lesson_of(chapter), full)
    return full


def complete(chapter: str, values: Mapping[str, object]) -> dict[str, object]:
    """Return all parameters of a chapter, `values` laid over the defaults; what they name need not be there.

    Raises:
        Refused: an unknown name, a wrong type, or a value outside its limits.
    """
    known = declared(source(chapter))
    for name, value in values.items():
        if name not in known:
            raise Refused(f"{chapter} has no parameter {name!r}; it has {', '.join(known)}{nearest(name, known)}")
    values = {name: parsed(known[name], value) if isinstance(value, str) else value for name, value in values.items()}
    for name, value in values.items():
        check_one(known[name], value)
    return {name: parameter.default for name, parameter in known.items()} | values


def _check_meaning(lesson: str, values: Mapping[str, object]) -> None:
    """Refuse a device, data set, model or layer that is not there or does not do; costs the import of torch and seconds.

    What can be known is tried here: one image of the data set, the network on it, and the lesson's own needs.
    """
    from nblib import data
    from nblib.hooks import find
    from nblib.runs.needs import network as every
    from nblib.training import choose_device

    try:
        _expect_device(choose_device, values["device"])
        needs = f"nblib.runs.needs.{lesson}"
        own = importlib.import_module(needs) if importlib.util.find_spec(needs) else None
        if hasattr(own, "expect_alone"):  # a chapter whose data are no images
            return own.expect_alone(values)
        images = data.load(values["dataset"], split="held_out", size=values.get("image_size"), limit=1)
        if len(images.classes) < 2:
            raise ValueError(f"dataset {values['dataset']!r} has one class, {images.classes[0]!r}; expected two or more: "
                             "a folder for each class")
        model = network(values)
        if values.get("layer"):
            find(model, values["layer"])
        every.expect(values, images, model, has_to_train=getattr(own, "HAS_TO_TRAIN", False))
        if own:
            own.expect(values, images, model)
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        raise Refused(error.args[0] if isinstance(error, KeyError) else str(error)) from None


def _expect_device(choose: Callable[[str], object], name: str) -> None:
    """Refuse a device that is not here, with the parameter that names another."""
    try:
        choose(name)
    except ValueError as error:
        raise ValueError(f"{error}: -p device cpu computes here" if name.startswith(("cuda", "mps")) else error) from None


def network(values: Mapping[str, object]) -> "torch.nn.Module":  # noqa: F821
    """Return the network that parameters name, as a chapter builds it, but for published weights of libraries."""
    from nblib import data, models

    images = data.load(values["dataset"], split="held_out", size=values.get("image_size"), limit=1)
    weights = values.get("weights") or None
    if weights == "default" and values["model"].startswith(("torchvision:", "timm:")):
        weights = None  # those of other libraries may have to be fetched, which is work
    return models.build(values["model"], classes=len(images.classes), size=images.images.shape[-1], weights=weights)


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
    return read(path, chapter)


def read(path: Path, chapter: str) -> dict[str, object]:
    """Return the parameters of a chapter in a flat YAML file, or refuse one that is missing, broken or nested.

    Its values are texts that mean what they mean on the command line.
    """
    try:
        values = yaml.load(path.read_text(), Loader=yaml.BaseLoader)
    except OSError as error:
        raise Refused(f"the parameter file {path} can't be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Refused(f"the parameter file {path} is not YAML: {str(error).splitlines()[0]}") from None
    if values in (None, ""):
        return {}
    if not isinstance(values, dict) or any(isinstance(value, dict) for value in values.values()):
        raise Refused(f"the parameter file {path} has to be flat: `name: value` a line")
    known = declared(source(chapter))
    texts = {name: yaml.safe_dump(value, default_flow_style=True) if isinstance(value, list) else value
             for name, value in values.items()}
    return {name: parsed(known[name], text) if name in known else text for name, text in texts.items()}
