"""Training and measuring a classifier, on any device; finished trainings are kept, interrupted ones go on."""
from nblib.training.circumstances import conditions, networks_read
from nblib.training.fitting import choose_device, evaluate, fit, load, predict, save
from nblib.training.kept import expect_keepable, kept_at, once, trained
from nblib.training.optimizers import Ranger

__all__ = [
    "choose_device", "conditions", "evaluate", "expect_keepable", "fit", "kept_at", "load", "networks_read", "once",
    "predict", "Ranger", "save", "trained",
]
