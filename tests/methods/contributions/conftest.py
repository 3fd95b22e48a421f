"""The networks of these tests, with random norms and biases: fresh ones pass every test of completeness."""
import pytest

from tests.fixtures.networks import SmallNet, settled


@pytest.fixture
def model():
    return settled(SmallNet())
