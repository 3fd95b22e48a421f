"""An IA and an EA on it, both with random norms, and images for them."""
import pytest
import torch

from tests.fixtures.importance import an_ea, an_ia, some_images


@pytest.fixture(scope="module")
def ia():
    return an_ia()


@pytest.fixture(scope="module")
def ea(ia):
    return an_ea(ia)


@pytest.fixture(scope="module")
def images():
    return some_images(20)


@pytest.fixture(scope="module")
def labels(ea, images):
    """Labels half of which the EA gives itself, so that accuracies are neither 0 nor 1."""
    with torch.no_grad():
        said = ea(images).argmax(1)
    return torch.where(torch.arange(20) % 2 == 0, said, (said + 1) % 4)
