"""What files hold, as digests: equal files have equal ones, whatever their names and times."""
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nblib import store

AT_ONCE = 2**30  # bytes up to which files are read anew each time; digests of larger sets are remembered


def digests(paths: Sequence[Path]) -> list[str]:
    """Return the digest of each file's content.

    Of a large set they are remembered in the store; a file is read again when its length or a time of it has changed.

    Raises:
        RuntimeError: a file that is not there or cannot be read, by its name.
    """
    try:
        marks = [path.stat() for path in paths]
        with ThreadPoolExecutor() as pool:  # reading leaves Python to other threads
            if sum(mark.st_size for mark in marks) <= AT_ONCE:
                return list(pool.map(_digest, paths))
            place = store.folder("digests") / f"{store.key(str(paths[0].parent.parent.absolute()))}.json"
            known = _remembered(place)
            names = [f"{path.absolute()} {mark.st_size} {mark.st_mtime_ns} {mark.st_ctime_ns}"
                     for path, mark in zip(paths, marks, strict=True)]
            new = [(name, path) for name, path in zip(names, paths, strict=True) if name not in known]
            known |= zip([name for name, _ in new], pool.map(_digest, [path for _, path in new]), strict=True)
    except OSError as error:
        raise RuntimeError(f"image file {error.filename} is listed and cannot be read: {error.strerror}") from error
    if new:
        store.write(place, json.dumps(known))
    return [known[name] for name in names]


def _remembered(place: Path) -> dict[str, str]:
    """Return the digests that were written down, or nothing where that cannot be read."""
    try:
        return json.loads(place.read_text())
    except (OSError, ValueError):
        return {}


def _digest(path: Path) -> str:
    """Return the digest of one file."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
