"""Files that are whole or absent, keys made from content, and locks and processes that die with their holder."""
import contextlib
import ctypes
import hashlib
import importlib.util
import json
import os
import re
import secrets
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
IN_CHECKOUT = (ROOT / "pyproject.toml").is_file() and (ROOT / "book").is_dir()  # False where a wheel was installed
OWNER = re.compile(r"\..+\.[0-9a-f]{12}\.owner")  # what `atomic` locks while it writes the .part of that name
AT_CWD, SWAP = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux; RENAME_SWAP of macOS is the same
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
TIED = """import importlib, sys
from nblib import store
store.end_with(int(sys.argv[1]))
sys.argv = sys.argv[2:]
module, _, function = sys.argv[0].partition(":")
sys.exit(getattr(importlib.import_module(module), function)())"""


def cache() -> Path:
    """Return the folder of `nblib` in the user's cache folder, where an installed wheel keeps what it keeps."""
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "nblib"


def folder(*names: str) -> Path:
    """Return (and make) a folder below `NBLIB_STORE`, or else below `_build/store` or the user's cache."""
    path = Path(os.environ.get("NBLIB_STORE") or (ROOT / "_build/store" if IN_CHECKOUT else cache() / "store"))
    path = path.joinpath(*names)
    path.mkdir(parents=True, exist_ok=True)
    return path


def packaged(package: str, file: str, *, distribution: str) -> Path:
    """Return the path of a file that an installed package carries; the package itself is not imported.

    Raises:
        RuntimeError: a package that is not installed, with what to install, or that lacks the file.
    """
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise RuntimeError(f"{file} comes with the package {distribution}, which is not installed: install it with "
                           f"`python3 -m pip install {distribution}`")
    path = Path(found.submodule_search_locations[0]) / file
    if not path.is_file():
        raise RuntimeError(f"{path} is missing: install {distribution} again")
    return path


@contextlib.contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place when the block ends well.

    If the block fails, or the process is killed, or the disk is full, what was at `path` before is still there. What
    killed processes left beside it is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(".*.owner"):
        if OWNER.fullmatch(left.name) and _remove_unowned(left):
            left.with_suffix(".part").unlink(missing_ok=True)
    owner, held = _owned(lambda token: path.with_name(f".{path.name}.{token}.owner"))
    part = owner.with_suffix(".part")  # a file of its own, since who writes it may put another one in its place
    try:
        part.touch()
        yield part
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
        owner.unlink(missing_ok=True)
        os.close(held)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Yield an empty folder that is removed after the block, or else by the next who asks for one."""
    home = folder("scratch")
    for left in home.glob("*.owner"):
        if _remove_unowned(left):
            shutil.rmtree(left.with_suffix(""), ignore_errors=True)
    owner, held = _owned(lambda token: home / f"{token}.owner")
    place = owner.with_suffix("")
    try:
        place.mkdir()
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        owner.unlink(missing_ok=True)
        os.close(held)


def _owned(name: Callable[[str], Path]) -> tuple[Path, int]:
    """Make a file that nobody has, and lock it for as long as its number stays open: unlocked, it is nobody's."""
    while True:
        path = name(secrets.token_hex(6))
        held = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        with contextlib.suppress(OSError):  # a file system without locks: it stays where its owner is killed
            _lock(held)
        if path.exists():
            return path, held
        os.close(held)  # it was taken for nobody's before it was locked


def _remove_unowned(path: Path) -> bool:
    """Remove a file of `_owned` unless a process has it, and say whether it was removed."""
    with contextlib.suppress(OSError), open(path, "r+b") as handle:
        _lock(handle.fileno(), wait=False)
        path.unlink()
        return True
    return False


def put_folder(fresh: Path, place: Path) -> None:
    """Let the folder `fresh` take the place of `place`: in one step where the system can, so that it is never gone."""
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists() and _exchange(fresh, place):
        shutil.rmtree(fresh, ignore_errors=True)
        return
    if place.exists():
        place.rename(old)
    fresh.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def restore_folder(place: Path) -> None:
    """Bring back what a `put_folder` had set aside when it was killed."""
    old = place.with_name(f".{place.name}.old")
    if old.exists() and not place.exists():
        old.rename(place)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders swap their names, and say whether the system and its file system could."""
    libc = ctypes.CDLL(None, use_errno=True) if os.name != "nt" else None
    first, second = os.fsencode(one), os.fsencode(other)
    if sys.platform == "linux" and hasattr(libc, "renameat2"):
        return libc.renameat2(AT_CWD, first, AT_CWD, second, SWAP) == 0
    return sys.platform == "darwin" and libc.renamex_np(first, second, SWAP) == 0


def write(path: Path | str, content: str | bytes) -> None:
    """Write `content` to `path` whole or not at all."""
    with atomic(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def key(*parts: object) -> str:
    """Return 16 hexadecimal digits that change whenever one of `parts` does.

    A part is a file's path (its content counts), bytes, a tensor or array, or anything that JSON can write.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            content = part.read_bytes()
        elif isinstance(part, bytes):
            content = part
        elif hasattr(part, "detach"):
            array = part.detach().cpu().contiguous().numpy()
            content = str((array.shape, array.dtype)).encode() + array.tobytes()
        else:
            content = json.dumps(part, sort_keys=True, default=str).encode()
        digest.update(f"{len(content)}:".encode() + content)
    return digest.hexdigest()[:16]


def seed(*parts: object) -> int:
    """Return a whole number of 63 bits, made from content as `key` is: the seed of a generator that is theirs alone."""
    return int(key(*parts), 16) >> 1


def sources(*names: str) -> list[Path]:
    """Return the Python files of the rooms and modules of `nblib` that are named, such as "models" or "training.py"."""
    found: list[Path] = []
    for name in names:
        path = ROOT / "nblib" / name
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return found


@contextlib.contextmanager
def lock(path: Path | str, what: str = "") -> Iterator[IO]:
    """Hold `path`.lock for the block, waiting for whoever holds it; a killed holder leaves nothing locked.

    Args:
        path: of what is locked.
        what: is going on if it has to be waited for, in words.

    Yields:
        The open file. A process that is given it, as its input say, holds the lock as well, for as long as it runs.
    """
    path = Path(f"{path}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+") as handle:
        hold(handle, what or f"another process has {path.stem}")
        yield handle


def hold(handle: IO, what: str) -> None:
    """Lock an open file until it is closed; say `what` is going on where that has to be waited for."""
    try:
        _lock(handle.fileno(), wait=False)
    except OSError:
        say(f"{what}, waiting for it")
        _lock(handle.fileno())


def _lock(number: int, *, wait: bool = True) -> None:
    """Lock an open file; OSError where it is locked and not to be waited for."""
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(number, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"nblib: {text}", file=sys.stderr, flush=True)


def tie() -> None:
    """Let Linux kill this process when the one that began it ends; elsewhere nothing happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)


def end_with(parent: int) -> None:
    """End this process, whatever it does, when the process `parent` that began it ends."""
    tie()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def tied(function: str, *words: str) -> list[str]:
    """Return the command that calls "module:function" with `words` as command line, and ends when this process does."""
    return [sys.executable, "-c", TIED, str(os.getpid()), function, *words]


@contextlib.contextmanager
def deaf() -> Iterator[None]:
    """Let processes that are begun within the block not hear Ctrl-C, which is for this one to act upon."""
    if os.name == "nt":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
