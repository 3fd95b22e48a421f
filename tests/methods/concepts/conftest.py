"""The network, and its concepts, that most tests of concepts take."""
import pytest
from torch import nn

from nblib.methods.concepts import Craft
from tests.fixtures.concepts import some_images
from tests.fixtures.networks import SmallNet, settled


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """Two convolutions, pooling, a linear layer."""
    return settled(SmallNet())


@pytest.fixture(scope="module")
def craft(model) -> Craft:
    """Four concepts of its last layer before pooling."""
    return Craft(model, "relu2", crop=0.5, n_concepts=4).fit(some_images(12))
