"""Eight settings of a lab on two workers against one after the other: `python3 -m benchmarks.sweeps`.

Both begin with an empty store, so that each setting trains its own network, and give each setting one thread. The time of
the workers has the start and the end of the cluster in it. Take a machine with two idle cores: the load is printed.
"""
import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from nblib.runs.environment import enter

SMALL = {"epochs": 1, "b_cos_epochs": 1, "train_images": 1000, "test_images": 8, "forget_images": 2, "device": "cpu"}


def timed(chapter: str, settings: dict, execute: Callable[[dict], Iterator]) -> float:
    """Return the seconds in which all settings were executed, from an empty store; a failure ends everything."""
    from nblib.runs import chapters

    store = tempfile.mkdtemp()
    os.environ["NBLIB_STORE"] = store
    try:
        work = {name: (values, chapters.kept(chapter, values, shown=False)) for name, values in settings.items()}
        began = time.perf_counter()
        for name, result in execute(work):
            if not isinstance(result, Path):
                sys.exit(f"{name}: {result}")
        return time.perf_counter() - began
    finally:
        shutil.rmtree(store, ignore_errors=True)


def main() -> None:
    """Measure both, in turn, and print a line for each round."""
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks.sweeps", description=__doc__.splitlines()[0])
    parser.add_argument("--chapter", default="saliency_lab")
    parser.add_argument("--settings", type=int, default=8, help="seeds 0, 1, ... (default 8)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    enter(sys.argv[1:], "benchmarks.sweeps")
    os.environ["OMP_NUM_THREADS"] = "1"

    from nblib.runs import chapters, parameters
    from nblib.runs.sweeps import cluster, settings

    known = parameters.declared(parameters.source(given.chapter))
    base = {name: value for name, value in SMALL.items() if name in known}
    wanted = settings.combined(given.chapter, base, [("seed", f"0..{given.settings - 1}")])
    settings.expect_each(given.chapter, wanted)

    def in_turn(work: dict) -> Iterator:
        yield from chapters.apart([(given.chapter, *setting) for setting in work.values()], progress=False)

    def on_workers(work: dict) -> Iterator:
        yield from cluster.finish(given.chapter, work, workers=given.workers, scheduler=None)

    print(f"{given.settings} settings of {given.chapter}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before")
    for _ in range(given.rounds):
        alone = timed(given.chapter, wanted, in_turn)
        together = timed(given.chapter, wanted, on_workers)
        print(f"one after the other {alone:.1f} s, {given.workers} workers {together:.1f} s: {alone / together:.2f} times as fast; "
              f"load {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
