"""The outlines of which shapes are made."""
import pytest
import torch

from nblib.data.drawn import geometry


@pytest.mark.parametrize("outlines", [geometry.BODIES, geometry.MARKINGS], ids=["bodies", "markings"])
def test_outlines_measure_distance_and_differ(outlines):
    x, y = torch.meshgrid(torch.linspace(-1, 1, 201, dtype=torch.float64),
                          torch.linspace(-1, 1, 201, dtype=torch.float64), indexing="xy")
    areas = []
    for name, outline in outlines.items():
        distance = outline(x, y)
        steps = torch.stack([distance.diff(dim=0)[:, 1:], distance.diff(dim=1)[1:]]) / 0.01
        away = distance[1:, 1:].abs() > 0.03
        assert steps.square().sum(0).sqrt()[away].max() < 1.42, name  # never steeper than a distance, but at folds
        areas.append(distance < 0)
    for first in range(len(areas)):
        for second in range(first):
            assert (areas[first] ^ areas[second]).double().mean() > 0.04
