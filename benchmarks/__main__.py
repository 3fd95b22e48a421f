"""Speed and memory side by side with the library that people would use instead: `python3 -m benchmarks`.

Each pair is run in turn, ours, theirs, ours, theirs, ..., in one process, so that the ratio holds when the machine's speed
drifts. Peak memory is that of a process of its own for each side, less what the process held before. Both sides give the
same maps; the largest difference is printed, relative to the largest value.
"""
import argparse
import statistics
import sys
import time
from collections.abc import Callable

from nblib.runs.environment import enter

ROUNDS = 5


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of one call, by the clock and of all cores together."""
    clock, cores = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - clock, time.process_time() - cores


def ratios(ours: Callable, theirs: Callable, rounds: int) -> tuple[list[float], list[list[float]]]:
    """Return both sides' median seconds, and theirs / ours of each interleaved pair, sorted: by the clock, of the cores."""
    ours(), theirs()
    pairs = [(timed(ours), timed(theirs)) for _ in range(rounds)]
    medians = [statistics.median(seconds[0] for seconds in side) for side in zip(*pairs)]
    return medians, [sorted(b[kind] / a[kind] for a, b in pairs) for kind in (0, 1)]


def main() -> int:
    """Run the pairs that are asked for and print a line for each."""
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="pairs to run (default: all)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"interleaved pairs to time (default {ROUNDS})")
    parser.add_argument("--list", action="store_true", help="print the names of the pairs")
    given = parser.parse_args()
    enter(sys.argv[1:], "benchmarks")

    import torch

    from benchmarks.difference import difference
    from benchmarks.memory import growth
    from benchmarks.pairs import PAIRS

    if unknown := sorted(set(given.names) - set(PAIRS)):
        print(f"benchmarks: no pair {', '.join(unknown)}; there are {', '.join(PAIRS)}", file=sys.stderr)
        return 2
    if given.list:
        print("\n".join(PAIRS))
        return 0
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {given.rounds} interleaved pairs")
    print(f"{'pair':<40}{'ours, s':>9}{'theirs, s':>11}{'theirs / ours (min to max)':>28}{'of CPU time':>24}"
          f"{'MB ours':>9}{'theirs':>8}{'difference':>12}")
    for name in given.names or PAIRS:
        sides = PAIRS[name]()
        medians, kinds = ratios(sides["ours"], sides["theirs"], given.rounds)
        clock, cores = (f"{statistics.median(kind):.2f} ({kind[0]:.2f} to {kind[-1]:.2f})" for kind in kinds)
        memory = [growth(name, side) for side in ("ours", "theirs")]
        gap = difference(sides["ours"](), sides["theirs"]())
        print(f"{name:<40}{medians[0]:>9.3f}{medians[1]:>11.3f}{clock:>28}{cores:>24}"
              f"{memory[0]:>9.0f}{memory[1]:>8.0f}{gap:>12.1e}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
