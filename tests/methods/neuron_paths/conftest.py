"""The network that most tests of neuron paths take."""
import pytest
from torch import nn

from tests.fixtures.transformers import timm_vit


@pytest.fixture
def model() -> nn.Module:
    """A small vision transformer of timm's."""
    return timm_vit()
