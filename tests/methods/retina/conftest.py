"""A small retina and what it answered, made once."""
import pytest

from nblib.data import stimulus
from nblib.models.retina import SimulatedRetina


@pytest.fixture(scope="session")
def retina():
    return SimulatedRetina().calibrate(stimulus("natural", 2000, size=24))


@pytest.fixture(scope="session")
def recording(retina):
    return retina.record(stimulus("natural", 2000, size=24), seed=1)
