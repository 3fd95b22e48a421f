"""The project's own virtual environment, made from the pins; needs nothing but the standard library."""
import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".venv"
BIN = HOME / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMP = HOME / "pins.sha256"
VERSIONS = ((3, 11), (3, 12))


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
    with set_up_lock():
        if not ready():
            install()
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environ = os.environ | {"PYTHONPATH": path}
    if os.name == "nt":
        sys.exit(subprocess.call([str(PYTHON), "-m", module, *argv], env=environ))
    os.execve(PYTHON, [str(PYTHON), "-m", module, *argv], environ)  # signals reach the work itself


@contextlib.contextmanager
def set_up_lock():
    """Let one process at a time make the environment; the lock goes with the process that holds it."""
    if os.name == "nt":
        yield
        return
    import fcntl

    with open(ROOT / "pyproject.toml") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def install() -> None:
    """Install the pins with the uv that they name, the library itself, and the scripts of the pages."""
    print("nblib: making .venv from requirements.txt (once; it takes 8 GB of disk)", file=sys.stderr, flush=True)
    pins = ROOT / "requirements.txt"
    uv = next(line.split(";")[0].strip() for line in pins.read_text().splitlines() if line.startswith("uv=="))
    environ = os.environ | {"VIRTUAL_ENV": str(HOME)}
    environ.pop("PYTHONPATH", None)
    steps = [
        [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", uv],
        [BIN / "uv", "pip", "sync", "--quiet", "--compile-bytecode", pins],  # or each kernel may compile torch anew
        [BIN / "uv", "pip", "install", "--quiet", "--no-deps", "-e", ROOT],
        [PYTHON, "-m", "nblib.runs.vendor"],
    ]
    try:
        STAMP.unlink(missing_ok=True)
        venv.create(HOME, with_pip=True, clear=True)
        for step in steps:
            subprocess.run([str(part) for part in step], env=environ, cwd=ROOT, check=True)
        STAMP.write_text(digest())
    except (subprocess.CalledProcessError, OSError) as error:
        free = shutil.disk_usage(ROOT).free / 1e9
        raise SetUpError(
            f"the environment could not be made: {error}. It needs a package index, Python's venv module and 8 GB of "
            f"disk ({free:.1f} GB are free). Call the same command again: it starts over."
        ) from None
