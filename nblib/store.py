"""Files that are whole or absent, keys made from content, and locks that die with their holder."""
import contextlib
import hashlib
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Iterator

ROOT = Path(__file__).resolve().parents[1]
IN_CHECKOUT = (ROOT / "pyproject.toml").is_file() and (ROOT / "book").is_dir()  # False where a wheel was installed


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

    If the block fails, or the process is killed, or the disk is full, what was at `path` before is still there.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o644)
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


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
def lock(path: Path | str) -> Iterator[None]:
    """Hold `path`.lock for the block, waiting for whoever holds it; a killed holder leaves nothing locked."""
    path = Path(f"{path}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as handle:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
