"""Forward mode: how the values inside a network move when its pixels do, in one pass."""
import contextlib
import warnings
from collections.abc import Iterator

import torch
import torch.autograd.forward_ad as forward
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextlib.contextmanager
def forward_mode() -> Iterator[None]:
    """Let tangents pass in the block: with no graph, and with attention written out, as fused kernels have no rule."""
    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        with warnings.catch_warnings(), torch.no_grad(), forward.dual_level(), sdpa_kernel(SDPBackend.MATH):
            # PyTorch's own, its first time
            warnings.filterwarnings("ignore", message=".*torch.jit.script.* is deprecated")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def unpacked(dual: Tensor) -> tuple[Tensor, Tensor]:
    """Return a tensor's value and its tangent, zeros where nothing that it depends on moves; within `forward_mode`."""
    value, tangent = forward.unpack_dual(dual)
    return value, torch.zeros_like(value) if tangent is None else tangent
