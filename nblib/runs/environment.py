"""The project's own virtual environment, made from the pins, and what Ctrl-C does; needs the standard library alone."""
import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import IO

from nblib import store

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".venv"
BIN = HOME / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMP = HOME / "pins.sha256"
VERSIONS = ((3, 11), (3, 12))
# The C library gives freed memory back and asks for it again at each step: a tenth of a training's time on a CPU.
ALLOCATION = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**30)}


_interrupted_at = float("-inf")


def interrupted(_: int = signal.SIGINT, frame: FrameType | None = None) -> None:
    """Raise KeyboardInterrupt, as a handler of signals; once, for who presses Ctrl-C several times means one."""
    global _interrupted_at
    before, _interrupted_at = _interrupted_at, time.monotonic()
    if _interrupted_at - before > 1:
        while frame is not None:
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                leave()  # libraries in C++ end the process with a dump where an exception meets their import
            frame = frame.f_back
        raise KeyboardInterrupt


def leave() -> None:
    """End the process at once, in one line, where Python can pass an interruption on to nobody."""
    store.say("interrupted")
    os._exit(130)


def heed_interrupts() -> None:
    """Let Ctrl-C, and a polite kill, end the work in one line, also where a shell began it in the background."""
    default = sys.unraisablehook

    def unraisable(problem: object) -> None:
        if not issubclass(problem.exc_type, KeyboardInterrupt):
            return default(problem)
        leave()

    sys.unraisablehook = unraisable
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    if os.name != "nt":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


class SetUpError(RuntimeError):
    """The environment could not be made; the message says what to do."""


def digest() -> str:
    """Return the hash of everything that decides what is installed: pins, project file, Python version."""
    version = "{}.{}".format(*sys.version_info[:2]).encode()
    return hashlib.sha256(
        (ROOT / "requirements.txt").read_bytes() + (ROOT / "pyproject.toml").read_bytes() + version
    ).hexdigest()


def ready() -> bool:
    """Say whether `.venv` holds what the pins name."""
    return STAMP.exists() and STAMP.read_text() == digest() and PYTHON.exists()


def inside() -> bool:
    """Say whether this process runs in `.venv`."""
    return Path(sys.prefix).resolve() == HOME.resolve()


def enter(argv: list[str], module: str = "nblib") -> None:
    """Go on with `python -m module` inside the environment, made first if its pins have changed; returns only inside."""
    if inside():
        return
    if sys.version_info[:2] not in VERSIONS:
        raise SetUpError(
            f"Python {sys.version.split()[0]} was given, 3.11 or 3.12 is needed: call it as `python3.11 -m nblib ...`."
        )
    with set_up_lock() as held:
        if not ready():
            install(held)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environ = ALLOCATION | os.environ | {"PYTHONPATH": path}
    if os.name == "nt":
        sys.exit(subprocess.call([str(PYTHON), "-m", module, *argv], env=environ))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # it waits until the new Python knows what to do then
    os.execve(PYTHON, [str(PYTHON), "-m", module, *argv], environ)  # signals reach the work itself


@contextlib.contextmanager
def set_up_lock() -> Iterator[IO]:
    """Let one process at a time make the environment; yield what holds the lock, for the processes that do the work."""
    with open(ROOT / "pyproject.toml") as handle:
        store.hold(handle, "another set-up is running")
        yield handle


def steps() -> list[list[str | Path]]:
    """Return the commands that make the environment: install the uv of the pins, with it the others, and the library."""
    pins = ROOT / "requirements.txt"
    uv = next(line.split(";")[0].strip() for line in pins.read_text().splitlines() if line.startswith("uv=="))
    return [
        [sys.executable, "-m", "venv", "--clear", HOME],
        [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", uv],
        [BIN / "uv", "pip", "sync", "--quiet", "--compile-bytecode", pins],  # or each kernel may compile torch anew
        [BIN / "uv", "pip", "install", "--quiet", "--no-deps", "-e", ROOT],
        [PYTHON, "-m", "nblib.runs.site.vendor"],  # the scripts of the pages
    ]


def install(held: IO | None = None) -> None:
    """Make the environment, step by step.

    Args:
        held: the file that is locked meanwhile. The steps have it as their input, so that the lock is held until the
            last of them has ended, also where this process is killed.
    """
    store.say("making .venv from requirements.txt (once; it takes 8 GB of disk)")
    environ = os.environ | {"VIRTUAL_ENV": str(HOME)}
    environ.pop("PYTHONPATH", None)
    try:
        STAMP.unlink(missing_ok=True)
        for step in steps():
            with store.deaf():
                done = subprocess.Popen([str(part) for part in step], env=environ, cwd=ROOT, stdin=held,
                                        preexec_fn=None if os.name == "nt" else store.tie)
            try:
                status = done.wait()
            finally:
                done.kill()
                done.wait()
            if status:
                raise subprocess.CalledProcessError(status, [str(part) for part in step])
        STAMP.write_text(digest())
    except (subprocess.CalledProcessError, OSError) as error:
        free = shutil.disk_usage(ROOT).free / 1e9
        raise SetUpError(
            f"the environment could not be made: {error}. It needs a package index, Python's venv module and 8 GB of "
            f"disk ({free:.1f} GB are free). Call the same command again: it starts over."
        ) from None
