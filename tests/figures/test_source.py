"""The library's own code, as it is."""
import ast
import inspect
import textwrap

import pytest
import torch

from nblib import figures, hooks, targets


def bare(code: str) -> str:
    """Return code without docstrings, in the form in which the parser sees it."""
    tree = ast.parse(textwrap.dedent(code))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


@pytest.mark.parametrize("thing", [hooks.capture, hooks.Captured, targets.contrast, figures.map_grid, figures.Table])
def test_source_is_the_library_s_own_but_for_docstrings(thing):
    shown = figures.show_source(thing)
    own = inspect.getsource(inspect.unwrap(thing))
    assert bare(shown.code) == bare(own)
    assert figures.show_source(thing, docstrings=True).code == own.rstrip()
    assert (thing.__doc__ is None) or thing.__doc__.strip().split("\n")[0] in shown.code
    assert "Args:" not in shown.code
    path, line = shown.place.split(", line ")
    assert not path.startswith("/")
    content = (figures.source.ROOT / path).read_text().splitlines()
    assert shown.code.splitlines()[0] == content[int(line) - 1]
    assert f"```python\n{shown.code}\n```" in shown._repr_markdown_()


def test_source_of_some_lines():
    whole = figures.show_source(targets.contrast).code.splitlines()
    assert figures.show_source(targets.contrast, lines=(1, 2)).code.splitlines() == whole[:2]
    with pytest.raises(ValueError, match="has lines 1 to"):
        figures.show_source(targets.contrast, lines=(1, 1000))


@pytest.mark.parametrize("thing", [torch.relu, torch.nn.ReLU, 3])
def test_source_of_other_people_is_refused(thing):
    with pytest.raises(ValueError, match="whose code is in nblib"):
        figures.show_source(thing)
