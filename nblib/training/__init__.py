"""Training and measuring a classifier, on any device; finished trainings are kept, interrupted ones go on."""
from nblib.training.circumstances import conditions, networks_read, note_network
from nblib.training.fitting import choose_device, evaluate, fit, load, predict, save
from nblib.training.kept import sources_of, trained, usable
from nblib.training.optimizers import Ranger

__all__ = [
    "choose_device", "conditions", "evaluate", "fit", "load", "networks_read", "note_network", "predict", "Ranger",
    "save", "sources_of", "trained", "usable",
]
