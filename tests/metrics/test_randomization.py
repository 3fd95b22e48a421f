"""Networks that forget what they have learnt, layer by layer or in stages."""
import pytest
import torch
from torch import nn

from nblib import targets
from nblib.methods.saliency import saliency
from nblib.metrics import randomize_layers, randomized_stages, rank_correlation, settle_norms
from tests.fixtures.networks import SmallNet, settled
from tests.fixtures.saliency import some_images, state_of


def test_layers_are_randomised_from_the_output_down_and_the_model_is_left_alone(model):
    before, state = state_of(model), torch.get_rng_state()
    steps = list(randomize_layers(model, seed=3))
    assert [name for name, _ in steps] == ["head", "bn2", "conv2", "bn1", "conv1"]
    assert state_of(model) == before and torch.equal(torch.get_rng_state(), state)
    for number, (_, copied) in enumerate(steps):
        for later, (name, _) in enumerate(steps):
            same = torch.equal(copied.get_submodule(name).weight, model.get_submodule(name).weight)
            assert same is (later > number)
    assert torch.equal(steps[-1][1].conv2.weight, steps[2][1].conv2.weight)


def test_one_layer_alone_gets_the_weights_it_gets_in_the_cascade(model):
    cascade = dict(randomize_layers(model, seed=3))
    for name, copied in randomize_layers(model, seed=3, cascading=False):
        assert torch.equal(copied.get_submodule(name).weight, cascade[name].get_submodule(name).weight)
        changed = [n for n in cascade if not torch.equal(copied.get_submodule(n).weight, model.get_submodule(n).weight)]
        assert changed == [name]
    again = dict(randomize_layers(model, seed=4))
    assert not torch.equal(again["conv1"].conv1.weight, cascade["conv1"].conv1.weight)


def test_a_yielded_copy_may_be_changed_and_parameters_outside_layers_are_drawn_from_their_own_spread():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(5 + 2 * torch.randn(4000))
            self.head = nn.Linear(3, 2)

    model, names = Scaled().eval(), []
    for name, copied in randomize_layers(model, seed=0):
        names.append(name)
        copied.head.weight.data.fill_(7)
    assert names == ["head", ""] and (copied.head.weight == 7).all()
    assert not torch.equal(copied.scale, model.scale)
    assert copied.scale.mean().item() == pytest.approx(5, abs=0.2)
    assert copied.scale.std().item() == pytest.approx(2, abs=0.2)


def test_a_gradient_map_forgets_when_the_network_does(model):
    images = some_images()
    target = targets.class_logit(torch.tensor([3, 0, 2]))
    whole = saliency(model, images, method="gradient", target=target)
    last = list(randomize_layers(model, seed=0))[-1][1]
    assert rank_correlation(whole, saliency(last, images, method="gradient", target=target)).mean() < 0.5


def network(layers):
    return nn.Sequential(*(nn.Linear(2, 2) for _ in range(layers)))


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values()))


def test_stages_are_evenly_spaced_and_end_with_all_layers():
    model = network(11)
    copies = [copy for _, copy in randomize_layers(model, seed=4)]
    stages = randomized_stages(model, count=6, seed=4)
    assert all(same(stage, copies[place]) for stage, place in zip(stages, (0, 2, 4, 6, 8, 10), strict=True))


def test_a_network_of_few_layers_repeats_stages():
    stages = randomized_stages(network(2), count=4)
    assert len(stages) == 4 and same(stages[0], stages[1]) and same(stages[2], stages[3])
    assert not same(stages[0], stages[3])


def test_one_stage_is_refused():
    with pytest.raises(ValueError, match="count=1 was given"):
        randomized_stages(network(2), count=1)


def test_settled_norms_hold_the_statistics_of_the_images():
    images = torch.rand(24, 3, 12, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = settled(SmallNet())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    copied = settle_norms(model, images)
    with torch.no_grad():
        first = model.conv1(images)
        torch.testing.assert_close(copied.bn1.running_mean, first.mean((0, 2, 3)))
        torch.testing.assert_close(copied.bn1.running_var, first.transpose(0, 1).flatten(1).var(1))
        out = copied.bn2(copied.conv2(copied.relu1(copied.bn1(first))))
    torch.testing.assert_close(out.mean((0, 2, 3)), copied.bn2.bias.detach(), rtol=0, atol=1e-3)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(module.training for module in copied.modules()) and copied.bn1.momentum == model.bn1.momentum
    halves = settle_norms(model, images, chunk_size=12)
    torch.testing.assert_close(halves.bn1.running_mean, copied.bn1.running_mean)
    with pytest.raises(ValueError, match="chunk_size=1"):
        settle_norms(model, images, chunk_size=1)
