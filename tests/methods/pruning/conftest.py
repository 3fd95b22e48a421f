"""What optimisers did, seen from outside: PyTorch tells of every step of any optimiser."""
from collections.abc import Iterator

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook


@pytest.fixture
def rates() -> Iterator[dict[torch.optim.Optimizer, list[float]]]:
    """The learning rates of all steps, by optimiser in the order of their first steps: each is one training."""
    seen: dict[torch.optim.Optimizer, list[float]] = {}
    hook = register_optimizer_step_pre_hook(
        lambda optimizer, _, __: seen.setdefault(optimizer, []).append(optimizer.param_groups[0]["lr"]))
    yield seen
    hook.remove()
