"""Training and measuring a classifier, on any device; finished trainings are kept, interrupted ones go on.

A map of the room, from the outside in:

- `kept`: `trained` gives a network that is trained once and then read. What it is made of serves other trainings too:
  `kept_at` says where something is kept, `once` trains it behind a lock or reads it.
- `fitting`: `fit` checks what it was given and runs the loop; `predict`, `evaluate`, `save`, `load`, `choose_device`.
- `loop`: epochs and steps, augmentation, schedules, and the state from which an interrupted training goes on.
- `processes`: one function in several processes, for several devices.
- `optimizers`: `Ranger`, which PyTorch does not have.
- `circumstances`: under what conditions something was computed, and which kept networks were read; for the record.
"""
from nblib.training.circumstances import conditions, networks_read
from nblib.training.fitting import choose_device, evaluate, fit, load, predict, save
from nblib.training.kept import expect_keepable, kept_at, once, trained
from nblib.training.optimizers import Ranger

__all__ = [
    "choose_device", "conditions", "evaluate", "expect_keepable", "fit", "kept_at", "load", "networks_read", "once",
    "predict", "Ranger", "save", "trained",
]
