"""B-cos networks: the response, the linear map that they are, their loss."""
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nblib.hooks import capture
from nblib.models import b_cos, build


def scrambled(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give the batch norms of a fresh network the statistics and weights of a used one."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        for name, low, high in (("running_mean", -0.5, 0.5), ("running_var", 0.5, 2), ("running_square", 0.5, 2)):
            tensor = getattr(module, name, None)
            if tensor is not None:
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)
        if isinstance(module, nn.BatchNorm2d) or hasattr(module, "running_square"):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
    return model


def test_a_b_cos_response_is_the_formula():
    torch.manual_seed(0)
    layer = b_cos.BCosConv2d(2, 3, 3).double()
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64)
    padded = F.pad(x, (1, 1, 1, 1))
    expected = torch.empty(1, 3, 4, 4, dtype=torch.float64)
    for unit in range(3):
        weight = layer.weight[unit].flatten() / layer.weight[unit].norm()
        for row in range(4):
            for column in range(4):
                patch = padded[0, :, row:row + 3, column:column + 3].flatten()
                expected[0, unit, row, column] = weight @ patch * F.cosine_similarity(weight, patch, dim=0).abs()
    torch.testing.assert_close(layer(x), expected.detach(), rtol=1e-5, atol=1e-6)


def test_the_contributions_of_a_linearised_b_cos_network_sum_to_its_logit():
    model = scrambled(build("small_b_cos", classes=5, size=16)).double()
    images = torch.rand(3, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    with b_cos.linearised(model), capture(model, ["encode"]) as seen:
        logits = model(images)
    six = seen["encode"]
    torch.testing.assert_close(six, torch.cat([images, 1 - images], 1))
    for label in range(5):
        weight, = torch.autograd.grad(logits[:, label].sum(), six, retain_graph=True)
        sums = (six * weight).sum((1, 2, 3))
        torch.testing.assert_close(sums, logits[:, label] - model.logit_bias, rtol=1e-10, atol=1e-12)
    with capture(model, ["encode"]) as seen:
        plain = model(images)
    torch.testing.assert_close(plain, logits)  # the linear map is the network, not something near it
    weight, = torch.autograd.grad(plain[:, 0].sum(), seen["encode"])
    assert not torch.allclose((seen["encode"] * weight).sum((1, 2, 3)), plain[:, 0] - model.logit_bias, rtol=1e-2)


def test_linearised_leaves_no_trace_and_refuses_other_networks():
    model = build("small_b_cos", classes=5, size=16)
    with pytest.raises(RuntimeError, match="inside"), b_cos.linearised(model):
        raise RuntimeError("inside")
    assert not any(getattr(module, "linear", False) for module in model.modules())
    other = build("small_resnet", classes=5, size=16)
    assert b_cos.is_b_cos(model) and not b_cos.is_b_cos(other)
    with pytest.raises(ValueError, match="no B-cos layer"), b_cos.linearised(other):
        pass


def test_a_black_b_cos_logit_is_not_biased_and_its_loss_is_the_formula():
    logits = torch.tensor([[0.3, -1.0, 2.0]])
    targets = torch.tensor([1 / 3, 1.0, 1 / 3])
    p = torch.sigmoid(logits[0])
    expected = -(targets * p.log() + (1 - targets) * (1 - p).log()).mean()
    torch.testing.assert_close(b_cos.uniform_off_label_loss(logits, torch.tensor([1])), expected)
    bias = build("small_b_cos", classes=5, size=16).logit_bias
    torch.testing.assert_close(torch.sigmoid(torch.tensor(bias)), torch.tensor(1 / 5))  # the share of one class
