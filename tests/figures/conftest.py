"""Images and maps for the tests of figures."""
import pytest
import torch


@pytest.fixture
def images():
    return torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def maps():
    signed = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(1))
    return {"gradient": signed, "occlusion": signed.abs()}
