"""What pruning needs: weights of convolutions or linear layers."""
from collections.abc import Mapping

from torch import nn

from nblib.data import Images
from nblib.methods.pruning import magnitude_mask

HAS_TO_TRAIN = True  # what is pruned is trained again


def expect(values: Mapping[str, object], images: Images, model: nn.Module) -> None:
    """Refuse a network without weights that can be pruned."""
    magnitude_mask(model, 0.5)
