"""Images a second of training a generator of pathways: `python3 -m benchmarks.generator`.

Whole training steps on AlexNet-CIFAR: the network, the generator, the network along the masks, backward, the optimiser.
What a training takes once, checks and the first step, is taken away: three epochs less one. The clock tells what the
threads do together, as long as nobody else uses their cores; the load of the machine is printed beside it.
"""
import argparse
import os
import statistics
import time

import torch

from nblib.data import Images, load
from nblib.methods.neural_pathways import train_generator
from nblib.models import build


def main() -> None:
    """Measure and print the images a second, by the clock and by all cores' time."""
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks.generator", description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="alexnet_cifar")
    parser.add_argument("--images", type=int, default=512, help="in one epoch")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    data = load("shapes", split="train", size=32, limit=given.images)
    data = Images(data.images, data.labels, data.classes)  # without a key nothing is kept
    model = build(given.model, classes=10, size=32)

    def seconds(epochs: int) -> tuple[float, float]:
        clock, cores = time.perf_counter(), time.process_time()
        train_generator(model, data, epochs=epochs, batch_size=given.batch_size, device="cpu", progress=False)
        return time.perf_counter() - clock, time.process_time() - cores

    before = os.getloadavg()[0]
    seconds(1)
    rounds = [[after - once for once, after in zip(seconds(1), seconds(3))] for _ in range(given.rounds)]
    clock, cores = (2 * given.images / statistics.median(values) for values in zip(*rounds))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {given.model}, batches of {given.batch_size}: "
          f"{clock:.0f} images a second by the clock, {cores:.0f} a second of processor time; load before and after "
          f"{before:.1f} and {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
