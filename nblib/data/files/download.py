"""Downloads that go on where they stopped, and are there whole and verified or not at all."""
import errno
import hashlib
import http.client
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from tqdm.auto import tqdm

PIECE = 2**20
PATIENCE = 60  # seconds without a byte


def md5_of(path: Path) -> str:
    """Return the MD5 of a file's content, in hexadecimal digits."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def download(address: str, path: Path, md5: str, *, by_hand: str) -> None:
    """Bring the file at `address` to `path`; what arrived before a failure waits in `path`.part for the next try.

    Args:
        address: where the file is published.
        path: where it shall be; a file there with the right MD5 is taken as it is.
        md5: 32 hexadecimal digits.
        by_hand: what to do where this fails, for the message.

    Raises:
        RuntimeError: no connection, a refusal, a download that broke off, another content than published, a full disk.
    """
    if path.is_file() and md5_of(path) == md5:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        _append(address, part)
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        reason = getattr(error, "reason", None) or error
        raise RuntimeError(f"{path.name} could not be downloaded from {address}: {reason}. Try again, which goes on "
                           f"where this stopped; or {by_hand}") from error
    except OSError as error:
        cause = "the disk is full" if error.errno == errno.ENOSPC else str(error)
        raise RuntimeError(f"{path.name} from {address} could not be written to {part}: {cause}. Make room and try "
                           f"again, which goes on where this stopped; or {by_hand}") from error
    found = md5_of(part)
    if found != md5:
        part.unlink()
        raise RuntimeError(f"{path.name} from {address} is not the published file: its MD5 is {found}, expected {md5}. "
                           f"It was removed; try again, or {by_hand}")
    part.replace(path)


def _append(address: str, part: Path) -> None:
    """Add to `part` what it lacks; where the server cannot send the rest only, begin again."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # there is nothing beyond what we have
            return
        raise
    with response:
        if response.status != 206:
            have = 0
        missing = response.length
        if missing is not None and missing > shutil.disk_usage(part.parent).free:
            raise OSError(errno.ENOSPC, "the disk is full")
        with open(part, "ab" if have else "wb") as handle, tqdm(
                total=missing and have + missing, initial=have, unit="B", unit_scale=True, desc=part.stem,
                disable=None) as progress:
            while piece := response.read(PIECE):
                handle.write(piece)
                progress.update(len(piece))
        if response.length:  # the connection ended before the file did
            raise http.client.IncompleteRead(b"", response.length)
