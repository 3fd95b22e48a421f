"""The drawing of concepts is arithmetic that can be checked by hand."""
import torch

from nblib.figures import crops_toy
from nblib.figures.crops import AMOUNTS, BANK, ROWS


def test_the_drawn_activations_are_the_amounts_times_the_concepts():
    assert torch.equal(torch.tensor(AMOUNTS) @ torch.tensor(BANK), torch.tensor(ROWS))
    words = [text.get_text() for text in crops_toy().axes[0].texts]
    assert {"A", "U", "W", "=", "×", "four crops", "the concepts"} <= set(words)
    after = words[words.index("A") + 1:]
    assert [word for word in after if word.isdigit()][:3] == ["3", "1", "1"]  # the first row, and its crop's number
