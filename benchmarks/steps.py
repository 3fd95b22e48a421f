"""Milliseconds of a training step of an IA, 32 pixels, batches of 128: `python3 -m benchmarks.steps`.

A step is a long training less a short one, over the steps that the long one has more, so that what both do once is not in it.
"""
import argparse
import os
import statistics
import sys
import tempfile

from benchmarks.__main__ import timed
from nblib.runs.environment import enter

BATCH, SHORT, LONG = 128, 1, 3  # epochs


def main() -> None:
    """Measure each round and print the time by the clock and of all cores together."""
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks.steps", description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=40, help="in an epoch (default 40)")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    enter(sys.argv[1:], "benchmarks.steps")

    import torch

    from nblib.data import load
    from nblib.methods.importance import train_importance

    data = load("shapes", split="train", limit=given.batches * BATCH)
    clock, cores = [], []
    with tempfile.TemporaryDirectory() as store:
        os.environ["NBLIB_STORE"] = store  # an empty one: nothing was trained before
        for seed in range(given.rounds):
            short, long = (timed(lambda: train_importance(data, epochs=epochs, batch_size=BATCH, seed=seed, device="cpu",
                                                          progress=False)) for epochs in (SHORT, LONG))
            for found, before, after in zip((clock, cores), short, long):
                found.append(1e3 * (after - before) / ((LONG - SHORT) * given.batches))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {given.rounds} rounds, load {os.getloadavg()[0]:.1f}")
    for name, found in (("by the clock", clock), ("of all cores", cores)):
        print(f"{name}: {statistics.median(found):.1f} ms a step ({min(found):.1f} to {max(found):.1f})")


if __name__ == "__main__":
    main()
