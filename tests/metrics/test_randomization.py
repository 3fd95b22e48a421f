"""Networks that forget, in stages."""
import pytest
import torch
from torch import nn

from nblib.metrics import randomize_layers, randomized_stages


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
