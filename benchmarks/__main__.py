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

from nblib.environment import enter

ROUNDS = 5


def timed(function: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def ratio(ours: Callable, theirs: Callable, rounds: int) -> tuple[float, float, list[float]]:
    """Return the median seconds of both sides and theirs / ours for each interleaved pair, after a warm-up."""
    ours(), theirs()
    pairs = [(timed(ours), timed(theirs)) for _ in range(rounds)]
    return (*(statistics.median(side) for side in zip(*pairs)), sorted(b / a for a, b in pairs))


def main() -> int:
    """Run the pairs that are asked for and print a line for each."""
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="pairs to run (default: all)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"interleaved pairs to time (default {ROUNDS})")
    parser.add_argument("--list", action="store_true", help="print the names of the pairs")
    given = parser.parse_args()
    enter(sys.argv[1:], "benchmarks")

    import torch

    from benchmarks.memory import growth
    from benchmarks.pairs import PAIRS, difference

    if unknown := sorted(set(given.names) - set(PAIRS)):
        print(f"benchmarks: no pair {', '.join(unknown)}; there are {', '.join(PAIRS)}", file=sys.stderr)
        return 2
    if given.list:
        print("\n".join(PAIRS))
        return 0
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {given.rounds} interleaved pairs")
    print(f"{'pair':<40}{'ours, s':>9}{'theirs, s':>11}{'theirs / ours (min to max)':>28}{'MB ours':>9}{'theirs':>8}{'difference':>12}")
    for name in given.names or PAIRS:
        sides = PAIRS[name]()
        mine, other, ratios = ratio(sides["ours"], sides["theirs"], given.rounds)
        spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        memory = [growth(name, side) for side in ("ours", "theirs")]
        gap = difference(sides["ours"](), sides["theirs"]())
        print(f"{name:<40}{mine:>9.3f}{other:>11.3f}{spread:>28}{memory[0]:>9.0f}{memory[1]:>8.0f}{gap:>12.1e}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
