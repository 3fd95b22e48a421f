"""Answers to the exercises on saliency: right ones in other words than the page's, and typical wrong ones."""
import numpy as np

from nblib.exercises.saliency import check_blind, check_gain, check_gap, check_hits


def painted(images, baseline):
    """Work in place, as nobody should, and return numpy's truth values."""
    images -= baseline
    return (images.numpy() == 0).all(1)


RIGHT = [
    (check_gap, "image by image, as floats",
     lambda maps, at, base: [float(one.sum()) - float(a - b) for one, a, b in zip(maps, at, base)]),
    (check_hits, "as truth values", lambda maps, masks: masks.flatten(1)[range(len(maps)), maps.flatten(1).argmax(1)]),
    (check_gain, "with numpy", lambda maps, masks: np.array([
        one.clip(0)[mask].sum() / one.clip(0).sum() / mask.mean() for one, mask in zip(maps.numpy(), masks.numpy())])),
    (check_blind, "in place", painted),
    (check_blind, "by the largest distance", lambda images, baseline: (images - baseline).abs().amax(1) == 0),
]

WRONG = [
    (check_gap, "forgets the baseline", lambda maps, at, base: maps.flatten(1).sum(1) - at),
    (check_gap, "takes magnitudes", lambda maps, at, base: maps.abs().flatten(1).sum(1) - (at - base)),
    (check_gap, "has the sign reversed", lambda maps, at, base: (at - base) - maps.flatten(1).sum(1)),
    (check_gap, "sums over the batch", lambda maps, at, base: maps.sum() - (at - base).sum()),
    (check_hits, "takes the largest magnitude",
     lambda maps, masks: masks.flatten(1).gather(1, maps.abs().flatten(1).argmax(1)[:, None])[:, 0].float()),
    (check_hits, "asks whether any pixel is on the mask", lambda maps, masks: masks.flatten(1).any(1).float()),
    (check_hits, "returns the mean over the images", lambda maps, masks: masks.flatten(1).gather(
        1, maps.flatten(1).argmax(1)[:, None]).float().mean()),
    (check_hits, "returns one number", lambda maps, masks: masks.float().mean()),
    (check_gain, "forgets the area",
     lambda maps, masks: (maps.relu() * masks).flatten(1).sum(1) / maps.relu().flatten(1).sum(1)),
    (check_gain, "keeps negative values",
     lambda maps, masks: (maps * masks).flatten(1).sum(1) / maps.flatten(1).sum(1) / masks.float().flatten(1).mean(1)),
    (check_blind, "takes one colour for all", lambda images, baseline: (images == baseline).any(1)),
    (check_blind, "compares the mean colour", lambda images, baseline: images.mean(1) == baseline),
    (check_gain, "takes magnitudes", lambda maps, masks: (maps.abs() * masks).flatten(1).sum(1)
     / maps.abs().flatten(1).sum(1) / masks.float().flatten(1).mean(1)),
    (check_gain, "sums over the images",
     lambda maps, masks: ((maps.relu() * masks).sum() / maps.relu().sum() / masks.float().mean()).expand(len(maps))),
    (check_blind, "returns what is seen", lambda images, baseline: (images != baseline).any(1)),
    (check_blind, "always black", lambda images, baseline: (images == 0).all(1)),
    (check_blind, "nothing is unseen", lambda images, baseline: (images != images).any(1)),
]
