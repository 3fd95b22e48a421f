"""Tables of numbers that can be read by eye, by a screen reader, and as plain text."""
import html
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MISSING = "–"


@dataclass(frozen=True)
class Table:
    """Texts in rows and columns; a notebook shows them as HTML, a terminal as aligned text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]  # the columns that are aligned to the right
    caption: str | None

    def __repr__(self) -> str:
        lines = [self.columns, *self.rows]
        widths = [max(len(line[number]) for line in lines) for number in range(len(self.columns))]
        lines.insert(1, tuple("-" * width for width in widths))
        texts = ["  ".join(map(self._aligned, line, widths, self.numeric)).rstrip() for line in lines]
        return "\n".join(([self.caption, ""] if self.caption else []) + texts)

    @staticmethod
    def _aligned(text: str, width: int, numeric: bool) -> str:
        return text.rjust(width) if numeric else text.ljust(width)

    def _repr_html_(self) -> str:
        # a bracket stays in one piece
        whole = [[re.sub(r"\[[^\[\]]*\]", lambda found: found[0].replace(" ", "\u00a0"), text) for text in row]
                 for row in self.rows]
        classes = [' class="number"' if numeric else "" for numeric in self.numeric]
        head = "".join(f'<th scope="col"{kind}>{html.escape(n)}</th>' for n, kind in zip(self.columns, classes))
        body = []
        for first, *others in whole:
            cells = "".join(f"<td{kind}>{html.escape(text)}</td>" for text, kind in zip(others, classes[1:]))
            body.append(f'<tr><th scope="row">{html.escape(first)}</th>{cells}</tr>')
        caption = f"<caption>{html.escape(self.caption)}</caption>" if self.caption else ""
        # The frame scrolls on narrow screens, also by keyboard.
        return (
            f'<div class="nblib-table" tabindex="0"><table>{caption}<thead><tr>{head}</tr></thead>'
            f'<tbody>{"".join(body)}</tbody></table></div>'
        )


def table(rows: Sequence[Sequence], columns: Sequence[str], *, caption: str | None = None,
          precision: int | Mapping[str, int] = 2) -> Table:
    """Lay out texts and numbers as a table.

    Args:
        rows: of cells; the first of each names the row. A cell is a text, a whole number, a number, a pair (value,
            spread) that becomes "value ± spread", a truth value that becomes "yes" or "no", or None or
            NaN for what was not measured.
        columns: a name for each column, with its unit.
        caption: what the table shows.
        precision: decimal places, one number or one for each column's name; columns that are not named have 2.

    Raises:
        ValueError: a row with another number of cells than there are columns, or a cell of another type.
        KeyError: a precision for a column that is not there.
    """
    columns = tuple(columns)
    places = dict.fromkeys(columns, precision) if isinstance(precision, int) else precision
    if unknown := sorted(set(places) - set(columns)):
        raise KeyError(f"precision for column {unknown[0]!r} was given, the columns are {', '.join(columns)}")
    texts = []
    for number, row in enumerate(rows):
        if len(row) != len(columns):
            raise ValueError(f"row {number} has {len(row)} cells, expected {len(columns)}: {', '.join(columns)}")
        texts.append(tuple(_text(cell, places.get(name, 2)) for cell, name in zip(row, columns)))
    numeric = tuple(any(not isinstance(row[n], str | None) for row in rows) for n in range(len(columns)))
    return Table(columns, tuple(texts), numeric, caption)


def _text(cell, places: int) -> str:
    """Return a cell as it is read."""
    if cell is None:
        return MISSING
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, tuple) and len(cell) == 2:
        return f"{_text(cell[0], places)} ± {_text(cell[1], places)}"
    if hasattr(cell, "item"):  # a number out of a tensor or an array
        cell = cell.item()
    if isinstance(cell, int):
        return str(cell)
    if isinstance(cell, float) and math.isnan(cell):
        return MISSING
    if isinstance(cell, float):
        text = f"{cell:.{places}f}"
        # Zero has no sign, whatever rounding left of it; and the minus is as wide as a digit.
        return text.replace("-", "") if math.isfinite(cell) and float(text) == 0 else text.replace("-", "−")
    raise ValueError(f"a cell of type {type(cell).__name__} was given, expected a text, a number, a pair, or None")
