"""By how much one side of a pair makes a process grow."""
import ctypes
import gc
import multiprocessing
import re
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _kilobytes(field: str) -> int:
    """Return a size that Linux keeps of this process: VmRSS, what it holds, or VmHWM, the most that it held."""
    return int(re.search(rf"^{field}:\s+(\d+)", STATUS.read_text(), re.MULTILINE).group(1))


def _growth(name: str, side: str, answer) -> None:
    """Send by how many megabytes one side of a pair makes a fresh process grow at its peak."""
    from benchmarks.pairs import PAIRS

    function = PAIRS[name]()[side]
    function()  # what a first call sets up once, such as a library's plans, is no part of the method
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # give back what was freed, or the method would find it again and seem to need nothing
    RESET.write_text("5")  # the peak starts from here
    before = _kilobytes("VmRSS")
    function()
    answer.send((_kilobytes("VmHWM") - before) / 1e3)


def growth(name: str, side: str) -> float:
    """Return the megabytes that one side of a pair needs, measured in a process of its own; NaN where not on Linux."""
    if not RESET.exists():
        return float("nan")
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_growth, args=(name, side, send))
    process.start()
    process.join()
    return receive.recv() if receive.poll() else float("nan")
