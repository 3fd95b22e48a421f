"""Answers to the exercises on saliency: typical wrong ones."""
from nblib.exercises.saliency import check_blind, check_gain, check_gap, check_hits

WRONG = [
    (check_gap, "forgets the baseline", lambda maps, at, base: maps.flatten(1).sum(1) - at),
    (check_gap, "takes magnitudes", lambda maps, at, base: maps.abs().flatten(1).sum(1) - (at - base)),
    (check_gap, "has the sign reversed", lambda maps, at, base: (at - base) - maps.flatten(1).sum(1)),
    (check_gap, "sums over the batch", lambda maps, at, base: maps.sum() - (at - base).sum()),
    (check_hits, "takes the largest magnitude",
     lambda maps, masks: masks.flatten(1).gather(1, maps.abs().flatten(1).argmax(1)[:, None])[:, 0].float()),
    (check_hits, "asks whether any pixel is on the mask", lambda maps, masks: masks.flatten(1).any(1).float()),
    (check_hits, "returns one number", lambda maps, masks: masks.float().mean()),
    (check_gain, "forgets the area",
     lambda maps, masks: (maps.relu() * masks).flatten(1).sum(1) / maps.relu().flatten(1).sum(1)),
    (check_gain, "keeps negative values",
     lambda maps, masks: (maps * masks).flatten(1).sum(1) / maps.flatten(1).sum(1) / masks.float().flatten(1).mean(1)),
    (check_blind, "takes one colour for all", lambda images, baseline: (images == baseline).any(1)),
    (check_blind, "always black", lambda images, baseline: (images == 0).all(1)),
    (check_blind, "nothing is unseen", lambda images, baseline: (images != images).any(1)),
]
