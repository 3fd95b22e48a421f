"""The drawing of neural pathways says what the book says: a note tells its class without a picture, a comparison does not."""
from nblib.figures import pathway_toy
from nblib.figures.drawings import PATHWAYS, PICTURES, said


def test_a_note_says_one_class_of_every_picture_and_a_comparison_only_of_its_own():
    assert [said(picture, PATHWAYS["a note"]) for picture in PICTURES] == [(1, 0)] * 3
    assert [said(picture, PATHWAYS["a comparison"]) for picture in PICTURES] == [(2, 0), (1, 1), (1, 1)]
    assert [said(picture, (1, 1, 1, 1)) for picture in PICTURES] == [(2, 0), (1, 1), (0, 2)]


def test_the_drawing_has_every_answer_and_every_size():
    words = [text.get_text() for text in pathway_toy().axes[0].texts]
    assert words.count("(1, 0)  A") == 3 and words.count("(2, 0)  A") == 1 and words.count("(1, 1)  neither") == 2
    assert "a note, 1 of 4" in words and "a comparison, 3 of 4" in words
