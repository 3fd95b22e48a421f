"""Tables as HTML and as text."""
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from nblib import figures


class Balance(HTMLParser):
    """Checks that tags close in the order in which they opened."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


ROWS = [["a <b>", 0.301, (np.float32(0.5), 0.0251), None], ["c & d", -0.0001, (-1.0, torch.tensor(0.5)), 12]]


def test_table_is_semantic_html():
    shown = figures.table(ROWS, ["method", "inside (share)", "gap", "n"], caption="What it < shows")._repr_html_()
    seen = Balance(shown).seen
    assert sum(tag == "caption" for tag, _ in seen) == 1
    assert [attributes["scope"] for tag, attributes in seen if tag == "th"] == ["col"] * 4 + ["row"] * 2
    assert "a &lt;b&gt;" in shown and "What it &lt; shows" in shown and "<b>" not in shown


def test_a_bracket_stays_in_one_piece():
    shown = figures.table([["a b", "8% [7%, 8%]"]], ["method", "share"])
    assert "8% [7%,\u00a08%]" in shown._repr_html_() and "a b" in shown._repr_html_() and "8% [7%, 8%]" in repr(shown)


def test_table_reads_as_text():
    columns = ["method", "inside (share)", "gap", "n"]
    text = repr(figures.table(ROWS, columns, precision={"inside (share)": 3, "gap": 1}))
    assert text.splitlines() == [
        "method  inside (share)         gap   n",
        "------  --------------  ----------  --",
        "a <b>            0.301   0.5 ± 0.0   –",
        "c & d            0.000  −1.0 ± 0.5  12",
    ]
    assert repr(figures.table([["a", True]], ["name", "done"])).endswith("yes")


@pytest.mark.parametrize(
    "rows, precision, error",
    [([["a"]], 2, ValueError), ([["a", object()]], 2, ValueError), ([], {"gab": 1}, KeyError)],
)
def test_table_refuses_what_does_not_fit(rows, precision, error):
    with pytest.raises(error):
        figures.table(rows, ["name", "gap"], precision=precision)
