"""What the retina needs: a movie for which the kernels have room, and enough windows for every cell to fire."""
from collections.abc import Mapping
from pathlib import Path

import torch

from nblib.checks import expect_one_of
from nblib.data import STIMULI
from nblib.models.retina import PUBLISHED, RetinaCNN, SimulatedRetina

NETWORKS = {"retina_cnn": {}, "retina_cnn_published": {name: PUBLISHED[name] for name in ("frames", "kernels", "dropout")}}


def expect_alone(values: Mapping[str, object]) -> None:
    """Refuse what cannot be run; the images' own checks are left out, since a retina sees movies and has no classes."""
    expect_one_of("dataset", values["dataset"], STIMULI)
    options = NETWORKS[expect_one_of("model", values["model"], NETWORKS)]
    retina = SimulatedRetina(size=values["image_size"], frames=options.get("frames", 20))
    if values["test_images"] <= len(retina.places):
        raise ValueError(f"test_images: {values['test_images']} was given, expected more than {len(retina.places)}, the number "
                         "of cells, whose covariance the surprisal needs")
    network = RetinaCNN(retina.places, size=values["image_size"], **options)
    with torch.no_grad():
        network(torch.zeros(1, network.frames, network.size, network.size))
    if values["weights"] and not Path(values["weights"]).is_file():
        raise ValueError(f"weights: there is no file {values['weights']!r}; leave it empty to fit the network")
