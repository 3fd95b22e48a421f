"""CPU time of P4's two large costs, 32 pixels: `python3 -m benchmarks.costs`.

A training step of an IA, batches of 128: a long training less a short one, over the steps that the long one has more, so that
what both do once is not in it. And the maps of all ten methods for 300 images, in one call.
"""
import argparse
import os
import statistics
import sys
import tempfile

from benchmarks.__main__ import timed
from nblib.runs.environment import enter

BATCH, SHORT, LONG = 128, 1, 3  # epochs


def steps(rounds: int, batches: int) -> list[tuple[float, float]]:
    """Return the seconds of a step, by the clock and of all cores together, for each round."""
    from nblib.data import load
    from nblib.methods.importance import train_importance

    data = load("shapes", split="train", limit=batches * BATCH)
    found = []
    for seed in range(rounds):
        short, long = (timed(lambda: train_importance(data, epochs=epochs, batch_size=BATCH, seed=seed, device="cpu",
                                                      progress=False)) for epochs in (SHORT, LONG))
        found.append(tuple((after - before) / ((LONG - SHORT) * batches) for before, after in zip(short, long)))
    return found


def ten_methods(rounds: int, images: int) -> list[tuple[float, float]]:
    """Return the seconds of all ten maps of a number of images, with the lab's steps, samples and masks."""
    from nblib.comparison import patch_maps
    from nblib.data import load
    from nblib.models import build
    from nblib.models.importance import ImportanceModel
    from nblib.runs import parameters

    recorded = parameters.complete("importance_lab", parameters.profile("recorded", "importance_lab"))
    shape = {"classes": 9, "size": 32, "seed": 0}
    net, b_cos, ia = build("small_resnet", **shape), build("small_b_cos", **shape), ImportanceModel(**shape)
    pictures = load("shapes", split="test", limit=images).images
    options = {"integrated_gradients": {"steps": recorded["steps"]}, "gradient_shap": {"samples": recorded["steps"]},
               "rise": {"masks": recorded["masks"], "p": 0.5}}
    return [timed(lambda: patch_maps(net, pictures, patch=8, ia=ia, b_cos=b_cos, options=options)) for _ in range(rounds)]


def main() -> None:
    """Measure both and print the time by the clock and of all cores together."""
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks.costs", description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=40, help="in an epoch (default 40)")
    parser.add_argument("--images", type=int, default=300, help="for the ten methods (default 300)")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    enter(sys.argv[1:], "benchmarks.costs")

    import torch

    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {given.rounds} rounds, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as store:
        os.environ["NBLIB_STORE"] = store  # an empty one: nothing was trained before
        found = {"a step, ms": (1e3, steps(given.rounds, given.batches)),
                 f"ten methods, {given.images} images, s": (1, ten_methods(given.rounds, given.images))}
    for name, (scale, seconds) in found.items():
        clock, cores = (sorted(scale * one for one in kind) for kind in zip(*seconds))
        for how, ordered in (("by the clock", clock), ("of all cores", cores)):
            print(f"{name}, {how}: {statistics.median(ordered):.1f} ({ordered[0]:.1f} to {ordered[-1]:.1f})")


if __name__ == "__main__":
    main()
