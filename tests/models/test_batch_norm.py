"""Batch norms of several processes, and those without a centre."""
import pytest
import torch
from torch import nn

from nblib.models import build, together


@pytest.mark.parametrize("momentum", [0.1, None])
def test_a_batch_norm_for_several_processes_is_pytorchs(momentum):
    torch.manual_seed(0)
    ours, theirs = (nn.Sequential(nn.BatchNorm2d(3, momentum=momentum)).double() for _ in range(2))
    together(ours)
    for _ in range(3):
        x = torch.randn(4, 3, 5, 5, dtype=torch.float64) * 2 + 1
        points = [x.clone().requires_grad_() for _ in range(2)]
        outputs = [model(one) for model, one in zip((ours, theirs), points)]
        torch.testing.assert_close(*outputs)
        gradients = [torch.autograd.grad(y.pow(3).sum(), one)[0] for y, one in zip(outputs, points)]
        torch.testing.assert_close(*gradients)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_an_uncentred_batch_norm_divides_by_the_root_mean_square():
    norm = build("small_b_cos", classes=2, size=8).stem.norm.train()
    x = torch.randn(6, 16, 4, 4) + 3
    expected = x / x.square().mean((0, 2, 3), keepdim=True).sqrt()
    torch.testing.assert_close(norm(x), expected, rtol=1e-4, atol=1e-4)
    before = norm.running_square.clone()
    torch.testing.assert_close(norm.eval()(2 * x), 2 * norm(x))
    assert torch.equal(norm.running_square, before)


def test_statistics_of_half_precision_are_those_of_double():
    values = 3 + torch.rand(8, 2, 60, 70, generator=torch.Generator().manual_seed(0)).bfloat16()  # 33,600 a channel
    norm = together(nn.Sequential(nn.BatchNorm2d(2))).train()
    assert norm(values).dtype == torch.bfloat16
    torch.testing.assert_close(norm[0].running_mean.double(), 0.1 * values.double().mean((0, 2, 3)), rtol=1e-5, atol=0)
    squared = build("small_b_cos", classes=2, size=8).stem.norm.train()
    many = values.repeat(1, len(squared.weight) // 2, 1, 1)
    squared(many)
    expected = 0.9 + 0.1 * many.double().square().mean((0, 2, 3))
    torch.testing.assert_close(squared.running_square.double(), expected, rtol=2e-3, atol=0)
    assert squared.to(torch.bfloat16)(many).dtype == torch.bfloat16
