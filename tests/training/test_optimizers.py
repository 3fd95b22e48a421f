"""Ranger against its papers' equations; its state, also after an interruption; what it refuses."""
import pickle

import pytest
import torch
import torch.nn.functional as F

from nblib.training import Ranger
from tests.fixtures.training import Stop, bright, equal, run, tiny
from tests.references import optimizers as reference


def test_ranger_equals_its_papers_equations():
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 2, 3, 3), (4, 5), (6,)]
    params = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    gradients = [[1 + torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in params] for _ in range(20)]
    ours = [p.clone().requires_grad_() for p in params]
    idle = torch.ones(2, requires_grad=True)
    optimizer = Ranger([{"params": ours[:2], "weight_decay": 0.3}, {"params": [*ours[2:], idle]}], lr=0.05)
    for step in gradients:
        for parameter, gradient in zip(ours, step, strict=True):
            parameter.grad = gradient.clone()
        optimizer.step()
    for number, (parameter, start) in enumerate(zip(ours, params, strict=True)):
        expected = reference.ranger(start, [step[number] for step in gradients], 0.05, 0.3 if number < 2 else 0.0)
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(idle.detach(), torch.ones(2))


def test_rangers_state_is_tensors_only_and_survives_a_copy():
    model = tiny()
    optimizer = Ranger(model.parameters(), lr=0.01, k=3, alpha=0.2)

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model.eval()(bright().images), bright().labels)
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(4)]
    assert losses[-1] < losses[0]
    for state in optimizer.state.values():
        assert set(state) == {"step", "exp_avg", "exp_avg_sq", "slow"}
        assert all(isinstance(value, torch.Tensor) for value in state.values())
    copied = pickle.loads(pickle.dumps(optimizer))
    assert [copied.param_groups[0][name] for name in ("k", "alpha", "betas", "eps")] == [3, 0.2, (0.95, 0.999), 1e-6]
    copied.add_param_group({"params": [torch.ones(1, requires_grad=True)]})
    assert copied.param_groups[1]["k"] == 3


def test_an_interrupted_training_with_ranger_ends_with_exactly_the_same_weights(tmp_path):
    options = dict(epochs=4, augment="crop_flip", optimizer="ranger", lr=0.01)
    whole, path, calls = tiny(), tmp_path / "state.safetensors", []
    losses = run(whole, **options)

    def stop(model):
        calls.append(None)
        if len(calls) == 10:  # in the third epoch of four steps each, between two look-aheads
            raise Stop

    with pytest.raises(Stop):
        run(tiny(), after_step=stop, checkpoint=path, **options)
    fresh = tiny(seed=9)
    assert run(fresh, checkpoint=path, **options) == losses and equal(fresh, whole)


@pytest.mark.parametrize("wrong", [{"k": 0}, {"alpha": 1.5}, {"alpha": -0.1}, {"lr": -1}, {"betas": (1.0, 0.9)}])
def test_ranger_refuses_options_out_of_range(wrong):
    with pytest.raises(ValueError):
        Ranger([torch.ones(1, requires_grad=True)], **wrong)
