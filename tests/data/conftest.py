"""Generated images for the tests of data."""
import pytest

from nblib.data import Images, load


@pytest.fixture(scope="module")
def drawn() -> Images:
    return load("shapes", limit=2000, shortcut=0.0)


@pytest.fixture(scope="module")
def clear() -> Images:
    return load("shapes", limit=200, size=96, difficulty=0.0)
