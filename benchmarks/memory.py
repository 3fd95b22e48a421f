"""By how much one side of a pair makes a process grow."""
import multiprocessing
import resource
import sys


def _growth(name: str, side: str, answer) -> None:
    """Send by how many megabytes one side of a pair makes a fresh process grow at its peak."""
    from benchmarks.pairs import PAIRS

    function = PAIRS[name]()[side]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    function()
    unit = 1e6 if sys.platform == "darwin" else 1e3
    answer.send((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / unit)


def growth(name: str, side: str) -> float:
    """Return the megabytes that one side of a pair needs, measured in a process of its own."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_growth, args=(name, side, send))
    process.start()
    process.join()
    return receive.recv() if receive.poll() else float("nan")
