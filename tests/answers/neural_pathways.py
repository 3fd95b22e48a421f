"""Answers to the exercises on neural pathways: right ones in other words than the page's, and typical wrong ones."""
import numpy as np
import torch

from nblib.exercises.neural_pathways import check_blocked, check_forced


RIGHT = [
    (check_forced, "by counts", lambda s, o, g: ((s == g) & (o != g)).sum() / (o != g).sum()),
    (check_forced, "in plain Python", lambda s, o, g: float(np.mean([x == z for x, y, z in zip(s, o, g) if y != z]))),
    (check_blocked, "by the smallest count", lambda layers: torch.stack([m.sum(1) for m in layers]).min(0).values == 0),
    (check_blocked, "row by row", lambda layers: [any(not row.any() for row in rows) for rows in zip(*layers)]),
]

WRONG = [
    (check_forced, "own images too", lambda s, o, g: (s == g).double().mean()),
    (check_forced, "kept answers", lambda s, o, g: (s == o)[o != g].double().mean()),
    (check_forced, "changed answers", lambda s, o, g: (s != o)[o != g].double().mean()),
    (check_forced, "over all", lambda s, o, g: ((s == g) & (o != g)).double().mean()),
    (check_blocked, "all layers", lambda layers: torch.stack([~m.any(1) for m in layers]).all(0)),
    (check_blocked, "a unit is missing", lambda layers: torch.stack([~m.all(1) for m in layers]).any(0)),
    (check_blocked, "the open ones", lambda layers: torch.stack([m.any(1) for m in layers]).all(0)),
    (check_blocked, "the first layer", lambda layers: ~layers[0].any(1)),
]
