"""What a text with several values means, and the settings that several parameters make together."""
import itertools
import math
import re
from collections.abc import Mapping, Sequence

from nblib import store
from nblib.runs import parameters
from nblib.runs.parameters import DIGITS, Parameter, Refused

RANGE = re.compile(rf"([+-]?{DIGITS})\.\.([+-]?{DIGITS})")
MOST = 10_000  # settings of one sweep


def parts(text: str) -> list[str]:
    """Return the texts that stand between the commas of `text`, but for commas in brackets or in quotes.

    A quote begins only where a value or an item of a list does. A text with a quote or a bracket that does not end is
    one value.
    """
    found, item, depth, quote = [], "", 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and item.rstrip()[-1:] in ("", "[", ","):
            quote = letter
        elif letter == "," and not depth:
            found.append(item)
            item = ""
            continue
        else:
            depth += (letter == "[") - (letter == "]")
        item += letter
    return [part.strip() for part in [*found, item]] if not (depth or quote) else [text]


def values(parameter: Parameter, text: str) -> list[object]:
    """Return the different values that a text names for a parameter, in its order.

    Raises:
        Refused: a value that is empty beside others, or a range that is none or has too many values.
    """
    found, named = [], parts(text)
    for part in named:
        ends = RANGE.fullmatch(part)
        if not part and len(named) > 1:
            raise Refused(f"{parameter.name}: {text!r} has an empty value; expected none, or '' for an empty text")
        if ends and parameter.kind == "float":
            raise Refused(f"{parameter.name}: {part!r} was given; `..` is for whole numbers, others are named: 0.1,0.5")
        if ends and parameter.kind == "int":
            found += _range(parameter, part, int(ends[1]), int(ends[2]))
        else:
            found.append(parameters.parsed(parameter, _unquoted(part)))
    return list({repr(value): value for value in found}.values())


def _unquoted(text: str) -> str:
    """Return a text without the quotes around the whole of it."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _range(parameter: Parameter, text: str, low: int, high: int) -> range:
    """Return the whole numbers from `low` to `high`, or refuse ends that do not fit."""
    for end in (low, high):
        parameters.check_one(parameter, end)
    if not low <= high < low + MOST:
        raise Refused(f"{parameter.name}: {text!r} was given; expected the smaller end first, and {MOST:,} values or less")
    return range(low, high + 1)


def one(parameter: Parameter, text: str) -> object:
    """Return the value that a text means, or refuse one that names several."""
    found = values(parameter, text)
    if len(found) > 1:
        hint = "a list stands in [brackets]" if parameter.kind == "list" else "a value with a comma is quoted"
        raise Refused(f"{parameter.name}: {text!r} names {len(found)} values, expected one; `sweep` takes several, {hint}")
    return found[0]


def combined(chapter: str, base: Mapping[str, object], texts: Sequence[tuple[str, str]]) -> dict[str, dict]:
    """Return all settings, by their names: every value of each parameter in `texts` with every value of the others.

    Args:
        base: what all settings have in common, beside the chapter's own defaults.
        texts: parameters, and the text that names the values of each.

    Raises:
        Refused: an unknown parameter, a value that does not fit its type or limits, or too many settings.
    """
    known = parameters.declared(parameters.source(chapter))
    varied = {}
    for name, text in texts:
        if name not in known:
            parameters.check(chapter, {name: text})  # refuses
        varied[name] = values(known[name], text)
        for value in varied[name]:
            parameters.check_one(known[name], value)
    count = math.prod(map(len, varied.values()))
    if count > MOST:
        raise Refused(f"the values make {count:,} settings, expected at most {MOST:,}")
    defaults = {name: parameter.default for name, parameter in known.items()}
    chosen = [dict(zip(varied, combination)) for combination in itertools.product(*varied.values())]
    return {_name(setting): defaults | dict(base) | setting for setting in chosen}


def _name(setting: Mapping[str, object]) -> str:
    """Return the name of a setting: what it has that others have not."""
    return " ".join(f"{name}={value}" for name, value in setting.items()) or "the only setting"


def expect_each(chapter: str, settings: Mapping[str, Mapping[str, object]], *, elsewhere: bool = False) -> None:
    """Refuse a setting that could not work; those that differ in the seed alone are tried once.

    Args:
        elsewhere: it runs on other machines, which may have a GPU where this one has none; they refuse what they lack.
    """
    tried = set()
    for name, setting in settings.items():
        key = store.key({what: value for what, value in setting.items() if what != "seed"})
        if key not in tried:
            try:
                there = elsewhere and re.fullmatch(r"(cuda(:\d+)?|mps)", str(setting.get("device")))
                parameters.check(chapter, {**setting, "device": "cpu"} if there else setting)
            except Refused as error:
                raise Refused(f"{name}: {error}") from None
        tried.add(key)
