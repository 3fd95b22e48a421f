"""The library's own code in the page, so that what is read is what runs."""
import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nblib.store import ROOT


@dataclass(frozen=True)
class Source:
    """Code of the library and where it is; a notebook shows it as a highlighted block that cannot be edited."""

    name: str
    place: str  # file below the root of the repository, and line
    code: str

    def __repr__(self) -> str:
        return f"# {self.place}\n{self.code}"

    def _repr_markdown_(self) -> str:
        return f"`{self.name}` in `{self.place}`\n\n```python\n{self.code}\n```"


def show_source(thing: Callable | type, *, lines: tuple[int, int] | None = None, docstrings: bool = False) -> Source:
    """Show the code of a function or class of the library.

    Args:
        thing: a function or a class.
        lines: the first and the last line to show, counted from 1 in what would be shown without.
        docstrings: show them whole; otherwise only the first line of each.

    Raises:
        ValueError: something whose code is not in the library, or lines that are not there.
    """
    thing = inspect.unwrap(thing)
    try:
        source, first = inspect.getsourcelines(thing)
        path = Path(inspect.getsourcefile(thing)).resolve().relative_to(ROOT / "nblib")
    except (TypeError, OSError, ValueError):
        name = getattr(thing, "__name__", repr(thing))
        raise ValueError(f"{name} was given, expected a function or class whose code is in nblib") from None
    code = textwrap.dedent("".join(source)).rstrip()
    code = code if docstrings else shorten_docstrings(code)
    if lines is not None:
        shown = code.split("\n")
        if not 1 <= lines[0] <= lines[1] <= len(shown):
            raise ValueError(f"lines={lines} was given, {thing.__name__} has lines 1 to {len(shown)}")
        code = textwrap.dedent("\n".join(shown[lines[0] - 1 : lines[1]]))
    return Source(thing.__qualname__, f"nblib/{path.as_posix()}, line {first}", code)


def shorten_docstrings(code: str) -> str:
    """Return `code` with the first line alone of each docstring in it."""
    kept = code.split("\n")
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    nodes = [node for node in ast.walk(ast.parse(code)) if isinstance(node, kinds) and ast.get_docstring(node)]
    for text in sorted((node.body[0] for node in nodes), key=lambda text: -text.lineno):
        if text.end_lineno > text.lineno:
            first = kept[text.lineno - 1].rstrip()
            kept[text.lineno - 1 : text.end_lineno] = [first + first.lstrip().lstrip("rR")[:3]]
    return "\n".join(kept)
