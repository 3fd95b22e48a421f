"""What this machine can run, and what to do about what it can't."""
import os
import shutil
import tempfile
from pathlib import Path

from nblib import store
from nblib.runs.site import vendor

GIGABYTE = 1e9


def report() -> int:
    """Print a line for each thing that a run needs or could use; return 0 where the default run works."""
    needed = [_python(), _core(), *([_scripts()] if store.IN_CHECKOUT else []), _disk(), _memory()]
    useful = [_gpu(), _data(), _browser()]
    for good, text in needed:
        print(f"{'ok  ' if good else 'FAIL'}  {text}")
    for good, text in useful:
        print(f"{'ok  ' if good else '-   '}  {text}")
    works = all(good for good, _ in needed)
    if not store.IN_CHECKOUT:
        print("This is the library alone; the book is built in a checkout of Pathways.")
    elif works:
        print("The default run works here: python3 -m nblib build")
    else:
        print("The default run does not work yet: see FAIL above.")
    return 0 if works else 1


def _python() -> tuple[bool, str]:
    import platform

    where = "in .venv, as the pins say" if store.IN_CHECKOUT else "as it was found"
    return True, f"Python {platform.python_version()} {where}"


def _core() -> tuple[bool, str]:
    try:
        import captum
        import torch
        import torchvision

        torch.ones(2).sum().item()
        return True, f"torch {torch.__version__}, torchvision {torchvision.__version__}, captum {captum.__version__}"
    except Exception as error:  # a broken binary can raise anything
        return False, f"torch does not import ({error}): delete .venv and call `python3 -m nblib doctor` again"


def _scripts() -> tuple[bool, str]:
    names = [name for _, _, name, _ in vendor.missing()]
    if not names:
        return True, "the pages' scripts are here and intact"
    return False, f"missing for the pages: {', '.join(names)}; with a network, call `.venv/bin/python -m nblib.runs.site.vendor`"


def _disk() -> tuple[bool, str]:
    pages = store.ROOT / "_build"
    try:
        with tempfile.TemporaryFile(dir=store.folder()):
            pass
    except OSError as error:
        return False, f"the store can't be written ({error.strerror}): set NBLIB_STORE to a folder that can"
    try:
        if store.IN_CHECKOUT:
            pages.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=pages):
                pass
        free = shutil.disk_usage(store.folder()).free / GIGABYTE
    except OSError as error:
        return False, f"{pages} can't be written ({error.strerror}): no pages can be built, `run NAME -o FILE` works"
    return free > 1, f"{free:.0f} GB of disk are free" + ("" if free > 1 else "; the default run wants 1 GB")


def _memory() -> tuple[bool, str]:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIGABYTE if hasattr(os, "sysconf") else 0.0
    text = f"{os.cpu_count()} cores, {total:.0f} GB of memory"
    return not total or total > 4, text + ("" if not total or total > 4 else "; the default run wants 4 GB")


def _gpu() -> tuple[bool, str]:
    try:
        import torch
    except Exception:  # told of already
        return False, "no GPU could be looked for"
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        return True, f"{count} GPU(s), the first is {torch.cuda.get_device_name(0)}: --profile gpu will use it"
    if torch.backends.mps.is_available():
        return True, "an Apple GPU: set the parameter device to mps"
    return False, "no GPU: the default run needs none; --profile gpu is not meant for a CPU"


def _data() -> tuple[bool, str]:
    from nblib import data

    root = os.environ.get("NBLIB_DATA")
    if not root:
        return False, "NBLIB_DATA is not set: shapes, digits and photographs work; for other real images set it to their folder"
    here = [name for name, _, _, _, present in data.describe(None) if present]
    return Path(root).is_dir(), f"data sets here: {', '.join(here)}"


def _browser() -> tuple[bool, str]:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return True, f"{Path(path).name}, for the tests of the built pages"
    return False, "no Chromium: the tests of the built pages will be skipped (Debian: apt-get install chromium)"
