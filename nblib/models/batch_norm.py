"""Batch normalisation that several processes do as one, and the uncentred one of B-cos networks."""
import functools

import torch
from torch import Tensor, distributed, nn


class _Summed(torch.autograd.Function):
    """The sum over all processes; what flows back is summed as well, since each process uses the result."""

    @staticmethod
    def forward(ctx, tensor: Tensor) -> Tensor:
        total = tensor.contiguous().clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _Summed.apply(gradient)


def batch_mean(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean (C,) of each channel of `x` (N, C, ...) over the whole batch, and the count it is taken over.

    The batch is that of all processes, whose parts may differ in size. Both are in single precision or better.
    """
    dims = [dim for dim in range(x.ndim) if dim != 1]
    total = x.sum(dims, dtype=torch.promote_types(x.dtype, torch.float32))  # a count alone is too large for bfloat16
    both = torch.cat([total, total.new_tensor([x.numel() // x.shape[1]])])
    if distributed.is_available() and distributed.is_initialized():
        both = _Summed.apply(both)
    return both[:-1] / both[-1], both[-1].detach()


def together(model: nn.Module) -> nn.Module:
    """Make the batch norms of `model` take their statistics over the batches of all processes; returns the model.

    PyTorch's SyncBatchNorm does so on GPUs only; this does on any device, so that training on several devices gives
    what one gives.
    """
    for module in model.modules():
        if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
            module.forward = functools.partial(_forward_together, module)
    return model


def _forward_together(module: nn.Module, x: Tensor) -> Tensor:
    """Run a batch norm with the statistics of all processes where it would use those of its own batch."""
    if not module.training:
        return type(module).forward(module, x)
    shape = (1, -1, *[1] * (x.ndim - 2))
    mean, count = batch_mean(x)
    centred = x - mean.reshape(shape)
    variance, _ = batch_mean(centred.square())
    if module.track_running_stats:
        module.num_batches_tracked += 1
        momentum = 1 / float(module.num_batches_tracked) if module.momentum is None else module.momentum
        module.running_mean.lerp_(mean.detach(), momentum)
        module.running_var.lerp_(variance.detach() * count / (count - 1), momentum)
    result = centred * torch.rsqrt(variance + module.eps).reshape(shape)
    result = result * module.weight.reshape(shape) + module.bias.reshape(shape) if module.affine else result
    return result.to(x.dtype)


class UncentredBatchNorm(nn.Module):
    r"""Batch norm without centring and bias, :math:`\gamma_c x_c / \sqrt{\langle x_c^2\rangle + \epsilon}`.

    A factor for each channel, and a constant one in evaluation mode: what is linear stays linear. The mean square is
    the variance around zero, the centre that is kept.
    """

    def __init__(self, channels: int, *, momentum: float = 0.1, eps: float = 1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.register_buffer("running_square", torch.ones(channels))
        self.momentum, self.eps = momentum, eps

    def forward(self, x: Tensor) -> Tensor:
        square = self.running_square
        if self.training:
            square, _ = batch_mean(x.square())
            self.running_square.lerp_(square.detach().to(self.running_square), self.momentum)
        return x * (self.weight * torch.rsqrt(square + self.eps).to(self.weight)).reshape(1, -1, 1, 1)
