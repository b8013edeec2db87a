"""Plain tables: one look for all verbs, and figures that are never cut off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    Cell = str | Text

GAP = 2
"""Columns between two cells."""


class Listing:
    """A table in the making: text to the left, figures to the right, the first column gives way on a narrow page."""

    def __init__(self, columns: Sequence[str], *, title: str | None = None, left: Sequence[int] = (0,)) -> None:
        """`left` are the numbers of the columns of text."""
        self.columns = columns
        self.left = left
        self.title = title
        self.rows: list[tuple[tuple[Cell, ...], str, bool]] = []

    def add(self, *cells: Cell, style: str = "", total: bool = False) -> None:
        """Add a row; a `total` is set off by a line of its own."""
        assert len(cells) == len(self.columns)
        self.rows.append((cells, style, total))

    def table(self, *, wraps: Sequence[int] = ()) -> Table:
        """Return the table; only the first column and those that `wraps` numbers may be narrower than their text."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(
            title=self.title,
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            padding=(0, GAP - 1, 0, 0),
            border_style="dim",
            header_style="dim",
        )
        for k, name in enumerate(self.columns):
            texts = [Text(name), *(_text(cells[k]) for cells, _, _ in self.rows)]
            widest = max(max((len(line) for line in text.split()), default=0) for text in texts)
            table.add_column(
                name,
                justify="left" if k in self.left else "right",
                no_wrap=k != 0 and k not in wraps,
                overflow="fold",
                min_width=None if k == 0 or k in wraps else widest,
            )
        for k, (cells, style, total) in enumerate(self.rows):
            following = self.rows[k + 1][2] if k + 1 < len(self.rows) else False
            table.add_row(*cells, style="bold" if total else style, end_section=following)
        return table


def _text(cell: Cell) -> Text:
    from rich.text import Text

    return Text(cell) if isinstance(cell, str) else cell
