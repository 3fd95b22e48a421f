"""Images a second of contributions on a device: `python3 -m benchmarks.throughput --device cuda`.

Integrated gradients with ten steps, all blocks at once: the 16 of ResNet-50 and the 12 of ViT-B/16, with random weights
at 224 pixels. The times are of whole calls, checks and the prediction of the class included, once everything is warm.
"""
import argparse
import statistics
import time

import torch
from torch import nn

from benchmarks.contributions import RESNET50
from nblib.methods.contributions import contributions
from nblib.models import build

NETWORKS = {
    "torchvision:resnet50": RESNET50,
    "timm:vit_base_patch16_224": [f"blocks.{block}" for block in range(12)],
}
TYPES = {"float32": torch.float32, "tf32": torch.float32, "bfloat16": torch.bfloat16}


def measured(name: str, kind: str, device: torch.device, given: argparse.Namespace) -> tuple[list[float], float]:
    """Return the seconds of each round, and the gigabytes that torch held at most (NaN on a CPU)."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = kind == "tf32"
    model: nn.Module = build(name, classes=1000, size=given.size).to(device, TYPES[kind])
    if "resnet" in name:
        model = model.to(memory_format=torch.channels_last)
    images = torch.rand(given.images, 3, given.size, given.size, generator=torch.Generator().manual_seed(0))
    images = images.to(device, TYPES[kind])
    on_gpu = device.type == "cuda"
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for number in range(given.rounds + 1):  # the first warms up
        wait()
        began = time.perf_counter()
        contributions(model, images, NETWORKS[name], steps=given.steps, chunk_size=given.chunk_size)
        wait()
        seconds += [time.perf_counter() - began] if number else []
    return seconds, torch.cuda.max_memory_allocated() / 1e9 if on_gpu else float("nan")


def main() -> None:
    """Measure each network in each type and print a line for it."""
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks.throughput", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--images", type=int, default=123, help="in one call (default 123, three passes on a GPU)")
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--chunk-size", type=int, default=None, help="images in one pass (default: nblib's own)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--types", nargs="+", default=list(TYPES), choices=TYPES)
    given = parser.parse_args()
    device = torch.device(given.device)
    what = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"torch {torch.__version__}, {what}; {given.images} images of {given.size} px, {given.steps} steps, "
          f"median of {given.rounds}")
    print(f"{'network':<28}{'type':<10}{'images/s':>10}{'ms/image':>10}{'min to max, s':>20}{'GB':>8}")
    for name in NETWORKS:
        for kind in given.types:
            seconds, gigabytes = measured(name, kind, device, given)
            middle = statistics.median(seconds)
            spread = f"{min(seconds):.3f} to {max(seconds):.3f}"
            print(f"{name:<28}{kind:<10}{given.images / middle:>10.1f}{1e3 * middle / given.images:>10.2f}"
                  f"{spread:>20}{gigabytes:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
