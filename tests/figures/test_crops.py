"""The drawings of concepts and of importance are arithmetic that can be checked by hand."""
import torch

from nblib.figures import crops_toy, patches_toy
from nblib.figures.crops import AMOUNTS, BANK, IMPORTANCE, OBJECT, ROWS, TAG, VOTES
from nblib.metrics import segmentation_difference


def test_the_drawn_activations_are_the_amounts_times_the_concepts():
    assert torch.equal(torch.tensor(AMOUNTS) @ torch.tensor(BANK), torch.tensor(ROWS))
    words = [text.get_text() for text in crops_toy().axes[0].texts]
    assert {"A", "U", "W", "=", "×", "four crops", "the concepts"} <= set(words)
    after = words[words.index("A") + 1:]
    assert [word for word in after if word.isdigit()][:3] == ["3", "1", "1"]  # the first row, and its crop's number


def test_the_drawn_distances_are_those_that_the_metric_gives():
    maps = torch.tensor([IMPORTANCE, [0.2 * value for value in IMPORTANCE], [0.0] * 4, TAG]).float().view(4, 2, 2)
    truth = torch.tensor(OBJECT).float().view(1, 2, 2).expand(4, 2, 2)
    said = [f"d = {value:.2f}" for value in segmentation_difference(maps, truth).tolist()]
    words = [text.get_text() for text in patches_toy().axes[0].texts]
    assert [word for word in words if word.startswith("d = ")] == said == ["d = 0.15", "d = 0.23", "d = 0.25", "d = 0.50"]
    total = torch.tensor(IMPORTANCE) @ torch.tensor(VOTES).float()
    assert f"sum\n({total[0]:g}, {total[1]:g})\nso A" in words
