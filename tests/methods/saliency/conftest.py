"""Networks for the tests of saliency, with random norms."""
import pytest

from nblib.models.b_cos import small_b_cos
from tests.fixtures.networks import SmallNet, settled


@pytest.fixture
def model():
    return settled(SmallNet())


@pytest.fixture
def b_cos_model():
    return settled(small_b_cos(classes=4, size=12))
