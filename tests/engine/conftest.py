"""A network for the tests of what methods share, with random norms."""
import pytest

from tests.fixtures.networks import SmallNet, settled


@pytest.fixture
def model():
    return settled(SmallNet())
