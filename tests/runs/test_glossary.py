"""The glossary, complete and linked where its terms first stand, and the references with their links."""
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from nblib.store import ROOT
from tests.fixtures.glossary import first_uses, terms


def page(*texts: str) -> nbformat.NotebookNode:
    return new_notebook(cells=[new_code_cell("saliency map"), *map(new_markdown_cell, texts)])


@pytest.mark.parametrize("text, expected", [
    ("A {term}`saliency map` is signed. The saliency map is not.", {"saliency map": True}),
    ("A saliency map is signed. A {term}`saliency map` is.", {"saliency map": False}),
    ("{term}`Maps <saliency map>` are signed. Saliency maps are.", {"saliency map": True}),
    ("Saliency\nmaps are signed.", {"saliency map": False}),
    ("# Saliency map\n`saliency map`, $mask$, [here](mask.md)\n\n```\nmask\n```\n", {}),
    ("We run it, and it runs in the store.", {}),
    ("Each {term}`run` has a seed.", {"run": True, "seed": False}),
    ("The patch IoU and the IoU.", {"patch IoU": False, "IoU": False}),
    ("Nothing of it.", {}),
])
def test_first_uses_are_found(text, expected):
    assert first_uses(page(text)) == expected


def test_first_uses_go_over_cells():
    assert first_uses(page("A {term}`mask`.", "The mask.")) == {"mask": True}
    assert first_uses(page("The mask.", "A {term}`mask`.")) == {"mask": False}


def test_terms_are_in_order_and_defined():
    names = terms()
    letters = [re.sub(r"[^a-z0-9 ]", "", name.lower()) for name in names]
    assert letters == sorted(letters) and len(set(names)) == len(names)
    text = (ROOT / "book/glossary.md").read_text()
    assert all(re.search(rf"^{re.escape(name)}\n  \S", text, re.M) for name in names)


@pytest.mark.parametrize("word", [
    "affine", "contribution", "energy gain", "lab", "lesson", "mode", "MoRF", "patch IoU", "run", "status", "store",
])
def test_words_with_a_fixed_sense_are_explained(word):
    assert word in terms()


def test_every_reference_has_a_link():
    entries = re.split(r"\n(?=@)", (ROOT / "book/references.bib").read_text())[1:]
    bare = [entry.split("{")[1].split(",")[0] for entry in entries
            if not re.search(r"^  (doi = \{10\.|eprint = \{\d{4}\.\d{4,5}\}|url = \{https://)", entry, re.M)]
    assert entries and not bare, f"without doi, arXiv number or address: {bare}"
