"""What all tests share."""
import os

import pytest
import torch

torch.set_num_threads(max(1, (os.cpu_count() or 1) // max(1, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))))


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))])
def device(request) -> torch.device:
    """Each device that the code has to run on; the GPU is skipped where there is none."""
    return torch.device(request.param)
