"""What a network is made of beyond this library: what a reader's own function imports and reads, published weights."""
import ast
import contextlib
import functools
import importlib.util
import os
import sys
import sysconfig
import traceback
import weakref
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

from torch import nn

from nblib import store
from nblib.data import data_root
from nblib.models import weights as files

INSTALLED = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}
ASIDE = INSTALLED | {Path(place).resolve() for place in (
    sys.prefix, sys.base_prefix, store.ROOT / "nblib", "/proc", "/sys", "/dev", "/etc",
    Path.home() / ".cache", Path.home() / ".config")}
PACKAGES = {"site-packages", "dist-packages"}  # what installers name their folders, a user's own and others' too

_watching: list[set[Path]] = []  # where what is read just now is noted
_at_import: dict[str, set[Path]] = {}  # what was read while a reader's module was imported, by its name
_by_model: "weakref.WeakKeyDictionary[nn.Module, set[Path]]" = weakref.WeakKeyDictionary()


def made_of(name: str, model: nn.Module) -> list[object]:
    """Return what a network is made of beyond this library and the installed ones, as parts of a key.

    These are the files of a reader's own function and classes, whatever of the reader's files they import or read, and
    the tensors that they made. Nothing for other networks.

    Args:
        name: as it was given to `build`.
        model: what `build` returned.
    """
    modules = {type(module).__module__ for module in model.modules()} | {name.partition(":")[0]}
    found = _imported(modules) | {path for path in _by_model.get(model, ()) if path.is_file()}
    return [*sorted(found), *([files.content_key(model.state_dict())] if model in _by_model else [])]


def published(name: str) -> list[Path]:
    """Return the file below the folder of data that holds the published weights of a network, or none."""
    if name.startswith("timm:"):
        path = data_root(None) / "timm" / f"{name.removeprefix('timm:')}.safetensors"
        return [path] if path.is_file() else []
    return sorted((data_root(None) / "cifar10_resnet").glob(f"{name}[-.]*"))[:1]


def place_of(error: BaseException) -> str:
    """Return an error as words go on with it, " in FILE, line N: KIND: MESSAGE", with the reader's line that raised it."""
    steps = [(step.filename, step.lineno) for step in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        steps.append((error.filename, error.lineno))
    own = [(Path(file), line) for file, line in steps if Path(file).is_file() and _is_own(Path(file))]
    where = f" in {own[-1][0].name}, line {own[-1][1]}" if own else ""
    said = error.msg if isinstance(error, SyntaxError) else str(error)  # which would name the line once more
    return f"{where}: {type(error).__name__}: {said}"


@contextlib.contextmanager
def watched(module: str) -> Iterator[list[nn.Module]]:
    """Note the reader's files that are read within the block, for the network that it adds to the list.

    Args:
        module: where the network's function is; what was read at its import counts at every later call too.
    """
    _listen()
    seen: set[Path] = set()
    new, made = module not in sys.modules, []
    _watching.append(seen)
    try:
        yield made
    finally:
        _watching.remove(seen)
    if new or module not in _at_import:
        _at_import[module] = seen
    for model in made:
        _by_model[model] = seen | _at_import[module]


@functools.cache
def _listen() -> None:
    """Let Python tell of the files that it opens; it cannot be asked to stop."""
    sys.addaudithook(_note)


def _note(event: str, arguments: tuple) -> None:
    """Note a file that is opened for reading."""
    if event != "open" or not _watching or not isinstance(arguments[0], (str, bytes, os.PathLike)):
        return
    path = Path(os.path.abspath(os.fsdecode(arguments[0])))
    if path.suffix != ".pyc" and not arguments[2] & (os.O_WRONLY | os.O_RDWR) and _is_own(path):
        for seen in _watching:
            seen.add(path)


def _is_own(path: Path) -> bool:
    """Say whether a file is neither the system's nor Python's nor an installed package's nor this library's."""
    found = path.resolve()
    return not PACKAGES & set(found.parts) and not any(found.is_relative_to(place) for place in ASIDE)


def _imported(modules: Iterable[str]) -> set[Path]:
    """Return the reader's files among those of modules, and of all that they import, at their head or further down."""
    found: dict[str, Path | None] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if not name or name in found:
            continue
        found[name] = path = _file_of(name)
        if path:
            waiting.append(name.rpartition(".")[0])
            waiting += _imports(path, name if path.stem == "__init__" else name.rpartition(".")[0])
    return {path for path in found.values() if path}


def _file_of(name: str) -> Path | None:
    """Return a module's file, or None where it has none or is not the reader's."""
    first = name.partition(".")[0]
    if first != name and not _is_readers(_spec(first)):  # to look into an installed package would import it
        return None
    spec = _spec(name)
    return Path(spec.origin) if spec and spec.has_location and _is_readers(spec) else None


def _spec(name: str) -> ModuleSpec | None:
    """Return what Python knows of a module; None where there is none, as for a function `b` of "from a import b"."""
    try:
        return sys.modules[name].__spec__ if name in sys.modules else importlib.util.find_spec(name)
    except Exception:  # whatever a reader's package raises
        return None


def _is_readers(spec: ModuleSpec | None) -> bool:
    """Say whether a module, or a package that may have no file of its own, is the reader's."""
    places = [] if spec is None else [spec.origin] if spec.has_location else list(spec.submodule_search_locations or [])
    return any(_is_own(Path(place)) for place in places)


def _imports(path: Path, package: str) -> Iterator[str]:
    """Yield the names of all that a file imports; of "from a import b" both a and a.b, since b may be a module."""
    try:
        tree = ast.parse(path.read_bytes() if path.suffix == ".py" else b"")
    except (SyntaxError, ValueError):  # it can't be imported either
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = parts[:len(parts) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
