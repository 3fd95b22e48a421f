"""The drawings of pruning say what the book says: which weights go, and what a removed pixel becomes."""
from fractions import Fraction

from nblib.figures import filling_toy, ticket_toy
from nblib.figures.tickets import FIRST, KEPT, RAMP, SHARES, TRAINED


def test_the_weights_that_are_struck_out_are_the_smallest_after_training():
    largest_gone = max(abs(value) for value, kept in zip(TRAINED, KEPT) if not kept)
    assert KEPT.count(False) == 2 and all(abs(value) > largest_gone for value, kept in zip(TRAINED, KEPT) if kept)
    words = [text.get_text() for text in ticket_toy().axes[0].texts]
    rows = [words[start + 1: start + 6] for start in (words.index(name) for name in ("first weights", "the ticket"))]
    assert rows[0] == ["0.5", "−1", "0.4", "0.3", "0.6"] and len(FIRST) == 5
    assert rows[1] == ["0.5", "−1", "0", "0", "0.6"]


def test_the_middle_of_the_ramp_is_the_mean_of_its_neighbours():
    shares = [Fraction(share or 0) for share in SHARES]
    assert sum(shares) == 1 and sum(share * value for share, value in zip(shares, RAMP)) == RAMP[4] == 4
    words = [text.get_text() for text in filling_toy().axes[0].texts]
    assert words.count("× 1/6") == words.count("× 1/12") == 4 and "the neighbours' mean, 4" in words
