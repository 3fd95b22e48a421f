"""What all tests share."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from nblib import store
from tests.fixtures.training import Steps

torch.set_num_threads(max(1, (os.cpu_count() or 1) // max(1, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))))


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))])
def device(request) -> torch.device:
    """Each device that the code has to run on; the GPU is skipped where there is none."""
    return torch.device(request.param)


@pytest.fixture
def steps(tmp_path, monkeypatch):
    """An empty store; the optimiser of every step that is made, and whether the next one is interrupted."""
    monkeypatch.setenv("NBLIB_STORE", str(tmp_path))
    made = Steps()
    hook = register_optimizer_step_pre_hook(lambda optimizer, *_: made.step())
    yield made
    hook.remove()


@pytest.fixture(scope="session")
def real(tmp_path_factory) -> Path:
    """The root of the real sets: `NBLIB_DATA`, or the packs beside the checkout unpacked."""
    if os.environ.get("NBLIB_DATA"):
        return Path(os.environ["NBLIB_DATA"])
    packs = store.ROOT.parent / "shared/data"
    if not (packs / "unpack.py").is_file():
        pytest.skip("no real images here: NBLIB_DATA is not set")
    root = tmp_path_factory.mktemp("real")
    for name in ("pets", "imagenette", "cifar10-5k"):
        subprocess.run([sys.executable, packs / "unpack.py", name, root], check=True)
    return root


@pytest.fixture(scope="session")
def book() -> Path:
    """The built book: executed and rendered by the README's command, or kept from the last time."""
    with store.lock(store.folder("locks") / "test-build"):  # several workers of pytest ask for it
        done = subprocess.run(store.tied("nblib.__main__:run", "build"), cwd=store.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-6000:]
    return store.ROOT / "_build/html"


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium of the system's, its network cut; skips, saying why, where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine: the built pages were not opened in a browser")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=quiet)
        context = chromium.new_context(offline=True, viewport={"width": 1280, "height": 900})
        yield context
        chromium.close()
