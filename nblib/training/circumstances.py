"""Under what conditions numbers and networks are made, and which kept networks were read: facts that go on record."""
import platform
from pathlib import Path

import numpy
import torch

from nblib import __version__
from nblib.training.fitting import choose_device

_read: dict[str, dict] = {}  # the kept networks that were read since `networks_read` was called, by their files' names


def conditions(device: str) -> dict[str, object]:
    """Return what may move the last bits of a number that is computed here.

    Args:
        device: as in `choose_device`.

    Returns:
        The device's name, the processor's features, the threads in use, and the versions.
    """
    chosen = choose_device(device)
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else {"cpu": "CPU"}.get(chosen.type, chosen.type)
    return {
        "device": name,
        "processor": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__,
                     "nblib": __version__},
    }


def note_network(path: Path, meta: dict) -> None:
    """Remember that a kept network was read, with the conditions of its training as far as its file tells them."""
    _read[path.name] = {"file": path.name, "training": meta.get("training", "unknown")}


def networks_read() -> list[dict]:
    """Return the kept networks that were read since this was last called: file and conditions of training."""
    found = list(_read.values())
    _read.clear()
    return found
