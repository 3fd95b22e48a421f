"""Draws the pictures of this folder that come from a run: `.venv/bin/python book/images/draw.py`, some minutes.

A lesson opens with such a picture, so that it shows the same whatever the page's parameters are. The networks are those of
the lesson with its default parameters, from the store, or trained first.
"""
import io
from pathlib import Path
from types import SimpleNamespace

from matplotlib.figure import Figure

from nblib import store
from nblib.runs import parameters

LARGEST = 500_000  # bytes of a committed picture
DPI = 156
METHODS = {  # one or two of each family, with more steps than a page has time for
    "gradient": {}, "guided_backprop": {}, "integrated_gradients": {"steps": 128}, "grad_cam": {},
    "occlusion": {"window": 0.25, "stride": 0.0625},
}
SHOWN = (0, 3)  # of the photographs: the coffee and the cat


def saliency() -> Figure:
    """Return the picture that the lesson on saliency opens with: two photographs and a generated image, explained."""
    from nblib.data import PARTS, load
    from nblib.figures import panels
    from nblib.methods.saliency import SHORT_NAMES
    from nblib.models import build
    from nblib.training import predict

    photographs, eye = load("photographs", size=224), build("efficientnet_lite0", classes=1000, size=224, weights="default")
    pictures = photographs.images[list(SHOWN)]
    rows = [_row(eye, picture) for picture in pictures]
    labels = [f"photograph: “{photographs.classes[place]}”" for place in predict(eye, pictures).argmax(1)]
    run, (honest, cheating) = _networks()
    kept = {"split": "held_out", "limit": run.test_images, "size": run.image_size, "seed": run.seed}
    test, free = load("shapes", shortcut=0.9, **kept), load("shapes", shortcut=0.0, **kept)
    right = [predict(net, images.images).argmax(1) == test.labels for images in (test, free) for net in (honest, cheating)]
    telling = int((right[0] & right[1] & right[2] & ~right[3]).int().argmax())  # only the cheat falls for another tag
    rows += [_row(net, test.images[telling]) for net in (honest, cheating)]
    labels += [f"generated: “{test.classes[test.labels[telling]]}”, an honest network", "the same, a network that cheats"]
    tag = test.parts[telling] == PARTS["shortcut"]
    return panels(rows, columns=["image", *(SHORT_NAMES.get(name, name) for name in METHODS)], labels=labels,
                  outlines=[None, None, tag, tag])


def saliency_toy() -> Figure:
    """Return the drawing of the toy on which slope, share and need differ."""
    from nblib.figures import saturating_toy

    return saturating_toy()


PICTURES = {"saliency.png": saliency, "saliency_toy.png": saliency_toy}


def _row(network, picture) -> list:
    """Return a picture (3, H, W) and its maps (H, W)."""
    from nblib.methods.saliency import unsigned_maps

    return [picture, *(unsigned_maps(network, picture[None], method=name, **options)[0] for name, options in METHODS.items())]


def _networks() -> tuple[SimpleNamespace, list]:
    """Return the default parameters of the lesson on saliency, and its two networks: honest, cheating."""
    from nblib.data import load
    from nblib.training import trained

    run = SimpleNamespace(**parameters.check("saliency", {}))
    networks = []
    for options in ({}, {"shortcut": 0.9}):
        images = load("shapes", split="fit", limit=run.train_images, size=run.image_size, seed=run.seed, **options)
        networks.append(trained(run.model, images, epochs=run.epochs, lr=run.learning_rate, batch_size=run.batch_size,
                                classes=len(images.classes), size=run.image_size, weights=None, augment=None,
                                seed=run.seed, device="cpu"))
    return run, networks


def draw(folder: Path = Path(__file__).parent) -> None:
    """Draw all pictures into a folder.

    Raises:
        RuntimeError: a picture that is too large to be committed.
    """
    for name, function in PICTURES.items():
        buffer = io.BytesIO()
        function().savefig(buffer, format="png", dpi=DPI)
        if len(buffer.getvalue()) > LARGEST:
            raise RuntimeError(f"{name} has {len(buffer.getvalue())} bytes, expected at most {LARGEST}")
        store.write(folder / name, buffer.getvalue())


if __name__ == "__main__":
    draw()
